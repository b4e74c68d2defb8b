//! Stores in which another program has written something that is no session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};
use sessions::{
    Error, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Call, Client, Gate, HookedStore, Hooks, Operation},
};

use super::{Account, read};

/// Makes the records of a store unreadable, as if another program had written over them.
#[derive(Clone, Debug, Default)]
struct Spoilt(Arc<AtomicBool>);

impl Hooks for Spoilt {
    async fn around<T: Send>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let reads = matches!(call.operation(), Operation::Load | Operation::Commit);
        if reads && self.0.load(Ordering::SeqCst) { Err(Error::unreadable("a list")) } else { work.await }
    }
}

/// Who has the cookie of such a record begins anew, and is not locked out; a request that had read it before is told.
#[tokio::test]
async fn the_token_of_a_record_that_cannot_be_read_is_unknown() {
    let (spoilt, gate) = (Spoilt::default(), Gate::new());
    let store = HookedStore::with_hooks(MemoryStore::new(), spoilt.clone());
    let inside = gate.clone();
    let slow = async move |mut session: TypedSession<Account>| {
        inside.pass().await;
        session.set_name("slow");
    };
    let enter = async |mut session: TypedSession<Account>| session.set_name("Ada");
    let app = Router::new().route("/read", get(read)).route("/in", get(enter)).route("/slow", get(slow));
    let browser = Client::new(app.layer(SessionLayer::new(store)));
    browser.get("/in").await;
    assert_eq!(browser.get("/read").await.text(), "Ada 0");

    let tab = browser.fork();
    let waiting = tokio::spawn(async move { tab.get("/slow").await.status() });
    gate.arrived().await;
    spoilt.0.store(true, Ordering::SeqCst);
    gate.release();
    assert_eq!(waiting.await.expect("an answer"), StatusCode::CONFLICT);
    let response = browser.get("/read").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "- 0"));
    assert!(response.set_cookies().is_empty());

    assert_eq!(browser.get("/in").await.set_cookies().len(), 1);
    spoilt.0.store(false, Ordering::SeqCst);
    assert_eq!(browser.get("/read").await.text(), "Ada 0", "in a session of its own");
}
