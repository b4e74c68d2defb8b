//! Exact counters under many tasks.

use super::{
    super::Operation,
    environment::{TestEnvironment, at_once},
};
use crate::{Session, TypedSession, error::Error};

#[derive(Session)]
struct CountedVisitor {
    #[session(merge = "add")]
    hits: i64,
}

type Visit = TypedSession<CountedVisitor>;

async fn hits(session: Visit) -> i64 {
    session.hits()
}

async fn fetch_hit(mut session: Visit) -> Result<i64, Error> {
    session.fetch_add_hits(1).await
}

/// A thousand additions to one counter, through two instances, have the exact sum.
pub async fn a_thousand_adds_are_exact(env: TestEnvironment) {
    let apps = [env.app().await, env.app().await];
    let browser = apps[0].visitor("Ada").await;
    let tabs = (0..1000).map(|index| {
        let tab = browser.at(&apps[index % 2].browser());
        tab.visit(async |mut session: Visit| session.add_hits(1))
    });
    at_once(tabs).await;
    assert_eq!(browser.visit(hits).await, 1000);
}

/// Every `fetch_add` returns a result of its own, and the field has the last of them.
pub async fn fetch_add_results_are_all_different(env: TestEnvironment) {
    let apps = [env.app().await, env.app().await];
    let browser = apps[0].visitor("Ada").await;
    let tabs = (0..400).map(|index| browser.at(&apps[index % 2].browser()).visit(fetch_hit));
    let mut results: Vec<_> = at_once(tabs).await.into_iter().map(|sum| sum.expect("a sum")).collect();
    results.sort_unstable();
    assert_eq!(results, (1..=400).collect::<Vec<_>>());
    assert_eq!(browser.visit(hits).await, 400);
}

/// `fetch_add` writes at once and once: the response has nothing left to commit.
pub async fn fetch_add_is_one_commit(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.visit(fetch_hit).await.expect("a sum"), 1);
    assert_eq!(app.calls.count(Operation::Commit), 1);
    let newcomer = app.browser();
    assert_eq!(newcomer.visit(fetch_hit).await.expect("a sum"), 1);
    assert_eq!(newcomer.visit(fetch_hit).await.expect("a sum"), 2);
    assert_eq!(app.calls.count(Operation::Create), 1);
}
