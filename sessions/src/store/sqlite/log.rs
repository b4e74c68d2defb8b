//! The write-ahead log, which a purge folds into the file and empties.

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::connect::CHECKPOINT_PAGES;
use crate::error::Error;

/// So many times the size at which it is folded, the log is too large, and something is in the way.
const TOO_LARGE: i64 = 4;

const MEBIBYTE: i64 = 1 << 20;

/// What a checkpoint says of the log.
struct Checkpoint {
    /// Another connection was in the way.
    is_busy: bool,
    /// The frames in the log, of a page each; negative where there is no log.
    frames: i64,
}

impl Checkpoint {
    fn of(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self { is_busy: row.try_get(0)?, frames: row.try_get(1)? })
    }
}

/// Folds the log into the file and empties it, as far as no other connection is in the way at this moment: what
/// was deleted is then in neither, and the room that a long transaction of another program took is given back.
///
/// Returns an error if another program has kept the log from being emptied for so long that it is too large.
pub(super) async fn fold(connection: &mut SqliteConnection) -> Result<Result<(), Error>, sqlx::Error> {
    // The long part, during which others write on.
    let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
    if Checkpoint::of(&row)?.frames <= 0 {
        return Ok(Ok(()));
    }
    let timeout: i64 = sqlx::query("PRAGMA busy_timeout").fetch_one(&mut *connection).await?.try_get(0)?;
    // The short one, for which nobody is waited for. If it fails, the connection goes, and with it this timeout.
    sqlx::query("PRAGMA busy_timeout=0").fetch_all(&mut *connection).await?;
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
    let restore = AssertSqlSafe(format!("PRAGMA busy_timeout={timeout}"));
    sqlx::raw_sql(restore).fetch_all(&mut *connection).await?;
    let Checkpoint { is_busy, frames } = Checkpoint::of(&row)?;
    if !is_busy || frames <= TOO_LARGE * CHECKPOINT_PAGES {
        return Ok(Ok(()));
    }
    let page: i64 = sqlx::query("PRAGMA page_size").fetch_one(&mut *connection).await?.try_get(0)?;
    Ok(Err(held_up(frames.saturating_mul(page) / MEBIBYTE)))
}

fn held_up(mebibytes: i64) -> Error {
    let reason = "another connection has had a transaction open since before that";
    Error::unavailable(reason).with_message(format!(
        "the write-ahead log of the session database has grown to {mebibytes} MiB and cannot be folded into the \
         file, since {reason}: end it, or the log fills the disk; such a connection is often a backup, a report or \
         a forgotten `sqlite3` shell, and `fuser` shows which processes have the file open"
    ))
}
