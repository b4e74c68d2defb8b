//! The tower layer: gives each request a slot, and commits it before the response head leaves.

mod cookie;
#[cfg(feature = "keys")]
mod keys;
mod notes;
mod policy;
mod request;
mod response;
mod service;
mod views;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderValue, Response, request::Parts};
use tower_layer::Layer;

pub use self::cookie::{CookieConfig, SameSite};
pub(crate) use self::service::{RequestSession, report_missing_layer};
pub use self::{
    policy::SessionPolicy,
    response::{ClearSiteData, ReplaceableBody, SessionError},
    service::{ResponseFuture, SessionService},
};
use crate::{
    error::Error,
    event::{Event, Events},
    keys::KeyRing,
    slot::{LayerContext, LoginLimit, OfLayer, Sizes},
    store::Store,
    value::{Timeouts, Timestamp, Token, TokenHasher},
    views::RegisteredViews,
};

const LEAST_ENDED_WITHIN: Duration = Duration::from_millis(3);
const MOST_ENDED_WITHIN: Duration = Duration::from_hours(24);

/// A tower layer that gives a session to every request that passes it.
///
/// ```
/// use sessions::{SessionLayer, store::MemoryStore};
///
/// let app: axum::Router = axum::Router::new().layer(SessionLayer::new(MemoryStore::new()));
/// # let _ = app;
/// ```
///
/// With other timeouts, and a hook for events:
///
/// ```
/// use std::time::Duration;
/// use sessions::{SessionLayer, Timeouts, store::MemoryStore};
///
/// let layer = SessionLayer::new(MemoryStore::new())
///     .with_timeouts(Timeouts::new(Duration::from_mins(30), Duration::from_hours(12)))
///     .with_event_hook(|event| eprintln!("session: {event:?}"));
/// # let _ = layer;
/// ```
///
/// # The order of layers
///
/// - Layers that end a request early, such as timeouts, belong outside of this one. A handler that is dropped commits
///   nothing but a logout and the removal of a right.
/// - Layers that change the type of the response body, such as compression, belong outside too. In a `ServiceBuilder`,
///   which begins with the outermost layer, this one comes last.
/// - Layers that set `Cache-Control` or similar headers belong inside. On a response that sets the cookie, this layer
///   forbids shared caches. It cannot see the headers that an outer layer adds later.
/// - Of two session layers with one cookie around one route, the outer one counts. If the inner one has other settings,
///   the event [`Misconfigured`](crate::Event::Misconfigured) reports it.
#[derive(Clone)]
pub struct SessionLayer {
    options: Arc<LayerOptions>,
}

/// The options of a layer: those that its slots know, and the others.
#[derive(Clone)]
struct LayerOptions {
    context: Arc<LayerContext>,
    http: HttpOptions,
    /// The views that the layer was built with, if it was.
    views: Option<Arc<RegisteredViews>>,
}

impl OfLayer for Arc<LayerOptions> {
    fn context(&self) -> &Arc<LayerContext> {
        &self.context
    }
}

/// The options of HTTP, of which the slot knows nothing.
#[derive(Clone, Default)]
struct HttpOptions {
    /// The cookie as it is written and read.
    cookie: CookieConfig,
    /// The cookie as the application configured it.
    asked_cookie: CookieConfig,
    /// True if the cookie must work over plain HTTP.
    has_insecure_cookies: bool,
    /// The keys that sign tokens, if tokens are signed.
    signing: Option<Arc<KeyRing>>,
    on_server_error: OnServerError,
    /// The value of `Clear-Site-Data`, if a destroyed session sends one.
    clear_site_data: Option<HeaderValue>,
    admits_cross_site_logins: bool,
    error_response: Option<Arc<ErrorResponse>>,
    reported: Arc<Reported>,
}

type ErrorResponse = dyn Fn(&Error, &Parts) -> Response<String> + Send + Sync;

/// The events that a layer and its clones report once.
#[derive(Debug, Default)]
struct Reported {
    nested: AtomicBool,
    insecure: AtomicBool,
    over_http: AtomicBool,
}

impl HttpOptions {
    /// Reports an event if the flag was not set before.
    fn report_once(flag: &AtomicBool, events: &Events, event: &Event<'_>) {
        if !flag.swap(true, Ordering::Relaxed) {
            events.report(event);
        }
    }

    /// Returns the token in a cookie's value, if it is one of this layer's.
    fn read_token(&self, value: &[u8], events: &Events) -> Option<Token> {
        let Some(keys) = &self.signing else { return Token::parse(value) };
        let read = keys.read_token(self.cookie.name(), value)?;
        read.inspect_err(|error| events.report(&Event::BadSignature { reason: &error.to_string() })).ok()
    }

    /// Returns the cookie's value for a token.
    fn token_text(&self, token: &Token) -> String {
        match &self.signing {
            Some(keys) => keys.token_text(self.cookie.name(), token.clone()),
            None => token.expose(),
        }
    }
}

/// The fate of a handler's changes when it answers with a server error (5xx), 408 or 499.
///
/// A logout, an explicit rotation and the removal of a right are committed in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnServerError {
    /// Drops them: a request that failed has no effect.
    #[default]
    Discard,
    /// Commits them.
    Commit,
}

impl SessionLayer {
    /// Creates a layer that keeps sessions in `store`, with default options.
    ///
    /// It meets each view at the view's first use. [`with_views`](Self::with_views) names them when the layer is built,
    /// so that every instance knows them from the first request on.
    #[must_use]
    pub fn new(store: impl Store) -> Self {
        let http = HttpOptions::default();
        let context = LayerContext::new(store.erase().into_inner(), http.cookie.shared_name());
        Self { options: Arc::new(LayerOptions { context: Arc::new(context), http, views: None }) }
    }

    /// Uses a cookie of another name or with other attributes.
    ///
    /// Under another name, all users begin a new session.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if browsers would refuse the cookie.
    pub fn with_cookie(self, cookie: CookieConfig) -> Result<Self, Error> {
        cookie.check()?;
        let is_insecure = self.options.http.has_insecure_cookies;
        Ok(self.with_checked_cookie(cookie, is_insecure))
    }

    /// Works over plain HTTP: no `Secure`, no prefix in the cookie's name (`sid` by default), and at most `SameSite=Lax`.
    ///
    /// For development only, with a browser on another machine or with Safari: every machine on the network path can take
    /// the session. Other browsers do not need it on `localhost`. It may come before or after
    /// [`with_cookie`](Self::with_cookie). When the layer is put around a service, the event
    /// [`InsecureCookies`](crate::Event::InsecureCookies) is a reminder.
    #[must_use]
    pub fn with_insecure_cookies(self) -> Self {
        let cookie = self.options.http.asked_cookie.clone();
        self.with_checked_cookie(cookie, true)
    }

    fn with_checked_cookie(mut self, asked_cookie: CookieConfig, has_insecure_cookies: bool) -> Self {
        let cookie =
            if has_insecure_cookies { asked_cookie.clone().into_insecure() } else { asked_cookie.clone() };
        let (hasher, purpose) = (TokenHasher::new(cookie.name()), cookie.shared_name());
        let http = self.http_mut();
        (http.cookie, http.asked_cookie, http.has_insecure_cookies) =
            (cookie, asked_cookie, has_insecure_cookies);
        let context = self.context_mut();
        (context.hasher, context.purpose) = (hasher, purpose);
        self
    }

    /// Sets the times after which sessions end. The default is a day without use and thirty days in all. Users who asked to
    /// be remembered have only the thirty days.
    ///
    /// Living sessions follow at once. Where the times become longer, the browser gets another cookie, with a new secret,
    /// before it would forget the one that it has.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.context_mut().timeouts = timeouts;
        self
    }

    /// Ends every session that began before this moment on the store's clock. Use it after a backup was restored, or when
    /// secrets may have leaked (OWASP ASVS 5.0, 7.4.5).
    ///
    /// A login starts a session's lifetime again. All instances of an application need the same moment. A moment that is ahead of the
    /// store's clock ends new sessions too, until it has come.
    #[must_use]
    pub fn with_not_before(mut self, moment: SystemTime) -> Self {
        self.context_mut().not_before = Timestamp::from_system_time(moment);
        self
    }

    /// Limits the number of sessions in which one user is logged in at a time. By default there is no limit.
    ///
    /// It holds under concurrent logins, on all instances of an application that have the same limit. It needs a store
    /// with an index ([`store::CanIndex`](crate::store::CanIndex)), and counts by the field marked `identity`.
    #[must_use]
    pub fn with_login_limit(mut self, limit: LoginLimit) -> Self {
        self.context_mut().login_limit = Some(limit);
        self
    }

    /// Limits the time of each operation of the store: ten seconds by default.
    ///
    /// After it the request is answered with 503. A commit that has begun may still happen, within the store's own timeout if
    /// it has one. So let the store's timeout be the shorter one.
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.context_mut().store_timeout = timeout;
        self
    }

    /// Limits the bytes of one field as JSON, 64 KiB by default, and of all fields of a session with their names, 256 KiB by
    /// default.
    ///
    /// A larger commit is an error and writes nothing. Larger values that are stored already are read. The fields count that
    /// the request has loaded. So two requests at once that each add another field can make a session larger.
    ///
    /// Each request that uses a session holds its fields until it is answered. So the limits also bound the memory that each
    /// connection of a slow client takes.
    #[must_use]
    pub fn with_size_limits(mut self, field: usize, record: usize) -> Self {
        let sizes = &mut self.context_mut().sizes;
        *sizes = Sizes { field, record, ..*sizes };
        self
    }

    /// Limits the entries of one collection, 1,000 by default.
    ///
    /// A commit that adds entries beyond the limit is an error and writes nothing. A larger collection that is stored
    /// already is read, and its entries can be changed and removed. The entries count that the request has loaded and
    /// those that it adds. So requests at once can exceed the limit by what each adds.
    #[must_use]
    pub fn with_max_entries(mut self, entries: usize) -> Self {
        self.context_mut().sizes.entries = entries;
        self
    }

    /// Sets the time within which [`Handle::ended`](crate::Handle::ended) learns that a session is over: thirty seconds by
    /// default, from 3 milliseconds to a day.
    ///
    /// An end that comes through this layer is known at once. For ends elsewhere the layer asks the store three times in this
    /// period for each session, however many requests wait for it.
    #[must_use]
    pub fn with_ended_within(mut self, within: Duration) -> Self {
        self.context_mut().ended_within = within.clamp(LEAST_ENDED_WITHIN, MOST_ENDED_WITHIN);
        self
    }

    /// Sets the fate of a handler's changes when it answers with a server error: dropped by default.
    #[must_use]
    pub fn with_on_server_error(mut self, policy: OnServerError) -> Self {
        self.http_mut().on_server_error = policy;
        self
    }

    /// Sends `Clear-Site-Data: "storage"` when a session is destroyed: the browser forgets what scripts of this site have
    /// stored (OWASP ASVS 5.0, 14.3.1). Off by default, since the data of other parts of the site go too.
    ///
    /// Browsers follow it over HTTPS and on `localhost` only.
    /// [`with_clear_site_data_directives`](Self::with_clear_site_data_directives) sends other directives.
    #[must_use]
    pub fn with_clear_site_data(self, clears: bool) -> Self {
        self.with_clear_site_data_directives(clears.then_some(ClearSiteData::Storage))
    }

    /// Sends `Clear-Site-Data` with these directives when a session is destroyed. An empty list sends no header.
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
        self.http_mut().clear_site_data = clear_site_data;
        self
    }

    /// Admits logins by requests from other sites that come without the session's cookie.
    ///
    /// An identity provider needs it that has the browser POST its answer here (SAML, `OpenID` Connect's
    /// `response_mode=form_post`). With `SameSite=Lax` or `Strict` the browser keeps the cookie back. So the login
    /// begins a new session, whose cookie replaces the browser's.
    ///
    /// Without this option such a login is answered with 403 and the event [`CrossSite`](crate::Event::CrossSite).
    /// Any other site could otherwise log its visitors in here under an account of its choice (login CSRF). So with
    /// this option, the handler must rely on what the provider signed for this very request, and not on the session.
    /// Changes of such a request without a login are dropped in any case.
    #[must_use]
    pub fn with_cross_site_logins(mut self) -> Self {
        self.http_mut().admits_cross_site_logins = true;
        self
    }

    /// Renders error responses with `render`: those that the layer puts in place of a handler's answer, this library's
    /// rejections, and [`Error`]s that handlers return.
    ///
    /// `render` gets the error and the request's head without its extensions, so it can answer a browser and a
    /// program differently. [`Error::kind`] distinguishes errors. A response without a `Content-Type` is sent as
    /// `text/plain`. A status of success is replaced by that of the error.
    ///
    /// Without this option, [`Error::status`] and [`Error::body_text`] are sent as `text/plain`. In both cases the
    /// response has a [`SessionError`] among its extensions, for layers outside of this one. With this option, the
    /// head of each request is copied.
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
        self.http_mut().error_response = Some(Arc::new(render));
        self
    }

    /// Calls `hook` for every event, beside `tracing` (feature `tracing`).
    ///
    /// It runs inside requests, so it must not block. If it panics, it misses the event and the request goes on. Without the
    /// feature `tracing` and without a hook, all events are lost, those of a failing store too.
    #[must_use]
    pub fn with_event_hook(mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        let context = self.context_mut();
        context.events = std::mem::take(&mut context.events).with_hook(hook);
        self
    }

    /// Reports an event that repeats once in this time: one second by default.
    ///
    /// Repeated events have the same name, record, and field or error. Their number follows as
    /// [`Repeated`](crate::Event::Repeated). With `Duration::ZERO` each event is reported. Logins, logouts and other steps of
    /// a session's life are always reported.
    #[must_use]
    pub fn with_event_interval(mut self, interval: Duration) -> Self {
        let context = self.context_mut();
        context.events = std::mem::take(&mut context.events).with_interval(interval);
        self
    }

    /// Waits for all work that goes on without its request: commits of requests whose clients went away, and saves whose
    /// futures were dropped. The store's timeout bounds each of them. Then it reports the events that were held back,
    /// by their number ([`Repeated`](crate::Event::Repeated)).
    ///
    /// Call it when the server has shut down, before the runtime ends:
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
        self.options.context.in_flight.closed().await;
        self.options.context.events.flush();
    }

    /// Measures the time that passes in this process with another clock.
    #[cfg(feature = "test-util")]
    pub(crate) fn with_stopwatch(mut self, clock: impl crate::clock::Clock) -> Self {
        self.context_mut().stopwatch = crate::clock::Stopwatch::manual(clock);
        self
    }

    /// Returns the context that the requests of the layer share.
    pub(crate) fn context(&self) -> &Arc<LayerContext> {
        &self.options.context
    }

    fn http_mut(&mut self) -> &mut HttpOptions {
        &mut Arc::make_mut(&mut self.options).http
    }

    fn context_mut(&mut self) -> &mut LayerContext {
        let context = Arc::make_mut(&mut Arc::make_mut(&mut self.options).context);
        // Watchers judge records by the options of the layer that started them.
        context.watchers = Arc::default();
        context
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let LayerOptions { context, http, .. } = &*self.options;
        if http.has_insecure_cookies {
            let error = Error::config(
                "session cookies are sent over plain HTTP, where every machine on the network path can take them; leave \
                 `with_insecure_cookies` out in production",
            );
            let event = Event::InsecureCookies { error: &error };
            HttpOptions::report_once(&http.reported.insecure, &context.events, &event);
        }
        SessionService::new(inner, Arc::clone(&self.options))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("timeouts", &self.options.context.timeouts)
            .field("on_server_error", &self.options.http.on_server_error)
            .field("events", &self.options.context.events)
            .finish_non_exhaustive()
    }
}
