//! The three sources of connections: a server, a pool, and the primary that Sentinels name.

use std::{fmt, sync::Arc, time::Duration};

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use redis::RedisError;

use super::{
    connection::RedisConnection, connector::ServerConnector, error_class, sentinel::Sentinels,
    url::ServerAddress,
};

/// A source of connections.
pub(super) enum ConnectionSource {
    /// One server.
    Server { connector: Arc<ServerConnector>, address: ServerAddress },
    /// The manager of a pool. The connections are not the pool's own: another borrower may leave one of those in a
    /// `MULTI` or block it with a `BLPOP`.
    Pool(Pool<RedisConnectionManager>),
    /// The primary that one of the Sentinels names at the time.
    Sentinel(Sentinels),
}

impl ConnectionSource {
    pub(super) async fn connect(&self) -> Result<RedisConnection, RedisError> {
        match self {
            Self::Server { connector, address } => connector.connect(address).await,
            Self::Pool(pool) => {
                let connected = pool.dedicated_connection().await;
                let mut multiplexed = connected.map_err(error_class::of_connection)?;
                // The store limits the time of a reply itself; the pool's default is half a second.
                multiplexed.set_response_timeout(UNLIMITED);
                Ok(RedisConnection::new(multiplexed, Arc::default(), None))
            }
            Self::Sentinel(sentinels) => sentinels.connect().await,
        }
    }
}

/// A time that is longer than any timeout of the store.
const UNLIMITED: Duration = Duration::from_hours(24);

impl fmt::Debug for ConnectionSource {
    /// Shows neither address nor user: they come from a URL with a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server { .. } => "Server",
            Self::Pool(_) => "Pool",
            Self::Sentinel(_) => "Sentinel",
        })
    }
}
