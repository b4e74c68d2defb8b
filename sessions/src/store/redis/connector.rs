//! Opens a connection: TCP or a Unix socket, TLS, and the login.
//!
//! # Design
//!
//! The client library takes any stream, so the store opens connections itself. The client library's own way has four
//! faults:
//!
//! - It asks rustls for the process's default cryptography. A program with no default, or with two, panics there.
//! - It can verify no name but the address.
//! - Its Sentinel client needs TLS switched on for Sentinels and for Redis each, or speaks plain text.
//! - It connects to a primary twice.
//!
//! Connections speak version 3 of the protocol. With it the client library reports when a connection has ended. So a
//! connection that ended while it was idle is not used for a commit, which cannot be repeated.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection,
    io::tcp::socket2::{SockRef, TcpKeepalive},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    connection::RedisConnection,
    error_class,
    login::{LoginSource, RedisLogin},
    url::ServerAddress,
};
#[cfg(feature = "redis-tls")]
use crate::store::tls::Tls;

/// The settings for connections to servers that are reached alike.
pub(super) struct ServerConnector {
    #[cfg(feature = "redis-tls")]
    pub(super) tls: Option<Tls>,
    pub(super) login: LoginSource,
    pub(super) database: u32,
}

/// A byte stream of any kind: TCP, TLS or a Unix socket.
trait RedisStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> RedisStream for T {}

impl ServerConnector {
    /// Opens a connection that reports when it has ended, which takes version 3 of the protocol.
    pub(super) async fn connect(&self, address: &ServerAddress) -> Result<RedisConnection, RedisError> {
        let is_closed = Arc::new(AtomicBool::new(false));
        let reported = Arc::clone(&is_closed);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                reported.store(true, Ordering::Relaxed);
            }
            Ok::<_, RedisError>(())
        });
        self.open(address, ProtocolVersion::RESP3, config, is_closed).await
    }

    /// Opens a connection for a few questions, to a Sentinel too.
    pub(super) async fn connect_briefly(
        &self,
        address: &ServerAddress,
    ) -> Result<RedisConnection, RedisError> {
        self.open(address, ProtocolVersion::RESP2, AsyncConnectionConfig::new(), Arc::default()).await
    }

    async fn open(
        &self,
        address: &ServerAddress,
        protocol: ProtocolVersion,
        config: AsyncConnectionConfig,
        is_closed: Arc<AtomicBool>,
    ) -> Result<RedisConnection, RedisError> {
        // `RedisClient` limits the time of a reply.
        let config = config.set_response_timeout(None);
        let stream = self.stream(address).await.map_err(error_class::of_io)?;
        // Only now, when the server is reached: a password may be valid for a minute only.
        let login = self.login.login().await?;
        // The first write holds nothing but the login. If a server refuses all of a longer write and hangs up, the
        // client library misses the other replies and never looks at the one to the login.
        let mut settings = RedisConnectionInfo::default().set_protocol(protocol).set_skip_set_lib_name();
        if let Some(RedisLogin { user, password }) = login {
            settings = settings.set_password(password);
            if let Some(user) = user {
                settings = settings.set_username(user);
            }
        }
        let connected = MultiplexedConnection::new_with_config(&settings, stream, config).await;
        // In TLS 1.3 a server refuses a client certificate in its answer to the first data that is sent.
        let (multiplexed, driver) = connected.map_err(error_class::of_connection)?;
        let driver = tokio::spawn(driver).abort_handle();
        let mut connection = RedisConnection::new(multiplexed, is_closed, Some(driver));
        if self.database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(self.database);
            connection.command(&select).await?.extract_error()?;
        }
        Ok(connection)
    }

    async fn stream(&self, address: &ServerAddress) -> io::Result<Box<dyn RedisStream>> {
        match address {
            ServerAddress::Tcp(host, port) => {
                let stream = tcp(host, *port).await?;
                #[cfg(feature = "redis-tls")]
                if let Some(tls) = &self.tls {
                    return Ok(Box::new(tls.over(host, stream).await?));
                }
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            ServerAddress::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Debug for ServerConnector {
    /// Shows no login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnector").field("database", &self.database).finish_non_exhaustive()
    }
}

/// Returns the keepalive settings. The system's own times are hours and minutes. Some systems take no interval.
fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd", target_os = "windows"))]
    let keepalive = keepalive.with_interval(KEEPALIVE / 3);
    keepalive
}

/// The time without traffic after which the system sends a keepalive packet.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Connects to the first of a host's addresses that answers: another one may lead nowhere.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in tokio::net::lookup_host((host, port)).await? {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(stream)) => {
                // Small packets leave at once. Keepalive keeps idle connections known to firewalls on the way, and
                // ends those that a firewall has forgotten.
                stream.set_nodelay(true)?;
                SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_are_not_held_back_and_connections_are_kept_alive() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = tcp("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}
