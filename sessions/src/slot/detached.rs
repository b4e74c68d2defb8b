//! Work that goes on when nobody waits for it any more.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{runtime::Handle, task::JoinHandle};

use crate::error::Error;

/// Work that, once begun, is finished even if this future is dropped: a browser that goes away
/// must not leave a commit half awaited.
pub(crate) struct Detached<T: Send + 'static>(State<T>);

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

enum State<T> {
    /// To be begun in place, and to go on in a task.
    Unbegun(Work<T>),
    Task(JoinHandle<Result<T, Error>>),
    InPlace(Work<T>),
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

    /// Goes on where it is awaited, and in a task only from when it is dropped.
    ///
    /// For what the layer awaits in the request's own future. To wake another thread for a task
    /// costs as much as all the rest of a commit.
    pub(crate) fn in_place(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(State::InPlace(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.0, State::Done) {
            State::Unbegun(mut work) => {
                let polled = poll_caught(&mut work, context);
                if polled.is_pending() {
                    self.0 = State::Task(tokio::spawn(work));
                    return self.poll(context);
                }
                polled
            }
            State::Task(mut task) => {
                let joined = Pin::new(&mut task).poll(context);
                if joined.is_pending() {
                    self.0 = State::Task(task);
                }
                joined.map(|joined| joined.unwrap_or_else(|error| Err(Error::unknown(error))))
            }
            State::InPlace(mut work) => {
                let polled = poll_caught(&mut work, context);
                if polled.is_pending() {
                    self.0 = State::InPlace(work);
                }
                polled
            }
            State::Done => Poll::Ready(Err(Error::unknown("polled again after it was done"))),
        }
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let State::InPlace(work) = std::mem::replace(&mut self.0, State::Done)
            // Without a runtime nothing can go on.
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}

/// A store that panics fails the request in either place.
fn poll_caught<T>(work: &mut Work<T>, context: &mut Context<'_>) -> Poll<Result<T, Error>> {
    catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
        .unwrap_or_else(|_| Poll::Ready(Err(Error::unknown("the session store panicked"))))
}
