//! Errors of SQLite, by what they mean for the batch that they ended.

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

/// The reason why a batch failed.
#[derive(Debug)]
pub(super) struct BatchFailure {
    error: Error,
    is_too_big: bool,
    is_busy: bool,
}

impl BatchFailure {
    /// Returns the failure of a statement before `COMMIT`: nothing was written.
    pub(super) fn before_commit(error: sqlx::Error) -> Self {
        let is_too_big = primary_code(&error) == Some(TOOBIG);
        let is_busy = is_busy(&error);
        Self { error: Error::unavailable(error), is_too_big, is_busy }
    }

    /// Returns the failure of a text that ends with `COMMIT`.
    ///
    /// Nothing was written if SQLite says that it refused. After any other error, such as one of I/O, the commit may be
    /// in the log all the same.
    pub(super) fn at_commit(error: sqlx::Error) -> Self {
        match primary_code(&error) {
            Some(BUSY | LOCKED | READONLY | FULL | TOOBIG | CONSTRAINT | MISMATCH) => {
                Self::before_commit(error)
            }
            _ => Self { error: Error::outcome_unknown(error), is_too_big: false, is_busy: false },
        }
    }

    /// Returns the failure to read an answer: the transaction is committed.
    pub(super) fn after_commit(error: sqlx::Error) -> Self {
        Self { error: Error::outcome_unknown(error), is_too_big: false, is_busy: false }
    }

    /// Returns true if a smaller batch may succeed. SQLite limits one value, and one text, to a billion bytes.
    pub(super) const fn is_too_big(&self) -> bool {
        self.is_too_big
    }

    /// Returns true if another connection held a lock for the whole busy timeout.
    pub(super) const fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Returns the error for one request of the batch.
    pub(super) fn error(&self) -> Error {
        self.error.duplicate()
    }
}

impl From<Error> for BatchFailure {
    fn from(error: Error) -> Self {
        Self { error, is_too_big: false, is_busy: false }
    }
}

/// Returns true if another connection held a lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED))
}

/// Returns true for the error of a `ROLLBACK` outside of a transaction.
pub(super) fn is_no_transaction(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(ERROR)
}

/// Returns the result code without its extension, which is in the upper bits.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

#[cfg(test)]
impl BatchFailure {
    /// Returns the failure of a value or a text beyond SQLite's limits.
    pub(super) fn too_big() -> Self {
        Self { error: Error::unavailable("string or blob too big"), is_too_big: true, is_busy: false }
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
            let failure = BatchFailure::before_commit(error);
            assert_eq!((failure.is_too_big(), failure.is_busy()), (expected, false), "{failure:?}");
        }
    }
}
