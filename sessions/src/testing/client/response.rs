//! The response that a client gets.

use std::error::Error as StdError;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

use super::collect;
use crate::{error::ErrorKind, layer::SessionError};

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    method: Method,
    uri: Uri,
    error: Option<ErrorKind>,
}

impl Response {
    pub(in crate::testing) async fn read<B>(response: http::Response<B>) -> Self
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (head, body) = response.into_parts();
        let error = head.extensions.get::<SessionError>().map(SessionError::kind);
        let (status, headers, body) = (head.status, head.headers, collect(body).await);
        Self { status, headers, body, method: Method::GET, uri: Uri::default(), error }
    }

    /// Notes the request that it answers.
    pub(in crate::testing) fn to(mut self, method: Method, uri: Uri) -> Self {
        (self.method, self.uri) = (method, uri);
        self
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the `Set-Cookie` lines, as they came.
    #[must_use]
    pub fn set_cookies(&self) -> Vec<String> {
        let lines = self.headers.get_all(header::SET_COOKIE).iter();
        lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect()
    }

    /// Returns the body's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }

    /// Returns the URL that was asked for.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the method of the request.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// Decodes the body as JSON.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use sessions::testing::Client;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let app = Router::new().route("/", get(async || "[1, 2]"));
    /// let numbers: Vec<u32> = Client::new(app).get("/").await.json();
    /// assert_eq!(numbers, [1, 2]);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If it is no JSON of this type.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let kind = std::any::type_name::<T>();
            panic!("a body of JSON that is `{kind}`: {error}, in {:?}", String::from_utf8_lossy(&self.body))
        })
    }

    /// Returns the page to which the response redirects: a path with its query, or a URL of another origin. `None` if
    /// it is no redirect.
    ///
    /// # Panics
    ///
    /// If its `Location` is no URL.
    #[must_use]
    pub fn redirects_to(&self) -> Option<String> {
        let target = self.header("location").filter(|_| self.status.is_redirection())?;
        Some(relative_to(&self.uri, target))
    }

    /// Returns the kind of the session's error, if that is the answer: of the layer, an extractor or a `save()`.
    #[must_use]
    pub const fn session_error(&self) -> Option<ErrorKind> {
        self.error
    }
}

/// Resolves a reference against the page that has it (RFC 3986 section 5.2), and leaves out the page's own origin.
fn relative_to(page: &Uri, target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = (page.path(), page.query().map_or(String::new(), |query| format!("?{query}")));
    if let Some(host_and_path) = target.strip_prefix("//") {
        let scheme = page.scheme_str().unwrap_or("https");
        return relative_to(page, &format!("{scheme}://{host_and_path}"));
    }
    if target.is_empty() {
        return format!("{path}{query}");
    }
    if target.starts_with('?') {
        return format!("{path}{target}");
    }
    let has_scheme = target.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    if has_scheme {
        let uri: Uri = target.parse().expect("a `Location` is a URL");
        let is_own = (uri.scheme(), uri.authority()) == (page.scheme(), page.authority());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        return if is_own { path.to_owned() } else { target.to_owned() };
    }
    let (relative, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let folder = if relative.starts_with('/') { "" } else { &path[..=path.rfind('/').unwrap_or(0)] };
    let mut segments = Vec::new();
    let joined = format!("{folder}{relative}");
    let is_folder = ["/", "/.", "/.."].iter().any(|end| joined.ends_with(end));
    for segment in joined.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let slash = if is_folder && segments.last().is_none_or(|last| !last.is_empty()) { "/" } else { "" };
    let slash = if segments.is_empty() { "" } else { slash };
    format!("/{}{slash}{query}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_a_browser_goes() {
        let page = Uri::from_static("https://app.test/shop/cart?page=2");
        for (target, expected) in [
            ("/login?next=/", "/login?next=/"),
            ("https://app.test/a", "/a"),
            ("https://app.test", "/"),
            ("https://other.test/a?b", "https://other.test/a?b"),
            ("http://app.test/a", "http://app.test/a"),
            ("//other.test/a", "https://other.test/a"),
            ("pay", "/shop/pay"),
            ("./pay?x=a/b", "/shop/pay?x=a/b"),
            ("../a", "/a"),
            ("../../../a/./b/", "/a/b/"),
            (".", "/shop/"),
            ("..", "/"),
            ("?page=3", "/shop/cart?page=3"),
            ("#top", "/shop/cart?page=2"),
            ("/a#top", "/a"),
        ] {
            assert_eq!(relative_to(&page, target), expected, "{target}");
        }
    }
}
