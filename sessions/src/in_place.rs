//! Work that goes on when its caller does not wait for it any more.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

use crate::span::in_current_span;

/// Work that is done where it is awaited, and goes on in a task of its own if this future is dropped.
///
/// A task from the beginning would do the same, but it wakes another thread, which costs as much as a commit to a store
/// in memory.
///
/// A caller that keeps this future and polls something else suspends the work, so nothing else may wait for it. Work
/// that was never polled does not begin when the future is dropped.
pub(crate) struct InPlace<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    /// The runtime in which it began. It may be dropped elsewhere.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> InPlace<T> {
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), runtime: None }
    }

    /// Keeps a value until the work ends.
    pub(crate) fn keeping(mut self, kept: impl Send + 'static) -> Self {
        if let Some(work) = self.work.take() {
            self.work = Some(Box::pin(async move {
                let _kept = kept;
                work.await
            }));
        }
        self
    }

    /// Drops the work, which then does not go on.
    pub(crate) fn stop(mut self) {
        self.work = None;
    }
}

impl<T: Send + 'static> Future for InPlace<T> {
    type Output = T;

    /// Polls the work. After its end, the future stays pending.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out while it is polled, so that work which panics is not polled again.
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
            runtime.spawn(in_current_span(work));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    /// Returns work that has begun. It waits for the sender, then notifies the receiver.
    async fn begun() -> (InPlace<()>, oneshot::Sender<()>, oneshot::Receiver<()>) {
        let ((go, gone), (tell, told)) = (oneshot::channel(), oneshot::channel());
        let mut work = InPlace::new(async move {
            gone.await.unwrap();
            tell.send(()).unwrap();
        });
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut work).poll(context))).await;
        assert!(polled.is_pending());
        (work, go, told)
    }

    #[tokio::test]
    async fn work_that_is_awaited_is_done_in_place() {
        let (work, go, told) = begun().await;
        go.send(()).unwrap();
        work.await;
        told.await.unwrap();
    }

    #[tokio::test]
    async fn dropped_work_goes_on_wherever_it_is_dropped() {
        let (work, go, told) = begun().await;
        // A thread without a runtime.
        std::thread::spawn(move || drop(work)).join().unwrap();
        go.send(()).unwrap();
        told.await.unwrap();
    }

    #[tokio::test]
    async fn work_that_was_not_begun_is_not_begun_by_dropping_it() {
        let (tell, told) = oneshot::channel();
        drop(InPlace::new(async move { tell.send(()).unwrap() }));
        assert!(told.await.is_err());
    }
}
