//! The part of a client that is the same whatever answers: its cookies, its headers, and the page that it shows.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::{jar::CookieJar, response::Response};
use crate::clock::{AnyClock, Clock, SystemClock};

/// A browser: what it adds to a request, and what it keeps of a response.
#[derive(Clone)]
pub(in crate::testing) struct Browser {
    pub(super) origin: Uri,
    pub(super) clock: AnyClock,
    pub(super) jar: Arc<Mutex<CookieJar>>,
    pub(super) page: RequestOrigin,
    /// The headers that a request gets unless it has its own of the same name.
    pub(super) headers: HeaderMap,
}

/// The page from which requests come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RequestOrigin {
    /// One of this site.
    #[default]
    Own,
    /// One of another site, whose links and forms lead here.
    OtherSite,
    /// One of another site, which fetches from here or shows this site in a frame.
    Embedding,
}

impl Browser {
    pub(in crate::testing) fn new(clock: impl Clock) -> Self {
        Self {
            origin: Uri::from_static("https://app.test"),
            clock: AnyClock::new(clock),
            jar: Arc::default(),
            page: RequestOrigin::Own,
            headers: HeaderMap::new(),
        }
    }

    /// Adds the headers of the browser to a request, and returns its whole URL. The request keeps the path only.
    pub(in crate::testing) fn prepare<B>(&self, request: &mut Request<B>) -> Uri {
        let uri = self.resolve(&request.uri().to_string());
        let headers = request.headers_mut();
        for name in self.headers.keys().filter(|name| !headers.contains_key(*name)).collect::<Vec<_>>() {
            for value in self.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        if self.page != RequestOrigin::Own {
            headers.insert(HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static("cross-site"));
        }
        if let Some(cookies) = self.cookies_for(&uri, request.method()) {
            request.headers_mut().append(header::COOKIE, cookies);
        }
        if let Some(host) = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() =
            uri.path_and_query().expect("a resolved URL has a path").as_str().parse().expect("a path");
        uri
    }

    /// Keeps the cookies of a response.
    pub(in crate::testing) fn receive(&self, response: &Response) {
        let now = self.clock.now();
        let mut jar = self.jar();
        for line in response.headers().get_all(header::SET_COOKIE) {
            if self.page == RequestOrigin::Embedding {
                jar.receive_embedded(line.as_bytes(), response.uri(), now);
            } else {
                jar.receive(line.as_bytes(), response.uri(), now);
            }
        }
    }

    /// Returns the whole URL of a path or URL.
    pub(super) fn resolve(&self, target: &str) -> Uri {
        let relative = target.starts_with('/') && !target.starts_with("//");
        if relative {
            let (scheme, host) = (self.origin.scheme_str().unwrap_or("https"), self.origin.authority());
            let host = host.map_or("", |host| host.as_str());
            format!("{scheme}://{host}{target}").parse().expect("a path and query")
        } else {
            target.parse().expect("a path that begins with `/`, or a URL")
        }
    }

    fn cookies_for(&self, uri: &Uri, method: &Method) -> Option<HeaderValue> {
        let now = self.clock.now();
        let is_safe = matches!(*method, Method::GET | Method::HEAD);
        let jar = self.jar();
        let matching = match self.page {
            RequestOrigin::Own => jar.matching(uri, now),
            RequestOrigin::OtherSite => jar.matching_cross_site(uri, is_safe, now),
            // A click on a link is what `Lax` lets through, and this is none.
            RequestOrigin::Embedding => jar.matching_cross_site(uri, false, now),
        };
        let pairs: Vec<_> =
            matching.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        if pairs.is_empty() { None } else { HeaderValue::from_bytes(pairs.join("; ").as_bytes()).ok() }
    }

    pub(super) fn jar(&self) -> MutexGuard<'_, CookieJar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new(SystemClock)
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser")
            .field("origin", &self.origin)
            .field("jar", &self.jar())
            .finish_non_exhaustive()
    }
}
