//! Responses of handlers.

// A handler returns these as they are.
#![allow(clippy::unnecessary_wraps)]

use std::convert::Infallible;

use http::StatusCode;

use super::super::Body;
use crate::{error::Error, rejection::SessionRejection};

pub(super) type HandlerReply = http::Response<Body>;

/// The error response of a handler.
#[derive(Debug)]
pub(super) struct HandlerFailure(Box<HandlerReply>);

/// A value that a handler returns as its response.
///
/// Text is a body, a status is a response without a body, and an error is its error response.
pub(super) trait IntoReply {
    fn into_reply(self) -> HandlerReply;
}

impl IntoReply for HandlerReply {
    fn into_reply(self) -> HandlerReply {
        self
    }
}

impl IntoReply for () {
    fn into_reply(self) -> HandlerReply {
        HandlerReply::default()
    }
}

impl IntoReply for StatusCode {
    fn into_reply(self) -> HandlerReply {
        let mut reply = HandlerReply::default();
        *reply.status_mut() = self;
        reply
    }
}

impl IntoReply for String {
    fn into_reply(self) -> HandlerReply {
        HandlerReply::new(Body::from(self))
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> HandlerReply {
        HandlerReply::new(Body::from(self))
    }
}

impl IntoReply for HandlerFailure {
    fn into_reply(self) -> HandlerReply {
        *self.0
    }
}

impl<T: IntoReply, E: Into<HandlerFailure>> IntoReply for Result<T, E> {
    fn into_reply(self) -> HandlerReply {
        match self {
            Ok(value) => value.into_reply(),
            Err(error) => error.into().into_reply(),
        }
    }
}

/// Returns a response with this text.
pub(super) fn text(text: impl Into<String>) -> Result<HandlerReply, HandlerFailure> {
    Ok(text.into().into_reply())
}

/// Returns a response with this status.
pub(super) fn status(status: StatusCode) -> Result<HandlerReply, HandlerFailure> {
    Ok(status.into_reply())
}

/// Returns a response that redirects the browser.
pub(super) fn redirect(to: &'static str) -> Result<HandlerReply, HandlerFailure> {
    let mut reply = StatusCode::SEE_OTHER.into_reply();
    reply.headers_mut().insert(http::header::LOCATION, http::HeaderValue::from_static(to));
    Ok(reply)
}

impl From<SessionRejection> for HandlerFailure {
    fn from(rejection: SessionRejection) -> Self {
        let mut reply = HandlerReply::new(Body::from(rejection.body_text()));
        *reply.status_mut() = rejection.status();
        Self(Box::new(reply))
    }
}

/// The response of an application whose `save` failed.
impl From<Error> for HandlerFailure {
    fn from(error: Error) -> Self {
        let mut reply = HandlerReply::new(Body::from(error.to_string()));
        *reply.status_mut() = error.status();
        Self(Box::new(reply))
    }
}

impl From<Infallible> for HandlerFailure {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
