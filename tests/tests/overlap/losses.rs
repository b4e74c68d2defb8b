//! Saves and counters beside writes that fail: a change that is lost is told to its handle, and a counter counts once.

use std::sync::{Arc, Mutex, OnceLock};

use axum::{Router, routing::get};
use sessions::{
    Error, ErrorKind, Session, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Client, FaultStore, Faults, Operation},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::begin;

#[derive(Session)]
struct Member {
    #[session(identity)]
    user_id: Option<u32>,
    #[session(keep_on_logout)]
    note: Option<String>,
    #[session(keep_on_logout)]
    long: Option<String>,
    #[session(keep_on_logout)]
    other: Option<String>,
    #[session(merge = "last")]
    samples: Vec<f64>,
    #[session(merge = "add")]
    visits: u32,
}

type Visit = TypedSession<Member>;
type Told<T> = Result<T, ErrorKind>;

async fn read(session: Visit) -> String {
    let (note, other) = (session.note().unwrap_or("-"), session.other().unwrap_or("-"));
    format!("{:?} {note} {other} {}", session.user_id(), session.visits())
}

async fn sign_in(mut session: Visit) {
    session.set_user_id(7);
    session.add_visits(10);
}

fn kind<T>(result: Result<T, Error>) -> Told<T> {
    result.map_err(|error| error.kind())
}

/// A browser that is signed in, at a store that can fail, and one around it that can hold.
struct Site {
    browser: Client,
    faults: Faults,
    holds: Faults,
    events: Arc<Mutex<Vec<String>>>,
}

async fn site(routes: Router) -> Site {
    let failing = FaultStore::new(MemoryStore::new());
    let faults = failing.faults();
    let holding = FaultStore::new(failing);
    let holds = holding.faults();
    let events = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&events);
    let layer = SessionLayer::new(holding)
        .with_size_limits(4000, 4500)
        .with_event_hook(move |event| heard.lock().expect("a whole list").push(format!("{event:?}")));
    let routes = routes.route("/read", get(read)).route("/in", get(sign_in));
    let browser = Client::new(routes.layer(layer));
    assert_eq!(browser.get("/in").await.status(), 200);
    Site { browser, faults, holds, events }
}

/// Handles that outlive their response.
async fn lent() -> (Site, Visit, Visit) {
    let (lend, mut borrow) = unbounded_channel();
    let handler = async move |one: Visit, other: Visit| lend.send((one, other)).is_ok().to_string();
    let site = site(Router::new().route("/lend", get(handler))).await;
    assert_eq!(site.browser.get("/lend").await.text(), "true");
    let (one, other) = borrow.try_recv().expect("two handles");
    (site, one, other)
}

/// Three handles of one request, the third of which is being saved until the gate is released.
async fn beside_a_save<T, F>(
    fails: usize,
    run: impl Fn(Visit, Visit, sessions::testing::Gate) -> F + Clone + Send + Sync + 'static,
) -> (T, String)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let (tell, mut told): (_, UnboundedReceiver<T>) = unbounded_channel();
    let stores = Arc::new(OnceLock::<(Faults, Faults)>::new());
    let known = Arc::clone(&stores);
    let handler = async move |one: Visit, two: Visit, mut third: Visit| {
        let (faults, holds) = known.get().expect("the stores");
        let gate = holds.hold_answer(Operation::Commit);
        third.set_other("third");
        begin(third.save()).await;
        gate.arrived().await;
        faults.fail(Operation::Commit, fails);
        tell.send(run(one, two, gate).await).is_ok().to_string()
    };
    let Site { browser, faults, holds, .. } = site(Router::new().route("/", get(handler))).await;
    assert!(stores.set((faults, holds)).is_ok());
    browser.get("/").await;
    (told.try_recv().expect("an outcome"), browser.get("/read").await.text().to_owned())
}

/// A destroy that waits to be carried out does not make a counter of the next session count twice.
#[tokio::test]
async fn a_counter_after_a_destroy_that_fails_counts_once() {
    let (tell, mut told) = unbounded_channel();
    let handler = async move |mut session: Visit| {
        session.destroy();
        let counted = [session.fetch_add_visits(1).await, session.fetch_add_visits(1).await];
        tell.send(counted.map(kind)).is_ok().to_string()
    };
    let Site { browser, faults, .. } = site(Router::new().route("/", get(handler))).await;
    faults.fail(Operation::Destroy, 1);
    browser.get("/").await;
    assert_eq!(told.try_recv(), Ok([Ok(1), Ok(2)]));
}

/// A counter that waited behind another handle's logout counts in the session after it.
#[tokio::test]
async fn a_counter_that_waits_beside_a_logout_counts() {
    let (counted, after) = beside_a_save(0, async |mut one: Visit, mut two: Visit, gate| {
        let logout = async {
            two.remove_user_id();
            drop(two);
            gate.release();
        };
        kind(tokio::join!(one.fetch_add_visits(1), logout).0)
    })
    .await;
    assert_eq!((counted, after.as_str()), (Ok(1), "None - third 1"));
}

/// A counter that waited beside another handle's plain change counts on top of it.
#[tokio::test]
async fn a_counter_that_waits_beside_a_change_counts_on_top_of_it() {
    let (counted, after) = beside_a_save(0, async |mut one: Visit, mut two: Visit, gate| {
        let change = async {
            two.set_visits(5);
            drop(two);
            gate.release();
        };
        kind(tokio::join!(one.fetch_add_visits(1), change).0)
    })
    .await;
    assert_eq!((counted, after.as_str()), (Ok(6), "Some(7) - third 6"));
}

/// A save whose changes were dropped with another handle's failing write is told.
#[tokio::test]
async fn a_save_that_fails_with_another_ones_fallback_is_told() {
    let ((one, two), after) = beside_a_save(1, async |mut one: Visit, mut two: Visit, gate| {
        one.remove_user_id();
        one.set_long("x".repeat(3900));
        one.set_note("y".repeat(1000));
        two.set_other("two");
        let (one, two, ()) = tokio::join!(one.save(), two.save(), async { gate.release() });
        (kind(one), kind(two))
    })
    .await;
    assert!(one.is_err(), "{one:?}");
    assert!(two.is_err() || after.contains("two"), "{two:?} {after}");
}

/// A save whose invalid change went with another handle's failing write is told.
#[tokio::test]
async fn a_save_of_an_invalid_change_is_told_though_another_ones_write_failed() {
    let ((one, two), after) = beside_a_save(1, async |mut one: Visit, mut two: Visit, gate| {
        one.remove_user_id();
        one.set_samples(vec![f64::NAN]);
        one.set_note("first");
        two.set_other("two");
        let (two, one, ()) = tokio::join!(two.save(), one.save(), async { gate.release() });
        (kind(one), kind(two))
    })
    .await;
    assert!(one.is_err() && !after.contains("first"), "{one:?} {after}");
    assert!(two.is_err() || after.contains("two"), "{two:?} {after}");
}

/// Saves of one handle: the first is given up and lost, and the second is given up behind another handle's save.
async fn two_saves_that_were_given_up() -> (Site, Visit, Visit) {
    let (site, mut one, mut other) = lent().await;
    site.faults.lose_request(Operation::Commit);
    let gate = site.holds.hold(Operation::Commit);
    one.set_note("first");
    begin(one.save()).await;
    gate.arrived().await;
    gate.release();
    // Saves take turns, so the first is over.
    assert_eq!(kind(other.save().await), Ok(()));
    let gate = site.holds.hold(Operation::Commit);
    other.add_visits(1);
    begin(other.save()).await;
    gate.arrived().await;
    one.set_other("second");
    begin(one.save()).await;
    gate.release();
    (site, one, other)
}

/// A save that was given up does not take the news of an earlier loss with it.
#[tokio::test]
async fn a_loss_is_told_to_the_first_save_that_is_awaited() {
    let (site, one, _other) = two_saves_that_were_given_up().await;
    assert_eq!(kind(one.save().await), Err(ErrorKind::OutcomeUnknown));
    assert_eq!(kind(one.save().await), Ok(()));
    assert_eq!(site.browser.get("/read").await.text(), "Some(7) - second 11");
}

/// A save that was begun is carried out, though an earlier one of its handle was lost and the handle is dropped.
#[tokio::test]
async fn a_save_that_was_begun_after_a_loss_is_carried_out() {
    let (site, one, mut other) = two_saves_that_were_given_up().await;
    drop(one);
    // It waits for its turn, and writes nothing.
    assert_eq!(kind(other.reload().await), Ok(()));
    assert_eq!(site.browser.get("/read").await.text(), "Some(7) - second 11");
    let events = site.events.lock().expect("a whole list");
    assert!(!events.iter().any(|event| event.starts_with("UnsavedChanges")), "{events:?}");
}

/// A save whose session is ended while it waits is told.
#[tokio::test]
async fn a_save_of_a_session_that_ends_meanwhile_is_told() {
    let (tell, mut told) = unbounded_channel();
    let stores = Arc::new(OnceLock::<Faults>::new());
    let known = Arc::clone(&stores);
    let handler = async move |mut session: Visit| {
        let gate = known.get().expect("the store").hold(Operation::Destroy);
        session.destroy();
        session.set_note("new");
        let end = async {
            gate.arrived().await;
            session.destroy();
            gate.release();
        };
        let saved = tokio::join!(session.save(), end).0;
        tell.send(kind(saved)).is_ok().to_string()
    };
    let Site { browser, holds, .. } = site(Router::new().route("/", get(handler))).await;
    assert!(stores.set(holds).is_ok());
    browser.get("/").await;
    assert_eq!(told.try_recv(), Ok(Err(ErrorKind::Conflict)));
}
