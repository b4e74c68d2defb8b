//! Tasks that outlive a response: their wait for the end of the session, and the commits that a stopping server awaits.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    super::Operation,
    environment::{TestApp, TestEnvironment, record_of},
    handler::{Case, case},
    shopper,
};
use crate::{Session, TypedSession, value::Timeouts};

/// Long enough for a store on a busy machine to answer in, which is asked every second then.
const WITHIN: Duration = Duration::from_secs(3);

#[derive(Session)]
struct Awaited {
    name: Option<String>,
}

type Visit = TypedSession<Awaited>;

/// Returns a task that has the session and waits for its end.
async fn wait_for_end(session: Visit) -> JoinHandle<()> {
    tokio::spawn(async move { session.ended().await })
}

async fn destroy(session: Visit) {
    session.destroy();
}

/// An end of a session, by a request or without one, ends the wait, and so does a new secret; no other change does.
pub async fn whoever_waits_is_told_of_the_end(env: TestEnvironment) {
    let app = env.app_with(|layer| layer.with_ended_within(WITHIN)).await;
    let destroy_and_begin = async |mut session: Visit| {
        session.destroy();
        assert!(session.name().is_none() && session.record_id().is_none(), "nothing is left");
        session.set_name("Bea");
    };
    let destroy_and_fail = async |session: Visit| {
        session.destroy();
        http::StatusCode::INTERNAL_SERVER_ERROR
    };
    let ends: [Option<Case<Visit>>; 5] = [
        Some(case(destroy)),
        Some(case(destroy_and_begin)),
        Some(case(destroy_and_fail)),
        Some(case(async |session: Visit| session.rotate())),
        // The store deletes the record.
        None,
    ];
    let (mut browsers, mut waits) = (Vec::new(), Vec::new());
    for _ in &ends {
        let browser = app.visitor("Ada").await;
        waits.push(browser.visit(wait_for_end).await);
        browsers.push(browser);
    }
    let quiet = [app.visitor("Ada").await.visit(wait_for_end).await];
    for browser in &browsers {
        browser.visit(async |mut session: Visit| session.set_name("Cay")).await;
    }
    goes_on(&app, &waits, 2 * browsers.len()).await;
    goes_on(&app, &quiet, 0).await;
    for ((end, browser), wait) in ends.into_iter().zip(&browsers).zip(waits) {
        match end {
            Some(end) => drop(browser.send(end).await),
            None => app.raw.destroy(record_of(browser)).await.expect("an answer"),
        }
        wait.await.expect("the end");
    }
    goes_on(&app, &quiet, 1).await;
}

/// A wait that began before a login or a logout ends with it.
pub async fn whoever_waits_hears_of_a_logout_and_a_login(env: TestEnvironment) {
    let app = env.app_with(|layer| layer.with_ended_within(WITHIN)).await;
    let browser = shopper::visitor(&app).await;
    for change in [shopper::login("Ada"), shopper::login("Bea"), case(shopper::logout)] {
        let wait_for_end = async |shopper: shopper::Visit| tokio::spawn(async move { shopper.ended().await });
        let wait = [browser.visit(wait_for_end).await];
        goes_on(&app, &wait, 1).await;
        browser.send(change).await;
        let [wait] = wait;
        wait.await.expect("the end");
    }
}

/// A wait is no use of the session, whose idle time ends it.
pub async fn whoever_waits_is_told_that_the_time_is_over(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(Duration::from_mins(40), Duration::from_hours(10));
    let app = env.app_with(|layer| layer.with_timeouts(timeouts).with_ended_within(WITHIN)).await;
    let browser = app.visitor("Ada").await;
    let wait = [browser.visit(wait_for_end).await];
    env.clock.advance(Duration::from_secs(2499));
    goes_on(&app, &wait, 1).await;
    assert_eq!(app.calls.writes(), 0);
    env.clock.advance(Duration::from_secs(1));
    let [wait] = wait;
    wait.await.expect("the end");
}

/// A store that does not answer for longer than an end may stay unknown ends the wait.
pub async fn what_nobody_can_tell_is_over(env: TestEnvironment) {
    let app = env.app_with(|layer| layer.with_ended_within(WITHIN)).await;
    let wait = [app.visitor("Ada").await.visit(wait_for_end).await];
    app.faults.fail(Operation::Load, 1);
    goes_on(&app, &wait, 2).await;
    // The store's own time is no bound.
    let hour = Duration::from_hours(1);
    let soon = Duration::from_millis(300);
    let app = env.app_with(|layer| layer.with_ended_within(soon).with_store_timeout(hour)).await;
    let fails: [fn(&TestApp); 2] =
        [|app| app.faults.fail(Operation::Load, 1000), |app| app.faults.stall(Operation::Load)];
    for fails in fails {
        let wait = app.visitor("Ada").await.visit(wait_for_end).await;
        fails(&app);
        wait.await.expect("the end");
        app.faults.clear();
    }
}

/// A server that has stopped waits for the commits of requests whose clients have disconnected.
pub async fn commits_that_nobody_awaits_are_drained(env: TestEnvironment) {
    let app = env.app().await;
    app.layer.drain().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let set_name = async |mut session: Visit| session.set_name("Bea");
    for (handler, operation) in [(case(set_name), Operation::Commit), (case(destroy), Operation::Destroy)] {
        let held = app.faults.hold(operation);
        let gone = tokio::spawn(browser.send(handler));
        held.arrived().await;
        gone.abort();
        assert!(gone.await.is_err_and(|error| error.is_cancelled()));
        let mut drained = pin!(app.layer.drain());
        assert!(is_pending(drained.as_mut()).await, "{operation:?}");
        held.release();
        drained.await;
        let left = app.stored(id, "name").await;
        assert_eq!(left.as_deref(), (operation == Operation::Commit).then_some("\"Bea\""), "{operation:?}");
    }
}

/// Asserts that no wait ends until the store has been asked this number of times more.
async fn goes_on(app: &TestApp, waits: &[JoinHandle<()>], times: usize) {
    app.calls.clear();
    while app.calls.count(Operation::Load) < times {
        assert!(!waits.iter().any(JoinHandle::is_finished), "the session goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!waits.iter().any(JoinHandle::is_finished), "the session goes on");
}

async fn is_pending(mut future: Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
