//! Counts the connections that are kept out of use until their answer has come.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// The count, and how many calls may still be started at which.
#[derive(Debug)]
pub(super) struct Poisoned {
    now: AtomicUsize,
    total: AtomicU64,
    limit: usize,
}

/// One such connection.
#[must_use = "counted only for as long as it is kept"]
#[derive(Debug)]
pub(super) struct Poisoning(Arc<Poisoned>);

impl Poisoned {
    pub(super) const fn new(limit: usize) -> Self {
        Self { now: AtomicUsize::new(0), total: AtomicU64::new(0), limit }
    }

    /// Counts one more. `why` is for the log, and holds nothing of what was sent or came.
    pub(super) fn enter(self: &Arc<Self>, why: &'static str) -> Poisoning {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        warn(why, now);
        Poisoning(Arc::clone(self))
    }

    /// How many there are.
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// How many there ever were.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(super) fn are_too_many(&self) -> bool {
        self.now() >= self.limit
    }
}

impl Drop for Poisoning {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(feature = "tracing")]
fn warn(why: &'static str, now: usize) {
    tracing::warn!(why, now, "a connection to Webdis is kept out of use until its own reply has come");
}

#[cfg(not(feature = "tracing"))]
fn warn(_: &'static str, _: usize) {}
