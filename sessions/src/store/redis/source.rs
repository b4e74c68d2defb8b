//! Where connections come from.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use redis::{
    Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::task::AbortHandle;

use super::{address::Place, dial::Dial, failure, sentinel::Sentinels};

/// Where connections come from.
pub(super) enum Source {
    Server {
        dial: Arc<Dial>,
        place: Place,
    },
    /// Connections made by a pool's manager, but not the pool's own: whoever borrows one of those
    /// may be in a `MULTI` or wait in a `BLPOP`.
    Pool(Pool<RedisConnectionManager>),
    /// The primary that one of the sentinels names at the time.
    Sentinel(Sentinels),
}

impl Source {
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        match self {
            Self::Server { dial, place } => dial.connect(place).await,
            Self::Pool(pool) => {
                let connected = pool.dedicated_connection().await;
                let mut multiplexed = connected.map_err(failure::of_connection)?;
                // The time that a reply may take is kept by the store, not by the pool's half second.
                multiplexed.set_response_timeout(LONG);
                Ok(Connection::new(multiplexed, Arc::default(), None))
            }
            Self::Sentinel(sentinels) => sentinels.connect().await,
        }
    }
}

/// Longer than anybody waits.
const LONG: Duration = Duration::from_hours(24);

impl fmt::Debug for Source {
    /// No address and no user: they come from a URL with a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server { .. } => "Server",
            Self::Pool(_) => "Pool",
            Self::Sentinel(_) => "Sentinel",
        })
    }
}

/// A connection that any number of requests share.
#[derive(Clone)]
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    is_closed: Arc<AtomicBool>,
    _driver: Option<Arc<Driver>>,
}

/// The task that reads and writes. It ends with the last that may ask for something.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// `driver` is the task of a connection that does not end it by itself.
    pub(super) fn new(
        multiplexed: MultiplexedConnection,
        is_closed: Arc<AtomicBool>,
        driver: Option<AbortHandle>,
    ) -> Self {
        Self { multiplexed, is_closed, _driver: driver.map(|driver| Arc::new(Driver(driver))) }
    }

    /// Whether it is known to have ended, so that nothing can be sent on it.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    pub(super) async fn command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        self.multiplexed.send_packed_command(command).await
    }

    /// Commands in one write.
    pub(super) async fn pipeline(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let count = commands.cmd_iter().count();
        self.multiplexed.req_packed_commands(commands, 0, count).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}
