//! Work that several runtimes carry on together.
//!
//! What is queued for one connection is done one after the other, but may be asked for in several
//! runtimes: one per worker of a server, one after the other in tests. A task of one of them alone
//! would make the others wait while that runtime stands still, and would fail them when it ends. So
//! each runtime that asks has a task of its own for the same work, and whichever is polled first
//! takes the next step. With one runtime, as is usual, there is one task.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use tokio::runtime::{Handle, Id};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work, and the runtimes that carry it on. Dropped unfinished when the last of them ended.
pub(super) struct Errand {
    /// Missing while it takes a step, and when it is over.
    work: Mutex<Option<Work>>,
    riders: Mutex<Riders>,
}

#[derive(Default)]
struct Riders {
    all: Vec<Rider>,
    /// Whether the last one left.
    is_over: bool,
}

/// A runtime that has a task for the work.
struct Rider {
    runtime: Handle,
    /// Of that task, once it was polled.
    waker: Option<Waker>,
}

/// The task of one runtime, to be spawned there.
#[must_use = "who waits in this runtime may wait for ever"]
pub(super) struct Ride {
    errand: Arc<Errand>,
    runtime: Handle,
}

impl Errand {
    pub(super) fn new(work: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        Arc::new(Self { work: Mutex::new(Some(Box::pin(work))), riders: Mutex::default() })
    }

    /// A task for this runtime, unless it has one. Nor is there any for work that was given up.
    pub(super) fn board(self: &Arc<Self>, runtime: &Handle) -> Option<Ride> {
        let mut riders = lock(&self.riders);
        if riders.is_over || riders.has(runtime.id()) {
            return None;
        }
        riders.all.push(Rider { runtime: runtime.clone(), waker: None });
        Some(Ride { errand: Arc::clone(self), runtime: runtime.clone() })
    }

    /// The runtimes that carry it on.
    pub(super) fn runtimes(&self) -> Vec<Handle> {
        lock(&self.riders).all.iter().map(|rider| rider.runtime.clone()).collect()
    }

    /// Wakes every task. Not under the lock: a runtime that shuts down drops a task that is woken,
    /// and that takes the lock too.
    fn wake_all(&self) {
        let wakers: Vec<_> = lock(&self.riders).all.iter().filter_map(|rider| rider.waker.clone()).collect();
        for waker in wakers {
            waker.wake();
        }
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").finish_non_exhaustive()
    }
}

impl Wake for Errand {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

impl Riders {
    fn has(&self, runtime: Id) -> bool {
        self.all.iter().any(|rider| rider.runtime.id() == runtime)
    }
}

impl Ride {
    /// Hands the task to its runtime. One that ended drops it at once.
    pub(super) fn spawn(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self);
    }

    fn note(&self, waker: &Waker) {
        let mut riders = lock(&self.errand.riders);
        let mine = riders.all.iter_mut().find(|rider| rider.runtime.id() == self.runtime.id());
        if let Some(rider) = mine {
            match &mut rider.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }
}

impl Future for Ride {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.note(context.waker());
        // Waits for another runtime's step, which is short: to leave it to that runtime would be to
        // wait for it, should it stand still after the step.
        let mut place = lock(&self.errand.work);
        let Some(mut work) = place.take() else { return Poll::Ready(()) };
        let waker = Waker::from(Arc::clone(&self.errand));
        let step = work.as_mut().poll(&mut Context::from_waker(&waker));
        if step.is_pending() {
            *place = Some(work);
        }
        step
    }
}

impl Drop for Ride {
    fn drop(&mut self) {
        let mut riders = lock(&self.errand.riders);
        riders.all.retain(|rider| rider.runtime.id() != self.runtime.id());
        riders.is_over = riders.all.is_empty();
        let is_over = riders.is_over;
        drop(riders);
        if is_over {
            let work = lock(&self.errand.work).take();
            // Outside of the lock: unfinished work gives back what it has.
            drop(work);
        } else {
            // It may be finished, or the one that left was the one to take the next step.
            self.errand.wake_all();
        }
    }
}

/// After a panic in a step the work is gone, and nothing here is left half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
