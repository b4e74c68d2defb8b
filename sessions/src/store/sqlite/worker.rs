//! Runs batches on one connection until no request waits.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;

use super::{
    connection::StoreConnection,
    database::Database,
    failure::BatchFailure,
    optimistic,
    queue::{Batch, Queue, WorkerRole},
    read_batch,
    request::{LoadRequest, WriteOutcome, WriteRequest},
    write_batch::BatchWriter,
};
use crate::{error::Error, value::RecordId};

/// A worker with its connection. If it is dropped before its end, as when a runtime shuts down, it gives the
/// connection back to the queue.
#[derive(Debug)]
pub(super) struct BatchWorker {
    database: Arc<Database>,
    queue: Arc<Queue>,
    role: WorkerRole,
    connection: StoreConnection,
    writer: BatchWriter,
    is_done: bool,
}

impl BatchWorker {
    pub(super) fn new(
        database: Arc<Database>,
        queue: Arc<Queue>,
        role: WorkerRole,
        connection: StoreConnection,
    ) -> Self {
        Self { database, queue, role, connection, writer: BatchWriter::default(), is_done: false }
    }

    /// Runs batches until there is none.
    pub(super) async fn run(mut self) {
        while let Some(Batch { loads, writes }) = self.queue.next_batch(self.role, &mut self.connection) {
            if !loads.is_empty() {
                self.load(loads).await;
            }
            if !writes.is_empty() {
                self.database.counters.written_batches.fetch_add(1, Ordering::Relaxed);
                self.write(writes).await;
            }
        }
        self.is_done = true;
    }

    /// Runs the optimistic writes of a batch, then the rest with those that found their row changed.
    async fn write(&mut self, mut batch: Vec<WriteRequest>) {
        let mut chunks = optimistic::split(&mut batch).into_iter();
        while let Some(chunk) = chunks.next() {
            match self.try_optimistic(&chunk).await {
                Ok(written) => {
                    let counter = &self.database.counters.optimistic_writes;
                    counter.fetch_add(written.len() as u64, Ordering::Relaxed);
                    batch.extend(answer_optimistic(chunk, &written));
                }
                Err(failure) if failure.is_too_big() => batch.extend(chunk),
                Err(failure) => {
                    refuse_writes(chunk, &failure);
                    if failure.is_busy() {
                        self.refuse_all_writes(chunks.flatten().chain(batch), &failure);
                        return;
                    }
                }
            }
        }
        if !batch.is_empty() {
            self.write_rest(batch).await;
        }
    }

    /// Runs writes as one transaction, or in halves where SQLite finds it too big.
    async fn write_rest(&mut self, batch: Vec<WriteRequest>) {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            match self.try_write(&batch).await {
                // Answered only now that the transaction is committed.
                Ok(outcomes) => {
                    for (request, outcome) in batch.into_iter().zip(outcomes) {
                        // A caller that was dropped gets no answer.
                        let _ = request.reply.send(outcome);
                    }
                }
                Err(failure) if failure.is_too_big() && batch.len() > 1 => {
                    let second_half = batch.split_off(batch.len() / 2);
                    batches.extend([second_half, batch]);
                }
                Err(failure) => {
                    refuse_writes(batch, &failure);
                    if failure.is_busy() {
                        self.refuse_all_writes(batches.into_iter().rev().flatten(), &failure);
                        return;
                    }
                }
            }
        }
    }

    /// Runs loads as one query, or in halves where SQLite finds it too big.
    async fn load(&mut self, batch: Vec<LoadRequest>) {
        // Metadata alone are another statement. Both kinds rarely wait at the same time.
        let (loads, metadata): (Vec<_>, Vec<_>) = batch.into_iter().partition(|request| request.with_fields);
        let mut batches: Vec<_> = [metadata, loads].into_iter().filter(|batch| !batch.is_empty()).collect();
        while let Some(mut batch) = batches.pop() {
            match self.try_load(&batch).await {
                Ok(found) => read_batch::answer(batch, &found, &self.database.clock),
                Err(failure) if failure.is_too_big() && batch.len() > 1 => {
                    let second_half = batch.split_off(batch.len() / 2);
                    batches.extend([second_half, batch]);
                }
                Err(failure) => {
                    refuse_loads(batch, &failure);
                    if failure.is_busy() {
                        refuse_loads(batches.into_iter().flatten(), &failure);
                        refuse_loads(self.queue.take_waiting_loads(), &failure);
                        return;
                    }
                }
            }
        }
    }

    /// Refuses all writes after the wait for another program's lock was in vain: the rest of the batch, and those that
    /// arrived meanwhile, since they have waited as long.
    fn refuse_all_writes(&self, rest: impl Iterator<Item = WriteRequest>, failure: &BatchFailure) {
        refuse_writes(rest, failure);
        refuse_writes(self.queue.take_waiting_writes(), failure);
    }

    async fn try_optimistic(&mut self, chunk: &[WriteRequest]) -> Result<HashSet<i64>, BatchFailure> {
        #[cfg(test)]
        self.check_size(chunk.len())?;
        let connection = self.connection.begin(&self.database.connector).await?;
        let result = optimistic::run(connection, &self.database.statements, chunk).await;
        self.connection.end(result.is_ok(), &self.database.connector);
        result
    }

    async fn try_write(
        &mut self,
        batch: &[WriteRequest],
    ) -> Result<Vec<Result<WriteOutcome, Error>>, BatchFailure> {
        #[cfg(test)]
        self.check_size(batch.len())?;
        let operations: Vec<_> = batch.iter().map(|request| &request.operation).collect();
        let connection = self.connection.begin(&self.database.connector).await?;
        let result = self.writer.run(connection, &self.database, &operations).await;
        self.connection.end(result.is_ok(), &self.database.connector);
        result
    }

    async fn try_load(&mut self, batch: &[LoadRequest]) -> Result<HashMap<RecordId, Bytes>, BatchFailure> {
        #[cfg(test)]
        self.check_size(batch.len())?;
        let connection = self.connection.begin(&self.database.connector).await?;
        let result = read_batch::run(connection, &self.database.statements, batch).await;
        self.connection.end(result.is_ok(), &self.database.connector);
        result
    }
}

#[cfg(test)]
impl BatchWorker {
    fn check_size(&self, requests: usize) -> Result<(), BatchFailure> {
        let is_too_big = requests > self.database.largest_batch.load(Ordering::Relaxed);
        if is_too_big { Err(BatchFailure::too_big()) } else { Ok(()) }
    }
}

impl Drop for BatchWorker {
    fn drop(&mut self) {
        if !self.is_done {
            let connection = std::mem::take(&mut self.connection);
            self.queue.stop(self.role, connection.after_drop_of_worker(&self.database.connector));
        }
    }
}

/// Answers the requests of a chunk that were written, and returns the others.
fn answer_optimistic(chunk: Vec<WriteRequest>, written: &HashSet<i64>) -> Vec<WriteRequest> {
    let mut missed = Vec::new();
    for mut request in chunk {
        match request.optimistic.take() {
            Some(write) if written.contains(&write.before.rowid) => {
                // A caller that was dropped gets no answer.
                let _ = request.reply.send(Ok(WriteOutcome::Committed(write.outcome)));
            }
            _ => missed.push(request),
        }
    }
    missed
}

fn refuse_writes(batch: impl IntoIterator<Item = WriteRequest>, failure: &BatchFailure) {
    for request in batch {
        let _ = request.reply.send(Err(failure.error()));
    }
}

fn refuse_loads(batch: impl IntoIterator<Item = LoadRequest>, failure: &BatchFailure) {
    for request in batch {
        let _ = request.reply.send(Err(failure.error()));
    }
}
