//! Deletes dead records, and empties the write-ahead log.
//!
//! # Design
//!
//! `expires` is the latest deadline that any create or touch of the record gave it. A purge deletes a row only if it is
//! past `expires` and dead under the caller's timeouts, too. So layers with different timeouts can share a store. A
//! load never looks at `expires`: a session's life depends on `created` and `touched` alone.
//!
//! The log holds deleted values until it is emptied, so a purge does that as well. A store has no events of its own. If
//! another program keeps the log from being emptied, the purge returns an error, and the layer reports it.

use sqlx::SqliteConnection;

use super::{failure::BatchFailure, index_table, statements::Statements, wal};
use crate::{
    error::Error,
    value::{Cutoff, Timeouts, Timestamp},
};

/// Deletes up to `limit` dead records, and empties the log unless there may be more to delete. Returns how many it
/// deleted, or an error if the log cannot be emptied.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statements: &Statements,
    timeouts: &Timeouts,
    now: Timestamp,
    limit: usize,
) -> Result<Result<usize, Error>, BatchFailure> {
    let purged = delete(connection, statements, timeouts, now, limit).await?;
    index_table::purge(connection, &statements.index, now, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    if purged >= limit {
        return Ok(Ok(purged));
    }
    // As an error of this purge alone: a connection in the way of the log is in no other request's way.
    let emptied = wal::empty(connection).await.map_err(Error::unavailable)?;
    Ok(emptied.map(|()| purged))
}

/// Deletes dead records. It is one statement, hence a transaction of its own.
async fn delete(
    connection: &mut SqliteConnection,
    statements: &Statements,
    timeouts: &Timeouts,
    now: Timestamp,
    limit: usize,
) -> Result<usize, BatchFailure> {
    let cutoffs = timeouts.cutoffs(now);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut query = sqlx::query(statements.purge()).bind(limit).bind(now.as_millis());
    for Cutoff { created, touched, first_visit, .. } in [cutoffs.remembered, cutoffs.users, cutoffs.visitors]
    {
        query = query.bind(created.as_millis()).bind(touched.as_millis()).bind(first_visit.as_millis());
    }
    let done = query.execute(connection).await.map_err(BatchFailure::at_commit)?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}
