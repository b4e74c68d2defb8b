//! An application that counts.

use axum::{Router, routing::get};
use sessions::{
    Session, SessionLayer, TypedSession,
    store::RedisStore,
    testing::{Client, Gate},
};

#[derive(Session)]
struct CountedVisitor {
    #[session(merge = "add")]
    count: u64,
}

type CountedSession = TypedSession<CountedVisitor>;

/// Returns a browser in front of a counter. `/slow` waits at the gate, with the session loaded.
pub(crate) fn browser(store: RedisStore, gate: &Gate) -> Client {
    let gate = gate.clone();
    let slow = async move |mut session: CountedSession| {
        gate.pass().await;
        session.add_count(1);
    };
    let routes = Router::new()
        .route("/add", get(async |mut session: CountedSession| session.add_count(1)))
        .route("/slow", get(slow))
        .route("/count", get(async |session: CountedSession| session.count().to_string()));
    Client::new(routes.layer(SessionLayer::new(store)))
}

/// Returns true if one was added. Every response is 200 or 503.
pub(crate) async fn add(browser: &Client) -> bool {
    succeeded(browser.get("/add").await.status().as_u16())
}

pub(crate) fn succeeded(status: u16) -> bool {
    assert!(status == 200 || status == 503, "{status}");
    status == 200
}

/// Returns the count, as soon as the server answers.
pub(crate) async fn count(browser: &Client) -> u64 {
    for _ in 0..100 {
        let response = browser.get("/count").await;
        if succeeded(response.status().as_u16()) {
            return response.text().parse().expect("a number");
        }
    }
    panic!("the session cannot be read");
}
