//! Exact counters under many tasks.

use super::{
    super::Operation,
    environment::{TestEnvironment, at_once},
};
use crate::{Session, TypedSession, error::Error};

#[derive(Session)]
struct HitCounter {
    #[session(merge = "add")]
    hits: i64,
}

type Visit = TypedSession<HitCounter>;

async fn fetch_add(mut session: Visit) -> Result<i64, Error> {
    session.fetch_add_hits(1).await
}

async fn hits(session: Visit) -> i64 {
    session.hits()
}

/// A thousand tasks that add to one counter through two instances make an exact sum.
pub async fn a_thousand_adds_are_exact(env: TestEnvironment) {
    let (one, other) = (env.app().await, env.app().await);
    let browser = one.visitor("Ada").await;
    let tabs = (0..1000).map(|index| {
        let app = if index % 2 == 0 { &one } else { &other };
        browser.at(&app.browser()).send(async |mut session: Visit| session.add_hits(1))
    });
    assert!(at_once(tabs).await.iter().all(|response| response.status() == 200));
    assert_eq!(browser.visit(hits).await, 1000);
}

/// Every `fetch_add` returns a sum of its own, and the field ends as the last sum.
pub async fn fetch_add_results_are_all_different(env: TestEnvironment) {
    let (one, other) = (env.app().await, env.app().await);
    let browser = one.visitor("Ada").await;
    let tabs = (0..400).map(|index| {
        let app = if index % 2 == 0 { &one } else { &other };
        browser.at(&app.browser()).visit(fetch_add)
    });
    let sums: Result<Vec<_>, _> = at_once(tabs).await.into_iter().collect();
    let mut sums = sums.expect("sums");
    sums.sort_unstable();
    assert_eq!(sums, (1..=400).collect::<Vec<_>>());
    assert_eq!(browser.visit(hits).await, 400);
}

/// `fetch_add` writes at once, and the response has nothing left to commit.
pub async fn fetch_add_is_one_commit(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.visit(fetch_add).await.expect("a sum"), 1);
    assert_eq!(app.calls.count(Operation::Commit), 1);
    let newcomer = app.browser();
    assert_eq!(newcomer.visit(fetch_add).await.expect("a sum"), 1);
    assert_eq!(newcomer.visit(fetch_add).await.expect("a sum"), 2);
    assert_eq!(app.calls.count(Operation::Create), 1);
}
