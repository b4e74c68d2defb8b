//! Two instances of an application, and requests that meet in them.

use std::{ops::Range, sync::Arc};

use tokio::sync::Barrier;

use super::{
    super::Client,
    environment::{TestApp, TestEnvironment, at_once},
    reply::HandlerFailure,
};
use crate::__private::FromRequestParts;

pub(super) async fn two_apps(env: &TestEnvironment) -> [TestApp; 2] {
    [env.app().await, env.app().await]
}

/// Sends a request for each index through the instances in turn. All change the session between load and commit.
pub(super) async fn all_at_once<N, V>(
    apps: &[TestApp; 2],
    browser: &Client,
    indexes: Range<N>,
    change: fn(N, &mut V),
) where
    N: Send + 'static,
    V: FromRequestParts<(), Rejection: Into<HandlerFailure>> + Send + 'static,
    Range<N>: Iterator<Item = N>,
{
    let indexes: Vec<_> = indexes.collect();
    let barrier = Arc::new(Barrier::new(indexes.len()));
    let tabs = indexes.into_iter().zip(apps.iter().cycle()).map(|(index, app)| {
        let barrier = Arc::clone(&barrier);
        browser.at(&app.browser()).send(async move |mut session: V| {
            barrier.wait().await;
            change(index, &mut session);
        })
    });
    assert!(at_once(tabs).await.iter().all(|response| response.status() == 200));
}
