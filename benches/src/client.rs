//! The client's side of a request.

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, StatusCode, header};
use tower::Service;

/// Body and cookie of one answer.
pub struct Answer {
    pub body: String,
    pub cookie: Option<HeaderValue>,
}

/// Sends one request and reads the whole answer; not for use under measurement.
pub async fn get(router: &Router, path: &str, cookie: Option<&HeaderValue>) -> Result<Answer> {
    let mut request = Request::get(path).body(Body::empty())?;
    if let Some(cookie) = cookie {
        request.headers_mut().insert(header::COOKIE, cookie.clone());
    }
    let response = router.clone().call(request).await?;
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await?.into())?;
    ensure!(parts.status == StatusCode::OK, "{path} answered {}: {body}", parts.status);
    let set_cookies = parts.headers.get_all(header::SET_COOKIE).iter().map(HeaderValue::as_bytes);
    Ok(Answer { body, cookie: cookie_header(set_cookies)? })
}

/// The `Cookie` header that a browser would send after an answer with these `Set-Cookie` headers.
pub fn cookie_header<'a>(set_cookies: impl Iterator<Item = &'a [u8]>) -> Result<Option<HeaderValue>> {
    let mut pairs = Vec::new();
    for value in set_cookies {
        let text = std::str::from_utf8(value).context("Set-Cookie is not text")?;
        let pair = text.split(';').next().unwrap_or_default();
        // An empty value takes a cookie away.
        if !pair.ends_with('=') {
            pairs.push(pair);
        }
    }
    match pairs.is_empty() {
        true => Ok(None),
        false => Ok(Some(HeaderValue::from_str(&pairs.join("; "))?)),
    }
}
