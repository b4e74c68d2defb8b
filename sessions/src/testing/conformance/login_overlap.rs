//! Requests that overlap a login: logins at once, what crosses a login, and the secret that it replaces.

use std::{sync::Arc, time::Duration};

use tokio::sync::Barrier;

use super::{
    super::{Gate, Operation},
    environment::{COOKIE, TestEnvironment, at_once, record_of},
    handler::{case, gated},
    shopper::{
        Visit, browse, browse_for_an_hour, buy, is_user, login, logout, note, read, rotate, user, visitor,
    },
};

/// A draft that another request sets beside a login does not outlive the login.
pub async fn a_draft_beside_a_login_does_not_outlive_it(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (app.browser(), Gate::new());
    browser.visit(async |mut shopper: Visit| shopper.set_note("hello")).await;
    let (id, attacker) = (record_of(&browser), browser.clone_jar());
    let slow = tokio::spawn(browser.send(gated(&gate, login("ada"))));
    gate.arrived().await;
    attacker.visit(browse).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200);
    assert_eq!(browser.visit(read).await, "ada - pen - hello");
    assert_eq!(app.stored(id, "draft").await, None);
}

/// Two logins at once both succeed in records of their own, whichever response the browser takes last.
pub async fn two_logins_at_once_both_log_in(env: TestEnvironment) {
    let app = env.app().await;
    for order in [[0, 1], [1, 0]] {
        let (browser, gate) = (visitor(&app).await, Gate::new());
        let tabs = [browser.clone_jar(), browser.clone_jar()];
        let logins = tabs.each_ref().map(|tab| tokio::spawn(tab.send(gated(&gate, login("ada")))));
        pass_together(&gate, 2).await;
        for (login, tab) in logins.into_iter().zip(&tabs) {
            assert_eq!(login.await.expect("an answer").status(), 200);
            assert!(is_user(tab, "ada").await);
        }
        for index in order {
            let cookie = tabs[index].cookie(COOKIE).expect("each has a cookie");
            browser.set_cookie_raw(COOKIE, &cookie);
        }
        assert!(is_user(&browser, "ada").await);
    }
}

/// A visitor's limits on the session's time and on the cookie count for each of two logins at once.
pub async fn two_logins_at_once_keep_what_was_said_of_the_session(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (app.browser(), Gate::new());
    browser.visit(browse_for_an_hour).await;
    browser.visit(read).await;
    let late = browser.clone_jar();
    let tabs = [browser.clone_jar(), browser.clone_jar()];
    let logins = tabs.each_ref().map(|tab| tokio::spawn(tab.send(gated(&gate, login("ada")))));
    pass_together(&gate, 2).await;
    for login in logins {
        let cookies = login.await.expect("an answer").set_cookies();
        assert!(matches!(&cookies[..], [cookie] if !cookie.contains("Max-Age")), "{cookies:?}");
    }
    // One that comes with the secret from before both.
    let cookies = late.send(login("ada")).await.set_cookies();
    assert!(matches!(&cookies[..], [cookie] if !cookie.contains("Max-Age")), "{cookies:?}");
    let [one, other] = tabs;
    let tabs = [one, other, late];
    if env.can_move_time() {
        for tab in &tabs {
            assert!(is_user(tab, "ada").await);
        }
        env.clock.advance(Duration::from_hours(1));
        for tab in &tabs {
            assert!(is_user(tab, "-").await);
        }
    }
}

/// Lets this number of requests go on when all have come.
async fn pass_together(gate: &Gate, requests: usize) {
    for _ in 0..requests {
        gate.arrived().await;
    }
    for _ in 0..requests {
        gate.release();
    }
}

/// A number of requests that meet.
const TABS: usize = 16;

/// Requests around a login, whose responses come in any order, leave the user logged in with one usable secret.
///
/// The old secret has no rights.
pub async fn requests_around_a_login_in_any_order(env: TestEnvironment) {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Tab {
        Login,
        Note,
        Read,
        Buy,
    }
    let app = env.app().await;
    let barrier = Arc::new(Barrier::new(TABS));
    for round in 0..100 {
        let browser = visitor(&app).await;
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let tabs = (0..TABS).map(|index| {
            let (kind, handler) = match index {
                0 => (Tab::Login, login("ada")),
                _ if index % 3 == 0 => (Tab::Note, case(note)),
                _ if index % 3 == 1 => (Tab::Read, case(read)),
                _ => (Tab::Buy, case(buy)),
            };
            let (tab, barrier) = (browser.clone_jar(), Arc::clone(&barrier));
            let handler = async move |shopper: Visit| {
                barrier.wait().await;
                handler(shopper).await
            };
            let response = tab.send(handler);
            async move { (kind, response.await, tab) }
        });
        let mut answers = at_once(tabs).await;
        answers.rotate_left(round % TABS);
        for (kind, response, tab) in answers {
            let status = response.status().as_u16();
            assert!(status == 200 || (status == 409 && kind == Tab::Note), "{kind:?}: {status}");
            assert_eq!(response.set_cookies().len(), usize::from(kind == Tab::Login), "{kind:?}");
            if kind == Tab::Login {
                let cookie = tab.cookie(COOKIE).expect("a cookie");
                browser.set_cookie_raw(COOKIE, &cookie);
            }
        }
        let seen = browser.visit(read).await;
        assert!(seen.starts_with("ada - "), "round {round}: {seen}");
        assert_eq!(record_of(&browser), id, "round {round}");
        for (what, handler) in [("a read", case(read)), ("a note", case(note)), ("a rotation", case(rotate))]
        {
            let response = old.send(handler).await;
            assert!(response.set_cookies().is_empty() && !response.text().contains("ada"), "{what}");
        }
    }
}

/// A login whose response was lost is repeated with the old cookie.
pub async fn a_login_whose_answer_was_lost_is_repeated(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let lost = browser.clone_jar();
    assert_eq!(lost.send(login("ada")).await.status(), 200);
    let response = browser.send(login("ada")).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert!(is_user(&browser, "ada").await);
    assert!(is_user(&lost, "ada").await);
}

/// A login whose session has ended meanwhile begins another.
pub async fn a_login_after_the_end_begins_anew(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (visitor(&app).await, Gate::new());
    let id = record_of(&browser);
    let slow = tokio::spawn(browser.send(gated(&gate, login("ada"))));
    gate.arrived().await;
    app.raw.destroy(id).await.expect("destroyed");
    gate.release();
    let response = slow.await.expect("an answer");
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(browser.visit(read).await, "ada -  - -");
    assert_ne!(record_of(&browser), id);
}

/// A request from before one login or logout still writes what belongs to the browser, for a minute, and nothing else.
pub async fn what_is_carried_crosses_a_login(env: TestEnvironment) {
    let app = env.app().await;
    let buy_and_note = async |mut shopper: Visit| {
        shopper.cart_mut().push("ink".to_owned());
        shopper.set_note("noted");
    };
    for (what, handler, is_logout, is_carried) in [
        ("a purchase beside a login", case(buy), false, true),
        ("a purchase and a note", case(buy_and_note), false, false),
        ("a note", case(note), false, false),
        ("a purchase beside a logout", case(buy), true, true),
    ] {
        let (browser, change) = if is_logout {
            (user(&app, "ada").await, case(logout))
        } else {
            (visitor(&app).await, login("ada"))
        };
        let gate = Gate::new();
        let slow = tokio::spawn(browser.clone_jar().send(gated(&gate, handler)));
        gate.arrived().await;
        assert_eq!(browser.send(change).await.status(), 200, "{what}");
        gate.release();
        let response = slow.await.expect("an answer");
        let status = if is_carried { 200 } else { 409 };
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{what}");
        assert_eq!(browser.visit(read).await.contains("pen,ink"), is_carried, "{what}");
    }
    // Not across two.
    let (browser, gate) = (visitor(&app).await, Gate::new());
    let slow = tokio::spawn(browser.clone_jar().send(gated(&gate, buy)));
    gate.arrived().await;
    browser.send(login("ada")).await;
    browser.visit(rotate).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    if env.can_move_time() {
        let (browser, gate) = (visitor(&app).await, Gate::new());
        let slow = tokio::spawn(browser.clone_jar().send(gated(&gate, buy)));
        gate.arrived().await;
        browser.send(login("ada")).await;
        env.clock.advance(Duration::from_mins(1));
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 409);
    }
}

/// A superseded secret is known for a minute, in which it reads and writes nothing and gets no cookie.
///
/// So it cannot take the place of the new one. After that its browser is a stranger's.
pub async fn a_superseded_secret_begins_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let old = browser.clone_jar();
    browser.send(login("ada")).await;
    app.events();
    for (what, handler, status) in [
        ("a note", case(note), 409),
        ("a purchase", case(buy), 409),
        ("a rotation", case(rotate), 200),
        ("a read", case(read), 200),
    ] {
        let response = old.send(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{what}");
    }
    assert_eq!(app.calls.count(Operation::Create), 0);
    let events = app.events();
    assert!(events.iter().all(|event| event.starts_with("Superseded") || event.starts_with("Conflict")));
    let record = record_of(&browser).to_string();
    let conflicts: Vec<_> = events.iter().filter(|event| event.starts_with("Conflict")).collect();
    assert!(conflicts.len() == 2 && conflicts.iter().all(|event| event.contains(&record)), "{events:?}");
    assert_eq!(browser.visit(read).await, "ada - pen - hello");
    if env.can_move_time() {
        env.clock.advance(Duration::from_secs(61));
        assert_eq!(old.visit(read).await, "- -  - -");
        assert!(app.events().iter().any(|event| event.contains("Stale")));
        assert_eq!(old.send(note).await.set_cookies().len(), 1);
        assert_eq!(browser.visit(read).await, "ada - pen - hello");
    }
}
