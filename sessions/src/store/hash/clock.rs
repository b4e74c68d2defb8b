//! The server's time, between the moments at which it is asked.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use crate::value::Timestamp;

/// For how long a reading counts: a second, in which two clocks drift apart by microseconds.
const GOOD_FOR: i64 = 1000;

const UNKNOWN: i64 = i64::MIN;

/// The time of one server, read with a load now and then and carried on by a clock that is never
/// set. `TIME` with every load would cost the client a quarter of it.
///
/// It is late by the way of the reply that brought it, and never early: a session is not taken for
/// dead before it is. What is written is decided by the server's own `TIME`, in the script.
#[derive(Debug)]
pub(in crate::store) struct ServerClock {
    started: Instant,
    /// The server's time when the store was opened, in milliseconds; [`UNKNOWN`] before it was asked.
    offset: AtomicI64,
    /// Until when that counts, in milliseconds since then.
    good_until: AtomicI64,
}

impl ServerClock {
    pub(in crate::store) fn new() -> Self {
        Self { started: Instant::now(), offset: AtomicI64::new(UNKNOWN), good_until: AtomicI64::new(-1) }
    }

    /// The server's time now, if it was asked lately.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn now(&self) -> Option<Timestamp> {
        let elapsed = self.elapsed();
        let is_good = elapsed <= self.good_until.load(Ordering::Acquire);
        is_good.then(|| Timestamp::from_millis(self.offset.load(Ordering::Relaxed).saturating_add(elapsed)))
    }

    /// The server's time at a moment to come, if it was ever asked. If its clock was set since, or it is
    /// another server by now, this is wrong.
    pub(in crate::store) fn at(&self, moment: Instant) -> Option<Timestamp> {
        let offset = self.offset.load(Ordering::Relaxed);
        let elapsed = i64::try_from(moment.duration_since(self.started).as_millis()).unwrap_or(i64::MAX);
        (offset != UNKNOWN).then(|| Timestamp::from_millis(offset.saturating_add(elapsed)))
    }

    /// Notes what the server has just said.
    pub(in crate::store) fn set(&self, now: Timestamp) {
        let elapsed = self.elapsed();
        // Both are cut to milliseconds, so their sum may be one ahead.
        self.offset.store(now.as_millis().saturating_sub(elapsed + 1), Ordering::Relaxed);
        self.good_until.store(elapsed.saturating_add(GOOD_FOR), Ordering::Release);
    }

    /// The next connection may lead to another server, which has a clock of its own.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn forget(&self) {
        self.good_until.store(-1, Ordering::Release);
        self.offset.store(UNKNOWN, Ordering::Relaxed);
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reading_is_carried_on_and_forgotten() {
        let clock = ServerClock::new();
        assert_eq!((clock.now(), clock.at(Instant::now())), (None, None));
        let told = Timestamp::from_millis(1_000_000);
        clock.set(told);
        assert!(
            clock
                .now()
                .is_none_or(|now| now.as_millis() >= 999_999 && now <= Timestamp::from_millis(1_001_001))
        );
        clock.good_until.store(clock.elapsed() - 1, Ordering::Release);
        assert_eq!(clock.now(), None, "too old");
        clock.set(told);
        let later = clock.at(clock.started + Duration::from_hours(1));
        assert!(later.is_some_and(|later| (4_599_999..=4_600_001).contains(&later.as_millis())), "{later:?}");
        clock.forget();
        assert_eq!((clock.now(), clock.at(Instant::now())), (None, None));
    }
}
