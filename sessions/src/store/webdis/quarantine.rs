//! The count of the connections that are kept out of use until their reply has come.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// The number of quarantined connections, and the number at which no call is started.
#[derive(Debug)]
pub(super) struct Quarantine {
    now: AtomicUsize,
    total: AtomicU64,
    limit: usize,
}

/// One quarantined connection, counted until this is dropped.
#[must_use = "counted only for as long as it is kept"]
#[derive(Debug)]
pub(super) struct QuarantineGuard(Arc<Quarantine>);

impl Quarantine {
    pub(super) const fn new(limit: usize) -> Self {
        Self { now: AtomicUsize::new(0), total: AtomicU64::new(0), limit }
    }

    /// Counts one more connection. `why` is for the log, and contains nothing that was sent or received.
    pub(super) fn enter(self: &Arc<Self>, why: &'static str) -> QuarantineGuard {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.total.fetch_add(1, Ordering::Relaxed);
        warn(why, now);
        QuarantineGuard(Arc::clone(self))
    }

    /// Returns the number of quarantined connections.
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that were ever quarantined.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns true if no call may be started.
    pub(super) fn is_full(&self) -> bool {
        self.now() >= self.limit
    }
}

impl Drop for QuarantineGuard {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(feature = "tracing")]
fn warn(why: &'static str, now: usize) {
    tracing::warn!(
        why,
        quarantined = now,
        "a connection of the session store to Webdis is quarantined until its own reply has come; if this goes on, \
         check that Webdis is 0.1.20 or newer and that Redis answers in time"
    );
}

#[cfg(not(feature = "tracing"))]
fn warn(_: &'static str, _: usize) {}
