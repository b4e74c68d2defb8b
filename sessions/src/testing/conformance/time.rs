//! Lifetimes of sessions, on a clock that the scenarios move.

use std::time::{Duration, SystemTime};

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestEnvironment, record_of},
    handler::{case, gated},
};
use crate::{Session, TypedSession, clock::Clock, value::Timeouts};

/// Forty minutes without use, so a window of one hundred seconds; and ten hours in all.
const TIMEOUTS: Timeouts = Timeouts::new(seconds(2400), seconds(36_000));

#[derive(Session)]
struct Timed {
    name: Option<String>,
    count: u32,
    #[session(merge = "add")]
    hits: i64,
    #[flash]
    notice: Option<String>,
}

type Visit = TypedSession<Timed>;

/// Returns the name, or `-` without one.
async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

async fn count(session: Visit) -> u32 {
    session.count()
}

async fn set_ada(mut session: Visit) {
    session.set_name("Ada");
}

async fn set_bea(mut session: Visit) {
    session.set_name("Bea");
}

async fn hit(mut session: Visit) {
    *session.hits_mut() += 1;
}

async fn rotate(session: Visit) {
    session.rotate();
}

/// Sets the name, and limits the session to ten minutes without use and an hour in all.
async fn shorten(mut session: Visit) {
    session.limit_lifetime(Duration::from_mins(10), Duration::from_hours(1));
    session.set_name("Ada");
}

async fn shorten_and_rotate(session: Visit) {
    session.limit_lifetime(Duration::from_mins(10), Duration::from_hours(1));
    session.rotate();
}

/// Takes back the limit of the session, and rotates it.
async fn lengthen_and_rotate(session: Visit) {
    session.limit_lifetime(Duration::MAX, Duration::MAX);
    session.rotate();
}

/// A session ends after its idle time, and lives as long as it is used.
pub async fn idle_time_ends_a_session_and_use_extends_it(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    for _ in 0..10 {
        env.clock.advance(seconds(2399));
        assert_eq!(browser.visit(name).await, "Ada");
    }
    env.clock.advance(seconds(2500));
    assert_eq!(browser.visit(name).await, "-");
}

/// A socket that saves keeps its session alive, with one touch per window, whether it changes fields or none.
///
/// A socket that saves without a touch does not.
pub async fn a_save_is_a_use(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    for (is_touching, expected_touches, left) in [(true, 50, 7), (false, 0, 0)] {
        let browser = app.browser();
        browser.visit(async |mut session: Visit| session.set_count(7)).await;
        browser.visit(count).await;
        let (next, saved) = (Gate::new(), Gate::new());
        let (before_save, after_save) = (next.clone(), saved.clone());
        let open_socket = async move |session: Visit| {
            if !is_touching {
                session.without_touch();
            }
            tokio::spawn(async move {
                loop {
                    before_save.pass().await;
                    session.save().await.expect("a save");
                    after_save.pass().await;
                }
            });
        };
        browser.visit(open_socket).await;
        app.calls.clear();
        // Twice as long as a session lives without use.
        for _ in 0..100 {
            env.clock.advance(seconds(50));
            next.arrived().await;
            next.release();
            saved.arrived().await;
            saved.release();
        }
        assert_eq!(app.calls.count(Operation::Commit), expected_touches, "{is_touching}");
        assert_eq!(browser.visit(count).await, left, "{is_touching}");
    }
}

/// The absolute deadline comes however much the session is used, and rotation does not move it.
pub async fn the_absolute_deadline_never_moves(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let created = app.load(id, &[]).await.expect("the record").created;
    for _ in 0..35 {
        env.clock.advance(seconds(1000));
        let rotate_and_set_name = async |mut session: Visit| {
            session.rotate();
            session.set_name("Ada");
        };
        let response = browser.send(rotate_and_set_name).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    }
    env.clock.advance(seconds(999));
    let browser = eternal(&browser);
    assert_eq!(browser.visit(name).await, "Ada");
    assert_eq!(app.load(id, &[]).await.expect("the record").created, created);
    env.clock.advance(seconds(1));
    assert_eq!(browser.visit(name).await, "-", "the store's deadline, not the cookie's");
}

/// The earlier one of the two deadlines ends the session.
pub async fn the_earlier_deadline_counts(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let short = Timeouts::new(seconds(2400), seconds(1000));
    let app = env.app_with(|layer| layer.with_timeouts(short)).await;
    let browser = eternal(&app.visitor("Ada").await);
    env.clock.advance(seconds(999));
    assert_eq!(browser.visit(name).await, "Ada");
    env.clock.advance(seconds(1));
    assert_eq!(browser.visit(name).await, "-");
}

/// Requests within one touch window note one use, and a session never ends before its idle time.
pub async fn one_touch_per_window_and_never_early(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    for _ in 0..99 {
        env.clock.advance(seconds(1));
        browser.visit(name).await;
    }
    assert_eq!(app.calls.writes(), 0, "the create noted the first use");
    for _ in 0..100 {
        env.clock.advance(seconds(1));
        browser.visit(name).await;
    }
    assert_eq!(app.calls.writes(), 1);
    assert!(app.calls.calls().iter().all(|call| call.changes().is_empty()));
    env.clock.advance(Duration::from_millis(2_399_999));
    assert_eq!(browser.visit(name).await, "Ada", "idle since the last use, not since the last touch");
    for _ in 0..5 {
        app.calls.clear();
        env.clock.advance(seconds(100));
        browser.visit(set_bea).await;
        assert_eq!(app.calls.writes(), 1, "a write carries the touch");
        browser.visit(set_ada).await;
    }
}

/// A dead session is never used, purged or not: it reads as none, and a write begins another.
pub async fn a_dead_session_is_never_used(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let fetch_add = async |mut session: Visit| session.fetch_add_hits(1).await.map(|hits| hits.to_string());
    for (what, handler, is_write) in [
        ("a read", case(name), false),
        ("a change", case(set_bea), true),
        ("an addition", case(hit), true),
        ("a rotation", case(rotate), false),
        ("a destroy", case(async |session: Visit| session.destroy()), false),
        ("a fetched addition", case(fetch_add), true),
        ("a flash", case(async |mut session: Visit| session.flash_notice("x")), true),
    ] {
        let browser = app.visitor("Ada").await;
        let (id, browser) = (record_of(&browser), eternal(&browser));
        // The clean-up after its create must not take it away.
        app.faults.fail(Operation::Purge, 10);
        env.clock.advance(seconds(2500));
        app.events();
        let response = browser.send(handler).await;
        assert!(app.events().iter().any(|event| event.contains("Expired")), "{what}");
        assert_eq!(response.status(), 200, "{what}");
        assert_ne!(response.text(), "Ada", "{what}");
        assert_eq!(app.calls.count(Operation::Commit), 0, "{what}");
        assert_eq!(app.calls.count(Operation::Destroy), 0, "{what}");
        assert_eq!(app.calls.count(Operation::Create), usize::from(is_write), "{what}");
        if is_write {
            assert_ne!(record_of(&browser), id, "{what}");
        }
    }
}

/// A session that dies during a request takes no commit of it.
pub async fn a_session_that_dies_meanwhile_takes_no_commit(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let (browser, gate) = (app.visitor("Ada").await, Gate::new());
    let slow = tokio::spawn(browser.send(gated(&gate, set_bea)));
    gate.arrived().await;
    env.clock.advance(seconds(2500));
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    assert_eq!(eternal(&browser).visit(name).await, "-");
}

/// A session with a shorter time than the layer's takes no commit after it, even of a request that lengthens it.
pub async fn a_short_session_that_dies_meanwhile_takes_no_commit(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    for (what, handler) in [
        ("a change", case(set_bea)),
        ("an addition", case(hit)),
        ("a rotation", case(rotate)),
        ("a longer time", case(lengthen_and_rotate)),
    ] {
        let (browser, gate) = (app.browser(), Gate::new());
        browser.visit(shorten).await;
        browser.visit(name).await;
        let slow = tokio::spawn(browser.send_post(gated(&gate, handler)));
        gate.arrived().await;
        env.clock.advance(seconds(625));
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 409, "{what}");
        assert_eq!(eternal(&browser).visit(name).await, "-", "{what}");
    }
}

/// A changed timeout of the layer, shorter or longer, acts at once on the sessions that are there.
pub async fn a_changed_timeout_acts_at_once(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let long = Timeouts::new(seconds(86_400), seconds(864_000));
    let long = env.app_with(|layer| layer.with_timeouts(long)).await;
    let short = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = eternal(&long.visitor("Ada").await);
    env.clock.advance(seconds(3000));
    assert_eq!(browser.at(&short.browser()).visit(name).await, "-");
    assert_eq!(browser.visit(name).await, "Ada");
    env.clock.advance(seconds(33_000));
    let absolute = Timeouts::new(seconds(86_400), seconds(36_000));
    let short = env.app_with(|layer| layer.with_timeouts(absolute)).await;
    assert_eq!(browser.at(&short.browser()).visit(name).await, "-");
    assert_eq!(browser.visit(name).await, "Ada");
}

/// A session may have less time than the layer gives, and never more.
///
/// It keeps that time through rotations, until one of them gives it another.
pub async fn a_session_may_live_shorter_than_the_layer_says(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let short = app.browser();
    assert_eq!(max_age(&short.send(shorten).await.set_cookies()), 3600);
    assert_eq!(short.visit(name).await, "Ada");
    assert_eq!(max_age(&short.send(rotate).await.set_cookies()), 3600);
    let id = record_of(&short);
    env.clock.advance(seconds(600));
    assert_eq!(short.visit(name).await, "Ada");
    let lost = eternal(&short);
    env.clock.advance(seconds(625));
    assert_eq!(lost.visit(name).await, "-", "ten minutes, and a window of 25 seconds");
    assert!(app.events().iter().any(|event| event.contains("Expired") && event.contains(&id.to_string())));

    let long = app.browser();
    long.visit(shorten).await;
    long.visit(name).await;
    assert_eq!(max_age(&long.send(lengthen_and_rotate).await.set_cookies()), 36_000);
    env.clock.advance(seconds(2400));
    assert_eq!(long.visit(name).await, "Ada");
    let long = eternal(&long);
    env.clock.advance(seconds(2500));
    assert_eq!(long.visit(name).await, "-", "never longer than the layer says");
}

/// A rotation may shorten what a living session has left, even to nothing, and lengthen it again.
pub async fn a_living_session_is_shortened_and_lengthened(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.visitor("Ada").await;
    env.clock.advance(seconds(1800));
    assert_eq!(max_age(&browser.send(shorten_and_rotate).await.set_cookies()), 1800);
    assert_eq!(browser.visit(name).await, "Ada", "longer unused than it may be from now on");
    browser.visit(lengthen_and_rotate).await;
    env.clock.advance(seconds(1200));
    app.visitor("Bea").await;
    app.raw.purge(TIMEOUTS, 100).await.expect("a number");
    assert_eq!(browser.visit(name).await, "Ada");
    let lost = browser.clone_jar();
    env.clock.advance(seconds(1200));
    browser.visit(name).await;
    let response = browser.send(shorten_and_rotate).await;
    assert_eq!((response.status().as_u16(), max_age(&response.set_cookies())), (200, 0));
    assert_eq!(lost.visit(name).await, "-", "its secret was replaced, and its time is over");
}

/// A session that began before the layer's moment is over; one that begins later is not.
pub async fn what_began_before_the_layers_moment_is_over(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let old = app.visitor("Ada").await;
    env.clock.advance(seconds(60));
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(env.clock.now().as_millis().cast_unsigned());
    let after = env.app_with(|layer| layer.with_not_before(moment)).await;
    let old = old.at(&after.browser());
    assert_eq!(old.visit(name).await, "-");
    assert!(after.events().iter().any(|event| event.contains("Expired")));
    let new = after.visitor("Bea").await;
    assert_eq!(new.visit(name).await, "Bea");
    assert_eq!(old.send(set_ada).await.set_cookies().len(), 1, "a new session");
}

/// Timeouts beyond the end of time neither overflow nor end anything.
pub async fn very_long_timeouts_do_not_overflow(env: TestEnvironment) {
    let forever = Timeouts::new(Duration::MAX, Duration::MAX);
    let app = env.app_with(|layer| layer.with_timeouts(forever)).await;
    let browser = app.browser();
    let response = browser.send(set_ada).await;
    assert_eq!((response.status().as_u16(), max_age(&response.set_cookies())), (200, 400 * 86_400));
    browser.visit(name).await;
    browser.visit(set_bea).await;
    browser.visit(rotate).await;
    browser.visit(hit).await;
    app.raw.purge(forever, 100).await.expect("a number");
    assert_eq!(browser.visit(name).await, "Bea");
}

/// `Max-Age` is the time that is left, 400 days at most, and only a new secret sends it.
pub async fn the_cookie_lives_no_longer_than_the_record(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app_with(|layer| layer.with_timeouts(TIMEOUTS)).await;
    let browser = app.browser();
    assert_eq!(max_age(&browser.send(set_ada).await.set_cookies()), 36_000);
    browser.visit(name).await;
    env.clock.advance(seconds(2000));
    for (what, handler) in [("a read", case(name)), ("a change", case(set_bea)), ("an addition", case(hit))] {
        assert!(browser.send(handler).await.set_cookies().is_empty(), "{what}");
    }
    assert_eq!(max_age(&browser.send(rotate).await.set_cookies()), 34_000);
    let long = Timeouts::new(seconds(86_400), seconds(500 * 86_400));
    let app = env.app_with(|layer| layer.with_timeouts(long)).await;
    assert_eq!(max_age(&app.browser().send(set_ada).await.set_cookies()), 400 * 86_400);
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns a browser that never forgets this one's cookie, as an attacker's does not.
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
