//! Runs a batch of loads as one query.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    failure::Failure,
    request::{Found, LoadRequest},
    row::Row,
    statements::Statements,
};
use crate::{clock::AnyClock, error::Error, value::RecordId};

/// The rows of a batch, by record. All of its requests are with fields, or none is.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    statements: &Statements,
    batch: &[LoadRequest],
) -> Result<HashMap<RecordId, Bytes>, Failure> {
    let with_fields = batch.iter().any(|request| request.with_fields);
    let size = batch.len();
    let mut query = sqlx::query(if with_fields { statements.load(size) } else { statements.look(size) });
    for request in batch {
        query = query.bind(request.id.to_string());
    }
    let row = query.fetch_optional(connection).await.map_err(Failure::before_commit)?;
    let all = Bytes::from(text(row).map_err(Failure::before_commit)?);
    let mut found = HashMap::with_capacity(batch.len());
    let mut rest: &[u8] = &all;
    while !rest.is_empty() {
        let before = rest;
        let row = Row::take(&mut rest).ok_or_else(|| Error::unavailable("a row that is none"))?;
        found.insert(row.id, all.slice_ref(&before[..before.len() - rest.len()]));
    }
    Ok(found)
}

/// Answers a batch. Two requests may have asked for one record.
pub(super) fn answer(batch: Vec<LoadRequest>, found: &HashMap<RecordId, Bytes>, clock: &AnyClock) {
    let now = clock.now();
    for request in batch {
        let text = found.get(&request.id).cloned();
        // Who does not wait any more does not need it.
        let _ = request.reply.send(Ok(text.map(|text| Found { text, now })));
    }
}

/// The one text of a query's one row; empty where no record was found.
///
/// As bytes: a row that someone else wrote may hold what is not UTF-8, and is its own affair.
pub(super) fn text(row: Option<SqliteRow>) -> Result<Vec<u8>, sqlx::Error> {
    let text: Option<Vec<u8>> = match row {
        Some(row) => row.try_get_unchecked(0)?,
        None => None,
    };
    Ok(text.unwrap_or_default())
}
