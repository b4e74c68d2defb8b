//! Changes to a response: headers for the browser and for caches, or an error in its place.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use http::{
    HeaderMap, HeaderValue, Response,
    header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, HeaderName, SET_COOKIE,
        TRANSFER_ENCODING, VARY,
    },
    request::Parts,
};

use super::{HttpOptions, notes::CookieNotes};
use crate::{
    error::{Error, ErrorKind},
    event::{Event, Events},
    slot::{CookieChange, ResponseOutcome},
};

/// A response body that can be replaced by text when the session could not be stored.
///
/// Every type with `From<&'static str>` and `From<String>` implements it, such as axum's `Body`, `String` and
/// `http_body_util::Full`.
#[diagnostic::on_unimplemented(
    message = "`SessionLayer` cannot put an error in place of a response body of type `{Self}`",
    label = "a layer inside of `SessionLayer` changed the body's type",
    note = "put `SessionLayer` inside of that layer: last in a `ServiceBuilder`, or in a `Router::layer` call of its own before it"
)]
pub trait ReplaceableBody: From<&'static str> + From<String> {}

#[diagnostic::do_not_recommend]
impl<B: From<&'static str> + From<String>> ReplaceableBody for B {}

/// A directive of `Clear-Site-Data`: data of this site that a browser forgets when a session is destroyed (W3C Clear Site
/// Data, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClearSiteData {
    /// Data that scripts have stored: local and session storage, databases, service workers.
    Storage,
    /// The HTTP cache. Chromium needs seconds to clear it, and the response waits.
    Cache,
    /// All cookies of the registrable domain, including those of other programs and hosts.
    Cookies,
    /// Open pages. Browsers that heed it load them again.
    ExecutionContexts,
}

impl ClearSiteData {
    /// Returns the header's value, a list of quoted strings. `None` for an empty list.
    pub(super) fn header(directives: impl IntoIterator<Item = Self>) -> Option<HeaderValue> {
        let mut names = Vec::new();
        for directive in directives {
            let name = match directive {
                Self::Storage => "\"storage\"",
                Self::Cache => "\"cache\"",
                Self::Cookies => "\"cookies\"",
                Self::ExecutionContexts => "\"executionContexts\"",
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { None } else { HeaderValue::try_from(names.join(", ")).ok() }
    }
}

/// The error behind a response of this library, in the response's extensions.
///
/// Layers outside of the session layer may count it, log it, or replace the response by a page of their own.
///
/// ```
/// use sessions::{ErrorKind, SessionError};
///
/// fn is_conflict<B>(response: &http::Response<B>) -> bool {
///     let error = response.extensions().get::<SessionError>();
///     error.is_some_and(|error| error.kind() == ErrorKind::Conflict)
/// }
/// ```
#[derive(Clone)]
pub struct SessionError {
    error: Arc<Error>,
    /// True if the layer has already rendered its response.
    is_rendered: bool,
}

impl SessionError {
    pub(crate) fn new(error: Error) -> Self {
        Self { error: Arc::new(error), is_rendered: false }
    }

    /// Returns the error.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Returns the error's kind, which says what to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }
}

impl fmt::Debug for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionError").field(&self.error).finish()
    }
}

/// Renders an error that a handler or an extractor answered with, by the layer's hook.
pub(super) fn render_rejection<B: ReplaceableBody>(
    response: &mut Response<B>,
    http: &HttpOptions,
    head: Option<&Parts>,
) {
    let (Some(_), Some(head)) = (&http.error_response, head) else { return };
    let Some(failed) = response.extensions().get::<SessionError>() else { return };
    if failed.is_rendered {
        return;
    }
    let error = Arc::clone(&failed.error);
    let (rendered, body) = rendered(&error, http, Some(head)).into_parts();
    *response.status_mut() = rendered.status;
    *response.body_mut() = B::from(body);
    let headers = response.headers_mut();
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.extend(rendered.headers);
    response.extensions_mut().insert(SessionError { error, is_rendered: true });
}

/// Applies the outcome of a request's session to its response: cookie, caching headers, or an error.
pub(super) fn apply_outcome<B: ReplaceableBody>(
    response: &mut Response<B>,
    outcome: ResponseOutcome,
    http: &HttpOptions,
    events: &Events,
    notes: CookieNotes,
    head: Option<&Parts>,
) {
    if let Some(error) = outcome.error {
        refuse(response, error, http, head);
    }
    // The answer depends on whose session it is (RFC 9111 sections 4.1 and 5.2.2).
    if !varies_by_cookie(response.headers()) {
        response.headers_mut().append(VARY, HeaderValue::from_static("Cookie"));
    }
    let set = match &outcome.cookie {
        CookieChange::None => None,
        CookieChange::Set { token, max_age, .. } => {
            if notes.is_over_http {
                report_over_http(http, events);
            }
            http.cookie.set(http.token_text(token), *max_age)
        }
        CookieChange::Remove => http.cookie.remove(),
    };
    let is_ended = matches!(outcome.cookie, CookieChange::Remove);
    if let (true, Some(directives)) = (is_ended, &http.clear_site_data) {
        response.headers_mut().append(CLEAR_SITE_DATA, directives.clone());
    }
    if let Some(set) = set {
        // Removals of former cookies come first: a browser may take one of them for the present cookie.
        let former = if notes.is_repeated { http.cookie.remove_former() } else { Vec::new() };
        let cookies: Vec<_> = former.into_iter().chain([set]).collect();
        for cookie in &cookies {
            response.headers_mut().append(SET_COOKIE, cookie.clone());
        }
        response.extensions_mut().get_or_insert_default::<SessionCookies>().0.extend(cookies);
    }
    if response.extensions().get::<SessionCookies>().is_some() {
        let said = forbid_shared_caches(response.headers_mut());
        if !said.is_empty() {
            events.report(&Event::CachingForbidden { said: &said.join("; ") });
        }
    } else if !response.headers().contains_key(CACHE_CONTROL) {
        let value = if outcome.is_privileged { "no-store" } else { "private, no-cache" };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
}

/// W3C Clear Site Data, section 3.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// W3C Edge Architecture Specification, section 2.2: a header for caches in front of a server.
const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// The cookies of session layers in a response. An error response of another layer keeps them, since the changes that
/// they announce have happened.
#[derive(Clone, Default)]
struct SessionCookies(Vec<HeaderValue>);

fn varies_by_cookie(headers: &HeaderMap) -> bool {
    let names = headers.get_all(VARY).iter().flat_map(words);
    names.into_iter().any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
}

/// Forbids every cache to keep a response, and returns the headers that allowed it to shared caches.
///
/// A cache would keep `Set-Cookie` with the rest and give it to the next visitor (RFC 9111 section 7.3). Headers for one
/// network's caches (`CDN-Cache-Control`, RFC 9213, and those of vendors) take precedence over `Cache-Control`.
fn forbid_shared_caches(headers: &mut HeaderMap) -> Vec<String> {
    let is_targeted =
        |name: &HeaderName| name.as_str().ends_with("-cache-control") || name == SURROGATE_CONTROL;
    let is_forbidden = |value: &HeaderValue| {
        words(value)
            .any(|word| word.eq_ignore_ascii_case(b"no-store") || word.eq_ignore_ascii_case(b"private"))
    };
    let said: Vec<_> =
        headers.iter().filter(|(name, _)| is_targeted(name) || *name == CACHE_CONTROL).collect();
    let mut allowed: Vec<_> = said.into_iter().filter(|(_, value)| !is_forbidden(value)).collect();
    if !headers.contains_key(CACHE_CONTROL) {
        // Caches use it where `Cache-Control` is missing (RFC 9111 section 5.3).
        allowed.extend(headers.get(EXPIRES).map(|value| (&EXPIRES, value)));
    }
    let shown = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
    };
    let allowed = allowed.into_iter().map(shown).collect();
    let targeted: Vec<_> = headers.keys().filter(|name| is_targeted(name)).cloned().collect();
    for name in targeted.into_iter().chain([EXPIRES]) {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    allowed
}

/// Returns the members of a list (RFC 9110 section 5.6.1).
fn words(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn report_over_http(http: &HttpOptions, events: &Events) {
    let error = Error::config(format!(
        "a request over plain HTTP was answered with the session cookie `{}`, which is `Secure`: the browser does \
         not keep it, so no login lasts; serve it over HTTPS, open it as `http://localhost`, or write \
         `SessionLayer::with_insecure_cookies()` in development",
        http.cookie.name()
    ));
    HttpOptions::report_once(&http.reported.over_http, events, &Event::CookieOverHttp { error: &error });
}

/// Replaces an answer by an error, since the changes that it reports were not stored.
fn refuse<B: ReplaceableBody>(
    response: &mut Response<B>,
    error: Error,
    http: &HttpOptions,
    head: Option<&Parts>,
) {
    let replaceable = match error.kind() {
        ErrorKind::Conflict | ErrorKind::CrossSite => response.status().as_u16() < 400,
        _ => !response.status().is_server_error(),
    };
    if !replaceable {
        return;
    }
    let error = error.in_request();
    let kept = response.extensions_mut().remove::<SessionCookies>();
    *response = rendered(&error, http, head).map(B::from);
    let error = Arc::new(error);
    response.extensions_mut().insert(SessionError { error, is_rendered: true });
    if let Some(kept) = kept {
        for cookie in &kept.0 {
            response.headers_mut().append(SET_COOKIE, cookie.clone());
        }
        response.extensions_mut().insert(kept);
    }
}

/// Returns the response for an error: the hook's, or a line of text.
fn rendered(error: &Error, http: &HttpOptions, head: Option<&Parts>) -> Response<String> {
    let hook = http.error_response.as_ref().zip(head);
    // If a hook panics, the error is still answered.
    let made = hook.and_then(|(render, head)| catch_unwind(AssertUnwindSafe(|| render(error, head))).ok());
    let mut response = made.unwrap_or_else(|| {
        let mut response = Response::new(error.body_text().to_owned());
        *response.status_mut() = error.status();
        response
    });
    if response.status().as_u16() < 300 {
        *response.status_mut() = error.status();
    }
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().entry(CONTENT_TYPE).or_insert(plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn no_shared_cache_keeps_a_cookie() {
        for (said, allowed) in [
            (&[][..], &[][..]),
            (&[("cache-control", "public, max-age=60")], &["cache-control: public, max-age=60"]),
            (&[("cache-control", "no-cache")], &["cache-control: no-cache"]),
            (&[("cache-control", "no-store"), ("expires", "0"), ("pragma", "no-cache")], &[]),
            (&[("cache-control", "max-age=5, Private")], &[]),
            (&[("expires", "Fri, 01 Jan 2100 00:00:00 GMT")], &["expires: Fri, 01 Jan 2100 00:00:00 GMT"]),
            (&[("surrogate-control", "max-age=9")], &["surrogate-control: max-age=9"]),
            (
                &[("cache-control", "no-store"), ("cdn-cache-control", "max-age=9")],
                &["cdn-cache-control: max-age=9"],
            ),
            (&[("vercel-cdn-cache-control", "s-maxage=9")], &["vercel-cdn-cache-control: s-maxage=9"]),
            (&[("cache-control", "private"), ("cache-control", "public")], &["cache-control: public"]),
        ] {
            let mut headers = headers(said);
            assert_eq!(forbid_shared_caches(&mut headers), allowed, "{said:?}");
            let left: Vec<_> = headers.iter().filter(|(name, _)| *name != "pragma").collect();
            let expected = (&CACHE_CONTROL, &HeaderValue::from_static("private, no-store"));
            assert_eq!(left, [expected], "{said:?}");
        }
    }

    #[test]
    fn what_is_to_be_forgotten_is_a_list_of_quoted_names() {
        use ClearSiteData::{Cache, Cookies, ExecutionContexts, Storage};
        let header = |directives: &[ClearSiteData]| ClearSiteData::header(directives.iter().copied());
        assert_eq!(header(&[]), None);
        assert_eq!(header(&[Storage, Storage]).unwrap(), "\"storage\"");
        let all = header(&[Cache, Cookies, Storage, ExecutionContexts]).unwrap();
        assert_eq!(all, "\"cache\", \"cookies\", \"storage\", \"executionContexts\"");
    }
}
