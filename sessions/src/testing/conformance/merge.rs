//! Merge policies: the result of several requests that change one field at once.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{
    super::{Client, Gate},
    environment::{TestApp, TestEnvironment, at_once},
    handler::gated,
};
use crate::{Session, TypedSession, error::Error};

/// The number of requests that meet.
const MANY: usize = 20;

/// A session with a field of each merge policy.
#[derive(Session)]
struct Merged {
    name: Option<String>,
    #[session(merge = "add")]
    hits: i64,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "min")]
    least: Option<i64>,
    #[session(merge = "first")]
    origin: Option<String>,
}

type Visit = TypedSession<Merged>;

async fn hits(session: Visit) -> i64 {
    session.hits()
}

async fn best(session: Visit) -> Option<i64> {
    session.best()
}

async fn least(session: Visit) -> Option<i64> {
    session.least()
}

async fn origin(session: Visit) -> Option<String> {
    session.origin().map(str::to_owned)
}

/// Two instances of the application.
async fn two_apps(env: &TestEnvironment) -> [TestApp; 2] {
    [env.app().await, env.app().await]
}

/// Sends many requests through both instances, which all load, then meet, and then change the session.
async fn change_at_once(apps: &[TestApp; 2], browser: &Client, change: fn(&mut Visit, i64)) {
    let barrier = Arc::new(Barrier::new(MANY));
    let tabs = (0..).zip(apps.iter().cycle()).take(MANY).map(|(index, app)| {
        let barrier = Arc::clone(&barrier);
        let meet_and_change = async move |mut session: Visit| {
            barrier.wait().await;
            change(&mut session, index);
        };
        browser.at(&app.browser()).send(meet_and_change)
    });
    let statuses: Vec<_> = at_once(tabs).await.iter().map(|response| response.status().as_u16()).collect();
    assert_eq!(statuses, [200; MANY]);
}

/// `last` keeps one of the values whole, and refuses no request.
pub async fn last_keeps_one_of_the_values(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    change_at_once(&apps, &browser, |session, index| session.set_name(format!("writer-{index}"))).await;
    let name = browser.visit(async |session: Visit| session.name().map(str::to_owned)).await;
    let name = name.expect("a name");
    assert!((0..MANY).any(|index| name == format!("writer-{index}")), "{name}");
}

/// `add` counts every difference, added or counted in place, through both instances.
pub async fn add_counts_every_one(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for _ in 0..10 {
        let add_one = |session: &mut Visit, index| match index % 2 {
            0 => *session.hits_mut() += 1,
            _ => session.add_hits(1),
        };
        change_at_once(&apps, &browser, add_one).await;
    }
    assert_eq!(browser.visit(hits).await, 200);
    change_at_once(&apps, &browser, |session, index| session.add_hits(7 - index)).await;
    assert_eq!(browser.visit(hits).await, 150);
}

/// `max` keeps the largest value in any order.
pub async fn max_keeps_the_largest(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    change_at_once(&apps, &browser, |session, index| session.set_best((index * 7) % 20)).await;
    assert_eq!(browser.visit(best).await, Some(19));
    browser.visit(async |mut session: Visit| session.set_best(3)).await;
    assert_eq!(browser.visit(best).await, Some(19));
    change_at_once(&apps, &browser, |session, index| session.set_best(30 + index)).await;
    assert_eq!(browser.visit(best).await, Some(49));
}

/// `min` keeps the smallest value, below zero too.
pub async fn min_keeps_the_smallest(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    change_at_once(&apps, &browser, |session, index| session.set_least(5 - index)).await;
    assert_eq!(browser.visit(least).await, Some(-14));
    browser.visit(async |mut session: Visit| session.set_least(0)).await;
    assert_eq!(browser.visit(least).await, Some(-14));
}

/// `first` keeps one of the first values, and later writes do not change it.
pub async fn first_keeps_the_first_of_many(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    for _ in 0..20 {
        let browser = apps[0].visitor("Ada").await;
        change_at_once(&apps, &browser, |session, index| session.set_origin(format!("from-{index}"))).await;
        let kept = browser.visit(origin).await.expect("an origin");
        assert!((0..MANY).any(|index| kept == format!("from-{index}")), "{kept}");
        change_at_once(&apps, &browser, |session, index| session.set_origin(format!("late-{index}"))).await;
        assert_eq!(browser.visit(origin).await, Some(kept));
    }
}

/// With `first`, a writer that saw no value and commits second changes nothing.
pub async fn first_is_the_one_that_committed_first(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (app.visitor("Ada").await, Gate::new());
    let set_second = async |mut session: Visit| session.set_origin("second");
    let slow = tokio::spawn(browser.send(gated(&gate, set_second)));
    gate.arrived().await;
    browser.visit(async |mut session: Visit| session.set_origin("first")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200, "to come second is no error");
    assert_eq!(browser.visit(origin).await.as_deref(), Some("first"));
}

/// Many first additions to a counter at once all count, from its default.
pub async fn first_adds_by_many_start_once(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    for _ in 0..10 {
        let browser = apps[0].visitor("Ada").await;
        change_at_once(&apps, &browser, |session, _| *session.hits_mut() += 1).await;
        assert_eq!(browser.visit(hits).await, 20);
    }
}

/// A set is absolute, and an addition after it in one request is part of it.
pub async fn set_and_add_in_one_request_are_one_put(env: TestEnvironment) {
    async fn set_and_add(mut session: Visit) -> i64 {
        session.set_hits(40);
        session.add_hits(2);
        session.hits()
    }
    let (app, other) = (env.app().await, env.app().await);
    let browser = app.browser();
    assert_eq!(browser.visit(set_and_add).await, 42);
    let tab = browser.at(&other.browser());
    tab.visit(async |mut session: Visit| session.add_hits(58)).await;
    assert_eq!(tab.visit(hits).await, 100);
    browser.visit(set_and_add).await;
    assert_eq!(tab.visit(hits).await, 42);
}

/// A sum stops at the bounds of the field's type, in the store.
pub async fn adds_stop_at_the_types_bounds(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.set_hits(i64::MAX - 1)).await;
    for _ in 0..2 {
        browser.visit(async |mut session: Visit| session.add_hits(3)).await;
        assert_eq!(browser.visit(hits).await, i64::MAX);
    }
    browser.visit(async |mut session: Visit| session.add_hits(-1)).await;
    assert_eq!(browser.visit(hits).await, i64::MAX - 1);
}

/// After a save the getters show what stayed in the store, of this request or of another.
pub async fn a_save_shows_what_stayed(env: TestEnvironment) {
    fn change(session: &mut Visit, origin: &str, number: i64) {
        session.set_origin(origin);
        session.set_best(number);
        session.set_least(10 - number);
        session.add_hits(number);
    }
    let app = env.app().await;
    let (browser, gate) = (app.visitor("Ada").await, Gate::new());
    let changed = gate.clone();
    let slow = async move |mut session: Visit| {
        change(&mut session, "slow", 5);
        changed.pass().await;
        session.save().await?;
        let seen = (session.origin().map(str::to_owned), session.best(), session.least(), session.hits());
        Ok::<_, Error>(seen)
    };
    let fast = async |mut session: Visit| {
        change(&mut session, "fast", 10);
        session.save().await
    };
    let slow = tokio::spawn(browser.visit(slow));
    gate.arrived().await;
    browser.visit(fast).await.expect("a save");
    gate.release();
    let seen = slow.await.expect("an answer").expect("a save");
    assert_eq!(seen, (Some("fast".to_owned()), Some(10), Some(0), 15));
}
