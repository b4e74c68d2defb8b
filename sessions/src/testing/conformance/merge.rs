//! Several requests change one field at once: what its declared policy says happens.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{
    super::Gate,
    environment::{TestApp, TestEnvironment, at_once, session},
    kit::Kit,
    reply::text,
};
use crate::TypedSession;

/// How many requests meet.
const MANY: usize = 20;

/// `last`: one of the values stays, whole, and nobody is refused.
pub async fn last_keeps_one_of_the_values(env: TestEnvironment) {
    let apps = meeting(&env).await;
    let browser = apps[0].visitor("Ada").await;
    everybody(&apps, &browser, |index| format!("/set-name/writer-{index}")).await;
    let name = browser.get("/name").await;
    assert!((0..MANY).any(|index| name.text() == format!("writer-{index}")), "{}", name.text());
}

/// `add`: every difference counts, added or counted in place, through both instances.
pub async fn add_counts_every_one(env: TestEnvironment) {
    let apps = meeting(&env).await;
    let browser = apps[0].visitor("Ada").await;
    for _ in 0..10 {
        everybody(&apps, &browser, |index| match index % 2 {
            0 => "/hit".to_owned(),
            _ => "/add-hits/1".to_owned(),
        })
        .await;
    }
    assert_eq!(browser.get("/hits").await.text(), "200");
    everybody(&apps, &browser, |index| format!("/add-hits/{}", 7 - i64::try_from(index).unwrap())).await;
    assert_eq!(browser.get("/hits").await.text(), "150");
}

/// `max`: the largest stays, whatever the order.
pub async fn max_keeps_the_largest(env: TestEnvironment) {
    let apps = meeting(&env).await;
    let browser = apps[0].visitor("Ada").await;
    everybody(&apps, &browser, |index| format!("/set-best/{}", (index * 7) % MANY)).await;
    assert_eq!(browser.get("/best").await.text(), "Some(19)");
    browser.get("/set-best/3").await;
    assert_eq!(browser.get("/best").await.text(), "Some(19)");
    everybody(&apps, &browser, |index| format!("/set-best/{}", 30 + index)).await;
    assert_eq!(browser.get("/best").await.text(), "Some(49)");
}

/// `min`: the smallest stays, below zero too.
pub async fn min_keeps_the_smallest(env: TestEnvironment) {
    let apps = meeting(&env).await;
    let browser = apps[0].visitor("Ada").await;
    everybody(&apps, &browser, |index| format!("/set-least/{}", 5 - i64::try_from(index).unwrap())).await;
    assert_eq!(browser.get("/least").await.text(), "Some(-14)");
    browser.get("/set-least/0").await;
    assert_eq!(browser.get("/least").await.text(), "Some(-14)");
}

/// `first`: one of the first writes stays, and later ones do not change it.
pub async fn first_keeps_the_first_of_many(env: TestEnvironment) {
    let apps = meeting(&env).await;
    for _ in 0..20 {
        let browser = apps[0].visitor("Ada").await;
        everybody(&apps, &browser, |index| format!("/set-origin/from-{index}")).await;
        let origin = browser.get("/origin").await.text().to_owned();
        assert!((0..MANY).any(|index| origin == format!("from-{index}")), "{origin}");
        everybody(&apps, &browser, |index| format!("/set-origin/late-{index}")).await;
        assert_eq!(browser.get("/origin").await.text(), origin);
    }
}

/// `first`: a writer that saw nothing and comes second changes nothing.
pub async fn first_is_the_one_that_committed_first(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let tab = browser.fork();
    let slow = tokio::spawn(async move { tab.get("/wait/set-origin/second").await });
    app.gate.arrived().await;
    browser.get("/set-origin/first").await;
    app.gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200, "to come second is no error");
    assert_eq!(browser.get("/origin").await.text(), "first");
}

/// The first write of a counter by many at once counts every one from its default.
pub async fn first_adds_by_many_start_once(env: TestEnvironment) {
    let apps = meeting(&env).await;
    for _ in 0..10 {
        let browser = apps[0].visitor("Ada").await;
        everybody(&apps, &browser, |_| "/hit".to_owned()).await;
        assert_eq!(browser.get("/hits").await.text(), "20");
    }
}

/// A set is absolute, and an add after it in one request is part of it.
pub async fn set_and_add_in_one_request_are_one_put(env: TestEnvironment) {
    let app = env
        .app_answering(|mut parts| async move {
            let mut kit: TypedSession<Kit> = session(&mut parts).await?;
            kit.set_hits(40);
            kit.add_hits(2);
            text(kit.hits().to_string())
        })
        .await;
    let browser = app.browser();
    assert_eq!(browser.get("/").await.text(), "42");
    let other = env.kit().await;
    let tab = browser.at(&other.browser());
    tab.get("/add-hits/58").await;
    assert_eq!(tab.get("/hits").await.text(), "100");
    browser.get("/").await;
    assert_eq!(tab.get("/hits").await.text(), "42");
}

/// Sums stop at the bounds of the field's type, in the store.
pub async fn adds_stop_at_the_types_bounds(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    browser.get(&format!("/set-hits/{}", i64::MAX - 1)).await;
    for _ in 0..2 {
        assert_eq!(browser.get("/add-hits/3").await.status(), 200);
        assert_eq!(browser.get("/hits").await.text(), i64::MAX.to_string());
    }
    browser.get("/add-hits/-1").await;
    assert_eq!(browser.get("/hits").await.text(), (i64::MAX - 1).to_string());
}

/// Two instances of the kit whose writers all meet between load and commit.
async fn meeting(env: &TestEnvironment) -> [TestApp; 2] {
    let barrier = Arc::new(Barrier::new(MANY));
    let app = || {
        let barrier = Arc::clone(&barrier);
        env.kit_that_meets(barrier)
    };
    [app().await, app().await]
}

async fn everybody(apps: &[TestApp; 2], browser: &super::super::Client, path: impl Fn(usize) -> String) {
    let tabs = (0..MANY).map(|index| {
        let tab = browser.at(&apps[index % 2].browser());
        let path = format!("/meet{}", path(index));
        async move { tab.get(&path).await.status().as_u16() }
    });
    assert_eq!(at_once(tabs).await, [200; MANY]);
}

/// After a save the getters show what stayed in the store, whoever put it there.
pub async fn a_save_shows_what_stayed(env: TestEnvironment) {
    let gate = Gate::new();
    let inside = gate.clone();
    let app = env
        .app_answering(move |mut parts| {
            let gate = inside.clone();
            async move {
                let mut kit: TypedSession<Kit> = session(&mut parts).await?;
                let (origin, number) = match parts.uri.path() {
                    "/slow" => ("slow", 5),
                    "/fast" => ("fast", 10),
                    _ => {
                        kit.set_name("Ada");
                        return text("done");
                    }
                };
                kit.set_origin(origin);
                kit.set_best(number);
                kit.set_least(10 - number);
                kit.add_hits(number);
                if origin == "slow" {
                    gate.pass().await;
                }
                kit.save().await?;
                text(format!("{:?} {:?} {:?} {}", kit.origin(), kit.best(), kit.least(), kit.hits()))
            }
        })
        .await;
    let browser = app.browser();
    browser.get("/begin").await;
    let tab = browser.fork();
    let slow = tokio::spawn(async move { tab.get("/slow").await.text().to_owned() });
    gate.arrived().await;
    browser.get("/fast").await;
    gate.release();
    assert_eq!(slow.await.expect("an answer"), r#"Some("fast") Some(10) Some(0) 15"#);
}
