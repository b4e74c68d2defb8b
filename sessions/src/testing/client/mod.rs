//! A client that treats a service as a browser treats a site.

mod jar;
mod response;

use std::{
    error::Error as StdError,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use tower_service::Service;

use self::jar::CookieJar;
pub use self::{jar::StoredCookie, response::Response};
use super::Body;
use crate::clock::{AnyClock, Clock, SystemClock};

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A client that treats a service as a browser treats a site: it keeps the cookies that it gets and sends those that
/// fit. It follows no redirect unless told to.
///
/// All its requests are of the same site, but for those of [`from_another_site`](Self::from_another_site), so `SameSite`
/// changes nothing. Nor does `HttpOnly`, since there are no scripts. Its origin is `https://app.test` unless it is told
/// another one.
///
/// See the [module](super) for an example.
#[derive(Clone)]
pub struct Client {
    service: Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>,
    origin: Uri,
    clock: AnyClock,
    jar: Arc<Mutex<CookieJar>>,
    is_cross_site: bool,
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
        Self {
            service: Arc::new(answer),
            origin: Uri::from_static("https://app.test"),
            clock: AnyClock::new(SystemClock),
            jar: Arc::default(),
            is_cross_site: false,
        }
    }

    /// Sets the origin: a scheme and a host, perhaps a port.
    ///
    /// # Panics
    ///
    /// If `origin` is not such a URL.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        self.origin = origin.parse().expect("an origin is a URL");
        assert!(
            self.origin.scheme().is_some() && self.origin.host().is_some(),
            "{origin} has no scheme or host"
        );
        self
    }

    /// Sets the clock by which cookies expire: the real one by default.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = AnyClock::new(clock);
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
        Self { is_cross_site: true, ..self.clone() }
    }

    /// Makes another browser with a copy of the cookies, as a thief would.
    #[must_use]
    pub fn clone_jar(&self) -> Self {
        Self { jar: Arc::new(Mutex::new(self.jar().clone())), ..self.clone() }
    }

    /// Makes another browser without cookies, in front of the same service.
    #[must_use]
    pub fn stranger(&self) -> Self {
        Self { jar: Arc::default(), ..self.clone() }
    }

    /// Returns this browser in front of another client's service: another instance of the application.
    #[must_use]
    pub fn at(&self, other: &Self) -> Self {
        Self { service: Arc::clone(&other.service), ..self.clone() }
    }

    /// Sends `GET` to a path, with its query.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, &HeaderMap::new(), Bytes::new()).await
    }

    /// Sends `POST` to a path, with a form's fields (`application/x-www-form-urlencoded`).
    pub async fn post(&self, path: &str, form: impl Into<Bytes>) -> Response {
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, kind);
        self.request(Method::POST, path, &headers, form.into()).await
    }

    /// Sends any request. The jar's cookies follow those in `headers`.
    pub async fn request(&self, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers.clone();
        *request.uri_mut() = self.resolve(path);
        self.dispatch(request).await
    }

    /// Sends a request with the jar's cookies after its own.
    pub(super) async fn dispatch(&self, mut request: Request<Body>) -> Response {
        let uri = self.resolve(&request.uri().to_string());
        let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
        if self.is_cross_site {
            request.headers_mut().insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        }
        if let Some(cookies) = self.cookies_for(&uri, is_safe) {
            request.headers_mut().append(header::COOKIE, cookies);
        }
        if let Some(host) = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() =
            uri.path_and_query().expect("a resolved URL has a path").as_str().parse().expect("a path");
        let response = (self.service)(request).await;
        let now = self.clock.now();
        let mut jar = self.jar();
        for line in response.headers().get_all(header::SET_COOKIE) {
            jar.receive(line.as_bytes(), &uri, now);
        }
        drop(jar);
        response.at(uri)
    }

    /// Follows a redirect with `GET`. Any other response is returned as it is.
    ///
    /// # Panics
    ///
    /// After 20 redirects.
    pub async fn follow(&self, response: Response) -> Response {
        let mut response = response;
        for _ in 0..20 {
            let target = response.header("location").filter(|_| response.status().is_redirection());
            let Some(target) = target.map(str::to_owned) else { return response };
            response = self.get(&target).await;
        }
        panic!("20 redirects in a row");
    }

    /// Returns the value of a cookie that would be sent to the path `/`.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let now = self.clock.now();
        let jar = self.jar();
        let cookie = jar.matching(&self.resolve("/"), now).into_iter().find(|cookie| cookie.name == name);
        cookie.map(|cookie| cookie.value.clone())
    }

    /// Puts a cookie into the jar whatever the rules say, as an attacker might: host-only, for the path `/`, for as long
    /// as the browser runs.
    pub fn set_cookie_raw(&self, name: &str, value: &str) {
        let cookie = StoredCookie::planted(name, value, self.origin.host().unwrap_or_default());
        self.jar().put(cookie);
    }

    /// Removes a cookie from the jar.
    pub fn remove_cookie(&self, name: &str) {
        self.jar().remove(name);
    }

    /// Restarts the browser: session cookies are forgotten, persistent ones stay.
    pub fn restart(&self) {
        self.jar().end_of_session();
    }

    /// Returns all cookies, those that would not be sent included.
    #[must_use]
    pub fn cookies(&self) -> Vec<StoredCookie> {
        self.jar().iter().cloned().collect()
    }

    fn resolve(&self, target: &str) -> Uri {
        let relative = target.starts_with('/') && !target.starts_with("//");
        if relative {
            let (scheme, host) = (self.origin.scheme_str().unwrap_or("https"), self.origin.authority());
            let host = host.map_or("", |host| host.as_str());
            format!("{scheme}://{host}{target}").parse().expect("a path and query")
        } else {
            target.parse().expect("a path that begins with `/`, or a URL")
        }
    }

    fn cookies_for(&self, uri: &Uri, is_safe: bool) -> Option<HeaderValue> {
        let now = self.clock.now();
        let jar = self.jar();
        let matching = if self.is_cross_site {
            jar.matching_cross_site(uri, is_safe, now)
        } else {
            jar.matching(uri, now)
        };
        let pairs: Vec<_> =
            matching.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if pairs.is_empty() { None } else { HeaderValue::from_bytes(pairs.join("; ").as_bytes()).ok() }
    }

    fn jar(&self) -> MutexGuard<'_, CookieJar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("origin", &self.origin)
            .field("jar", &self.jar())
            .finish_non_exhaustive()
    }
}

/// One header, for [`Client::request`].
impl Client {
    /// Sends `GET` to a path with one more header.
    ///
    /// # Panics
    ///
    /// If the name or the value is not fit for a header.
    pub async fn get_with(&self, path: &str, name: &str, value: impl AsRef<[u8]>) -> Response {
        let name = HeaderName::try_from(name).expect("a header's name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
        self.request(Method::GET, path, &HeaderMap::from_iter([(name, value)]), Bytes::new()).await
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
