//! How the SQLite databases are opened: alike for every contender.

/// Opens a pool in `$setup.dir` with the given sqlx; a macro, because the
/// contenders bring different releases of it.
///
/// Checking connections before use is off: it costs a message to the
/// connection's thread and back for each statement and finds nothing on a
/// local file.
macro_rules! pool {
    ($($sqlx:ident)::+, $setup:expr) => { $crate::sqlite::pool!(@ [$($sqlx)::+], $setup) };
    (::$sqlx:ident, $setup:expr) => { $crate::sqlite::pool!(@ [::$sqlx], $setup) };
    (@ [$($sqlx:tt)+], $setup:expr) => {{
        use $($sqlx)+::sqlite::{
            SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
        };
        let synchronous = match $setup.store {
            $crate::store::Store::SqliteFull => SqliteSynchronous::Full,
            _ => SqliteSynchronous::Normal,
        };
        SqlitePoolOptions::new()
            .max_connections($setup.connections)
            .test_before_acquire(false)
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
