//! Where a store that has no clock of its own reads the time.

use std::{fmt, sync::Arc, time::SystemTime};

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
