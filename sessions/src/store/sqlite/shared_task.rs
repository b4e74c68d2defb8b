//! A future that several tokio runtimes run together.
//!
//! # Design
//!
//! A worker runs requests one after the other, but they may come from several runtimes: one per thread of a server,
//! or one after the other in tests. A task in one of these runtimes would not do. While that runtime is blocked, the
//! others would wait for it. When it ends, their requests would fail.
//!
//! So each runtime with a request has a task of its own for the same future. Whichever is polled first takes the next
//! step. With one runtime, as is usual, there is one task.
//!
//! ```text
//!   runtime A: ParticipantTask ─┐ poll            wake: both tasks
//!                               ├────► SharedTask ───────► A, B
//!   runtime B: ParticipantTask ─┘  (one step at a time)
//! ```
//!
//! A thread of the store's own would need none of this. But each connection of sqlx has a thread already, so a request
//! would wake two more threads on its way there and back. With one request in flight, waking a thread costs as much
//! as the rest of the work.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use tokio::runtime::{Handle, Id};

/// A future with the runtimes that run it. It is dropped unfinished when the last of them has ended.
pub(super) struct SharedTask {
    /// The future. `None` once it is finished or dropped.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    participants: Mutex<Participants>,
}

#[derive(Default)]
struct Participants {
    all: Vec<Participant>,
    /// True once the last one left. None may join then, since the future is about to be dropped.
    is_over: bool,
}

/// A runtime that runs the future.
struct Participant {
    runtime: Id,
    /// The waker of its task, once that was polled.
    waker: Option<Waker>,
}

/// The task of one participant, to be spawned in its runtime.
#[must_use = "requests of this runtime may wait for ever unless the task is spawned"]
pub(super) struct ParticipantTask {
    shared: Arc<SharedTask>,
    runtime: Handle,
}

impl SharedTask {
    pub(super) fn new(future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        Arc::new(Self { future: Mutex::new(Some(Box::pin(future))), participants: Mutex::default() })
    }

    /// Returns a task for this runtime. `None` if the runtime has one, or if the future was given up.
    pub(super) fn join(self: &Arc<Self>, runtime: &Handle) -> Option<ParticipantTask> {
        let mut participants = lock(&self.participants);
        if participants.is_over || participants.find(runtime.id()).is_some() {
            return None;
        }
        participants.all.push(Participant { runtime: runtime.id(), waker: None });
        Some(ParticipantTask { shared: Arc::clone(self), runtime: runtime.clone() })
    }

    /// Wakes the tasks of all participants.
    fn wake_all(&self) {
        let wakers: Vec<_> =
            lock(&self.participants).all.iter().filter_map(|participant| participant.waker.clone()).collect();
        // Not under the lock: a runtime that shuts down drops a task that is woken, and `drop` takes the lock.
        for waker in wakers {
            waker.wake();
        }
    }
}

impl fmt::Debug for SharedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTask").finish_non_exhaustive()
    }
}

impl Wake for SharedTask {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

impl Participants {
    fn find(&mut self, runtime: Id) -> Option<&mut Participant> {
        self.all.iter_mut().find(|participant| participant.runtime == runtime)
    }
}

impl ParticipantTask {
    /// Spawns the task in its runtime. A runtime that has ended drops it at once.
    pub(super) fn spawn(self) {
        let runtime = self.runtime.clone();
        runtime.spawn(self);
    }

    fn note_waker(&self, waker: &Waker) {
        if let Some(participant) = lock(&self.shared.participants).find(self.runtime.id()) {
            match &mut participant.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }
}

impl Future for ParticipantTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.note_waker(context.waker());
        // Waits while another runtime takes a step, which is short. Leaving it to that runtime would mean to depend
        // on it, and it may be blocked after the step.
        let mut future = lock(&self.shared.future);
        // Taken out during the step, so that it is gone after a panic.
        let Some(mut work) = future.take() else { return Poll::Ready(()) };
        let waker = Waker::from(Arc::clone(&self.shared));
        let step = work.as_mut().poll(&mut Context::from_waker(&waker));
        if step.is_pending() {
            *future = Some(work);
        }
        step
    }
}

impl Drop for ParticipantTask {
    fn drop(&mut self) {
        let mut participants = lock(&self.shared.participants);
        participants.all.retain(|participant| participant.runtime != self.runtime.id());
        participants.is_over = participants.all.is_empty();
        let is_over = participants.is_over;
        drop(participants);
        if is_over {
            let unfinished = lock(&self.shared.future).take();
            // Not under the lock: a worker that is dropped gives its connection back to the queue.
            drop(unfinished);
        } else {
            // The future may be finished. Or the task that left was woken to take the next step.
            self.shared.wake_all();
        }
    }
}

/// Locks a mutex. After a panic in a step the future is gone, and nothing here is left half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
