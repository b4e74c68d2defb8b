//! Several requests that change one field at once, for each merge policy.

use super::{
    super::Gate,
    environment::TestEnvironment,
    handler::gated,
    instances::{all_at_once, two_apps},
};
use crate::{Session, TypedSession, error::Error};

#[derive(Session)]
struct Merged {
    name: Option<String>,
    #[session(merge = "add")]
    hits: i64,
    #[session(merge = "add")]
    views: u64,
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

/// A number of requests that meet.
const MANY: i64 = 20;

/// `last` keeps one of the values whole, and no request fails.
pub async fn last_keeps_one_of_the_values(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
        session.set_name(format!("writer-{index}"));
    })
    .await;
    let name = browser.visit(async |session: Visit| session.name().map(str::to_owned)).await;
    let name = name.expect("a name");
    assert!((0..MANY).any(|index| name == format!("writer-{index}")), "{name}");
}

/// `add` counts every difference through both instances, added or counted in place.
pub async fn add_counts_every_one(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for _ in 0..10 {
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| match index % 2 {
            0 => *session.hits_mut() += 1,
            _ => session.add_hits(1),
        })
        .await;
    }
    assert_eq!(browser.visit(hits).await, 200);
    all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| session.add_hits(7 - index)).await;
    assert_eq!(browser.visit(hits).await, 150);
}

/// `max` keeps the largest value in any order.
pub async fn max_keeps_the_largest(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| session.set_best((index * 7) % 20))
        .await;
    assert_eq!(browser.visit(best).await, Some(19));
    browser.visit(async |mut session: Visit| session.set_best(3)).await;
    assert_eq!(browser.visit(best).await, Some(19));
    all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| session.set_best(30 + index)).await;
    assert_eq!(browser.visit(best).await, Some(49));
}

/// `min` keeps the smallest value, below zero too.
pub async fn min_keeps_the_smallest(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    let browser = apps[0].visitor("Ada").await;
    all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| session.set_least(5 - index)).await;
    assert_eq!(browser.visit(least).await, Some(-14));
    browser.visit(async |mut session: Visit| session.set_least(0)).await;
    assert_eq!(browser.visit(least).await, Some(-14));
}

/// `first` keeps one of the first writes, and later writes do not change it.
pub async fn first_keeps_the_first_of_many(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    for _ in 0..20 {
        let browser = apps[0].visitor("Ada").await;
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
            session.set_origin(format!("from-{index}"));
        })
        .await;
        let kept = browser.visit(origin).await.expect("an origin");
        assert!((0..MANY).any(|index| kept == format!("from-{index}")), "{kept}");
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |index, session| {
            session.set_origin(format!("late-{index}"));
        })
        .await;
        assert_eq!(browser.visit(origin).await, Some(kept));
    }
}

/// Under `first`, a request that saw no value and commits second changes nothing.
pub async fn first_is_the_one_that_committed_first(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (app.visitor("Ada").await, Gate::new());
    let second = gated(&gate, async |mut session: Visit| session.set_origin("second"));
    let slow = tokio::spawn(browser.send(second));
    gate.arrived().await;
    browser.visit(async |mut session: Visit| session.set_origin("first")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200, "to come second is no error");
    assert_eq!(browser.visit(origin).await.as_deref(), Some("first"));
}

/// Many first writes of a counter at once all count, from its default.
pub async fn first_adds_by_many_start_once(env: TestEnvironment) {
    let apps = two_apps(&env).await;
    for _ in 0..10 {
        let browser = apps[0].visitor("Ada").await;
        all_at_once::<_, Visit>(&apps, &browser, 0..MANY, |_, session| *session.hits_mut() += 1).await;
        assert_eq!(browser.visit(hits).await, 20);
    }
}

/// A set is absolute, and an addition after it in the same request is part of it.
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

/// The store's sums stop at the bounds of the field's type, and at the largest number that stores count to.
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
    browser.visit(async |mut session: Visit| session.set_views(u64::MAX)).await;
    for _ in 0..2 {
        browser.visit(async |mut session: Visit| session.add_views(1)).await;
        assert_eq!(browser.visit(async |session: Visit| session.views()).await, i64::MAX.cast_unsigned());
    }
}

/// After a save the getters return the values that the store kept, of any request.
pub async fn a_save_shows_what_stayed(env: TestEnvironment) {
    async fn write_all(mut session: Visit, origin: &'static str, number: i64, gate: Option<Gate>) -> Written {
        session.set_origin(origin);
        session.set_best(number);
        session.set_least(10 - number);
        session.add_hits(number);
        if let Some(gate) = gate {
            gate.pass().await;
        }
        session.save().await?;
        let origin = session.origin().map(str::to_owned);
        Ok((origin, session.best(), session.least(), session.hits()))
    }
    let app = env.app().await;
    let (browser, gate) = (app.browser(), Gate::new());
    browser.visit(async |mut session: Visit| session.set_name("Ada")).await;
    let inside = gate.clone();
    let slow = async move |session: Visit| write_all(session, "slow", 5, Some(inside)).await;
    let slow = tokio::spawn(browser.visit(slow));
    gate.arrived().await;
    browser.visit(async |session: Visit| write_all(session, "fast", 10, None).await).await.expect("saved");
    gate.release();
    let kept = slow.await.expect("an answer").expect("saved");
    assert_eq!(kept, (Some("fast".to_owned()), Some(10), Some(0), 15));
}

/// Origin, best, least and hits after a save.
type Written = Result<(Option<String>, Option<i64>, Option<i64>, i64), Error>;
