//! The tower layer: gives each request a slot, commits it before the response head leaves.

mod cookie;
#[cfg(feature = "keys")]
mod keys;
mod service;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use tokio::sync::{Semaphore, watch};
use tower_layer::Layer;

pub use self::cookie::{CookieConfig, SameSite};
pub(crate) use self::service::RequestSession;
pub use self::service::{ReplaceableBody, ResponseFuture, SessionService};
use crate::{
    clock::Stopwatch,
    error::Error,
    event::{Event, Events},
    keys::KeyRing,
    slot::{MOST_ABANDONED, Shared, Sizes},
    store::AnyStore,
    value::{Timeouts, Timestamp, Token, TokenHasher},
};

/// Longer than a database waits for another's lock, so that its own word comes first.
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// In bytes of JSON.
const LARGEST_FIELD: usize = 1 << 20;
const LARGEST_RECORD: usize = 4 << 20;

const DEFAULT_ENDED_WITHIN: Duration = Duration::from_secs(30);
const LEAST_ENDED_WITHIN: Duration = Duration::from_millis(3);
const MOST_ENDED_WITHIN: Duration = Duration::from_hours(24);

/// Gives every request inside it a session.
///
/// ```
/// use sessions::{SessionLayer, store::MemoryStore};
///
/// let app: axum::Router = axum::Router::new().layer(SessionLayer::new(MemoryStore::new()));
/// # let _ = app;
/// ```
///
/// With other timeouts, and with the events where you want them:
///
/// ```
/// use std::time::Duration;
/// use sessions::{SessionLayer, Timeouts, store::MemoryStore};
///
/// let layer = SessionLayer::new(MemoryStore::new())
///     .with_timeouts(Timeouts::new(Duration::from_secs(1800), Duration::from_secs(12 * 3600)))
///     .with_event_hook(|event| eprintln!("session: {event:?}"));
/// # let _ = layer;
/// ```
///
/// Layers that end a request early, such as timeouts, belong outside of this one: a handler that
/// is dropped commits nothing but a logout and the removal of a right. So do layers that change the type
/// of the response body
/// (tracing, compression): in a `ServiceBuilder`, which begins with the outermost, this one comes
/// last. Of two session layers with one cookie around one route, the outer one counts.
#[derive(Clone)]
pub struct SessionLayer {
    shared: Arc<Shared>,
}

/// What the layer knows and the slot does not.
#[derive(Clone, Default)]
struct Frame {
    cookie: CookieConfig,
    /// The keys that tokens are signed with, if they are.
    signing: Option<Arc<KeyRing>>,
    on_server_error: OnServerError,
    clears_site_data: bool,
}

impl Frame {
    fn of(shared: &Shared) -> &Self {
        // invariant: `SessionLayer` puts one there, and nobody else does.
        shared.frame.downcast_ref().unwrap_or_else(|| unreachable!("a layer's own frame"))
    }

    /// The token in a cookie's value, if it is one of this layer's.
    fn read_token(&self, value: &[u8], events: &Events) -> Option<Token> {
        let Some(keys) = &self.signing else { return Token::parse(value) };
        let read = keys.read_token(self.cookie.name(), value)?;
        read.inspect_err(|error| events.report(&Event::BadSignature { reason: &error.to_string() })).ok()
    }

    /// The cookie's value for a token.
    fn token_text(&self, token: &Token) -> String {
        match &self.signing {
            Some(keys) => keys.token_text(self.cookie.name(), token.clone()),
            None => token.expose(),
        }
    }
}

/// What happens to a handler's changes when it answers with a server error (5xx), 408 or 499.
///
/// A logout, an explicit rotation and the removal of a right (`privilege`) are committed in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnServerError {
    /// They are dropped: what failed did not happen.
    #[default]
    Discard,
    /// They are committed.
    Commit,
}

impl SessionLayer {
    /// Keeps sessions in `store`.
    #[must_use]
    pub fn new(store: impl Into<AnyStore>) -> Self {
        let frame = Frame::default();
        let shared = Shared {
            store: store.into().into_inner(),
            hasher: TokenHasher::new(frame.cookie.name()),
            purpose: frame.cookie.shared_name(),
            keys: None,
            timeouts: Timeouts::default(),
            not_before: Timestamp::from_millis(i64::MIN),
            events: Events::default(),
            rules: Arc::default(),
            last_purge: Arc::default(),
            store_timeout: DEFAULT_STORE_TIMEOUT,
            ended_within: DEFAULT_ENDED_WITHIN,
            sizes: Sizes { field: LARGEST_FIELD, record: LARGEST_RECORD },
            watchers: Arc::default(),
            stopwatch: Stopwatch::default(),
            in_flight: watch::channel(()).0,
            abandoned: Arc::new(Semaphore::new(MOST_ABANDONED)),
            runtime: OnceLock::new(),
            frame: Arc::new(frame),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Uses a cookie of another name, or with other attributes.
    ///
    /// A session belongs to the name: under another one, all users begin anew.
    ///
    /// # Errors
    ///
    /// If browsers would not take it, or not heed it: [`Config`](crate::ErrorKind::Config).
    pub fn with_cookie(self, cookie: CookieConfig) -> Result<Self, Error> {
        cookie.check()?;
        Ok(self.with_checked_cookie(cookie))
    }

    /// Works over plain HTTP: without `Secure`, without a prefix in the cookie's name (`sid` by default), and
    /// with no more than `SameSite=Lax`. Everybody on the way can take the session, so this is for development
    /// with a browser on another machine. On `localhost` the default works without it.
    #[must_use]
    pub fn with_insecure_cookies(self) -> Self {
        let cookie = Frame::of(&self.shared).cookie.clone().into_insecure();
        self.with_checked_cookie(cookie)
    }

    fn with_checked_cookie(mut self, cookie: CookieConfig) -> Self {
        let frame = Frame { cookie, ..Frame::of(&self.shared).clone() };
        let shared = self.shared_mut();
        shared.hasher = TokenHasher::new(frame.cookie.name());
        shared.purpose = frame.cookie.shared_name();
        shared.frame = Arc::new(frame);
        self
    }

    /// Ends sessions after these times: by default a day without use, thirty days in all; those of users who
    /// asked to be remembered after thirty days.
    ///
    /// They count at once for the sessions there are. Where they are longer than before, the browser gets
    /// another cookie, with a new secret, before it would forget the one that it has.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.shared_mut().timeouts = timeouts;
        self
    }

    /// Ends every session that began before this moment, on the store's clock: after a backup was restored, or
    /// when secrets may have leaked (OWASP ASVS 5.0, 7.4.5). A login begins anew. All instances of an
    /// application need the same moment, and it must have come: one that is still ahead of the store's clock ends
    /// new sessions too, until then.
    #[must_use]
    pub fn with_not_before(mut self, moment: SystemTime) -> Self {
        self.shared_mut().not_before = Timestamp::from_system_time(moment);
        self
    }

    /// Gives the store this long for each operation, ten seconds by default. After that a request
    /// is answered with 503; a commit that was begun may still happen, within the store's own timeout if it has
    /// one: let that be the shorter one.
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.shared_mut().store_timeout = timeout;
        self
    }

    /// Lets one field take so many bytes as JSON, 1 MiB by default, and all fields of a session with their names
    /// so many, 4 MiB by default. A commit of more is an error and writes nothing; what is stored already
    /// is read whatever it takes. Fields count that the request has loaded: where two requests at once each
    /// add another one, a session may get larger.
    #[must_use]
    pub fn with_size_limits(mut self, field: usize, record: usize) -> Self {
        self.shared_mut().sizes = Sizes { field, record };
        self
    }

    /// Has [`Handle::ended`](crate::Handle::ended) tell within this time, thirty seconds by default, that a session
    /// is over; a day at most. Where this layer itself ends it, it is told at once. The store is asked three times
    /// in it for each session that somebody waits for, however many do.
    #[must_use]
    pub fn with_ended_within(mut self, within: Duration) -> Self {
        self.shared_mut().ended_within = within.clamp(LEAST_ENDED_WITHIN, MOST_ENDED_WITHIN);
        self
    }

    /// Says what happens to a handler's changes when it answers with a server error.
    #[must_use]
    pub fn with_on_server_error(mut self, policy: OnServerError) -> Self {
        let frame = Frame { on_server_error: policy, ..Frame::of(&self.shared).clone() };
        self.shared_mut().frame = Arc::new(frame);
        self
    }

    /// Asks the browser to forget what it has cached and stored of this site when a session is destroyed, with
    /// `Clear-Site-Data: "cache", "storage"` (OWASP ASVS 5.0, 14.3.1). Off by default, since it forgets what
    /// other parts of the site have stored there, too. Browsers heed it over HTTPS and on `localhost` only.
    #[must_use]
    pub fn with_clear_site_data(mut self, clears: bool) -> Self {
        let frame = Frame { clears_site_data: clears, ..Frame::of(&self.shared).clone() };
        self.shared_mut().frame = Arc::new(frame);
        self
    }

    /// Calls `hook` for every event, beside `tracing` (feature `tracing`). It runs inside requests, so it must not
    /// block. If it panics, the event is lost to it and the request goes on.
    ///
    /// Without the feature `tracing` and without a hook, no event is seen anywhere, a failing store among them.
    #[must_use]
    pub fn with_event_hook(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        let shared = self.shared_mut();
        shared.events = std::mem::take(&mut shared.events).with_hook(hook);
        self
    }

    /// Reports one event in this time of several that have the same name and record, one second by default; the
    /// number of the others follows ([`Event::Repeated`]). With no time, each is reported. Logins, logouts and
    /// other steps of a session's life are reported in any case.
    #[must_use]
    pub fn with_event_interval(mut self, interval: Duration) -> Self {
        let shared = self.shared_mut();
        shared.events = std::mem::take(&mut shared.events).with_interval(interval);
        self
    }

    /// Waits until all work has ended that goes on when its request is gone: the commits of requests whose
    /// clients went away, and saves that nobody awaits. Each is bounded by the time that the store has. Then it
    /// reports how many events were held back and not counted yet ([`Repeated`](crate::Event::Repeated)).
    ///
    /// Call it when the server has shut down, before the runtime does:
    ///
    /// ```no_run
    /// # use sessions::{SessionLayer, store::MemoryStore};
    /// # async fn run(listener: tokio::net::TcpListener, stopped: impl Future<Output = ()> + Send + 'static) {
    /// let sessions = SessionLayer::new(MemoryStore::new());
    /// let app: axum::Router = axum::Router::new().layer(sessions.clone());
    /// axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
    /// sessions.drain().await;
    /// # }
    /// ```
    pub async fn drain(&self) {
        self.shared.in_flight.closed().await;
        self.shared.events.flush();
    }

    /// Measures the time that passes in this process by another clock.
    #[cfg(feature = "test-util")]
    pub(crate) fn with_stopwatch(mut self, clock: impl crate::Clock) -> Self {
        self.shared_mut().stopwatch = Stopwatch::manual(clock);
        self
    }

    fn shared_mut(&mut self) -> &mut Shared {
        let shared = Arc::make_mut(&mut self.shared);
        // They look at records as the layer was that began to watch.
        shared.watchers = Arc::default();
        shared
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.shared))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("timeouts", &self.shared.timeouts)
            .field("on_server_error", &Frame::of(&self.shared).on_server_error)
            .field("events", &self.shared.events)
            .finish_non_exhaustive()
    }
}
