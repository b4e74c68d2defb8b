//! The waits of a store, and the node that it asks next.

use std::time::Duration;

use axum::{Router, routing::get};
use bb8_redis::{RedisConnectionManager, bb8::Pool};
use sessions::{
    ErrorKind, Session, SessionLayer, TypedSession,
    store::{CommitOutcome, RedisStore, RedisStoreBuilder, Store},
    testing::Client,
};
use tests::{
    Keys,
    proxy::Cut,
    records::{new_record, put, record_id},
    servers::{RedisCluster, RedisServer},
};
use tokio::time::timeout;

use crate::fronted::Fronted;

/// The store's timeout limits a reply, and not the client library's half a second.
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
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
}

/// A node may name another one by its port alone, which means the host of the first.
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

/// Connecting may take longer than any request waits. If each request began anew, it would never succeed.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_opened_to_the_end_though_nobody_waits_so_long() {
    let front = Fronted::server(RedisServer::start());
    let short = Duration::from_secs(1);
    let builder = front.builder().with_timeout(short).with_connect_timeout(Duration::from_mins(1));
    let store = builder.connect().await.expect("a server that answers");
    let [proxy] = &front.proxies[..] else { panic!("one proxy") };
    proxy.stall();
    proxy.end_idle_connections();
    proxy.take();
    for _ in 0..3 {
        let error = store.load(record_id(), &[]).await.expect_err("no connection");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    let begun = proxy.take().requests.iter().filter(|name| *name == "HELLO").count();
    assert_eq!(begun, 1, "of three requests");
    proxy.resume();
    while store.load(record_id(), &[]).await.is_err() {}
}

/// A request that was given up leaves no swallowed connection to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_silent_until_its_request_was_dropped_is_not_used_again() {
    let front = Fronted::server(RedisServer::start());
    let store = front.builder().with_timeout(Duration::from_mins(1)).connect().await.expect("a server");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    for _ in 0..4 {
        store.load(id, &[]).await.expect("an answer");
    }
    front.cut(|script| if script == 0 { Cut::Hold } else { Cut::Nothing });
    let given_up = timeout(Duration::from_millis(1500), store.commit(id, put("p", "1"))).await;
    assert!(given_up.is_err(), "{given_up:?}");
    for _ in 0..4 {
        let loaded = timeout(Duration::from_secs(20), store.load(id, &[])).await;
        assert!(loaded.expect("a connection that answers").expect("an answer").is_some());
    }
}

#[derive(Session)]
struct WaitingVisitor {
    name: Option<String>,
}

/// The store's timer replaces the layer's, unless the layer's timeout is shorter.
#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_waits_less_than_its_store_is_not_held_up() {
    let front = Fronted::server(RedisServer::start());
    let store = front.builder().with_timeout(Duration::from_mins(1)).connect().await.expect("a server");
    let layer = SessionLayer::new(store).with_store_timeout(Duration::from_secs(1));
    let name = async |mut session: TypedSession<WaitingVisitor>| session.set_name("Bea");
    let browser = Client::new(Router::new().route("/", get(name)).layer(layer));
    assert_eq!(browser.get("/").await.status(), 200);
    front.proxies[0].stall();
    for browser in [browser.stranger(), browser] {
        let response = timeout(Duration::from_secs(20), browser.get("/")).await;
        assert_eq!(response.expect("an answer before the store's").status(), 503);
    }
}
