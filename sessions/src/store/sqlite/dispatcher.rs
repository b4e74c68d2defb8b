//! Sends requests to the workers, and waits for their answers.

use std::sync::Arc;

use tokio::{runtime::Handle, sync::oneshot};

use super::{
    connection::StoreConnection,
    database::Database,
    queue::{Queue, WorkerRole},
    request::{LoadRequest, OptimisticWrite, RowText, WriteOperation, WriteOutcome, WriteRequest},
    shared_task::{ParticipantTask, SharedTask},
    worker::BatchWorker,
};
use crate::{error::Error, value::RecordId};

type ReplyReceiver<T> = oneshot::Receiver<Result<T, Error>>;

/// The way from a store to its workers. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Dispatcher {
    pub(super) database: Arc<Database>,
    queue: Arc<Queue>,
}

impl Dispatcher {
    pub(super) fn new(database: Database, connection: StoreConnection) -> Self {
        let has_reader = !database.connector.is_in_memory;
        Self { database: Arc::new(database), queue: Arc::new(Queue::new(connection, has_reader)) }
    }

    /// Reads a record, with or without its fields. Returns `None` if there is no row.
    pub(super) async fn load(&self, id: RecordId, with_fields: bool) -> Result<Option<RowText>, Error> {
        let answer = self.send_load(id, with_fields)?;
        answer.await.unwrap_or_else(|_| {
            Err(Error::unavailable("every tokio runtime that waited for this load of a session has ended"))
        })
    }

    /// Writes. Dropping the future does not undo the write: it happens wholly or not at all.
    pub(super) async fn write(&self, operation: WriteOperation) -> Result<WriteOutcome, Error> {
        let answer = self.send_write(operation)?;
        // A write that was never begun gets another answer: see `Queue::stop`.
        answer.await.unwrap_or_else(|_| {
            Err(Error::outcome_unknown(
                "every tokio runtime that waited for this write of a session has ended",
            ))
        })
    }

    fn send_load(&self, id: RecordId, with_fields: bool) -> Result<ReplyReceiver<Option<RowText>>, Error> {
        let runtime = current_runtime()?;
        let (reply, answer) = oneshot::channel();
        let request = LoadRequest { id, with_fields, reply };
        let tasks = self.queue.add_load(request, &runtime, |role, connection| self.start(role, connection));
        tasks.into_iter().flatten().for_each(ParticipantTask::spawn);
        Ok(answer)
    }

    fn send_write(&self, operation: WriteOperation) -> Result<ReplyReceiver<WriteOutcome>, Error> {
        let runtime = current_runtime()?;
        let (reply, answer) = oneshot::channel();
        let optimistic = self.prepare_optimistic(&operation).map(Box::new);
        let request = WriteRequest { operation, optimistic, reply };
        let task = self.queue.add_write(request, &runtime, |role, connection| self.start(role, connection));
        task.into_iter().for_each(ParticipantTask::spawn);
        Ok(answer)
    }

    /// Applies a commit to its record as this process read it last, in the caller's task.
    fn prepare_optimistic(&self, operation: &WriteOperation) -> Option<OptimisticWrite> {
        let WriteOperation::Commit(id, commit) = operation else { return None };
        OptimisticWrite::new(commit, self.database.recent_reads.take(*id)?, self.database.clock.now())
    }

    fn start(&self, role: WorkerRole, connection: StoreConnection) -> Arc<SharedTask> {
        let worker = BatchWorker::new(Arc::clone(&self.database), Arc::clone(&self.queue), role, connection);
        SharedTask::new(worker.run())
    }
}

fn current_runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| {
        Error::unavailable("`SqliteStore` was used outside of a tokio runtime; call it from a task of one")
    })
}
