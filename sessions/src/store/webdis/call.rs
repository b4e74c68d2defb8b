//! One call: a request, its reply, and what becomes of the connection.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    connection::{Exchanged, WebdisConnection},
    drain::drain,
    failure::{CallFailure, NotSent, Reason},
    idle::ConnectionState,
    nonce::Nonce,
    pool::{ConnectionPool, Lease},
    quarantine::QuarantineGuard,
    reply::{self, ReplyOwner},
};

/// The number of new connections that a call may find ended.
const NEW_CONNECTIONS: usize = 3;

/// A call on its way.
pub(super) struct WebdisCall {
    pub(super) pool: Arc<ConnectionPool>,
    pub(super) body: Bytes,
    pub(super) nonce: Nonce,
    pub(super) deadline: Instant,
    pub(super) lease: Lease,
    /// The receiver of the result, which may be gone.
    pub(super) result: oneshot::Sender<CallResult>,
}

/// The text between the nonces of a verified reply, or the failure of the call.
pub(super) type CallResult = Result<Bytes, CallFailure>;

/// The outcome of an exchange.
enum ReplyOutcome {
    /// The reply of the call came, with this text. No other is to come on the connection.
    Verified(WebdisConnection, Bytes),
    /// An error came. The reply of the call may be to come on the connection.
    Suspect(WebdisConnection, Reason),
    /// Another call's reply came. The reply of the call is to come on the connection.
    Foreign(WebdisConnection),
    /// The connection ended.
    Cut,
}

impl WebdisCall {
    /// Makes the call and sends its result. It goes on until the connection is put back or given up.
    pub(super) async fn run(self) {
        let Self { pool, body, nonce, deadline, mut lease, result } = self;
        // Until something is sent, the deadline ends the call for certain.
        let connection = match pool.connection(deadline, Some(&mut lease)).await {
            Ok(connection) => connection,
            Err(failure) => return finish(result, lease, Err(failure)),
        };
        let mut exchange = pin!(exchange(&pool, connection, body, &nonce, deadline));
        match timeout_at(deadline, &mut exchange).await {
            Ok(Ok(ReplyOutcome::Verified(connection, text))) => {
                pool.put_back(connection, ConnectionState::Verified, Some(lease));
                // The caller may have gone.
                let _ = result.send(Ok(text));
            }
            Ok(Ok(ReplyOutcome::Suspect(connection, reason))) => {
                pool.put_back(connection, ConnectionState::Suspect, Some(lease));
                let _ = result.send(Err(CallFailure::Unverified { reason }));
            }
            Ok(Ok(ReplyOutcome::Cut)) => {
                finish(result, lease, Err(CallFailure::Unverified { reason: Reason::Cut }));
            }
            Ok(Ok(ReplyOutcome::Foreign(connection))) => {
                let quarantined = pool.quarantine.enter("a foreign reply");
                finish(result, lease, Err(CallFailure::Unverified { reason: Reason::Foreign }));
                wait_for_reply(connection, &nonce, pool.drain_deadline(), quarantined).await;
            }
            Ok(Err(failure)) => finish(result, lease, Err(failure)),
            Err(_) => {
                let quarantined = pool.quarantine.enter("no reply in time");
                finish(result, lease, Err(CallFailure::Unverified { reason: Reason::TimedOut }));
                let deadline = pool.drain_deadline();
                match timeout_at(deadline, exchange).await {
                    Ok(Ok(ReplyOutcome::Verified(connection, _))) => {
                        pool.put_back(connection, ConnectionState::Verified, None);
                    }
                    Ok(Ok(ReplyOutcome::Suspect(connection, _))) => {
                        pool.put_back(connection, ConnectionState::Suspect, None);
                    }
                    Ok(Ok(ReplyOutcome::Foreign(connection))) => {
                        wait_for_reply(connection, &nonce, deadline, quarantined).await;
                    }
                    Ok(Ok(ReplyOutcome::Cut) | Err(_)) | Err(_) => {}
                }
            }
        }
    }
}

/// Makes an exchange, on another connection if this one had ended before. That is no repetition, since nothing was
/// sent. A new connection has ended if it got the file descriptor of a client that left: that client's reply arrives
/// before anything was asked.
async fn exchange(
    pool: &ConnectionPool,
    mut connection: WebdisConnection,
    body: Bytes,
    nonce: &Nonce,
    deadline: Instant,
) -> Result<ReplyOutcome, CallFailure> {
    let mut new_ones = 0;
    loop {
        let is_new = connection.is_new();
        new_ones += usize::from(is_new);
        let (used, exchanged) = connection.exchange(&pool.endpoint, body.clone()).await;
        let (status, body) = match exchanged {
            Exchanged::Answered(status, body) => (status, body),
            Exchanged::TooLarge => return Ok(ReplyOutcome::Foreign(used)),
            Exchanged::Cut => {
                return match used.refusal().await {
                    Some(refusal) => Err(CallFailure::Unverified { reason: Reason::Tls(refusal) }),
                    None => Ok(ReplyOutcome::Cut),
                };
            }
            // After the deadline the caller has got an error, so nothing is sent any more.
            Exchanged::Unsent if new_ones == NEW_CONNECTIONS || Instant::now() >= deadline => {
                let address = pool.endpoint.address();
                return Err(CallFailure::not_sent(NotSent::Unusable { address }));
            }
            Exchanged::Unsent => {
                // The end of an idle connection says nothing about the next one.
                if let Some(refusal) = used.refusal().await.filter(|_| is_new) {
                    return Err(CallFailure::Unverified { reason: Reason::Tls(refusal) });
                }
                connection = pool.connection(deadline, None).await?;
                continue;
            }
        };
        return Ok(match reply::identify(status, &body, nonce) {
            ReplyOwner::ThisCall(text) => ReplyOutcome::Verified(used, text),
            ReplyOwner::Unknown(reason) => ReplyOutcome::Suspect(used, reason),
            ReplyOwner::OtherCall => ReplyOutcome::Foreign(used),
        });
    }
}

/// Reads from a quarantined connection until the reply of its call has come, and closes it.
async fn wait_for_reply(
    connection: WebdisConnection,
    nonce: &Nonce,
    deadline: Instant,
    quarantined: QuarantineGuard,
) {
    if let Some(remains) = connection.retire().await {
        // After the deadline the connection is closed in any case.
        let _ = timeout_at(deadline, drain(remains, nonce)).await;
    }
    drop(quarantined);
}

/// Ends a call that puts no connection back.
fn finish(to: oneshot::Sender<CallResult>, lease: Lease, result: CallResult) {
    drop(lease);
    // The caller may have gone.
    let _ = to.send(result);
}
