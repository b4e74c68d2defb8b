//! The write-ahead log, which a purge copies into the database file and empties (a checkpoint).

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::connect::CHECKPOINT_PAGES;
use crate::error::Error;

/// The size from which on the log is too large, in multiples of the size at which SQLite begins a checkpoint.
const TOO_LARGE: i64 = 4;

const MEBIBYTE: i64 = 1 << 20;

/// The result of a checkpoint.
struct Checkpoint {
    /// True if another connection kept the log in use.
    is_busy: bool,
    /// The number of frames in the log, of a page each. Negative where there is no log.
    frames: i64,
}

impl Checkpoint {
    fn of(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self { is_busy: row.try_get(0)?, frames: row.try_get(1)? })
    }
}

/// Copies the log into the database file and empties it, unless another connection is using the log at this moment.
/// Deleted values are then in neither. The space that a long transaction of another program took is free again.
///
/// The inner error says that another program has kept the log from being emptied for so long that it is too large.
pub(super) async fn empty(connection: &mut SqliteConnection) -> Result<Result<(), Error>, sqlx::Error> {
    // The long part. Other connections can write meanwhile.
    let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
    if Checkpoint::of(&row)?.frames <= 0 {
        return Ok(Ok(()));
    }
    let timeout: i64 = sqlx::query("PRAGMA busy_timeout").fetch_one(&mut *connection).await?.try_get(0)?;
    // The short part, without a wait for other connections. If it fails, the connection is closed, and the changed
    // timeout with it.
    sqlx::query("PRAGMA busy_timeout=0").fetch_all(&mut *connection).await?;
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
    let restore = AssertSqlSafe(format!("PRAGMA busy_timeout={timeout}"));
    sqlx::raw_sql(restore).fetch_all(&mut *connection).await?;
    let Checkpoint { is_busy, frames } = Checkpoint::of(&row)?;
    if !is_busy || frames <= TOO_LARGE * CHECKPOINT_PAGES {
        return Ok(Ok(()));
    }
    let page: i64 = sqlx::query("PRAGMA page_size").fetch_one(&mut *connection).await?.try_get(0)?;
    Ok(Err(too_large(frames.saturating_mul(page) / MEBIBYTE)))
}

fn too_large(mebibytes: i64) -> Error {
    let reason = "another connection has had a transaction open since before that";
    Error::unavailable(reason).with_message(format!(
        "the write-ahead log of the session database has grown to {mebibytes} MiB and cannot be copied into \
         the file, since {reason}: end it, or the log fills the disk; such a connection is often a backup, a report or \
         a forgotten `sqlite3` shell, and `fuser` shows which processes have the file open"
    ))
}
