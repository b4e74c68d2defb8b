//! Runs a batch of writes as one transaction.
//!
//! Two crossings to SQLite's thread: one takes the writer's lock and reads every record of the
//! batch, one writes those that changed and commits. Between them the writes are applied in Rust,
//! one after the other, by [`Record::commit`]. It checks everything before it changes anything, so
//! a bad delta fails alone and no savepoint per commit is needed.

use std::collections::HashMap;

use sqlx::{SqlStr, SqliteConnection, sqlite::SqliteArguments};

use super::{
    document,
    failure::Failure,
    log,
    recent::Seen,
    request::{Verdict, Write},
    row::Row,
    statements::{CHUNK, Change, Statements},
    table::TableName,
};
use crate::{
    clock::AnyClock,
    error::Error,
    store::{Commit, CommitOutcome, CreateOutcome, NewRecord, Record},
    value::{FieldName, RecordId, SessionKind, Timeouts, Timestamp},
};

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// A record of the batch.
struct Entry {
    rowid: Option<i64>,
    state: State,
    change: Option<Change>,
}

enum State {
    Absent,
    Present(Record),
    /// Someone else wrote the row, and this is what is wrong with it.
    Unreadable(String),
}

/// What stays between the batches of a connection.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The names of the last record's fields: sessions of one application look alike, and names
    /// found here cost no allocation.
    names: Vec<FieldName>,
}

impl Writer {
    /// Runs a batch and answers each write, in order. An answer means that the transaction is
    /// committed, or that it had nothing to write.
    pub(super) async fn run(
        &mut self,
        connection: &mut SqliteConnection,
        (statements, table): (&Statements, &TableName),
        clock: &AnyClock,
        batch: &[&Write],
    ) -> Result<Vec<Result<Verdict, Error>>, Failure> {
        if let [Write::Purge(timeouts, limit)] = batch {
            let purged = purge(connection, statements, timeouts, clock.now(), *limit).await?;
            // There is more to purge first.
            if purged >= *limit {
                return Ok(vec![Ok(Verdict::Purged(purged))]);
            }
            // Not as an error of SQLite's own: another connection in the way is no other request's affair.
            let folded = log::fold(connection).await.map_err(Error::unavailable)?;
            return Ok(vec![folded.map(|()| Verdict::Purged(purged))]);
        }
        let mut entries = HashMap::with_capacity(batch.len());
        for id in batch.iter().filter_map(|write| write.id()) {
            entries.insert(id, Entry { rowid: None, state: State::Absent, change: None });
        }
        let found = begin(connection, statements, entries.keys()).await.map_err(Failure::before_commit)?;
        self.read(&mut found.as_slice(), &mut entries)?;
        // After the lock is held, so that times grow with the order of transactions.
        let now = clock.now();
        let verdicts = batch.iter().map(|write| apply(write, &mut entries, table, now)).collect();
        store(connection, statements, entries).await?;
        Ok(verdicts)
    }

    fn read(&mut self, found: &mut &[u8], entries: &mut HashMap<RecordId, Entry>) -> Result<(), Error> {
        while !found.is_empty() {
            let row = Row::take(found).ok_or_else(|| Error::unavailable("a row that is none"))?;
            let Some(entry) = entries.get_mut(&row.id) else { continue };
            let seen = row.record(&self.names);
            entry.rowid = Some(row.rowid);
            entry.state = match seen {
                Ok(Seen { record, .. }) => {
                    if record.fields.len() != self.names.len() {
                        self.names = record.fields.iter().map(|(name, _)| name.clone()).collect();
                    }
                    State::Present(record)
                }
                Err(reason) => State::Unreadable(reason),
            };
        }
        Ok(())
    }
}

/// Takes the writer's lock and returns the rows of these records.
async fn begin(
    connection: &mut SqliteConnection,
    statements: &Statements,
    ids: impl ExactSizeIterator<Item = &RecordId>,
) -> Result<Vec<u8>, sqlx::Error> {
    let mut query = sqlx::query(statements.begin(ids.len()));
    for id in ids {
        query = query.bind(id.to_string());
    }
    super::reading::text(query.fetch_optional(connection).await?)
}

/// Applies one write to what the batch knows.
fn apply(
    write: &Write,
    entries: &mut HashMap<RecordId, Entry>,
    table: &TableName,
    now: Timestamp,
) -> Result<Verdict, Error> {
    // Batches are cut so that a purge stands alone.
    let Some((id, entry)) = write.id().and_then(|id| Some((id, entries.get_mut(&id)?))) else {
        return Err(Error::unavailable("a purge among other writes"));
    };
    match (write, &mut entry.state) {
        (Write::Destroy(_), _) => {
            entry.end();
            Ok(Verdict::Destroyed)
        }
        (_, State::Unreadable(reason)) => Err(super::unreadable(table, id, reason)),
        (Write::Create(_, new), State::Absent) => {
            entry.begin(new.clone(), now);
            Ok(Verdict::Created(CreateOutcome::Created(now)))
        }
        (Write::Create(_, new), State::Present(known)) => {
            let repeated = known.credentials == new.credentials && known.is_alive(&new.timeouts, now);
            Ok(Verdict::Created(if repeated {
                CreateOutcome::Created(known.created)
            } else {
                CreateOutcome::IdTaken
            }))
        }
        (Write::Commit(..), State::Absent) => Ok(Verdict::Committed(CommitOutcome::NotFound)),
        (Write::Commit(_, commit), State::Present(record)) => {
            let (answer, change) = apply_commit(commit, record, now);
            entry.note(change);
            Ok(Verdict::Committed(answer))
        }
        (Write::Purge(..), _) => Err(Error::unavailable("a purge of one record")),
    }
}

/// Applies one commit, and says what of the row it changed.
pub(super) fn apply_commit(
    commit: &Commit,
    record: &mut Record,
    now: Timestamp,
) -> (CommitOutcome, Option<Change>) {
    let is_repeated = commit.id.is_some_and(|id| record.commits.contains(&id));
    let times = (record.created, record.touched, record.expires);
    let answer = record.commit(commit, now);
    let change = match answer {
        CommitOutcome::Applied(_) if is_repeated => None,
        CommitOutcome::Applied(_) if (record.created, record.touched, record.expires) != times => {
            Some(Change::Replace)
        }
        CommitOutcome::Applied(_) => {
            let is_any =
                !commit.delta.is_empty() || commit.credentials_change.is_some() || commit.id.is_some();
            is_any.then_some(Change::Update)
        }
        _ => None,
    };
    (answer, change)
}

impl Entry {
    fn begin(&mut self, new: NewRecord, now: Timestamp) {
        self.state = State::Present(Record::new(new, now));
        // Over a row that this batch destroyed.
        self.change = Some(if self.rowid.is_some() { Change::Replace } else { Change::Insert });
    }

    fn end(&mut self) {
        self.state = State::Absent;
        self.change = self.rowid.is_some().then_some(Change::Delete);
    }

    /// Notes a change of a record that is there.
    fn note(&mut self, change: Option<Change>) {
        // A new or replaced row is written whole already.
        if let (None | Some(Change::Update), Some(change)) = (self.change, change) {
            self.change = Some(change);
        }
    }
}

/// Writes what changed and commits.
async fn store(
    connection: &mut SqliteConnection,
    statements: &Statements,
    entries: HashMap<RecordId, Entry>,
) -> Result<(), Failure> {
    let mut by_change: [Vec<(RecordId, Entry)>; Change::ALL.len()] = Default::default();
    for (id, entry) in entries {
        if let Some(change) = entry.change {
            by_change[change as usize].push((id, entry));
        }
    }
    let mut left: usize = by_change.iter().map(Vec::len).sum();
    if left == 0 {
        sqlx::raw_sql("ROLLBACK").execute(connection).await.map_err(Failure::before_commit)?;
        return Ok(());
    }
    for (change, mut rows) in Change::ALL.into_iter().zip(by_change) {
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
            result.map_err(if commits { Failure::at_commit } else { Failure::before_commit })?;
        }
    }
    Ok(())
}

fn bind_rows<'q>(
    text: SqlStr,
    change: Change,
    rows: impl Iterator<Item = (RecordId, Entry)>,
) -> Result<Query<'q>, Error> {
    let mut query = sqlx::query(text);
    for (id, entry) in rows {
        if let State::Present(record) = entry.state {
            // invariant: never an error, since values are checked on their way in.
            let data = document::write(&record.fields).map_err(Error::unavailable)?;
            query = bind_record(query, &record, data);
            if change != Change::Update {
                for time in [record.created, record.touched, record.expires] {
                    query = query.bind(time.as_millis());
                }
            }
        }
        query = match change {
            Change::Insert => query.bind(id.to_string()),
            Change::Update | Change::Replace | Change::Delete => query.bind(entry.rowid),
        };
    }
    Ok(query)
}

/// Binds the columns that a commit may change without touching.
fn bind_record<'q>(query: Query<'q>, record: &Record, data: String) -> Query<'q> {
    query
        .bind(record.credentials.as_bytes().to_vec())
        // What comes after the last epoch that SQLite can hold is the first.
        .bind((record.epoch & i64::MAX.cast_unsigned()).cast_signed())
        .bind(commit_ids(record))
        .bind(data)
}

/// What the column `commits` holds.
pub(super) fn commit_ids(record: &Record) -> Vec<u8> {
    record.commits.iter().flat_map(|id| *id.as_bytes()).collect()
}

/// Deletes dead records: one statement, hence a transaction of its own.
async fn purge(
    connection: &mut SqliteConnection,
    statements: &Statements,
    timeouts: &Timeouts,
    now: Timestamp,
    limit: usize,
) -> Result<usize, Failure> {
    let mut query = sqlx::query(statements.purge()).bind(now.as_millis());
    // The same arithmetic as in `Timeouts::deadline`, turned around.
    for kind in [SessionKind::Remembered, SessionKind::User, SessionKind::Visitor] {
        let timeouts = timeouts.of_kind(kind);
        query = query.bind(earlier(now, timeouts.idle_and_window())).bind(earlier(now, timeouts.absolute()));
    }
    let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let done = query.execute(connection).await.map_err(Failure::at_commit)?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}

/// The last time from which on `duration` is over at `now`; NULL, which nothing is before, if time
/// does not reach back that far.
fn earlier(now: Timestamp, duration: std::time::Duration) -> Option<i64> {
    now.as_millis().checked_sub(i64::try_from(duration.as_millis()).ok()?)
}
