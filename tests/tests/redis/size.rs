//! The memory of a session on the server. While no value is longer than 64 bytes, Redis keeps a hash in half the
//! memory.

use std::time::Duration;

use axum::{Router, routing::get};
use sessions::{
    Session, SessionLayer, Timeouts, TypedSession,
    store::{RedisStore, Store, WebdisStore},
    testing::{Client, ManualClock},
};
use tests::{
    proxy::{Protocol, Proxy},
    servers::{RedisServer, WebdisServer},
};

/// The longest metadata value. The rest, up to 64 bytes, is left for a later version.
const LONGEST: usize = 64 - 8;

const VALUE: &str = "1234567890123456789012345678901234567890";

#[derive(Session)]
struct SizedAccount {
    #[session(identity)]
    user_id: Option<u64>,
    #[session(privilege)]
    role: Option<String>,
    #[session(keep_on_logout)]
    one: String,
    #[session(keep_on_logout)]
    two: String,
    three: String,
    four: String,
    five: String,
}

type SizedSession = TypedSession<SizedAccount>;

fn app(store: impl Store) -> Client {
    let visit = async |mut session: SizedSession| {
        session.set_one(VALUE);
        session.set_two(VALUE);
        session.set_three(VALUE);
        session.set_four(VALUE);
        session.set_five(VALUE);
    };
    let login = async |mut session: SizedSession| session.set_user_id(7);
    let role = async |mut session: SizedSession| session.set_role("admin");
    let remembered = async |session: SizedSession| {
        session.remember(true);
        session.limit_lifetime(Duration::from_hours(2), Duration::from_hours(24 * 7));
        session.rotate();
    };
    let id = async |session: SizedSession| session.record_id().map(|id| id.to_string()).unwrap_or_default();
    let who = async |session: SizedSession| format!("{:?} {:?}", session.user_id(), session.role());
    let routes = Router::new()
        .route("/visit", get(visit))
        .route("/login", get(login))
        .route("/role", get(role))
        .route("/remembered", get(remembered))
        .route("/rotate", get(async |session: SizedSession| session.rotate()))
        .route("/renew", get(async |session: SizedSession| session.renew()))
        .route("/logout", get(async |mut session: SizedSession| session.remove_user_id()))
        .route("/id", get(id))
        .route("/who", get(who));
    let timeouts = Timeouts::new(Duration::from_hours(24), Duration::from_hours(24 * 30));
    Client::new(routes.layer(SessionLayer::new(store).with_timeouts(timeouts)))
}

/// Requests a path, and checks how the server keeps the session then.
async fn check(browser: &Client, server: &RedisServer, what: &str, path: &str) {
    let before = browser.get("/id").await;
    assert_eq!(browser.get(path).await.status(), 200, "{what}");
    // Otherwise a renewal that has begun would be completed.
    let after = if before.text().is_empty() { browser.get("/id").await } else { before };
    let key = format!("sess:{}", after.text());
    let names = server.cli(&["HKEYS", &key]);
    let is_metadata = |name: &&str| name.starts_with('@') && !name.starts_with("@@");
    let length = |name: &str| server.cli(&["HSTRLEN", &key, name]).parse::<usize>().expect("a length");
    let metadata: Vec<_> = names.lines().filter(is_metadata).map(|name| (name, length(name))).collect();
    let encoding = server.cli(&["OBJECT", "ENCODING", &key]);
    println!("{what}: {encoding}, {} bytes, {metadata:?}", server.cli(&["MEMORY", "USAGE", &key]));
    assert_eq!(encoding, "listpack", "{what}");
    // The ids of commits are eight times eight bytes, in later versions too.
    let others = metadata.iter().filter(|(name, _)| *name != "@c");
    assert!(others.clone().all(|(_, length)| *length <= LONGEST), "{what}: {metadata:?}");
}

async fn stays_compact(name: &str, app: Client, clock: &ManualClock, server: &RedisServer) {
    println!("{name}");
    let browser = app.stranger();
    check(&browser, server, "a visitor with 5 fields of 40 bytes", "/visit").await;
    check(&browser, server, "has logged in", "/login").await;
    check(&browser, server, "has a role", "/role").await;
    check(&browser, server, "remembered, with times of its own", "/remembered").await;
    for _ in 0..3 {
        check(&browser, server, "rotated", "/rotate").await;
    }
    for _ in 0..6 {
        check(&browser, server, "rotated many times", "/rotate").await;
    }
    assert_eq!(browser.get("/who").await.text(), "Some(7) Some(\"admin\")");
    clock.advance(Duration::from_mins(2));
    check(&browser, server, "renewal begun", "/renew").await;
    check(&browser, server, "renewal ended", "/id").await;
    check(&browser, server, "has logged out", "/logout").await;
    assert_eq!(browser.get("/who").await.text(), "None None");
    check(&browser, server, "has logged in again", "/login").await;
    assert_eq!(browser.get("/who").await.text(), "Some(7) None");
    let direct = app.stranger();
    check(&direct, server, "logged in by the first request", "/login").await;
    clock.advance(Duration::from_mins(2));
    check(&direct, server, "renewal begun by another", "/renew").await;
    assert_eq!(direct.get("/who").await.text(), "Some(7) None");
}

/// Every session that a program makes stays in the small form, however often it rotates.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_log_in_and_rotate_stay_compact() {
    let server = RedisServer::start();
    let webdis = WebdisServer::start(&server);
    let clock = ManualClock::new();
    let store = RedisStore::builder(server.url()).with_clock(clock.clone()).connect().await;
    stays_compact("RedisStore", app(store.expect("a server that answers")), &clock, &server).await;
    let store = WebdisStore::builder(webdis.url()).with_clock(clock.clone()).connect().await;
    stays_compact("WebdisStore", app(store.expect("a server that answers")), &clock, &server).await;
}

/// Metadata of many pieces are read in one round trip all the same, once any were.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_rotated_often_is_read_in_one_round_trip() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.expect("a server that answers");
    let writer = app(store).stranger();
    writer.get("/visit").await;
    writer.get("/login").await;
    for _ in 0..8 {
        writer.get("/rotate").await;
    }
    let proxy = Proxy::start(server.port(), Protocol::REDIS);
    // One connection: another one would be opened in the background, and its greeting would count.
    let store = RedisStore::builder(format!("redis://127.0.0.1:{}", proxy.port())).with_connections(1);
    let store = store.connect().await;
    let reader = writer.at(&app(store.expect("a server that answers")));
    let mut trips = Vec::new();
    for _ in 0..3 {
        proxy.take();
        assert_eq!(reader.get("/who").await.text(), "Some(7) None");
        trips.push(proxy.take().round_trips);
    }
    assert_eq!(trips, [2, 1, 1]);
}
