//! Work of a slot that goes on when nobody polls it, and commits when nobody waits for them any more.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use tokio::task::JoinHandle;

use super::{GoesOn, Slot};
use crate::{error::Error, in_place::InPlace, span::in_current_span};

/// Work that, once begun, goes on whether this future is polled or not.
///
/// A write is also finished if this is dropped: a browser that goes away must not leave a commit half awaited. A
/// layer has so many of those at a time ([`Slot::may_go_on`]); one beyond them ends there, unless it takes
/// something away. Action only reads ends when this is dropped.
pub(crate) struct Surviving<T: Send + 'static> {
    state: RequestState<T>,
    /// Action is written to, if it is.
    slot: Weak<Slot>,
}

type Work<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

enum RequestState<T: Send + 'static> {
    /// To be begun in place, and to go on in a task.
    Unbegun(Work<T>),
    Task(JoinHandle<Result<T, Error>>),
    InPlace(InPlace<Result<T, Error>>),
    Done,
}

impl<T: Send + 'static> Surviving<T> {
    /// Goes on in a task of its own, unless its first poll is its last, as with a store in memory.
    ///
    /// For what a handler awaits, which may keep this and poll something else: the slot must not
    /// be held up by that.
    pub(super) fn in_task(
        slot: &Arc<Slot>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self { state: RequestState::Unbegun(Box::pin(work)), slot: Arc::downgrade(slot) }
    }

    /// The same of what only reads.
    pub(super) fn reading(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self { state: RequestState::Unbegun(Box::pin(work)), slot: Weak::new() }
    }

    /// Goes on where it is awaited. For what the layer awaits, in the request's own future.
    pub(super) fn in_place(
        slot: &Arc<Slot>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self { state: RequestState::InPlace(InPlace::new(work)), slot: Arc::downgrade(slot) }
    }
}

impl<T: Send + 'static> Future for Surviving<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let RequestState::Unbegun(work) = &mut self.state {
            let polled = caught(|| work.as_mut().poll(context));
            let RequestState::Unbegun(work) = std::mem::replace(&mut self.state, RequestState::Done) else {
                return polled;
            };
            if polled.is_ready() {
                return polled;
            }
            self.state = RequestState::Task(tokio::spawn(in_current_span(work)));
        }
        let polled = match &mut self.state {
            RequestState::Task(task) => Pin::new(task)
                .poll(context)
                .map(|joined| joined.unwrap_or_else(|error| Err(Error::outcome_unknown(error)))),
            RequestState::InPlace(work) => caught(|| Pin::new(work).poll(context)),
            RequestState::Unbegun(_) | RequestState::Done => {
                Poll::Ready(Err(Error::outcome_unknown("polled again after it was done")))
            }
        };
        if polled.is_ready() {
            self.state = RequestState::Done;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Surviving<T> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, RequestState::Done);
        let slot = match &state {
            RequestState::Unbegun(_) | RequestState::Done => return,
            RequestState::Task(_) | RequestState::InPlace(_) => self.slot.upgrade(),
        };
        match (state, slot.as_ref().map(|slot| slot.may_go_on())) {
            (RequestState::Task(task), Some(GoesOn::Counted(permit))) => {
                // Counted until it is done.
                if let Some(runtime) = slot.and_then(|slot| slot.context().runtime()) {
                    runtime.spawn(async move {
                        let _permit = permit;
                        let _ = task.await;
                    });
                }
            }
            (RequestState::InPlace(work), Some(GoesOn::Counted(permit))) => drop(work.keeping(permit)),
            (RequestState::Task(task), Some(GoesOn::No) | None) => task.abort(),
            (RequestState::InPlace(work), Some(GoesOn::No) | None) => {
                work.stop();
                if let Some(slot) = slot {
                    slot.close_unanswered();
                }
            }
            (_, Some(GoesOn::Always)) | (RequestState::Unbegun(_) | RequestState::Done, _) => {}
        }
    }
}

/// A store that panics fails the request, wherever it does.
pub(super) fn caught<T>(poll: impl FnOnce() -> Poll<Result<T, Error>>) -> Poll<Result<T, Error>> {
    catch_unwind(AssertUnwindSafe(poll))
        .unwrap_or_else(|_| Poll::Ready(Err(Error::outcome_unknown("the session store panicked"))))
}
