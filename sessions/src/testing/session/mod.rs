//! A session for the test of one handler, without router, store or server.

mod outcome;

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum_core::response::IntoResponse;
use http::{Request, StatusCode, request::Builder};

use self::outcome::StoredSession;
pub use self::outcome::TestOutcome;
use super::{
    ManualClock, Recording, RecordingStore,
    client::Browser,
    open_request::{OpenRequest, TestedView},
};
use crate::{
    __private::FromRequestParts,
    SessionLayer, TypedSession,
    event::Event,
    store::{MemoryStore, Store},
};

/// A session for the test of one handler: the test calls the handler as a function, with a session that has the fields
/// which the test gave it, and asks the [outcome](TestOutcome) what became of it.
///
/// Behind it are a whole layer, a store in memory and a browser's cookies. So a right changes the secret, a flash is
/// there once, and a server error takes changes back, as in the application. The clock stands still until the test
/// moves it.
///
/// ```
/// use axum::http::StatusCode;
/// use sessions::{Session, TypedSession, testing::TestSession};
///
/// #[derive(Session)]
/// struct Visit {
///     #[session(identity)]
///     user_id: Option<u64>,
///     page_count: u32,
///     #[flash]
///     message: Option<String>,
/// }
///
/// async fn index(mut visit: TypedSession<Visit>) -> String {
///     visit.set_page_count(visit.page_count() + 1);
///     visit.take_message().unwrap_or_default()
/// }
///
/// async fn log_in(mut visit: TypedSession<Visit>) -> StatusCode {
///     visit.set_user_id(7);
///     StatusCode::SEE_OTHER
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut test = TestSession::<Visit>::with(|visit| {
///     visit.set_page_count(3);
///     visit.flash_message("saved");
/// })
/// .await;
///
/// let outcome = test.call(index).await;
/// assert_eq!(outcome.text(), "saved");
/// assert_eq!(outcome.changed(), ["page_count"]);
/// assert_eq!(outcome.taken(), ["message"]);
/// assert_eq!(outcome.session().page_count(), 4);
/// assert!(!outcome.was_rotated() && !outcome.is_logged_in());
///
/// let outcome = test.call(log_in).await;
/// assert!(outcome.was_rotated() && outcome.is_logged_in());
/// # }
/// ```
///
/// A handler with further arguments is called in a closure, `test.call(|visit| index(State(db), visit))`, or in three
/// steps:
///
/// ```
/// # use sessions::{Session, TypedSession, testing::TestSession};
/// # #[derive(Session)]
/// # struct Visit { page_count: u32 }
/// # async fn index(factor: u32, visit: TypedSession<Visit>) -> String { (factor * visit.page_count()).to_string() }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut test = TestSession::<Visit>::with(|visit| visit.set_page_count(3)).await;
/// let response = index(2, test.session().await).await;
/// let outcome = test.finish(response).await;
/// assert_eq!(outcome.text(), "6");
/// # }
/// ```
pub struct TestSession<V> {
    layer: SessionLayer,
    clock: ManualClock,
    store: Arc<MemoryStore>,
    calls: Recording,
    events: EventLog,
    browser: Browser,
    /// The head of the next request.
    head: Request<()>,
    open: Option<BegunRequest>,
    view: PhantomData<fn() -> V>,
}

/// A request that has begun, and the session before it.
struct BegunRequest {
    request: OpenRequest,
    before: Option<StoredSession>,
}

/// The events of a layer, as text.
#[derive(Clone, Default)]
struct EventLog(Arc<Mutex<Vec<String>>>);

impl EventLog {
    fn note(&self, event: &Event<'_>) {
        let text = format!("{}: {event}", event.name());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<V: TestedView> TestSession<V> {
    /// Makes a browser that has no session yet.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new();
        let store = Arc::new(MemoryStore::new().with_clock(clock.clone()));
        let recording = RecordingStore::new(Arc::clone(&store));
        let (calls, events) = (recording.recording(), EventLog::default());
        let noted = events.clone();
        let layer = SessionLayer::new(recording.erase())
            .with_stopwatch(clock.clone())
            .with_event_interval(Duration::ZERO)
            .with_event_hook(move |event| noted.note(event));
        let browser = Browser::new(clock.clone());
        let head = Request::default();
        Self { layer, clock, store, calls, events, browser, head, open: None, view: PhantomData }
    }

    /// Makes a browser whose session has these fields, and that has come back to it.
    ///
    /// # Panics
    ///
    /// If the layer refuses the fields.
    pub async fn with(fill: impl FnOnce(&mut TypedSession<V>)) -> Self {
        Self::new().given(fill).await
    }

    /// Changes the options of the layer: its timeouts, keys or cookie.
    #[must_use]
    pub fn with_layer(mut self, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        self.layer = configure(self.layer);
        self
    }

    /// Fills fields of the session before the handler's request, in requests of their own.
    ///
    /// # Panics
    ///
    /// If the layer refuses the fields.
    pub async fn given(mut self, fill: impl FnOnce(&mut TypedSession<V>)) -> Self {
        self.meanwhile(fill).await;
        // The first request that brings the cookie back is a use of the session, which is written.
        self.meanwhile(|_| {}).await;
        self
    }

    /// Sends another request of the same browser, which changes the session: while the handler runs, or between two.
    ///
    /// # Panics
    ///
    /// If the layer refuses the change.
    pub async fn meanwhile(&mut self, change: impl FnOnce(&mut TypedSession<V>)) {
        let mut request = OpenRequest::begin(&self.layer, &self.browser, Request::default());
        let mut session = request.session::<V>().await;
        change(&mut session);
        drop(session);
        let response = request.finish(&self.browser, ()).await;
        let status = response.status();
        assert_eq!(status, StatusCode::OK, "the layer refuses the change: {}", response.text());
    }

    /// Returns the clock of the store and the browser.
    #[must_use]
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Sets method, path and headers of the next request: `GET /` by default.
    ///
    /// Method and headers count where the layer looks at them. See
    /// [overlapping requests](crate::guide::overlapping_requests) for `GET`, and
    /// [security](crate::guide::security) for other sites.
    ///
    /// # Panics
    ///
    /// If a part of it is not fit for a request.
    pub fn request(&mut self, head: Builder) -> &mut Self {
        self.head = head.body(()).expect("a request");
        self
    }

    /// Returns the session that the handler takes. It begins a request, unless one has begun.
    ///
    /// # Panics
    ///
    /// If the session does not open: a `secret` field needs a layer with keys, for example
    /// ([`with_layer`](Self::with_layer)).
    pub async fn session(&mut self) -> TypedSession<V> {
        self.begin().await.session::<V>().await
    }

    /// Extracts any argument of a handler, such as another view or a `RecentLogin`, from the request that has begun, or
    /// begins one.
    ///
    /// # Errors
    ///
    /// The rejection of the argument's type.
    pub async fn extract<T: FromRequestParts<()>>(&mut self) -> Result<T, T::Rejection> {
        T::from_request_parts(&mut self.begin().await.parts, &()).await
    }

    /// Ends the request with the handler's response, of whose status the layer's work depends, and returns the outcome.
    pub async fn finish(&mut self, response: impl IntoResponse) -> TestOutcome<V> {
        self.begin().await;
        // invariant: the line above put it there.
        let BegunRequest { request, before } = self.open.take().expect("a request that has begun");
        let response = request.finish(&self.browser, response).await;
        // Before the look at the session after it, which asks the store too.
        let (calls, events) = (self.calls.take(), self.events.take());
        let mut next = OpenRequest::begin(&self.layer, &self.browser, Request::default());
        let session = next.session::<V>().await;
        let after = StoredSession::load(&self.store, session.record_id()).await;
        let is_gone = match &before {
            Some(before) => StoredSession::load(&self.store, Some(before.id)).await.is_none(),
            None => false,
        };
        TestOutcome { response, before, after, is_gone, calls, events, session, _next: next }
    }

    /// Calls a handler of one argument and returns the outcome. If its argument refuses the request, that is the response.
    pub async fn call<H, T, F>(&mut self, handler: H) -> TestOutcome<V>
    where
        H: FnOnce(T) -> F,
        T: FromRequestParts<()>,
        F: Future<Output: IntoResponse>,
    {
        match self.extract::<T>().await {
            Ok(argument) => {
                let response = handler(argument).await;
                self.finish(response).await
            }
            Err(rejection) => self.finish(rejection).await,
        }
    }

    /// Returns the request that has begun, or begins one.
    async fn begin(&mut self) -> &mut OpenRequest {
        if self.open.is_none() {
            // The session before it, in a request that ends without a response.
            let mut look = OpenRequest::begin(&self.layer, &self.browser, Request::default());
            let id = look.session::<V>().await.record_id();
            drop(look);
            let before = StoredSession::load(&self.store, id).await;
            self.calls.clear();
            self.events.take();
            let head = std::mem::take(&mut self.head);
            let request = OpenRequest::begin(&self.layer, &self.browser, head);
            self.open = Some(BegunRequest { request, before });
        }
        // invariant: the lines above put it there.
        &mut self.open.as_mut().expect("a request that has begun").request
    }
}

impl<V: TestedView> Default for TestSession<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for TestSession<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = self.open.as_ref().map(|begun| &begun.request);
        f.debug_struct("TestSession")
            .field("clock", &self.clock)
            .field("request", &request)
            .finish_non_exhaustive()
    }
}
