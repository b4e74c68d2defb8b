//! The open connections that no call uses.

use std::time::Duration;

use tokio::runtime::Id;

use super::connection::WebdisConnection;

/// The time after which an idle connection is closed: a verified one, and a suspect one. A firewall on the way may
/// forget it and tell neither end, and the next call would wait in vain. The most impatient ones do so after half a
/// minute. A verified connection can be closed at no cost before.
const KEEP_FOR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// The state of an idle connection, by its last reply.
#[derive(Clone, Copy)]
pub(super) enum ConnectionState {
    /// The reply had the nonce of its call, so none is to come.
    Verified,
    /// The reply was an error without a nonce, so the reply of the call may be to come.
    Suspect,
}

/// The idle connections, in each list the one that is idle for longest first; and the number of those in use.
#[derive(Default)]
pub(super) struct IdleConnections {
    verified: Vec<WebdisConnection>,
    suspect: Vec<WebdisConnection>,
    /// The number of connections that calls use or open.
    pub(super) in_use: usize,
}

impl IdleConnections {
    pub(super) fn len(&self) -> usize {
        self.verified.len() + self.suspect.len()
    }

    pub(super) fn push(&mut self, connection: WebdisConnection, state: ConnectionState) {
        match state {
            ConnectionState::Verified => self.verified.push(connection),
            ConnectionState::Suspect => self.suspect.push(connection),
        }
    }

    /// Removes the connections that the other side closed, or that were idle for too long.
    pub(super) fn remove_ended(&mut self) -> Vec<WebdisConnection> {
        let is_ended =
            |connection: &WebdisConnection, after| connection.is_closed() || connection.idle_for() > after;
        let verified = self.verified.extract_if(.., |connection| is_ended(connection, KEEP_FOR.0));
        let suspect = self.suspect.extract_if(.., |connection| is_ended(connection, KEEP_FOR.1));
        verified.chain(suspect).collect()
    }

    /// Removes the verified connection that was used last, so that superfluous ones become idle and are closed.
    pub(super) fn take_verified(&mut self, runtime: Id) -> Option<WebdisConnection> {
        let at = self.verified.iter().rposition(|connection| connection.runs_in(runtime))?;
        Some(self.verified.remove(at))
    }

    /// Removes the suspect connection that is idle for longest.
    pub(super) fn take_suspect(&mut self, runtime: Id) -> Option<WebdisConnection> {
        let at = self.suspect.iter().position(|connection| connection.runs_in(runtime))?;
        Some(self.suspect.remove(at))
    }

    /// Removes the connection that is idle for longest, of any runtime, a suspect one first.
    pub(super) fn take_any(&mut self) -> Option<WebdisConnection> {
        let list = if self.suspect.is_empty() { &mut self.verified } else { &mut self.suspect };
        (!list.is_empty()).then(|| list.remove(0))
    }
}

impl std::fmt::Debug for IdleConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdleConnections")
            .field("verified", &self.verified.len())
            .field("suspect", &self.suspect.len())
            .field("in_use", &self.in_use)
            .finish()
    }
}
