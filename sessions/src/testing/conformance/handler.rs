//! Handlers: closures that take sessions and return a response or a value.

use std::{future::Future, pin::Pin};

use http::request::Parts;

use super::{
    super::Gate,
    reply::{HandlerFailure, HandlerReply, IntoReply},
};
use crate::__private::FromRequestParts;

pub(super) type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handler of one request: an async closure of up to two sessions (or of other extractors, such as `Parts`).
///
/// The sessions are taken in the order of the arguments, before the closure runs.
pub(super) trait TestHandler<A>: Send + 'static {
    type Output: Send + 'static;

    fn call(self, arguments: A) -> impl Future<Output = Self::Output> + Send;
}

impl<F, R> TestHandler<()> for F
where
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output: Send + 'static> + Send,
{
    type Output = R::Output;

    fn call(self, (): ()) -> impl Future<Output = Self::Output> + Send {
        self()
    }
}

impl<F, R, A> TestHandler<(A,)> for F
where
    F: FnOnce(A) -> R + Send + 'static,
    R: Future<Output: Send + 'static> + Send,
{
    type Output = R::Output;

    fn call(self, (one,): (A,)) -> impl Future<Output = Self::Output> + Send {
        self(one)
    }
}

impl<F, R, A, B> TestHandler<(A, B)> for F
where
    F: FnOnce(A, B) -> R + Send + 'static,
    R: Future<Output: Send + 'static> + Send,
{
    type Output = R::Output;

    fn call(self, (one, other): (A, B)) -> impl Future<Output = Self::Output> + Send {
        self(one, other)
    }
}

/// The arguments of a handler, taken from its request.
pub(super) trait HandlerArguments: Sized + Send + 'static {
    fn take(parts: &mut Parts) -> impl Future<Output = Result<Self, HandlerFailure>> + Send;
}

impl HandlerArguments for () {
    async fn take(_parts: &mut Parts) -> Result<Self, HandlerFailure> {
        Ok(())
    }
}

impl<A> HandlerArguments for (A,)
where
    A: FromRequestParts<(), Rejection: Into<HandlerFailure>> + Send + 'static,
{
    async fn take(parts: &mut Parts) -> Result<Self, HandlerFailure> {
        Ok((A::from_request_parts(parts, &()).await.map_err(Into::into)?,))
    }
}

impl<A, B> HandlerArguments for (A, B)
where
    A: FromRequestParts<(), Rejection: Into<HandlerFailure>> + Send + 'static,
    B: FromRequestParts<(), Rejection: Into<HandlerFailure>> + Send + 'static,
{
    async fn take(parts: &mut Parts) -> Result<Self, HandlerFailure> {
        let (one,) = <(A,)>::take(parts).await?;
        let (other,) = <(B,)>::take(parts).await?;
        Ok((one, other))
    }
}

/// Returns a handler that takes its sessions, passes the gate, and then runs.
pub(super) fn gated<A: HandlerArguments, H: TestHandler<A>>(gate: &Gate, handler: H) -> Gated<H> {
    // `A` is named so that a closure's arguments are known where it is written.
    Gated { gate: gate.clone(), handler }
}

/// A handler that passes a gate first.
pub(super) struct Gated<H> {
    gate: Gate,
    handler: H,
}

impl<A: HandlerArguments, H: TestHandler<A>> TestHandler<A> for Gated<H> {
    type Output = H::Output;

    async fn call(self, arguments: A) -> Self::Output {
        self.gate.pass().await;
        self.handler.call(arguments).await
    }
}

/// A handler of one session whose own type is erased, for a list of cases.
pub(super) type Case<S> = Box<dyn FnOnce(S) -> BoxedFuture<HandlerReply> + Send>;

/// Returns a handler as an element of a list of cases.
pub(super) fn case<S, H>(handler: H) -> Case<S>
where
    S: Send + 'static,
    H: TestHandler<(S,), Output: IntoReply>,
{
    Box::new(|session| Box::pin(async move { handler.call((session,)).await.into_reply() }))
}
