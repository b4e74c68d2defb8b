//! The connections of a store, and which of them may be used again.
//!
//! A connection is in one of these states:
//!
//! - **Proven**: its last answer had the nonce of its last call, so nothing is to come. Calls take
//!   these first.
//! - **In use** by one call. These are at most `max_connections`, and so are all that are open but
//!   not poisoned.
//! - **Poisoned**: the answer to its last call is still to come, for the caller was not answered in
//!   time or got somebody else's reply. It is read until that answer is there, or a minute has
//!   passed. These do not count among the connections; they have a limit of their own.
//! - **Doubtful**: its last answer was an error. Errors carry no nonce, so it may have been another
//!   client's, with ours to come. To treat these as poisoned would be safe and useless: while Redis
//!   is down, or the password is wrong, every answer is an error, no other answer ever comes, and
//!   each would be held for its minute; sixty-four calls would stop all for that long. To close
//!   them would hand an answer that is to come to another client, and a connection for each failing
//!   call uses up the ports of the machine. So they stay open and rest, for as long as there is
//!   room for new ones, and the one that rests longest is taken first. If an answer was to come, it
//!   arrives meanwhile, which ends the connection, or in place of the next call's, which then
//!   fails as with any foreign reply; either way nobody is given it. If none was, which is what
//!   nearly always happened (Webdis writes 403, and 503 while it has no Redis, straight to the
//!   connection that asked), the next call proves it with its own nonce. So Redis's return is
//!   noticed by the first call after it.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    runtime::{Handle, Id},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    channel::{Channel, Exchanged},
    drain::drain,
    endpoint::Endpoint,
    failure::{CallFailure, NotSent, Reason},
    nonce::Nonce,
    percent,
    poisoned::{Poisoned, Poisoning},
    reply::{self, Verdict},
};

/// How many connections may be poisoned before nothing more is sent.
pub(super) const POISONED_AT_MOST: usize = 64;

/// How long an answer is waited for after its caller has been told that there is none.
pub(super) const DRAIN_FOR: Duration = Duration::from_mins(1);

/// How long a connection may rest and be used again: a proven one, and another. A firewall in between may forget it
/// without a word, and the next call would wait for nothing. The most impatient ones do so after half a minute; what
/// is proven can be closed at no cost before.
const REST_FOR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));

/// How many new connections a call may find ended.
const NEW_CONNECTIONS: usize = 3;

/// How calls are made.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// How long a call may take with everything that belongs to it.
    pub(super) timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) drain_for: Duration,
}

impl Limits {
    pub(super) const DEFAULT: Self =
        Self { timeout: Duration::from_secs(5), max_connections: 32, drain_for: DRAIN_FOR };
}

/// All connections of a store.
#[derive(Debug)]
pub(in crate::store) struct Channels {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    limits: Limits,
    /// As many as there may be calls on connections.
    permits: Arc<Semaphore>,
    resting: Mutex<Resting>,
    poisoned: Arc<Poisoned>,
}

/// Open connections that no call uses, in each list the one that rests longest first.
#[derive(Default)]
struct Resting {
    proven: Vec<Channel>,
    doubtful: Vec<Channel>,
    /// How many others there are, one for each [`Lease`] that counts.
    in_use: usize,
}

/// The right to use a connection that is not poisoned. The permits alone would not do to count them:
/// one goes from a call to the next before that has taken the connection, which still rests then.
struct Lease {
    shared: Arc<Shared>,
    /// Whether a connection is in use, or being opened.
    is_counted: bool,
    /// Given back after the count.
    _permit: OwnedSemaphorePermit,
}

/// A call on its way.
struct Call {
    shared: Arc<Shared>,
    body: Bytes,
    nonce: Nonce,
    deadline: Instant,
    lease: Lease,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Bytes, CallFailure>;

/// What an exchange leaves.
enum Settled {
    /// A connection with nothing to come.
    Proven(Channel, Bytes),
    /// One with perhaps something to come.
    Doubtful(Channel, Reason),
    /// One with our answer to come.
    Outstanding(Channel),
    /// None.
    Cut,
}

impl Channels {
    pub(super) fn new(endpoint: Endpoint, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.max_connections));
        let poisoned = Arc::new(Poisoned::new(POISONED_AT_MOST));
        Self { shared: Arc::new(Shared { endpoint, limits, permits, resting: Mutex::default(), poisoned }) }
    }

    /// Sends a command, and gives what stands between the nonces in its reply.
    ///
    /// The command must be a script that answers with one string, which begins and ends with this
    /// nonce, of this call alone. The call goes on when this future is dropped: a request that is cut off
    /// leaves its reply to somebody else.
    pub(in crate::store) async fn call(&self, words: &[&[u8]], nonce: &Nonce) -> Answer {
        let shared = &self.shared;
        let deadline = Instant::now() + shared.limits.timeout;
        shared.check_poisoned()?;
        let body = percent::body(words).ok_or_else(|| CallFailure::not_sent(NotSent::TooLarge))?;
        let permit = timeout_at(deadline, Arc::clone(&shared.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            let connections = shared.limits.max_connections;
            return Err(CallFailure::not_sent(NotSent::Busy { connections }));
        };
        let (answer, answered) = oneshot::channel();
        let lease = Lease::new(shared, permit);
        let shared = Arc::clone(shared);
        tokio::spawn(Call { shared, body, nonce: nonce.clone(), deadline, lease, answer }.run());
        answered.await.unwrap_or(Err(CallFailure::Unproven { reason: Reason::Abandoned }))
    }

    /// How long a call may take.
    pub(in crate::store) fn timeout(&self) -> Duration {
        self.shared.limits.timeout
    }

    /// How many connections are kept out of use until their answer has come.
    pub(in crate::store) fn poisoned_now(&self) -> usize {
        self.shared.poisoned.now()
    }

    /// How many ever were.
    pub(in crate::store) fn poisoned_total(&self) -> u64 {
        self.shared.poisoned.total()
    }
}

impl Call {
    async fn run(self) {
        let Self { shared, body, nonce, deadline, mut lease, answer } = self;
        // Until something is sent, the deadline ends the call for certain.
        let channel = match shared.channel(deadline, Some(&mut lease)).await {
            Ok(channel) => channel,
            Err(failure) => return reply_with(answer, lease, Err(failure)),
        };
        let mut exchange = pin!(shared.exchange(channel, body, &nonce, deadline));
        match timeout_at(deadline, &mut exchange).await {
            Ok(Ok(Settled::Proven(channel, bytes))) => {
                shared.rest(channel, Standing::Proven, Some(lease));
                // A caller that has gone does not want it.
                let _ = answer.send(Ok(bytes));
            }
            Ok(Ok(Settled::Doubtful(channel, reason))) => {
                shared.rest(channel, Standing::Doubtful, Some(lease));
                let _ = answer.send(Err(CallFailure::Unproven { reason }));
            }
            Ok(Ok(Settled::Cut)) => {
                reply_with(answer, lease, Err(CallFailure::Unproven { reason: Reason::Cut }));
            }
            Ok(Ok(Settled::Outstanding(channel))) => {
                let poisoning = shared.poisoned.enter("a foreign reply");
                reply_with(answer, lease, Err(CallFailure::Unproven { reason: Reason::Foreign }));
                shared.wait_for_reply(channel, &nonce, shared.drain_deadline(), poisoning).await;
            }
            Ok(Err(failure)) => reply_with(answer, lease, Err(failure)),
            Err(_) => {
                let poisoning = shared.poisoned.enter("no reply in time");
                reply_with(answer, lease, Err(CallFailure::Unproven { reason: Reason::TimedOut }));
                let deadline = shared.drain_deadline();
                match timeout_at(deadline, exchange).await {
                    Ok(Ok(Settled::Proven(channel, _))) => shared.rest(channel, Standing::Proven, None),
                    Ok(Ok(Settled::Doubtful(channel, _))) => shared.rest(channel, Standing::Doubtful, None),
                    Ok(Ok(Settled::Outstanding(channel))) => {
                        shared.wait_for_reply(channel, &nonce, deadline, poisoning).await;
                    }
                    Ok(Ok(Settled::Cut) | Err(_)) | Err(_) => {}
                }
            }
        }
    }
}

/// What a resting connection's last answer says about it.
#[derive(Clone, Copy)]
enum Standing {
    Proven,
    Doubtful,
}

impl Shared {
    fn check_poisoned(&self) -> Result<(), CallFailure> {
        if self.poisoned.are_too_many() {
            let connections = self.poisoned.now();
            return Err(CallFailure::not_sent(NotSent::TooManyPoisoned { connections }));
        }
        Ok(())
    }

    /// A connection for a lease, or another one if it had one.
    async fn channel(&self, deadline: Instant, lease: Option<&mut Lease>) -> Result<Channel, CallFailure> {
        // Calls that waited for a permit began when there may have been fewer.
        self.check_poisoned()?;
        if let Some(channel) = self.take(Handle::current().id(), lease) {
            return Ok(channel);
        }
        let opened = timeout_at(deadline, Channel::open(&self.endpoint)).await;
        opened
            .unwrap_or_else(|_| Err(NotSent::ConnectTimedOut { address: self.endpoint.address() }))
            .map_err(CallFailure::not_sent)
    }

    /// Makes an exchange, on another connection if this one had ended before. That is no repetition:
    /// nothing was sent. A new one has ended if it took the place of a client that left, whose reply
    /// arrives before anything was asked.
    async fn exchange(
        &self,
        mut channel: Channel,
        body: Bytes,
        nonce: &Nonce,
        deadline: Instant,
    ) -> Result<Settled, CallFailure> {
        let mut new_ones = 0;
        loop {
            let is_new = channel.is_new();
            new_ones += usize::from(is_new);
            let (used, exchanged) = channel.exchange(&self.endpoint, body.clone()).await;
            let (status, body) = match exchanged {
                Exchanged::Answered(status, body) => (status, body),
                Exchanged::TooLarge => return Ok(Settled::Outstanding(used)),
                Exchanged::Cut => {
                    return match used.refusal().await {
                        Some(refusal) => Err(CallFailure::Unproven { reason: Reason::Tls(refusal) }),
                        None => Ok(Settled::Cut),
                    };
                }
                // Nor is anything sent any more once the caller has been let down.
                Exchanged::Unsent if new_ones == NEW_CONNECTIONS || Instant::now() >= deadline => {
                    let address = self.endpoint.address();
                    return Err(CallFailure::not_sent(NotSent::Unusable { address }));
                }
                Exchanged::Unsent => {
                    // What ended a connection that rested says nothing of the next one.
                    if let Some(refusal) = used.refusal().await.filter(|_| is_new) {
                        return Err(CallFailure::Unproven { reason: Reason::Tls(refusal) });
                    }
                    channel = self.channel(deadline, None).await?;
                    continue;
                }
            };
            return Ok(match reply::judge(status, &body, nonce) {
                Verdict::Ours(bytes) => Settled::Proven(used, bytes),
                Verdict::Error(reason) => Settled::Doubtful(used, reason),
                Verdict::Foreign => Settled::Outstanding(used),
            });
        }
    }

    /// Reads from a connection until our reply has come, and closes it.
    async fn wait_for_reply(&self, channel: Channel, nonce: &Nonce, deadline: Instant, poisoning: Poisoning) {
        if let Some(remains) = channel.retire().await {
            // Past the deadline nothing more can be done for whoever comes next.
            let _ = timeout_at(deadline, drain(remains, nonce)).await;
        }
        drop(poisoning);
    }

    /// A resting connection, if there is a proven one or no room for a new one.
    fn take(&self, runtime: Id, lease: Option<&mut Lease>) -> Option<Channel> {
        let mut resting = self.resting();
        if let Some(lease) = lease {
            lease.is_counted = true;
            resting.in_use += 1;
        }
        let ended = resting.remove_ended();
        let mut chosen = resting.take_proven(runtime);
        let mut evicted = None;
        if chosen.is_none() && resting.len() + resting.in_use > self.limits.max_connections {
            chosen = resting.take_doubtful(runtime);
            if chosen.is_none() {
                evicted = resting.take_any();
            }
        }
        drop(resting);
        // Outside of the lock: to close one wakes its task.
        drop((ended, evicted));
        chosen
    }

    /// Puts a connection to rest, and ends the lease of the call that used it. One that was poisoned
    /// has none, and rests only if there is room.
    fn rest(&self, mut channel: Channel, standing: Standing, mut lease: Option<Lease>) {
        channel.rest();
        let mut resting = self.resting();
        if let Some(lease) = &mut lease {
            resting.in_use -= usize::from(lease.is_counted);
            lease.is_counted = false;
        }
        let others = resting.len() + resting.in_use;
        let mut superfluous = None;
        if others >= self.limits.max_connections || channel.is_closed() {
            superfluous = Some(channel);
        } else {
            match standing {
                Standing::Proven => resting.proven.push(channel),
                Standing::Doubtful => resting.doubtful.push(channel),
            }
        }
        drop(resting);
        drop(superfluous);
        // Last, so that whoever gets the permit finds the connection.
        drop(lease);
    }

    fn drain_deadline(&self) -> Instant {
        Instant::now() + self.limits.drain_for
    }

    fn resting(&self) -> MutexGuard<'_, Resting> {
        // Nothing is left half-way by a panic.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    fn new(shared: &Arc<Shared>, permit: OwnedSemaphorePermit) -> Self {
        Self { shared: Arc::clone(shared), is_counted: false, _permit: permit }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_counted {
            self.shared.resting().in_use -= 1;
        }
    }
}

impl Resting {
    fn len(&self) -> usize {
        self.proven.len() + self.doubtful.len()
    }

    /// Those that the other side closed, or that have rested for too long.
    fn remove_ended(&mut self) -> Vec<Channel> {
        let is_ended = |channel: &Channel, after| channel.is_closed() || channel.rests_for() > after;
        let proven = self.proven.extract_if(.., |channel| is_ended(channel, REST_FOR.0));
        let doubtful = self.doubtful.extract_if(.., |channel| is_ended(channel, REST_FOR.1));
        proven.chain(doubtful).collect()
    }

    /// The one used last: of many, the others may be closed one day.
    fn take_proven(&mut self, runtime: Id) -> Option<Channel> {
        let at = self.proven.iter().rposition(|channel| channel.runs_in(runtime))?;
        Some(self.proven.remove(at))
    }

    fn take_doubtful(&mut self, runtime: Id) -> Option<Channel> {
        let at = self.doubtful.iter().position(|channel| channel.runs_in(runtime))?;
        Some(self.doubtful.remove(at))
    }

    fn take_any(&mut self) -> Option<Channel> {
        let of = if self.doubtful.is_empty() { &mut self.proven } else { &mut self.doubtful };
        (!of.is_empty()).then(|| of.remove(0))
    }
}

impl std::fmt::Debug for Resting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resting")
            .field("proven", &self.proven.len())
            .field("doubtful", &self.doubtful.len())
            .field("in_use", &self.in_use)
            .finish()
    }
}

#[cfg(test)]
impl Channels {
    /// How many connections rest, as far as it is known that they are open.
    pub(super) fn resting(&self) -> usize {
        let mut resting = self.shared.resting();
        resting.remove_ended();
        resting.len()
    }
}

/// Answers a call that leaves no connection to rest.
fn reply_with(to: oneshot::Sender<Answer>, lease: Lease, answer: Answer) {
    drop(lease);
    // A caller that has gone does not want it.
    let _ = to.send(answer);
}
