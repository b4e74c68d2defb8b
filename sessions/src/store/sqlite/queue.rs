//! The requests that wait, and which worker takes which of them.
//!
//! Plain rules over plain values: nothing here runs SQL or waits. A request that finds its worker idle has it
//! started. A request that finds it running has the caller's runtime join it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::runtime::Handle;

use super::{
    connection::StoreConnection,
    request::{LoadRequest, WriteRequest},
    shared_task::{ParticipantTask, SharedTask},
    statements::BATCH,
};
use crate::error::Error;

/// The number of waiting loads that are worth starting the reader for, even while nothing is written.
const LOADS_FOR_READER: usize = 16;

/// The waiting requests of a store, and its two workers.
#[derive(Debug)]
pub(super) struct Queue {
    /// False for a database in memory, which exists in the writer's connection only.
    has_reader: bool,
    state: Mutex<QueueState>,
}

#[derive(Debug)]
struct QueueState {
    loads: VecDeque<LoadRequest>,
    writes: VecDeque<WriteRequest>,
    writer: WorkerState,
    reader: WorkerState,
    /// True while the writer's batch has writes, which it may wait for another process to run.
    is_writing: bool,
}

/// Which of the two workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerRole {
    /// Writes, and loads while the reader is idle or nothing is to be written.
    Writer,
    /// Loads only.
    Reader,
}

/// A worker, and where its connection is.
#[derive(Debug)]
enum WorkerState {
    Idle(StoreConnection),
    /// The task has the connection.
    Running(Arc<SharedTask>),
}

/// The requests that a worker runs next: first the loads, which need not wait for another process's write lock, then
/// the writes.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) loads: Vec<LoadRequest>,
    pub(super) writes: Vec<WriteRequest>,
}

impl Queue {
    /// Returns an empty queue. The connection is the writer's.
    pub(super) fn new(connection: StoreConnection, has_reader: bool) -> Self {
        let state = QueueState {
            loads: VecDeque::new(),
            writes: VecDeque::new(),
            writer: WorkerState::Idle(connection),
            reader: WorkerState::Idle(StoreConnection::default()),
            is_writing: false,
        };
        Self { has_reader, state: Mutex::new(state) }
    }

    /// Adds a load. Returns the tasks to spawn, so that a worker for it runs in the runtime of its caller.
    ///
    /// The tasks are not spawned here, under the lock: a runtime that has ended drops a task at once, and
    /// dropping it takes the lock.
    pub(super) fn add_load(
        &self,
        request: LoadRequest,
        runtime: &Handle,
        start: impl Fn(WorkerRole, StoreConnection) -> Arc<SharedTask>,
    ) -> [Option<ParticipantTask>; 2] {
        let mut state = self.lock();
        state.loads.push_back(request);
        let was_idle = matches!(state.writer, WorkerState::Idle(_));
        let has_much_to_do = state.is_writing || state.loads.len() >= LOADS_FOR_READER;
        let needs_reader = matches!(state.reader, WorkerState::Running(_)) || (!was_idle && has_much_to_do);
        let writer = state.writer.join(runtime, |connection| start(WorkerRole::Writer, connection));
        let reader = if self.has_reader && needs_reader {
            state.reader.join(runtime, |connection| start(WorkerRole::Reader, connection))
        } else {
            None
        };
        [writer, reader]
    }

    /// Adds a write. Returns the task to spawn, as [`add_load`](Self::add_load) does.
    pub(super) fn add_write(
        &self,
        request: WriteRequest,
        runtime: &Handle,
        start: impl Fn(WorkerRole, StoreConnection) -> Arc<SharedTask>,
    ) -> Option<ParticipantTask> {
        let mut state = self.lock();
        state.writes.push_back(request);
        state.writer.join(runtime, |connection| start(WorkerRole::Writer, connection))
    }

    /// Returns the next batch of a worker. If there is none, takes the worker's connection back.
    pub(super) fn next_batch(&self, role: WorkerRole, connection: &mut StoreConnection) -> Option<Batch> {
        let mut state = self.lock();
        let writes = match role {
            WorkerRole::Writer => take_writes(&mut state.writes),
            WorkerRole::Reader => Vec::new(),
        };
        let leaves_loads = !writes.is_empty() && matches!(state.reader, WorkerState::Running(_));
        let loads = if leaves_loads { Vec::new() } else { take(&mut state.loads, BATCH) };
        if role == WorkerRole::Writer {
            state.is_writing = !writes.is_empty();
        }
        if writes.is_empty() && loads.is_empty() {
            *state.worker(role) = WorkerState::Idle(std::mem::take(connection));
            return None;
        }
        Some(Batch { loads, writes })
    }

    /// Takes the connection of a worker back that was dropped before its work was done. Answers the requests that
    /// no other worker will take.
    pub(super) fn stop(&self, role: WorkerRole, connection: StoreConnection) {
        let mut state = self.lock();
        *state.worker(role) = WorkerState::Idle(connection);
        let writes = match role {
            WorkerRole::Writer => {
                state.is_writing = false;
                std::mem::take(&mut state.writes)
            }
            WorkerRole::Reader => VecDeque::new(),
        };
        let loads = match (&state.writer, &state.reader) {
            (WorkerState::Idle(_), WorkerState::Idle(_)) => std::mem::take(&mut state.loads),
            _ => VecDeque::new(),
        };
        drop(state);
        let error =
            || Error::unavailable("every tokio runtime that served the SQLite session store has ended");
        // A caller that was dropped gets no answer.
        for request in writes {
            let _ = request.reply.send(Err(error()));
        }
        for request in loads {
            let _ = request.reply.send(Err(error()));
        }
    }

    /// Takes all writes that wait, to refuse them after a wait for the database's lock was in vain.
    pub(super) fn take_waiting_writes(&self) -> VecDeque<WriteRequest> {
        std::mem::take(&mut self.lock().writes)
    }

    /// Takes all loads that wait, to refuse them after a wait for the database's lock was in vain.
    pub(super) fn take_waiting_loads(&self) -> VecDeque<LoadRequest> {
        std::mem::take(&mut self.lock().loads)
    }

    /// Locks the state. A panic elsewhere leaves it whole, since no method above can fail half-way.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    const fn worker(&mut self, role: WorkerRole) -> &mut WorkerState {
        match role {
            WorkerRole::Writer => &mut self.writer,
            WorkerRole::Reader => &mut self.reader,
        }
    }
}

impl WorkerState {
    /// Starts the worker if it is idle, and has the runtime take part in it.
    fn join(
        &mut self,
        runtime: &Handle,
        start: impl FnOnce(StoreConnection) -> Arc<SharedTask>,
    ) -> Option<ParticipantTask> {
        if let Self::Idle(connection) = self {
            *self = Self::Running(start(std::mem::take(connection)));
        }
        match self {
            Self::Running(task) => task.join(runtime),
            Self::Idle(_) => None,
        }
    }
}

/// Takes writes in the order of their arrival. A purge, which is about many records, makes a batch of its own. So do
/// changes of the index that follow each other.
fn take_writes(writes: &mut VecDeque<WriteRequest>) -> Vec<WriteRequest> {
    let of_index = writes.iter().take(BATCH).take_while(|request| request.operation.is_of_index()).count();
    if of_index > 0 {
        return take(writes, of_index);
    }
    let stands_alone = |request: &WriteRequest| request.operation.id().is_none();
    let count = match writes.iter().take(BATCH).position(stands_alone) {
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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::{
        store::sqlite::request::WriteOperation,
        value::{RecordId, Timeouts},
    };

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    fn write(operation: WriteOperation) -> WriteRequest {
        WriteRequest { operation, optimistic: None, reply: oneshot::channel().0 }
    }

    fn destroy(byte: u8) -> WriteRequest {
        write(WriteOperation::Destroy(id(byte)))
    }

    fn load(byte: u8) -> LoadRequest {
        LoadRequest { id: id(byte), with_fields: true, reply: oneshot::channel().0 }
    }

    /// A queue whose workers are moved by hand, and which of them were started.
    struct StartedWorkers {
        queue: Queue,
        roles: Mutex<Vec<WorkerRole>>,
        /// Tasks that were to be spawned. While they are kept, their runtime takes part.
        tasks: Mutex<Vec<ParticipantTask>>,
    }

    impl StartedWorkers {
        fn new(has_reader: bool) -> Self {
            let queue = Queue::new(StoreConnection::default(), has_reader);
            Self { queue, roles: Mutex::default(), tasks: Mutex::default() }
        }

        fn start(&self, role: WorkerRole) -> Arc<SharedTask> {
            self.roles.lock().unwrap().push(role);
            SharedTask::new(std::future::pending())
        }

        /// Returns the number of tasks that were to be spawned.
        fn load(&self, request: LoadRequest) -> usize {
            let tasks = self.queue.add_load(request, &Handle::current(), |role, _| self.start(role));
            self.keep(tasks.into_iter().flatten())
        }

        fn write(&self, request: WriteRequest) -> usize {
            let task = self.queue.add_write(request, &Handle::current(), |role, _| self.start(role));
            self.keep(task)
        }

        fn keep(&self, tasks: impl IntoIterator<Item = ParticipantTask>) -> usize {
            let mut kept = self.tasks.lock().unwrap();
            let before = kept.len();
            kept.extend(tasks);
            kept.len() - before
        }

        /// Returns the numbers of loads and writes in the next batch.
        fn next(&self, role: WorkerRole) -> Option<(usize, usize)> {
            let batch = self.queue.next_batch(role, &mut StoreConnection::default())?;
            Some((batch.loads.len(), batch.writes.len()))
        }

        fn roles(&self) -> Vec<WorkerRole> {
            self.roles.lock().unwrap().clone()
        }
    }

    #[test]
    fn a_purge_stands_alone_and_the_order_is_kept() {
        let mut queue: VecDeque<_> = [
            WriteOperation::Destroy(id(1)),
            WriteOperation::Destroy(id(2)),
            WriteOperation::Purge(Timeouts::default(), 1),
            WriteOperation::Purge(Timeouts::default(), 1),
            WriteOperation::Destroy(id(3)),
        ]
        .into_iter()
        .map(write)
        .collect();
        let mut batches = Vec::new();
        while !queue.is_empty() {
            batches.push(
                take_writes(&mut queue).iter().map(|request| request.operation.id()).collect::<Vec<_>>(),
            );
        }
        assert_eq!(batches, [vec![Some(id(1)), Some(id(2))], vec![None], vec![None], vec![Some(id(3))]]);
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut queue: VecDeque<_> = (0..=BATCH).map(|_| destroy(0)).collect();
        assert_eq!(take_writes(&mut queue).len(), BATCH);
        assert_eq!(take_writes(&mut queue).len(), 1);
        assert!(take_writes(&mut queue).is_empty());
    }

    #[tokio::test]
    async fn one_worker_serves_an_idle_store() {
        let started = StartedWorkers::new(true);
        assert_eq!(started.load(load(1)), 1);
        assert_eq!(started.next(WorkerRole::Writer), Some((1, 0)));
        assert_eq!(started.load(load(2)), 0, "this runtime takes part already");
        assert_eq!(started.next(WorkerRole::Writer), Some((1, 0)));
        assert_eq!(started.next(WorkerRole::Writer), None);
        assert_eq!(started.write(destroy(3)), 1, "it was idle");
        assert_eq!(started.roles(), [WorkerRole::Writer; 2]);
    }

    #[tokio::test]
    async fn loads_go_to_the_reader_while_a_write_is_under_way() {
        let started = StartedWorkers::new(true);
        started.write(destroy(1));
        assert_eq!(started.next(WorkerRole::Writer), Some((0, 1)));
        assert_eq!(started.load(load(2)), 1);
        assert_eq!(started.roles(), [WorkerRole::Writer, WorkerRole::Reader]);
        started.write(destroy(3));
        assert_eq!(started.next(WorkerRole::Writer), Some((0, 1)), "the loads are left to the reader");
        assert_eq!(started.next(WorkerRole::Reader), Some((1, 0)));
        started.load(load(4));
        started.write(destroy(5));
        assert_eq!(started.next(WorkerRole::Reader), Some((1, 0)));
        assert_eq!(started.next(WorkerRole::Reader), None);
        assert_eq!(started.next(WorkerRole::Writer), Some((0, 1)));
        assert_eq!(started.next(WorkerRole::Writer), None);
    }

    #[tokio::test]
    async fn the_writer_takes_loads_along_while_the_reader_is_idle() {
        for has_reader in [false, true] {
            let started = StartedWorkers::new(has_reader);
            started.load(load(1));
            started.write(destroy(2));
            assert_eq!(started.next(WorkerRole::Writer), Some((1, 1)));
            assert_eq!(started.roles(), [WorkerRole::Writer]);
        }
    }

    #[tokio::test]
    async fn many_loads_get_the_reader_unless_the_database_is_in_memory() {
        for (has_reader, readers) in [(false, 0), (true, 1)] {
            let started = StartedWorkers::new(has_reader);
            for byte in 1..20 {
                started.load(load(byte));
            }
            let reader = started.roles().into_iter().filter(|role| *role == WorkerRole::Reader);
            assert_eq!(reader.count(), readers);
        }
    }

    #[tokio::test]
    async fn a_stopped_worker_answers_what_no_other_takes() {
        let started = StartedWorkers::new(true);
        let (reply, mut loaded) = oneshot::channel();
        assert_eq!(started.load(LoadRequest { id: id(1), with_fields: false, reply }), 1);
        let (reply, mut destroyed) = oneshot::channel();
        let request = WriteRequest { operation: WriteOperation::Destroy(id(2)), optimistic: None, reply };
        assert_eq!(started.write(request), 0);
        started.queue.stop(WorkerRole::Writer, StoreConnection::default());
        assert!(loaded.try_recv().unwrap().is_err());
        assert!(destroyed.try_recv().unwrap().is_err());
        assert_eq!(started.load(load(3)), 1, "the next request starts it again");
    }
}
