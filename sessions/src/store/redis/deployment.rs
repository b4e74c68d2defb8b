//! The servers that the options of a builder describe, checked: addresses, logins and TLS fit together.

use std::{sync::Arc, time::Duration};

use bb8_redis::{RedisConnectionManager, bb8::Pool};

use super::{
    cluster::Cluster,
    connections::ServerConnections,
    connector::ServerConnector,
    login::{LoginProvider, LoginSource, RedisLogin},
    sentinel::Sentinels,
    source::ConnectionSource,
    topology::Topology,
    url::{REDIS, RedisUrl, SENTINEL, ServerAddress},
};
use crate::error::Error;
#[cfg(feature = "redis-tls")]
use crate::store::tls;

/// The kind of deployment, as the program named it.
#[derive(Clone)]
pub(super) enum Deployment {
    Server(String),
    Pool(Pool<RedisConnectionManager>),
    Cluster(Vec<String>),
    Sentinel { urls: Vec<String>, service: String },
}

/// The options that say which servers there are, and how to connect to them.
#[derive(Clone)]
pub(super) struct DeploymentOptions {
    pub(super) deployment: Deployment,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) provider: Option<LoginProvider>,
    pub(super) database: Option<u32>,
    /// The number of connections to each server.
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    #[cfg(feature = "redis-tls")]
    pub(super) tls: tls::TlsOptions,
}

impl DeploymentOptions {
    pub(super) fn new(deployment: Deployment) -> Self {
        Self {
            deployment,
            user: None,
            password: None,
            provider: None,
            database: None,
            connections: 2,
            connect_timeout: Duration::from_secs(2),
            #[cfg(feature = "redis-tls")]
            tls: tls::TlsOptions::default(),
        }
    }

    /// Returns the servers. No connection is opened yet.
    pub(super) fn topology(&self) -> Result<Topology, Error> {
        let source = match &self.deployment {
            Deployment::Server(url) => {
                let parsed = RedisUrl::parse(url, REDIS)?;
                let connector = self.connector(&[&parsed])?;
                ConnectionSource::Server { connector: connector.into(), address: parsed.address }
            }
            Deployment::Pool(pool) => {
                self.check_pool()?;
                ConnectionSource::Pool(pool.clone())
            }
            Deployment::Cluster(urls) => return self.cluster(urls),
            Deployment::Sentinel { urls, service } => {
                ConnectionSource::Sentinel(self.sentinels(urls, service)?)
            }
        };
        // A Sentinel is asked first.
        let steps = if matches!(source, ConnectionSource::Sentinel(_)) { 2 } else { 1 };
        let server = ServerConnections::new(source, "", self.connections, self.connect_timeout * steps);
        Ok(Topology::One(Arc::new(server)))
    }

    fn cluster(&self, urls: &[String]) -> Result<Topology, Error> {
        let parsed = parsed(urls, REDIS)?;
        let parsed: Vec<_> = parsed.iter().collect();
        let Some(first) = parsed.first() else {
            return Err(Error::config(
                "the session store was given a cluster without a node: give the URLs of some",
            ));
        };
        let login = |url: &RedisUrl| (url.user.clone(), url.password.clone(), url.database);
        if parsed.iter().any(|url| login(url) != login(first)) {
            return Err(Error::config(
                "the session store logs in to all nodes of a cluster alike: give all URLs of it the same user, \
                 password and database, or none",
            ));
        }
        let connector = self.connector(&parsed)?;
        if connector.database != 0 {
            return Err(Error::config("a Redis Cluster has no database but 0: leave the number out"));
        }
        let mut seeds = Vec::with_capacity(parsed.len());
        for url in parsed {
            match &url.address {
                ServerAddress::Tcp(host, port) => seeds.push((host.clone(), *port)),
                #[cfg(unix)]
                ServerAddress::Unix(_) => {
                    return Err(Error::config(
                        "a URL of the cluster is a Unix socket, but nodes of a cluster have hosts and ports: write \
                         `redis://host:port`",
                    ));
                }
            }
        }
        // Nodes that are named later are reached with the same TLS settings.
        let connector = Arc::new(connector);
        let source = move |(host, port): &(String, u16)| ConnectionSource::Server {
            connector: Arc::clone(&connector),
            address: ServerAddress::Tcp(host.clone(), *port),
        };
        let cluster = Cluster::new(seeds, self.connections, self.connect_timeout, source);
        Ok(Topology::Cluster(Arc::new(cluster)))
    }

    pub(super) fn sentinels(&self, urls: &[String], service: &str) -> Result<Sentinels, Error> {
        let parsed = parsed(urls, SENTINEL)?;
        if parsed.is_empty() || service.is_empty() {
            return Err(Error::config(
                "Sentinels need at least one URL, and the name of the service whose primary is asked for",
            ));
        }
        if parsed.iter().any(|url| url.database.is_some()) {
            return Err(Error::config(
                "the URL of a Sentinel has a database, but Sentinels have none: for Redis set it by `with_database`",
            ));
        }
        let servers = ServerConnector {
            #[cfg(feature = "redis-tls")]
            tls: self.tls(&parsed.iter().collect::<Vec<_>>())?,
            login: self.login(None, None)?,
            database: self.database.unwrap_or_default(),
        };
        let sentinel = |RedisUrl { address, user, password, .. }| {
            let connector = ServerConnector {
                #[cfg(feature = "redis-tls")]
                tls: servers.tls.clone(),
                login: login(user, password)?,
                database: 0,
            };
            Ok((Arc::new(connector), address))
        };
        let asked = parsed.into_iter().map(sentinel).collect::<Result<_, Error>>()?;
        Ok(Sentinels { service: service.into(), asked, servers: servers.into() })
    }

    /// Returns the settings for connections to servers at these URLs, which have one login.
    fn connector(&self, urls: &[&RedisUrl]) -> Result<ServerConnector, Error> {
        let first = urls.first();
        let database = first.and_then(|url| url.database);
        let is_twice =
            self.database.is_some_and(|option| database.is_some_and(|database| database != option));
        if is_twice {
            return Err(Error::config(
                "the database of the session store is given twice: leave it out of the URL or leave out \
                 `with_database`",
            ));
        }
        Ok(ServerConnector {
            #[cfg(feature = "redis-tls")]
            tls: self.tls(urls)?,
            login: self
                .login(first.and_then(|url| url.user.clone()), first.and_then(|url| url.password.clone()))?,
            database: self.database.or(database).unwrap_or_default(),
        })
    }

    /// Returns the TLS settings for servers at these URLs; `None` if all of them are plain text. A mixture is refused.
    #[cfg(feature = "redis-tls")]
    fn tls(&self, urls: &[&RedisUrl]) -> Result<Option<tls::Tls>, Error> {
        let count = urls.iter().filter(|url| url.is_tls).count();
        if count == 0 {
            return match self.tls.first_given() {
                None => Ok(None),
                Some(what) => Err(Error::config(format!(
                    "{what} was given, and the address of the session store does not begin with `rediss://`, so that \
                     all would go in plain text: write `rediss://`, or leave it out"
                ))),
            };
        }
        if count < urls.len() {
            return Err(Error::config(
                "some addresses of the session store begin with `rediss://`, and others do not, so that something \
                 would go in plain text: write `rediss://` in all of them",
            ));
        }
        let tls = self.tls.prepare(&[])?;
        for url in urls {
            if let ServerAddress::Tcp(host, _) = &url.address {
                tls.check(host)?;
            }
        }
        Ok(Some(tls))
    }

    /// Returns the login of the options and of the URL together. Neither may repeat the other.
    pub(super) fn login(&self, user: Option<String>, password: Option<String>) -> Result<LoginSource, Error> {
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
            Some(provider) => Ok(LoginSource::Provider(Arc::clone(provider))),
            None => login(self.user.clone().or(user), self.password.clone().or(password)),
        }
    }

    /// Checks that no option is given that only the pool could apply.
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

fn parsed(urls: &[String], default_port: u16) -> Result<Vec<RedisUrl>, Error> {
    urls.iter().map(|url| RedisUrl::parse(url, default_port)).collect()
}

/// Returns the login of this user and password, which may both be missing.
fn login(user: Option<String>, password: Option<String>) -> Result<LoginSource, Error> {
    match (user, password) {
        (None, None) => Ok(LoginSource::Unset),
        (None, Some(password)) => Ok(LoginSource::Fixed(RedisLogin::with_password(password))),
        (Some(user), Some(password)) => Ok(LoginSource::Fixed(RedisLogin::new(user, password))),
        // If the user were left out, the connections would belong to another user: `default`.
        (Some(_), None) => Err(Error::config(
            "the address of the session store has a user and no password; write it like \
             `redis://user:password@host:6379/0`, or `redis://:password@host:6379/0` without a user, or give the \
             password by `with_password`",
        )),
    }
}
