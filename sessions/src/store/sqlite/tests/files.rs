//! Paths, files and tables that a store finds, and several stores on one file.

use sqlx::sqlite::SqlitePool;

use super::*;
use crate::{
    error::{Error, ErrorKind},
    store::{Durability, SqliteStoreBuilder},
};

#[track_caller]
fn assert_config(result: Result<SqliteStore, Error>, expected: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn stores_on_one_file_see_each_other_and_lose_no_increment() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let stores: Vec<_> = {
            // Opened at the same time, on a file that does not exist yet.
            let open =
                || tokio::spawn(SqliteStore::builder(&path).with_durability(Durability::Relaxed).open());
            let opening: Vec<_> = (0..3).map(|_| open()).collect();
            let mut stores = Vec::new();
            for store in opening {
                stores.push(store.await.unwrap().unwrap());
            }
            stores
        };
        stores[0].create(id(1), new_record(&[])).await.unwrap();
        let mut tasks = Vec::new();
        for task in 0..30 {
            let store = stores[task % stores.len()].clone();
            tasks.push(tokio::spawn(async move {
                for number in 0..20 {
                    let number = (task * 1000 + number) as u64;
                    assert_applied(&store.commit(id(1), increment(number)).await.unwrap());
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        for store in &stores {
            assert_eq!(value(store, id(1), "n").await, Some(json("600")));
        }
    });
}

#[test]
fn sessions_survive_the_store() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[("a", "1")])).await.unwrap();
    });
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        assert_eq!(value(&store, id(1), "a").await, Some(json("1")));
    });
}

#[test]
fn any_path_is_just_a_path() {
    let folder = TestFolder::new();
    run(async {
        for name in
            ["with space.db", "what?mode=memory", "50%25.db", "naïve 😀.db", "#x", "file:x.db", "a'b\"c"]
        {
            let path = folder.file(name);
            let store = SqliteStore::open(&path).await.unwrap();
            store.create(id(1), new_record(&[])).await.unwrap();
            assert!(path.is_file(), "{name}");
        }
    });
}

#[test]
fn a_path_that_cannot_be_opened_says_what_to_do() {
    let folder = TestFolder::new();
    run(async {
        let missing = SqliteStore::open(folder.file("not/there/s.db")).await;
        assert_config(missing, "does not exist: create it first");
        assert_config(SqliteStore::open(&folder.0).await, "is a folder: give the path of a file in it");
        for path in [":memory:", "", "sqlite::memory:", "sqlite://s.db"] {
            assert_config(SqliteStore::open(path).await, "use `SqliteStore::in_memory()`");
        }
        let text = folder.file("notes.txt");
        std::fs::write(&text, "not a database. ".repeat(1000)).unwrap();
        assert_config(SqliteStore::open(&text).await, "file is not a database");
        assert_eq!(std::fs::read_to_string(&text).unwrap(), "not a database. ".repeat(1000));
    });
}

#[test]
fn a_read_only_database_is_an_error_at_the_latest_when_written() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let read_only = || {
            let options = SqliteConnectOptions::new().filename(&path).read_only(true);
            SqliteStore::from_pool(SqlitePool::connect_lazy_with(options))
        };
        std::fs::write(&path, "").unwrap();
        assert_config(read_only().await, "readonly database");
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        let store = read_only().await.unwrap();
        assert!(store.load(id(1), &[]).await.unwrap().is_some());
        let error = store.destroy(id(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(store.load(id(1), &[]).await.unwrap().is_some());
    });
}

#[test]
fn a_table_that_does_not_fit_is_refused() {
    const COLUMNS: &str = "credentials BLOB NOT NULL, epoch INTEGER NOT NULL, created INTEGER NOT NULL, \
                           touched INTEGER NOT NULL, expires INTEGER NOT NULL, commits BLOB NOT NULL";
    let folder = TestFolder::new();
    run(async {
        for (number, (table, expected)) in [
            ("(id TEXT PRIMARY KEY, created, touched, data BLOB)".to_owned(), "not a STRICT table"),
            (
                format!("(id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, data BLOB NOT NULL) STRICT"),
                "`data` is BLOB, not TEXT",
            ),
            (format!("(id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, data TEXT) STRICT"), "`data` takes NULL"),
            (format!("(id TEXT NOT NULL PRIMARY KEY, {COLUMNS}) STRICT"), "no column `data`"),
            (
                format!("(id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, data TEXT NOT NULL) STRICT")
                    .replace("expires", "expired"),
                "`expired` takes no NULL and has no default",
            ),
            (format!("(id TEXT NOT NULL, {COLUMNS}, data TEXT NOT NULL) STRICT"), "primary key is not `id`"),
            (
                format!(
                    "(id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, data TEXT NOT NULL) STRICT, WITHOUT ROWID"
                ),
                "not a STRICT table with row ids",
            ),
            (
                format!(
                    "(id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, data TEXT NOT NULL, x TEXT NOT NULL) STRICT"
                ),
                "`x` takes no NULL and has no default",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.file(&format!("{number}.db"));
            let create = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
            execute(&mut create.connect().await.unwrap(), &format!("CREATE TABLE sessions {table}")).await;
            assert_config(SqliteStore::open(&path).await, expected);
            let other = SqliteStore::builder(&path).with_table("web_sessions").unwrap().open().await.unwrap();
            other.create(id(1), new_record(&[])).await.unwrap();
        }
        let path = folder.file("view.db");
        let create = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        execute(&mut create.connect().await.unwrap(), "CREATE VIEW sessions AS SELECT 1").await;
        assert_eq!(SqliteStore::open(&path).await.unwrap_err().kind(), ErrorKind::Config);
    });
}

#[test]
fn a_database_whose_text_is_not_utf_8_is_refused() {
    let folder = TestFolder::new();
    run(async {
        let options = SqliteConnectOptions::new()
            .filename(folder.file("s.db"))
            .create_if_missing(true)
            .pragma("encoding", "'UTF-16'");
        let pool = SqlitePool::connect_with(options.clone()).await.unwrap();
        assert_config(SqliteStore::from_pool(pool.clone()).await, "keeps text as UTF-16");
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&pool).await.unwrap();
        assert_eq!(tables, 0, "nothing was written to it");
        execute(&mut pool.acquire().await.unwrap(), "CREATE TABLE other (a)").await;
        assert_config(SqliteStore::open(folder.file("s.db")).await, "keeps text as UTF-16");
    });
}

#[test]
fn columns_and_indexes_of_others_do_not_disturb() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        drop(SqliteStore::open(&path).await.unwrap());
        let mut outsider = outsider(&path).await;
        execute(
            &mut outsider,
            "ALTER TABLE sessions ADD COLUMN note TEXT;
             ALTER TABLE sessions ADD COLUMN n INTEGER AS (data ->> 'n');
             CREATE INDEX by_n ON sessions (data ->> 'n')",
        )
        .await;
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        store.commit(id(1), increment(1)).await.unwrap();
        let n: i64 = sqlx::query_scalar("SELECT n FROM sessions").fetch_one(&mut outsider).await.unwrap();
        assert_eq!(n, 1);
    });
}

#[test]
fn tables_of_one_file_are_apart() {
    run(async {
        let folder = TestFolder::new();
        let path = folder.file("s.db");
        let one = SqliteStore::open(&path).await.unwrap();
        let two = SqliteStore::builder(&path).with_table("order").unwrap().open().await.unwrap();
        one.create(id(1), new_record(&[])).await.unwrap();
        assert!(two.load(id(1), &[]).await.unwrap().is_none());
    });
}

#[test]
fn a_table_or_a_database_that_vanishes_is_an_error() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        execute(&mut outsider(&path).await, "DROP TABLE sessions").await;
        assert_eq!(store.load(id(1), &[]).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(store.commit(id(1), increment(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
        // The failed batches have closed their connections; no new and empty file takes its place.
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.file(&format!("s.db{suffix}")));
        }
        assert_eq!(store.load(id(1), &[]).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(!path.exists());
    });
}

#[test]
fn a_lock_that_stays_is_unavailable_and_nothing_is_written() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store =
            SqliteStore::builder(&path).with_busy_timeout(Duration::from_millis(50)).open().await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        let mut outsider = outsider(&path).await;
        execute(&mut outsider, "BEGIN IMMEDIATE").await;
        let error = store.commit(id(1), increment(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        execute(&mut outsider, "ROLLBACK").await;
        assert_eq!(value(&store, id(1), "n").await, None);
        assert_applied(&store.commit(id(1), increment(1)).await.unwrap());
    });
}

#[test]
fn a_full_disk_is_unavailable_and_nothing_is_written() {
    run(async {
        let folder = TestFolder::new();
        let options = SqliteConnectOptions::new()
            .filename(folder.file("s.db"))
            .create_if_missing(true)
            // SQLite answers with the same code as for a full disk.
            .pragma("max_page_count", "40");
        let pool = SqlitePool::connect_lazy_with(options);
        let store = SqliteStoreBuilder::pool(pool).with_durability(Durability::Full).open().await.unwrap();
        store.create(id(1), new_record(&[("a", "1")])).await.unwrap();
        let large = format!("\"{}\"", "x".repeat(300_000));
        let error = store.commit(id(1), put("a", &large)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(value(&store, id(1), "a").await, Some(json("1")));
        assert_applied(&store.commit(id(1), put("a", "2")).await.unwrap());
    });
}

#[test]
fn a_pool_in_memory_is_used_through_one_connection() {
    run(async {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        let store = SqliteStore::from_pool(pool.clone()).await.unwrap();
        store.create(id(1), new_record(&[("a", "1")])).await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..50 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                assert_applied(&store.commit(id(1), increment(number)).await.unwrap());
                assert_eq!(value(&store, id(1), "a").await, Some(json("1")));
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let n: i64 = sqlx::query_scalar("SELECT data ->> 'n' FROM sessions").fetch_one(&pool).await.unwrap();
        assert_eq!(n, 50);
    });
}

#[test]
fn durability_is_what_was_asked_for() {
    run(async {
        let folder = TestFolder::new();
        for (durability, expected) in [(Durability::Full, 2), (Durability::Relaxed, 1)] {
            let path = folder.file(&format!("{durability:?}.db"));
            let store = SqliteStore::builder(&path).with_durability(durability).open().await.unwrap();
            let mut connection = store.database().connector.connect().await.unwrap();
            let synchronous: i64 =
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await.unwrap();
            let journal: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
            assert_eq!((synchronous, journal.as_str()), (expected, "wal"));
        }
    });
}
