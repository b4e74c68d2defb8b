//! Where connections come from.

use std::fmt;

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::SingleNodeRoutingInfo,
    sentinel::SentinelClient,
};
use tokio::sync::Mutex;

/// Where connections come from.
pub(super) enum Source {
    Server { client: Client, config: AsyncConnectionConfig },
    /// Connections made by a pool's manager, but not the pool's own: whoever borrows one of those
    /// may be in a `MULTI` or wait in a `BLPOP`.
    Pool(Pool<RedisConnectionManager>),
    /// The primary that the sentinels name at the time.
    Sentinel { client: Box<Mutex<SentinelClient>>, config: AsyncConnectionConfig },
    Cluster(ClusterClient),
}

impl Source {
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        Ok(match self {
            Self::Server { client, config } => {
                Connection::Server(client.get_multiplexed_async_connection_with_config(config).await?)
            }
            Self::Pool(pool) => Connection::Server(pool.dedicated_connection().await?),
            Self::Sentinel { client, config } => {
                let mut client = client.lock().await;
                Connection::Server(client.get_async_connection_with_config(config).await?)
            }
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

impl fmt::Debug for Source {
    /// No address and no user: they come from a URL with a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server { .. } => "Server",
            Self::Pool(_) => "Pool",
            Self::Sentinel { .. } => "Sentinel",
            Self::Cluster(_) => "Cluster",
        })
    }
}

/// A connection that any number of requests share.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    /// Whether it looks after its own connections.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) async fn command(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }

    /// Commands in one write, all to the node of the first key.
    pub(super) async fn pipeline(&mut self, commands: &Pipeline) -> Result<Vec<Value>, RedisError> {
        let count = commands.cmd_iter().count();
        match self {
            Self::Server(connection) => connection.req_packed_commands(commands, 0, count).await,
            Self::Cluster(connection) => connection.req_packed_commands(commands, 0, count).await,
        }
    }

    /// The same at the node of a cluster to which another one sent us with `ASK`.
    pub(super) async fn asking(
        &mut self,
        address: &str,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, RedisError> {
        let node = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (Self::Cluster(connection), Some((host, port))) = (&mut *self, node) else {
            return self.pipeline(commands).await;
        };
        let count = commands.cmd_iter().count();
        let node = SingleNodeRoutingInfo::ByAddress { host: host.into(), port };
        connection.route_pipeline(commands.clone(), 0, count, node).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_cluster() { "Cluster" } else { "Server" })
    }
}
