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
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, PushInfo, PushKind, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    sentinel::SentinelClient,
};
use tokio::{sync::Mutex, task::JoinSet};

/// Where connections come from.
pub(super) enum Source {
    Server {
        client: Box<Client>,
        config: AsyncConnectionConfig,
    },
    /// Connections made by a pool's manager, but not the pool's own: whoever borrows one of those
    /// may be in a `MULTI` or wait in a `BLPOP`.
    Pool(Pool<RedisConnectionManager>),
    /// The primary that one of the sentinels names at the time.
    Sentinel {
        sentinels: Vec<Arc<Mutex<SentinelClient>>>,
        config: AsyncConnectionConfig,
    },
}

impl Source {
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        match self {
            Self::Server { client, config } => open(client, config).await,
            Self::Pool(pool) => {
                let mut multiplexed = pool.dedicated_connection().await?;
                // The time that a reply may take is kept by the store, not by the pool's half second.
                multiplexed.set_response_timeout(LONG);
                Ok(Connection { multiplexed, is_closed: Arc::default() })
            }
            Self::Sentinel { sentinels, config } => open(&primary(sentinels).await?, config).await,
        }
    }
}

/// Longer than anybody waits.
const LONG: Duration = Duration::from_hours(24);

/// Opens a connection that tells when it has ended. It does so in version 3 of the protocol only.
async fn open(client: &Client, config: &AsyncConnectionConfig) -> Result<Connection, RedisError> {
    let is_closed = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_closed);
    let config = config.clone().set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            told.store(true, Ordering::Relaxed);
        }
        Ok::<_, RedisError>(())
    });
    let multiplexed = client.get_multiplexed_async_connection_with_config(&config).await?;
    Ok(Connection { multiplexed, is_closed })
}

/// The primary that the first sentinel to answer names: any of them may be silent.
async fn primary(sentinels: &[Arc<Mutex<SentinelClient>>]) -> Result<Client, RedisError> {
    let mut asked = JoinSet::new();
    for sentinel in sentinels {
        let sentinel = Arc::clone(sentinel);
        asked.spawn(async move { sentinel.lock().await.async_get_client().await });
    }
    let mut last = (ErrorKind::EmptySentinelList, "there are no sentinels to ask").into();
    while let Some(answered) = asked.join_next().await {
        match answered {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

impl fmt::Debug for Source {
    /// No address and no user: they come from a URL with a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server { .. } => "Server",
            Self::Pool(_) => "Pool",
            Self::Sentinel { .. } => "Sentinel",
        })
    }
}

/// A connection that any number of requests share.
#[derive(Clone)]
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    is_closed: Arc<AtomicBool>,
}

impl Connection {
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
