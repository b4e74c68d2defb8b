//! `RedisStore` and `WebdisStore` while their servers, their connections and the runtimes around them fail.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "redis_faults/cluster.rs"]
mod cluster;
#[path = "redis_faults/counter.rs"]
mod counter;
#[path = "redis_faults/instances.rs"]
mod instances;
#[path = "redis_faults/pool.rs"]
mod pool;
#[path = "redis_faults/replication.rs"]
mod replication;
#[path = "redis_faults/resharding.rs"]
mod resharding;
#[path = "redis_faults/runtimes.rs"]
mod runtimes;
#[path = "redis_faults/sentinel.rs"]
mod sentinel;
#[path = "redis_faults/server.rs"]
mod server;
#[path = "redis_faults/unknown.rs"]
mod unknown;
#[path = "redis_faults/webdis.rs"]
mod webdis;
#[path = "redis_faults/webdis_foreign.rs"]
mod webdis_foreign;
#[path = "redis_faults/webdis_instances.rs"]
mod webdis_instances;

use std::time::Duration;

use sessions::store::{RedisStore, RedisStoreBuilder};

/// The timeout of most stores. It is short, so that requests to a server that does not answer end soon. But several
/// servers and hundreds of requests share the machine's cores here.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Opens a store whose requests fail soon.
async fn open(builder: RedisStoreBuilder) -> RedisStore {
    open_with(builder, TIMEOUT).await
}

/// Opens a store with this timeout, on a machine that may be too busy at first.
async fn open_with(builder: RedisStoreBuilder, timeout: Duration) -> RedisStore {
    let builder = builder.with_timeout(10 * TIMEOUT).with_connect_timeout(timeout);
    // The server answers then, and its scripts are known.
    drop(builder.clone().connect().await.expect("a server that answers"));
    for _ in 0..20 {
        if let Ok(store) = builder.clone().with_timeout(timeout).connect().await {
            return store;
        }
    }
    panic!("a server that answers within {timeout:?}");
}
