//! The servers behind a store: started for one table, each on a port of its own.

mod port;
mod process;
mod redis;
mod webdis;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use self::process::Process;
use crate::store::Store;

/// The servers of one store, which end with this value or with this process.
pub struct Servers {
    redis: Option<Server>,
    webdis: Option<Server>,
}

/// A server that answers.
struct Server {
    process: Process,
    port: u16,
    name: String,
}

impl Servers {
    /// Starts what the store needs, in an empty folder.
    pub async fn start(store: Store, dir: &Path) -> Result<Self> {
        let mut servers = Servers { redis: None, webdis: None };
        if matches!(store, Store::Redis | Store::Webdis) {
            let redis = redis::start(dir).await?;
            if store == Store::Webdis {
                servers.webdis = Some(webdis::start(dir, &redis).await?);
            }
            servers.redis = Some(redis);
        }
        Ok(servers)
    }

    /// Of the Redis server.
    pub fn redis_url(&self) -> String {
        let redis = self.redis.as_ref().expect("only stores on Redis ask for it");
        format!("redis://127.0.0.1:{}", redis.port)
    }

    /// Of the Webdis server.
    pub fn webdis_url(&self) -> String {
        let webdis = self.webdis.as_ref().expect("only stores on Webdis ask for it");
        format!("http://127.0.0.1:{}", webdis.port)
    }

    /// Programs and versions, in the order of [`Self::cpu_used`].
    pub fn names(&self) -> Vec<String> {
        self.all().map(|server| server.name.clone()).collect()
    }

    /// CPU time that each server has used so far.
    pub fn cpu_used(&self) -> Result<Vec<Duration>> {
        self.all().map(|server| server.process.cpu_used()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Server> {
        self.redis.iter().chain(&self.webdis)
    }
}
