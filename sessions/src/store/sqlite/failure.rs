//! What an error of SQLite says about the transaction it ended.

use crate::error::Error;

// The primary result codes that matter here: <https://www.sqlite.org/rescode.html>.
const ERROR: i32 = 1;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const FULL: i32 = 13;
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;

/// Why a batch failed.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    too_big: bool,
    busy: bool,
}

impl Failure {
    /// Of something sent before `COMMIT`: nothing was written.
    pub(super) fn before_commit(error: sqlx::Error) -> Self {
        let too_big = primary_code(&error) == Some(TOOBIG);
        let busy = is_busy(&error);
        Self { error: Error::unavailable(error), too_big, busy }
    }

    /// Of a text that ends with `COMMIT`. Whether anything was written is known only where SQLite
    /// says that it refused: after an I/O error the commit may be in the log all the same.
    pub(super) fn at_commit(error: sqlx::Error) -> Self {
        match primary_code(&error) {
            Some(BUSY | LOCKED | READONLY | FULL | TOOBIG | CONSTRAINT | MISMATCH) => {
                Self::before_commit(error)
            }
            _ => Self { error: Error::outcome_unknown(error), too_big: false, busy: false },
        }
    }

    /// Of an answer that cannot be read: what was sent is committed.
    pub(super) fn after_commit(error: sqlx::Error) -> Self {
        Self { error: Error::outcome_unknown(error), too_big: false, busy: false }
    }

    /// Whether a smaller batch may succeed: SQLite limits one value to a billion bytes.
    pub(super) const fn is_too_big(&self) -> bool {
        self.too_big
    }

    /// Whether another connection was in the way for as long as is to be waited.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// The error for one of those who wait.
    pub(super) fn error(&self) -> Error {
        self.error.duplicate()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, too_big: false, busy: false }
    }
}

/// Whether another connection was in the way.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED))
}

/// Whether this is what `ROLLBACK` says outside of a transaction.
pub(super) fn is_no_transaction(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(ERROR)
}

/// The result code without its extension, which is in the upper bits.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

#[cfg(test)]
impl Failure {
    /// What SQLite says of a value or a text beyond its limits.
    pub(super) fn too_big() -> Self {
        Self { error: Error::unavailable("string or blob too big"), too_big: true, busy: false }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    use super::*;

    #[tokio::test]
    async fn what_is_too_big_is_told_from_other_errors() {
        let mut connection = SqliteConnectOptions::new().connect().await.unwrap();
        for (text, expected) in [("SELECT zeroblob(2000000000)", true), ("SELECT nothing", false)] {
            let error = sqlx::raw_sql(text).execute(&mut connection).await.unwrap_err();
            let failure = Failure::before_commit(error);
            assert_eq!((failure.is_too_big(), failure.is_busy()), (expected, false), "{failure:?}");
        }
    }
}
