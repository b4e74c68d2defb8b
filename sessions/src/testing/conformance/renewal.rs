//! A new secret with the same powers, by time: nobody notices, and an old one does not serve for long.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use tokio::sync::Barrier;

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestApp, TestEnvironment, at_once, record_of, session},
    reply::{HandlerFailure, HandlerReply, text},
};
use crate::{Session, Timeouts, TypedSession};

const HOUR: Duration = Duration::from_hours(1);

/// Somebody with a right.
#[derive(Session)]
struct Member {
    #[session(privilege)]
    role: Option<String>,
    name: Option<String>,
    #[session(merge = "add")]
    visits: u32,
}

async fn answer(mut parts: Parts, gate: Gate, barrier: Arc<Barrier>) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let mut member: TypedSession<Member> = session(&mut parts).await?;
    let path = match path.strip_prefix("/meet") {
        Some(path) => {
            barrier.wait().await;
            path
        }
        None => &path,
    };
    match path {
        "/read" => {
            let (role, name) = (member.role().unwrap_or("-"), member.name().unwrap_or("-"));
            return text(format!("{role} {name} {}", member.visits()));
        }
        "/grant" => member.set_role("admin"),
        "/name" => member.set_name("Ada"),
        "/visit" => member.add_visits(1),
        "/renew" => member.renew(),
        "/rotate" => member.rotate(),
        "/poll" => member.without_touch(),
        "/wait-and-reload" => {
            gate.pass().await;
            member.reload().await?;
        }
        "/wait" => {
            gate.pass().await;
            member.add_visits(1);
        }
        other => panic!("there is no `{other}`"),
    }
    text("done")
}

/// How many requests meet.
const TABS: usize = 16;

async fn app(env: &TestEnvironment) -> (TestApp, Gate) {
    let (gate, barrier) = (Gate::new(), Arc::new(Barrier::new(TABS)));
    let inside = gate.clone();
    let timeouts = Timeouts::default().with_renewal(HOUR);
    let app = env
        .app_answering_with(
            |layer| layer.with_timeouts(timeouts),
            move |parts| answer(parts, inside.clone(), Arc::clone(&barrier)),
        )
        .await;
    (app, gate)
}

/// Somebody with a right and an old secret.
async fn member(env: &TestEnvironment, app: &TestApp) -> Client {
    let browser = app.browser();
    browser.get("/grant").await;
    env.clock.advance(HOUR);
    app.calls.clear();
    browser
}

/// The old secret is as good as the new one until that is seen, however long that takes, and ten seconds
/// more; each request on it gets the same new one. Then it is superseded.
pub async fn a_renewed_secret_serves_requests_on_their_way(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, gate) = app(&env).await;
    let browser = member(&env, &app).await;
    let (id, old) = (record_of(&browser), browser.clone_jar());
    let slow = old.clone_jar();
    let waiting = tokio::spawn(async move { slow.get("/wait").await });
    gate.arrived().await;
    assert_eq!(browser.get("/read").await.set_cookies().len(), 1);
    let renewed = browser.cookie(COOKIE);
    assert_ne!(renewed, old.cookie(COOKIE));
    gate.release();
    assert_eq!(waiting.await.expect("an answer").status(), 200, "from before the renewal");
    // The answer was lost: the old secret goes on, and is told the same each time.
    env.clock.advance(HOUR);
    for path in ["/read", "/visit"] {
        let late = old.clone_jar();
        let response = late.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{path}");
        assert_eq!(late.cookie(COOKIE), renewed, "{path}");
    }
    assert!(browser.get("/read").await.set_cookies().is_empty(), "the new one is seen");
    env.clock.advance(Duration::from_secs(9));
    let late = old.clone_jar();
    let response = late.get("/visit").await;
    assert_eq!((response.status().as_u16(), late.cookie(COOKIE)), (200, renewed), "on its way");
    env.clock.advance(Duration::from_secs(2));
    let response = old.post("/visit", "").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0), "too late");
    assert_eq!(old.get("/read").await.text(), "- - 0");
    assert_eq!(browser.get("/read").await.text(), "admin - 3");
    let loaded = app.load(id, &[]).await.expect("the record");
    assert_eq!(loaded.epoch, 0, "the powers are the same");
}

/// A rotation ends a renewal at once, whether its secret was seen or not.
pub async fn a_rotation_leaves_nothing_of_a_renewal(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    for is_seen in [false, true] {
        let browser = member(&env, &app).await;
        let old = browser.clone_jar();
        browser.get("/read").await;
        let renewed = browser.clone_jar();
        if is_seen {
            browser.get("/read").await;
        }
        let rotating = if is_seen { browser.clone_jar() } else { old.clone_jar() };
        assert_eq!(rotating.get("/rotate").await.set_cookies().len(), 1);
        for dead in [&old, &renewed] {
            assert_eq!(dead.get("/read").await.text(), "- - 0", "{is_seen}");
            assert_eq!(dead.get("/name").await.status(), 409, "{is_seen}");
        }
        assert_eq!(rotating.get("/read").await.text(), "admin - 0", "{is_seen}");
    }
}

/// A request that was told of a renewal and then finds that its secret was replaced sends no cookie of it: that
/// would take the place of the newer one.
pub async fn a_superseded_request_sends_no_renewed_cookie(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, gate) = app(&env).await;
    let browser = member(&env, &app).await;
    let (slow, old) = (browser.clone_jar(), browser.clone_jar());
    assert_eq!(browser.get("/read").await.set_cookies().len(), 1);
    let reloading = slow.clone_jar();
    let waiting = tokio::spawn(async move { slow.post("/wait", "").await });
    gate.arrived().await;
    let reloading = tokio::spawn(async move { reloading.post("/wait-and-reload", "").await });
    gate.arrived().await;
    assert_eq!(old.get("/rotate").await.set_cookies().len(), 1);
    gate.release();
    gate.release();
    for request in [waiting, reloading] {
        let response = request.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0));
    }
}

/// A request that is no use of the session does not keep it alive, though its secret is renewed.
pub async fn a_passive_request_keeps_nothing_alive(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let browser = member(&env, &app).await;
    for _ in 0..30 {
        browser.get("/poll").await;
        env.clock.advance(HOUR);
    }
    assert_eq!(browser.get("/read").await.text(), "- - 0");
}

/// Sixteen requests at once around a renewal, their answers in any order: nobody is logged out, nothing is
/// lost, and in the end one secret is left.
pub async fn requests_around_a_renewal_all_come_to_the_same(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    for round in 0..100 {
        let browser = member(&env, &app).await;
        let old = browser.clone_jar();
        let tabs = (0..TABS).map(|_| {
            let tab = browser.clone_jar();
            async move {
                let status = tab.get("/meet/visit").await.status();
                (status, tab)
            }
        });
        let mut answers = at_once(tabs).await;
        // Another order each time.
        answers.rotate_left(round % TABS);
        for (status, tab) in answers {
            assert_eq!(status, 200);
            let cookie = tab.cookie(COOKIE).expect("a cookie");
            browser.set_cookie_raw(COOKIE, &cookie);
            assert_eq!(browser.get("/read").await.text(), "admin - 16", "round {round}");
        }
        assert_ne!(browser.cookie(COOKIE), old.cookie(COOKIE));
        env.clock.advance(Duration::from_secs(11));
        assert_eq!(old.get("/read").await.text(), "- - 0", "round {round}");
        assert_eq!(browser.get("/read").await.text(), "admin - 16", "round {round}");
    }
}

/// A secret is renewed for who holds a right only, when it is old enough, at most once a minute when asked.
pub async fn a_secret_is_renewed_when_it_is_due(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let visitor = app.browser();
    visitor.get("/name").await;
    env.clock.advance(Duration::from_mins(5));
    visitor.get("/read").await;
    env.clock.advance(2 * HOUR);
    for path in ["/read", "/renew"] {
        assert!(visitor.get(path).await.set_cookies().is_empty(), "{path}");
    }
    let browser = app.browser();
    browser.get("/grant").await;
    env.clock.advance(Duration::from_secs(59));
    assert!(browser.get("/renew").await.set_cookies().is_empty());
    env.clock.advance(Duration::from_secs(1));
    assert!(browser.get("/read").await.set_cookies().is_empty());
    app.events();
    assert_eq!(browser.get("/renew").await.set_cookies().len(), 1);
    let id = record_of(&browser).to_string();
    let events = app.events();
    assert!(
        matches!(&events[..], [event] if event.starts_with("Renewed") && event.contains(&id)),
        "{events:?}"
    );
    browser.get("/read").await;
    assert_eq!(app.events(), [""; 0], "its end is no step of its own");
    env.clock.advance(Duration::from_secs(59));
    assert!(browser.get("/renew").await.set_cookies().is_empty());
    env.clock.advance(HOUR);
    assert_eq!(browser.get("/read").await.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), "admin - 0");
}

/// A renewal that the store does not do fails nobody's request, and is tried again.
pub async fn a_failed_renewal_is_only_an_event(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let browser = member(&env, &app).await;
    // The use is noted now, so that only the renewal is left to do.
    app.faults.fail(Operation::Commit, 1);
    let response = browser.get("/read").await;
    assert_eq!((response.text(), response.set_cookies().len()), ("admin - 0", 0));
    assert!(app.events().iter().any(|event| event.contains("CommitFailed")));
    app.faults.lose_answer(Operation::Commit);
    assert!(browser.get("/read").await.set_cookies().is_empty(), "nobody knows");
    assert_eq!(browser.get("/read").await.set_cookies().len(), 1, "it was done");
    assert_eq!(browser.get("/read").await.text(), "admin - 0");
}
