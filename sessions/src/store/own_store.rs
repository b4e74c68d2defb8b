use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sessions::{
    Clock, Error, FieldName, RecordId, SystemClock, Timeouts,
    store::{Commit, CommitOutcome, CreateOutcome, Fields, Loaded, NewRecord, Record, Store},
};

/// Sessions as rows of bytes, each under its record's id.
#[derive(Debug, Default)]
pub struct OwnStore<C = SystemClock> {
    clock: C,
    // In place of a database. The lock is the transaction: no other operation comes between the reading of a row and
    // its writing.
    rows: Mutex<HashMap<RecordId, Vec<u8>>>,
}

impl<C: Clock> OwnStore<C> {
    /// Makes an empty store that reads the time from this clock.
    pub fn new(clock: C) -> Self {
        Self { clock, rows: Mutex::default() }
    }

    fn begin(&self) -> MutexGuard<'_, HashMap<RecordId, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock> Store for OwnStore<C> {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let rows = self.begin();
        let Some(row) = rows.get(&id) else { return Ok(None) };
        let loaded = Loaded::new(&Record::from_bytes(row.clone())?, self.clock.now());
        // More fields than were asked for are welcome, but without names only the metadata are.
        Ok(Some(if names.is_empty() { loaded.with_fields(Fields::new(), false) } else { loaded }))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let (mut rows, now) = (self.begin(), self.clock.now());
        if let Some(row) = rows.get(&id) {
            // A create may come twice, if the answer to the first was lost.
            let known = Record::from_bytes(row.clone())?;
            let is_repeated = known.credentials == new.credentials && known.is_alive(&new.timeouts, now);
            return Ok(if is_repeated {
                CreateOutcome::Created(known.created)
            } else {
                CreateOutcome::IdTaken
            });
        }
        rows.insert(id, Record::new(new, now).to_bytes());
        Ok(CreateOutcome::Created(now))
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let mut rows = self.begin();
        let Some(row) = rows.get_mut(&id) else { return Ok(CommitOutcome::NotFound) };
        let mut record = Record::from_bytes(row.clone())?;
        let outcome = record.commit(&commit, self.clock.now());
        if matches!(outcome, CommitOutcome::Applied(_)) {
            *row = record.to_bytes();
        }
        Ok(outcome)
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.begin().remove(&id);
        Ok(())
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        let (mut rows, now) = (self.begin(), self.clock.now());
        let is_dead = |row: &Vec<u8>| {
            Record::from_bytes(row.clone()).is_ok_and(|record| record.is_disposable(&timeouts, now))
        };
        let dead: Vec<_> =
            rows.iter().filter(|(_, row)| is_dead(row)).map(|(id, _)| *id).take(limit).collect();
        for id in &dead {
            rows.remove(id);
        }
        Ok(dead.len())
    }
}
