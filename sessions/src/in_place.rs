//! Work that goes on when nobody waits for it any more.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// Work that is done where it is awaited, and goes on in a task of its own if this future is dropped.
///
/// A task from the beginning would do the same, but waking another thread for it costs as much as
/// a commit to a store in memory.
///
/// Whoever keeps this and polls something else in its place stops the work, so nothing else may wait
/// for it; and work that was never polled is not begun by dropping it.
pub(crate) struct InPlace<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    /// Where it was begun: it may be dropped elsewhere.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> InPlace<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), runtime: None }
    }
}

impl<T: Send + 'static> Future for InPlace<T> {
    type Output = T;

    /// Stays pending when it is polled after its end.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Not there while it is polled, so that work which panics is not begun again.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.work = Some(work);
            if self.runtime.is_none() {
                self.runtime = Handle::try_current().ok();
            }
        }
        polled
    }
}

impl<T: Send + 'static> Drop for InPlace<T> {
    fn drop(&mut self) {
        if let (Some(work), Some(runtime)) = (self.work.take(), self.runtime.take()) {
            runtime.spawn(work);
        }
    }
}
