//! A backend, the instances of an application over it, and what scenarios ask of them.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::request::Parts;
use tokio::sync::Barrier;
use tower_layer::Layer;

use super::{
    super::{Call, Client, FaultStore, Faults, Gate, ManualClock, Operation, Recording, RecordingStore},
    Harness,
    kit::{self, Stop},
    service::{Failure, Handling, Reply},
};
use crate::{
    __private::FromRequestParts,
    event::Event,
    layer::SessionLayer,
    rejection::SessionRejection,
    store::{AnyStore, DynStore, Loaded, Store},
    value::{FieldName, RecordId, Token},
};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a scenario works with: a backend that was empty at first, behind a manual clock.
pub struct Rig {
    pub(super) clock: ManualClock,
    has_manual_clock: bool,
    open: Box<dyn Fn(ManualClock) -> Boxed<Opened> + Send + Sync>,
    dump: Box<dyn Fn() -> Boxed<Option<Vec<u8>>> + Send + Sync>,
}

struct Opened {
    raw: Arc<dyn DynStore>,
    store: AnyStore,
    faults: Faults,
    calls: Recording,
}

/// One instance of an application.
#[derive(Clone)]
pub(super) struct App {
    /// The store without what is around it: its calls are neither recorded nor failed.
    pub(super) raw: Arc<dyn DynStore>,
    pub(super) faults: Faults,
    pub(super) calls: Recording,
    /// The gate at which the kit's `/wait/…` waits, session in hand.
    pub(super) gate: Gate,
    /// The layer around the handler.
    pub(super) layer: SessionLayer,
    events: Arc<Mutex<Vec<String>>>,
    /// What handlers have to say, besides events.
    noted: Vec<Arc<Mutex<Vec<String>>>>,
    client: Client,
}

impl Rig {
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

    /// The store itself.
    pub(super) async fn store(&self) -> Arc<dyn DynStore> {
        (self.open)(self.clock.clone()).await.raw
    }

    /// An instance of the application that is the kit.
    pub(super) async fn kit(&self) -> App {
        self.kit_with(|layer| layer).await
    }

    pub(super) async fn kit_with(&self, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> App {
        let gate = Gate::new();
        let inside = gate.clone();
        let app = self.app_with(configure, move |parts| kit::answer(parts, Stop::Gate(inside.clone()))).await;
        app.with_gate(gate)
    }

    /// An instance of the kit, whose `/meet/…` waits at the barrier, session in hand.
    pub(super) async fn kit_that_meets(&self, barrier: Arc<Barrier>) -> App {
        self.app(move |parts| kit::answer(parts, Stop::Barrier(Arc::clone(&barrier)))).await
    }

    /// An instance of another application.
    pub(super) async fn app<F>(&self, handler: impl Fn(Parts) -> F + Send + Sync + 'static) -> App
    where
        F: Future<Output = Result<Reply, Failure>> + Send + 'static,
    {
        self.app_with(|layer| layer, handler).await
    }

    pub(super) async fn app_with<F>(
        &self,
        configure: impl FnOnce(SessionLayer) -> SessionLayer,
        handler: impl Fn(Parts) -> F + Send + Sync + 'static,
    ) -> App
    where
        F: Future<Output = Result<Reply, Failure>> + Send + 'static,
    {
        let Opened { raw, store, faults, calls } = (self.open)(self.clock.clone()).await;
        let events = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&events);
        let note = move |event: &Event<'_>| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}: {event}"));
        };
        let layer = SessionLayer::new(store);
        let layer = if self.has_manual_clock { layer.with_stopwatch(self.clock.clone()) } else { layer };
        let layer = configure(layer).with_event_hook(note).with_event_interval(Duration::ZERO);
        let client = Client::new(layer.layer(Handling::new(handler))).with_clock(self.clock.clone());
        App { raw, faults, calls, gate: Gate::new(), layer, events, noted: Vec::new(), client }
    }

    /// Whether a scenario about time can be run; if not, says so.
    pub(super) fn can_move_time(&self) -> bool {
        if !self.has_manual_clock {
            println!("skipped: the store reads no manual clock (`Harness::MANUAL_CLOCK`)");
        }
        self.has_manual_clock
    }

    /// All that the backend holds; if nobody can tell, says so.
    pub(super) async fn dump(&self) -> Option<Vec<u8>> {
        let dump = (self.dump)().await;
        if dump.is_none() {
            println!("skipped: the harness shows no bytes of the store (`Harness::dump`)");
        }
        dump
    }
}

impl App {
    /// The same, whose handler waits at this gate.
    pub(super) fn with_gate(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// A browser that was never here.
    pub(super) fn browser(&self) -> Client {
        self.client.stranger()
    }

    /// A browser whose session has this name in it, and that has come back with its cookie; with what that
    /// took forgotten.
    pub(super) async fn visitor(&self, name: &str) -> Client {
        let browser = self.browser();
        let response = browser.get(&format!("/set-name/{name}")).await;
        assert_eq!(response.status(), 200, "{}", response.text());
        assert_eq!(browser.get("/name").await.text(), name);
        self.calls.clear();
        browser
    }

    /// What the store was asked to do, but for the clean-up, which comes when it comes.
    pub(super) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.calls().into_iter();
        calls.filter(|call| call.operation() != Operation::Purge).collect()
    }

    /// The events since the last time, and what else is heard.
    pub(super) fn events(&self) -> Vec<String> {
        let lists = self.noted.iter().chain([&self.events]);
        lists
            .flat_map(|list| std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner)))
            .collect()
    }

    /// Hears what a handler notes, too.
    pub(super) fn also_hear(&mut self, noted: Arc<Mutex<Vec<String>>>) {
        self.noted.push(noted);
    }

    /// A record as the store has it, with these fields at least.
    pub(super) async fn load(&self, id: RecordId, names: &[&'static str]) -> Option<Loaded> {
        let names: Vec<_> = names.iter().map(|name| FieldName::from_static(name)).collect();
        self.raw.load(id, &names).await.expect("the store answers")
    }

    /// A field as the store has it.
    pub(super) async fn stored(&self, id: RecordId, name: &'static str) -> Option<String> {
        let loaded = self.load(id, &[name]).await?;
        loaded.fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// The name of the session cookie.
pub(super) const COOKIE: &str = "__Host-sid";

/// The record that a browser's cookie names.
pub(super) fn record_of(browser: &Client) -> RecordId {
    let cookie = browser.cookie(COOKIE).expect("the browser has a session cookie");
    Token::parse(cookie.as_bytes()).expect("the cookie holds a token").id()
}

/// The session of a request, as an extractor gives it to a handler.
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

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig").field("clock", &self.clock).finish_non_exhaustive()
    }
}
