//! Builds a Redis store.

use std::{fmt, sync::Arc, time::Duration};

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use tokio::time::{Instant, sleep};

use super::{
    RedisStore,
    address::{Address, Place, REDIS, SENTINEL},
    client::{Client, Servers},
    cluster::Cluster,
    dial::{BoxError, Dial, Login, Provider, RedisLogin},
    lanes::Lanes,
    sentinel::Sentinels,
    source::Source,
};
#[cfg(feature = "redis-tls")]
use crate::store::tls;
use crate::{
    clock::{AnyClock, Clock},
    error::{Error, ErrorKind},
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
    provider: Option<Provider>,
    database: Option<u32>,
    connections: usize,
    connect_timeout: Duration,
    timeout: Duration,
    start_timeout: Option<Duration>,
    #[cfg(feature = "redis-tls")]
    tls: tls::Options,
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
    /// `redis-tls`), or `redis+unix:///path?db=database&user=user&pass=password`.
    ///
    /// [`connect`](Self::connect) refuses a URL that it does not fully understand: an unknown option, a user
    /// without a password, `#insecure`. Certificates are always checked.
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(Target::Server(url.into()))
    }

    /// The server of a pool, with the pool's TCP settings. See [`RedisStore::from_pool`].
    pub fn pool(pool: Pool<RedisConnectionManager>) -> Self {
        Self::new(Target::Pool(pool))
    }

    /// A Redis Cluster; the nodes at these URLs name the others. All URLs have the same login. Either all are
    /// `redis://…`, or all are `rediss://…`: then every node is reached over TLS.
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        Self::new(Target::Cluster(urls.into_iter().map(Into::into).collect()))
    }

    /// The primary that Sentinels at these URLs name under this service name. The default port is 26379.
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
        self.provider = Some(Arc::new(move || Box::pin(provider())));
        self
    }

    /// Uses this database, 0 by default. A cluster has no other.
    pub fn with_database(mut self, database: u32) -> Self {
        self.database = Some(database);
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

    /// Lets [`connect`](Self::connect) wait this long for a server that is not ready, by default as long as
    /// [`with_timeout`](Self::with_timeout). A program that starts together with its Redis needs more, since Redis
    /// first loads its data. Requests later keep the shorter timeout.
    pub fn with_start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Trusts only servers and Sentinels with a certificate of this authority, in PEM form. By default the
    /// operating system's authorities are trusted.
    #[cfg(feature = "redis-tls")]
    pub fn with_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots = Some(pem.into());
        self
    }

    /// Shows this certificate, with its chain, to servers that ask for one (`tls-auth-clients yes`). Certificate and
    /// key are PEM. The key is RSA, ECDSA on P-256 or P-384, or Ed25519, and has no passphrase.
    #[cfg(feature = "redis-tls")]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects certificates for this name from all servers and Sentinels, in place of the host by which each is
    /// reached. Use it where a cluster or Sentinels announce IP addresses that are in no certificate.
    #[cfg(feature = "redis-tls")]
    pub fn with_tls_name(mut self, name: impl Into<String>) -> Self {
        self.tls.name = Some(name.into());
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
    /// [`Config`](crate::ErrorKind::Config) if a URL or another option makes no sense, the server refuses
    /// the login or a permission, or TLS fails. Trying again does not help until something is changed.
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the server does not answer, or is not ready: it loads its
    /// data, has too many clients or too few replicas, is out of memory, or its Sentinels or cluster know no primary.
    pub async fn connect(self) -> Result<RedisStore, Error> {
        self.check()?;
        let servers = self.servers()?;
        let follows = servers.follows_primaries();
        let client = Arc::new(Client::new(servers, self.timeout));
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

    fn new(target: Target) -> Self {
        Self {
            target,
            prefix: Prefix::default(),
            clock: None,
            user: None,
            password: None,
            provider: None,
            database: None,
            connections: 2,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            start_timeout: None,
            #[cfg(feature = "redis-tls")]
            tls: tls::Options::default(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let is_odd = |timeout: Duration| timeout.is_zero() || timeout > LONGEST_TIMEOUT;
        let start_timeout = self.start_timeout.unwrap_or(self.timeout);
        if is_odd(self.timeout) || is_odd(self.connect_timeout) || is_odd(start_timeout) {
            return Err(Error::config("a timeout is more than nothing and at most a day"));
        }
        if self.connections == 0 || self.connections > MOST_CONNECTIONS {
            return Err(Error::config(format!(
                "`with_connections` takes one to {MOST_CONNECTIONS}; two are enough for most"
            )));
        }
        Ok(())
    }

    fn servers(&self) -> Result<Servers, Error> {
        let source = match &self.target {
            Target::Server(url) => {
                let address = Address::parse(url, REDIS)?;
                let dial = self.dial(&[&address])?;
                Source::Server { dial: dial.into(), place: address.place }
            }
            Target::Pool(pool) => {
                self.check_pool()?;
                Source::Pool(pool.clone())
            }
            Target::Cluster(urls) => return self.cluster_of(urls),
            Target::Sentinel { urls, service } => Source::Sentinel(self.sentinels(urls, service)?),
        };
        // A sentinel is asked first.
        let steps = if matches!(source, Source::Sentinel(_)) { 2 } else { 1 };
        let lanes = Lanes::new(source, "", self.connections, self.connect_timeout * steps);
        Ok(Servers::One(Arc::new(lanes)))
    }

    fn cluster_of(&self, urls: &[String]) -> Result<Servers, Error> {
        let addresses = parsed(urls, REDIS)?;
        let addresses: Vec<_> = addresses.iter().collect();
        let Some(first) = addresses.first() else {
            return Err(Error::config("a cluster was given without a node: give the URLs of some"));
        };
        let login = |address: &Address| (address.user.clone(), address.password.clone(), address.database);
        if addresses.iter().any(|address| login(address) != login(first)) {
            return Err(Error::config(
                "the nodes of a cluster are logged in to alike: give all URLs of it the same user, password and \
                 database, or none",
            ));
        }
        let dial = self.dial(&addresses)?;
        if dial.database != 0 {
            return Err(Error::config("a Redis Cluster has no database but 0: leave the number out"));
        }
        let mut seeds = Vec::with_capacity(addresses.len());
        for address in addresses {
            match &address.place {
                Place::Tcp(host, port) => seeds.push((host.clone(), *port)),
                #[cfg(unix)]
                Place::Unix(_) => {
                    return Err(Error::config("a cluster has hosts and ports, and no Unix sockets"));
                }
            }
        }
        // With TLS, if the URLs say so, to whatever node is named later.
        let dial = Arc::new(dial);
        let open = move |(host, port): &(String, u16)| Source::Server {
            dial: Arc::clone(&dial),
            place: Place::Tcp(host.clone(), *port),
        };
        Ok(Servers::Cluster(Arc::new(Cluster::new(seeds, self.connections, self.connect_timeout, open))))
    }

    fn sentinels(&self, urls: &[String], service: &str) -> Result<Sentinels, Error> {
        let addresses = parsed(urls, SENTINEL)?;
        if addresses.is_empty() || service.is_empty() {
            return Err(Error::config(
                "Sentinels need at least one URL, and the name of the service whose primary is asked for",
            ));
        }
        if addresses.iter().any(|address| address.database.is_some()) {
            return Err(Error::config(
                "the URL of a Sentinel has a database, but Sentinels have none: for Redis set it by `with_database`",
            ));
        }
        let servers = Dial {
            #[cfg(feature = "redis-tls")]
            tls: self.tls(&addresses.iter().collect::<Vec<_>>())?,
            login: self.login(None, None)?,
            database: self.database.unwrap_or_default(),
        };
        let sentinel = |Address { place, user, password, .. }| {
            let dial = Dial {
                #[cfg(feature = "redis-tls")]
                tls: servers.tls.clone(),
                login: login(user, password)?,
                database: 0,
            };
            Ok((Arc::new(dial), place))
        };
        let asked = addresses.into_iter().map(sentinel).collect::<Result<_, Error>>()?;
        Ok(Sentinels { service: service.into(), asked, servers: servers.into() })
    }

    /// How to connect to servers at these addresses, which are logged in to alike.
    fn dial(&self, addresses: &[&Address]) -> Result<Dial, Error> {
        let first = addresses.first();
        let database = first.and_then(|address| address.database);
        let twice = self.database.is_some_and(|option| database.is_some_and(|database| database != option));
        if twice {
            return Err(Error::config(
                "the database of the session store is given twice: leave it out of the URL or leave out \
                 `with_database`",
            ));
        }
        Ok(Dial {
            #[cfg(feature = "redis-tls")]
            tls: self.tls(addresses)?,
            login: self.login(
                first.and_then(|address| address.user.clone()),
                first.and_then(|address| address.password.clone()),
            )?,
            database: self.database.or(database).unwrap_or_default(),
        })
    }

    /// Whether TLS is spoken to servers at these addresses, and how. Where it is, nothing goes out in plain text.
    #[cfg(feature = "redis-tls")]
    fn tls(&self, addresses: &[&Address]) -> Result<Option<tls::Tls>, Error> {
        let count = addresses.iter().filter(|address| address.is_tls).count();
        if count == 0 {
            return match self.tls.first_given() {
                None => Ok(None),
                Some(what) => Err(Error::config(format!(
                    "{what} was given, and the address of the session store does not begin with `rediss://`, so that \
                     all would go in plain text: write `rediss://`, or leave it out"
                ))),
            };
        }
        if count < addresses.len() {
            return Err(Error::config(
                "some addresses of the session store begin with `rediss://`, and others do not, so that something \
                 would go in plain text: write `rediss://` in all of them",
            ));
        }
        let tls = self.tls.prepare(&[])?;
        for address in addresses {
            if let Place::Tcp(host, _) = &address.place {
                tls.check(host)?;
            }
        }
        Ok(Some(tls))
    }

    /// The login of the options and of the URL, together.
    fn login(&self, user: Option<String>, password: Option<String>) -> Result<Login, Error> {
        let in_url = user.is_some() || password.is_some();
        let in_options = self.user.is_some() || self.password.is_some();
        let is_twice = match &self.provider {
            Some(_) => in_url || in_options,
            None => self.user.is_some() && in_url || self.password.is_some() && password.is_some(),
        };
        if is_twice {
            return Err(Error::config(
                "the login of the session store is given twice: give it in the URL, or by `with_user` or \
                 `with_password`, or by `with_login_provider`",
            ));
        }
        match &self.provider {
            Some(provider) => Ok(Login::Provided(Arc::clone(provider))),
            None => login(self.user.clone().or(user), self.password.clone().or(password)),
        }
    }

    /// The connections of a pool are made by it alone.
    fn check_pool(&self) -> Result<(), Error> {
        let has_login = self.user.is_some() || self.password.is_some() || self.provider.is_some();
        #[cfg(feature = "redis-tls")]
        let has_tls = self.tls.first_given().is_some();
        #[cfg(not(feature = "redis-tls"))]
        let has_tls = false;
        if has_login || has_tls || self.database.is_some() {
            return Err(Error::config(
                "a pool connects by itself: give login, database and certificates to the pool, not to the builder of \
                 the session store",
            ));
        }
        Ok(())
    }
}

/// How long to wait before the next attempt to open the store.
const START_PAUSE: Duration = Duration::from_millis(100);

fn parsed(urls: &[String], default_port: u16) -> Result<Vec<Address>, Error> {
    urls.iter().map(|url| Address::parse(url, default_port)).collect()
}

fn login(user: Option<String>, password: Option<String>) -> Result<Login, Error> {
    match (user, password) {
        (None, None) => Ok(Login::Nobody),
        (None, Some(password)) => Ok(Login::As(RedisLogin::with_password(password))),
        (Some(user), Some(password)) => Ok(Login::As(RedisLogin::new(user, password))),
        // Not sent, it would be another user: `default`.
        (Some(_), None) => Err(Error::config(
            "the address of the session store has a user and no password; write it like \
             `redis://user:password@host:6379/0`, or `redis://:password@host:6379/0` without a user, or give the \
             password by `with_password`",
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: &RedisStoreBuilder, words: &str) {
        let Err(error) = builder.servers() else { panic!("{words}: it is accepted") };
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
            let login = builder.login(Some("app".into()), None).map_err(|error| error.to_string());
            assert!(matches!(login, Ok(Login::As(login)) if login.user() == Some("app")));
            assert!(builder.servers().is_ok());
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
        assert!(url("redis://host/1").with_database(1).servers().is_ok());
        assert!(provider(url("redis://host")).servers().is_ok());
        let sentinel = |url| RedisStoreBuilder::sentinel([url], "service");
        assert!(provider(sentinel("redis://a:sesame@host")).servers().is_ok());
        assert!(sentinel("redis://a:sesame@host").with_user("b", "sesame").servers().is_ok());
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
        assert!(builder().servers().is_ok());
        refused(&builder().with_password("sesame"), "a pool");
        refused(&builder().with_database(1), "a pool");
        #[cfg(feature = "redis-tls")]
        refused(&builder().with_root_certificate(ROOT), "a pool");
    }

    #[cfg(feature = "redis-tls")]
    const ROOT: &[u8] = include_bytes!("../tls/test-root.pem");

    /// Where a URL, a certificate or a name says TLS, nothing goes out without.
    #[cfg(feature = "redis-tls")]
    #[test]
    fn plain_text_beside_tls_is_refused() {
        let cluster = |urls: [&'static str; 2]| RedisStoreBuilder::cluster(urls);
        let sentinel = |urls: [&'static str; 2]| RedisStoreBuilder::sentinel(urls, "service");
        let plain = ["redis://one", "redis://two"];
        for urls in [["redis://one", "rediss://two"], ["valkeys://one", "redis://two"]] {
            refused(&cluster(urls).with_root_certificate(ROOT), "plain text");
            refused(&sentinel(urls).with_root_certificate(ROOT), "plain text");
        }
        for builder in [
            RedisStoreBuilder::url("redis://host"),
            RedisStoreBuilder::url("redis+unix:///run/redis"),
            cluster(plain),
            sentinel(plain),
        ] {
            assert!(builder.servers().is_ok());
            refused(&builder.clone().with_root_certificate(ROOT), "plain text");
            refused(&builder.clone().with_client_certificate(ROOT, "sesame"), "plain text");
            refused(&builder.with_tls_name("host"), "plain text");
        }
        // Nodes and primaries that are named later are dialled like those that were given.
        let tls = ["rediss://one", "rediss://two"];
        let Servers::One(_) = sentinel(tls).with_root_certificate(ROOT).servers().unwrap() else { panic!() };
        let sentinels =
            sentinel(tls).with_root_certificate(ROOT).sentinels(&tls.map(str::to_owned), "service").unwrap();
        assert!(sentinels.servers.tls.is_some());
        assert!(sentinels.asked.iter().all(|(dial, _)| dial.tls.is_some()));
    }

    #[cfg(feature = "redis-tls")]
    #[test]
    fn what_is_no_certificate_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VzYW1l\n-----END PRIVATE KEY-----\n";
        let broken = "-----BEGIN CERTIFICATE-----\nsesame\n";
        let url = || RedisStoreBuilder::url("rediss://host");
        for pem in ["", "ca.pem", "sesame", key, broken] {
            refused(&url().with_root_certificate(pem), "no certificate");
            let sentinel = RedisStoreBuilder::sentinel(["rediss://host"], "service");
            refused(&sentinel.with_root_certificate(pem), "no certificate");
            refused(
                &RedisStoreBuilder::cluster(["rediss://host"]).with_root_certificate(pem),
                "no certificate",
            );
            let builder = url().with_root_certificate(ROOT);
            refused(&builder.with_client_certificate(pem, key), "client certificate");
        }
        let not_one = "-----BEGIN CERTIFICATE-----\nc2VzYW1l\n-----END CERTIFICATE-----\n";
        refused(&url().with_root_certificate(not_one), "cannot be read");
        refused(
            &url().with_root_certificate(ROOT).with_client_certificate(ROOT, "key.pem"),
            "client certificate",
        );
        refused(&url().with_root_certificate(ROOT).with_client_certificate(ROOT, key), "do not fit");
        refused(&url().with_root_certificate(ROOT).with_tls_name("a b"), "`a b`");
        refused(&RedisStoreBuilder::url("rediss://a..b").with_root_certificate(ROOT), "`a..b`");
        assert!(url().with_root_certificate([ROOT, ROOT].concat()).servers().is_ok());
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
