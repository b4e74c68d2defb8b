//! Bare redis: the same round trips and scripts as `sessions` makes, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use futures::future::{BoxFuture, FutureExt};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};

use super::floor_cookie::FloorFailure;
use super::floor_hash::{COMMIT, CREATE, FloorScript, HashValues, Hashes, routes};
use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::store::Store;

pub struct FloorRedis;

impl Contender for FloorRedis {
    fn name(&self) -> &'static str {
        "floor-redis"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        (store == Store::Redis).then_some(
            "redis 1.8 in the handler, one hash per session: nothing (untouched), one HMGET \
             (read), that and one EVALSHA of ten lines (write), one EVALSHA (new)",
        )
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn has_views(&self, _: Store) -> bool {
        true
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            let client = Client::open(setup.servers.redis_url())?;
            // A timer per request is no part of the floor.
            let config = AsyncConnectionConfig::new().set_response_timeout(None);
            let mut connections = Vec::new();
            for _ in 0..setup.connections {
                connections.push(client.get_multiplexed_async_connection_with_config(&config).await?);
            }
            let create = load_script(&mut connections[0], CREATE).await?.into();
            let commit = load_script(&mut connections[0], COMMIT).await?.into();
            let next = Arc::default();
            let redis = Redis { connections: connections.into(), next, create, commit };
            Ok(routes(redis, setup.fields).into())
        }
        .boxed()
    }
}

/// Makes a script known to the server; returns its name.
pub async fn load_script(connection: &mut MultiplexedConnection, script: &str) -> Result<String> {
    Ok(redis::cmd("SCRIPT").arg("LOAD").arg(script).query_async(connection).await?)
}

/// A few connections, each shared by all requests.
#[derive(Clone)]
struct Redis {
    connections: Arc<[MultiplexedConnection]>,
    next: Arc<AtomicUsize>,
    create: Arc<str>,
    commit: Arc<str>,
}

impl Redis {
    fn connection(&self) -> MultiplexedConnection {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections[next % self.connections.len()].clone()
    }
}

impl Hashes for Redis {
    async fn load(&self, key: &str, names: &[&str]) -> Result<HashValues, FloorFailure> {
        Ok(redis::cmd("HMGET").arg(key).arg(names).query_async(&mut self.connection()).await?)
    }

    async fn run(&self, script: FloorScript, key: &str, arguments: &[&[u8]]) -> Result<i64, FloorFailure> {
        let sha = match script {
            FloorScript::Create => &self.create,
            FloorScript::Commit => &self.commit,
        };
        let mut command = redis::cmd("EVALSHA");
        command.arg(&**sha).arg(1).arg(key).arg(arguments);
        Ok(command.query_async(&mut self.connection()).await?)
    }
}
