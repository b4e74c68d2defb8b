//! Stores that are full, silent or slow, and the purges that a layer asks of its store.

use std::sync::Mutex;

use sessions::{Event, Timeouts};

use super::*;

const NAMELESS: &str = "- 0";

async fn enter(mut session: TypedSession<Account>) {
    session.set_name("Ada");
    session.add_visits(1);
}

/// The routes of this file's visitors, who come to `/enter`.
fn routes() -> Router {
    Router::new().route("/read", get(read)).route("/enter", get(enter))
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
            browser.get("/enter").await;
        }
        faults.stall(operation);
        assert_eq!(browser.get("/enter").await.status(), 503, "{operation:?}");
        assert_eq!(faults.pending(), 0, "{operation:?}");
    }
}

/// A tenth of what the store may take is slow, and told; what is faster is not.
#[tokio::test(start_paused = true)]
async fn a_slow_store_is_reported() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let layer =
        SessionLayer::new(store).with_store_timeout(Duration::from_secs(10)).with_event_hook(move |event| {
            if let Event::StoreSlow { took } = event {
                heard.lock().expect("no panic here").push(*took);
            }
        });
    let browser = Client::new(routes().layer(layer));
    browser.get("/enter").await;
    for seconds in [1, 2] {
        let held = faults.hold(Operation::Load);
        let tab = browser.fork();
        let request = tokio::spawn(async move { tab.get("/read").await.status() });
        held.arrived().await;
        tokio::time::advance(Duration::from_secs(seconds)).await;
        held.release();
        assert_eq!(request.await.expect("an answer"), 200);
    }
    assert_eq!(*told.lock().expect("no panic here"), [Duration::from_secs(2)]);
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
        browser.get("/enter").await;
        purged.arrived().await;
        purged.release();
        browser.get("/read").await;
        clock.advance(2 * HOUR);
    }
    assert_eq!(user.get("/read").await.text(), "Ada 1");
    assert_eq!(admin.get("/read").await.text(), NAMELESS);
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
        browser.stranger().get("/enter").await;
    }
    assert_eq!(store.len(), DEAD);
    clock.advance(Duration::from_hours(24 * 60));
    browser.get("/enter").await;
    // It is done in a task of its own, which lets others have their turn.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.len(), 1);
}

/// A store holds as many sessions as it has room for, and no more.
#[tokio::test]
async fn a_small_store_is_used_to_the_last_place() {
    for capacity in [1, 2, 64, 200] {
        let store = Arc::new(MemoryStore::new().with_capacity(capacity));
        let browser = Client::new(routes().layer(SessionLayer::new(Arc::clone(&store))));
        for visitor in 1..=capacity {
            browser.stranger().get("/enter").await;
            assert_eq!(store.len(), visitor, "room for {capacity}");
        }
        browser.get("/enter").await;
        assert_eq!(store.len(), capacity);
        assert_eq!(browser.get("/read").await.text(), "Ada 1");
    }
}

/// Visitors who come once and take no cookie evict no visitor who came back.
#[tokio::test]
async fn a_full_store_keeps_the_sessions_in_use() {
    let clock = ManualClock::new();
    let store = MemoryStore::new().with_capacity(50).with_clock(clock.clone());
    let browser = Client::new(routes().layer(SessionLayer::new(store))).with_clock(clock.clone());
    browser.get("/enter").await;
    browser.get("/read").await;
    clock.advance(Duration::from_mins(1));
    for _ in 0..150 {
        browser.stranger().get("/enter").await;
    }
    assert_eq!(browser.get("/read").await.text(), "Ada 1");
}

/// No user is logged out for a newcomer: a store that is full of users takes no more until one of them is gone.
#[tokio::test]
async fn a_store_that_is_full_of_users_takes_no_newcomer() {
    #[derive(Session)]
    struct User {
        #[session(identity, rename = "user")]
        name: Option<String>,
    }
    let log_in = async |mut user: TypedSession<User>| user.set_name("Ada");
    let who = async |user: TypedSession<User>| user.name().unwrap_or("-").to_owned();
    let leave = async |user: TypedSession<User>| user.destroy();
    let routes = routes().route("/log-in", get(log_in)).route("/who", get(who)).route("/leave", get(leave));
    let clock = ManualClock::new();
    let store = MemoryStore::new().with_capacity(3).with_clock(clock.clone());
    let visitor = Client::new(routes.layer(SessionLayer::new(store))).with_clock(clock.clone());
    let users: Vec<_> = (0..3).map(|_| visitor.stranger()).collect();
    visitor.get("/enter").await;
    visitor.get("/read").await;
    for user in &users {
        assert_eq!(user.get("/log-in").await.status(), 200, "a user may take a visitor's place");
    }
    assert_eq!(visitor.get("/read").await.text(), NAMELESS);
    let newcomer = visitor.stranger();
    for path in ["/enter", "/log-in"] {
        let response = newcomer.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0), "{path}");
    }
    for user in &users {
        assert_eq!(user.get("/who").await.text(), "Ada");
    }
    users[0].get("/leave").await;
    assert_eq!(newcomer.get("/enter").await.status(), 200);
    // The others are over, purged or not.
    clock.advance(Duration::from_hours(24 * 60));
    for _ in 0..3 {
        assert_eq!(visitor.stranger().get("/log-in").await.status(), 200);
    }
}
