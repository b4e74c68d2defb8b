//! The suite on `RedisStore`, on one server and on a cluster, and on `WebdisStore`; and once more on
//! the servers' own clock.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use sessions::{
    store::{RedisStore, RedisStoreBuilder, WebdisStore},
    testing::{ManualClock, conformance::Harness},
};
use tests::{
    Keys,
    servers::{RedisCluster, RedisServer, WebdisServer},
};

sessions::testing::conformance!(server, Server(Keys::new()));
sessions::testing::conformance!(cluster, Cluster(Keys::new()));
sessions::testing::conformance!(webdis, Webdis(Keys::new()));
sessions::testing::conformance!(server_time, ServerTime(Keys::new()));
sessions::testing::conformance!(webdis_time, WebdisTime(Keys::new()));

/// The keys of one prefix on the server that all tests share.
struct Server(Keys);

impl Harness for Server {
    type Store = RedisStore;

    async fn open(&self, clock: ManualClock) -> RedisStore {
        redis(RedisStore::builder(RedisServer::shared().url()).with_clock(clock), &self.0).await
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
        redis(RedisStoreBuilder::cluster(RedisCluster::shared().urls()).with_clock(clock), &self.0).await
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        let cluster = RedisCluster::shared();
        Some(self.0.dump(&[cluster.node(0), cluster.node(1), cluster.node(2)]))
    }
}

/// The keys of one prefix behind the Webdis that all tests share.
struct Webdis(Keys);

impl Harness for Webdis {
    type Store = WebdisStore;

    async fn open(&self, clock: ManualClock) -> WebdisStore {
        let builder = WebdisStore::builder(WebdisServer::shared().url()).with_clock(clock);
        builder
            .with_prefix(self.0.prefix())
            .expect("a prefix")
            .connect()
            .await
            .expect("a server that answers")
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        Some(self.0.dump(&[RedisServer::shared()]))
    }
}

/// As users have it: the time is the server's.
struct ServerTime(Keys);

impl Harness for ServerTime {
    type Store = RedisStore;

    const MANUAL_CLOCK: bool = false;

    async fn open(&self, _clock: ManualClock) -> RedisStore {
        redis(RedisStore::builder(RedisServer::shared().url()), &self.0).await
    }
}

/// The same behind Webdis.
struct WebdisTime(Keys);

impl Harness for WebdisTime {
    type Store = WebdisStore;

    const MANUAL_CLOCK: bool = false;

    async fn open(&self, _clock: ManualClock) -> WebdisStore {
        let builder = WebdisStore::builder(WebdisServer::shared().url());
        builder
            .with_prefix(self.0.prefix())
            .expect("a prefix")
            .connect()
            .await
            .expect("a server that answers")
    }
}

async fn redis(builder: RedisStoreBuilder, keys: &Keys) -> RedisStore {
    builder.with_prefix(keys.prefix()).expect("a prefix").connect().await.expect("a server that answers")
}
