//! Builds a Redis store.

use std::{fmt, sync::Arc, time::Duration};

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use redis::{
    AsyncConnectionConfig, Client as RedisClient, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisError,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use tokio::sync::Mutex;

use super::{
    RedisStore,
    client::{Client, Servers},
    cluster::{Address, Cluster},
    failure::Failure,
    lanes::Lanes,
    source::Source,
};
use crate::{
    clock::{AnyClock, Clock},
    error::Error,
    store::hash::Prefix,
};

/// Options of a [`RedisStore`].
///
/// ```no_run
/// use std::time::Duration;
///
/// use sessions::store::RedisStoreBuilder;
///
/// # async fn connect() -> Result<(), sessions::Error> {
/// let store = RedisStoreBuilder::url("redis://localhost:6379")
///     .with_user("sessions", "correct horse")
///     .with_database(2)
///     .with_prefix("shop:")?
///     .with_timeout(Duration::from_secs(2))
///     .connect()
///     .await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct RedisStoreBuilder {
    target: Target,
    prefix: Prefix,
    clock: Option<AnyClock>,
    user: Option<String>,
    password: Option<String>,
    database: Option<i64>,
    connections: usize,
    connect_timeout: Duration,
    timeout: Duration,
    #[cfg(feature = "redis-tls")]
    root_certificate: Option<Vec<u8>>,
}

const LONGEST_TIMEOUT: Duration = Duration::from_hours(24);

const MOST_CONNECTIONS: usize = 1000;

#[derive(Clone)]
enum Target {
    Server(String),
    Pool(Pool<RedisConnectionManager>),
    Cluster(Vec<String>),
    Sentinel { urls: Vec<String>, service: String },
}

impl RedisStoreBuilder {
    /// One server: `redis://user:password@host:port/database`, or `rediss://…` over TLS (feature
    /// `redis-tls`), or `redis+unix:///path`.
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(Target::Server(url.into()))
    }

    /// The server of a pool. See [`RedisStore::from_pool`].
    pub fn pool(pool: Pool<RedisConnectionManager>) -> Self {
        Self::new(Target::Pool(pool))
    }

    /// A Redis Cluster, of which these nodes are asked for the others.
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self::new(Target::Cluster(urls.into_iter().map(Into::into).collect()))
    }

    /// The primary that Sentinels at these URLs name under this service name. User, password and
    /// database in the URLs are those of the Sentinels; for Redis set them with
    /// [`with_user`](Self::with_user), [`with_password`](Self::with_password) and
    /// [`with_database`](Self::with_database).
    pub fn sentinel<U: Into<String>>(urls: impl IntoIterator<Item = U>, service: impl Into<String>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self::new(Target::Sentinel { urls, service: service.into() })
    }

    /// Begins all keys with this, `sess:` by default.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than 64 bytes, or has other characters than letters, digits, `:`, `.`,
    /// `_`, `-` and `/`: patterns would widen an ACL, and braces would put every session on one node
    /// of a cluster.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, Error> {
        self.prefix = Prefix::new(prefix)?;
        Ok(self)
    }

    /// Logs in as this user.
    pub fn with_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }

    /// Logs in with a password alone (`requirepass`).
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Uses this database, 0 by default. A cluster has no other.
    pub fn with_database(mut self, database: u32) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Opens so many connections, two by default, to each server, shared by all requests.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How long opening a connection may take: two seconds by default.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an operation may take in all, connecting and waiting for a failover included: five
    /// seconds by default. Then the request fails with 503.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts servers with a certificate of this authority, in PEM form.
    #[cfg(feature = "redis-tls")]
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificate = Some(pem.into());
        self
    }

    /// Reads the time from `clock` in place of the server, for tests.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(AnyClock::new(clock));
        self
    }

    /// Connects, and tries whether the store may do there what it needs to.
    ///
    /// # Errors
    ///
    /// With the kind [`Config`](crate::ErrorKind::Config) if a URL or another option makes no sense
    /// or the server refuses us; [`Unavailable`](crate::ErrorKind::Unavailable) if it does not
    /// answer.
    pub async fn connect(self) -> Result<RedisStore, Error> {
        self.check()?;
        let client = Client::new(self.servers().map_err(misconfigured)?, self.timeout);
        let store = RedisStore { client: Arc::new(client), prefix: self.prefix.into(), clock: self.clock };
        store.probe().await.map_err(Failure::into_opening)?;
        #[cfg(feature = "tracing")]
        store.warn_of_eviction().await;
        Ok(store)
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            prefix: Prefix::default(),
            clock: None,
            user: None,
            password: None,
            database: None,
            connections: 2,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            #[cfg(feature = "redis-tls")]
            root_certificate: None,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let is_odd = |timeout: Duration| timeout.is_zero() || timeout > LONGEST_TIMEOUT;
        if is_odd(self.timeout) || is_odd(self.connect_timeout) {
            return Err(Error::config("a timeout is more than nothing and at most a day"));
        }
        if self.connections == 0 || self.connections > MOST_CONNECTIONS {
            return Err(Error::config(format!(
                "`with_connections` takes one to {MOST_CONNECTIONS}; two are enough for most"
            )));
        }
        Ok(())
    }

    fn servers(&self) -> Result<Servers, RedisError> {
        // The time that a reply may take is kept by `Client`.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None);
        let is_sentinel = matches!(self.target, Target::Sentinel { .. });
        let source = match &self.target {
            Target::Server(url) => Source::Server { client: self.open(url)?.into(), config },
            Target::Pool(pool) => Source::Pool(pool.clone()),
            Target::Cluster(urls) => return self.nodes(urls, &config),
            Target::Sentinel { urls, service } => {
                let mut nodes = Vec::with_capacity(urls.len());
                for url in urls {
                    nodes.push(url.as_str().into_connection_info()?);
                }
                let login = self.login("redis://localhost".into_connection_info()?);
                let primary = SentinelNodeConnectionInfo::default()
                    .set_redis_connection_info(login.redis_settings().clone());
                let sentinel = |node| {
                    let (service, primary) = (service.clone(), Some(primary.clone()));
                    let client =
                        SentinelClient::build(vec![node], service, primary, SentinelServerType::Master)?;
                    Ok::<_, RedisError>(Arc::new(Mutex::new(client)))
                };
                let sentinels = nodes.into_iter().map(sentinel).collect::<Result<_, _>>()?;
                Source::Sentinel { sentinels, config }
            }
        };
        // A sentinel is asked first.
        let connect_timeout = self.connect_timeout * if is_sentinel { 2 } else { 1 };
        Ok(Servers::One(Arc::new(Lanes::new(source, "", self.connections, connect_timeout))))
    }

    fn nodes(&self, urls: &[String], config: &AsyncConnectionConfig) -> Result<Servers, RedisError> {
        let mut seeds = Vec::with_capacity(urls.len());
        let mut first = None;
        for url in urls {
            let info = self.login(url.as_str().into_connection_info()?);
            if info.redis_settings().db() != 0 {
                let what = "a cluster has no database but 0: SELECT is not allowed";
                return Err((redis::ErrorKind::InvalidClientConfig, what).into());
            }
            match info.addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    seeds.push((host.clone(), *port));
                }
                _ => {}
            }
            first.get_or_insert(info);
        }
        let Some(first) = first.filter(|_| seeds.len() == urls.len()) else {
            return Err((redis::ErrorKind::InvalidClientConfig, "a cluster has hosts and ports").into());
        };
        let config = config.clone();
        #[cfg(feature = "redis-tls")]
        let certificate = self.root_certificate.clone();
        // All nodes are logged in to alike.
        let open = move |(host, port): &Address| {
            let mut address = first.addr().clone();
            match &mut address {
                ConnectionAddr::Tcp(old_host, old_port)
                | ConnectionAddr::TcpTls { host: old_host, port: old_port, .. } => {
                    (*old_host, *old_port) = (host.clone(), *port);
                }
                _ => {}
            }
            let info = first.clone().set_addr(address);
            #[cfg(feature = "redis-tls")]
            if let Some(pem) = &certificate {
                let client = RedisClient::build_with_tls(info, certificates(pem))?;
                return Ok(Source::Server { client: client.into(), config: config.clone() });
            }
            Ok(Source::Server { client: RedisClient::open(info)?.into(), config: config.clone() })
        };
        let patience = self.connect_timeout;
        Ok(Servers::Cluster(Arc::new(Cluster::new(seeds, self.connections, patience, open))))
    }

    fn open(&self, url: &str) -> Result<RedisClient, RedisError> {
        let info = self.login(url.into_connection_info()?);
        #[cfg(feature = "redis-tls")]
        if let Some(pem) = &self.root_certificate {
            return RedisClient::build_with_tls(info, certificates(pem));
        }
        RedisClient::open(info)
    }

    /// The same with the user, password and database that were set beside the URL.
    fn login(&self, info: ConnectionInfo) -> ConnectionInfo {
        // In version 3 a connection tells when it has ended.
        let mut settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database);
        }
        info.set_redis_settings(settings)
    }
}

impl fmt::Debug for RedisStoreBuilder {
    /// No URL and no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "redis-tls")]
fn certificates(pem: &[u8]) -> redis::TlsCertificates {
    redis::TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) }
}

fn misconfigured(error: RedisError) -> Error {
    if error.to_string().contains("SELECT") {
        return Failure::Refused(error).into_opening();
    }
    Error::config(
        "the address of the session store makes no sense; write it like `redis://user:password@host:6379/0`, \
         with what is special in a password percent-encoded or set by `with_user`; `rediss://` needs the \
         feature `redis-tls` of `sessions`",
    )
    .with_source(error)
}
