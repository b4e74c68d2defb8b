//! A new secret with the same rights, by time. The old one serves for a short while only.

use std::{sync::Arc, time::Duration};

use tokio::sync::Barrier;

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestApp, TestEnvironment, at_once, record_of},
    handler::{case, gated},
};
use crate::{Session, Timeouts, TypedSession};

const HOUR: Duration = Duration::from_hours(1);

#[derive(Session)]
struct RenewedMember {
    #[session(privilege)]
    role: Option<String>,
    name: Option<String>,
    #[session(merge = "add")]
    visits: u32,
}

type Visit = TypedSession<RenewedMember>;

/// Returns role, name and visits.
async fn read(member: Visit) -> String {
    let (role, name) = (member.role().unwrap_or("-"), member.name().unwrap_or("-"));
    format!("{role} {name} {}", member.visits())
}

async fn grant(mut member: Visit) {
    member.set_role("admin");
}

async fn set_name(mut member: Visit) {
    member.set_name("Ada");
}

async fn count_visit(mut member: Visit) {
    member.add_visits(1);
}

async fn renew(member: Visit) {
    member.renew();
}

async fn rotate(member: Visit) {
    member.rotate();
}

/// Opens an instance that renews secrets after an hour.
async fn app(env: &TestEnvironment) -> TestApp {
    let timeouts = Timeouts::default().with_renewal(HOUR);
    env.app_with(|layer| layer.with_timeouts(timeouts)).await
}

/// Returns a browser with a right and an old secret.
async fn member(env: &TestEnvironment, app: &TestApp) -> Client {
    let browser = app.browser();
    browser.visit(grant).await;
    env.clock.advance(HOUR);
    app.calls.clear();
    browser
}

/// Requests with the old secret receive the new one, and succeed until ten seconds after its first use.
pub async fn a_renewed_secret_serves_requests_on_their_way(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, gate) = (app(&env).await, Gate::new());
    let browser = member(&env, &app).await;
    let (id, old) = (record_of(&browser), browser.clone_jar());
    let waiting = tokio::spawn(old.clone_jar().send(gated(&gate, count_visit)));
    gate.arrived().await;
    assert_eq!(browser.send(read).await.set_cookies().len(), 1);
    let renewed = browser.cookie(COOKIE);
    assert_ne!(renewed, old.cookie(COOKIE));
    gate.release();
    assert_eq!(waiting.await.expect("an answer").status(), 200, "from before the renewal");
    // The old secret goes on without the lost response, and receives the same new one each time.
    env.clock.advance(HOUR);
    for (what, handler) in [("a read", case(read)), ("an addition", case(count_visit))] {
        let late = old.clone_jar();
        let response = late.send(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what}");
        assert_eq!(late.cookie(COOKIE), renewed, "{what}");
    }
    assert!(browser.send(read).await.set_cookies().is_empty(), "the new one is seen");
    env.clock.advance(Duration::from_secs(9));
    let late = old.clone_jar();
    let response = late.send(count_visit).await;
    assert_eq!((response.status().as_u16(), late.cookie(COOKIE)), (200, renewed), "on its way");
    env.clock.advance(Duration::from_secs(2));
    let response = old.send_post(count_visit).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0), "too late");
    assert_eq!(old.visit(read).await, "- - 0");
    assert_eq!(browser.visit(read).await, "admin - 3");
    let loaded = app.load(id, &[]).await.expect("the record");
    assert_eq!(loaded.epoch, 0, "the rights are the same");
}

/// A rotation ends a renewal at once, before and after the store has seen its secret.
pub async fn a_rotation_leaves_nothing_of_a_renewal(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = app(&env).await;
    for is_seen in [false, true] {
        let browser = member(&env, &app).await;
        let old = browser.clone_jar();
        browser.visit(read).await;
        let renewed = browser.clone_jar();
        if is_seen {
            browser.visit(read).await;
        }
        let rotating = if is_seen { browser.clone_jar() } else { old.clone_jar() };
        assert_eq!(rotating.send(rotate).await.set_cookies().len(), 1);
        for dead in [&old, &renewed] {
            assert_eq!(dead.visit(read).await, "- - 0", "{is_seen}");
            assert_eq!(dead.send(set_name).await.status(), 409, "{is_seen}");
        }
        assert_eq!(rotating.visit(read).await, "admin - 0", "{is_seen}");
    }
}

/// A request with a renewed secret that a rotation then replaced sends no cookie over the newer one.
pub async fn a_superseded_request_sends_no_renewed_cookie(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, gate) = (app(&env).await, Gate::new());
    let browser = member(&env, &app).await;
    let (slow, old) = (browser.clone_jar(), browser.clone_jar());
    assert_eq!(browser.send(read).await.set_cookies().len(), 1);
    let reloading = slow.clone_jar();
    let waiting = tokio::spawn(slow.send_post(gated(&gate, count_visit)));
    gate.arrived().await;
    let reload = gated(&gate, async |mut member: Visit| member.reload().await);
    let reloading = tokio::spawn(reloading.send_post(reload));
    gate.arrived().await;
    assert_eq!(old.send(rotate).await.set_cookies().len(), 1);
    gate.release();
    gate.release();
    for request in [waiting, reloading] {
        let response = request.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0));
    }
}

/// A request without a touch does not keep a session alive, although its secret is renewed.
pub async fn a_passive_request_keeps_nothing_alive(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = app(&env).await;
    let browser = member(&env, &app).await;
    for _ in 0..30 {
        browser.visit(async |member: Visit| member.without_touch()).await;
        env.clock.advance(HOUR);
    }
    assert_eq!(browser.visit(read).await, "- - 0");
}

/// Sixteen requests around a renewal, in any order, lose no login and no change, and leave one secret.
pub async fn requests_around_a_renewal_all_come_to_the_same(env: TestEnvironment) {
    const TABS: usize = 16;
    if !env.can_move_time() {
        return;
    }
    let app = app(&env).await;
    for round in 0..100 {
        let browser = member(&env, &app).await;
        let old = browser.clone_jar();
        let barrier = Arc::new(Barrier::new(TABS));
        let tabs = (0..TABS).map(|_| {
            let (tab, barrier) = (browser.clone_jar(), Arc::clone(&barrier));
            let meet_and_count = async move |mut member: Visit| {
                barrier.wait().await;
                member.add_visits(1);
            };
            let response = tab.send(meet_and_count);
            async move { (response.await.status(), tab) }
        });
        let mut answers = at_once(tabs).await;
        // Another order each time.
        answers.rotate_left(round % TABS);
        for (status, tab) in answers {
            assert_eq!(status, 200);
            let cookie = tab.cookie(COOKIE).expect("a cookie");
            browser.set_cookie_raw(COOKIE, &cookie);
            assert_eq!(browser.visit(read).await, "admin - 16", "round {round}");
        }
        assert_ne!(browser.cookie(COOKIE), old.cookie(COOKIE));
        env.clock.advance(Duration::from_secs(11));
        assert_eq!(old.visit(read).await, "- - 0", "round {round}");
        assert_eq!(browser.visit(read).await, "admin - 16", "round {round}");
    }
}

/// The layer renews an old enough secret of a session with rights, and on request at most once a minute.
pub async fn a_secret_is_renewed_when_it_is_due(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = app(&env).await;
    let visitor = app.browser();
    visitor.visit(set_name).await;
    env.clock.advance(Duration::from_mins(5));
    visitor.visit(read).await;
    env.clock.advance(2 * HOUR);
    for (what, handler) in [("a read", case(read)), ("a renewal", case(renew))] {
        assert!(visitor.send(handler).await.set_cookies().is_empty(), "{what}");
    }
    let browser = app.browser();
    browser.visit(grant).await;
    env.clock.advance(Duration::from_secs(59));
    assert!(browser.send(renew).await.set_cookies().is_empty());
    env.clock.advance(Duration::from_secs(1));
    assert!(browser.send(read).await.set_cookies().is_empty());
    app.events();
    assert_eq!(browser.send(renew).await.set_cookies().len(), 1);
    let id = record_of(&browser).to_string();
    let events = app.events();
    assert!(
        matches!(&events[..], [event] if event.starts_with("Renewed") && event.contains(&id)),
        "{events:?}"
    );
    browser.visit(read).await;
    assert_eq!(app.events(), [""; 0], "its end is no step of its own");
    env.clock.advance(Duration::from_secs(59));
    assert!(browser.send(renew).await.set_cookies().is_empty());
    env.clock.advance(HOUR);
    assert_eq!(browser.send(read).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, "admin - 0");
}

/// A renewal that fails in the store fails no request, and the next request tries it again.
pub async fn a_failed_renewal_is_only_an_event(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = app(&env).await;
    let browser = member(&env, &app).await;
    // The use is noted now, so that only the renewal is left to do.
    app.faults.fail(Operation::Commit, 1);
    let response = browser.send(read).await;
    assert_eq!((response.text(), response.set_cookies().len()), ("admin - 0", 0));
    assert!(app.events().iter().any(|event| event.contains("CommitFailed")));
    app.faults.lose_answer(Operation::Commit);
    assert!(browser.send(read).await.set_cookies().is_empty(), "the outcome is unknown");
    assert_eq!(browser.send(read).await.set_cookies().len(), 1, "it was done");
    assert_eq!(browser.visit(read).await, "admin - 0");
}
