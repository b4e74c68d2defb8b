//! A server that is not ready yet when the store is opened.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use sessions::{
    Error, ErrorKind,
    store::{RedisStore, RedisStoreBuilder, WebdisStore},
};
use tests::servers::{RedisServer, Sentinel, WebdisServer, until};

use crate::common::{does_everything, whole};

const SHORT: Duration = Duration::from_millis(300);

/// A timeout that is long enough for a server that loads, which serves clients only now and then.
const PATIENT: Duration = Duration::from_secs(3);

#[track_caller]
fn unavailable(error: &Error, words: &str) {
    whole(error);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains(words), "{words}: {error:?}");
}

/// A server that loads its data until the test ends that.
struct Loading(RedisServer);

impl Loading {
    fn start() -> Self {
        let server = RedisServer::options()
            .add_line(
                "enable-debug-command yes\nrdbcompression no\nloading-process-events-interval-bytes 1024",
            )
            .start();
        // The server loads each key slowly and serves clients in between. All keys take longer than any test.
        server.cli(&["DEBUG", "POPULATE", "200000", "key", "1024"]);
        server.cli(&["CONFIG", "SET", "key-load-delay", "5000"]);
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("a server");
        client.write_all(b"AUTH support support\r\nDEBUG RELOAD\r\n").expect("it listens");
        // Its reply comes in the end, and the test does not wait for it.
        thread::spawn(move || client.read_to_end(&mut Vec::new()));
        let server = Self(server);
        until("the server to load", || server.0.log(), || server.0.info("loading").as_deref() == Some("1"));
        server
    }

    fn let_go(&self) {
        self.0.cli(&["CONFIG", "SET", "key-load-delay", "0"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_is_unavailable_and_can_be_waited_for() {
    let server = Loading::start();
    let builder = || RedisStore::builder(server.0.url()).with_timeout(PATIENT);
    let waiting = tokio::spawn(builder().with_start_timeout(Duration::from_hours(1)).connect());
    unavailable(&builder().connect().await.expect_err("it loads"), "loading");
    // By now the waiting store has waited for longer than requests do.
    unavailable(&builder().connect().await.expect_err("it loads"), "loading");
    assert!(!waiting.is_finished());
    server.let_go();
    let store = waiting.await.expect("no panic").expect("it has loaded");
    until("the server to be done", || server.0.log(), || server.0.info("loading").as_deref() == Some("0"));
    assert_eq!(does_everything(&store).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdis_before_a_server_that_loads_is_unavailable_and_can_be_waited_for() {
    let server = Loading::start();
    let webdis = WebdisServer::start(&server.0);
    let builder = || WebdisStore::builder(webdis.url()).with_timeout(PATIENT);
    let waiting = tokio::spawn(builder().with_start_timeout(Duration::from_hours(1)).connect());
    unavailable(&builder().connect().await.expect_err("it loads"), "Redis");
    assert!(!waiting.is_finished());
    server.let_go();
    let store = waiting.await.expect("no panic").expect("it has loaded");
    until("the server to be done", || server.0.log(), || server.0.info("loading").as_deref() == Some("0"));
    assert_eq!(does_everything(&store).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_many_clients_is_unavailable() {
    let server = RedisServer::start();
    server.cli(&["CONFIG", "SET", "maxclients", "1"]);
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("a server");
    until("the place to be taken", || server.log(), || server.try_cli(&["PING"]).is_err());
    let error = RedisStore::builder(server.url()).with_timeout(SHORT).connect().await.expect_err("full");
    // The server may hang up before its words are read.
    assert!(
        ["maxclients", "cannot reach"].iter().any(|words| error.to_string().contains(words)),
        "{error:?}"
    );
    unavailable(&error, "Redis");
    let opening = tokio::spawn(RedisStore::connect(server.url()));
    drop(client);
    // One connection is enough to open a store.
    opening.await.expect("no panic").expect("there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_replicas_or_memory_is_unavailable() {
    let server = RedisServer::start();
    let builder = || RedisStore::builder(server.url()).with_timeout(SHORT);
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    unavailable(&builder().connect().await.expect_err("no replica"), "min-replicas-to-write");
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0", "maxmemory", "1"]);
    unavailable(&builder().connect().await.expect_err("no memory"), "maxmemory");
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    builder().connect().await.expect("all is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_without_a_primary_are_unavailable() {
    let sentinel = Sentinel::start();
    sentinel.kill_both();
    let builder = RedisStoreBuilder::sentinel(sentinel.sentinel_urls(), sentinel.service_name());
    unavailable(&builder.with_timeout(SHORT).connect().await.expect_err("no primary"), "primary");
    let builder = RedisStoreBuilder::sentinel(sentinel.sentinel_urls(), "another");
    let error = builder.with_timeout(SHORT).connect().await.expect_err("no such service");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
}

/// The last attempt has no time left, or gets no reply. The error has the reason of the ones before.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_attempt_does_not_hide_the_reason() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for (number, mut client) in listener.incoming().map_while(Result::ok).enumerate() {
            if number < 2 {
                // The client may have gone.
                let _ = client.read(&mut [0; 1024]).and_then(|_| client.write_all(b"-LOADING not yet\r\n"));
            } else {
                silent.push(client);
            }
        }
    });
    let builder =
        RedisStore::builder(format!("redis://127.0.0.1:{port}")).with_timeout(Duration::from_secs(1));
    unavailable(&builder.connect().await.expect_err("never ready"), "loading");
}
