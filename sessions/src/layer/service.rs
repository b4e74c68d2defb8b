//! The service that runs a request with its slot and commits it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CACHE_CONTROL, HeaderName, SET_COOKIE, VARY},
};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Frame, OnServerError};
use crate::{
    error::{Error, ErrorKind},
    slot::{Closing, CookieChange, Detached, Outcome, Presented, Shared, Slot, Verdict},
};

/// What [`SessionLayer`](crate::SessionLayer) makes of a service.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// A request's session, as the layer leaves it in the request's extensions.
#[derive(Clone)]
pub(crate) struct RequestSession {
    pub(crate) slot: Arc<Slot>,
}

impl RequestSession {
    /// The tokens that the request presents.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub(crate) fn presented(&self, headers: &HeaderMap) -> Presented {
        let (frame, events) = (Frame::of(self.slot.shared()), self.slot.events());
        frame.cookie.read(headers, |value| frame.read_token(value, events))
    }
}

impl<S> SessionService<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

/// A response body that can be replaced by a line of text when the session could not be stored.
///
/// Every type that has `From<&'static str>` is one, such as axum's `Body`, `String` and
/// `http_body_util::Full`.
#[diagnostic::on_unimplemented(
    message = "`SessionLayer` cannot put an error in place of a response body of type `{Self}`",
    label = "a layer inside of `SessionLayer` changed the body's type",
    note = "put `SessionLayer` inside of that layer: last in a `ServiceBuilder`, or in a `Router::layer` call of its own before it"
)]
pub trait ReplaceableBody: From<&'static str> {}

impl<B: From<&'static str>> ReplaceableBody for B {}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: ReplaceableBody,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if let Some(outer) = request.extensions().get::<RequestSession>()
            && Frame::of(outer.slot.shared()).cookie.name() == Frame::of(&self.shared).cookie.name()
        {
            // A layer around this one has the cookie already: two would commit past each other.
            let step = Step::Passing { handler: self.inner.call(request) };
            return ResponseFuture { step, slot: None, answered: true };
        }
        let slot = Arc::new(Slot::new(Arc::clone(&self.shared)));
        request.extensions_mut().insert(RequestSession { slot: Arc::clone(&slot) });
        let step = Step::Handling { handler: self.inner.call(request) };
        ResponseFuture { step, slot: Some(slot), answered: false }
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// A response on its way: the handler's, then the commit.
    pub struct ResponseFuture<F, B> {
        #[pin]
        step: Step<F, B>,
        // None behind another layer of the same cookie.
        slot: Option<Arc<Slot>>,
        answered: bool,
    }

    impl<F, B> PinnedDrop for ResponseFuture<F, B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(slot) = this.slot {
                slot.orphan(*this.answered);
            }
        }
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<F, B> {
        Passing { #[pin] handler: F },
        Handling { #[pin] handler: F },
        Committing { response: Option<Response<B>>, commit: Detached<Outcome> },
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: ReplaceableBody,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepProjection::Passing { handler } => return handler.poll(context),
                StepProjection::Handling { handler } => {
                    let mut response = ready!(handler.poll(context))?;
                    let Some(slot) = this.slot else { return Poll::Ready(Ok(response)) };
                    let verdict = verdict(response.status(), Frame::of(slot.shared()).on_server_error);
                    match slot.close(verdict) {
                        Closing::Untouched => {
                            *this.answered = true;
                            return Poll::Ready(Ok(response));
                        }
                        Closing::Done(outcome) => {
                            *this.answered = true;
                            conclude(&mut response, outcome, Frame::of(slot.shared()));
                            return Poll::Ready(Ok(response));
                        }
                        Closing::MustFlush => {}
                    }
                    *this.answered = true;
                    let commit = slot.finish(verdict);
                    this.step.set(Step::Committing { response: Some(response), commit });
                }
                StepProjection::Committing { response, commit } => {
                    let outcome = ready!(Pin::new(commit).poll(context));
                    // invariant: put there just above, and taken once, since polling ends here.
                    let mut response = response.take().unwrap_or_else(|| Response::new(B::from("")));
                    let outcome = outcome.unwrap_or_else(|error| {
                        // The work itself failed, and could report nothing.
                        if let Some(slot) = this.slot.as_ref() {
                            slot.report_failure(&error);
                        }
                        Outcome { cookie: CookieChange::None, is_privileged: true, error: Some(error) }
                    });
                    if let Some(slot) = this.slot {
                        conclude(&mut response, outcome, Frame::of(slot.shared()));
                    }
                    return Poll::Ready(Ok(response));
                }
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// A request that failed must not have half happened. 408 and 499 are what layers inside of this
/// one answer when they gave up on a handler.
fn verdict(status: StatusCode, on_server_error: OnServerError) -> Verdict {
    let gave_up = status == StatusCode::REQUEST_TIMEOUT || status.as_u16() == 499;
    if gave_up || (status.is_server_error() && on_server_error == OnServerError::Discard) {
        Verdict::Discard
    } else if status.is_client_error() {
        Verdict::GrantNothing
    } else {
        Verdict::Commit
    }
}

/// Tells the browser what became of the session.
fn conclude<B: ReplaceableBody>(response: &mut Response<B>, outcome: Outcome, frame: &Frame) {
    if let Some(error) = outcome.error {
        refuse(response, &error);
    }
    let headers = response.headers_mut();
    // The answer depends on whose session it is (RFC 9111 sections 4.1 and 5.2.2).
    if !varies_by_cookie(headers) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    let set = match &outcome.cookie {
        CookieChange::None => None,
        CookieChange::Set { token, max_age, .. } => frame.cookie.set(frame.token_text(token), *max_age),
        CookieChange::Remove => frame.cookie.remove(),
    };
    if !headers.contains_key(CACHE_CONTROL) {
        let is_secret = set.is_some() || outcome.is_privileged;
        let value = if is_secret { "no-store" } else { "private, no-cache" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
    if frame.clears_site_data && matches!(outcome.cookie, CookieChange::Remove) {
        headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static(r#""cache", "storage""#));
    }
    if let Some(set) = set {
        headers.append(SET_COOKIE, set.clone());
        response.extensions_mut().get_or_insert_default::<SessionCookies>().0.push(set);
    }
}

/// W3C Clear Site Data, section 3.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// The cookies of session layers in a response. What they say has happened, whatever another layer makes of
/// the response.
#[derive(Clone, Default)]
struct SessionCookies(Vec<HeaderValue>);

fn varies_by_cookie(headers: &HeaderMap) -> bool {
    headers.get_all(VARY).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
    })
}

/// Puts an error in place of an answer that is not true: what it says was not stored.
fn refuse<B: ReplaceableBody>(response: &mut Response<B>, error: &Error) {
    let replaceable = match error.kind() {
        ErrorKind::Refused => response.status().as_u16() < 400,
        _ => !response.status().is_server_error(),
    };
    if replaceable {
        let kept = response.extensions_mut().remove::<SessionCookies>();
        *response = Response::new(B::from(error.body_text()));
        *response.status_mut() = error.status();
        if let Some(kept) = kept {
            for cookie in &kept.0 {
                response.headers_mut().append(SET_COOKIE, cookie.clone());
            }
            response.extensions_mut().insert(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_grants_nothing() {
        for (status, expected) in [
            (200, Verdict::Commit),
            (303, Verdict::Commit),
            (400, Verdict::GrantNothing),
            (403, Verdict::GrantNothing),
            (451, Verdict::GrantNothing),
            (499, Verdict::Discard),
        ] {
            assert_eq!(verdict(StatusCode::from_u16(status).unwrap(), OnServerError::Commit), expected);
        }
    }

    #[test]
    fn what_failed_or_was_given_up_is_discarded() {
        let verdicts = |policy| {
            [200, 404, 409, 408, 499, 500, 503]
                .map(|status| verdict(StatusCode::from_u16(status).unwrap(), policy) == Verdict::Discard)
        };
        assert_eq!(verdicts(OnServerError::Discard), [false, false, false, true, true, true, true]);
        assert_eq!(verdicts(OnServerError::Commit), [false, false, false, true, true, false, false]);
    }
}
