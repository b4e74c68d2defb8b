//! How long a session lives, on a clock that the scenarios move.

use std::time::{Duration, SystemTime};

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestEnvironment, record_of, session},
    kit::Kit,
    reply::text,
};
use crate::{TypedSession, clock::Clock, value::Timeouts};

/// Forty minutes without use, so a window of one hundred seconds; and ten hours in all.
const TIMEOUTS: Timeouts = Timeouts::new(seconds(2400), seconds(36_000));

/// A session ends by not being used, and lives as long as it is.
pub async fn idle_time_ends_a_session_and_use_extends_it(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    for _ in 0..10 {
        env.clock.advance(seconds(2399));
        assert_eq!(browser.get("/name").await.text(), "Ada");
    }
    env.clock.advance(seconds(2500));
    assert_eq!(browser.get("/name").await.text(), "-");
}

/// A socket that saves keeps its session alive, changes or none, with one touch per window; one that says that it
/// goes on without a person does not.
pub async fn a_save_is_a_use(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let sockets =
        [("/listen", "7"), ("/poll", "0")].map(|(path, left)| (path, left, Gate::new(), Gate::new()));
    let gates = sockets.clone();
    let app = env
        .app_answering_with(
            |layer| layer.with_timeouts(TIMEOUTS),
            move |mut parts| {
                let gates = gates.clone();
                async move {
                    let mut kit: TypedSession<Kit> = session(&mut parts).await?;
                    let path = parts.uri.path();
                    match gates.into_iter().find(|(of, ..)| *of == path) {
                        Some((_, _, next, saved)) => {
                            if path == "/poll" {
                                kit.without_touch();
                            }
                            tokio::spawn(async move {
                                loop {
                                    next.pass().await;
                                    kit.save().await.expect("a save");
                                    saved.pass().await;
                                }
                            });
                        }
                        None if path == "/set" => kit.set_count(7),
                        None => return text(kit.count().to_string()),
                    }
                    text("done")
                }
            },
        )
        .await;
    for (path, left, next, saved) in sockets {
        let browser = app.browser();
        browser.get("/set").await;
        browser.get("/count").await;
        browser.get(path).await;
        app.calls.clear();
        // Twice as long as a session lives without use.
        for _ in 0..100 {
            env.clock.advance(seconds(50));
            next.arrived().await;
            next.release();
            saved.arrived().await;
            saved.release();
        }
        let touches = app.calls.count(Operation::Commit);
        assert_eq!(touches, if path == "/listen" { 50 } else { 0 }, "{path}");
        assert_eq!(browser.get("/count").await.text(), left, "{path}");
    }
}

/// The absolute deadline comes however much the session is used, and rotation does not move it.
pub async fn the_absolute_deadline_never_moves(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let created = app.load(id, &[]).await.expect("the record").created;
    for _ in 0..35 {
        env.clock.advance(seconds(1000));
        let response = browser.get("/rotate-and-set-name/Ada").await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    }
    env.clock.advance(seconds(999));
    let browser = eternal(&browser);
    assert_eq!(browser.get("/name").await.text(), "Ada");
    assert_eq!(app.load(id, &[]).await.expect("the record").created, created);
    env.clock.advance(seconds(1));
    assert_eq!(browser.get("/name").await.text(), "-", "the store's deadline, not the cookie's");
}

/// Whichever deadline is earlier counts.
pub async fn the_earlier_deadline_counts(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let short = Timeouts::new(seconds(2400), seconds(1000));
    let app = env.kit_with(|layer| layer.with_timeouts(short)).await;
    let browser = eternal(&app.visitor("Ada").await);
    env.clock.advance(seconds(999));
    assert_eq!(browser.get("/name").await.text(), "Ada");
    env.clock.advance(seconds(1));
    assert_eq!(browser.get("/name").await.text(), "-");
}

/// However many requests come within the touch window, one use is noted; and a session never ends
/// before its idle time.
pub async fn one_touch_per_window_and_never_early(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    for _ in 0..99 {
        env.clock.advance(seconds(1));
        browser.get("/name").await;
    }
    assert_eq!(app.calls.writes(), 0, "the create noted the first use");
    for _ in 0..100 {
        env.clock.advance(seconds(1));
        browser.get("/name").await;
    }
    assert_eq!(app.calls.writes(), 1);
    assert!(app.calls.calls().iter().all(|call| call.changes().is_empty()));
    env.clock.advance(Duration::from_millis(2_399_999));
    assert_eq!(browser.get("/name").await.text(), "Ada", "idle since the last use, not since the last touch");
    for _ in 0..5 {
        app.calls.clear();
        env.clock.advance(seconds(100));
        browser.get("/set-name/Bea").await;
        assert_eq!(app.calls.writes(), 1, "a write carries the touch");
        browser.get("/set-name/Ada").await;
    }
}

/// A dead session is never used, purged or not: it reads as none, and a write begins another.
pub async fn a_dead_session_is_never_used(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    for path in ["/name", "/set-name/x", "/hit", "/rotate", "/end", "/fetch-hit", "/flash/x"] {
        let browser = app.visitor("Ada").await;
        let (id, browser) = (record_of(&browser), eternal(&browser));
        // The clean-up after its create must not take it away.
        app.faults.fail(Operation::Purge, 10);
        env.clock.advance(seconds(2500));
        app.events();
        let response = browser.get(path).await;
        assert!(app.events().iter().any(|event| event.contains("Expired")), "{path}");
        assert_eq!(response.status(), 200, "{path}");
        assert_ne!(response.text(), "Ada", "{path}");
        assert_eq!(app.calls.count(Operation::Commit), 0, "{path}");
        assert_eq!(app.calls.count(Operation::Destroy), 0, "{path}");
        let fresh = matches!(path, "/set-name/x" | "/hit" | "/fetch-hit" | "/flash/x");
        assert_eq!(app.calls.count(Operation::Create), usize::from(fresh), "{path}");
        if fresh {
            assert_ne!(record_of(&browser), id, "{path}");
        }
    }
}

/// A session that dies during a request takes no commit of it.
pub async fn a_session_that_dies_meanwhile_takes_no_commit(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    let tab = browser.fork();
    let slow = tokio::spawn(async move { tab.get("/wait/set-name/x").await });
    app.gate.arrived().await;
    env.clock.advance(seconds(2500));
    app.gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    assert_eq!(eternal(&browser).get("/name").await.text(), "-");
}

/// So is one that lives shorter than the layer says, whatever the request asks for.
pub async fn a_short_session_that_dies_meanwhile_takes_no_commit(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    for path in ["/wait/set-name/x", "/wait/hit", "/wait/rotate", "/wait/lengthen-and-rotate"] {
        let browser = app.browser();
        browser.get("/shorten/Ada").await;
        browser.get("/name").await;
        let tab = browser.fork();
        let slow = tokio::spawn(async move { tab.post(path, "").await });
        app.gate.arrived().await;
        env.clock.advance(seconds(625));
        app.gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 409, "{path}");
        assert_eq!(eternal(&browser).get("/name").await.text(), "-", "{path}");
    }
}

/// A shorter timeout acts at once on the sessions there are, and a longer one too.
pub async fn a_changed_timeout_acts_at_once(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let long =
        env.kit_with(|layer| layer.with_timeouts(Timeouts::new(seconds(86_400), seconds(864_000)))).await;
    let short = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = eternal(&long.visitor("Ada").await);
    env.clock.advance(seconds(3000));
    assert_eq!(browser.at(&short.browser()).get("/name").await.text(), "-");
    assert_eq!(browser.get("/name").await.text(), "Ada");
    env.clock.advance(seconds(33_000));
    let absolute = Timeouts::new(seconds(86_400), seconds(36_000));
    let short = env.kit_with(|layer| layer.with_timeouts(absolute)).await;
    assert_eq!(browser.at(&short.browser()).get("/name").await.text(), "-");
    assert_eq!(browser.get("/name").await.text(), "Ada");
}

/// A session may have less time than the layer gives, and keeps that through rotations until another one says
/// otherwise; never more.
pub async fn a_session_may_live_shorter_than_the_layer_says(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let short = app.browser();
    assert_eq!(max_age(&short.get("/shorten/Ada").await.set_cookies()), 3600);
    assert_eq!(short.get("/name").await.text(), "Ada");
    assert_eq!(max_age(&short.get("/rotate").await.set_cookies()), 3600);
    let id = record_of(&short);
    env.clock.advance(seconds(600));
    assert_eq!(short.get("/name").await.text(), "Ada");
    let lost = eternal(&short);
    env.clock.advance(seconds(625));
    assert_eq!(lost.get("/name").await.text(), "-", "ten minutes, and a window of 25 seconds");
    assert!(app.events().iter().any(|event| event.contains("Expired") && event.contains(&id.to_string())));

    let long = app.browser();
    long.get("/shorten/Bea").await;
    long.get("/name").await;
    assert_eq!(max_age(&long.get("/lengthen-and-rotate").await.set_cookies()), 36_000);
    env.clock.advance(seconds(2400));
    assert_eq!(long.get("/name").await.text(), "Bea");
    let long = eternal(&long);
    env.clock.advance(seconds(2500));
    assert_eq!(long.get("/name").await.text(), "-", "never longer than the layer says");
}

/// A rotation may shorten what a living session has left, even to nothing, and lengthen it again.
pub async fn a_living_session_is_shortened_and_lengthened(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    env.clock.advance(seconds(1800));
    assert_eq!(max_age(&browser.get("/shorten-and-rotate").await.set_cookies()), 1800);
    assert_eq!(browser.get("/name").await.text(), "Ada", "longer unused than it may be from now on");
    browser.get("/lengthen-and-rotate").await;
    env.clock.advance(seconds(1200));
    app.visitor("Bea").await;
    app.raw.purge(TIMEOUTS, 100).await.expect("a number");
    assert_eq!(browser.get("/name").await.text(), "Ada");
    let lost = browser.clone_jar();
    env.clock.advance(seconds(1200));
    browser.get("/name").await;
    let response = browser.get("/shorten-and-rotate").await;
    assert_eq!((response.status().as_u16(), max_age(&response.set_cookies())), (200, 0));
    assert_eq!(lost.get("/name").await.text(), "-", "its secret was replaced, and its time is over");
}

/// Sessions of before a moment are over, whatever else is said of them; those that begin later are not.
pub async fn what_began_before_the_layers_moment_is_over(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit().await;
    let old = app.visitor("Ada").await;
    env.clock.advance(seconds(60));
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(env.clock.now().as_millis().cast_unsigned());
    let after = env.kit_with(|layer| layer.with_not_before(moment)).await;
    let old = old.at(&after.browser());
    assert_eq!(old.get("/name").await.text(), "-");
    assert!(after.events().iter().any(|event| event.contains("Expired")));
    let new = after.visitor("Bea").await;
    assert_eq!(new.get("/name").await.text(), "Bea");
    assert_eq!(old.get("/set-name/Cay").await.set_cookies().len(), 1, "a new session");
}

/// Timeouts beyond the end of time neither overflow nor end anything.
pub async fn very_long_timeouts_do_not_overflow(env: TestEnvironment) {
    let forever = Timeouts::new(Duration::MAX, Duration::MAX);
    let app = env.kit_with(|layer| layer.with_timeouts(forever)).await;
    let browser = app.browser();
    let response = browser.get("/set-name/Ada").await;
    assert_eq!((response.status().as_u16(), max_age(&response.set_cookies())), (200, 400 * 86_400));
    for path in ["/name", "/set-name/Bea", "/rotate", "/hit"] {
        assert_eq!(browser.get(path).await.status(), 200, "{path}");
    }
    app.raw.purge(forever, 100).await.expect("a number");
    assert_eq!(browser.get("/name").await.text(), "Bea");
}

/// `Max-Age` is the life that is left, 400 days at most; it is sent with a new secret only.
pub async fn the_cookie_lives_no_longer_than_the_record(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.browser();
    assert_eq!(max_age(&browser.get("/set-name/Ada").await.set_cookies()), 36_000);
    browser.get("/name").await;
    env.clock.advance(seconds(2000));
    for path in ["/name", "/set-name/Bea", "/hit"] {
        assert!(browser.get(path).await.set_cookies().is_empty(), "{path}");
    }
    assert_eq!(max_age(&browser.get("/rotate").await.set_cookies()), 34_000);
    let long = Timeouts::new(seconds(86_400), seconds(500 * 86_400));
    let app = env.kit_with(|layer| layer.with_timeouts(long)).await;
    assert_eq!(max_age(&app.browser().get("/set-name/Ada").await.set_cookies()), 400 * 86_400);
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The same cookie in a browser that never forgets, as an attacker's.
fn eternal(browser: &Client) -> Client {
    let cookie = browser.cookie(COOKIE).expect("a session cookie");
    let eternal = browser.stranger();
    eternal.set_cookie_raw(COOKIE, &cookie);
    eternal
}

fn max_age(set_cookies: &[String]) -> u64 {
    let [line] = set_cookies else { panic!("one cookie: {set_cookies:?}") };
    let age = line.split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    age.and_then(|age| age.parse().ok()).expect("an age in seconds")
}
