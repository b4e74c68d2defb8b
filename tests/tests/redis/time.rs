//! Time and what the server forgets: keys end by themselves, when and only when their records do, by the
//! server's clock; a server that has lost the scripts is told them again.

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
struct Place {
    keys: Keys,
    server: &'static RedisServer,
    store: RedisStore,
}

impl Place {
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

    /// When the server will delete the key: -1 for never, -2 if there is none.
    fn ends(&self, id: RecordId) -> i64 {
        let key = format!("{}{id}", self.keys.prefix());
        self.server.cli(&["PEXPIRETIME", &key]).parse().expect("milliseconds")
    }

    /// The key ends with the record, or later by the time that the script has taken.
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
    let place = Place::new().await;
    let absolute_first = Timeouts::new(Duration::from_hours(24), Duration::from_hours(1));
    for timeouts in [SHORT, LONG, absolute_first, Timeouts::default()] {
        let (id, created) = place.create(timeouts).await;
        place.ends_at(id, timeouts.deadline(created, created), created);
    }
}

#[tokio::test]
async fn a_key_whose_time_has_come_is_gone() {
    let place = Place::new().await;
    let (id, _) = place.create(Timeouts::new(Duration::from_millis(1), Duration::from_millis(1))).await;
    until("the key to go", || place.server.log(), || place.ends(id) == -2);
    assert!(place.store.load(id, &[]).await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_touch_prolongs_and_nothing_else_does() {
    let place = Place::new().await;
    let (id, created) = place.create(SHORT).await;
    let at_first = place.ends(id);
    applied(place.store.commit(id, under(SHORT, put("a", "1"))).await);
    applied(place.store.commit(id, under(SHORT, add("n", 1))).await);
    assert_eq!((place.ends(id), place.touched(id).await), (at_first, created));
    // Two layers: the one with the longer timeouts prolongs, the other one never shortens.
    let longer = [6, 7, 8].map(|hours| Timeouts::new(Duration::from_hours(hours), Duration::from_hours(24)));
    let notes = || [Commit::new(0, SHORT), put("a", "2"), add("n", 1)].map(|commit| commit.with_touch(true));
    for (commit, timeouts) in notes().into_iter().zip(longer) {
        applied(place.store.commit(id, under(timeouts, commit)).await);
        let touched = place.touched(id).await;
        let ends = place.ends_at(id, timeouts.deadline(created, touched), touched);
        for commit in notes() {
            applied(place.store.commit(id, under(SHORT, commit)).await);
            assert_eq!(place.ends(id), ends);
        }
    }
}

#[tokio::test]
async fn a_destroyed_record_leaves_no_key() {
    let place = Place::new().await;
    let (id, _) = place.create(LONG).await;
    place.store.destroy(id).await.expect("destroyed");
    assert_eq!(place.ends(id), -2);
    for commit in [put("a", "1").with_touch(true), add("n", 1).with_touch(true)] {
        assert!(matches!(place.store.commit(id, commit).await, Ok(CommitOutcome::NotFound)));
    }
    assert_eq!(place.ends(id), -2);
    assert!(place.keys.dump(&[place.server]).is_empty());
}

/// A rotation is a new secret for the same record: it lives no longer for that.
#[tokio::test]
async fn a_rotation_keeps_the_deadline() {
    let place = Place::new().await;
    let (id, _) = place.create(SHORT).await;
    let before = place.ends(id);
    applied(
        place
            .store
            .commit(
                id,
                under(SHORT, add("n", 1))
                    .with_credentials_change(CredentialsChange::rotation(random_credentials())),
            )
            .await,
    );
    assert_eq!(place.ends(id), before);
}

/// With other times the record is judged by the old ones and its key kept by the new; where those are shorter, the
/// key stays for the layer that granted more.
#[tokio::test]
async fn credentials_with_other_times_moves_the_deadline() {
    let place = Place::new().await;
    for renewed in [false, true] {
        let (id, created) = place.create(SHORT).await;
        let rotate = async |epoch, from, to| {
            let credentials_change = if renewed {
                let loaded = place.store.load(id, &[]).await.expect("an answer").expect("the record");
                CredentialsChange::renewal(loaded.credentials, random_credentials())
            } else {
                CredentialsChange::rotation(random_credentials())
            };
            let commit =
                Commit::new(epoch, from).with_credentials_change(credentials_change.with_timeouts(to));
            place.store.commit(id, commit).await
        };
        applied(rotate(0, SHORT, LONG).await);
        let touched = place.touched(id).await;
        let ends = place.ends_at(id, LONG.deadline(created, touched), touched);
        let epoch = u64::from(!renewed);
        applied(rotate(epoch, LONG, SHORT).await);
        assert_eq!(place.ends(id), ends);
        let dead = Timeouts::new(Duration::ZERO, Duration::ZERO);
        assert!(matches!(rotate(2 * epoch, dead, LONG).await, Ok(CommitOutcome::NotFound)));
        assert_eq!(place.ends(id), ends);
    }
}

#[derive(Session)]
struct Shopper {
    #[session(identity)]
    user: Option<u64>,
    note: Option<String>,
}

/// A visitor's key is kept for as long as the session lives whose user asks to be remembered, from the login on.
#[tokio::test]
async fn a_login_that_is_remembered_keeps_its_key() {
    let place = Place::new().await;
    let routes = Router::new()
        .route("/visit", get(async |mut session: TypedSession<Shopper>| session.set_note("hello")))
        .route(
            "/id",
            get(async |session: TypedSession<Shopper>| session.record_id().expect("one").to_string()),
        )
        .route(
            "/login",
            get(async |mut session: TypedSession<Shopper>| {
                session.remember(true);
                session.set_user(7);
            }),
        );
    let browser = Client::new(routes.layer(SessionLayer::new(place.store.clone())));
    browser.get("/visit").await;
    let id = RecordId::parse(browser.get("/id").await.text()).expect("a record id");
    let days =
        |days: u64| server_time(place.server).saturating_add(Duration::from_hours(days * 24)).as_millis();
    assert!((days(1)..days(2)).contains(&place.ends(id)));
    browser.get("/login").await;
    assert!((days(29)..=days(30)).contains(&place.ends(id)));
}

/// A visitor's key lives for the first visit, and once they are back for as long as others.
#[tokio::test]
async fn a_key_of_a_first_visit_ends_soon_unless_it_is_touched() {
    let place = Place::new().await;
    let timeouts = LONG.with_first_visit(Duration::from_mins(30));
    let (id, new) = (record_id(), NewRecord::new(random_credentials(), timeouts).with_first_visit(true));
    let Ok(CreateOutcome::Created(created)) = place.store.create(id, new).await else {
        panic!("a new id is free")
    };
    let first = Timeouts::new(timeouts.first_visit(), timeouts.absolute());
    place.ends_at(id, first.deadline(created, created), created);
    applied(place.store.commit(id, Commit::new(0, timeouts).with_touch(true)).await);
    let touched = place.touched(id).await;
    place.ends_at(id, timeouts.deadline(created, touched), touched);
}

/// The server reads its clock when it does the work, which is later than when we asked: it is stopped meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn times_are_those_of_the_server() {
    let front = Fronted::server(RedisServer::start());
    let (server, store) = (front.node(), Arc::new(front.open().await));
    let id = record_id();
    let Ok(CreateOutcome::Created(first)) = store.create(id, new_record()).await else {
        panic!("a new id is free")
    };
    // Whatever is asked of the server meanwhile, it does after this moment.
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

/// Between readings a store carries the server's time on: never beyond it, and not without end behind it.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_load_is_never_ahead_of_the_server() {
    let place = Place::new().await;
    let (id, _) = place.create(LONG).await;
    let mut last = Timestamp::from_millis(0);
    // More than a reading counts for, so that there are several.
    let end = server_time(place.server).saturating_add(Duration::from_secs(3));
    while last < end {
        let now = place.store.load(id, &[]).await.expect("an answer").expect("the record").now;
        let after = server_time(place.server);
        assert!(now <= after, "{now:?} is ahead of {after:?}");
        assert!(after < end.saturating_add(Duration::from_mins(1)), "{now:?} stays behind {after:?}");
        last = now;
    }
}

/// `touched` never goes back, whatever a clock says.
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

/// Somebody flushes the scripts again and again: every add counts, and nobody notices.
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
    // Each has the text sent once more: the test is about that.
    let info = server.cli(&["INFO", "commandstats"]);
    assert!(flushes > 1 && info.contains("cmdstat_eval:"), "{flushes} flushes\n{info}");
}

/// A server that starts again has its data, and no scripts.
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
