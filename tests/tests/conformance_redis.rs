//! The conformance suite on `RedisStore`, with one server and with a cluster, and on `WebdisStore`. It runs with a
//! manual clock and with the servers' own one.

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

sessions::testing::conformance!(server, SharedServer(Keys::new()));
sessions::testing::conformance!(cluster, SharedCluster(Keys::new()));
sessions::testing::conformance!(webdis, SharedWebdis(Keys::new()));
sessions::testing::conformance!(server_time, ServerTime(Keys::new()));
sessions::testing::conformance!(webdis_time, WebdisTime(Keys::new()));

/// The keys of one prefix on the server that all tests share.
struct SharedServer(Keys);

impl Harness for SharedServer {
    type Store = RedisStore;

    async fn open(&self, clock: ManualClock) -> RedisStore {
        redis(RedisStore::builder(RedisServer::shared().url()).with_clock(clock), &self.0).await
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        Some(self.0.dump(&[RedisServer::shared()]))
    }
}

/// The keys of one prefix on the cluster that all tests share.
struct SharedCluster(Keys);

impl Harness for SharedCluster {
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
struct SharedWebdis(Keys);

impl Harness for SharedWebdis {
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

/// The keys of one prefix on the server that all tests share, with the server's clock.
struct ServerTime(Keys);

impl Harness for ServerTime {
    type Store = RedisStore;

    const MANUAL_CLOCK: bool = false;

    async fn open(&self, _clock: ManualClock) -> RedisStore {
        redis(RedisStore::builder(RedisServer::shared().url()), &self.0).await
    }
}

/// The keys of one prefix behind the Webdis that all tests share, with the server's clock.
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
