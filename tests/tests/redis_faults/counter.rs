//! An application that counts.

use axum::{Router, routing::get};
use sessions::{
    Session, SessionLayer, TypedSession,
    store::RedisStore,
    testing::{Client, Gate},
};

#[derive(Session)]
struct Visitor {
    #[session(merge = "add")]
    count: u64,
}

type Visit = TypedSession<Visitor>;

/// A browser in front of a counter; `/slow` waits at the gate, with the session loaded.
pub(crate) fn browser(store: RedisStore, gate: &Gate) -> Client {
    let gate = gate.clone();
    let slow = async move |mut session: Visit| {
        gate.pass().await;
        session.add_count(1);
    };
    let routes = Router::new()
        .route("/add", get(async |mut session: Visit| session.add_count(1)))
        .route("/slow", get(slow))
        .route("/count", get(async |session: Visit| session.count().to_string()));
    Client::new(routes.layer(SessionLayer::new(store)))
}

/// Whether one was added; nothing else than 200 and 503 is right.
pub(crate) async fn add(browser: &Client) -> bool {
    succeeded(browser.get("/add").await.status().as_u16())
}

pub(crate) fn succeeded(status: u16) -> bool {
    assert!(status == 200 || status == 503, "{status}");
    status == 200
}

/// The count, as soon as the server tells it.
pub(crate) async fn count(browser: &Client) -> u64 {
    for _ in 0..100 {
        let response = browser.get("/count").await;
        if succeeded(response.status().as_u16()) {
            return response.text().parse().expect("a number");
        }
    }
    panic!("the session cannot be read");
}
