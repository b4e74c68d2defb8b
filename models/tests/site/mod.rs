//! A site with sessions, and browsers that visit it.

// Each file of models uses a part of it.
#![allow(dead_code)]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum_core::extract::FromRequestParts;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use sessions::{
    Clock, Error, Event, FieldName, RecordId, Session, SessionLayer, Timeouts, Timestamp, TypedSession,
    store::{Commit, CommitOutcome, CreateOutcome, Loaded, MemoryStore, NewRecord, Store},
};
use tokio::{sync::oneshot, task::yield_now};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Session)]
pub struct Account {
    #[session(identity)]
    pub user: Option<u64>,
    #[session(privilege)]
    pub role: Option<String>,
    pub note: Option<String>,
    pub memo: Option<String>,
    #[session(merge = "add")]
    pub hits: i64,
    #[session(keep_on_logout)]
    pub cart: Option<String>,
}

/// Another part's view of the same session.
#[derive(Session)]
pub struct Aside {
    pub theme: Option<String>,
}

/// A clock that stands still, so that reading it is no step.
#[derive(Clone)]
pub struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The memory store, seen through a network: each operation is a while on its way.
struct Remote {
    memory: Arc<MemoryStore>,
    distance: Distance,
    /// Dropped with the last who knows the store.
    _closed: oneshot::Sender<()>,
}

impl Remote {
    async fn there_and_back<T>(&self, work: impl Future<Output = T>) -> T {
        if self.distance != Distance::None {
            yield_now().await;
        }
        let answer = work.await;
        if self.distance == Distance::ThereAndBack {
            yield_now().await;
        }
        answer
    }
}

impl Store for Remote {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        self.there_and_back(self.memory.load(id, names)).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        self.there_and_back(self.memory.create(id, new)).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        self.there_and_back(self.memory.commit(id, commit)).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.there_and_back(self.memory.destroy(id)).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        self.memory.purge(timeouts, limit).await
    }

    // No timer: time stands still here.
    fn timeout(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

/// How far the store is from the site.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Each answer is there at once.
    None,
    /// Others may come first on the way there. What they do on an answer's way back comes to the same, unless
    /// a client goes away meanwhile.
    There,
    ThereAndBack,
}

/// What a handler does with its session.
pub type Handler = Arc<dyn Fn(Parts) -> Pin<Box<dyn Future<Output = Response<String>> + Send>> + Send + Sync>;

/// A site with one visitor's session.
pub struct Site {
    memory: Arc<MemoryStore>,
    clock: Hand,
    layer: SessionLayer,
    /// The same session through a store that is further away.
    far: SessionLayer,
    closed: [oneshot::Receiver<()>; 2],
    /// The fields that handles changed too late.
    unsaved: Arc<Mutex<Vec<String>>>,
    /// The cookie that the browser has.
    pub cookie: String,
    pub record: RecordId,
}

/// Whose session it is at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    Anonymous,
    /// Logged in some minutes ago, with a role.
    User,
}

/// Begins what is noted of an event that no model brings about.
const UNEXPECTED: &str = "unexpected: ";

impl Site {
    pub async fn new(distance: Distance, visitor: Visitor) -> Self {
        let clock = Hand(Arc::new(AtomicI64::new(1_768_478_400_000)));
        // One shard: to go through all of them for a purge would be steps without an effect.
        let memory = Arc::new(MemoryStore::new().with_capacity(100).with_clock(clock.clone()));
        let unsaved = Arc::new(Mutex::new(Vec::new()));
        let layer = |distance| {
            let (sender, closed) = oneshot::channel();
            let store = Remote { memory: Arc::clone(&memory), distance, _closed: sender };
            let unsaved = Arc::clone(&unsaved);
            let layer = SessionLayer::new(store).with_event_interval(Duration::ZERO);
            let layer = layer.with_event_hook(move |event| match event {
                Event::UnsavedChanges { fields, .. } => {
                    unsaved.lock().unwrap().extend(fields.iter().map(ToString::to_string));
                }
                Event::Created { .. }
                | Event::Rotated { .. }
                | Event::Renewed { .. }
                | Event::Destroyed { .. }
                | Event::RightsRemoved { .. }
                | Event::ChangesDropped { .. }
                | Event::Conflict { .. }
                | Event::CommitFailed { .. }
                | Event::Superseded { .. } => {}
                // A panic here would change nothing.
                event => unsaved.lock().unwrap().push(format!("{UNEXPECTED}{event:?}")),
            });
            (layer, closed)
        };
        let ((near, near_closed), (far, far_closed)) = (layer(distance), layer(Distance::ThereAndBack));
        let mut site = Self {
            memory,
            clock,
            layer: near,
            far,
            closed: [near_closed, far_closed],
            unsaved,
            cookie: String::new(),
            record: RecordId::from_bytes([0; 16]),
        };
        let begun = site
            .quietly(
                None,
                handler(move |mut session: TypedSession<Account>| async move {
                    session.set_memo("before");
                    if visitor == Visitor::User {
                        session.set_user(1_u64);
                        session.set_role("clerk");
                    }
                    Reply::from(session)
                }),
            )
            .await;
        let Given::Cookie(cookie) = begun.given else { panic!("no session") };
        site.cookie = cookie;
        // Back once, and old enough for a renewal.
        site.advance(Duration::from_secs(120));
        let cookie = site.cookie.clone();
        site.record = site.look(&cookie).await.expect("a session").record;
        site
    }

    pub fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// One request from the browser. It begins when it is awaited.
    pub fn visit(&self, handler: Handler) -> impl Future<Output = Visited> + Send + use<> {
        request(&self.layer, Some(&self.cookie), handler)
    }

    /// The same, on its way through a far store.
    pub fn visit_from_afar(&self, handler: Handler) -> impl Future<Output = Visited> + Send + use<> {
        request(&self.far, Some(&self.cookie), handler)
    }

    /// Waits until nothing that began here goes on any more, requests included.
    pub async fn close(self) -> Aftermath {
        let Self { memory, clock, layer, far, closed, unsaved, cookie, record } = self;
        drop((layer, far));
        // It is dropped, not sent; and if it never is, that is a deadlock, which the checker reports.
        for closed in closed {
            let _ = closed.await;
        }
        let unsaved = std::mem::take(&mut *unsaved.lock().unwrap());
        assert!(!unsaved.iter().any(|event| event.starts_with(UNEXPECTED)), "{unsaved:?}");
        Aftermath { memory, clock, unsaved, cookie, record }
    }

    /// A request that nothing else disturbs.
    async fn quietly(&self, cookie: Option<&str>, handler: Handler) -> Visited {
        request(&SessionLayer::new(Arc::clone(&self.memory)), cookie, handler).await
    }

    async fn look(&self, cookie: &str) -> Option<Seen> {
        look(&self.memory, cookie).await
    }
}

/// What is left when all is over.
pub struct Aftermath {
    memory: Arc<MemoryStore>,
    clock: Hand,
    pub unsaved: Vec<String>,
    pub cookie: String,
    pub record: RecordId,
}

impl Aftermath {
    /// What a request with this cookie finds.
    pub async fn look(&self, cookie: &str) -> Option<Seen> {
        look(&self.memory, cookie).await
    }

    /// The text of a field of the first record; `None` if there is no such record.
    pub async fn stored(&self, field: &'static str) -> Option<Option<String>> {
        let loaded = self.memory.load(self.record, &[field.into()]).await.expect("a memory store")?;
        Some(loaded.fields.get(field).map(|value| String::from_utf8(value.to_vec()).expect("JSON")))
    }

    pub async fn is_there(&self) -> bool {
        self.stored("memo").await.is_some()
    }

    pub fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

async fn look(memory: &Arc<MemoryStore>, cookie: &str) -> Option<Seen> {
    let seen = Arc::new(Mutex::new(None));
    let handler = handler({
        let seen = Arc::clone(&seen);
        move |session: TypedSession<Account>| {
            *seen.lock().unwrap() = session.record_id().map(|record| Seen {
                record,
                user: session.user(),
                role: session.role().map(str::to_owned),
                note: session.note().map(str::to_owned),
                memo: session.memo().map(str::to_owned),
                hits: session.hits(),
                cart: session.cart().map(str::to_owned),
            });
            async move { Reply::from(session) }
        }
    });
    let visited = request(&SessionLayer::new(Arc::clone(memory)), Some(cookie), handler).await;
    assert_eq!(visited.status, StatusCode::OK);
    let seen = seen.lock().unwrap().take();
    seen
}

/// A session as a request finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub record: RecordId,
    pub user: Option<u64>,
    pub role: Option<String>,
    pub note: Option<String>,
    pub memo: Option<String>,
    pub hits: i64,
    pub cart: Option<String>,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Visited {
    pub status: StatusCode,
    pub given: Given,
}

/// What a response does to the browser's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Nothing,
    Cookie(String),
    Removal,
}

/// A handler's answer, and the session that it drops on the way out.
pub struct Reply(pub StatusCode);

impl<S> From<S> for Reply
where
    S: std::ops::Deref<Target = sessions::Handle>,
{
    fn from(session: S) -> Self {
        drop(session);
        Self(StatusCode::OK)
    }
}

/// A handler that takes its session first.
pub fn handler<V, F>(with: impl Fn(V) -> F + Clone + Send + Sync + 'static) -> Handler
where
    V: FromRequestParts<(), Rejection = sessions::SessionRejection> + Send + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    Arc::new(move |mut parts| {
        let with = with.clone();
        Box::pin(async move {
            let status = match V::from_request_parts(&mut parts, &()).await {
                Ok(session) => with(session).await.0,
                Err(rejection) => rejection.status(),
            };
            let mut response = Response::new(String::new());
            *response.status_mut() = status;
            response
        })
    })
}

fn request(
    layer: &SessionLayer,
    cookie: Option<&str>,
    handler: Handler,
) -> impl Future<Output = Visited> + Send + use<> {
    let mut service = layer.layer(Serving(handler));
    // A page would pass though its additions are refused.
    let mut request = Request::builder().method(Method::POST).uri("/");
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, format!("{NAME}{cookie}"));
    }
    let request = request.body(()).expect("a request");
    async move {
        let answering = service.call(request);
        drop(service);
        let Ok(response) = answering.await;
        let given = match response.headers().get(header::SET_COOKIE) {
            None => Given::Nothing,
            Some(line) => {
                let line = line.to_str().expect("text").strip_prefix(NAME).expect("the layer's cookie");
                match line.split(';').next().unwrap_or_default() {
                    "" => Given::Removal,
                    value => Given::Cookie(value.to_owned()),
                }
            }
        };
        Visited { status: response.status(), given }
    }
}

const NAME: &str = "__Host-sid=";

/// A handler as a service.
#[derive(Clone)]
struct Serving(Handler);

impl Service<Request<()>> for Serving {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let answer = (self.0)(request.into_parts().0);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// A request whose client goes away the `waits`th time that it has to wait: `None` if it does.
pub async fn hung_up<F: Future>(request: F, waits: usize) -> Option<F::Output> {
    let mut request = Box::pin(request);
    let mut left = waits;
    std::future::poll_fn(move |context| match request.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Whether something was done, for who comes after.
#[derive(Clone, Debug, Default)]
pub struct Mark(Arc<AtomicBool>);

impl Mark {
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
