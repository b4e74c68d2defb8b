//! Creates the file of a database, for its owner alone.
//!
//! # Design
//!
//! The store creates the file, not SQLite: exclusively, and with the mode 0600. An exclusive create follows no symbolic
//! link. SQLite gives the mode of the database to its `-wal` and `-shm`.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::error::Error;

/// Creates the file if it is missing, empty and with the mode 0600 whatever the umask.
///
/// # Errors
///
/// If the file cannot be created, or if the last part of the path is a symbolic link. The store neither creates nor
/// opens a file where another user's link may lead.
pub(super) fn ensure(path: &Path) -> Result<(), Error> {
    // One thread at a time. Closing a file gives up all POSIX locks of the process on it. Those of another store that
    // opened the file meanwhile would be lost.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => refuse_link(path),
        Err(error) => Err(Error::config(format!(
            "cannot create the SQLite database `{}` for sessions: {error}; the process needs to create files in \
             its folder",
            path.display()
        ))
        .with_source(error)),
        Ok(()) => Ok(()),
    }
}

/// Creates the file exclusively, which follows no link in the last part of the path, not even a dangling one.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for_owner_alone(&options.open(path)?)
}

/// Sets the mode again, since a umask may have taken the owner's rights, too.
#[cfg(unix)]
fn for_owner_alone(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    file.set_permissions(fs::Permissions::from_mode(0o600))
}

/// Does nothing: on other systems a new file has the rights of its folder.
#[cfg(not(unix))]
fn for_owner_alone(_file: &File) -> io::Result<()> {
    Ok(())
}

fn refuse_link(path: &Path) -> Result<(), Error> {
    let Ok(target) = fs::read_link(path) else { return Ok(()) };
    Err(Error::config(format!(
        "`{}` is a symbolic link to `{}`, and the session store opens no file through a link: give the path of \
         the file itself",
        path.display(),
        target.display()
    )))
}
