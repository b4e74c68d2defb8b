//! The modes of the files, and links in their places.

use std::{
    env,
    fs::Permissions,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use super::*;
use crate::error::ErrorKind;

/// The variable with the path of the database, in a process with a umask of its own.
const IN_CHILD: &str = "SESSIONS_TEST_DATABASE";

const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

fn modes(path: &Path) -> [u32; 3] {
    SUFFIXES.map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).unwrap().permissions().mode() & 0o777
    })
}

#[test]
fn a_new_database_is_for_its_owner_alone_whatever_the_umask() {
    if let Some(path) = env::var_os(IN_CHILD).map(PathBuf::from) {
        run(async {
            let store = SqliteStore::open(&path).await.unwrap();
            store.create(id(1), new_record(&[])).await.unwrap();
            assert_eq!(modes(&path), [0o600; 3]);
        });
        return;
    }
    let name = "store::sqlite::tests::modes::a_new_database_is_for_its_owner_alone_whatever_the_umask";
    let folder = TestFolder::new();
    // A umask belongs to a whole process, so each has a process of its own.
    for umask in ["000", "022", "077", "277", "777"] {
        let script = format!("umask {umask} && exec \"$0\" --exact {name}");
        let program = env::current_exe().unwrap();
        let mut child = Command::new("sh");
        child.arg("-c").arg(script).arg(program).env(IN_CHILD, folder.file(&format!("{umask}.db")));
        let output = child.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{umask}: {text}");
    }
}

/// An operator may share the file with a group.
#[test]
fn a_database_that_is_there_keeps_its_mode() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        assert_eq!(modes(&path), [0o640; 3]);
    });
}

#[test]
fn a_link_in_the_place_of_the_database_is_refused() {
    let folder = TestFolder::new();
    run(async {
        let target = folder.file("elsewhere.db");
        let (dangling, leading) = (folder.file("dangling.db"), folder.file("leading.db"));
        symlink(&target, &dangling).unwrap();
        let error = SqliteStore::open(&dangling).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("dangling.db` is a symbolic link to `"), "{error}");
        assert!(!target.exists(), "nothing is created where it leads");
        let store = SqliteStore::open(&target).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        symlink(&target, &leading).unwrap();
        let error = SqliteStore::open(&leading).await.unwrap_err().to_string();
        assert!(
            error.contains("elsewhere.db`") && error.contains("give the path of the file itself"),
            "{error}"
        );
    });
}

#[test]
fn a_link_in_the_place_of_the_log_is_not_followed() {
    for suffix in ["-wal", "-shm"] {
        let folder = TestFolder::new();
        let (path, target) = (folder.file("s.db"), folder.file("target"));
        run(async {
            std::fs::write(&target, "precious").unwrap();
            symlink(&target, folder.file(&format!("s.db{suffix}"))).unwrap();
            // SQLite removes the link, or refuses.
            if let Ok(store) = SqliteStore::open(&path).await {
                let _ = store.create(id(1), new_record(&[])).await;
            }
            assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious", "{suffix}");
        });
    }
}

/// Some deployments switch a link to the present release.
#[test]
fn a_link_among_the_folders_is_followed() {
    let folder = TestFolder::new();
    run(async {
        std::fs::create_dir(folder.file("shared")).unwrap();
        symlink(folder.file("shared"), folder.file("current")).unwrap();
        let store = SqliteStore::open(folder.file("current").join("s.db")).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        assert!(folder.file("shared").join("s.db").is_file());
    });
}
