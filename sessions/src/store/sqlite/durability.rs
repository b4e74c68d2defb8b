//! The failures that a committed write survives.

use sqlx::sqlite::SqliteSynchronous;

/// The failures that an acknowledged commit survives.
///
/// Either choice survives the end of the process, even by `kill -9`. Neither ever leaves half a commit. They
/// differ in a loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// An acknowledged commit survives a loss of power. Each transaction waits for the disk (WAL with
    /// `synchronous=FULL`).
    #[default]
    Full,
    /// A loss of power can undo the last commits, a logout among them (WAL with `synchronous=NORMAL`). A commit
    /// does not wait for the disk.
    Relaxed,
}

impl Durability {
    /// Returns the value of `PRAGMA synchronous`.
    pub(super) const fn synchronous(self) -> SqliteSynchronous {
        match self {
            Self::Full => SqliteSynchronous::Full,
            Self::Relaxed => SqliteSynchronous::Normal,
        }
    }
}
