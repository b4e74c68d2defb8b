//! The service that runs a request with its slot and commits it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response, StatusCode, request::Parts};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    HttpOptions, LayerOptions, OnServerError, ReplaceableBody,
    notes::CookieNotes,
    request,
    response::{apply_outcome, render_rejection},
};
use crate::{
    error::Error,
    event::{Event, Events},
    slot::{Closing, CookieChange, Presented, ResponseOutcome, Slot, Surviving, WriteScope},
};

/// The service that [`SessionLayer`](crate::SessionLayer) wraps around another one.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    options: Arc<LayerOptions>,
}

/// A slot of this module's layer, which knows its options.
type LayerSlot = Slot<Arc<LayerOptions>>;

/// A request's session, as the layer leaves it in the request's extensions.
#[derive(Clone)]
pub(crate) struct RequestSession {
    slot: Arc<LayerSlot>,
    /// The session of the layer around this one.
    outer: Option<Arc<RequestSession>>,
}

impl RequestSession {
    /// The slot, as handles know it.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub(crate) fn slot(&self) -> Arc<Slot> {
        Arc::<LayerSlot>::clone(&self.slot)
    }

    /// Returns the options of the layer.
    pub(super) fn options(&self) -> &LayerOptions {
        self.slot.layer()
    }

    /// Returns the tokens that the request presents.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    pub(crate) fn presented(&self, headers: &HeaderMap) -> Presented {
        let LayerOptions { context, http, .. } = self.options();
        let events = &context.events;
        let found = http.cookie.read(headers, |value| http.read_token(value, events));
        let may_be_lost = http.cookie.is_secure() && found.presented[0].is_none();
        let is_over_http = may_be_lost && request::is_over_http(headers);
        CookieNotes { is_repeated: found.is_repeated, is_over_http }.note(&*self.slot);
        found.presented
    }

    /// Returns the session with this cookie, of this layer or one around it.
    fn of_cookie(&self, name: &str) -> Option<&Self> {
        let is_own = self.slot.layer().http.cookie.name() == name;
        if is_own { Some(self) } else { self.outer.as_ref()?.of_cookie(name) }
    }
}

impl<S> SessionService<S> {
    pub(super) const fn new(inner: S, options: Arc<LayerOptions>) -> Self {
        Self { inner, options }
    }

    fn report_nested(&self) {
        let LayerOptions { context, http, .. } = &*self.options;
        let error = Error::config(format!(
            "a `SessionLayer` is inside another one with the cookie `{}` and other settings: the outer one counts \
             and this one is ignored; give it a cookie of its own with `with_cookie`, or leave one of them out",
            http.cookie.name()
        ));
        let event = Event::Misconfigured { error: &error };
        HttpOptions::report_once(&http.reported.nested, &context.events, &event);
    }
}

/// Copies a request's head for the error hook, without extensions: a copy of the slot would outlive its request.
fn head_of<B>(request: &Request<B>) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = request.method().clone();
    head.uri = request.uri().clone();
    head.version = request.version();
    head.headers = request.headers().clone();
    head
}

/// Reports to the log, and not to the client, that a route takes a session and has no layer.
pub(crate) fn report_missing_layer(head: &Parts) {
    // There is no layer, so there are no events of a layer.
    static EVENTS: LazyLock<Events> = LazyLock::new(Events::default);
    let error = Error::config(format!(
        "the route of `{} {}` takes a session, and no session layer is around it; add \
         `.layer(SessionLayer::new(store))` after the route",
        head.method,
        head.uri.path()
    ));
    EVENTS.report(&Event::Misconfigured { error: &error });
}

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
        let http = &self.options.http;
        let outer = request.extensions_mut().remove::<RequestSession>();
        if let Some(same) = outer.as_ref().and_then(|outer| outer.of_cookie(http.cookie.name())) {
            // A layer around this one has the cookie already. Two would commit past each other.
            if !Arc::ptr_eq(same.slot.layer(), &self.options) {
                self.report_nested();
            }
            // Extractors inside find the session of that cookie, even behind a third layer.
            let (slot, outer) = (Arc::clone(&same.slot), outer.map(Arc::new));
            request.extensions_mut().insert(RequestSession { slot, outer });
            let step = ResponseStep::Passing { handler: self.inner.call(request) };
            return ResponseFuture { step, slot: None, head: None, answered: true };
        }
        let facts = request::facts(
            request.method(),
            request.headers(),
            http.cookie.same_site(),
            http.admits_cross_site_logins,
        );
        let head = http.error_response.is_some().then(|| Box::new(head_of(&request)));
        let slot = Arc::new(Slot::new(Arc::clone(&self.options), facts));
        let session = RequestSession { slot: Arc::clone(&slot), outer: outer.map(Arc::new) };
        request.extensions_mut().insert(session);
        let step = ResponseStep::Handling { handler: self.inner.call(request) };
        ResponseFuture { step, slot: Some(slot), head, answered: false }
    }
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

pin_project! {
    /// The response of a request: it waits for the handler, then for the commit.
    pub struct ResponseFuture<F, B> {
        #[pin]
        step: ResponseStep<F, B>,
        // `None` inside another layer of the same cookie.
        slot: Option<Arc<LayerSlot>>,
        // The request's head, for the layer's hook.
        head: Option<Box<Parts>>,
        answered: bool,
    }

    impl<F, B> PinnedDrop for ResponseFuture<F, B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(slot) = this.slot {
                let slot: Arc<Slot> = Arc::<LayerSlot>::clone(slot);
                slot.detach(*this.answered);
            }
        }
    }
}

pin_project! {
    #[project = ResponseStepProjection]
    enum ResponseStep<F, B> {
        Passing { #[pin] handler: F },
        Handling { #[pin] handler: F },
        Committing { response: Option<Response<B>>, commit: Surviving<ResponseOutcome> },
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
                ResponseStepProjection::Passing { handler } => return handler.poll(context),
                ResponseStepProjection::Handling { handler } => {
                    let mut response = ready!(handler.poll(context))?;
                    let Some(slot) = this.slot else { return Poll::Ready(Ok(response)) };
                    let http = &slot.layer().http;
                    let known: &Slot = &**slot;
                    let scope = write_scope(response.status(), http.on_server_error);
                    render_rejection(&mut response, http, this.head.as_deref());
                    match known.close(scope) {
                        Closing::Untouched => {
                            *this.answered = true;
                            return Poll::Ready(Ok(response));
                        }
                        Closing::Done(outcome) => {
                            *this.answered = true;
                            let head = this.head.as_deref();
                            apply_outcome(
                                &mut response,
                                outcome,
                                http,
                                known.events(),
                                CookieNotes::of(slot),
                                head,
                            );
                            return Poll::Ready(Ok(response));
                        }
                        Closing::MustFlush => {}
                    }
                    *this.answered = true;
                    // Not kept: who else knows the slot decides what its last write keeps.
                    let commit = { Arc::<LayerSlot>::clone(slot) as Arc<Slot> }.finish(scope);
                    this.step.set(ResponseStep::Committing { response: Some(response), commit });
                }
                ResponseStepProjection::Committing { response, commit } => {
                    let outcome = ready!(Pin::new(commit).poll(context));
                    // invariant: the response was put there just above, and polling ends here.
                    let mut response = response.take().unwrap_or_else(|| Response::new(B::from("")));
                    let outcome = outcome.unwrap_or_else(|error| {
                        // The work itself failed, and could report nothing.
                        if let Some(slot) = this.slot.as_ref() {
                            let slot: &Slot = &**slot;
                            slot.report_failure(&error);
                        }
                        ResponseOutcome {
                            cookie: CookieChange::None,
                            is_privileged: true,
                            error: Some(error),
                        }
                    });
                    if let Some(slot) = this.slot {
                        let LayerOptions { context, http, .. } = &**slot.layer();
                        let (events, head) = (&context.events, this.head.as_deref());
                        apply_outcome(&mut response, outcome, http, events, CookieNotes::of(slot), head);
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

/// Returns the changes that a response with this status lets the slot write.
///
/// A failed request must not take effect by half. Layers inside of this one answer 408 and 499 when they gave up on a
/// handler.
fn write_scope(status: StatusCode, on_server_error: OnServerError) -> WriteScope {
    let gave_up = status == StatusCode::REQUEST_TIMEOUT || status.as_u16() == 499;
    if gave_up || (status.is_server_error() && on_server_error == OnServerError::Discard) {
        WriteScope::RemovalsOnly
    } else if status.is_client_error() {
        WriteScope::WithoutGrants
    } else {
        WriteScope::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_grants_nothing() {
        for (status, expected) in [
            (200, WriteScope::All),
            (303, WriteScope::All),
            (400, WriteScope::WithoutGrants),
            (403, WriteScope::WithoutGrants),
            (451, WriteScope::WithoutGrants),
            (499, WriteScope::RemovalsOnly),
        ] {
            assert_eq!(write_scope(StatusCode::from_u16(status).unwrap(), OnServerError::Commit), expected);
        }
    }

    #[test]
    fn what_failed_or_was_given_up_is_discarded() {
        let scopes = |policy| {
            [200, 404, 409, 408, 499, 500, 503].map(|status| {
                write_scope(StatusCode::from_u16(status).unwrap(), policy) == WriteScope::RemovalsOnly
            })
        };
        assert_eq!(scopes(OnServerError::Discard), [false, false, false, true, true, true, true]);
        assert_eq!(scopes(OnServerError::Commit), [false, false, false, true, true, false, false]);
    }
}
