//! The task that has a connection and works until nothing is queued.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use sqlx::SqliteConnection;

use super::{
    failure::{self, Failure},
    queue::{Queue, Role, Seat},
    reading,
    request::{LoadRequest, Verdict, WriteRequest},
    swapping,
    writing::Writer,
};
use crate::{error::Error, value::RecordId};

/// A task at work. Dropped before its end, as when the runtime shuts down, it gives back what it
/// has.
#[derive(Debug)]
pub(super) struct Drain {
    queue: Arc<Queue>,
    role: Role,
    seat: Seat,
    writer: Writer,
    is_done: bool,
}

impl Drain {
    pub(super) fn new(queue: Arc<Queue>, role: Role, seat: Seat) -> Self {
        Self { queue, role, seat, writer: Writer::default(), is_done: false }
    }

    /// Works until there is nothing left to do.
    pub(super) async fn run(mut self) {
        while let Some(work) = self.queue.next(self.role, &mut self.seat) {
            if !work.writes.is_empty() {
                self.write(work.writes).await;
            }
            if !work.loads.is_empty() {
                self.load(work.loads).await;
            }
        }
        self.is_done = true;
    }

    async fn write(&mut self, mut batch: Vec<WriteRequest>) {
        let mut pieces = swapping::split(&mut batch).into_iter();
        while let Some(piece) = pieces.next() {
            match self.try_swap(&piece).await {
                Ok(written) => {
                    self.queue.swapped.fetch_add(written.len() as u64, Ordering::Relaxed);
                    for mut request in piece {
                        match request.swap.take() {
                            Some(swap) if written.contains(&swap.before.rowid) => {
                                // Who does not wait any more need not know.
                                let _ = request.reply.send(Ok(Verdict::Committed(swap.answer)));
                            }
                            _ => batch.push(request),
                        }
                    }
                }
                Err(failure) if failure.is_too_big() => batch.extend(piece),
                Err(failure) => {
                    refuse(piece, &failure);
                    if failure.is_busy() {
                        self.give_up(pieces.flatten().chain(batch), &failure);
                        return;
                    }
                }
            }
        }
        if !batch.is_empty() {
            self.write_rest(batch).await;
        }
    }

    async fn write_rest(&mut self, batch: Vec<WriteRequest>) {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            match self.try_write(&batch).await {
                // An answer is sent only now that the transaction is committed.
                Ok(verdicts) => {
                    for (request, verdict) in batch.into_iter().zip(verdicts) {
                        // Who does not wait any more need not know.
                        let _ = request.reply.send(verdict);
                    }
                }
                Err(failure) if failure.is_too_big() && batch.len() > 1 => {
                    let second_half = batch.split_off(batch.len() / 2);
                    batches.extend([second_half, batch]);
                }
                Err(failure) => {
                    refuse(batch, &failure);
                    if failure.is_busy() {
                        self.give_up(batches.into_iter().rev().flatten(), &failure);
                        return;
                    }
                }
            }
        }
    }

    /// After the wait for another program's lock was in vain: what was not begun is refused too, the
    /// rest of the batch and all that came meanwhile, since it has waited as long.
    fn give_up(&self, rest: impl Iterator<Item = WriteRequest>, failure: &Failure) {
        refuse(rest, failure);
        refuse(self.queue.take_waiting_writes(), failure);
    }

    async fn load(&mut self, batch: Vec<LoadRequest>) {
        // A look at the metadata is another statement. Both kinds rarely wait at the same time.
        let (loads, looks): (Vec<_>, Vec<_>) = batch.into_iter().partition(|request| request.with_fields);
        let mut batches: Vec<_> = [looks, loads].into_iter().filter(|batch| !batch.is_empty()).collect();
        while let Some(mut batch) = batches.pop() {
            match self.try_load(&batch).await {
                Ok(found) => reading::answer(batch, &found, &self.queue.clock),
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

    async fn try_write(&mut self, batch: &[WriteRequest]) -> Result<Vec<Result<Verdict, Error>>, Failure> {
        #[cfg(test)]
        self.check_size(batch.len())?;
        let batch: Vec<_> = batch.iter().map(|request| &request.write).collect();
        let queue = Arc::clone(&self.queue);
        let connection = self.seat.begin(&queue).await?;
        let result =
            self.writer.run(connection, (&queue.statements, &queue.table), &queue.clock, &batch).await;
        self.seat.end(result.is_ok(), &queue);
        result
    }

    async fn try_swap(&mut self, piece: &[WriteRequest]) -> Result<HashSet<i64>, Failure> {
        #[cfg(test)]
        self.check_size(piece.len())?;
        let queue = Arc::clone(&self.queue);
        let connection = self.seat.begin(&queue).await?;
        let result = swapping::run(connection, &queue.statements, piece).await;
        self.seat.end(result.is_ok(), &queue);
        result
    }

    async fn try_load(&mut self, batch: &[LoadRequest]) -> Result<HashMap<RecordId, Bytes>, Failure> {
        #[cfg(test)]
        self.check_size(batch.len())?;
        let queue = Arc::clone(&self.queue);
        let connection = self.seat.begin(&queue).await?;
        let result = reading::run(connection, &queue.statements, batch).await;
        self.seat.end(result.is_ok(), &queue);
        result
    }
}

#[cfg(test)]
impl Drain {
    fn check_size(&self, requests: usize) -> Result<(), Failure> {
        let is_too_big = requests > self.queue.largest_batch.load(Ordering::Relaxed);
        if is_too_big { Err(Failure::too_big()) } else { Ok(()) }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if !self.is_done {
            let mut seat = std::mem::take(&mut self.seat);
            let is_clean = !seat.is_dirty;
            seat.end(is_clean, &self.queue);
            self.queue.stop(self.role, seat);
        }
    }
}

impl Seat {
    /// The connection, for one batch: opened, and outside of any transaction.
    async fn begin(&mut self, queue: &Queue) -> Result<&mut SqliteConnection, Failure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None if queue.connector.is_in_memory => {
                let error = Error::unavailable("the connection that was the database in memory is gone");
                return Err(error.into());
            }
            None => queue.connector.connect().await.map_err(Failure::before_commit)?,
        };
        let was_dirty = std::mem::replace(&mut self.is_dirty, true);
        let connection = self.connection.insert(connection);
        if was_dirty {
            match sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await {
                Err(error) if !failure::is_no_transaction(&error) => {
                    return Err(Failure::before_commit(error));
                }
                _ => {}
            }
        }
        Ok(connection)
    }

    /// After a batch. What a failed one left behind goes with its connection; only a database in
    /// memory keeps it, and rolls back before the next batch.
    fn end(&mut self, is_ok: bool, queue: &Queue) {
        if is_ok {
            self.is_dirty = false;
        } else if !queue.connector.is_in_memory {
            *self = Self::default();
        }
    }
}

fn refuse(batch: impl IntoIterator<Item = WriteRequest>, failure: &Failure) {
    for request in batch {
        let _ = request.reply.send(Err(failure.error()));
    }
}

fn refuse_loads(batch: impl IntoIterator<Item = LoadRequest>, failure: &Failure) {
    for request in batch {
        let _ = request.reply.send(Err(failure.error()));
    }
}
