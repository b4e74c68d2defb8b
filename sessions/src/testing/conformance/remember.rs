//! Times of remembered users, other users and visitors, and a cookie that lasts as long as its session.

use std::{ops::RangeInclusive, time::Duration};

use http::StatusCode;

use super::{
    super::{Client, Gate},
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    handler::{Case, case, gated},
    shopper::{
        Visit, browse, browse_for_an_hour, buy, clear, grant, is_user, login, login_forgotten, logout,
        logout_and_login, note, note_and_login, read, revoke, rotate, stay_for_an_hour, visitor,
    },
};
use crate::{Timeouts, error::Error};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Thirty days in seconds, some of which may be over on a server's own clock.
const MONTH: RangeInclusive<u64> = 30 * 86_400 - 60..=30 * 86_400;

/// Returns a handler that logs this user in to be remembered.
fn login_remembered(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| {
        shopper.remember(true);
        shopper.set_user(user);
    })
}

/// Returns a handler that logs this user in for an hour, and until the browser is closed.
fn login_for_an_hour(user: &'static str) -> Case<Visit> {
    case(async move |mut shopper: Visit| {
        stay_for_an_hour(&shopper);
        shopper.set_user(user);
    })
}

/// A function that returns the handler that begins a session of one kind.
type BeginKind = fn() -> Case<Visit>;

/// The kinds of sessions: a handler that begins one, and its idle and absolute time in hours, if the layer sets them.
const KINDS: [(&str, BeginKind, u32, u32); 3] = [
    ("a visitor", || case(note), 5, 100),
    ("a user", || login("ada"), 2, 10),
    ("a remembered user", || login_remembered("ada"), 24, 50),
];

/// Returns a browser whose first request has this handler.
async fn after(app: &TestApp, handler: Case<Visit>) -> Client {
    let browser = app.browser();
    assert_eq!(browser.send(handler).await.status(), 200);
    browser
}

/// A user who asked to be remembered may stay away for thirty days; other users and visitors for one.
///
/// The purge goes by these times.
pub async fn who_asked_to_be_remembered_may_stay_away(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let (guest, user) = (visitor(&app).await, after(&app, login("ada")).await);
    let (remembered, forgotten) =
        (after(&app, login_remembered("ada")).await, after(&app, login_forgotten("ada")).await);
    let stays = visitor(&app).await;
    stays.send(login_remembered("bob")).await;
    env.clock.advance(23 * HOUR);
    for browser in [&user, &forgotten, &remembered] {
        assert!(is_user(browser, "ada").await);
    }
    assert_eq!(guest.visit(read).await, "- - pen letter hello");
    env.clock.advance(3 * DAY);
    app.raw.purge(Timeouts::default(), 100).await.expect("a number");
    if !app.raw.expires_by_itself() {
        for browser in [&guest, &user, &forgotten] {
            assert!(app.load(record_of(browser), &[]).await.is_none(), "it is cleared up");
        }
    }
    // Nor does the purge of a layer with shorter times take what its login was given.
    app.raw.purge(Timeouts::new(HOUR, HOUR), 100).await.expect("a number");
    assert!(app.load(record_of(&stays), &[]).await.is_some());
    assert!(is_user(&remembered, "ada").await);
    for browser in [&guest, &user, &forgotten] {
        assert!(is_user(browser, "- -  - -").await);
    }
    env.clock.advance(25 * DAY);
    for (browser, name) in [(&remembered, "ada"), (&stays, "bob")] {
        assert!(is_user(browser, name).await, "{name}");
    }
    env.clock.advance(2 * DAY);
    let stolen = app.browser();
    stolen.set_cookie_raw(COOKIE, &stays.cookie(COOKIE).unwrap_or_default());
    for browser in [&remembered, &stays, &stolen] {
        assert!(is_user(browser, "-").await, "thirty days in all");
    }
}

/// A login is remembered only if its own request asks for that and succeeds.
///
/// Neither a visitor's session nor an earlier login asks for a later one.
pub async fn to_be_remembered_is_asked_at_each_login(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let browse_remembered = async |mut shopper: Visit| {
        shopper.remember(true);
        shopper.set_note("hello");
    };
    let change_users_remembered_and_fail = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.remember(true);
        shopper.set_user("bob");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let save_remembered = async |mut shopper: Visit| {
        shopper.remember(true);
        shopper.set_note("hello");
        shopper.save().await
    };
    for (what, steps) in [
        ("a visitor", vec![case(browse_remembered), login("ada")]),
        ("a logout", vec![login_remembered("ada"), case(logout), login("ada")]),
        ("another user", vec![login_remembered("bob"), login("ada")]),
        ("a logout and a login", vec![login_remembered("ada"), logout_and_login("ada")]),
        ("a clear", vec![login_remembered("ada"), case(clear), login("ada")]),
        ("a failure", vec![login("ada"), case(change_users_remembered_and_fail), login("ada")]),
        ("a saved visitor", vec![case(save_remembered), login("ada")]),
    ] {
        let browser = app.browser();
        for (index, step) in steps.into_iter().enumerate() {
            let status = if what == "a failure" && index == 1 { 500 } else { 200 };
            assert_eq!(browser.send(step).await.status(), status, "{what}");
        }
        assert!(is_user(&browser, "ada").await, "{what}");
        env.clock.advance(3 * DAY);
        assert!(is_user(&browser, "-").await, "{what}");
    }
    // A login on a secret that another one has replaced, which may have been another user's.
    let browser = visitor(&app).await;
    let planted = browser.clone_jar();
    browser.send(login_remembered("eve")).await;
    planted.send(login("ada")).await;
    assert!(is_user(&planted, "ada").await);
    env.clock.advance(3 * DAY);
    assert!(is_user(&planted, "-").await);
    assert!(is_user(&browser, "eve").await);
    // A request that asks before it saves something else asks for its login.
    let save_remembered_and_login = async |mut shopper: Visit| {
        shopper.remember(true);
        shopper.set_note("hello");
        shopper.save().await?;
        shopper.set_user("ada");
        Ok::<_, Error>(())
    };
    let browser = after(&app, case(save_remembered_and_login)).await;
    env.clock.advance(3 * DAY);
    assert!(is_user(&browser, "ada").await);
    // A remembered user stays so with other rights, and after a second proof that does not ask again.
    let browser = app.browser();
    for step in [login_remembered("ada"), case(grant), login("ada"), case(rotate), case(revoke)] {
        browser.send(step).await;
    }
    env.clock.advance(3 * DAY);
    assert!(is_user(&browser, "ada").await);
}

/// A logout, and each change that leaves no user or another one, takes back the limits that a login set.
///
/// These are the session's time and the cookie that ends with the browser.
pub async fn a_logout_takes_back_what_was_said_at_the_login(env: TestEnvironment) {
    async fn logout_and_fail(mut shopper: Visit) -> StatusCode {
        shopper.remove_user();
        shopper.set_note("lost");
        StatusCode::INTERNAL_SERVER_ERROR
    }
    async fn login_for_an_hour_and_logout(mut shopper: Visit) -> Result<(), Error> {
        stay_for_an_hour(&shopper);
        shopper.set_user("ada");
        shopper.save().await?;
        shopper.remove_user();
        Ok(())
    }
    async fn change_users_for_an_hour_and_fail(mut shopper: Visit) -> StatusCode {
        shopper.remove_user();
        stay_for_an_hour(&shopper);
        shopper.set_user("bob");
        StatusCode::INTERNAL_SERVER_ERROR
    }
    async fn grant_for_an_hour(mut shopper: Visit) {
        stay_for_an_hour(&shopper);
        shopper.set_role("admin");
    }
    let app = env.app().await;
    for is_remembered in [false, true] {
        for (what, steps) in [
            ("a logout", vec![login_for_an_hour("ada"), case(logout)]),
            ("a logout that fails", vec![login_for_an_hour("ada"), case(logout_and_fail)]),
            ("a clear", vec![login_for_an_hour("ada"), case(clear)]),
            ("another user", vec![login_for_an_hour("bob"), note_and_login("ada")]),
            ("a logout and a login", vec![login_for_an_hour("ada"), logout_and_login("ada")]),
            ("a logout after a save", vec![case(login_for_an_hour_and_logout)]),
            ("a failing login", vec![login("ada"), case(change_users_for_an_hour_and_fail)]),
            ("a removed right", vec![case(grant_for_an_hour), case(revoke)]),
            ("a visitor's limits", vec![case(browse_for_an_hour), login("ada"), case(logout)]),
        ] {
            let browser = app.browser();
            for step in steps {
                browser.send(step).await;
            }
            let login = if is_remembered { login_remembered("ada") } else { login("ada") };
            assert!(is_month(max_age(&browser, login).await), "{what}");
            if env.can_move_time() {
                env.clock.advance(2 * HOUR);
                browser.restart();
                assert!(is_user(&browser, "ada").await, "{what}");
            }
        }
    }
    // But the same user's proof does not: it asks nothing.
    let browser = app.browser();
    for (what, step) in [
        ("a login", login_for_an_hour("ada")),
        ("a second login", login("ada")),
        ("a right", case(grant)),
        ("a rotation", case(rotate)),
    ] {
        assert_eq!(max_age(&browser, step).await, None, "{what}");
    }
    if env.can_move_time() {
        env.clock.advance(2 * HOUR);
        assert!(is_user(&browser, "-").await);
    }
}

/// A second login that asks to be remembered lasts for as long as the layer grants.
pub async fn to_be_remembered_takes_back_a_shorter_time(env: TestEnvironment) {
    let app = env.app().await;
    for (what, before) in [("a login", login_for_an_hour("ada")), ("a visitor", case(browse_for_an_hour))] {
        let browser = app.browser();
        browser.send(before).await;
        assert!(is_month(max_age(&browser, login_remembered("ada")).await), "{what}");
        if env.can_move_time() {
            env.clock.advance(3 * DAY);
            assert!(is_user(&browser, "ada").await, "{what}");
        }
    }
    // Of two logins at once each has what its own request asked for.
    let browser = visitor(&app).await;
    let late = browser.clone_jar();
    browser.send(login_for_an_hour("ada")).await;
    assert!(is_month(max_age(&late, login_remembered("ada")).await));
    if env.can_move_time() {
        env.clock.advance(3 * DAY);
        assert!(is_user(&late, "ada").await);
        assert!(is_user(&browser, "-").await);
    }
}

/// Visitors, users and remembered users each have their own times.
///
/// These count at once for existing sessions, and for the request that turns one kind into another.
pub async fn each_kind_of_session_has_its_own_times(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(2 * HOUR, 10 * HOUR)
        .with_visitors(5 * HOUR, 100 * HOUR)
        .with_remembered(24 * HOUR, 50 * HOUR);
    let app = app_with_timeouts(&env, timeouts).await;
    let old = app_with_timeouts(&env, Timeouts::new(24 * HOUR, 100 * HOUR)).await;
    for (what, begin, idle, absolute) in KINDS {
        for first in [&app, &old] {
            let (lives, ends) = (first.browser(), first.browser());
            for browser in [&lives, &ends] {
                browser.send(begin()).await;
                browser.visit(read).await;
            }
            // In browsers that never forget: the store's deadline counts, not the cookie's.
            let [lives, ends] = [lives, ends].map(|browser| eternal(&browser.at(&app.browser())));
            let seen = lives.visit(read).await;
            env.clock.advance(idle * HOUR);
            app.raw.purge(timeouts, 100).await.expect("a number");
            assert_eq!(lives.visit(read).await, seen, "{what}");
            env.clock.advance(HOUR);
            assert!(is_user(&ends, "- -  - -").await, "{what}");
            for _ in 0..(absolute - idle - 1) {
                assert_eq!(lives.visit(read).await, seen, "{what}");
                env.clock.advance(HOUR);
            }
            assert!(is_user(&lives, "- -  - -").await, "{what}");
        }
    }
    // One turns into the other, and lives by the times that it had until then.
    let browser = after(&app, case(note)).await;
    browser.visit(read).await;
    env.clock.advance(4 * HOUR);
    assert_eq!(max_age(&browser, login("ada")).await, Some(10 * 3600));
    env.clock.advance(MINUTE + 2 * HOUR);
    assert_eq!(max_age(&browser, login_remembered("ada")).await, Some(50 * 3600 - 60 - 2 * 3600));
    env.clock.advance(20 * HOUR);
    assert!(is_user(&browser, "ada").await);
    assert_eq!(max_age(&browser, case(logout)).await, Some(100 * 3600 - 60 - 22 * 3600));
    env.clock.advance(5 * HOUR);
    assert_eq!(browser.send(note).await.set_cookies().len(), 0, "still there");
    let browser = after(&app, login("ada")).await;
    env.clock.advance(3 * HOUR);
    assert_eq!(browser.send(login_remembered("bob")).await.status(), 200);
    assert_eq!(browser.visit(read).await, "bob -  - -", "another session");
}

/// A request that crosses a login writes by the times that the session has after it.
pub async fn what_is_carried_goes_by_the_times_of_the_login(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(HOUR, DAY).with_visitors(Duration::from_secs(20), DAY);
    for (what, meanwhile, is_carried) in [("a login", login("ada"), true), ("a visit", case(browse), false)] {
        let app = app_with_timeouts(&env, timeouts).await;
        let (browser, gate) = (visitor(&app).await, Gate::new());
        let slow = tokio::spawn(browser.clone_jar().send(gated(&gate, buy)));
        gate.arrived().await;
        browser.send(meanwhile).await;
        env.clock.advance(Duration::from_secs(30));
        gate.release();
        let status = if is_carried { 200 } else { 409 };
        assert_eq!(slow.await.expect("an answer").status(), status, "{what}");
        assert_eq!(browser.visit(read).await.contains("pen,ink"), is_carried, "{what}");
    }
}

/// A cookie that might end before its session, since a deploy lengthened its life, is replaced once.
///
/// The new one has a new secret, and visitors get one too.
pub async fn a_cookie_lasts_as_long_as_its_session(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    for (before, now) in [
        (Timeouts::default(), Timeouts::new(DAY, 90 * DAY)),
        (Timeouts::new(DAY, 20 * DAY), Timeouts::default()),
        (Timeouts::new(DAY, 20 * DAY), Timeouts::new(30 * DAY, 500 * DAY)),
    ] {
        let absolute = now.absolute().as_secs() / 86_400;
        let (before, now) = (app_with_timeouts(&env, before).await, app_with_timeouts(&env, now).await);
        for (what, begin, ..) in KINDS {
            let browser = after(&before, begin()).await;
            let seen = browser.visit(read).await;
            let browser = browser.at(&now.browser());
            let (mut days, mut cookies) = (0, 0);
            loop {
                env.clock.advance(DAY);
                days += 1;
                let response = browser.send(read).await;
                if response.text() != seen {
                    break;
                }
                cookies += response.set_cookies().len();
            }
            assert_eq!((days, cookies), (absolute, 1 + usize::from(absolute > 400)), "{what}");
        }
    }
    // A session that is not remembered has no date in the browser, and needs none.
    let before = app_with_timeouts(&env, Timeouts::new(DAY, 2 * DAY)).await;
    let now = app_with_timeouts(&env, Timeouts::new(DAY, 9 * DAY)).await;
    let browser = after(&before, login_forgotten("ada")).await.at(&now.browser());
    for _ in 0..8 {
        env.clock.advance(DAY);
        let response = browser.send(read).await;
        assert!(response.text().starts_with("ada") && response.set_cookies().is_empty());
    }
}

/// A new cookie whose response was lost is sent again, and the old one serves until the new one is seen.
pub async fn a_cookie_that_is_lost_is_sent_again(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let before = app_with_timeouts(&env, Timeouts::new(DAY, 10 * DAY)).await;
    let now = app_with_timeouts(&env, Timeouts::new(DAY, 90 * DAY)).await;
    let browser = after(&before, case(note)).await.at(&now.browser());
    browser.visit(read).await;
    for _ in 0..9 {
        env.clock.advance(DAY);
        let lost = browser.clone_jar();
        assert_eq!(lost.visit(read).await, "- -  - x");
    }
    let answers = [browser.clone_jar(), browser.clone_jar()];
    for answer in &answers {
        assert_eq!(answer.send(read).await.set_cookies().len(), 1);
        assert_eq!(answer.cookie(COOKIE), answers[0].cookie(COOKIE));
    }
    assert!(now.events().iter().any(|event| event.starts_with("Renewed")));
    let browser = answers[1].clone();
    for _ in 0..70 {
        env.clock.advance(DAY);
        let response = browser.send(read).await;
        assert_eq!((response.text(), response.set_cookies().len()), ("- -  - x", 0));
    }
}

async fn app_with_timeouts(env: &TestEnvironment, timeouts: Timeouts) -> TestApp {
    env.app_with(|layer| layer.with_timeouts(timeouts)).await
}

/// Returns a browser that never forgets, with the cookie of this one.
fn eternal(browser: &Client) -> Client {
    let eternal = browser.stranger();
    eternal.set_cookie_raw(COOKIE, &browser.cookie(COOKIE).expect("a session cookie"));
    eternal
}

fn is_month(age: Option<u64>) -> bool {
    age.is_some_and(|age| MONTH.contains(&age))
}

/// Returns the seconds for which the browser is to keep the cookie of a response.
async fn max_age(browser: &Client, handler: Case<Visit>) -> Option<u64> {
    let response = browser.send(handler).await;
    let cookies = response.set_cookies();
    let [line] = &cookies[..] else { panic!("{} {cookies:?}", response.status()) };
    let age = line.split("; ").find_map(|part| part.strip_prefix("Max-Age="))?;
    Some(age.parse().expect("seconds"))
}
