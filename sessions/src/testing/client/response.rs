//! The response that a client gets.

use std::error::Error as StdError;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri, header};

use super::collect;

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    uri: Uri,
}

impl Response {
    pub(super) async fn read<B>(response: http::Response<B>) -> Self
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body: collect(body).await, uri: Uri::default() }
    }

    pub(super) fn at(mut self, uri: Uri) -> Self {
        self.uri = uri;
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
}
