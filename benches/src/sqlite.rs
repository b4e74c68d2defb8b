//! How the SQLite databases are opened: alike for every contender.

/// Opens a pool in `$setup.dir` with the given sqlx; a macro, because the
/// contenders bring different releases of it.
///
/// `defaults` is sqlx's own pool, as every store's documentation opens it.
/// `tuned` has as many connections as the command line says and does not ask a
/// connection whether it lives before each use: that costs a message to the
/// connection's thread and back for each statement, and finds nothing on a
/// local file.
macro_rules! pool {
    (defaults ::$sqlx:ident, $setup:expr) => { $crate::sqlite::pool!(@ [::$sqlx], $setup, true) };
    (tuned ::$sqlx:ident, $setup:expr) => { $crate::sqlite::pool!(@ [::$sqlx], $setup, false) };
    (defaults $sqlx:ident, $setup:expr) => { $crate::sqlite::pool!(@ [$sqlx], $setup, true) };
    (tuned $sqlx:ident, $setup:expr) => { $crate::sqlite::pool!(@ [$sqlx], $setup, false) };
    (@ [$($sqlx:tt)+], $setup:expr, $defaults:expr) => {{
        use $($sqlx)+::sqlite::{
            SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
        };
        let synchronous = match $setup.store {
            $crate::store::Store::SqliteFull => SqliteSynchronous::Full,
            _ => SqliteSynchronous::Normal,
        };
        let options = match $defaults {
            true => SqlitePoolOptions::new(),
            false => SqlitePoolOptions::new()
                .max_connections($setup.connections)
                .test_before_acquire(false),
        };
        options
            .connect_with(
                SqliteConnectOptions::new()
                    .filename($setup.dir.join("sessions.db"))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(synchronous),
            )
            .await?
    }};
}

pub(crate) use pool;
