//! The options of a Redis store, and opening it.

use std::{fmt, sync::Arc, time::Duration};

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use tokio::time::{Instant, sleep};

use super::{
    client::RedisClient,
    deployment::{Deployment, DeploymentOptions},
    login::{BoxError, RedisLogin},
    store::RedisStore,
};
use crate::{
    clock::{AnyClock, Clock},
    error::{Error, ErrorKind},
    store::hash::Prefix,
};

/// The options of a [`RedisStore`].
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
    servers: DeploymentOptions,
    prefix: Prefix,
    clock: Option<AnyClock>,
    timeout: Duration,
    start_timeout: Option<Duration>,
}

const LONGEST_TIMEOUT: Duration = Duration::from_hours(24);

const MAX_CONNECTIONS: usize = 1000;

/// The pause before the next attempt to open the store.
const START_PAUSE: Duration = Duration::from_millis(100);

/// Opening a store.
impl RedisStore {
    /// Connects to one server: `redis://user:password@host:port/database`.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Returns a builder with more options for one server.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::url(url)
    }

    /// Connects to a Redis Cluster. The nodes at these URLs name the others.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Result<Self, Error> {
        RedisStoreBuilder::cluster(urls).connect().await
    }

    /// Connects to the primary that Sentinels at these URLs name under this service name, and to the next one after a
    /// failover.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn sentinel<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        service: impl Into<String>,
    ) -> Result<Self, Error> {
        RedisStoreBuilder::sentinel(urls, service).connect().await
    }

    /// Connects with the settings of a pool. The connections are the store's own, since all requests share them:
    /// another borrower of the pool may leave its connection in a `MULTI` or block it with a `BLPOP`.
    ///
    /// TLS is the pool's matter too. It takes a feature of your `redis` dependency, and the process's default
    /// cryptography.
    ///
    /// # Errors
    ///
    /// See [`RedisStoreBuilder::connect`].
    pub async fn from_pool(pool: Pool<RedisConnectionManager>) -> Result<Self, Error> {
        RedisStoreBuilder::pool(pool).connect().await
    }
}

impl RedisStoreBuilder {
    /// Creates a builder for one server: `redis://user:password@host:port/database`, or `rediss://…` over TLS (feature
    /// `redis-tls`), or `redis+unix:///path?db=database&user=user&pass=password`.
    ///
    /// [`connect`](Self::connect) refuses a URL with a part that it does not know: an unknown option, a user without a
    /// password, `#insecure`. Certificates are always checked.
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(Deployment::Server(url.into()))
    }

    /// Creates a builder for the server of a pool, with the pool's TCP settings. See [`RedisStore::from_pool`].
    pub fn pool(pool: Pool<RedisConnectionManager>) -> Self {
        Self::new(Deployment::Pool(pool))
    }

    /// Creates a builder for a Redis Cluster. The nodes at these URLs name the others.
    ///
    /// All URLs have the same login. Either all are `redis://…`, or all are `rediss://…`: then every node is reached
    /// over TLS.
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self::new(Deployment::Cluster(urls.into_iter().map(Into::into).collect()))
    }

    /// Creates a builder for the primary that Sentinels at these URLs name under this service name. The default port is
    /// 26379.
    ///
    /// User and password in the URLs are those of the Sentinels. For Redis set them with
    /// [`with_user`](Self::with_user) or [`with_password`](Self::with_password), and the database with
    /// [`with_database`](Self::with_database).
    ///
    /// Either all URLs are `redis://…`, or all are `rediss://…`. With `rediss://` Sentinels and Redis are reached over
    /// TLS, with the same certificates, and a primary without TLS is refused. So Sentinels must name its TLS port
    /// (`tls-replication yes`). Its certificate must be for the address that they name, or for the name given to
    /// [`with_tls_name`](Self::with_tls_name).
    pub fn sentinel<U: Into<String>>(urls: impl IntoIterator<Item = U>, service: impl Into<String>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self::new(Deployment::Sentinel { urls, service: service.into() })
    }

    /// Begins all keys with this prefix, `sess:` by default: 1 to 64 letters, digits, `:`, `.`, `_`, `-` and `/`.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the prefix is empty, longer, or has other characters. The characters of
    /// patterns would widen an ACL, and braces would put every session on one node of a cluster.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, Error> {
        self.prefix = Prefix::new(prefix)?;
        Ok(self)
    }

    /// Logs in as this user.
    pub fn with_user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.servers.user = Some(user.into());
        self.servers.password = Some(password.into());
        self
    }

    /// Logs in with a password alone (`requirepass`).
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.servers.password = Some(password.into());
        self
    }

    /// Calls `provider` for user and password before each new connection. Use it for passwords that change while the
    /// program runs, such as tokens of a cloud's identity service.
    ///
    /// The provider has [`with_connect_timeout`](Self::with_connect_timeout) to answer. If it fails, it is called
    /// again while the request has time. A login that Redis refuses fails the request.
    ///
    /// Open connections stay as they are. A server that closes them when their token expires breaks them, and some
    /// commits may then get no answer. So return tokens that are valid for long enough.
    ///
    /// ```no_run
    /// use sessions::store::{RedisLogin, RedisStoreBuilder};
    ///
    /// # async fn connect() -> Result<(), sessions::Error> {
    /// let store = RedisStoreBuilder::url("rediss://redis.internal:6379")
    ///     .with_login_provider(|| async {
    ///         // A short read from memory. Await anything slower.
    ///         let token = std::fs::read_to_string("/run/secrets/redis")?;
    ///         Ok(RedisLogin::new("sessions", token.trim_end()))
    ///     })
    ///     .connect()
    ///     .await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_login_provider<F, L>(mut self, provider: F) -> Self
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<RedisLogin, BoxError>> + Send + 'static,
    {
        self.servers.provider = Some(Arc::new(move || Box::pin(provider())));
        self
    }

    /// Uses the database with this number, 0 by default. A cluster has no other.
    pub fn with_database(mut self, database: u32) -> Self {
        self.servers.database = Some(database);
        self
    }

    /// Opens this many connections to each server, shared by all requests: 1 to 1,000, two by default.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.servers.connections = connections;
        self
    }

    /// Limits the time to open a connection: two seconds by default, at most a day.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.servers.connect_timeout = timeout;
        self
    }

    /// Limits the time of an operation, with connecting and waiting for a failover: five seconds by default, at most a
    /// day. Then the request fails with 503.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets [`connect`](Self::connect) wait this long for a server that is not ready, at most a day. The default is
    /// the time of [`with_timeout`](Self::with_timeout).
    ///
    /// A program that starts together with its Redis needs more, since Redis first loads its data. Later requests keep
    /// the shorter timeout.
    pub fn with_start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Trusts only servers and Sentinels whose certificate is signed by one of these authorities, in PEM form. By
    /// default the operating system's authorities are trusted.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the text is not PEM, or contains no certificate that can be read.
    #[cfg(feature = "redis-tls")]
    pub fn with_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.servers.tls.set_roots(pem.as_ref())?;
        Ok(self)
    }

    /// Shows this certificate, with its chain, to servers that ask for one (`tls-auth-clients yes`). Certificate and
    /// key are PEM. The key is RSA, ECDSA on P-256 or P-384, or Ed25519, and has no passphrase.
    #[cfg(feature = "redis-tls")]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.servers.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects certificates for this name from all servers and Sentinels, in place of the host by which each is
    /// reached. Use it if a cluster or Sentinels announce IP addresses that are in no certificate.
    #[cfg(feature = "redis-tls")]
    pub fn with_tls_name(mut self, name: impl Into<String>) -> Self {
        self.servers.tls.name = Some(name.into());
        self
    }

    /// Reads the time from `clock` in place of the server, for tests.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(AnyClock::new(clock));
        self
    }

    /// Connects, and tries all that the store will do there on a record that no request sees.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if a URL or another option is invalid, if the server refuses the login or
    /// a permission, or if TLS fails. It fails again until something is changed.
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the server does not answer, or is not ready: it loads its
    /// data, has too many clients or too few replicas, is out of memory, or its Sentinels or cluster know no primary.
    pub async fn connect(self) -> Result<RedisStore, Error> {
        self.check()?;
        let topology = self.servers.topology()?;
        let follows = topology.follows_primaries();
        let client = Arc::new(RedisClient::new(topology, self.timeout));
        let store = RedisStore { client, prefix: self.prefix.into(), clock: self.clock };
        let until = Instant::now() + self.start_timeout.unwrap_or(self.timeout);
        while let Err(failure) = store.probe(until).await {
            let error = failure.into_opening(follows);
            if error.kind() == ErrorKind::Config || Instant::now() + START_PAUSE >= until {
                return Err(error);
            }
            sleep(START_PAUSE).await;
        }
        #[cfg(feature = "tracing")]
        store.warn_of_eviction().await;
        Ok(store)
    }

    fn new(deployment: Deployment) -> Self {
        Self {
            servers: DeploymentOptions::new(deployment),
            prefix: Prefix::default(),
            clock: None,
            timeout: Duration::from_secs(5),
            start_timeout: None,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let is_invalid = |timeout: Duration| timeout.is_zero() || timeout > LONGEST_TIMEOUT;
        let start_timeout = self.start_timeout.unwrap_or(self.timeout);
        if is_invalid(self.timeout) || is_invalid(self.servers.connect_timeout) || is_invalid(start_timeout) {
            return Err(Error::config(
                "a timeout of the session store is zero or longer than a day: give one in between",
            ));
        }
        let connections = self.servers.connections;
        if connections == 0 || connections > MAX_CONNECTIONS {
            return Err(Error::config(format!(
                "`with_connections` of the session store was given {connections}: give 1 to {MAX_CONNECTIONS}; two are \
                 enough for most programs"
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for RedisStoreBuilder {
    /// Shows neither URL nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("connections", &self.servers.connections)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::login::LoginSource;
    #[cfg(feature = "redis-tls")]
    use crate::store::redis::topology::Topology;

    fn refused(builder: &RedisStoreBuilder, words: &str) {
        let Err(error) = builder.servers.topology() else { panic!("{words}: it is accepted") };
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(!format!("{error:?} {builder:?}").contains("sesame"), "{error:?}");
    }

    #[test]
    fn a_user_without_a_password_is_nobody_else() {
        for url in ["redis://app@host", "redis://app:@host"] {
            refused(&RedisStoreBuilder::url(url), "a user and no password");
            refused(&RedisStoreBuilder::cluster([url]), "a user and no password");
            refused(&RedisStoreBuilder::sentinel([url], "service"), "a user and no password");
            let builder = RedisStoreBuilder::url(url).with_password("sesame");
            let login = builder.servers.login(Some("app".into()), None).map_err(|error| error.to_string());
            assert!(matches!(login, Ok(LoginSource::Fixed(login)) if login.user.as_deref() == Some("app")));
            assert!(builder.servers.topology().is_ok());
        }
    }

    #[test]
    fn what_is_given_twice_is_refused() {
        let url = RedisStoreBuilder::url;
        let provider = |builder: RedisStoreBuilder| {
            builder.with_login_provider(|| async { Ok(RedisLogin::with_password("sesame")) })
        };
        refused(&url("redis://a:sesame@host").with_user("a", "sesame"), "twice");
        refused(&url("redis://:sesame@host").with_user("a", "sesame"), "twice");
        refused(&url("redis://a:sesame@host").with_password("sesame"), "twice");
        refused(&provider(url("redis://a:sesame@host")), "twice");
        refused(&provider(url("redis://a@host")), "twice");
        refused(&provider(url("redis://host").with_password("sesame")), "twice");
        refused(&url("redis://host/1").with_database(2), "twice");
        refused(&url("redis://host/?db=1").with_database(0), "twice");
        assert!(url("redis://host/1").with_database(1).servers.topology().is_ok());
        assert!(provider(url("redis://host")).servers.topology().is_ok());
        let sentinel = |url| RedisStoreBuilder::sentinel([url], "service");
        assert!(provider(sentinel("redis://a:sesame@host")).servers.topology().is_ok());
        assert!(sentinel("redis://a:sesame@host").with_user("b", "sesame").servers.topology().is_ok());
    }

    #[test]
    fn addresses_that_do_not_fit_together_are_refused() {
        refused(&RedisStoreBuilder::cluster(["redis://a:sesame@one", "redis://two"]), "alike");
        refused(&RedisStoreBuilder::cluster(["redis://one", "redis://two/1"]), "alike");
        refused(&RedisStoreBuilder::cluster(["redis://one/1", "redis://two/1"]), "database");
        refused(&RedisStoreBuilder::cluster(["redis+unix:///run/redis"]), "Unix");
        refused(&RedisStoreBuilder::cluster::<String>([]), "a cluster");
        refused(&RedisStoreBuilder::sentinel::<String>([], "service"), "Sentinels need");
        refused(&RedisStoreBuilder::sentinel(["redis://one"], ""), "Sentinels need");
        refused(&RedisStoreBuilder::sentinel(["redis://one/1"], "service"), "with_database");
        refused(
            &RedisStoreBuilder::sentinel(["redis://one", "redis://two#insecure"], "service"),
            "#insecure",
        );
    }

    #[tokio::test]
    async fn options_that_a_pool_does_not_see_are_refused() {
        let manager = RedisConnectionManager::new("redis://host").unwrap();
        let builder = || RedisStoreBuilder::pool(Pool::builder().build_unchecked(manager.clone()));
        assert!(builder().servers.topology().is_ok());
        refused(&builder().with_password("sesame"), "a pool");
        refused(&builder().with_database(1), "a pool");
        #[cfg(feature = "redis-tls")]
        refused(&builder().with_root_certificates(ROOT).unwrap(), "a pool");
    }

    #[cfg(feature = "redis-tls")]
    const ROOT: &[u8] = include_bytes!("../tls/test-root.pem");

    /// If a URL, a certificate or a name says TLS, nothing is sent in plain text.
    #[cfg(feature = "redis-tls")]
    #[test]
    fn plain_text_beside_tls_is_refused() {
        let cluster = |urls: [&'static str; 2]| RedisStoreBuilder::cluster(urls);
        let sentinel = |urls: [&'static str; 2]| RedisStoreBuilder::sentinel(urls, "service");
        let plain = ["redis://one", "redis://two"];
        for urls in [["redis://one", "rediss://two"], ["valkeys://one", "redis://two"]] {
            refused(&cluster(urls).with_root_certificates(ROOT).unwrap(), "plain text");
            refused(&sentinel(urls).with_root_certificates(ROOT).unwrap(), "plain text");
        }
        for builder in [
            RedisStoreBuilder::url("redis://host"),
            RedisStoreBuilder::url("redis+unix:///run/redis"),
            cluster(plain),
            sentinel(plain),
        ] {
            assert!(builder.servers.topology().is_ok());
            refused(&builder.clone().with_root_certificates(ROOT).unwrap(), "plain text");
            refused(&builder.clone().with_client_certificate(ROOT, "sesame"), "plain text");
            refused(&builder.with_tls_name("host"), "plain text");
        }
        // Nodes and primaries that are named later are reached like those that were given.
        let tls = ["rediss://one", "rediss://two"];
        let trusting = sentinel(tls).with_root_certificates(ROOT).unwrap();
        assert!(matches!(trusting.servers.topology(), Ok(Topology::One(_))));
        let sentinels = trusting.servers.sentinels(&tls.map(str::to_owned), "service").unwrap();
        assert!(sentinels.servers.tls.is_some());
        assert!(sentinels.asked.iter().all(|(connector, _)| connector.tls.is_some()));
    }

    #[cfg(feature = "redis-tls")]
    #[test]
    fn what_is_no_certificate_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VzYW1l\n-----END PRIVATE KEY-----\n";
        let broken = "-----BEGIN CERTIFICATE-----\nsesame\n";
        let url = || RedisStoreBuilder::url("rediss://host");
        let sentinel = || RedisStoreBuilder::sentinel(["rediss://host"], "service");
        let cluster = || RedisStoreBuilder::cluster(["rediss://host"]);
        let refused_roots = |builder: RedisStoreBuilder, pem: &str, words: &str| {
            let Err(error) = builder.with_root_certificates(pem) else { panic!("{pem:?} is accepted") };
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            assert!(error.to_string().contains(words), "{words}: {error}");
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        };
        for pem in ["", "ca.pem", "sesame", key, broken] {
            for builder in [url(), sentinel(), cluster()] {
                refused_roots(builder, pem, "no certificate");
            }
            let builder = url().with_root_certificates(ROOT).unwrap();
            refused(&builder.with_client_certificate(pem, key), "client certificate");
        }
        let not_one = "-----BEGIN CERTIFICATE-----\nc2VzYW1l\n-----END CERTIFICATE-----\n";
        refused_roots(url(), not_one, "cannot be read");
        let trusting = || url().with_root_certificates(ROOT).unwrap();
        refused(&trusting().with_client_certificate(ROOT, "key.pem"), "client certificate");
        refused(&trusting().with_client_certificate(ROOT, key), "do not fit");
        refused(&trusting().with_tls_name("a b"), "`a b`");
        let odd_host = RedisStoreBuilder::url("rediss://a..b").with_root_certificates(ROOT).unwrap();
        refused(&odd_host, "`a..b`");
        let two = url().with_root_certificates([ROOT, ROOT].concat()).unwrap();
        assert!(two.servers.topology().is_ok());
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let url = || RedisStoreBuilder::url("redis://host");
        for builder in [
            url().with_timeout(Duration::ZERO),
            url().with_connect_timeout(Duration::MAX),
            url().with_start_timeout(Duration::ZERO),
            url().with_start_timeout(Duration::MAX),
            url().with_connections(0),
        ] {
            assert_eq!(builder.check().unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
