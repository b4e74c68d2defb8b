//! Runs a batch of writes as one transaction.
//!
//! It takes two trips to SQLite's thread. The first takes the write lock and reads every record of the batch. The second
//! writes those that changed, and commits. Between them each write is applied in Rust by [`Record::commit`].

use std::collections::HashMap;

use sqlx::{SqlStr, SqliteConnection, sqlite::SqliteArguments};

use super::{
    database::Database,
    document,
    failure::BatchFailure,
    index_batch, purge,
    request::{WriteOperation, WriteOutcome},
    row::{self, DecodedRow, RowParts},
    statements::{CHUNK, RowChange, Statements},
    table::TableName,
};
use crate::{
    error::Error,
    store::{Commit, CommitOutcome, CreateOutcome, NewRecord, Record},
    value::{FieldName, RecordId, Timestamp},
};

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// A record of the batch.
struct BatchRecord {
    rowid: Option<i64>,
    state: RowState,
    /// The change of its row that the batch has come to so far.
    change: Option<RowChange>,
}

enum RowState {
    Absent,
    Present(Record),
    /// Another program wrote the row. The text says what is wrong with it.
    Unreadable(String),
}

/// The part of a worker that runs batches of writes, with what stays between them.
#[derive(Debug, Default)]
pub(super) struct BatchWriter {
    /// The names of the last record's fields. Sessions of one application look alike, and a name found here costs no
    /// allocation.
    names: Vec<FieldName>,
}

impl BatchWriter {
    /// Runs a batch and returns the outcome of each write, in order. An outcome means that the transaction is
    /// committed, or that it had nothing to write.
    pub(super) async fn run(
        &mut self,
        connection: &mut SqliteConnection,
        database: &Database,
        batch: &[&WriteOperation],
    ) -> Result<Vec<Result<WriteOutcome, Error>>, BatchFailure> {
        let Database { statements, table, clock, .. } = database;
        if let [WriteOperation::Purge(timeouts, limit)] = batch {
            let purged = purge::run(connection, statements, timeouts, clock.now(), *limit).await?;
            return Ok(vec![purged.map(WriteOutcome::Purged)]);
        }
        if batch.iter().any(|operation| operation.is_of_index()) {
            return index_batch::run(connection, database, batch).await;
        }
        let mut records = HashMap::with_capacity(batch.len());
        for id in batch.iter().filter_map(|operation| operation.id()) {
            records.insert(id, BatchRecord { rowid: None, state: RowState::Absent, change: None });
        }
        let found =
            begin(connection, statements, records.keys()).await.map_err(BatchFailure::before_commit)?;
        self.read(&mut found.as_slice(), &mut records)?;
        // After the lock is held, so that times grow with the order of transactions.
        let now = clock.now();
        let outcomes = batch.iter().map(|operation| apply(operation, &mut records, table, now)).collect();
        store(connection, statements, records).await?;
        Ok(outcomes)
    }

    fn read(&mut self, found: &mut &[u8], records: &mut HashMap<RecordId, BatchRecord>) -> Result<(), Error> {
        while !found.is_empty() {
            let row = RowParts::take(found).ok_or_else(RowParts::malformed)?;
            let Some(entry) = records.get_mut(&row.id) else { continue };
            let decoded = row.decode(&self.names);
            entry.rowid = Some(row.rowid);
            entry.state = match decoded {
                Ok(DecodedRow { record, .. }) => {
                    if record.fields.len() != self.names.len() {
                        self.names = record.fields.iter().map(|(name, _)| name.clone()).collect();
                    }
                    RowState::Present(record)
                }
                Err(reason) => RowState::Unreadable(reason),
            };
        }
        Ok(())
    }
}

/// Takes the write lock and returns the rows of these records as text.
async fn begin(
    connection: &mut SqliteConnection,
    statements: &Statements,
    ids: impl ExactSizeIterator<Item = &RecordId>,
) -> Result<Vec<u8>, sqlx::Error> {
    let mut query = sqlx::query(statements.begin(ids.len()));
    for id in ids {
        query = query.bind(id.to_string());
    }
    row::text_of(query.fetch_optional(connection).await?)
}

/// Applies one write to the records of the batch.
fn apply(
    operation: &WriteOperation,
    records: &mut HashMap<RecordId, BatchRecord>,
    table: &TableName,
    now: Timestamp,
) -> Result<WriteOutcome, Error> {
    // The queue cuts batches so that a purge stands alone.
    let Some((id, entry)) = operation.id().and_then(|id| Some((id, records.get_mut(&id)?))) else {
        return Err(Error::unavailable("the SQLite store queued a purge among other writes"));
    };
    match (operation, &mut entry.state) {
        (WriteOperation::Destroy(_), _) => {
            entry.end();
            Ok(WriteOutcome::Destroyed(true))
        }
        (_, RowState::Unreadable(reason)) => Err(table.unreadable(id, reason)),
        (WriteOperation::DestroyIf(_, condition), state) => {
            let is_met = matches!(state, RowState::Present(record) if condition.is_met_by(&record.fields));
            if is_met {
                entry.end();
            }
            Ok(WriteOutcome::Destroyed(is_met))
        }
        (WriteOperation::Create(_, new), RowState::Absent) => {
            entry.begin(new.clone(), now);
            Ok(WriteOutcome::Created(CreateOutcome::Created(now)))
        }
        (WriteOperation::Create(_, new), RowState::Present(known)) => {
            let repeated = known.credentials == new.credentials && known.is_alive(&new.timeouts, now);
            Ok(WriteOutcome::Created(if repeated {
                CreateOutcome::Created(known.created)
            } else {
                CreateOutcome::IdTaken
            }))
        }
        (WriteOperation::Commit(..), RowState::Absent) => {
            Ok(WriteOutcome::Committed(CommitOutcome::NotFound))
        }
        (WriteOperation::Commit(_, commit), RowState::Present(record)) => {
            let (outcome, change) = apply_commit(commit, record, now);
            entry.note(change);
            Ok(WriteOutcome::Committed(outcome))
        }
        (WriteOperation::Purge(..) | WriteOperation::ChangeIndex(..), _) => {
            Err(Error::unavailable("the SQLite store queued a purge of one record"))
        }
    }
}

/// Applies one commit. Returns its outcome, and the change of the row that it needs.
pub(super) fn apply_commit(
    commit: &Commit,
    record: &mut Record,
    now: Timestamp,
) -> (CommitOutcome, Option<RowChange>) {
    let is_repeated = commit.id.is_some_and(|id| record.commits.contains(&id));
    let times = (record.created, record.touched, record.expires);
    let outcome = record.commit(commit, now);
    let change = match outcome {
        CommitOutcome::Applied(_) if is_repeated => None,
        CommitOutcome::Applied(_) if (record.created, record.touched, record.expires) != times => {
            Some(RowChange::Replace)
        }
        CommitOutcome::Applied(_) => {
            let is_any =
                !commit.delta.is_empty() || commit.credentials_change.is_some() || commit.id.is_some();
            is_any.then_some(RowChange::Update)
        }
        _ => None,
    };
    (outcome, change)
}

impl BatchRecord {
    fn begin(&mut self, new: NewRecord, now: Timestamp) {
        self.state = RowState::Present(Record::new(new, now));
        // This batch may have destroyed the record that is in the row.
        self.change = Some(if self.rowid.is_some() { RowChange::Replace } else { RowChange::Insert });
    }

    fn end(&mut self) {
        self.state = RowState::Absent;
        self.change = self.rowid.is_some().then_some(RowChange::Delete);
    }

    /// Notes a change of a record that is there.
    fn note(&mut self, change: Option<RowChange>) {
        // A new or replaced row is written whole already.
        if let (None | Some(RowChange::Update), Some(change)) = (self.change, change) {
            self.change = Some(change);
        }
    }
}

/// Writes the rows that changed, and commits.
async fn store(
    connection: &mut SqliteConnection,
    statements: &Statements,
    records: HashMap<RecordId, BatchRecord>,
) -> Result<(), BatchFailure> {
    let mut by_change: [Vec<(RecordId, BatchRecord)>; RowChange::ALL.len()] = Default::default();
    for (id, entry) in records {
        if let Some(change) = entry.change {
            by_change[change as usize].push((id, entry));
        }
    }
    let mut left: usize = by_change.iter().map(Vec::len).sum();
    if left == 0 {
        sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(BatchFailure::before_commit)?;
        return Ok(());
    }
    for (change, mut rows) in RowChange::ALL.into_iter().zip(by_change) {
        // In the order of the table, so that neighbours share a page while it is at hand.
        rows.sort_unstable_by_key(|(_, entry)| entry.rowid);
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let size = rows.len().min(CHUNK);
            left -= size;
            let commits = left == 0;
            let text = statements.change(change, size, commits);
            let query = bind_rows(text, change, rows.by_ref().take(size))?;
            let result = query.execute(&mut *connection).await;
            result.map_err(if commits { BatchFailure::at_commit } else { BatchFailure::before_commit })?;
        }
    }
    Ok(())
}

fn bind_rows<'q>(
    text: SqlStr,
    change: RowChange,
    rows: impl Iterator<Item = (RecordId, BatchRecord)>,
) -> Result<Query<'q>, Error> {
    let mut query = sqlx::query(text);
    for (id, entry) in rows {
        if let RowState::Present(record) = entry.state {
            // invariant: values are UTF-8, since the store checks that they are JSON on their way in.
            let data = document::write(&record.fields).map_err(Error::unavailable)?;
            query = bind_record(query, &record, data);
            if change != RowChange::Update {
                for time in [record.created, record.touched, record.expires] {
                    query = query.bind(time.as_millis());
                }
            }
        }
        query = match change {
            RowChange::Insert => query.bind(id.to_string()),
            RowChange::Update | RowChange::Replace | RowChange::Delete => query.bind(entry.rowid),
        };
    }
    Ok(query)
}

/// Binds the columns that a commit without a touch may change.
fn bind_record<'q>(query: Query<'q>, record: &Record, data: String) -> Query<'q> {
    query
        .bind(record.credentials.as_bytes().to_vec())
        // The last epoch that SQLite can hold is followed by the first.
        .bind((record.epoch & i64::MAX.cast_unsigned()).cast_signed())
        .bind(commit_ids(record))
        .bind(data)
}

/// Returns the column `commits` of a record.
pub(super) fn commit_ids(record: &Record) -> Vec<u8> {
    record.commits.iter().flat_map(|id| *id.as_bytes()).collect()
}
