//! Expiry and forgotten scripts. A key expires when its record does, by the server's clock. A server that has lost the
//! scripts gets them again.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use sessions::{
    Clock, RecordId, Session, SessionLayer, SystemClock, Timeouts, Timestamp, TypedSession,
    store::{Commit, CommitOutcome, CreateOutcome, CredentialsChange, NewRecord, RedisStore, Store},
    testing::{Client, ManualClock},
};
use tests::{
    Keys,
    records::{add, new_record, put, random_credentials, record_id},
    servers::{RedisServer, until},
};

use crate::fronted::Fronted;

const SHORT: Timeouts = Timeouts::new(Duration::from_mins(10), Duration::from_hours(24));
const LONG: Timeouts = Timeouts::new(Duration::from_hours(5), Duration::from_hours(24));

/// The keys of one prefix on a server.
struct ServerKeys {
    keys: Keys,
    server: &'static RedisServer,
    store: RedisStore,
}

impl ServerKeys {
    async fn new() -> Self {
        let (keys, server) = (Keys::new(), RedisServer::shared());
        let builder = RedisStore::builder(server.url()).with_prefix(keys.prefix()).expect("a prefix");
        let store = builder.connect().await.expect("a server that answers");
        Self { keys, server, store }
    }

    async fn create(&self, timeouts: Timeouts) -> (RecordId, Timestamp) {
        let (id, new) = (record_id(), NewRecord::new(random_credentials(), timeouts));
        match self.store.create(id, new).await.expect("an answer") {
            CreateOutcome::Created(created) => (id, created),
            CreateOutcome::IdTaken => panic!("a new id is free"),
        }
    }

    /// Returns the time at which the server will delete the key: -1 for never, -2 without a key.
    fn ends(&self, id: RecordId) -> i64 {
        let key = format!("{}{id}", self.keys.prefix());
        self.server.cli(&["PEXPIRETIME", &key]).parse().expect("milliseconds")
    }

    /// Checks that the key expires with the record, or later by the time of the script.
    fn ends_at(&self, id: RecordId, deadline: Timestamp, noted: Timestamp) -> i64 {
        let late = server_time(self.server).saturating_since(noted);
        let (ends, range) = (self.ends(id), deadline.as_millis()..=deadline.saturating_add(late).as_millis());
        assert!(range.contains(&ends), "{ends} is not in {range:?}");
        ends
    }

    async fn touched(&self, id: RecordId) -> Timestamp {
        self.store.load(id, &[]).await.expect("an answer").expect("the record").touched
    }
}

#[tokio::test]
async fn a_key_ends_when_its_record_does() {
    let keys_of_server = ServerKeys::new().await;
    let absolute_first = Timeouts::new(Duration::from_hours(24), Duration::from_hours(1));
    for timeouts in [SHORT, LONG, absolute_first, Timeouts::default()] {
        let (id, created) = keys_of_server.create(timeouts).await;
        keys_of_server.ends_at(id, timeouts.deadline(created, created), created);
    }
}

#[tokio::test]
async fn a_key_whose_time_has_come_is_gone() {
    let keys_of_server = ServerKeys::new().await;
    let (id, _) =
        keys_of_server.create(Timeouts::new(Duration::from_millis(1), Duration::from_millis(1))).await;
    until("the key to go", || keys_of_server.server.log(), || keys_of_server.ends(id) == -2);
    assert!(keys_of_server.store.load(id, &[]).await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_touch_prolongs_and_nothing_else_does() {
    let keys_of_server = ServerKeys::new().await;
    let (id, created) = keys_of_server.create(SHORT).await;
    let at_first = keys_of_server.ends(id);
    applied(keys_of_server.store.commit(id, under(SHORT, put("a", "1"))).await);
    applied(keys_of_server.store.commit(id, under(SHORT, add("n", 1))).await);
    assert_eq!((keys_of_server.ends(id), keys_of_server.touched(id).await), (at_first, created));
    // With two layers, the one with the longer timeouts moves the deadline, and the other one never shortens it.
    let longer = [6, 7, 8].map(|hours| Timeouts::new(Duration::from_hours(hours), Duration::from_hours(24)));
    let notes = || [Commit::new(0, SHORT), put("a", "2"), add("n", 1)].map(|commit| commit.with_touch(true));
    for (commit, timeouts) in notes().into_iter().zip(longer) {
        applied(keys_of_server.store.commit(id, under(timeouts, commit)).await);
        let touched = keys_of_server.touched(id).await;
        let ends = keys_of_server.ends_at(id, timeouts.deadline(created, touched), touched);
        for commit in notes() {
            applied(keys_of_server.store.commit(id, under(SHORT, commit)).await);
            assert_eq!(keys_of_server.ends(id), ends);
        }
    }
}

#[tokio::test]
async fn a_destroyed_record_leaves_no_key() {
    let keys_of_server = ServerKeys::new().await;
    let (id, _) = keys_of_server.create(LONG).await;
    keys_of_server.store.destroy(id).await.expect("destroyed");
    assert_eq!(keys_of_server.ends(id), -2);
    for commit in [put("a", "1").with_touch(true), add("n", 1).with_touch(true)] {
        assert!(matches!(keys_of_server.store.commit(id, commit).await, Ok(CommitOutcome::NotFound)));
    }
    assert_eq!(keys_of_server.ends(id), -2);
    assert!(keys_of_server.keys.dump(&[keys_of_server.server]).is_empty());
}

/// A rotation is a new secret for the same record, and does not prolong its life.
#[tokio::test]
async fn a_rotation_keeps_the_deadline() {
    let keys_of_server = ServerKeys::new().await;
    let (id, _) = keys_of_server.create(SHORT).await;
    let before = keys_of_server.ends(id);
    applied(
        keys_of_server
            .store
            .commit(
                id,
                under(SHORT, add("n", 1))
                    .with_credentials_change(CredentialsChange::rotation(random_credentials())),
            )
            .await,
    );
    assert_eq!(keys_of_server.ends(id), before);
}

/// A commit with other timeouts judges the record by the old ones, and sets the key's deadline by the new ones.
/// Shorter ones do not move it, for the layer that granted more.
#[tokio::test]
async fn credentials_with_other_times_moves_the_deadline() {
    let keys_of_server = ServerKeys::new().await;
    for renewed in [false, true] {
        let (id, created) = keys_of_server.create(SHORT).await;
        let rotate = async |epoch, from, to| {
            let credentials_change = if renewed {
                let loaded =
                    keys_of_server.store.load(id, &[]).await.expect("an answer").expect("the record");
                CredentialsChange::renewal(loaded.credentials, random_credentials())
            } else {
                CredentialsChange::rotation(random_credentials())
            };
            let commit =
                Commit::new(epoch, from).with_credentials_change(credentials_change.with_timeouts(to));
            keys_of_server.store.commit(id, commit).await
        };
        applied(rotate(0, SHORT, LONG).await);
        let touched = keys_of_server.touched(id).await;
        let ends = keys_of_server.ends_at(id, LONG.deadline(created, touched), touched);
        let epoch = u64::from(!renewed);
        applied(rotate(epoch, LONG, SHORT).await);
        assert_eq!(keys_of_server.ends(id), ends);
        let dead = Timeouts::new(Duration::ZERO, Duration::ZERO);
        assert!(matches!(rotate(2 * epoch, dead, LONG).await, Ok(CommitOutcome::NotFound)));
        assert_eq!(keys_of_server.ends(id), ends);
    }
}

#[derive(Session)]
struct RememberedUser {
    #[session(identity)]
    user: Option<u64>,
    note: Option<String>,
}

/// From a login with `remember` on, the key is kept for as long as the session of a remembered user lasts.
#[tokio::test]
async fn a_login_that_is_remembered_keeps_its_key() {
    let keys_of_server = ServerKeys::new().await;
    let routes = Router::new()
        .route("/visit", get(async |mut session: TypedSession<RememberedUser>| session.set_note("hello")))
        .route(
            "/id",
            get(async |session: TypedSession<RememberedUser>| session.record_id().expect("one").to_string()),
        )
        .route(
            "/login",
            get(async |mut session: TypedSession<RememberedUser>| {
                session.remember(true);
                session.set_user(7);
            }),
        );
    let browser = Client::new(routes.layer(SessionLayer::new(keys_of_server.store.clone())));
    browser.get("/visit").await;
    let id = RecordId::parse(browser.get("/id").await.text()).expect("a record id");
    let days = |days: u64| {
        server_time(keys_of_server.server).saturating_add(Duration::from_hours(days * 24)).as_millis()
    };
    assert!((days(1)..days(2)).contains(&keys_of_server.ends(id)));
    browser.get("/login").await;
    assert!((days(29)..=days(30)).contains(&keys_of_server.ends(id)));
}

/// A visitor's key is kept for the first visit, and from the second request on for as long as others.
#[tokio::test]
async fn a_key_of_a_first_visit_ends_soon_unless_it_is_touched() {
    let keys_of_server = ServerKeys::new().await;
    let timeouts = LONG.with_first_visit(Duration::from_mins(30));
    let (id, new) = (record_id(), NewRecord::new(random_credentials(), timeouts).with_first_visit(true));
    let Ok(CreateOutcome::Created(created)) = keys_of_server.store.create(id, new).await else {
        panic!("a new id is free")
    };
    let first = Timeouts::new(timeouts.first_visit(), timeouts.absolute());
    keys_of_server.ends_at(id, first.deadline(created, created), created);
    applied(keys_of_server.store.commit(id, Commit::new(0, timeouts).with_touch(true)).await);
    let touched = keys_of_server.touched(id).await;
    keys_of_server.ends_at(id, timeouts.deadline(created, touched), touched);
}

/// The server reads its clock when it carries out a request, and not when that is sent: it is stopped meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn times_are_those_of_the_server() {
    let front = Fronted::server(RedisServer::start());
    let (server, store) = (front.node(), Arc::new(front.open().await));
    let id = record_id();
    let Ok(CreateOutcome::Created(first)) = store.create(id, new_record()).await else {
        panic!("a new id is free")
    };
    // The server carries out all requests of this time after this moment.
    let stopped = async |request: tokio::task::JoinHandle<()>| {
        until("the request", String::new, || front.proxies[0].requests() > 0);
        let sent = SystemClock.now();
        until("the clock to go on", String::new, || SystemClock.now() > sent);
        let moment = SystemClock.now();
        server.resume();
        request.await.expect("no panic");
        (moment, server_time(server))
    };
    let stop = || {
        server.stall();
        front.take();
    };

    stop();
    let new = record_id();
    let work = Arc::clone(&store);
    let (before, after) = stopped(tokio::spawn(async move {
        work.create(new, new_record()).await.expect("an answer");
    }))
    .await;
    let created = store.load(new, &[]).await.expect("an answer").expect("the record");
    assert!((before..=after).contains(&created.created), "{before:?} {created:?} {after:?}");
    assert_eq!(created.created, created.touched);

    for commit in [put("a", "1"), add("n", 1)] {
        stop();
        let work = Arc::clone(&store);
        let (before, after) =
            stopped(tokio::spawn(async move { applied(work.commit(id, commit.with_touch(true)).await) }))
                .await;
        let loaded = store.load(id, &[]).await.expect("an answer").expect("the record");
        assert!((before..=after).contains(&loaded.touched), "{before:?} {loaded:?} {after:?}");
        assert_eq!(loaded.created, first);
    }
}

/// Between two readings a store carries the server's time on. It is never ahead, and not behind without limit.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_load_is_never_ahead_of_the_server() {
    let keys_of_server = ServerKeys::new().await;
    let (id, _) = keys_of_server.create(LONG).await;
    let mut last = Timestamp::from_millis(0);
    // Longer than a reading is used, so that there are several.
    let end = server_time(keys_of_server.server).saturating_add(Duration::from_secs(3));
    while last < end {
        let now = keys_of_server.store.load(id, &[]).await.expect("an answer").expect("the record").now;
        let after = server_time(keys_of_server.server);
        assert!(now <= after, "{now:?} is ahead of {after:?}");
        assert!(after < end.saturating_add(Duration::from_mins(1)), "{now:?} stays behind {after:?}");
        last = now;
    }
}

/// `touched` never goes back, even if a clock does.
#[tokio::test]
async fn a_clock_that_goes_back_takes_nothing_back() {
    let (keys, server, clock) = (Keys::new(), RedisServer::shared(), ManualClock::new());
    let builder = RedisStore::builder(server.url()).with_prefix(keys.prefix()).expect("a prefix");
    let store = builder.with_clock(clock.clone()).connect().await.expect("a server that answers");
    let (id, began) = (record_id(), clock.now());
    store.create(id, new_record()).await.expect("an answer");
    clock.set(Timestamp::from_millis(began.as_millis() - 60_000));
    for commit in [put("a", "1"), add("n", 1)] {
        applied(store.commit(id, commit.with_touch(true)).await);
        let loaded = store.load(id, &[]).await.expect("an answer").expect("the record");
        assert_eq!(loaded.touched, began);
    }
}

/// The scripts are flushed again and again. Every add counts, and no request fails.
#[tokio::test(flavor = "multi_thread")]
async fn flushed_scripts_are_told_again() {
    let server = RedisServer::start();
    let store = Arc::new(RedisStore::connect(server.url()).await.expect("a server that answers"));
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..25 {
                    applied(store.commit(id, add("n", 1)).await);
                    applied(store.commit(id, put("a", "1")).await);
                    let other = store.create(record_id(), new_record()).await;
                    assert!(matches!(other, Ok(CreateOutcome::Created(_))), "{other:?}");
                }
            })
        })
        .collect();
    let mut flushes = 0;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::task::block_in_place(|| server.cli(&["SCRIPT", "FLUSH"]));
        flushes += 1;
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let loaded = store.load(id, &["n".into()]).await.expect("an answer").expect("the record");
    assert_eq!(loaded.fields.get("n").map(|json| &json[..]), Some(&b"200"[..]));
    // Each flush has the text sent once more, so the test has shown something.
    let info = server.cli(&["INFO", "commandstats"]);
    assert!(flushes > 1 && info.contains("cmdstat_eval:"), "{flushes} flushes\n{info}");
}

/// A server that restarts has its data, but no scripts.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_again_is_told_the_scripts() {
    let server = RedisServer::options().with_durability().start();
    let store = RedisStore::connect(server.url()).await.expect("a server that answers");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    applied(store.commit(id, put("a", "1")).await);
    server.restart();
    // The first thing a request does is a load, which may be repeated on another connection.
    let loaded = store.load(id, &["a".into()]).await.expect("an answer").expect("the record");
    assert_eq!(loaded.fields.get("a").map(|json| &json[..]), Some(&b"1"[..]));
    applied(store.commit(id, put("a", "2")).await);
    applied(store.commit(id, add("n", 1)).await);
    store.create(record_id(), new_record()).await.expect("an answer");
    store.destroy(id).await.expect("destroyed");
}

fn server_time(server: &RedisServer) -> Timestamp {
    let time = server.cli(&["TIME"]);
    let (seconds, micros) = time.split_once('\n').expect("two lines");
    let number = |text: &str| text.parse::<i64>().expect("a number");
    Timestamp::from_millis(number(seconds) * 1000 + number(micros) / 1000)
}

fn under(timeouts: Timeouts, mut commit: Commit) -> Commit {
    commit.timeouts = timeouts;
    commit
}

#[track_caller]
fn applied(answer: Result<CommitOutcome, sessions::Error>) {
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
}
