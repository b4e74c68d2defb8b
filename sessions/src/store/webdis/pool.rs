//! The connections of a store, and the rule which of them may be used again.
//!
//! # Design
//!
//! A connection is in one of these states:
//!
//! - **Verified**: its last reply had the nonce of its last call, so none is to come. Calls take these first.
//! - **In use** by one call. At most `max_connections` are, and at most as many are open at all, without the
//!   quarantined ones.
//! - **Quarantined**: the reply to its last call is still to come, for the call timed out or got a foreign reply. It is
//!   read until that reply is there, or a minute has passed. These have a limit of their own.
//! - **Suspect**: its last reply was an error. Errors carry no nonce, so it may have been another client's, and the
//!   call's own reply may be to come.
//!
//! Suspect connections stay open and idle. New connections are opened while there is room for them. Then the suspect
//! one that is idle for longest is used. There are two other ways, and both are worse:
//!
//! - To quarantine them. While Redis is down, or the password is wrong, every reply is an error and no other reply ever
//!   comes. Each connection would be held for its minute, and sixty-four calls would stop all others for that long.
//! - To close them. A reply that is still to come would go to another client, and a connection for each failing call
//!   uses up the ports of the machine.
//!
//! If a reply was to come on a suspect connection, it arrives while the connection is idle, which ends it. Or it
//! arrives in place of the next call's reply, which then fails as with any foreign reply. No caller gets it in either
//! case. Nearly always none was to come, since Webdis writes 403, and 503 while it has no Redis, straight to the
//! connection that asked. Then the next call verifies the connection by its own nonce. So the first call after Redis'
//! return succeeds.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{
    connection::WebdisConnection,
    endpoint::Endpoint,
    failure::{CallFailure, NotSent},
    idle::{ConnectionState, IdleConnections},
    quarantine::Quarantine,
};

/// The number of quarantined connections at which no call is started.
pub(super) const MAX_QUARANTINED: usize = 64;

/// The time for which a quarantined connection is read.
pub(super) const DRAIN_FOR: Duration = Duration::from_mins(1);

/// The limits of a pool.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// The time of a call, with waiting for a connection and connecting.
    pub(super) timeout: Duration,
    pub(super) max_connections: usize,
    /// The time for which a quarantined connection is read.
    pub(super) drain_for: Duration,
}

impl Limits {
    pub(super) const DEFAULT: Self =
        Self { timeout: Duration::from_secs(5), max_connections: 32, drain_for: DRAIN_FOR };
}

/// The connections of a store.
#[derive(Debug)]
pub(super) struct ConnectionPool {
    pub(super) endpoint: Endpoint,
    pub(super) limits: Limits,
    /// One permit for each call that may have a connection.
    permits: Arc<Semaphore>,
    idle: Mutex<IdleConnections>,
    pub(super) quarantine: Arc<Quarantine>,
}

/// The right of a call to use a connection that is not quarantined. Permits alone cannot count the connections in
/// use: a permit goes from one call to the next before the next one has taken the connection, which is idle in
/// between.
pub(super) struct Lease {
    pool: Arc<ConnectionPool>,
    /// True while a connection is in use, or being opened.
    is_counted: bool,
    /// Given back after the count.
    _permit: OwnedSemaphorePermit,
}

impl ConnectionPool {
    pub(super) fn new(endpoint: Endpoint, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.max_connections));
        let quarantine = Arc::new(Quarantine::new(MAX_QUARANTINED));
        Self { endpoint, limits, permits, idle: Mutex::default(), quarantine }
    }

    /// Fails if no call may be started, since too many connections are quarantined.
    pub(super) fn check_quarantine(&self) -> Result<(), CallFailure> {
        if self.quarantine.is_full() {
            let connections = self.quarantine.now();
            return Err(CallFailure::not_sent(NotSent::TooManyQuarantined { connections }));
        }
        Ok(())
    }

    /// Waits for the right to use a connection.
    pub(super) async fn lease(self: &Arc<Self>, deadline: Instant) -> Result<Lease, CallFailure> {
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let connections = self.limits.max_connections;
            return Err(CallFailure::not_sent(NotSent::Busy { connections }));
        };
        Ok(Lease { pool: Arc::clone(self), is_counted: false, _permit: permit })
    }

    /// Returns an idle or a new connection. `lease` is `None` if the call already had a connection, which has ended.
    pub(super) async fn connection(
        &self,
        deadline: Instant,
        lease: Option<&mut Lease>,
    ) -> Result<WebdisConnection, CallFailure> {
        // Calls that waited for a lease began when fewer may have been quarantined.
        self.check_quarantine()?;
        if let Some(connection) = self.take(Handle::current().id(), lease) {
            return Ok(connection);
        }
        let opened = timeout_at(deadline, WebdisConnection::open(&self.endpoint)).await;
        opened
            .unwrap_or_else(|_| Err(NotSent::ConnectTimedOut { address: self.endpoint.address() }))
            .map_err(CallFailure::not_sent)
    }

    /// Removes an idle connection, if there is a verified one or no room for a new one.
    fn take(&self, runtime: Id, lease: Option<&mut Lease>) -> Option<WebdisConnection> {
        let mut idle = self.idle();
        if let Some(lease) = lease {
            lease.is_counted = true;
            idle.in_use += 1;
        }
        let ended = idle.remove_ended();
        let mut chosen = idle.take_verified(runtime);
        let mut evicted = None;
        if chosen.is_none() && idle.len() + idle.in_use > self.limits.max_connections {
            chosen = idle.take_suspect(runtime);
            if chosen.is_none() {
                evicted = idle.take_any();
            }
        }
        drop(idle);
        // Outside of the lock, since closing a connection wakes its task.
        drop((ended, evicted));
        chosen
    }

    /// Puts a connection back, and ends the lease of the call that used it. A connection that was quarantined has no
    /// lease, and is kept only if there is room.
    pub(super) fn put_back(
        &self,
        mut connection: WebdisConnection,
        state: ConnectionState,
        mut lease: Option<Lease>,
    ) {
        connection.mark_idle();
        let mut idle = self.idle();
        if let Some(lease) = &mut lease {
            idle.in_use -= usize::from(lease.is_counted);
            lease.is_counted = false;
        }
        let others = idle.len() + idle.in_use;
        let mut superfluous = None;
        if others >= self.limits.max_connections || connection.is_closed() {
            superfluous = Some(connection);
        } else {
            idle.push(connection, state);
        }
        drop(idle);
        drop(superfluous);
        // Last, so that the call that gets the permit finds the connection.
        drop(lease);
    }

    /// Returns the end of the quarantine of a connection that is quarantined now.
    pub(super) fn drain_deadline(&self) -> Instant {
        Instant::now() + self.limits.drain_for
    }

    /// Returns the number of idle connections that are not known to have ended.
    #[cfg(test)]
    pub(super) fn idle_now(&self) -> usize {
        let mut idle = self.idle();
        idle.remove_ended();
        idle.len()
    }

    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        // A panic leaves nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_counted {
            self.pool.idle().in_use -= 1;
        }
    }
}
