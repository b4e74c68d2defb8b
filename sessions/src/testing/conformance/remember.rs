//! Who is remembered, and for how long; and that the browser keeps the cookie for as long as the session lives.

use std::time::Duration;

use super::{
    super::Client,
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    login::{app, app_with, visitor},
};
use crate::Timeouts;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Thirty days in seconds, some of which may be over on a server's own clock.
const MONTH: std::ops::RangeInclusive<u64> = 30 * 86_400 - 60..=30 * 86_400;

/// A browser that has sent this request as its first.
async fn after(app: &TestApp, path: &str) -> Client {
    let browser = app.browser();
    assert_eq!(browser.get(path).await.status(), 200, "{path}");
    browser
}

async fn is_user(browser: &Client, name: &str) -> bool {
    browser.get("/read").await.text().starts_with(name)
}

/// Who asked to be remembered may stay away for a weekend, and longer; other users and visitors for a day. The
/// clean-up goes by the same times.
pub async fn who_asked_to_be_remembered_may_stay_away(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let (guest, user) = (visitor(&app).await, after(&app, "/login/ada").await);
    let (ticked, unticked) = (after(&app, "/login-ticked/ada").await, after(&app, "/forget/ada").await);
    let stays = visitor(&app).await;
    stays.get("/login-ticked/bob").await;
    env.clock.advance(23 * HOUR);
    for browser in [&user, &unticked, &ticked] {
        assert!(is_user(browser, "ada").await);
    }
    assert_eq!(guest.get("/read").await.text(), "- - pen letter hello");
    env.clock.advance(3 * DAY);
    app.raw.purge(Timeouts::default(), 100).await.expect("a number");
    if !app.raw.expires_by_itself() {
        for browser in [&guest, &user, &unticked] {
            assert!(app.load(record_of(browser), &[]).await.is_none(), "it is cleared up");
        }
    }
    // Nor does the clean-up of a layer with shorter times take what its login was given.
    app.raw.purge(Timeouts::new(HOUR, HOUR), 100).await.expect("a number");
    assert!(app.load(record_of(&stays), &[]).await.is_some());
    assert!(is_user(&ticked, "ada").await);
    for browser in [&guest, &user, &unticked] {
        assert!(browser.get("/read").await.text().starts_with("- -  -"));
    }
    env.clock.advance(25 * DAY);
    for (browser, name) in [(&ticked, "ada"), (&stays, "bob")] {
        assert!(is_user(browser, name).await, "{name}");
    }
    env.clock.advance(2 * DAY);
    let stolen = app.browser();
    stolen.set_cookie_raw(COOKIE, &stays.cookie(COOKIE).unwrap_or_default());
    for browser in [&ticked, &stays, &stolen] {
        assert!(is_user(browser, "-").await, "thirty days in all");
    }
}

/// To be remembered is asked at each login: neither a visitor's session nor an earlier login says so for a later
/// one, and a failing request asks nothing.
pub async fn to_be_remembered_is_asked_at_each_login(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    for steps in [
        &["/visit-ticked", "/login/ada"][..],
        &["/login-ticked/ada", "/logout", "/login/ada"],
        &["/login-ticked/bob", "/login/ada"],
        &["/login-ticked/ada", "/out-and-in/ada"],
        &["/login-ticked/ada", "/clear", "/login/ada"],
        &["/login/ada", "/switch-ticked-and-fail/bob", "/login/ada"],
        &["/visit-ticked-and-save", "/login/ada"],
    ] {
        let browser = app.browser();
        for path in steps {
            let status = if path.contains("fail") { 500 } else { 200 };
            assert_eq!(browser.get(path).await.status(), status, "{path}");
        }
        assert!(is_user(&browser, "ada").await, "{steps:?}");
        env.clock.advance(3 * DAY);
        assert!(is_user(&browser, "-").await, "{steps:?}");
    }
    // A login on a secret that another one has replaced, which may have been somebody else's.
    let browser = visitor(&app).await;
    let planted = browser.clone_jar();
    browser.get("/login-ticked/eve").await;
    planted.get("/login/ada").await;
    assert!(is_user(&planted, "ada").await);
    env.clock.advance(3 * DAY);
    assert!(is_user(&planted, "-").await);
    assert!(is_user(&browser, "eve").await);
    // What one request says before something else is saved counts for its login.
    let browser = after(&app, "/ticked-save-and-login/ada").await;
    env.clock.advance(3 * DAY);
    assert!(is_user(&browser, "ada").await);
    // Who is remembered stays so with other rights, and proves who it is without being asked again.
    let browser = app.browser();
    for path in ["/login-ticked/ada", "/grant", "/login/ada", "/rotate", "/ungrant"] {
        browser.get(path).await;
    }
    env.clock.advance(3 * DAY);
    assert!(is_user(&browser, "ada").await);
}

/// A logout takes back what was said at the login: how long the session lives, and that the browser forgets it
/// when it is closed. So does all that leaves no user, or another one.
pub async fn a_logout_takes_back_what_was_said_at_the_login(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for steps in [
        &["/login-unticked/ada", "/logout"][..],
        &["/login-unticked/ada", "/logout-and-fail"],
        &["/login-unticked/ada", "/clear"],
        &["/login-unticked/bob", "/switch/ada"],
        &["/login-unticked/ada", "/out-and-in/ada"],
        &["/login-unticked-and-out/ada"],
        &["/login/ada", "/switch-unticked-and-fail/bob"],
        &["/grant-unticked", "/ungrant"],
        &["/visit-for-an-hour", "/login/ada", "/logout"],
    ] {
        for login in ["/login/ada", "/login-ticked/ada"] {
            let browser = app.browser();
            for path in steps {
                browser.get(path).await;
            }
            assert!(is_month(max_age(&browser, login).await), "{steps:?}");
            if env.can_move_time() {
                env.clock.advance(2 * HOUR);
                browser.restart();
                assert!(is_user(&browser, "ada").await, "{steps:?}");
            }
        }
    }
    // But the same user's proof does not: it asks nothing.
    let browser = app.browser();
    for path in ["/login-unticked/ada", "/login/ada", "/grant", "/rotate"] {
        assert_eq!(max_age(&browser, path).await, None, "{path}");
    }
    if env.can_move_time() {
        env.clock.advance(2 * HOUR);
        assert!(is_user(&browser, "-").await);
    }
}

/// Who ticks "stay logged in" at a second login stays for as long as the layer grants.
pub async fn to_be_remembered_takes_back_a_shorter_time(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for before in ["/login-unticked/ada", "/visit-for-an-hour"] {
        let browser = app.browser();
        browser.get(before).await;
        assert!(is_month(max_age(&browser, "/login-ticked/ada").await), "{before}");
        if env.can_move_time() {
            env.clock.advance(3 * DAY);
            assert!(is_user(&browser, "ada").await, "{before}");
        }
    }
    // Of two logins at once each has what was said at it.
    let browser = visitor(&app).await;
    let late = browser.clone_jar();
    browser.get("/login-unticked/ada").await;
    assert!(is_month(max_age(&late, "/login-ticked/ada").await));
    if env.can_move_time() {
        env.clock.advance(3 * DAY);
        assert!(is_user(&late, "ada").await);
        assert!(is_user(&browser, "-").await);
    }
}

/// Visitors, users and those who are remembered have each their own times, which count at once for the sessions
/// there are, and for the request that turns the one into the other.
pub async fn each_kind_of_session_has_its_own_times(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(2 * HOUR, 10 * HOUR)
        .with_visitors(5 * HOUR, 100 * HOUR)
        .with_remembered(24 * HOUR, 50 * HOUR);
    let (app, _) = app_with(&env, |layer| layer.with_timeouts(timeouts)).await;
    let old = app_with_timeouts(&env, Timeouts::new(24 * HOUR, 100 * HOUR)).await;
    for (path, idle, absolute) in [("/note/x", 5, 100), ("/login/ada", 2, 10), ("/login-ticked/ada", 24, 50)]
    {
        for first in [&app, &old] {
            let (lives, ends) = (first.browser(), first.browser());
            for browser in [&lives, &ends] {
                browser.get(path).await;
                browser.get("/read").await;
            }
            // In browsers that never forget: the store's deadline counts, not the cookie's.
            let [lives, ends] = [lives, ends].map(|browser| eternal(&browser.at(&app.browser())));
            let seen = lives.get("/read").await.text().to_owned();
            env.clock.advance(idle * HOUR);
            app.raw.purge(timeouts, 100).await.expect("a number");
            assert_eq!(lives.get("/read").await.text(), seen, "{path}");
            env.clock.advance(HOUR);
            assert!(ends.get("/read").await.text().starts_with("- -  - -"), "{path}");
            for _ in 0..(absolute - idle - 1) {
                assert_eq!(lives.get("/read").await.text(), seen, "{path}");
                env.clock.advance(HOUR);
            }
            assert!(lives.get("/read").await.text().starts_with("- -  - -"), "{path}");
        }
    }
    // One turns into the other, and lives by the times that it had until then.
    let browser = after(&app, "/note/x").await;
    browser.get("/read").await;
    env.clock.advance(4 * HOUR);
    assert_eq!(max_age(&browser, "/login/ada").await, Some(10 * 3600));
    env.clock.advance(MINUTE + 2 * HOUR);
    assert_eq!(max_age(&browser, "/login-ticked/ada").await, Some(50 * 3600 - 60 - 2 * 3600));
    env.clock.advance(20 * HOUR);
    assert!(is_user(&browser, "ada").await);
    assert_eq!(max_age(&browser, "/logout").await, Some(100 * 3600 - 60 - 22 * 3600));
    env.clock.advance(5 * HOUR);
    assert_eq!(browser.get("/note/y").await.set_cookies().len(), 0, "still there");
    let browser = after(&app, "/login/ada").await;
    env.clock.advance(3 * HOUR);
    assert_eq!(browser.get("/login-ticked/bob").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "bob -  - -", "another session");
}

/// What belongs to the browser and crosses a login is written by the times that the session has from then on.
pub async fn what_is_carried_goes_by_the_times_of_the_login(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let timeouts = Timeouts::new(HOUR, DAY).with_visitors(Duration::from_secs(20), DAY);
    for (login, carried) in [("/login/ada", true), ("/visit", false)] {
        let (app, gate) = app_with(&env, |layer| layer.with_timeouts(timeouts)).await;
        let browser = visitor(&app).await;
        let tab = browser.clone_jar();
        let slow = tokio::spawn(async move { tab.get("/wait/buy/ink").await });
        gate.arrived().await;
        browser.get(login).await;
        env.clock.advance(Duration::from_secs(30));
        gate.release();
        let status = if carried { 200 } else { 409 };
        assert_eq!(slow.await.expect("an answer").status(), status, "{login}");
        assert_eq!(browser.get("/read").await.text().contains("pen,ink"), carried, "{login}");
    }
}

/// A deploy that lets sessions live longer reaches those in use: when the browser might forget the cookie first,
/// it gets another one, once, with a new secret as always. So do those of visitors.
pub async fn a_cookie_lasts_as_long_as_its_session(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    for (before, now) in [
        (Timeouts::default(), Timeouts::new(DAY, 90 * DAY)),
        (Timeouts::new(DAY, 20 * DAY), Timeouts::default()),
        (Timeouts::new(DAY, 20 * DAY), Timeouts::new(30 * DAY, 500 * DAY)),
    ] {
        let (before, now) =
            (app_with_timeouts(&env, before).await, (app_with_timeouts(&env, now).await, now));
        for path in ["/note/x", "/login/ada", "/login-ticked/ada"] {
            let browser = after(&before, path).await;
            let seen = browser.get("/read").await.text().to_owned();
            let browser = browser.at(&now.0.browser());
            let (mut days, mut cookies) = (0, 0);
            loop {
                env.clock.advance(DAY);
                days += 1;
                let response = browser.get("/read").await;
                if response.text() != seen {
                    break;
                }
                cookies += response.set_cookies().len();
            }
            let absolute = now.1.absolute().as_secs() / 86_400;
            assert_eq!((days, cookies), (absolute, 1 + usize::from(absolute > 400)), "{path}");
        }
    }
    // Of who is not remembered the browser has no date, and needs none.
    let (before, now) =
        (Timeouts::new(DAY, 2 * DAY), app_with_timeouts(&env, Timeouts::new(DAY, 9 * DAY)).await);
    let browser = after(&app_with_timeouts(&env, before).await, "/forget/ada").await.at(&now.browser());
    for _ in 0..8 {
        env.clock.advance(DAY);
        let response = browser.get("/read").await;
        assert!(response.text().starts_with("ada") && response.set_cookies().is_empty());
    }
}

/// An answer with the new cookie that is lost comes again: the old one serves until the new one is seen.
pub async fn a_cookie_that_is_lost_is_sent_again(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (before, now) =
        (Timeouts::new(DAY, 10 * DAY), app_with_timeouts(&env, Timeouts::new(DAY, 90 * DAY)).await);
    let browser = after(&app_with_timeouts(&env, before).await, "/note/x").await.at(&now.browser());
    browser.get("/read").await;
    for _ in 0..9 {
        env.clock.advance(DAY);
        let lost = browser.clone_jar();
        assert_eq!(lost.get("/read").await.text(), "- -  - x");
    }
    let answers = [browser.clone_jar(), browser.clone_jar()];
    for answer in &answers {
        assert_eq!(answer.get("/read").await.set_cookies().len(), 1);
        assert_eq!(answer.cookie(COOKIE), answers[0].cookie(COOKIE));
    }
    assert!(now.events().iter().any(|event| event.starts_with("Renewed")));
    let browser = answers[1].clone();
    for _ in 0..70 {
        env.clock.advance(DAY);
        let response = browser.get("/read").await;
        assert_eq!((response.text(), response.set_cookies().len()), ("- -  - x", 0));
    }
}

async fn app_with_timeouts(env: &TestEnvironment, timeouts: Timeouts) -> TestApp {
    app_with(env, |layer| layer.with_timeouts(timeouts)).await.0
}

/// The same cookie in a browser that never forgets.
fn eternal(browser: &Client) -> Client {
    let eternal = browser.stranger();
    eternal.set_cookie_raw(COOKIE, &browser.cookie(COOKIE).expect("a session cookie"));
    eternal
}

fn is_month(age: Option<u64>) -> bool {
    age.is_some_and(|age| MONTH.contains(&age))
}

/// For how long the browser is to keep the cookie that comes with an answer, in seconds.
async fn max_age(browser: &Client, path: &str) -> Option<u64> {
    let response = browser.get(path).await;
    let cookies = response.set_cookies();
    let [line] = &cookies[..] else { panic!("{path}: {} {cookies:?}", response.status()) };
    let age = line.split("; ").find_map(|part| part.strip_prefix("Max-Age="))?;
    Some(age.parse().expect("seconds"))
}
