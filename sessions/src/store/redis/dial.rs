//! Opening a connection: TCP or a Unix socket, TLS, and logging in.
//!
//! The client library could do that. It asks rustls for the process's default cryptography, which a program may not
//! have, or have two of; it knows no name to verify but the address; its sentinels send passwords without TLS.

use std::{
    error::Error as StdError,
    fmt, io,
    pin::Pin,
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

use super::{address::Place, failure, source::Connection};
#[cfg(feature = "redis-tls")]
use crate::store::tls::Tls;

/// How to connect, to any of the servers that are alike.
pub(super) struct Dial {
    #[cfg(feature = "redis-tls")]
    pub(super) tls: Option<Tls>,
    pub(super) login: Login,
    pub(super) database: u32,
}

/// Who we are.
#[derive(Clone)]
pub(super) enum Login {
    /// Whoever connects.
    Nobody,
    As(RedisLogin),
    /// Asked anew for each connection.
    Provided(Provider),
}

/// A user and password of Redis.
#[derive(Clone)]
pub struct RedisLogin {
    user: Option<String>,
    password: String,
}

/// Tells user and password.
pub(super) type Provider =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<RedisLogin, BoxError>> + Send>> + Send + Sync>;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

impl RedisLogin {
    /// This user, with this password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some(user.into()), password: password.into() }
    }

    /// The user `default`, with this password (`requirepass`).
    pub fn with_password(password: impl Into<String>) -> Self {
        Self { user: None, password: password.into() }
    }

    #[cfg(test)]
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl fmt::Debug for RedisLogin {
    /// Neither.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLogin").finish_non_exhaustive()
    }
}

/// A connection of any kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Dial {
    /// Opens a connection that tells when it has ended. It does so in version 3 of the protocol only.
    pub(super) async fn connect(&self, place: &Place) -> Result<Connection, RedisError> {
        let is_closed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_closed);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                told.store(true, Ordering::Relaxed);
            }
            Ok::<_, RedisError>(())
        });
        self.open(place, ProtocolVersion::RESP3, config, is_closed).await
    }

    /// Opens a connection for a few questions, to a Sentinel too.
    pub(super) async fn connect_briefly(&self, place: &Place) -> Result<Connection, RedisError> {
        self.open(place, ProtocolVersion::RESP2, AsyncConnectionConfig::new(), Arc::default()).await
    }

    async fn open(
        &self,
        place: &Place,
        protocol: ProtocolVersion,
        config: AsyncConnectionConfig,
        is_closed: Arc<AtomicBool>,
    ) -> Result<Connection, RedisError> {
        // The time that a reply may take is kept by `Client`.
        let config = config.set_response_timeout(None);
        let stream = self.stream(place).await.map_err(failure::of_io)?;
        // Now, when the server is there: a password may be good for a minute only.
        let login = self.login().await?;
        // Nothing but the login in the first write: where the server says no to all of it and hangs up, the client
        // library would miss the other replies, and never look at that one.
        let mut settings = RedisConnectionInfo::default().set_protocol(protocol).set_skip_set_lib_name();
        if let Some(RedisLogin { user, password }) = login {
            settings = settings.set_password(password);
            if let Some(user) = user {
                settings = settings.set_username(user);
            }
        }
        let connected = MultiplexedConnection::new_with_config(&settings, stream, config).await;
        // With TLS 1.3 a server's no to our certificate comes as the answer to the first thing that is said.
        let (multiplexed, driver) = connected.map_err(failure::of_connection)?;
        let driver = tokio::spawn(driver).abort_handle();
        let mut connection = Connection::new(multiplexed, is_closed, Some(driver));
        if self.database != 0 {
            let mut select = redis::cmd("SELECT");
            select.arg(self.database);
            connection.command(&select).await?.extract_error()?;
        }
        Ok(connection)
    }

    async fn login(&self) -> Result<Option<RedisLogin>, RedisError> {
        match &self.login {
            Login::Nobody => Ok(None),
            Login::As(login) => Ok(Some(login.clone())),
            Login::Provided(provider) => {
                provider().await.map(Some).map_err(|error| failure::NoLogin(error).into())
            }
        }
    }

    async fn stream(&self, place: &Place) -> io::Result<Box<dyn Stream>> {
        match place {
            Place::Tcp(host, port) => {
                let stream = tcp(host, *port).await?;
                #[cfg(feature = "redis-tls")]
                if let Some(tls) = &self.tls {
                    return Ok(Box::new(tls.over(host, stream).await?));
                }
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Place::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        }
    }
}

impl fmt::Debug for Dial {
    /// No login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("database", &self.database).finish_non_exhaustive()
    }
}

/// The system's own times are hours and minutes. Not all systems let the second be said.
fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd", target_os = "windows"))]
    let keepalive = keepalive.with_interval(KEEPALIVE / 3);
    keepalive
}

/// After how long without traffic a connection is kept alive.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Connects to the first of a host's addresses that answers: one of them may lead nowhere.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in tokio::net::lookup_host((host, port)).await? {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(stream)) => {
                // A packet is not held back until the last one was acknowledged; and idle connections are kept alive in
                // whatever is on the way, and end when that has forgotten them.
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
