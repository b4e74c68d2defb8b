//! Runs changes of the index as one transaction, each applied in Rust by [`IndexRow::apply`].

use std::collections::HashMap;

use sqlx::{Row as _, SqliteConnection};

use super::{
    database::Database,
    failure::BatchFailure,
    index_table::IndexStatements,
    request::{WriteOperation, WriteOutcome},
};
use crate::{error::Error, store::index::IndexRow, value::IndexKey};

/// A row of the batch, and its bytes as they were read: `None` if there was none.
struct BatchRow {
    row: Result<IndexRow, Error>,
    before: Option<Vec<u8>>,
}

/// Runs a batch of changes of the index and returns the outcome of each, in order.
pub(super) async fn run(
    connection: &mut SqliteConnection,
    database: &Database,
    batch: &[&WriteOperation],
) -> Result<Vec<Result<WriteOutcome, Error>>, BatchFailure> {
    let statements = &database.statements.index;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(BatchFailure::before_commit)?;
    // After the lock is held, so that times grow with the order of transactions.
    let now = database.clock.now();
    let mut rows = HashMap::<IndexKey, BatchRow>::with_capacity(batch.len());
    let mut outcomes = Vec::with_capacity(batch.len());
    for operation in batch {
        let WriteOperation::ChangeIndex(key, change) = operation else {
            outcomes
                .push(Err(Error::unavailable("the SQLite store queued a write among changes of its index")));
            continue;
        };
        if !rows.contains_key(key) {
            rows.insert(*key, read(connection, statements, *key).await.map_err(BatchFailure::before_commit)?);
        }
        // invariant: it was inserted above.
        let Some(BatchRow { row, .. }) = rows.get_mut(key) else { continue };
        outcomes.push(match row {
            Ok(row) => Ok(WriteOutcome::IndexChanged(row.apply(change, now))),
            Err(error) => Err(error.duplicate()),
        });
    }
    let is_written = write(connection, statements, rows).await.map_err(BatchFailure::before_commit)?;
    if is_written {
        sqlx::raw_sql("COMMIT").execute(connection).await.map_err(BatchFailure::at_commit)?;
    } else {
        sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(BatchFailure::before_commit)?;
    }
    Ok(outcomes)
}

async fn read(
    connection: &mut SqliteConnection,
    statements: &IndexStatements,
    key: IndexKey,
) -> Result<BatchRow, sqlx::Error> {
    let query = sqlx::query(statements.select.clone()).bind(key.to_string());
    let before = match query.fetch_optional(connection).await? {
        Some(row) => Some(row.try_get::<Vec<u8>, _>(0)?),
        None => None,
    };
    let row = before.as_deref().map_or(Ok(IndexRow::default()), IndexRow::from_bytes);
    Ok(BatchRow { row, before })
}

/// Writes the rows that changed. Returns true if there was one.
async fn write(
    connection: &mut SqliteConnection,
    statements: &IndexStatements,
    rows: HashMap<IndexKey, BatchRow>,
) -> Result<bool, sqlx::Error> {
    let mut is_written = false;
    for (key, BatchRow { row, before }) in rows {
        let Ok(row) = row else { continue };
        let after = row.deadline().map(|deadline| (row.to_bytes(), deadline));
        if after.as_ref().map(|(bytes, _)| bytes) == before.as_ref() {
            continue;
        }
        let query = match after {
            Some((bytes, deadline)) => sqlx::query(statements.write.clone())
                .bind(key.to_string())
                .bind(bytes)
                .bind(deadline.as_millis()),
            None => sqlx::query(statements.delete.clone()).bind(key.to_string()),
        };
        query.execute(&mut *connection).await?;
        is_written = true;
    }
    Ok(is_written)
}
