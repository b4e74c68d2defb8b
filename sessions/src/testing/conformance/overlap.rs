//! Requests that overlap the end of their session: a destroyed one stays destroyed.

use std::time::Duration;

use http::Request;

use super::{
    super::{Gate, Operation},
    contract::{Direct, TIMEOUTS},
    environment::{COOKIE, TestApp, TestEnvironment, at_once, record_of},
    handler::{case, gated},
};
use crate::{
    Session, TypedSession,
    store::{Commit, CommitOutcome},
    value::RecordId,
};

#[derive(Session)]
struct Overlapped {
    name: Option<String>,
    count: u32,
    #[session(merge = "add")]
    hits: i64,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "first")]
    origin: Option<String>,
}

type Visit = TypedSession<Overlapped>;

async fn name(session: Visit) -> Option<String> {
    session.name().map(str::to_owned)
}

/// Changes two fields, so that a commit of one would show.
async fn change_two_fields(mut session: Visit) {
    session.set_name("x");
    session.set_count(session.count() + 1);
}

async fn hit(mut session: Visit) {
    *session.hits_mut() += 1;
}

async fn destroy(session: Visit) {
    session.destroy();
}

/// A slow request that writes after the logout neither revives the session nor begins another.
pub async fn a_slow_request_after_logout_leaves_it_dead(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    let gate = Gate::new();
    let mut alive = 0;
    for round in 0..100 {
        let browser = app.visitor("Ada").await;
        let (id, stolen) = (record_of(&browser), browser.clone_jar());
        let handler = if round % 2 == 0 { case(change_two_fields) } else { case(hit) };
        let slow = tokio::spawn(browser.send(gated(&gate, handler)));
        gate.arrived().await;
        browser.at(&other.browser()).visit(destroy).await;
        gate.release();
        let slow = slow.await.expect("an answer");
        // A page that only counts passes, uncounted.
        assert_eq!(slow.status(), if round % 2 == 0 { 409 } else { 200 }, "{}", slow.text());
        assert!(slow.set_cookies().is_empty());
        assert!(browser.cookie(COOKIE).is_none(), "the old cookie does not come back");
        alive += usize::from(app.load(id, &["name"]).await.is_some());
        alive += usize::from(stolen.visit(name).await.is_some());
        assert_eq!(app.calls.count(Operation::Create), 0);
    }
    assert_eq!(alive, 0);
}

/// A destroy between load and commit leaves no part of the record.
pub async fn a_destroy_before_the_commit_leaves_no_partial_record(env: TestEnvironment) {
    let app = env.app().await;
    let rotate_and_set_name = async |mut session: Visit| {
        session.rotate();
        session.set_name("x");
    };
    for (what, handler) in [
        ("a change of two fields", case(change_two_fields)),
        ("an addition", case(hit)),
        ("a maximum", case(async |mut session: Visit| session.set_best(3))),
        ("a first value", case(async |mut session: Visit| session.set_origin("x"))),
        ("a rotation", case(async |session: Visit| session.rotate())),
        ("a rotation and a change", case(rotate_and_set_name)),
        ("a clear", case(async |session: Visit| session.clear())),
    ] {
        let browser = app.visitor("Ada").await;
        let id = record_of(&browser);
        let raw = app.raw.clone();
        app.faults
            .before(Operation::Commit, move || async move { raw.destroy(id).await.expect("destroyed") });
        let response = browser.send_as(Request::post("/"), handler).await;
        assert_eq!(response.status(), 409, "{what}");
        assert!(response.set_cookies().is_empty(), "{what}");
        assert!(app.load(id, &["name", "hits"]).await.is_none(), "{what}");
        assert_eq!(app.faults.pending(), 0, "{what} commits");
        assert!(app.events().iter().any(|event| event.contains("Conflict")), "{what} is reported");
        assert_eq!(browser.visit(name).await, None, "{what}");
    }
}

/// A touch of a destroyed record creates nothing.
pub async fn a_touch_after_destroy_creates_nothing(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[]).await;
    direct.raw.destroy(id).await.expect("destroyed");
    let touch = Commit::new(0, TIMEOUTS).with_touch(true);
    assert!(matches!(direct.raw.commit(id, touch).await, Ok(CommitOutcome::NotFound)));
    assert!(direct.load(id, &[]).await.is_none());
}

/// A request that only reads a session destroyed meanwhile is answered, and its touch creates nothing.
pub async fn a_reading_request_after_destroy_creates_nothing(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    env.clock.advance(Duration::from_hours(2));
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move { raw.destroy(id).await.expect("destroyed") });
    assert_eq!(browser.visit(name).await.as_deref(), Some("Ada"));
    assert_eq!(app.faults.pending(), 0, "it was a touch");
    assert!(app.load(id, &["name"]).await.is_none());
}

/// Destroys and writes at once leave no session, in any order.
pub async fn destroys_and_writes_at_once_end_destroyed(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    for _ in 0..20 {
        let browser = app.visitor("Ada").await;
        let id = record_of(&browser);
        let requests = (0..12).map(|index| {
            let tab = browser.clone_jar().at(&if index % 2 == 0 { app.browser() } else { other.browser() });
            let is_logout = matches!(index, 5 | 6);
            let response = tab.send(if is_logout { case(destroy) } else { case(hit) });
            async move { (is_logout, response.await) }
        });
        for (is_logout, response) in at_once(requests).await {
            let status = response.status().as_u16();
            // A write that came too late to find the session began one of its own.
            assert!(status == 200 || (!is_logout && status == 409), "logout: {is_logout}, {status}");
        }
        assert!(app.load(id, &["name", "hits"]).await.is_none());
        assert_eq!(browser.visit(name).await, None);
    }
}

/// A logout counts even if the client disconnects before the response.
pub async fn a_logout_survives_a_disconnect(env: TestEnvironment) {
    let app = env.app().await;
    // While the handler runs.
    let browser = app.visitor("Ada").await;
    let gate = Gate::new();
    let inside = gate.clone();
    let destroy_and_wait = async move |session: Visit| {
        session.destroy();
        inside.pass().await;
    };
    let request = tokio::spawn(browser.visit(destroy_and_wait));
    gate.arrived().await;
    request.abort();
    wait_until_deleted(&app, record_of(&browser)).await;
    // While the store is asked.
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let hold = app.faults.hold(Operation::Destroy);
    let request = tokio::spawn(browser.visit(destroy));
    hold.arrived().await;
    request.abort();
    hold.release();
    wait_until_deleted(&app, id).await;
}

/// A logout counts even if the handler panics after it.
pub async fn a_logout_survives_a_panic(env: TestEnvironment) {
    async fn destroy_and_panic(session: Visit) {
        session.destroy();
        panic!("as the scenario wants it");
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    assert!(tokio::spawn(browser.visit(destroy_and_panic)).await.is_err());
    wait_until_deleted(&app, id).await;
    assert_eq!(browser.visit(name).await, None);
}

/// Waits until a detached task has deleted the record.
async fn wait_until_deleted(app: &TestApp, id: RecordId) {
    while app.load(id, &[]).await.is_some() {
        tokio::task::yield_now().await;
    }
}
