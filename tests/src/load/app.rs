//! The application under load.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::Path, routing::get};
use sessions::{
    ErrorKind, Event, RecordId, Session, SessionLayer, TypedSession, store::Store, testing::Client,
};

use super::account::Shown;

#[derive(Session)]
struct LoadVisitor {
    #[session(merge = "add")]
    added: u64,
    /// One of two fields that are always put together, to the same number.
    left: u64,
    right: u64,
}

type LoadSession = TypedSession<LoadVisitor>;

/// The number of commits of each record with an unknown outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Unknowns(Arc<Mutex<HashMap<RecordId, u64>>>);

impl Unknowns {
    pub(super) fn of(&self, record: Option<RecordId>) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        record.and_then(|record| all.get(&record).copied()).unwrap_or(0)
    }

    fn hear(&self, event: &Event<'_>) {
        if let Event::CommitFailed { record: Some(record), error, .. } = event
            && error.kind() == ErrorKind::OutcomeUnknown
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(*record).or_default() += 1;
        }
    }
}

/// A browser in front of the application on this store.
pub(super) fn browser(store: impl Store, unknowns: &Unknowns) -> Client {
    let unknowns = unknowns.clone();
    let layer = SessionLayer::new(store)
        .with_event_hook(move |event| unknowns.hear(event))
        // Each one is counted.
        .with_event_interval(Duration::ZERO);
    let routes =
        Router::new().route("/add", get(add)).route("/put/{number}", get(put)).route("/show", get(show));
    Client::new(routes.layer(layer))
}

/// Reads the response of `/show`, if there is a session.
pub(super) fn shown(text: &str) -> Option<Shown> {
    let mut words = text.split(' ');
    let record = words.next().and_then(RecordId::parse)?;
    let mut number = || words.next()?.parse().ok();
    Some(Shown { record, added: number()?, left: number()?, right: number()? })
}

async fn add(mut session: LoadSession) {
    session.add_added(1);
}

async fn put(Path(number): Path<u64>, mut session: LoadSession) {
    session.set_left(number);
    session.set_right(number);
}

async fn show(session: LoadSession) -> String {
    session.record_id().map_or_else(String::new, |record| {
        format!("{record} {} {} {}", session.added(), session.left(), session.right())
    })
}
