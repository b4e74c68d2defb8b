//! The suite on `RedisStore`: one server, and a cluster.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use sessions::{
    store::{RedisStore, RedisStoreBuilder},
    testing::{ManualClock, conformance::Harness},
};
use tests::{
    Keys,
    servers::{RedisCluster, RedisServer},
};

sessions::testing::conformance!(server, Server(Keys::new()));
sessions::testing::conformance!(cluster, Cluster(Keys::new()));

/// The keys of one prefix on the server that all tests share.
struct Server(Keys);

impl Harness for Server {
    type Store = RedisStore;

    async fn open(&self, clock: ManualClock) -> RedisStore {
        open(RedisStore::builder(RedisServer::shared().url()), &self.0, clock).await
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        Some(self.0.dump(&[RedisServer::shared()]))
    }
}

/// The keys of one prefix on the cluster that all tests share.
struct Cluster(Keys);

impl Harness for Cluster {
    type Store = RedisStore;

    async fn open(&self, clock: ManualClock) -> RedisStore {
        open(RedisStoreBuilder::cluster(RedisCluster::shared().urls()), &self.0, clock).await
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        let cluster = RedisCluster::shared();
        Some(self.0.dump(&[cluster.node(0), cluster.node(1), cluster.node(2)]))
    }
}

async fn open(builder: RedisStoreBuilder, keys: &Keys, clock: ManualClock) -> RedisStore {
    let builder = builder.with_prefix(keys.prefix()).expect("a prefix").with_clock(clock);
    builder.connect().await.expect("a server that answers")
}
