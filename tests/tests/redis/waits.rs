//! What the store waits for, and whom it asks then.

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use sessions::store::{Answer, RedisStore, RedisStoreBuilder, Store};
use tests::{
    Keys,
    records::{new_record, put, record_id},
    servers::{RedisCluster, RedisServer},
};

/// The client library's own half a second for a reply does not count: the store's time does.
#[tokio::test(flavor = "multi_thread")]
async fn a_pools_connections_wait_as_long_as_the_store() {
    let server = RedisServer::start();
    let manager = RedisConnectionManager::new(server.url()).expect("a URL");
    let pool = Pool::builder().build(manager).await.expect("a pool");
    let store = RedisStore::from_pool(pool).await.expect("a server that answers");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    server.cli(&["CLIENT", "PAUSE", "1500", "WRITE"]);
    let answer = store.commit(id, put("p", "1")).await;
    assert!(matches!(answer, Ok(Answer::Applied(_))), "{answer:?}");
}

/// A node may name another by its port alone, which means its own host.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_named_without_a_host_is_found() {
    let options = RedisServer::options().add_line("cluster-preferred-endpoint-type unknown-endpoint");
    let (cluster, keys) = (RedisCluster::with_options(false, options), Keys::new());
    let builder = RedisStoreBuilder::cluster(cluster.urls()).with_prefix(keys.prefix());
    let store = builder.expect("a prefix").connect().await.expect("a cluster that answers");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    let slot = cluster.slot(&format!("{}{id}", keys.prefix()));
    let from = cluster.owner(slot).expect("an owner");
    let to = (from + 1) % 3;
    cluster.begin_move(from, to, slot);
    assert_eq!(cluster.move_keys(from, to, slot, 100), 1);
    assert!(store.load(id, &[]).await.expect("ASK is followed").is_some());
    cluster.end_move(from, to, slot);
    assert!(store.load(id, &[]).await.expect("MOVED is followed").is_some());
}
