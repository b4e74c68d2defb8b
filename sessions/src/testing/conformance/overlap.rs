//! Requests that overlap the end of their session: a destroyed one stays destroyed.

use super::{
    super::Operation,
    contract::{Direct, TIMEOUTS},
    environment::{COOKIE, TestEnvironment, at_once, record_of},
};
use crate::store::{Commit, CommitOutcome};

/// A slow request writes after the logout, a hundred times: no session is alive, none is new.
pub async fn a_slow_request_after_logout_leaves_it_dead(env: TestEnvironment) {
    let (app, other) = (env.kit().await, env.kit().await);
    let mut alive = 0;
    for round in 0..100 {
        let browser = app.visitor("Ada").await;
        let (id, stolen) = (record_of(&browser), browser.clone_jar());
        let (tab, path) = (browser.fork(), if round % 2 == 0 { "/wait/change-some/x" } else { "/wait/hit" });
        let slow = tokio::spawn(async move { tab.get(path).await });
        app.gate.arrived().await;
        let logout = browser.at(&other.browser()).get("/end").await;
        assert_eq!(logout.status(), 200);
        app.gate.release();
        let slow = slow.await.expect("an answer");
        // A page that only counts passes, uncounted.
        assert_eq!(slow.status(), if round % 2 == 0 { 409 } else { 200 }, "{}", slow.text());
        assert!(slow.set_cookies().is_empty());
        assert!(browser.cookie(COOKIE).is_none(), "the old cookie does not come back");
        alive += usize::from(app.load(id, &["name"]).await.is_some());
        alive += usize::from(stolen.get("/name").await.text() != "-");
        assert_eq!(app.calls.count(Operation::Create), 0);
    }
    assert_eq!(alive, 0);
}

/// A destroy between load and commit: no part of the record is there.
pub async fn a_destroy_before_the_commit_leaves_no_partial_record(env: TestEnvironment) {
    let app = env.kit().await;
    for path in [
        "/change-some/x",
        "/hit",
        "/set-best/3",
        "/set-origin/x",
        "/rotate",
        "/rotate-and-set-name/x",
        "/clear",
    ] {
        let browser = app.visitor("Ada").await;
        let id = record_of(&browser);
        let raw = app.raw.clone();
        app.faults
            .before(Operation::Commit, move || async move { raw.destroy(id).await.expect("destroyed") });
        let response = browser.post(path, "").await;
        assert_eq!(response.status(), 409, "{path}");
        assert!(response.set_cookies().is_empty(), "{path}");
        assert!(app.load(id, &["name", "hits"]).await.is_none(), "{path}");
        assert_eq!(app.faults.pending(), 0, "{path} commits");
        assert!(app.events().iter().any(|event| event.contains("Conflict")), "{path} is reported");
        assert_eq!(browser.get("/name").await.text(), "-", "{path}");
    }
}

/// Noting a use of what is gone makes nothing.
pub async fn a_touch_after_destroy_creates_nothing(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[]).await;
    direct.raw.destroy(id).await.expect("destroyed");
    let touch = Commit::new(0, TIMEOUTS).with_touch(true);
    assert!(matches!(direct.raw.commit(id, touch).await, Ok(CommitOutcome::NotFound)));
    assert!(direct.load(id, &[]).await.is_none());
}

/// The same from a browser: a request that only reads is answered, and makes nothing.
pub async fn a_reading_request_after_destroy_creates_nothing(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    env.clock.advance(std::time::Duration::from_hours(2));
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move { raw.destroy(id).await.expect("destroyed") });
    let response = browser.get("/name").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "Ada"));
    assert_eq!(app.faults.pending(), 0, "it was a touch");
    assert!(app.load(id, &["name"]).await.is_none());
}

/// Destroys and writes at once, in any order: at the end there is no session.
pub async fn destroys_and_writes_at_once_end_destroyed(env: TestEnvironment) {
    let (app, other) = (env.kit().await, env.kit().await);
    for _ in 0..20 {
        let browser = app.visitor("Ada").await;
        let id = record_of(&browser);
        let tabs = (0..12).map(|index| {
            let tab = browser.clone_jar().at(&if index % 2 == 0 { app.browser() } else { other.browser() });
            let path = match index {
                5 | 6 => "/end",
                _ => "/hit",
            };
            async move { (path, tab.get(path).await) }
        });
        for (path, response) in at_once(tabs).await {
            let status = response.status().as_u16();
            // A write that came too late to find the session began one of its own.
            assert!(status == 200 || (path == "/hit" && status == 409), "{path}: {status}");
        }
        assert!(app.load(id, &["name", "hits"]).await.is_none());
        assert_eq!(browser.get("/name").await.text(), "-");
    }
}

/// A logout counts even if the client goes away before it is answered.
pub async fn a_logout_survives_a_disconnect(env: TestEnvironment) {
    let app = env.kit().await;
    for path in ["/end-and-wait", "/end"] {
        let browser = app.visitor("Ada").await;
        let id = record_of(&browser);
        let tab = browser.fork();
        if path == "/end" {
            let hold = app.faults.hold(Operation::Destroy);
            let request = tokio::spawn(async move { tab.get(path).await });
            hold.arrived().await;
            request.abort();
            hold.release();
        } else {
            let request = tokio::spawn(async move { tab.get(path).await });
            app.gate.arrived().await;
            request.abort();
        }
        // The store is asked by a task that nobody can wait for any more.
        while app.load(id, &[]).await.is_some() {
            tokio::task::yield_now().await;
        }
    }
}

/// A logout counts even if the handler panics after it.
pub async fn a_logout_survives_a_panic(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let tab = browser.fork();
    assert!(tokio::spawn(async move { tab.get("/end-and-panic").await }).await.is_err());
    while app.load(id, &[]).await.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(browser.get("/name").await.text(), "-");
}
