//! Commits that reach the server after their timeout. They must do nothing, since a newer write may have been
//! acknowledged meanwhile.

use std::time::Duration;

use sessions::{
    ErrorKind, RecordId,
    store::{CommitOutcome, RedisStore, RedisStoreBuilder, Store, WebdisStore},
};
use tests::{
    proxy::{Cut, Protocol, Proxy},
    records::{add, new_record, put, record_id},
    servers::{RedisServer, WebdisServer, until},
};

use crate::fronted::Fronted;

/// The timeout of a commit.
const TIMEOUT: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_to_a_server_does_nothing() {
    let front = Fronted::server(RedisServer::start());
    let store = open(front.builder()).await;
    a_late_commit_does_nothing(&store, &front.open_behind().await, &front.proxies, front.node()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_through_webdis_does_nothing() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    let proxy = Proxy::start(webdis.port(), Protocol::WEBDIS);
    let builder = WebdisStore::builder(format!("http://127.0.0.1:{}", proxy.port()));
    let store = builder.with_timeout(TIMEOUT).connect().await.expect("a server");
    let behind = RedisStore::connect(redis.url()).await.expect("a server");
    a_late_commit_does_nothing(&store, &behind, &[proxy], &redis).await;
}

async fn open(builder: RedisStoreBuilder) -> RedisStore {
    builder.with_timeout(TIMEOUT).connect().await.expect("a server that answers")
}

async fn a_late_commit_does_nothing(
    store: &impl Store,
    behind: &RedisStore,
    proxies: &[Proxy],
    redis: &RedisServer,
) {
    // Both scripts.
    for late in [put("value", "1"), add("value", 1)] {
        let id = record_id();
        store.create(id, new_record()).await.expect("an answer");
        assert!(store.load(id, &[]).await.expect("an answer").is_some());
        for proxy in proxies {
            proxy.cut(|_| Cut::Hold);
        }
        let answer = store.commit(id, late).await;
        assert!(answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::OutcomeUnknown), "{answer:?}");
        let newer = behind.commit(id, put("value", "200")).await;
        assert!(matches!(newer, Ok(CommitOutcome::Applied(_))), "{newer:?}");
        let carried_out = redis.calls("evalsha");
        for proxy in proxies {
            proxy.cut_nothing();
            proxy.release();
        }
        until("the late commit to be carried out", || redis.log(), || redis.calls("evalsha") > carried_out);
        assert_eq!(value(behind, id).await, "200");
    }
}

async fn value(store: &RedisStore, id: RecordId) -> String {
    let loaded = store.load(id, &["value".into()]).await.expect("an answer").expect("a record");
    let value = loaded.fields.get("value").expect("a value");
    String::from_utf8(value.to_vec()).expect("a number")
}

/// A server's clock may be set forward after its time was read, or another server may take its place. Then a commit
/// seems late, and is sent again by the right time.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_to_a_server_whose_clock_was_set_is_not_late() {
    let front = Fronted::server(RedisServer::start());
    // The seconds in the reply to `TIME`.
    front.proxies[0].change_replies(|reply| in_the_past(reply, b"$10\r\n1"));
    let store = front.open().await;
    let behind = front.open_behind().await;
    let id = record_id();
    behind.create(id, new_record()).await.expect("an answer");
    behind.commit(id, put("value", "1")).await.expect("an answer");
    what_seems_late_is_done(&store, &front.proxies[0]).await;
    let mut requests = front.take().requests;
    // Another connection may be opened meanwhile.
    requests.retain(|name| !matches!(&**name, "HELLO" | "CLIENT"));
    assert_eq!(requests, ["EVALSHA", "TIME", "HMGET", "EVALSHA"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_through_webdis_to_a_server_whose_clock_was_set_is_not_late() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    let proxy = Proxy::start(webdis.port(), Protocol::WEBDIS);
    // The milliseconds in the answer to a load.
    proxy.change_replies(|reply| in_the_past(reply, b"13:1"));
    let store = WebdisStore::connect(format!("http://127.0.0.1:{}", proxy.port())).await.expect("a server");
    what_seems_late_is_done(&store, &proxy).await;
    assert_eq!(proxy.take().requests, ["EVALSHA(commit)", "EVALSHA(load)", "EVALSHA(commit)"]);
}

async fn what_seems_late_is_done(store: &impl Store, proxy: &Proxy) {
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    // Over all connections.
    for _ in 0..4 {
        store.load(id, &[]).await.expect("an answer");
    }
    proxy.stop_changing_replies();
    proxy.take();
    let answer = store.commit(id, put("value", "1")).await;
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
}

/// Makes the first digit of a time a zero, which is decades ago.
fn in_the_past(reply: &mut [u8], before: &[u8]) {
    if let Some(start) = reply.windows(before.len()).position(|window| window == before) {
        reply[start + before.len() - 1] = b'0';
    }
}
