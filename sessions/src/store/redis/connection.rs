//! A connection to Redis that any number of requests share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redis::{
    Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::task::AbortHandle;

/// A connection that any number of requests share. A clone is the same connection.
#[derive(Clone)]
pub(super) struct RedisConnection {
    multiplexed: MultiplexedConnection,
    is_closed: Arc<AtomicBool>,
    _driver: Option<Arc<DriverTask>>,
}

/// The task that reads and writes. It ends with the last clone of its connection.
struct DriverTask(AbortHandle);

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl RedisConnection {
    /// Wraps a connection of the client library.
    ///
    /// `driver` is the task of a connection that does not end that task by itself.
    pub(super) fn new(
        multiplexed: MultiplexedConnection,
        is_closed: Arc<AtomicBool>,
        driver: Option<AbortHandle>,
    ) -> Self {
        Self { multiplexed, is_closed, _driver: driver.map(|driver| Arc::new(DriverTask(driver))) }
    }

    /// Returns true if the connection is known to have ended, so that nothing can be sent on it.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Sends one command and returns its reply, which may be an error of the server.
    pub(super) async fn command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        self.multiplexed.send_packed_command(command).await
    }

    /// Sends several commands in one write and returns their replies in order.
    pub(super) async fn pipeline(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let count = commands.cmd_iter().count();
        self.multiplexed.req_packed_commands(commands, 0, count).await
    }
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConnection").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}
