//! Work that goes on when nobody waits for it any more.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::JoinHandle;

use crate::error::Error;

/// Work that, once begun, is finished even if this future is dropped: a browser that goes away
/// must not leave a commit half awaited.
///
/// The first poll runs it in place, since a store in memory is then done; whatever is left goes on
/// in a task of its own.
pub(crate) struct Detached<T>(State<T>);

type Work<T> = dyn Future<Output = Result<T, Error>> + Send;

enum State<T> {
    InPlace(Option<Pin<Box<Work<T>>>>),
    Task(JoinHandle<Result<T, Error>>),
}

impl<T: Send + 'static> Detached<T> {
    pub(crate) fn new(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(State::InPlace(Some(Box::pin(work))))
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::InPlace(work) = &mut self.0
            && let Some(mut work) = work.take()
        {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            self.0 = State::Task(tokio::spawn(work));
        }
        match &mut self.0 {
            State::InPlace(_) => Poll::Ready(Err(Error::unknown("polled again after it was done"))),
            State::Task(task) => Pin::new(task).poll(context).map(|joined| match joined {
                Ok(output) => output,
                Err(error) => Err(Error::unknown(error)),
            }),
        }
    }
}
