//! The requests that a client sends.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde::Serialize;

use super::{super::Body, Client, Response};

/// The most redirects that a client follows in a row.
const MOST_REDIRECTS: usize = 20;

impl Client {
    /// Sends `GET` to a path, with its query.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, &HeaderMap::new(), Bytes::new()).await
    }

    /// Sends `GET` to a path with one more header.
    ///
    /// # Panics
    ///
    /// If the name or the value is not fit for a header.
    pub async fn get_with(&self, path: &str, name: &str, value: impl AsRef<[u8]>) -> Response {
        let headers = HeaderMap::from_iter([header_of(name, value.as_ref())]);
        self.request(Method::GET, path, &headers, Bytes::new()).await
    }

    /// Sends `POST` to a path, with a form's fields (`application/x-www-form-urlencoded`).
    pub async fn post(&self, path: &str, form: impl Into<Bytes>) -> Response {
        let headers = content_type("application/x-www-form-urlencoded");
        self.request(Method::POST, path, &headers, form.into()).await
    }

    /// Sends `POST` to a path, with a value as JSON.
    ///
    /// # Panics
    ///
    /// If the value has no JSON text.
    pub async fn post_json<T: Serialize + ?Sized>(&self, path: &str, value: &T) -> Response {
        self.send_json(Method::POST, path, value).await
    }

    /// Sends a request of any method with a value as JSON.
    ///
    /// # Panics
    ///
    /// If the value has no JSON text.
    pub async fn send_json<T: Serialize + ?Sized>(&self, method: Method, path: &str, value: &T) -> Response {
        let body = serde_json::to_vec(value).expect("a value that JSON can hold");
        self.request(method, path, &content_type("application/json"), body.into()).await
    }

    /// Sends any request. The jar's cookies follow those in `headers`.
    pub async fn request(&self, method: Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers.clone();
        *request.uri_mut() = self.browser.resolve(path);
        self.dispatch(request).await
    }

    /// Sends a request with the jar's cookies after its own.
    pub(in crate::testing) async fn dispatch(&self, mut request: Request<Body>) -> Response {
        let uri = self.browser.prepare(&mut request);
        let method = request.method().clone();
        let response = (self.service)(request).await.to(method, uri);
        self.browser.receive(&response);
        response
    }

    /// Follows redirects with `GET`, or with `HEAD` if that was asked. Any other response is returned as it is.
    ///
    /// # Panics
    ///
    /// After 20 redirects. And at a 307 or 308 of another method, which asks for the same request once more with its
    /// body: send it to [`redirects_to`](Response::redirects_to).
    pub async fn follow(&self, response: Response) -> Response {
        let mut response = response;
        for _ in 0..MOST_REDIRECTS {
            let Some(target) = response.redirects_to() else { return response };
            let is_repeated = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
            let is_read = matches!(*response.method(), Method::GET | Method::HEAD);
            assert!(
                is_read || !is_repeated.contains(&response.status()),
                "a {} asks for the {} once more: send it to {target}",
                response.status().as_u16(),
                response.method(),
            );
            let method = if *response.method() == Method::HEAD { Method::HEAD } else { Method::GET };
            response = self.request(method, &target, &HeaderMap::new(), Bytes::new()).await;
        }
        panic!("{MOST_REDIRECTS} redirects in a row");
    }
}

/// Returns the parts of a header.
pub(super) fn header_of(name: &str, value: &[u8]) -> (HeaderName, HeaderValue) {
    let name = HeaderName::try_from(name).expect("a header's name");
    (name, HeaderValue::from_bytes(value).expect("a header's value"))
}

fn content_type(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))])
}
