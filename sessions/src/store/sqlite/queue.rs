//! Collects requests while the database is busy, and runs what has come together as one batch.
//!
//! There is no waiting for company: an idle store answers a single request at once. Two connections
//! do the work. The main one writes, and loads while there is nothing to write, which keeps its
//! page cache warm; loads that arrive during a write go to the second one. Every runtime that waits
//! for one of them has a part in its work: see [`Errand`].

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::SqliteConnection;
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    connect::Connector,
    drain::Drain,
    errand::{Errand, Ride},
    recent::Recent,
    request::{Found, LoadRequest, Swap, Verdict, Write, WriteRequest},
    statements::{BATCH, Statements},
    table::TableName,
};
use crate::{clock::AnyClock, error::Error, store::Commit, value::RecordId};

/// So many waiting loads are worth a second reader, even while nobody writes.
const CROWD: usize = 16;

type Waiting<T> = oneshot::Receiver<Result<T, Error>>;

/// What all clones of a store share.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) connector: Connector,
    pub(super) table: TableName,
    pub(super) statements: Statements,
    pub(super) clock: AnyClock,
    /// How many batches of writes were run.
    pub(super) written_batches: AtomicU64,
    /// How many commits found their record as it was read before.
    pub(super) swapped: AtomicU64,
    pub(super) recent: Recent,
    /// Stands for the limits of SQLite, which take gigabytes to reach.
    #[cfg(test)]
    pub(super) largest_batch: std::sync::atomic::AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    loads: VecDeque<LoadRequest>,
    writes: VecDeque<WriteRequest>,
    main: Lane,
    second: Lane,
    /// Whether the main connection is writing at this moment.
    is_writing: bool,
}

/// One of the two connections.
#[derive(Debug, Default)]
struct Lane {
    /// What has the connection and looks for work, if anything does.
    errand: Option<Arc<Errand>>,
    seat: Seat,
}

/// Where a connection is while nobody uses it.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) connection: Option<SqliteConnection>,
    /// Whether a batch on it did not end well, so that a transaction may be open.
    pub(super) is_dirty: bool,
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Main,
    Second,
}

/// What to do next. Both only where there is one connection for both.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) writes: Vec<WriteRequest>,
    pub(super) loads: Vec<LoadRequest>,
}

impl Queue {
    pub(super) fn new(
        connector: Connector,
        connection: SqliteConnection,
        table: TableName,
        clock: AnyClock,
    ) -> Self {
        let seat = Seat { connection: Some(connection), is_dirty: false };
        let state = State { main: Lane { errand: None, seat }, ..State::default() };
        Self {
            connector,
            statements: Statements::new(&table),
            table,
            clock,
            written_batches: AtomicU64::new(0),
            swapped: AtomicU64::new(0),
            recent: Recent::new(),
            #[cfg(test)]
            largest_batch: std::sync::atomic::AtomicUsize::new(usize::MAX),
            state: Mutex::new(state),
        }
    }

    /// Reads a record, with or without its fields.
    pub(super) async fn load(
        self: &Arc<Self>,
        id: RecordId,
        with_fields: bool,
    ) -> Result<Option<Found>, Error> {
        let answer = self.request_load(id, with_fields)?;
        answer.await.unwrap_or_else(|_| Err(Error::unavailable("the task that reads sessions was stopped")))
    }

    /// Writes. Dropping the future does not undo it: it happens or not, wholly.
    pub(super) async fn write(self: &Arc<Self>, write: Write) -> Result<Verdict, Error> {
        let answer = self.request_write(write)?;
        // Who was never begun is told so: see `stop`.
        answer
            .await
            .unwrap_or_else(|_| Err(Error::outcome_unknown("the task that writes sessions was stopped")))
    }

    /// Takes the next work for a connection. Without any, takes the connection back.
    pub(super) fn next(self: &Arc<Self>, role: Role, seat: &mut Seat) -> Option<Work> {
        let mut state = self.lock();
        let writes = match role {
            Role::Main => take_writes(&mut state.writes),
            Role::Second => Vec::new(),
        };
        if role == Role::Main {
            state.is_writing = !writes.is_empty();
        }
        let loads = if writes.is_empty() || self.connector.is_in_memory {
            take(&mut state.loads, BATCH)
        } else {
            Vec::new()
        };
        if writes.is_empty() && loads.is_empty() {
            let lane = state.lane(role);
            lane.errand = None;
            lane.seat = std::mem::take(seat);
            return None;
        }
        if !writes.is_empty() {
            self.written_batches.fetch_add(1, Ordering::Relaxed);
            if !self.connector.is_in_memory && !state.loads.is_empty() && state.second.errand.is_none() {
                // Those who wait for the loads are among them.
                let runtimes = state.main.errand.as_ref().map(|errand| errand.runtimes());
                let rides = self.start(&mut state, Role::Second, &runtimes.unwrap_or_default());
                drop(state);
                rides.into_iter().for_each(Ride::spawn);
            }
        }
        Some(Work { writes, loads })
    }

    /// Takes the connection of a task back that ended before its work did, and tells those who
    /// still wait and whom nobody else serves.
    pub(super) fn stop(&self, role: Role, seat: Seat) {
        let mut state = self.lock();
        let lane = state.lane(role);
        lane.errand = None;
        lane.seat = seat;
        let writes = if role == Role::Main { std::mem::take(&mut state.writes) } else { VecDeque::new() };
        if role == Role::Main {
            state.is_writing = false;
        }
        let is_served = state.main.errand.is_some() || state.second.errand.is_some();
        let loads = if is_served { VecDeque::new() } else { std::mem::take(&mut state.loads) };
        drop(state);
        let error = || Error::unavailable("the task that serves sessions was stopped");
        // Who does not wait any more need not know.
        for request in writes {
            let _ = request.reply.send(Err(error()));
        }
        for request in loads {
            let _ = request.reply.send(Err(error()));
        }
    }

    /// The writes that wait, for telling all of them that there is no getting at the database:
    /// else each batch of them would wait for the lock as long again.
    pub(super) fn take_waiting_writes(&self) -> VecDeque<WriteRequest> {
        std::mem::take(&mut self.lock().writes)
    }

    /// The loads that wait, likewise.
    pub(super) fn take_waiting_loads(&self) -> VecDeque<LoadRequest> {
        std::mem::take(&mut self.lock().loads)
    }

    fn request_load(
        self: &Arc<Self>,
        id: RecordId,
        with_fields: bool,
    ) -> Result<Waiting<Option<Found>>, Error> {
        let runtime = runtime()?;
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.loads.push_back(LoadRequest { id, with_fields, reply });
        let is_first = state.main.errand.is_none();
        let is_crowded = state.is_writing || state.loads.len() >= CROWD;
        let main = self.serve(&mut state, Role::Main, &runtime);
        let is_second_of_use = state.second.errand.is_some() || !is_first && is_crowded;
        let second = if is_second_of_use && !self.connector.is_in_memory {
            self.serve(&mut state, Role::Second, &runtime)
        } else {
            None
        };
        // A runtime that has ended drops the task at once, and that takes the lock.
        drop(state);
        main.into_iter().chain(second).for_each(Ride::spawn);
        Ok(answer)
    }

    fn request_write(self: &Arc<Self>, write: Write) -> Result<Waiting<Verdict>, Error> {
        let runtime = runtime()?;
        let swap = match &write {
            Write::Commit(id, commit) => self.prepare_swap(*id, commit).map(Box::new),
            _ => None,
        };
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.writes.push_back(WriteRequest { write, swap, reply });
        let ride = self.serve(&mut state, Role::Main, &runtime);
        // A runtime that has ended drops the task at once, and that takes the lock.
        drop(state);
        ride.into_iter().for_each(Ride::spawn);
        Ok(answer)
    }

    fn prepare_swap(&self, id: RecordId, commit: &Commit) -> Option<Swap> {
        Swap::new(commit, self.recent.take(id)?, self.clock.now())
    }

    /// Has a connection at work, and this runtime among those that carry the work on. What it
    /// returns must be spawned.
    fn serve(self: &Arc<Self>, state: &mut State, role: Role, runtime: &Handle) -> Option<Ride> {
        match &state.lane(role).errand {
            Some(errand) => errand.board(runtime),
            None => self.start(state, role, std::slice::from_ref(runtime)).pop(),
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, role: Role, runtimes: &[Handle]) -> Vec<Ride> {
        let lane = state.lane(role);
        let seat = std::mem::take(&mut lane.seat);
        let errand = Errand::new(Drain::new(Arc::clone(self), role, seat).run());
        let rides = runtimes.iter().filter_map(|runtime| errand.board(runtime)).collect();
        lane.errand = Some(errand);
        rides
    }

    /// A panic elsewhere leaves the state whole: nothing above can fail half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn lane(&mut self, role: Role) -> &mut Lane {
        match role {
            Role::Main => &mut self.main,
            Role::Second => &mut self.second,
        }
    }
}

/// Takes writes in the order of their arrival; a purge, which is about many records, stands alone.
fn take_writes(writes: &mut VecDeque<WriteRequest>) -> Vec<WriteRequest> {
    let is_purge = |request: &WriteRequest| request.write.id().is_none();
    let count = match writes.iter().take(BATCH).position(is_purge) {
        Some(0) => 1,
        Some(before) => before,
        None => BATCH,
    };
    take(writes, count)
}

fn take<T>(queue: &mut VecDeque<T>, count: usize) -> Vec<T> {
    let count = count.min(queue.len());
    queue.drain(..count).collect()
}

fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::unavailable("`SqliteStore` works in a tokio runtime only"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Timeouts;

    fn request(write: Write) -> WriteRequest {
        WriteRequest { write, swap: None, reply: oneshot::channel().0 }
    }

    #[test]
    fn a_purge_stands_alone_and_the_order_is_kept() {
        let id = |byte| RecordId::from_bytes([byte; 16]);
        let mut queue: VecDeque<_> = [
            Write::Destroy(id(1)),
            Write::Destroy(id(2)),
            Write::Purge(Timeouts::default(), 1),
            Write::Purge(Timeouts::default(), 1),
            Write::Destroy(id(3)),
        ]
        .into_iter()
        .map(request)
        .collect();
        let mut batches = Vec::new();
        while !queue.is_empty() {
            batches
                .push(take_writes(&mut queue).iter().map(|request| request.write.id()).collect::<Vec<_>>());
        }
        assert_eq!(batches, [vec![Some(id(1)), Some(id(2))], vec![None], vec![None], vec![Some(id(3))]]);
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut queue: VecDeque<_> =
            (0..=BATCH).map(|_| request(Write::Destroy(RecordId::from_bytes([0; 16])))).collect();
        assert_eq!(take_writes(&mut queue).len(), BATCH);
        assert_eq!(take_writes(&mut queue).len(), 1);
        assert!(take_writes(&mut queue).is_empty());
    }
}
