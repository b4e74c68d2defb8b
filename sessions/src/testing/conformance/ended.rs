//! What goes on after its response: it hears of the session's end, and is not forgotten at the server's.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use super::{
    super::{Gate, Operation},
    environment::{TestApp, TestEnvironment, record_of},
    login,
};
use crate::value::Timeouts;

/// Long enough for a store on a busy machine to answer in, which is asked every second then.
const WITHIN: Duration = Duration::from_secs(3);

/// Whatever ends a session or gives it another secret ends the wait, and nothing else.
pub async fn whoever_waits_is_told_of_the_end(env: TestEnvironment) {
    let app = env.kit_with(|layer| layer.with_ended_within(WITHIN)).await;
    let paths = ["/end", "/end-and-begin/Bea", "/end-and-fail", "/rotate", "(the record is deleted)"];
    let mut browsers = Vec::new();
    for path in paths {
        let browser = app.visitor("Ada").await;
        browser.get("/listen").await;
        browsers.push((path, browser));
    }
    let quiet = app.visitor("Ada").await;
    quiet.get("/listen").await;
    for (_, browser) in &browsers {
        browser.get("/set-name/Cay").await;
    }
    goes_on(&app, &app.gate, 2 * browsers.len()).await;
    for (path, browser) in &browsers {
        if path.starts_with('/') {
            browser.get(path).await;
        } else {
            app.raw.destroy(record_of(browser)).await.expect("an answer");
        }
        app.gate.arrived().await;
        app.gate.release();
    }
    goes_on(&app, &app.gate, 1).await;
}

/// A socket that was opened before a login or a logout goes on for nobody.
pub async fn whoever_waits_hears_of_a_logout_and_a_login(env: TestEnvironment) {
    let (app, gate) = login::app_with(&env, |layer| layer.with_ended_within(WITHIN)).await;
    let browser = login::visitor(&app).await;
    for path in ["/login/Ada", "/login/Bea", "/logout"] {
        browser.get("/listen").await;
        goes_on(&app, &gate, 1).await;
        browser.get(path).await;
        gate.arrived().await;
        gate.release();
    }
}

/// Waiting is no use of the session, so its time runs out.
pub async fn whoever_waits_is_told_that_the_time_is_over(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(Duration::from_mins(40), Duration::from_hours(10));
    let app = env.kit_with(|layer| layer.with_timeouts(timeouts).with_ended_within(WITHIN)).await;
    let browser = app.visitor("Ada").await;
    browser.get("/listen").await;
    env.clock.advance(Duration::from_secs(2499));
    goes_on(&app, &app.gate, 1).await;
    assert_eq!(app.calls.writes(), 0);
    env.clock.advance(Duration::from_secs(1));
    app.gate.arrived().await;
    app.gate.release();
}

/// A store that does not answer for as long as an end may stay unknown ends the wait.
pub async fn what_nobody_can_tell_is_over(env: TestEnvironment) {
    let app = env.kit_with(|layer| layer.with_ended_within(WITHIN)).await;
    app.visitor("Ada").await.get("/listen").await;
    app.faults.fail(Operation::Load, 1);
    goes_on(&app, &app.gate, 2).await;
    // The store's own time is no bound.
    let hour = Duration::from_hours(1);
    let soon = Duration::from_millis(300);
    let app = env.kit_with(|layer| layer.with_ended_within(soon).with_store_timeout(hour)).await;
    let fails: [fn(&TestApp); 2] =
        [|app| app.faults.fail(Operation::Load, 1000), |app| app.faults.stall(Operation::Load)];
    for fails in fails {
        let browser = app.visitor("Ada").await;
        browser.get("/listen").await;
        fails(&app);
        app.gate.arrived().await;
        app.gate.release();
        app.faults.clear();
    }
}

/// A server that has stopped waits for the commits of requests whose clients went away.
pub async fn commits_that_nobody_awaits_are_drained(env: TestEnvironment) {
    let app = env.kit().await;
    app.layer.drain().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    for (path, operation) in [("/set-name/Bea", Operation::Commit), ("/end", Operation::Destroy)] {
        let held = app.faults.hold(operation);
        let tab = browser.fork();
        let gone = tokio::spawn(async move { tab.get(path).await });
        held.arrived().await;
        gone.abort();
        assert!(gone.await.is_err_and(|error| error.is_cancelled()));
        let mut drained = pin!(app.layer.drain());
        assert!(is_pending(drained.as_mut()).await, "{path}");
        held.release();
        drained.await;
        let left = app.stored(id, "name").await;
        assert_eq!(left.as_deref(), (operation == Operation::Commit).then_some("\"Bea\""), "{path}");
    }
}

/// The store is asked so many times more, and nobody is told of an end.
async fn goes_on(app: &TestApp, gate: &Gate, times: usize) {
    app.calls.clear();
    while app.calls.count(Operation::Load) < times {
        assert!(is_pending(pin!(gate.arrived())).await, "the session goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is_pending(pin!(gate.arrived())).await, "the session goes on");
}

async fn is_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
