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
/// Whoever keeps this and polls something else in its place stops the work: nothing else may wait for it.
pub(crate) struct InPlace<T: Send + 'static>(Option<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T: Send + 'static> InPlace<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for InPlace<T> {
    type Output = T;

    /// Stays pending when it is polled after its end.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Not there while it is polled, so that work which panics is not begun again.
        let Some(mut work) = self.0.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for InPlace<T> {
    fn drop(&mut self) {
        // Without a runtime nothing can go on.
        if let Some(work) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}
