//! Commits that go on when nobody waits for them any more.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::JoinHandle;

use crate::{error::Error, in_place::InPlace, span::in_current_span};

/// Work that, once begun, is finished even if this future is dropped: a browser that goes away
/// must not leave a commit half awaited.
pub(crate) struct Detached<T: Send + 'static>(State<T>);

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

enum State<T: Send + 'static> {
    /// To be begun in place, and to go on in a task.
    Unbegun(Work<T>),
    Task(JoinHandle<Result<T, Error>>),
    InPlace(InPlace<Result<T, Error>>),
    Done,
}

impl<T: Send + 'static> Detached<T> {
    /// Goes on in a task of its own, unless its first poll is its last, as with a store in memory.
    ///
    /// For what a handler awaits, which may keep this and poll something else: the slot must not
    /// be held up by that.
    pub(crate) fn in_task(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(State::Unbegun(Box::pin(work)))
    }

    /// Goes on where it is awaited. For what the layer awaits, in the request's own future.
    pub(crate) fn in_place(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(State::InPlace(InPlace::new(work)))
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Unbegun(work) = &mut self.0 {
            let polled = caught(|| work.as_mut().poll(context));
            let State::Unbegun(work) = std::mem::replace(&mut self.0, State::Done) else { return polled };
            if polled.is_ready() {
                return polled;
            }
            self.0 = State::Task(tokio::spawn(in_current_span(work)));
        }
        let polled = match &mut self.0 {
            State::Task(task) => Pin::new(task)
                .poll(context)
                .map(|joined| joined.unwrap_or_else(|error| Err(Error::unknown(error)))),
            State::InPlace(work) => caught(|| Pin::new(work).poll(context)),
            State::Unbegun(_) | State::Done => {
                Poll::Ready(Err(Error::unknown("polled again after it was done")))
            }
        };
        if polled.is_ready() {
            self.0 = State::Done;
        }
        polled
    }
}

/// A store that panics fails the request, wherever it does.
pub(super) fn caught<T>(poll: impl FnOnce() -> Poll<Result<T, Error>>) -> Poll<Result<T, Error>> {
    catch_unwind(AssertUnwindSafe(poll))
        .unwrap_or_else(|_| Poll::Ready(Err(Error::unknown("the session store panicked"))))
}
