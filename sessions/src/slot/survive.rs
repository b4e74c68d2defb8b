//! A future that outlives its caller: work of a slot that is finished though nothing polls it any more.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use tokio::{runtime::Handle, sync::OwnedSemaphorePermit, task::JoinHandle};

use super::Slot;
use crate::{error::Error, span::in_current_span};

/// Work that goes on, once begun, if this future is dropped.
///
/// A browser that goes away must not leave a commit half awaited. A layer has so many of those at a time
/// ([`Survival`]). One beyond them ends there, unless it takes something away. What only reads ends when this is
/// dropped. Work that was never polled is not begun by dropping it.
pub(crate) struct Surviving<T: Send + 'static> {
    work: SurvivingWork<T>,
    /// The slot that the work writes for, if it writes.
    slot: Weak<Slot>,
}

type BoxedWork<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

enum SurvivingWork<T: Send + 'static> {
    /// To be begun in place, and to go on in a task.
    Unbegun(BoxedWork<T>),
    InTask(JoinHandle<Result<T, Error>>),
    /// To go on where it is awaited, and in a task only if this future is dropped. A task from the beginning would do
    /// the same, but waking another thread for it costs as much as a commit to a store in memory.
    InPlace {
        work: BoxedWork<T>,
        /// The runtime where it was begun: it may be dropped elsewhere.
        runtime: Option<Handle>,
    },
    Done,
}

/// Decides if a write goes on after its request.
pub(super) enum Survival {
    /// It goes on, as one of so many.
    Counted(OwnedSemaphorePermit),
    /// It goes on: it ends a session, takes a right away or changes a secret.
    Always,
    /// It ends here.
    No,
}

impl<T: Send + 'static> Surviving<T> {
    /// Work that goes on in a task of its own, unless its first poll is its last, as with a store in memory.
    ///
    /// For what a handler awaits, which may keep this and poll something else: the slot must not be held up by that.
    pub(super) fn in_task(
        slot: &Arc<Slot>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self { work: SurvivingWork::Unbegun(Box::pin(work)), slot: Arc::downgrade(slot) }
    }

    /// Work in a task of its own that only reads.
    pub(super) fn reading(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self { work: SurvivingWork::Unbegun(Box::pin(work)), slot: Weak::new() }
    }

    /// Work that goes on where it is awaited. For what the layer awaits, in the request's own future: a caller that
    /// keeps it and polls something else stops the work.
    pub(super) fn in_place(
        slot: &Arc<Slot>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        let work = SurvivingWork::InPlace { work: Box::pin(work), runtime: None };
        Self { work, slot: Arc::downgrade(slot) }
    }
}

impl<T: Send + 'static> Future for Surviving<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Not there while it is polled, so that work which panics is not begun again.
        match std::mem::replace(&mut self.work, SurvivingWork::Done) {
            SurvivingWork::Unbegun(mut work) => {
                let polled = caught(|| work.as_mut().poll(context));
                if polled.is_pending() {
                    let mut task = tokio::spawn(in_current_span(work));
                    let polled = poll_task(&mut task, context);
                    if polled.is_pending() {
                        self.work = SurvivingWork::InTask(task);
                    }
                    return polled;
                }
                polled
            }
            SurvivingWork::InTask(mut task) => {
                let polled = poll_task(&mut task, context);
                if polled.is_pending() {
                    self.work = SurvivingWork::InTask(task);
                }
                polled
            }
            SurvivingWork::InPlace { mut work, runtime } => {
                let polled = caught(|| work.as_mut().poll(context));
                if polled.is_pending() {
                    let runtime = runtime.or_else(|| Handle::try_current().ok());
                    self.work = SurvivingWork::InPlace { work, runtime };
                }
                polled
            }
            SurvivingWork::Done => Poll::Ready(Err(Error::outcome_unknown("polled again after it was done"))),
        }
    }
}

fn poll_task<T>(
    task: &mut JoinHandle<Result<T, Error>>,
    context: &mut Context<'_>,
) -> Poll<Result<T, Error>> {
    let joined = Pin::new(task).poll(context);
    joined.map(|joined| joined.unwrap_or_else(|error| Err(Error::outcome_unknown(error))))
}

impl<T: Send + 'static> Drop for Surviving<T> {
    fn drop(&mut self) {
        let work = std::mem::replace(&mut self.work, SurvivingWork::Done);
        if matches!(work, SurvivingWork::Unbegun(_) | SurvivingWork::Done) {
            return;
        }
        let slot = self.slot.upgrade();
        let survival = slot.as_ref().map_or(Survival::No, |slot| slot.survival());
        match (work, survival) {
            (SurvivingWork::InTask(task), Survival::Counted(permit)) => {
                // Counted until it is done.
                if let Some(runtime) = slot.and_then(|slot| slot.context().runtime()) {
                    runtime.spawn(async move {
                        let _permit = permit;
                        let _ = task.await;
                    });
                }
            }
            (SurvivingWork::InTask(task), Survival::No) => task.abort(),
            (SurvivingWork::InPlace { work, runtime }, Survival::Counted(permit)) => {
                go_on(runtime, async move {
                    let _permit = permit;
                    work.await
                });
            }
            (SurvivingWork::InPlace { work, runtime }, Survival::Always) => go_on(runtime, work),
            (SurvivingWork::InPlace { work, .. }, Survival::No) => {
                drop(work);
                if let Some(slot) = slot {
                    slot.end_without_response();
                }
            }
            (SurvivingWork::InTask(_), Survival::Always)
            | (SurvivingWork::Unbegun(_) | SurvivingWork::Done, _) => {}
        }
    }
}

/// Goes on in a task, if the work was begun.
fn go_on<T: Send + 'static>(runtime: Option<Handle>, work: impl Future<Output = T> + Send + 'static) {
    if let Some(runtime) = runtime {
        runtime.spawn(in_current_span(work));
    }
}

/// Has a store that panics fail the request, wherever it does.
pub(super) fn caught<T>(poll: impl FnOnce() -> Poll<Result<T, Error>>) -> Poll<Result<T, Error>> {
    catch_unwind(AssertUnwindSafe(poll))
        .unwrap_or_else(|_| Poll::Ready(Err(Error::outcome_unknown("the session store panicked"))))
}

#[cfg(test)]
mod tests;
