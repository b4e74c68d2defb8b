//! A service made of a function, so that the suite needs no framework.

// What a handler returns, ready to be returned.
#![allow(clippy::unnecessary_wraps)]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, StatusCode, request::Parts};
use tower_service::Service;

use super::super::Body;
use crate::{error::Error, rejection::SessionRejection};

pub(super) type Reply = http::Response<Body>;

type Answering = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

/// Why a handler has no reply of its own.
#[derive(Debug)]
pub(super) struct Failure(Box<Reply>);

/// A handler as a service.
#[derive(Clone)]
pub(super) struct Handling(Arc<dyn Fn(Parts) -> Answering + Send + Sync>);

impl Handling {
    pub(super) fn new<F>(handler: impl Fn(Parts) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Reply, Failure>> + Send + 'static,
    {
        Self(Arc::new(move |parts| {
            let answer = handler(parts);
            Box::pin(async move { Ok(answer.await.unwrap_or_else(|Failure(reply)| *reply)) })
        }))
    }
}

impl Service<Request<Body>> for Handling {
    type Response = Reply;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        (self.0)(request.into_parts().0)
    }
}

/// A reply with this text.
pub(super) fn text(text: impl Into<String>) -> Result<Reply, Failure> {
    Ok(http::Response::new(Body::from(text.into())))
}

/// A reply with this status.
pub(super) fn status(status: StatusCode) -> Result<Reply, Failure> {
    let mut reply = http::Response::new(Body::default());
    *reply.status_mut() = status;
    Ok(reply)
}

/// A reply that sends the browser elsewhere.
pub(super) fn redirect(to: &'static str) -> Result<Reply, Failure> {
    let mut reply = http::Response::new(Body::default());
    *reply.status_mut() = StatusCode::SEE_OTHER;
    reply.headers_mut().insert(http::header::LOCATION, http::HeaderValue::from_static(to));
    Ok(reply)
}

impl From<SessionRejection> for Failure {
    fn from(rejection: SessionRejection) -> Self {
        let mut reply = http::Response::new(Body::from(rejection.body_text()));
        *reply.status_mut() = rejection.status();
        Self(Box::new(reply))
    }
}

/// As an application would answer when a `save` fails.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut reply = http::Response::new(Body::from(error.to_string()));
        *reply.status_mut() = error.status();
        Self(Box::new(reply))
    }
}
