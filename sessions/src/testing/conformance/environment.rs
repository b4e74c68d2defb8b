//! The environment of a scenario: a backend, and instances of an application over it.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::request::Parts;
use tower_layer::Layer;

use super::{
    super::{Call, Client, FaultStore, Faults, ManualClock, Operation, Recording, RecordingStore},
    Harness,
    handler::BoxedFuture,
    service::TestService,
};
use crate::{
    __private::FromRequestParts,
    Session, TypedSession,
    event::Event,
    layer::SessionLayer,
    rejection::SessionRejection,
    store::{AnyStore, DynStore, Loaded, Store},
    value::{FieldName, RecordId, Token},
};

/// A backend that was empty at first, and a manual clock.
pub struct TestEnvironment {
    pub(super) clock: ManualClock,
    has_manual_clock: bool,
    open: Box<dyn Fn(ManualClock) -> BoxedFuture<Opened> + Send + Sync>,
    dump: Box<dyn Fn() -> BoxedFuture<Option<Vec<u8>>> + Send + Sync>,
}

struct Opened {
    raw: Arc<dyn DynStore>,
    store: AnyStore,
    faults: Faults,
    calls: Recording,
}

/// The session of [`TestApp::visitor`].
#[derive(Session)]
struct NamedVisitor {
    name: Option<String>,
}

/// One instance of an application.
#[derive(Clone)]
pub(super) struct TestApp {
    /// The store itself: its calls are neither recorded nor failed.
    pub(super) raw: Arc<dyn DynStore>,
    pub(super) faults: Faults,
    pub(super) calls: Recording,
    /// The layer around the handler.
    pub(super) layer: SessionLayer,
    events: Arc<Mutex<Vec<String>>>,
    client: Client,
}

impl TestEnvironment {
    pub(super) fn new<H: Harness>(harness: H) -> Self {
        let harness = Arc::new(harness);
        let dumped = Arc::clone(&harness);
        Self {
            clock: ManualClock::new(),
            has_manual_clock: H::MANUAL_CLOCK,
            open: Box::new(move |clock| {
                let harness = Arc::clone(&harness);
                Box::pin(async move {
                    let raw = Arc::new(harness.open(clock).await);
                    let around = FaultStore::new(Arc::clone(&raw));
                    let faults = around.faults();
                    let recording = RecordingStore::new(around);
                    let calls = recording.recording();
                    Opened { raw, store: recording.erase(), faults, calls }
                })
            }),
            dump: Box::new(move || {
                let harness = Arc::clone(&dumped);
                Box::pin(async move { harness.dump().await })
            }),
        }
    }

    /// Opens the store itself.
    pub(super) async fn store(&self) -> Arc<dyn DynStore> {
        (self.open)(self.clock.clone()).await.raw
    }

    /// Opens an instance of the application, whose requests carry their handlers.
    pub(super) async fn app(&self) -> TestApp {
        self.app_with(|layer| layer).await
    }

    /// Opens an instance of the application, with another configuration of its layer.
    pub(super) async fn app_with(&self, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> TestApp {
        let Opened { raw, store, faults, calls } = (self.open)(self.clock.clone()).await;
        let events = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&events);
        let note = move |event: &Event<'_>| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}: {event}"));
        };
        let layer = SessionLayer::new(store);
        let layer = if self.has_manual_clock { layer.with_stopwatch(self.clock.clone()) } else { layer };
        let layer = configure(layer).with_event_hook(note).with_event_interval(Duration::ZERO);
        let client = Client::new(layer.layer(TestService)).with_clock(self.clock.clone());
        TestApp { raw, faults, calls, layer, events, client }
    }

    /// Returns true if a scenario can move time, and otherwise prints that it is skipped.
    pub(super) fn can_move_time(&self) -> bool {
        if !self.has_manual_clock {
            println!("skipped: the store reads no manual clock (`Harness::MANUAL_CLOCK`)");
        }
        self.has_manual_clock
    }

    /// Returns all bytes of the backend, and otherwise prints that the scenario is skipped.
    pub(super) async fn dump(&self) -> Option<Vec<u8>> {
        let dump = (self.dump)().await;
        if dump.is_none() {
            println!("skipped: the harness shows no bytes of the store (`Harness::dump`)");
        }
        dump
    }
}

impl TestApp {
    /// Returns a browser without cookies.
    pub(super) fn browser(&self) -> Client {
        self.client.stranger()
    }

    /// Returns a browser that has come back to a session with this name.
    ///
    /// The calls that this took are forgotten.
    pub(super) async fn visitor(&self, name: &str) -> Client {
        let browser = self.browser();
        let given = name.to_owned();
        browser.visit(async |mut session: TypedSession<NamedVisitor>| session.set_name(given)).await;
        let read = async |session: TypedSession<NamedVisitor>| session.name().map(str::to_owned);
        assert_eq!(browser.visit(read).await.as_deref(), Some(name));
        self.calls.clear();
        browser
    }

    /// Returns the calls that reached the store's records, without purges, which may come at any time.
    pub(super) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.calls().into_iter();
        calls.filter(|call| !matches!(call.operation(), Operation::Purge | Operation::ChangeIndex)).collect()
    }

    /// Returns the events since the last call.
    pub(super) fn events(&self) -> Vec<String> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads a record from the store, with at least these fields.
    pub(super) async fn load(&self, id: RecordId, names: &[&'static str]) -> Option<Loaded> {
        let names: Vec<_> = names.iter().map(|name| FieldName::from_static(name)).collect();
        self.raw.load(id, &names).await.expect("the store answers")
    }

    /// Loads the JSON of a field from the store.
    pub(super) async fn stored(&self, id: RecordId, name: &'static str) -> Option<String> {
        let loaded = self.load(id, &[name]).await?;
        loaded.fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// The name of the session cookie.
pub(super) const COOKIE: &str = "__Host-sid";

/// Returns the record id of a browser's cookie.
pub(super) fn record_of(browser: &Client) -> RecordId {
    let cookie = browser.cookie(COOKIE).expect("the browser has a session cookie");
    Token::parse(cookie.as_bytes()).expect("the cookie holds a token").id()
}

/// Extracts a session from a request.
pub(super) async fn session<S>(parts: &mut Parts) -> Result<S, SessionRejection>
where
    S: FromRequestParts<(), Rejection = SessionRejection>,
{
    S::from_request_parts(parts, &()).await
}

/// Runs one task per item at the same time and returns their outputs in order.
pub(super) async fn at_once<I, F>(tasks: I) -> Vec<F::Output>
where
    I: IntoIterator<Item = F>,
    F: Future + Send + 'static,
    F::Output: Send,
{
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut outputs = Vec::with_capacity(tasks.len());
    for task in tasks {
        outputs.push(task.await.expect("a task of the scenario"));
    }
    outputs
}

impl fmt::Debug for TestEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestEnvironment").field("clock", &self.clock).finish_non_exhaustive()
    }
}
