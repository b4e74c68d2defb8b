//! A client that treats a service as a browser treats a site.

mod browser;
mod jar;
mod requests;
mod response;
mod session;

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::{Buf, Bytes};
use http::Request;
use tower_service::Service;

pub(super) use self::browser::Browser;
use self::browser::RequestOrigin;
pub use self::{jar::StoredCookie, response::Response};
use super::Body;
use crate::clock::{AnyClock, Clock};

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A client that treats a service as a browser treats a site: it keeps the cookies that it gets and sends those that
/// fit. It follows no redirect unless told to.
///
/// All its requests are of the same site, but for those of [`from_another_site`](Self::from_another_site) and
/// [`embedded_in_another_site`](Self::embedded_in_another_site), so `SameSite` changes nothing. Nor does `HttpOnly`,
/// since there are no scripts. Its origin is `https://app.test` unless it is told another one.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Client {
    service: Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>,
    browser: Browser,
}

impl Client {
    /// Makes a browser without cookies, in front of `service`: an `axum::Router` for example.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Error: fmt::Debug,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let answer = move |request| -> Answering {
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|context| service.poll_ready(context)).await.expect("the service is ready");
                let response = service.call(request).await.expect("the service answers");
                Response::read(response).await
            })
        };
        Self { service: Arc::new(answer), browser: Browser::default() }
    }

    /// Sets the origin: a scheme and a host, perhaps a port.
    ///
    /// # Panics
    ///
    /// If `origin` is not such a URL.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        let uri: http::Uri = origin.parse().expect("an origin is a URL");
        assert!(uri.scheme().is_some() && uri.host().is_some(), "{origin} has no scheme or host");
        self.browser.origin = uri;
        self
    }

    /// Sets the clock by which cookies expire: the real one by default.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.browser.clock = AnyClock::new(clock);
        self
    }

    /// Sends this header with each request that has none of its name.
    ///
    /// # Panics
    ///
    /// If the name or the value is not fit for a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = requests::header_of(name, value.as_ref());
        self.browser.headers.insert(name, value);
        self
    }

    /// Opens another tab of this browser, which shares the cookies.
    #[must_use]
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// Opens a page of another site in this browser, whose links and forms lead here: a `GET` or `HEAD` is a click on a
    /// link. Its requests say so (`Sec-Fetch-Site`), and lack the cookies that `SameSite` keeps back.
    #[must_use]
    pub fn from_another_site(&self) -> Self {
        self.on(RequestOrigin::OtherSite)
    }

    /// Opens a page of another site in this browser, which fetches from here or shows this site in a frame.
    ///
    /// Its requests say so (`Sec-Fetch-Site`). They bring only cookies with `SameSite=None`, whatever the method, and
    /// the browser keeps only such cookies of their responses (RFC 6265bis sections 5.6.7.1 and 5.7).
    #[must_use]
    pub fn embedded_in_another_site(&self) -> Self {
        self.on(RequestOrigin::Embedding)
    }

    fn on(&self, page: RequestOrigin) -> Self {
        let mut other = self.clone();
        other.browser.page = page;
        other
    }

    /// Makes another browser with a copy of the cookies, as a thief would.
    #[must_use]
    pub fn clone_jar(&self) -> Self {
        let jar = self.browser.jar().clone();
        self.with_jar(Arc::new(Mutex::new(jar)))
    }

    /// Makes another browser without cookies, in front of the same service.
    #[must_use]
    pub fn stranger(&self) -> Self {
        self.with_jar(Arc::default())
    }

    fn with_jar(&self, jar: Arc<Mutex<jar::CookieJar>>) -> Self {
        let mut other = self.clone();
        other.browser.jar = jar;
        other
    }

    /// Returns this browser in front of another client's service: another instance of the application.
    #[must_use]
    pub fn at(&self, other: &Self) -> Self {
        Self { service: Arc::clone(&other.service), browser: self.browser.clone() }
    }

    /// Returns the value of a cookie that would be sent to the path `/`.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let now = self.browser.clock.now();
        let jar = self.browser.jar();
        let matching = jar.matching(&self.browser.resolve("/"), now);
        matching.into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value.clone())
    }

    /// Puts a cookie into the jar whatever the rules say, as an attacker might: host-only, for the path `/`, for as long
    /// as the browser runs.
    pub fn set_cookie_raw(&self, name: &str, value: &str) {
        let cookie = StoredCookie::planted(name, value, self.browser.origin.host().unwrap_or_default());
        self.browser.jar().put(cookie);
    }

    /// Removes a cookie from the jar.
    pub fn remove_cookie(&self, name: &str) {
        self.browser.jar().remove(name);
    }

    /// Restarts the browser: session cookies are forgotten, persistent ones stay.
    pub fn restart(&self) {
        self.browser.jar().end_of_session();
    }

    /// Returns all cookies, those that would not be sent included.
    #[must_use]
    pub fn cookies(&self) -> Vec<StoredCookie> {
        self.browser.jar().iter().cloned().collect()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("browser", &self.browser).finish_non_exhaustive()
    }
}

/// Reads a body to its end.
async fn collect<B>(body: B) -> Bytes
where
    B: http_body::Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(Into::into).expect("the body is whole");
        if let Ok(mut data) = frame.into_data() {
            bytes.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
    }
    bytes.into()
}
