//! Stores in which another program has written something that is no session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};
use sessions::{
    Error, FieldName, RecordId, SessionLayer, Timeouts, TypedSession,
    store::{Commit, CommitOutcome, CreateOutcome, Loaded, MemoryStore, NewRecord, Store},
    testing::{Client, Gate},
};

use super::{Account, read};

/// A store whose records, up to a moment, somebody has written over.
#[derive(Debug, Default)]
struct Spoilt {
    store: MemoryStore,
    is_spoilt: AtomicBool,
}

impl Spoilt {
    fn check(&self) -> Result<(), Error> {
        if self.is_spoilt.load(Ordering::SeqCst) { Err(Error::unreadable("a list")) } else { Ok(()) }
    }
}

impl Store for Spoilt {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        self.check()?;
        self.store.load(id, names).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        self.store.create(id, new).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        self.check()?;
        self.store.commit(id, commit).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.store.destroy(id).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        self.store.purge(timeouts, limit).await
    }
}

/// Who has the cookie of such a record begins anew, and is not locked out; a request that had read it before is told.
#[tokio::test]
async fn the_token_of_a_record_that_cannot_be_read_is_unknown() {
    let (store, gate) = (Arc::new(Spoilt::default()), Gate::new());
    let inside = gate.clone();
    let slow = async move |mut session: TypedSession<Account>| {
        inside.pass().await;
        session.set_name("slow");
    };
    let enter = async |mut session: TypedSession<Account>| session.set_name("Ada");
    let app = Router::new().route("/read", get(read)).route("/in", get(enter)).route("/slow", get(slow));
    let browser = Client::new(app.layer(SessionLayer::new(Arc::clone(&store))));
    browser.get("/in").await;
    assert_eq!(browser.get("/read").await.text(), "Ada 0");

    let tab = browser.fork();
    let waiting = tokio::spawn(async move { tab.get("/slow").await.status() });
    gate.arrived().await;
    store.is_spoilt.store(true, Ordering::SeqCst);
    gate.release();
    assert_eq!(waiting.await.expect("an answer"), StatusCode::CONFLICT);
    let response = browser.get("/read").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "- 0"));
    assert!(response.set_cookies().is_empty());

    assert_eq!(browser.get("/in").await.set_cookies().len(), 1);
    store.is_spoilt.store(false, Ordering::SeqCst);
    assert_eq!(browser.get("/read").await.text(), "Ada 0", "in a session of its own");
}
