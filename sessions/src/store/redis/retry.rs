//! The attempts of one request: how long to wait between them, and which error is reported in the end.
//!
//! # Design
//!
//! A request that certainly did not happen is sent again until its time is over, so a restart or a failover of the
//! server costs no request. When a server has been away for longer than a request may take, requests fail at once:
//! otherwise they would pile up. A wrong certificate or password fails at once too, since waiting does not help.
//!
//! The reported error is the last one that gives a reason. The last attempt mostly has no time left to find one.

use std::time::Duration;

use redis::{ErrorKind, RedisError};
use tokio::time::{Instant, sleep_until};

use super::{
    connections::ServerConnections,
    error_class::{ErrorClass, classify, says_little},
    failure::RequestFailure,
};

/// The pause before the next attempt, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// The attempts of one request.
pub(super) struct Retry {
    pause: Duration,
    deadline: Instant,
    timeout: Duration,
    /// True if an attempt may have been carried out.
    is_unknown: bool,
    /// The error of the latest attempt that gave a reason.
    reason: Option<RedisError>,
}

impl Retry {
    pub(super) fn new(deadline: Instant, timeout: Duration) -> Self {
        Self { pause: PAUSES.0, deadline, timeout, is_unknown: false, reason: None }
    }

    /// Notes that an attempt may have been carried out.
    pub(super) fn mark_unknown(&mut self) {
        self.is_unknown = true;
    }

    /// Waits before the next attempt. Fails if there is no time left, or if no attempt will succeed.
    pub(super) async fn later(&mut self, error: RedisError) -> Result<(), RequestFailure> {
        // A server that refuses a login will refuse it again. What Sentinels know may change.
        let is_hopeless = classify(&error) == ErrorClass::Refused
            && error.kind() != ErrorKind::MasterNameNotFoundBySentinel;
        let until = Instant::now() + self.pause;
        if is_hopeless || until >= self.deadline {
            return Err(self.refused(error));
        }
        if !says_little(&error) {
            self.reason = Some(error);
        }
        sleep_until(until).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
        Ok(())
    }

    /// Waits for a server that restarts. Fails if it has been away for longer than a request may take.
    pub(super) async fn when_it_is_back(
        &mut self,
        error: RedisError,
        server: &ServerConnections,
    ) -> Result<(), RequestFailure> {
        if server.health.is_away_for_longer_than(self.timeout, Instant::now()) {
            return Err(self.refused(error));
        }
        self.later(error).await
    }

    /// Ends the attempts with an error of a request that was not carried out this time.
    pub(super) fn refused(&mut self, error: RedisError) -> RequestFailure {
        let error = self.clearest(error);
        if self.is_unknown { RequestFailure::Unknown(error) } else { RequestFailure::Refused(error) }
    }

    /// Returns the error to report: this one, unless only an earlier one gives a reason.
    pub(super) fn clearest(&mut self, error: RedisError) -> RedisError {
        if says_little(&error) { self.reason.take().unwrap_or(error) } else { error }
    }
}
