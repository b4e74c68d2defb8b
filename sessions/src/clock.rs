//! The clock of stores that have no server to ask for the time.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::value::Timestamp;

/// A source of time for an embedded store.
///
/// Stores on a server use the server's clock. Tests use `sessions::testing::ManualClock`.
///
/// ```
/// use sessions::{Clock, SystemClock, Timestamp, store::MemoryStore};
///
/// /// A clock that is an hour ahead.
/// struct Ahead;
///
/// impl Clock for Ahead {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_millis(SystemClock.now().as_millis() + 3_600_000)
///     }
/// }
///
/// let store = MemoryStore::new().with_clock(Ahead);
/// # let _ = store;
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Returns the present time, in milliseconds since 1970.
    fn now(&self) -> Timestamp;
}

/// The operating system's wall clock.
// It stays empty, and programs that give a store a clock construct it.
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

/// A measure of the time that passes in this process, independent of the wall clock.
#[derive(Clone, Debug, Default)]
pub(crate) enum Stopwatch {
    #[default]
    Process,
    /// A clock that a test moves.
    #[cfg(feature = "test-util")]
    Manual(AnyClock),
}

/// A moment from which a stopwatch measures.
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

    /// Returns the present moment.
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
