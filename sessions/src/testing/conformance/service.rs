//! The service under the layer: it runs the handler that a request carries.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{
    Request, StatusCode,
    request::{Builder, Parts},
};
use tower_service::Service;

use super::{
    super::{Body, Client, Response},
    handler::{BoxedFuture, HandlerArguments, TestHandler},
    reply::{HandlerReply, IntoReply},
};

type Answering = Pin<Box<dyn Future<Output = Result<HandlerReply, Infallible>> + Send>>;
type Run = Box<dyn FnOnce(Parts) -> BoxedFuture<HandlerReply> + Send>;

/// The handler of a request, among its extensions.
///
/// It is taken out once, so that what it holds is dropped with it.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Run>>>);

/// A service that runs the handler of each request. The response to a request without one is empty.
#[derive(Clone, Debug)]
pub(super) struct TestService;

impl Service<Request<Body>> for TestService {
    type Response = HandlerReply;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        let mut parts = request.into_parts().0;
        let carried = parts.extensions.remove::<Carried>();
        let run = carried.and_then(|Carried(run)| run.lock().unwrap_or_else(PoisonError::into_inner).take());
        match run {
            Some(run) => {
                let reply = run(parts);
                Box::pin(async move { Ok(reply.await) })
            }
            None => Box::pin(async { Ok(HandlerReply::default()) }),
        }
    }
}

/// Requests that carry their handlers.
///
/// The futures borrow nothing, so a scenario can spawn one and go on. All use the browser's cookies.
impl Client {
    /// Sends `GET /` and returns the value of the handler.
    ///
    /// # Panics
    ///
    /// If the response is not a 200.
    pub(super) fn visit<A, H>(&self, handler: H) -> impl Future<Output = H::Output> + Send + use<A, H>
    where
        A: HandlerArguments,
        H: TestHandler<A>,
    {
        let value = Arc::new(Mutex::new(None));
        let returned = Arc::clone(&value);
        let run: Run = Box::new(move |mut parts| {
            Box::pin(async move {
                let arguments = match A::take(&mut parts).await {
                    Ok(arguments) => arguments,
                    Err(failure) => return failure.into_reply(),
                };
                let output = handler.call(arguments).await;
                *returned.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
                HandlerReply::default()
            })
        });
        let response = carry(self.clone(), Request::get("/"), run);
        async move {
            let response = response.await;
            assert_eq!(response.status(), StatusCode::OK, "{}", response.text());
            let value = value.lock().unwrap_or_else(PoisonError::into_inner).take();
            value.expect("the handler ran, since the response is a 200")
        }
    }

    /// Sends `GET /` and returns the response, which the handler makes.
    pub(super) fn send<A, H>(&self, handler: H) -> BoxedFuture<Response>
    where
        A: HandlerArguments,
        H: TestHandler<A, Output: IntoReply>,
    {
        self.send_as(Request::get("/"), handler)
    }

    /// Sends `POST /` and returns the response, which the handler makes.
    pub(super) fn send_post<A, H>(&self, handler: H) -> BoxedFuture<Response>
    where
        A: HandlerArguments,
        H: TestHandler<A, Output: IntoReply>,
    {
        self.send_as(Request::post("/"), handler)
    }

    /// Sends a request and returns the response, which the handler makes.
    pub(super) fn send_as<A, H>(&self, request: Builder, handler: H) -> BoxedFuture<Response>
    where
        A: HandlerArguments,
        H: TestHandler<A, Output: IntoReply>,
    {
        let run: Run = Box::new(|mut parts| {
            Box::pin(async move {
                match A::take(&mut parts).await {
                    Ok(arguments) => handler.call(arguments).await.into_reply(),
                    Err(failure) => failure.into_reply(),
                }
            })
        });
        carry(self.clone(), request, run)
    }
}

fn carry(client: Client, request: Builder, run: Run) -> BoxedFuture<Response> {
    let carried = Carried(Arc::new(Mutex::new(Some(run))));
    let request = request.extension(carried).body(Body::default()).expect("a request of a scenario");
    Box::pin(async move { client.dispatch(request).await })
}
