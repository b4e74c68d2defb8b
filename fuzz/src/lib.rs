//! What several targets need: a service without a server, and a clock that stands still.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use http::{Request, Response};
use sessions::{Clock, Timestamp};
use tower_service::Service;

/// 2026-01-15T12:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_768_478_400_000);

/// A clock that stands still.
#[derive(Clone, Copy, Debug)]
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Waits for a future on a runtime of one thread.
pub fn wait<F: Future>(future: F) -> F::Output {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
    });
    RUNTIME.block_on(future)
}

/// What a handler's future is.
pub type Answering = Pin<Box<dyn Future<Output = Response<String>> + Send>>;

/// A function as a service that never fails.
#[derive(Clone)]
pub struct Handler<F>(pub F);

impl<F: FnMut(Request<()>) -> Answering> Service<Request<()>> for Handler<F> {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Infallibly;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Infallibly {
        Infallibly((self.0)(request))
    }
}

/// A handler's answer on its way.
pub struct Infallibly(Answering);

impl Future for Infallibly {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map(Ok)
    }
}

/// The value of the cookie that a response sets.
pub fn cookie_of(response: &Response<String>) -> Option<String> {
    let line = response.headers().get(http::header::SET_COOKIE)?.to_str().expect("a cookie is ASCII");
    let value = line.strip_prefix("__Host-sid=").expect("the layer's cookie");
    Some(value.split(';').next().unwrap_or_default().to_owned())
}
