//! Where a store that has no clock of its own reads the time.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::value::Timestamp;

/// A source of time for an embedded store.
///
/// Stores on a server use the server's clock; the manual clock of the tests is
/// `sessions::testing::ManualClock`.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock.
// Nothing will be in it, and whoever builds a store with a clock may name it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(SystemTime::now())
    }
}

/// A clock chosen when a store is built.
#[derive(Clone)]
pub(crate) struct AnyClock(Arc<dyn Clock>);

impl AnyClock {
    pub(crate) fn new(clock: impl Clock) -> Self {
        Self(Arc::new(clock))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl fmt::Debug for AnyClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Measures how much time has passed in this process, whatever its wall clock is set to.
#[derive(Clone, Debug, Default)]
pub(crate) enum Stopwatch {
    #[default]
    Process,
    /// A clock that a test moves.
    #[cfg(feature = "test-util")]
    Manual(AnyClock),
}

/// A moment from which time is measured.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Process(Instant),
    #[cfg(feature = "test-util")]
    Manual(AnyClock, Timestamp),
}

impl Stopwatch {
    #[cfg(feature = "test-util")]
    pub(crate) fn manual(clock: impl Clock) -> Self {
        Self::Manual(AnyClock::new(clock))
    }

    /// Begins to measure.
    pub(crate) fn start(&self) -> Start {
        match self {
            Self::Process => Start::Process(Instant::now()),
            #[cfg(feature = "test-util")]
            Self::Manual(clock) => Start::Manual(clock.clone(), clock.now()),
        }
    }
}

impl Start {
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Process(since) => since.elapsed(),
            #[cfg(feature = "test-util")]
            Self::Manual(clock, since) => clock.now().saturating_since(*since),
        }
    }
}
