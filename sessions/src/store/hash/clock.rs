//! The server's clock, carried on between two readings.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use crate::value::Timestamp;

/// The time for which a reading is used, in milliseconds. In a second two clocks drift apart by microseconds.
const GOOD_FOR: i64 = 1000;

/// The offset before the first reading.
const UNKNOWN: i64 = i64::MIN;

/// The clock of one server. A load reads it now and then, and the monotonic clock carries the reading on. `TIME` with
/// every load would cost the client a quarter of the load.
///
/// The clock is late by the way of the reply, and never early: no session is taken for dead before it is. Writes are
/// decided by the server's own `TIME`, in the script.
#[derive(Debug)]
pub(in crate::store) struct ServerClock {
    started: Instant,
    /// The server's time at `started`, in milliseconds since 1970, or [`UNKNOWN`].
    offset: AtomicI64,
    /// The end of the time for which the last reading is used, in milliseconds since `started`.
    good_until: AtomicI64,
}

impl ServerClock {
    pub(in crate::store) fn new() -> Self {
        Self { started: Instant::now(), offset: AtomicI64::new(UNKNOWN), good_until: AtomicI64::new(-1) }
    }

    /// Returns the server's time now, if it was read lately.
    #[cfg(feature = "redis")]
    pub(in crate::store) fn now(&self) -> Option<Timestamp> {
        let elapsed = self.elapsed();
        let is_good = elapsed <= self.good_until.load(Ordering::Acquire);
        is_good.then(|| Timestamp::from_millis(self.offset.load(Ordering::Relaxed).saturating_add(elapsed)))
    }

    /// Returns the server's time at a moment to come, if it was ever read. It is wrong if the server's clock was set
    /// since, or if another server has taken over.
    pub(in crate::store) fn at(&self, moment: Instant) -> Option<Timestamp> {
        let offset = self.offset.load(Ordering::Relaxed);
        let elapsed = i64::try_from(moment.duration_since(self.started).as_millis()).unwrap_or(i64::MAX);
        (offset != UNKNOWN).then(|| Timestamp::from_millis(offset.saturating_add(elapsed)))
    }

    /// Notes a reading.
    pub(in crate::store) fn set(&self, now: Timestamp) {
        let elapsed = self.elapsed();
        // Both are rounded down to milliseconds, so their difference may be one ahead.
        self.offset.store(now.as_millis().saturating_sub(elapsed + 1), Ordering::Relaxed);
        self.good_until.store(elapsed.saturating_add(GOOD_FOR), Ordering::Release);
    }

    /// Forgets the readings: the next connection may lead to another server, which has another clock.
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
