//! The tower layer: gives each request a slot, commits it before the response head leaves.

mod cookie;
#[cfg(feature = "keys")]
mod keys;
mod request;
mod response;
mod service;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Response, request::Parts};

use tokio::sync::{Semaphore, watch};
use tower_layer::Layer;

pub use self::cookie::{CookieConfig, SameSite};
pub(crate) use self::service::{RequestSession, report_missing_layer};
pub use self::{
    response::{ClearSiteData, ReplaceableBody, SessionError},
    service::{ResponseFuture, SessionService},
};
use crate::{
    clock::Stopwatch,
    error::Error,
    event::{Event, Events},
    keys::KeyRing,
    slot::{LayerContext, MOST_DETACHED, Sizes},
    store::Store,
    value::{Timeouts, Timestamp, Token, TokenHasher},
};

/// Longer than a database waits for another's lock, so that its own word comes first.
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// In bytes of JSON.
const LARGEST_FIELD: usize = 64 << 10;
const LARGEST_RECORD: usize = 256 << 10;

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
/// last. Layers that set `Cache-Control` or similar headers belong inside of this one: on a response that sets
/// the session's cookie, this layer forbids shared caches, and cannot see what an outer layer adds later.
///
/// Of two session layers with one cookie around one route, the outer one counts. Other settings of the inner one
/// are reported as [`Misconfigured`](crate::Event::Misconfigured).
#[derive(Clone)]
pub struct SessionLayer {
    context: Arc<LayerContext>,
}

/// What the layer knows and the slot does not.
#[derive(Clone, Default)]
struct HttpOptions {
    /// As it is written and read.
    cookie: CookieConfig,
    /// As it was asked for.
    asked_cookie: CookieConfig,
    /// Whether it is to work over plain HTTP.
    has_insecure_cookies: bool,
    /// The keys that tokens are signed with, if they are.
    signing: Option<Arc<KeyRing>>,
    on_server_error: OnServerError,
    /// The value of `Clear-Site-Data`, if a destroyed session sends one.
    clear_site_data: Option<HeaderValue>,
    admits_cross_site_logins: bool,
    error_response: Option<Arc<ErrorResponse>>,
    reported: Arc<Reported>,
}

type ErrorResponse = dyn Fn(&Error, &Parts) -> Response<String> + Send + Sync;

/// What a layer, with its clones, reports once.
#[derive(Debug, Default)]
struct Reported {
    nested: AtomicBool,
    insecure: AtomicBool,
    over_http: AtomicBool,
}

impl HttpOptions {
    fn of(context: &LayerContext) -> &Self {
        // invariant: `SessionLayer` puts one there, and nobody else does.
        context.http.downcast_ref().unwrap_or_else(|| unreachable!("a layer's own http"))
    }

    /// Reports the first time only.
    fn report_once(flag: &AtomicBool, events: &Events, event: &Event<'_>) {
        if !flag.swap(true, Ordering::Relaxed) {
            events.report(event);
        }
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
    pub fn new(store: impl Store) -> Self {
        let http = HttpOptions::default();
        let context = LayerContext {
            store: store.erase().into_inner(),
            hasher: TokenHasher::new(http.cookie.name()),
            purpose: http.cookie.shared_name(),
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
            detached: Arc::new(Semaphore::new(MOST_DETACHED)),
            runtime: OnceLock::new(),
            http: Arc::new(http),
        };
        Self { context: Arc::new(context) }
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
        let is_insecure = HttpOptions::of(&self.context).has_insecure_cookies;
        Ok(self.with_checked_cookie(cookie, is_insecure))
    }

    /// Works over plain HTTP: without `Secure`, without a prefix in the cookie's name (`sid` by default), and
    /// with no more than `SameSite=Lax`. Everybody on the way can take the session, so this is for development
    /// with a browser on another machine, or with Safari. Other browsers do not need it on `localhost`. The order of
    /// this call and [`with_cookie`](Self::with_cookie) makes no difference. When the layer is put around a service,
    /// the event [`InsecureCookies`](crate::Event::InsecureCookies) is a reminder.
    #[must_use]
    pub fn with_insecure_cookies(self) -> Self {
        let cookie = HttpOptions::of(&self.context).asked_cookie.clone();
        self.with_checked_cookie(cookie, true)
    }

    fn with_checked_cookie(mut self, asked_cookie: CookieConfig, has_insecure_cookies: bool) -> Self {
        let cookie =
            if has_insecure_cookies { asked_cookie.clone().into_insecure() } else { asked_cookie.clone() };
        let http = HttpOptions {
            cookie,
            asked_cookie,
            has_insecure_cookies,
            ..HttpOptions::of(&self.context).clone()
        };
        let context = self.context_mut();
        context.hasher = TokenHasher::new(http.cookie.name());
        context.purpose = http.cookie.shared_name();
        context.http = Arc::new(http);
        self
    }

    /// Ends sessions after these times. The default is a day without use and thirty days in all; users who asked
    /// to be remembered have the thirty days only.
    ///
    /// Existing sessions follow at once. Where the times are longer than before, the browser gets another cookie,
    /// with a new secret, before it would forget the one that it has.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.context_mut().timeouts = timeouts;
        self
    }

    /// Ends every session that began before this moment, on the store's clock: after a backup was restored, or
    /// when secrets may have leaked (OWASP ASVS 5.0, 7.4.5). A login begins anew. All instances of an
    /// application need the same moment, and it must have come: one that is still ahead of the store's clock ends
    /// new sessions too, until then.
    #[must_use]
    pub fn with_not_before(mut self, moment: SystemTime) -> Self {
        self.context_mut().not_before = Timestamp::from_system_time(moment);
        self
    }

    /// Gives the store this long for each operation, ten seconds by default. After that a request
    /// is answered with 503; a commit that was begun may still happen, within the store's own timeout if it has
    /// one: let that be the shorter one.
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.context_mut().store_timeout = timeout;
        self
    }

    /// Limits the bytes of one field as JSON, 64 KiB by default, and of all fields of a session with their names,
    /// 256 KiB by default. A commit of more is an error and writes nothing; what is stored already
    /// is read whatever it takes. Fields count that the request has loaded: where two requests at once each
    /// add another one, a session may get larger.
    ///
    /// Each request that uses a session holds its fields until it is answered. So the limits also bound the memory
    /// that a slow client costs with each connection that it opens.
    #[must_use]
    pub fn with_size_limits(mut self, field: usize, record: usize) -> Self {
        self.context_mut().sizes = Sizes { field, record };
        self
    }

    /// Has [`Handle::ended`](crate::Handle::ended) tell within this time, thirty seconds by default, that a session
    /// is over; a day at most. Where this layer itself ends it, it is told at once. In this time the store is asked
    /// three times for each session that is waited for, however many requests wait.
    #[must_use]
    pub fn with_ended_within(mut self, within: Duration) -> Self {
        self.context_mut().ended_within = within.clamp(LEAST_ENDED_WITHIN, MOST_ENDED_WITHIN);
        self
    }

    /// Says what happens to a handler's changes when it answers with a server error.
    #[must_use]
    pub fn with_on_server_error(mut self, policy: OnServerError) -> Self {
        let http = HttpOptions { on_server_error: policy, ..HttpOptions::of(&self.context).clone() };
        self.context_mut().http = Arc::new(http);
        self
    }

    /// When a session is destroyed, asks the browser to forget what this site's scripts have stored, with
    /// `Clear-Site-Data: "storage"` (OWASP ASVS 5.0, 14.3.1). It is off by default, since the data of other
    /// parts of the site go too. Browsers heed it over HTTPS and on `localhost` only.
    /// [`with_clear_site_data_directives`](Self::with_clear_site_data_directives) sends other directives.
    #[must_use]
    pub fn with_clear_site_data(self, clears: bool) -> Self {
        self.with_clear_site_data_directives(clears.then_some(ClearSiteData::Storage))
    }

    /// When a session is destroyed, asks the browser to forget these things of this site. An empty list sends no
    /// header.
    ///
    /// ```
    /// use sessions::{ClearSiteData, SessionLayer, store::MemoryStore};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new())
    ///     .with_clear_site_data_directives([ClearSiteData::Storage, ClearSiteData::ExecutionContexts]);
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with_clear_site_data_directives(
        mut self,
        directives: impl IntoIterator<Item = ClearSiteData>,
    ) -> Self {
        let clear_site_data = ClearSiteData::header(directives);
        let http = HttpOptions { clear_site_data, ..HttpOptions::of(&self.context).clone() };
        self.context_mut().http = Arc::new(http);
        self
    }

    /// Admits logins by requests from other sites that come without the session's cookie.
    ///
    /// Needed for the callbacks that an identity provider has the browser POST to (SAML, `OpenID` Connect's
    /// `response_mode=form_post`). With `SameSite=Lax` or `Strict` the browser keeps the cookie back there. So the
    /// login begins a new session, whose cookie replaces the one that the browser has.
    ///
    /// Without this option such a login is answered with 403 and an event [`CrossSite`](crate::Event::CrossSite).
    /// Otherwise any other site could log its visitors in here under an account of its choice (login CSRF). So the
    /// handler must rely on what the provider signed for this very request, and not on what the session
    /// remembers. Changes of such a request without a login are dropped in any case.
    #[must_use]
    pub fn with_cross_site_logins(mut self) -> Self {
        let http = HttpOptions { admits_cross_site_logins: true, ..HttpOptions::of(&self.context).clone() };
        self.context_mut().http = Arc::new(http);
        self
    }

    /// Has `render` make the responses of errors. These are the ones that the layer puts in place of a handler's
    /// answer, this library's rejections, and [`Error`]s that handlers return.
    ///
    /// `render` gets the error and the request's head, without its extensions, so that it can answer a browser and a
    /// program differently. Without it, [`Error::status`] and [`Error::body_text`] are sent, as `text/plain`.
    /// [`Error::kind`] tells errors apart. A response without a `Content-Type` is sent as `text/plain`. A status
    /// of success is replaced by that of the error.
    ///
    /// Either way the response has a [`SessionError`] among its extensions, for layers outside of this one. With
    /// `render`, the head of each request is copied.
    ///
    /// ```
    /// use http::{Response, header};
    /// use sessions::{SessionLayer, store::MemoryStore};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).with_error_response(|error, request| {
    ///     let wants_json = request.headers.get(header::ACCEPT).is_some_and(|kind| kind == "application/json");
    ///     let (kind, body) = if wants_json {
    ///         ("application/json", format!(r#"{{"error":"{}"}}"#, error.body_text()))
    ///     } else {
    ///         ("text/html; charset=utf-8", format!("<h1>Sorry</h1><p>{}</p>", error.body_text()))
    ///     };
    ///     let mut response = Response::new(body);
    ///     *response.status_mut() = error.status();
    ///     response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    ///     response
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn with_error_response(
        mut self,
        render: impl Fn(&Error, &Parts) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        let http =
            HttpOptions { error_response: Some(Arc::new(render)), ..HttpOptions::of(&self.context).clone() };
        self.context_mut().http = Arc::new(http);
        self
    }

    /// Calls `hook` for every event, beside `tracing` (feature `tracing`). It runs inside requests, so it must not
    /// block. If it panics, it misses the event and the request goes on.
    ///
    /// Without the feature `tracing` and without a hook, events are lost, also those of a failing store.
    #[must_use]
    pub fn with_event_hook(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        let context = self.context_mut();
        context.events = std::mem::take(&mut context.events).with_hook(hook);
        self
    }

    /// Reports an event that repeats once in this time, one second by default. Repeated events have the same name,
    /// record, and field or error. Their number follows ([`Event::Repeated`]). With `Duration::ZERO` each is
    /// reported. Logins, logouts and other steps of a session's life are reported in any case.
    #[must_use]
    pub fn with_event_interval(mut self, interval: Duration) -> Self {
        let context = self.context_mut();
        context.events = std::mem::take(&mut context.events).with_interval(interval);
        self
    }

    /// Waits until all work has ended that goes on when its request is gone: the commits of requests whose
    /// clients went away, and saves that nobody awaits. Each is bounded by the time that the store has. Then the
    /// events that were held back are counted and reported ([`Repeated`](crate::Event::Repeated)).
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
        self.context.in_flight.closed().await;
        self.context.events.flush();
    }

    /// Measures the time that passes in this process by another clock.
    #[cfg(feature = "test-util")]
    pub(crate) fn with_stopwatch(mut self, clock: impl crate::clock::Clock) -> Self {
        self.context_mut().stopwatch = Stopwatch::manual(clock);
        self
    }

    fn context_mut(&mut self) -> &mut LayerContext {
        let context = Arc::make_mut(&mut self.context);
        // They look at records as the layer was that began to watch.
        context.watchers = Arc::default();
        context
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let http = HttpOptions::of(&self.context);
        if http.has_insecure_cookies {
            let error = Error::config(
                "session cookies are sent over plain HTTP, where everybody on the way can take them: leave \
                 `with_insecure_cookies` out in production",
            );
            let event = Event::InsecureCookies { error: &error };
            HttpOptions::report_once(&http.reported.insecure, &self.context.events, &event);
        }
        SessionService::new(inner, Arc::clone(&self.context))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("timeouts", &self.context.timeouts)
            .field("on_server_error", &HttpOptions::of(&self.context).on_server_error)
            .field("events", &self.context.events)
            .finish_non_exhaustive()
    }
}
