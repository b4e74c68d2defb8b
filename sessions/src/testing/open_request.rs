//! A request that has reached its handler and waits for the handler's response.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    ops::Deref,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum_core::{body::Body as HandlerBody, response::IntoResponse};
use http::{Request, Uri, request::Parts};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

use super::client::{Browser, Response};
use crate::{__private::FromRequestParts, Handle, SessionLayer, SessionRejection, SessionView, TypedSession};

type HandlerResponse = http::Response<HandlerBody>;
type Answer = Pin<Box<dyn Future<Output = Result<HandlerResponse, Infallible>> + Send>>;

/// A view whose handle a test can open. Every view that [`derive(Session)`](macro@crate::Session) made is one.
pub trait TestedView: SessionView<Handle: Tested> {}

impl<V: SessionView<Handle: Tested>> TestedView for V {}

/// A handle that a test can open.
pub trait Tested: FromRequestParts<(), Rejection = SessionRejection> + Deref<Target = Handle> + Send {}

impl<T> Tested for T where
    T: FromRequestParts<(), Rejection = SessionRejection> + Deref<Target = Handle> + Send
{
}

/// A request inside of a session layer, whose handler is the test. Dropping it is a client that goes away.
pub(super) struct OpenRequest {
    pub(super) parts: Parts,
    /// The whole URL.
    uri: Uri,
    reply: oneshot::Sender<HandlerResponse>,
    answer: Answer,
}

/// The service under the layer: it gives the request out, and answers when told.
#[derive(Clone, Default)]
struct WaitingService(Arc<Mutex<Option<GivenOut>>>);

/// The head of a request, and the way to answer it.
type GivenOut = (Parts, oneshot::Sender<HandlerResponse>);

impl Service<Request<()>> for WaitingService {
    type Response = HandlerResponse;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Answer {
        let (reply, replied) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.into_parts().0, reply));
        Box::pin(async move { Ok(replied.await.expect("the reply is sent before the answer is awaited")) })
    }
}

impl OpenRequest {
    /// Sends a request of this browser through the layer.
    pub(super) fn begin(layer: &SessionLayer, browser: &Browser, mut request: Request<()>) -> Self {
        let uri = browser.prepare(&mut request);
        let service = WaitingService::default();
        let answer = Box::pin(layer.layer(service.clone()).call(request));
        let taken = service.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (parts, reply) = taken.expect("the layer passes a request on at once");
        Self { parts, uri, reply, answer }
    }

    /// Opens the request's session as a handle of this view.
    pub(super) async fn session<V: TestedView>(&mut self) -> TypedSession<V> {
        let opened = V::Handle::from_request_parts(&mut self.parts, &()).await;
        opened.unwrap_or_else(|rejection| panic!("the session does not open: {rejection:?}"))
    }

    /// Answers with the handler's response, and returns the one that the layer makes of it.
    pub(super) async fn finish(self, browser: &Browser, response: impl IntoResponse) -> Response {
        let Self { parts, uri, reply, answer } = self;
        let method = parts.method.clone();
        // As a handler's argument, it is gone when the handler returns.
        drop(parts);
        assert!(reply.send(response.into_response()).is_ok(), "the layer waits for its handler");
        let Ok(answer) = answer.await;
        let response = Response::read(answer).await.to(method, uri);
        browser.receive(&response);
        response
    }
}

impl fmt::Debug for OpenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenRequest").field("uri", &self.uri).finish_non_exhaustive()
    }
}
