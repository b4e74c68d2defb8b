//! The client that a store sends its calls with.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{
    call::{CallResult, WebdisCall},
    endpoint::Endpoint,
    failure::{CallFailure, NotSent, Reason},
    nonce::Nonce,
    percent,
    pool::{ConnectionPool, Limits},
};

/// A client of one Webdis.
#[derive(Debug)]
pub(in crate::store) struct WebdisClient {
    pool: Arc<ConnectionPool>,
}

impl WebdisClient {
    pub(super) fn new(endpoint: Endpoint, limits: Limits) -> Self {
        Self { pool: Arc::new(ConnectionPool::new(endpoint, limits)) }
    }

    /// Sends a command, and returns the text between the nonces of its reply.
    ///
    /// The command must be a script that returns one string, which begins and ends with this nonce. The nonce must be
    /// new. The call goes on when this future is dropped, since the reply to a request that is cut off would go to
    /// another client.
    pub(in crate::store) async fn call(&self, words: &[&[u8]], nonce: &Nonce) -> CallResult {
        let pool = &self.pool;
        let deadline = Instant::now() + pool.limits.timeout;
        pool.check_quarantine()?;
        let body = percent::body(words).ok_or_else(|| CallFailure::not_sent(NotSent::TooLarge))?;
        let lease = pool.lease(deadline).await?;
        let (sender, result) = oneshot::channel();
        let (pool, nonce) = (Arc::clone(pool), nonce.clone());
        tokio::spawn(WebdisCall { pool, body, nonce, deadline, lease, result: sender }.run());
        result.await.unwrap_or(Err(CallFailure::Unverified { reason: Reason::RuntimeEnded }))
    }

    /// Returns the longest time of a call.
    pub(in crate::store) fn timeout(&self) -> Duration {
        self.pool.limits.timeout
    }

    /// Returns the number of quarantined connections.
    pub(in crate::store) fn quarantined_now(&self) -> usize {
        self.pool.quarantine.now()
    }

    /// Returns the number of connections that were ever quarantined.
    pub(in crate::store) fn quarantined_total(&self) -> u64 {
        self.pool.quarantine.total()
    }

    /// Returns the number of idle connections that are not known to have ended.
    #[cfg(test)]
    pub(super) fn idle_now(&self) -> usize {
        self.pool.idle_now()
    }
}
