//! The health of one server: since when it does nothing, and since when it refuses writes.
//!
//! # Design
//!
//! A server that answers reads may still refuse writes, so the two are tracked apart. Reads succeed while
//! `min-replicas-to-write` is not met, or after the primary was demoted. If a read cleared the refusal, each write
//! would wait for its whole timeout, for ever.
//!
//! A new connection may lead to another primary. So new ones are opened when the refusal begins, then after 0.2 s,
//! 0.4 s and so on up to 2 s, whatever the number of requests.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The pause between two rounds of new connections to a server that refuses writes, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// The health of one server.
#[derive(Debug, Default)]
pub(super) struct ServerHealth {
    /// The moment since which the server does nothing.
    away_since: Mutex<Option<Instant>>,
    /// True while `away_since` is set, so that the usual case takes no lock.
    is_away: AtomicBool,
    refusal: Mutex<Option<WriteRefusal>>,
    /// True while `refusal` is set, so that the usual case takes no lock.
    is_refusing: AtomicBool,
}

/// A server's refusal of all writes: it is no primary any more, or has too few replicas. Reads may go on meanwhile.
#[derive(Clone, Copy, Debug)]
struct WriteRefusal {
    since: Instant,
    /// The moment from which new connections are opened again.
    reconnect_at: Instant,
    /// The pause after that moment.
    pause: Duration,
}

/// The next step for a write that the server refused as it refuses all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterRefusal {
    /// Open new connections, which may lead to another primary.
    Reconnect,
    /// Wait a moment.
    Wait,
    /// Fail the request: the refusal has lasted for longer than a request may take.
    GiveUp,
}

impl ServerHealth {
    /// Notes that the server did nothing for a request.
    pub(super) fn mark_away(&self, now: Instant) {
        lock(&self.away_since).get_or_insert(now);
        self.is_away.store(true, Ordering::Relaxed);
    }

    /// Notes that the server did something.
    pub(super) fn mark_back(&self) {
        if self.is_away.load(Ordering::Relaxed) {
            *lock(&self.away_since) = None;
            self.is_away.store(false, Ordering::Relaxed);
        }
    }

    /// Returns true if the server has done nothing for longer than this.
    pub(super) fn is_away_for_longer_than(&self, timeout: Duration, now: Instant) -> bool {
        lock(&self.away_since).is_some_and(|since| now.duration_since(since) > timeout)
    }

    /// Notes that the server refused a write as it refuses all, and returns the next step for a request that may take
    /// this long.
    pub(super) fn mark_refusing(&self, timeout: Duration, now: Instant) -> AfterRefusal {
        let mut refusal = lock(&self.refusal);
        let known = refusal.get_or_insert(WriteRefusal { since: now, reconnect_at: now, pause: PAUSES.0 });
        self.is_refusing.store(true, Ordering::Relaxed);
        if now >= known.reconnect_at {
            (known.reconnect_at, known.pause) = (now + known.pause, (known.pause * 2).min(PAUSES.1));
            AfterRefusal::Reconnect
        } else if now - known.since > timeout {
            AfterRefusal::GiveUp
        } else {
            AfterRefusal::Wait
        }
    }

    /// Notes that the server has written something.
    pub(super) fn mark_written(&self) {
        if self.is_refusing.load(Ordering::Relaxed) {
            *lock(&self.refusal) = None;
            self.is_refusing.store(false, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    #[test]
    fn a_server_is_away_from_the_first_failure_until_it_does_something() {
        let (health, start) = (ServerHealth::default(), Instant::now());
        assert!(!health.is_away_for_longer_than(Duration::ZERO, start + TIMEOUT));
        health.mark_away(start);
        health.mark_away(start + TIMEOUT);
        assert!(!health.is_away_for_longer_than(TIMEOUT, start + TIMEOUT));
        assert!(health.is_away_for_longer_than(TIMEOUT, start + 2 * TIMEOUT));
        health.mark_back();
        assert!(!health.is_away_for_longer_than(TIMEOUT, start + 2 * TIMEOUT));
    }

    #[test]
    fn a_refusal_of_writes_reconnects_more_and_more_slowly_and_ends_with_a_write_only() {
        let (health, start) = (ServerHealth::default(), Instant::now());
        let at = |millis| health.mark_refusing(TIMEOUT, start + Duration::from_millis(millis));
        for (millis, step) in [
            (0, AfterRefusal::Reconnect),
            (199, AfterRefusal::Wait),
            (200, AfterRefusal::Reconnect),
            (599, AfterRefusal::Wait),
            (600, AfterRefusal::Reconnect),
            (1000, AfterRefusal::Wait),
            (1001, AfterRefusal::GiveUp),
            (1400, AfterRefusal::Reconnect),
            (3000, AfterRefusal::Reconnect),
            (4999, AfterRefusal::GiveUp),
            (5000, AfterRefusal::Reconnect),
        ] {
            assert_eq!(at(millis), step, "{millis}");
        }
        // A read that succeeds says nothing about writes.
        health.mark_back();
        assert_eq!(at(5001), AfterRefusal::GiveUp);
        health.mark_written();
        assert_eq!(at(5002), AfterRefusal::Reconnect);
        assert_eq!(at(5003), AfterRefusal::Wait);
    }
}
