//! Optimistic writes: commits whose record is not read again.
//!
//! # Design
//!
//! A commit mostly follows a load of the same record. So the caller's task applies it to the record as that load
//! returned it. The writer sends the result as "write this if the row is still exactly that": one statement in place
//! of a `SELECT` and an `UPDATE`, hence one trip to SQLite's thread in place of two. It makes a single request as fast
//! as a plain upsert.
//!
//! Any change of the row in between makes the condition fail, whichever program made it. Then the commit goes the
//! long way of [`write_batch`](super::write_batch), which reads first. No result depends on the guess.

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};

use super::{
    document,
    failure::BatchFailure,
    request::{OptimisticWrite, WriteRequest},
    row::DecodedRow,
    statements::{CHUNK, RowChange, Statements},
    write_batch::{self, Query},
};
use crate::{
    store::Commit,
    value::{RecordId, Timestamp},
};

impl OptimisticWrite {
    /// Applies a commit to a record as it was read. Returns `None` unless that changes fields alone.
    ///
    /// A refusal must come from the record itself. Other changes are rare.
    pub(super) fn new(commit: &Commit, before: DecodedRow, now: Timestamp) -> Option<Self> {
        let mut after = before.record.clone();
        let (outcome, change) = write_batch::apply_commit(commit, &mut after, now);
        if change != Some(RowChange::Update) || commit.credentials_change.is_some() {
            return None;
        }
        let data = document::write(&after.fields).ok()?;
        Some(Self { before, after, data, outcome })
    }
}

/// Takes the optimistic writes out of a batch, in chunks that fit one text. Leaves those whose record another request
/// of the batch is about, too.
pub(super) fn split(batch: &mut Vec<WriteRequest>) -> Vec<Vec<WriteRequest>> {
    if batch.iter().all(|request| request.optimistic.is_none()) {
        return Vec::new();
    }
    let mut requests: HashMap<RecordId, usize> = HashMap::with_capacity(batch.len());
    for id in batch.iter().filter_map(|request| request.operation.id()) {
        *requests.entry(id).or_default() += 1;
    }
    let is_alone = |request: &WriteRequest| request.operation.id().is_some_and(|id| requests[&id] == 1);
    let (mut optimistic, rest): (Vec<_>, Vec<_>) =
        batch.drain(..).partition(|request| request.optimistic.is_some() && is_alone(request));
    *batch = rest;
    // In the order of the table, so that neighbours share a page while it is at hand.
    optimistic.sort_unstable_by_key(|request| request.optimistic.as_ref().map(|write| write.before.rowid));
    let mut chunks = Vec::new();
    while !optimistic.is_empty() {
        let rest = optimistic.split_off(optimistic.len().min(CHUNK));
        chunks.push(std::mem::replace(&mut optimistic, rest));
    }
    chunks
}

/// Writes a chunk as one transaction. Returns the row ids of those that were written, since their row was as read.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statements: &Statements,
    chunk: &[WriteRequest],
) -> Result<HashSet<i64>, BatchFailure> {
    let mut query = sqlx::query(statements.optimistic(chunk.len()));
    for request in chunk {
        if let (Some(id), Some(write)) = (request.operation.id(), &request.optimistic) {
            query = bind(query, id, write);
        }
    }
    if let [request] = chunk {
        let done = query.execute(connection).await.map_err(BatchFailure::at_commit)?;
        let rowid = request.optimistic.as_ref().map(|write| write.before.rowid);
        return Ok(rowid.into_iter().filter(|_| done.rows_affected() == 1).collect());
    }
    let rows = query.fetch_all(connection).await.map_err(BatchFailure::at_commit)?;
    rows.iter().map(|row| row.try_get(0).map_err(BatchFailure::after_commit)).collect()
}

fn bind<'q>(query: Query<'q>, id: RecordId, write: &OptimisticWrite) -> Query<'q> {
    let DecodedRow { rowid, record, data } = &write.before;
    query
        .bind(write_batch::commit_ids(&write.after))
        .bind(write.data.clone())
        .bind(*rowid)
        .bind(id.to_string())
        .bind(record.credentials.as_bytes().to_vec())
        .bind(record.epoch.cast_signed())
        .bind(record.created.as_millis())
        .bind(record.touched.as_millis())
        .bind(write_batch::commit_ids(record))
        // invariant: UTF-8, since a text that is not is never decoded. NULL would match no row.
        .bind(String::from_utf8(data.to_vec()).ok())
}
