//! What overlaps: saves under way when the handler returns, handles that outlive it, two layers, a
//! store without room.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "overlap/losses.rs"]
mod losses;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use sessions::{
    Error, Session, SessionLayer, Timeouts, TypedSession,
    store::MemoryStore,
    testing::{Client, FaultStore, Faults, Gate, ManualClock, Operation, Response},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const COOKIE: &str = "__Host-sid";

#[derive(Session)]
struct Account {
    name: Option<String>,
    role: Option<String>,
    #[session(merge = "add")]
    visits: u32,
    #[session(merge = "last")]
    cart: Vec<String>,
}

type Visit = TypedSession<Account>;

async fn read(session: Visit) -> String {
    let (name, role) = (session.name().unwrap_or("-"), session.role().unwrap_or("-"));
    format!("{name} {role} {} {}", session.visits(), session.cart().join(","))
}

async fn sign_in(mut session: Visit) {
    session.set_name("Ada");
    session.add_visits(10);
    session.cart_mut().push("pen".to_owned());
}

async fn sign_out(session: Visit) {
    session.destroy();
}

const SIGNED_IN: &str = "Ada - 10 pen";
const NOBODY: &str = "- - 0 ";

fn routes() -> Router {
    Router::new().route("/read", get(read)).route("/in", get(sign_in)).route("/out", get(sign_out))
}

/// A browser in front of these routes, on a store in memory with faults.
fn browser(routes: Router) -> (Client, Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    (Client::new(routes.layer(SessionLayer::new(store))), faults)
}

/// The same, with faults of two kinds: those that fail a call, and behind them those that hold it.
fn failing_browser(routes: Router) -> (Client, Faults, Faults) {
    let failing = FaultStore::new(MemoryStore::new());
    let faults = failing.faults();
    let holding = FaultStore::new(failing);
    let holds = holding.faults();
    (Client::new(routes.layer(SessionLayer::new(holding))), faults, holds)
}

/// Begins some work and stops waiting for it at once, as a timeout would.
async fn begin(work: impl Future) {
    let mut work = pin!(work);
    poll_fn(|context| {
        let is_done = work.as_mut().poll(context).is_ready();
        assert!(!is_done, "the store was to be held");
        Poll::Ready(())
    })
    .await;
}

/// Answers a request; `meanwhile` happens while a call of the store waits at the gate.
async fn held(request: impl Future<Output = Response>, gate: &Gate, meanwhile: impl FnOnce()) -> Response {
    let at_gate = async {
        gate.arrived().await;
        meanwhile();
        gate.release();
    };
    tokio::join!(request, at_gate).0
}

/// A route's handler that sets the name and sends a second handle of its request to the test.
fn lend(routes: Router) -> (Router, UnboundedReceiver<Visit>) {
    let (lent, borrowed) = unbounded_channel();
    let handler = async move |mut session: Visit, other: Visit| {
        session.set_name("Bob");
        lent.send(other).is_ok().to_string()
    };
    (routes.route("/lend", get(handler)), borrowed)
}

/// What a layer reports.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn by(&self, layer: SessionLayer) -> SessionLayer {
        let heard = self.clone();
        layer.with_event_hook(move |event| heard.0.lock().expect("no panic").push(format!("{event:?}")))
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// A rotation under way when the handler returns is waited for, and its cookie sent.
#[tokio::test]
async fn a_rotation_under_way_at_return_keeps_the_user_signed_in() {
    let rotate = async |mut session: Visit| {
        session.rotate();
        session.set_name("Bob");
        begin(session.save()).await;
    };
    let (browser, faults) = browser(routes().route("/rotate", get(rotate)));
    browser.get("/in").await;
    let thief = browser.clone_jar();
    let response = held(browser.get("/rotate"), &faults.hold(Operation::Commit), || {}).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), "Bob - 10 pen");
    assert_eq!(thief.get("/read").await.text(), NOBODY);
}

/// A new session under way when the handler returns is waited for, and its cookie sent.
#[tokio::test]
async fn a_new_session_under_way_at_return_gets_its_cookie() {
    let create = async |mut session: Visit| {
        session.set_name("Bob");
        begin(session.save()).await;
    };
    let (browser, faults) = browser(routes().route("/create", get(create)));
    let response = held(browser.get("/create"), &faults.hold(Operation::Create), || {}).await;
    assert_eq!(response.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "Bob - 0 ");
}

/// A save that fails after its handler stopped waiting is tried again, or the answer is an error.
#[tokio::test]
async fn a_save_that_fails_unseen_is_repeated_or_an_error() {
    for (failures, status, stored) in [(1, 200, "Bob - 10 pen"), (2, 503, SIGNED_IN)] {
        let save = async |mut session: Visit| {
            session.set_name("Bob");
            begin(session.save()).await;
        };
        let (browser, faults, holds) = failing_browser(routes().route("/save", get(save)));
        browser.get("/in").await;
        faults.fail(Operation::Commit, failures);
        let response = held(browser.get("/save"), &holds.hold(Operation::Commit), || {}).await;
        assert_eq!(response.status(), status, "after {failures} failures");
        assert_eq!(browser.get("/read").await.text(), stored, "after {failures} failures");
    }
}

/// A save of unknown outcome is not answered with 200, even if its handler did not wait for it. A handler that did
/// wait has the error, and answers as it sees fit.
#[tokio::test]
async fn a_save_of_unknown_outcome_is_heard_by_the_handler_or_the_client() {
    let unseen = async |mut session: Visit| {
        session.set_name("Bob");
        begin(session.save()).await;
    };
    let seen = async |mut session: Visit| {
        session.set_name("Bob");
        session.save().await.map_or_else(|error| format!("{:?}", error.kind()), |()| "saved".to_owned())
    };
    let (browser, faults, holds) =
        failing_browser(routes().route("/unseen", get(unseen)).route("/seen", get(seen)));
    browser.get("/in").await;
    faults.lose_request(Operation::Commit);
    let response = held(browser.get("/unseen"), &holds.hold(Operation::Commit), || {}).await;
    assert_eq!(response.status(), 503);
    faults.lose_request(Operation::Commit);
    let response = browser.get("/seen").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "OutcomeUnknown"));
}

/// What a handle hands over while the final commit is under way is committed too.
#[tokio::test]
async fn a_handle_dropped_during_the_final_commit_counts() {
    let (routes, mut borrowed) = lend(routes());
    let (browser, faults) = browser(routes);
    browser.get("/in").await;
    let change = || {
        let mut late = borrowed.try_recv().expect("a handle");
        late.set_role("late");
    };
    let response = held(browser.get("/lend"), &faults.hold(Operation::Commit), change).await;
    assert_eq!(response.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "Bob late 10 pen");
}

/// A logout after the response needs no `save`: it ends the session.
#[tokio::test]
async fn a_logout_after_the_response_ends_the_session() {
    let (routes, mut borrowed) = lend(routes());
    let (browser, _) = browser(routes);
    browser.get("/in").await;
    browser.get("/lend").await;
    borrowed.try_recv().expect("a handle").destroy();
    // It is done in a task of its own.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(browser.get("/read").await.text(), NOBODY);
}

/// A logout while the final commit is under way ends the session, and the cookie is removed.
#[tokio::test]
async fn a_logout_during_the_final_commit_ends_the_session() {
    let (routes, mut borrowed) = lend(routes());
    let (browser, faults) = browser(routes);
    browser.get("/in").await;
    let thief = browser.clone_jar();
    let sign_out = || borrowed.try_recv().expect("a handle").destroy();
    held(browser.get("/lend"), &faults.hold(Operation::Commit), sign_out).await;
    assert!(browser.cookie(COOKIE).is_none());
    assert_eq!(thief.get("/read").await.text(), NOBODY);
}

/// A save that was given up and failed is told by the next one of its handle, once.
#[tokio::test]
async fn a_save_that_was_given_up_is_told_by_the_next_one() {
    let change = async |mut session: Visit| {
        session.set_name("Bob");
        begin(session.save()).await;
        session.set_role("guest");
        let told = session.save().await.map_err(|error| error.kind());
        format!("{told:?} {:?}", session.save().await)
    };
    let (browser, faults, holds) = failing_browser(routes().route("/change", get(change)));
    browser.get("/in").await;
    faults.lose_request(Operation::Commit);
    let response = held(browser.get("/change"), &holds.hold(Operation::Commit), || {}).await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "Err(OutcomeUnknown) Ok(())"));
    assert_eq!(browser.get("/read").await.text(), "Ada guest 10 pen");
}

/// A `clear` after the response that no handler saved changes nothing, and is reported.
#[tokio::test]
async fn a_forgotten_clear_after_the_response_is_reported() {
    let (routes, mut borrowed) = lend(routes());
    let heard = Heard::default();
    let layer = heard.by(SessionLayer::new(MemoryStore::new()));
    let browser = Client::new(routes.layer(layer));
    browser.get("/in").await;
    browser.get("/lend").await;
    borrowed.try_recv().expect("a handle").clear();
    let events = heard.all();
    assert!(matches!(&events[..], [_created, event] if event.contains("UnsavedChanges")), "{events:?}");
    assert_eq!(browser.get("/read").await.text(), "Bob - 10 pen");
}

/// A logout while the session is being created leaves none behind, in the browser or in the store.
#[tokio::test]
async fn a_logout_while_the_session_is_created_leaves_none() {
    for waits in [false, true] {
        let handler = async move |mut session: Visit| {
            session.set_role("admin");
            begin(session.save()).await;
            session.destroy();
            if waits {
                // What was begun is finished before it.
                session.save().await?;
            }
            Ok::<_, Error>(format!("{:?}", session.role()))
        };
        let memory = Arc::new(MemoryStore::new());
        let store = FaultStore::new(Arc::clone(&memory));
        let faults = store.faults();
        let browser = Client::new(routes().route("/", get(handler)).layer(SessionLayer::new(store)));
        let response = held(browser.get("/"), &faults.hold(Operation::Create), || {}).await;
        assert_eq!(response.text(), "None", "waits: {waits}");
        assert!(browser.cookie(COOKIE).is_none(), "waits: {waits}");
        assert!(memory.is_empty(), "waits: {waits}");
    }
}

/// What was changed before a logout is not written to the session that begins after it, even if
/// its commit failed in between.
#[tokio::test]
async fn changes_of_an_ended_session_stay_out_of_the_next() {
    let handler = async |mut session: Visit| {
        session.set_role("admin");
        begin(session.save()).await;
        session.destroy();
        session.set_name("goodbye");
    };
    let (browser, faults, holds) = failing_browser(routes().route("/", get(handler)));
    browser.get("/in").await;
    faults.fail(Operation::Commit, 1);
    held(browser.get("/"), &holds.hold(Operation::Commit), || {}).await;
    assert_eq!(browser.get("/read").await.text(), "goodbye - 0 ");
}

/// A handle still knows the record's fields if the client went away before the final commit, which
/// waits for the handle's own save.
#[tokio::test]
async fn a_handle_keeps_its_fields_when_the_client_goes_away() {
    let (lent, mut borrowed) = unbounded_channel();
    let stay = Gate::new();
    let at_stay = stay.clone();
    let handler = async move |mut session: Visit, other: Visit| {
        session.set_name("Bob");
        assert!(lent.send(other).is_ok());
        at_stay.pass().await;
    };
    let (browser, faults) = browser(routes().route("/lend", get(handler)));
    browser.get("/in").await;
    let tab = browser.fork();
    let visit = tokio::spawn(async move { tab.get("/lend").await });
    stay.arrived().await;
    let mut late = borrowed.try_recv().expect("a handle");
    let commit = faults.hold(Operation::Commit);
    let saving = tokio::spawn(async move {
        late.set_role("late");
        late.save().await.expect("saved");
        late
    });
    commit.arrived().await;
    stay.release();
    // The handler returns, and its commit queues behind the save.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    visit.abort();
    assert!(visit.await.is_err(), "the client went away");
    commit.release();
    let mut late = saving.await.expect("the save");
    late.set_role("later");
    late.save().await.expect("saved");
    late.cart_mut().push("ink".to_owned());
    late.save().await.expect("saved");
    assert_eq!(browser.get("/read").await.text(), "Bob later 10 pen,ink");
}

/// An addition before a `fetch_add_…` that failed and was not awaited is not lost; and the answer does
/// not hide that it failed.
#[tokio::test]
async fn an_addition_before_a_failed_fetch_add_is_kept() {
    let handler = async |mut session: Visit| {
        session.add_visits(5);
        begin(session.fetch_add_visits(1)).await;
        session.set_name("Bob");
    };
    let (browser, faults, holds) = failing_browser(routes().route("/", get(handler)));
    browser.get("/in").await;
    faults.fail(Operation::Commit, 1);
    let response = held(browser.get("/"), &holds.hold(Operation::Commit), || {}).await;
    assert_eq!(response.status(), 503);
    assert_eq!(browser.get("/read").await.text(), "Bob - 15 pen");
}

/// A switch of protocols whose commit is refused does not happen.
#[tokio::test]
async fn no_protocol_is_switched_to_if_the_commit_is_refused() {
    let upgrade = async |mut session: Visit| {
        session.set_name("Bob");
        StatusCode::SWITCHING_PROTOCOLS
    };
    let (browser, faults) = browser(routes().route("/upgrade", get(upgrade)));
    browser.get("/in").await;
    let tab = browser.clone_jar();
    let gate = faults.hold(Operation::Commit);
    let sign_out = async {
        gate.arrived().await;
        browser.get("/out").await;
        gate.release();
    };
    let (response, ()) = tokio::join!(tab.get("/upgrade"), sign_out);
    assert_eq!(response.status(), 409);
}

/// A store that does not answer makes a 503 of the request, in the time that it is given.
#[tokio::test]
async fn a_store_that_never_answers_is_a_503() {
    for operation in [Operation::Load, Operation::Create, Operation::Commit] {
        let store = FaultStore::new(MemoryStore::new());
        let faults = store.faults();
        let layer = SessionLayer::new(store).with_store_timeout(Duration::from_millis(1));
        let browser = Client::new(routes().layer(layer));
        if operation != Operation::Create {
            browser.get("/in").await;
        }
        faults.stall(operation);
        assert_eq!(browser.get("/in").await.status(), 503, "{operation:?}");
        assert_eq!(faults.pending(), 0, "{operation:?}");
    }
}

/// A layer's clean-up spares the records of another layer with longer timeouts.
#[tokio::test]
async fn a_layer_with_short_timeouts_spares_the_sessions_of_another() {
    const HOUR: Duration = Duration::from_hours(1);
    let clock = ManualClock::new();
    let store = FaultStore::new(MemoryStore::new().with_clock(clock.clone()));
    let faults = store.faults();
    let store = Arc::new(store);
    let at = |idle, absolute| {
        let layer = SessionLayer::new(Arc::clone(&store)).with_timeouts(Timeouts::new(idle, absolute));
        Client::new(routes().layer(layer)).with_clock(clock.clone())
    };
    let (user, admin) = (at(24 * HOUR, 720 * HOUR), at(HOUR / 6, HOUR));
    for browser in [&user, &admin] {
        let purged = faults.hold_answer(Operation::Purge);
        browser.get("/in").await;
        purged.arrived().await;
        purged.release();
        browser.get("/read").await;
        clock.advance(2 * HOUR);
    }
    assert_eq!(user.get("/read").await.text(), SIGNED_IN);
    assert_eq!(admin.get("/read").await.text(), NOBODY);
}

/// A store holds as many sessions as it has room for, and no more.
#[tokio::test]
async fn a_small_store_is_used_to_the_last_place() {
    for capacity in [1, 2, 64, 200] {
        let store = Arc::new(MemoryStore::new().with_capacity(capacity));
        let browser = Client::new(routes().layer(SessionLayer::new(Arc::clone(&store))));
        for visitor in 1..=capacity {
            browser.stranger().get("/in").await;
            assert_eq!(store.len(), visitor, "room for {capacity}");
        }
        browser.get("/in").await;
        assert_eq!(store.len(), capacity);
        assert_eq!(browser.get("/read").await.text(), SIGNED_IN);
    }
}

/// Visitors who come once and take no cookie evict no visitor who came back.
#[tokio::test]
async fn a_full_store_keeps_the_sessions_in_use() {
    let clock = ManualClock::new();
    let store = MemoryStore::new().with_capacity(50).with_clock(clock.clone());
    let browser = Client::new(routes().layer(SessionLayer::new(store))).with_clock(clock.clone());
    browser.get("/in").await;
    browser.get("/read").await;
    clock.advance(Duration::from_mins(1));
    for _ in 0..150 {
        browser.stranger().get("/in").await;
    }
    assert_eq!(browser.get("/read").await.text(), SIGNED_IN);
}

/// No user is logged out for a newcomer: a store that is full of users takes no more until one of them is gone.
#[tokio::test]
async fn a_store_that_is_full_of_users_takes_no_newcomer() {
    #[derive(Session)]
    struct User {
        #[session(identity, rename = "user")]
        name: Option<String>,
    }
    let enter = async |mut user: TypedSession<User>| user.set_name("Ada");
    let who = async |user: TypedSession<User>| user.name().unwrap_or("-").to_owned();
    let leave = async |user: TypedSession<User>| user.destroy();
    let routes = routes().route("/enter", get(enter)).route("/who", get(who)).route("/leave", get(leave));
    let clock = ManualClock::new();
    let store = MemoryStore::new().with_capacity(3).with_clock(clock.clone());
    let visitor = Client::new(routes.layer(SessionLayer::new(store))).with_clock(clock.clone());
    let users: Vec<_> = (0..3).map(|_| visitor.stranger()).collect();
    visitor.get("/in").await;
    visitor.get("/read").await;
    for user in &users {
        assert_eq!(user.get("/enter").await.status(), 200, "a user may take a visitor's place");
    }
    assert_eq!(visitor.get("/read").await.text(), NOBODY);
    let newcomer = visitor.stranger();
    for path in ["/in", "/enter"] {
        let response = newcomer.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0), "{path}");
    }
    for user in &users {
        assert_eq!(user.get("/who").await.text(), "Ada");
    }
    users[0].get("/leave").await;
    assert_eq!(newcomer.get("/in").await.status(), 200);
    // The others are over, purged or not.
    clock.advance(Duration::from_hours(24 * 60));
    for _ in 0..3 {
        assert_eq!(visitor.stranger().get("/enter").await.status(), 200);
    }
}

/// However many sessions died, one create has all of them cleared out, not only a first batch.
#[tokio::test]
async fn a_purge_goes_on_until_nothing_is_left() {
    const DEAD: usize = 2500;
    let clock = ManualClock::new();
    let store = Arc::new(MemoryStore::new().with_clock(clock.clone()));
    let app = routes().layer(SessionLayer::new(Arc::clone(&store)));
    let browser = Client::new(app).with_clock(clock.clone());
    for _ in 0..DEAD {
        browser.stranger().get("/in").await;
    }
    assert_eq!(store.len(), DEAD);
    clock.advance(Duration::from_hours(24 * 60));
    browser.get("/in").await;
    // It is done in a task of its own, which lets others have their turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.len(), 1);
}

/// A store that panics is one that fails, for every request that waits for it.
#[tokio::test]
async fn a_store_that_panics_fails_the_request() {
    let unseen = async |mut session: Visit| {
        session.set_name("Bob");
        begin(session.save()).await;
    };
    let late = async |mut session: Visit| session.set_name("Bob");
    for path in ["/unseen", "/late"] {
        let (browser, faults) = browser(routes().route("/unseen", get(unseen)).route("/late", get(late)));
        browser.get("/in").await;
        let gate = Gate::new();
        let there = gate.clone();
        faults.before(Operation::Commit, || async move {
            there.pass().await;
            panic!("the store's own");
        });
        let response = held(browser.get(path), &gate, || {}).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(faults.pending(), 0);
        assert_eq!(browser.get("/read").await.text(), SIGNED_IN);
    }
}
