//! Runs a batch of loads as one query.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::SqliteConnection;

use super::{
    failure::BatchFailure,
    request::{LoadRequest, RowText},
    row::{self, RowParts},
    statements::Statements,
};
use crate::{clock::AnyClock, value::RecordId};

/// Returns the rows of a batch by record. All of its requests want fields, or none does.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statements: &Statements,
    batch: &[LoadRequest],
) -> Result<HashMap<RecordId, Bytes>, BatchFailure> {
    let with_fields = batch.iter().any(|request| request.with_fields);
    let size = batch.len();
    let text = if with_fields { statements.load(size) } else { statements.load_metadata(size) };
    let mut query = sqlx::query(text);
    for request in batch {
        query = query.bind(request.id.to_string());
    }
    let row = query.fetch_optional(connection).await.map_err(BatchFailure::before_commit)?;
    let all = Bytes::from(row::text_of(row).map_err(BatchFailure::before_commit)?);
    let mut found = HashMap::with_capacity(batch.len());
    let mut rest: &[u8] = &all;
    while !rest.is_empty() {
        let before = rest;
        let row = RowParts::take(&mut rest).ok_or_else(RowParts::malformed)?;
        found.insert(row.id, all.slice_ref(&before[..before.len() - rest.len()]));
    }
    Ok(found)
}

/// Answers a batch. Two requests may have asked for one record.
pub(super) fn answer(batch: Vec<LoadRequest>, found: &HashMap<RecordId, Bytes>, clock: &AnyClock) {
    let now = clock.now();
    for request in batch {
        let text = found.get(&request.id).cloned();
        // A caller that was dropped gets no answer.
        let _ = request.reply.send(Ok(text.map(|text| RowText { text, now })));
    }
}
