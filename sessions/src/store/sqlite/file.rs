//! Creates the file of a database, for its owner alone.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::error::Error;

/// Creates the file if it is missing, empty and with the mode 0600 whatever the umask. SQLite gives the mode
/// of the database to its `-wal` and `-shm`.
///
/// # Errors
///
/// If the last part of the path is a symbolic link: a database is not created, and not looked for, where
/// another user's link may lead.
pub(super) fn ensure(path: &Path) -> Result<(), Error> {
    // One at a time: closing a file gives up all POSIX locks that the process has on it, those of another
    // store that found the file and opened it meanwhile included.
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

/// An exclusive create follows no link in the last part of a path, not even one that leads nowhere.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for_owner_alone(&options.open(path)?)
}

/// A umask may have taken the owner's rights, too.
#[cfg(unix)]
fn for_owner_alone(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    file.set_permissions(fs::Permissions::from_mode(0o600))
}

/// Elsewhere a new file has the rights of its folder.
#[cfg(not(unix))]
fn for_owner_alone(_file: &File) -> io::Result<()> {
    Ok(())
}

fn refuse_link(path: &Path) -> Result<(), Error> {
    let Ok(target) = fs::read_link(path) else { return Ok(()) };
    Err(Error::config(format!(
        "`{}` is a symbolic link to `{}`, and sessions are kept in no file that a link leads to: give the path of \
         the file itself",
        path.display(),
        target.display()
    )))
}
