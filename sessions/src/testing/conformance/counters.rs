//! Exact counters under many tasks.

use super::{
    super::Operation,
    environment::{TestEnvironment, at_once},
};

/// A thousand tasks on one counter, through two instances: the sum is exact.
pub async fn a_thousand_adds_are_exact(env: TestEnvironment) {
    let (one, other) = (env.kit().await, env.kit().await);
    let browser = one.visitor("Ada").await;
    let tabs = (0..1000).map(|index| {
        let app = if index % 2 == 0 { &one } else { &other };
        let tab = browser.at(&app.browser());
        async move { tab.get("/add-hits/1").await.status().as_u16() }
    });
    assert!(at_once(tabs).await.iter().all(|status| *status == 200));
    assert_eq!(browser.get("/hits").await.text(), "1000");
}

/// Every `fetch_add` gets a result of its own, and the field is what the last one got.
pub async fn fetch_add_results_are_all_different(env: TestEnvironment) {
    let (one, other) = (env.kit().await, env.kit().await);
    let browser = one.visitor("Ada").await;
    let tabs = (0..400).map(|index| {
        let app = if index % 2 == 0 { &one } else { &other };
        let tab = browser.at(&app.browser());
        async move { tab.get("/fetch-hit").await.text().parse::<i64>().expect("a sum") }
    });
    let mut results = at_once(tabs).await;
    results.sort_unstable();
    assert_eq!(results, (1..=400).collect::<Vec<_>>());
    assert_eq!(browser.get("/hits").await.text(), "400");
}

/// `fetch_add` writes at once and once: the response has nothing left to commit.
pub async fn fetch_add_is_one_commit(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.get("/fetch-hit").await.text(), "1");
    assert_eq!(app.calls.count(Operation::Commit), 1);
    let newcomer = app.browser();
    assert_eq!(newcomer.get("/fetch-hit").await.text(), "1");
    assert_eq!(newcomer.get("/fetch-hit").await.text(), "2");
    assert_eq!(app.calls.count(Operation::Create), 1);
}
