//! Commits in one crossing, where the record is still as this process read it.
//!
//! A commit mostly follows a load of the same record. So it is applied to what that load saw, in
//! the caller's task, and sent as "write this if the row is still exactly that". Whatever was
//! written in between, by anyone, makes it miss; it then goes the long way of
//! [`writing`](super::writing), which reads first. Nothing depends on the guess being right.

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};

use super::{
    document,
    failure::Failure,
    recent::Seen,
    request::{Swap, WriteRequest},
    statements::{CHUNK, Change, Statements},
    writing::{self, Query},
};
use crate::{
    store::Commit,
    value::{RecordId, Timestamp},
};

impl Swap {
    /// Applies a commit to a record as it was read. `None` where that does not end in a change of
    /// fields alone: refusals are for the record itself to give, and the rest is rare.
    pub(super) fn new(commit: &Commit, before: Seen, now: Timestamp) -> Option<Self> {
        let mut after = before.record.clone();
        let (answer, change) = writing::apply_commit(commit, &mut after, now);
        if change != Some(Change::Update) || commit.credentials_change.is_some() {
            return None;
        }
        let data = document::write(&after.fields).ok()?;
        Some(Self { before, after, data, answer })
    }
}

/// Takes out of a batch what can be swapped: commits that were prepared, on records that no other
/// request of the batch is about. In pieces that fit one text.
pub(super) fn split(batch: &mut Vec<WriteRequest>) -> Vec<Vec<WriteRequest>> {
    if batch.iter().all(|request| request.swap.is_none()) {
        return Vec::new();
    }
    let mut requests: HashMap<RecordId, usize> = HashMap::with_capacity(batch.len());
    for id in batch.iter().filter_map(|request| request.write.id()) {
        *requests.entry(id).or_default() += 1;
    }
    let is_alone = |request: &WriteRequest| request.write.id().is_some_and(|id| requests[&id] == 1);
    let (mut swaps, rest): (Vec<_>, Vec<_>) =
        batch.drain(..).partition(|request| request.swap.is_some() && is_alone(request));
    *batch = rest;
    // In the order of the table, so that neighbours share a page while it is at hand.
    swaps.sort_unstable_by_key(|request| request.swap.as_ref().map(|swap| swap.before.rowid));
    let mut pieces = Vec::new();
    while !swaps.is_empty() {
        let rest = swaps.split_off(swaps.len().min(CHUNK));
        pieces.push(std::mem::replace(&mut swaps, rest));
    }
    pieces
}

/// Writes a piece, as one transaction. Says of each row whether it was as expected and is written.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statements: &Statements,
    piece: &[WriteRequest],
) -> Result<HashSet<i64>, Failure> {
    let mut query = sqlx::query(statements.swap(piece.len()));
    for request in piece {
        if let (Some(id), Some(swap)) = (request.write.id(), &request.swap) {
            query = bind(query, id, swap);
        }
    }
    if let [request] = piece {
        let done = query.execute(connection).await.map_err(Failure::at_commit)?;
        let rowid = request.swap.as_ref().map(|swap| swap.before.rowid);
        return Ok(rowid.into_iter().filter(|_| done.rows_affected() == 1).collect());
    }
    let rows = query.fetch_all(connection).await.map_err(Failure::at_commit)?;
    rows.iter().map(|row| row.try_get(0).map_err(Failure::after_commit)).collect()
}

fn bind<'q>(query: Query<'q>, id: RecordId, swap: &Swap) -> Query<'q> {
    let Seen { rowid, record, data } = &swap.before;
    query
        .bind(writing::commit_ids(&swap.after))
        .bind(swap.data.clone())
        .bind(*rowid)
        .bind(id.to_string())
        .bind(record.credentials.as_bytes().to_vec())
        .bind(record.epoch.cast_signed())
        .bind(record.created.as_millis())
        .bind(record.touched.as_millis())
        .bind(writing::commit_ids(record))
        // What was read is UTF-8, or else it would not have been read.
        .bind(String::from_utf8(data.to_vec()).ok())
}
