//! Sends a request once, or again if it certainly did not happen.
//!
//! # Design
//!
//! A request that must happen once is sent once. A repetition with the same commit id would not do, although a record
//! remembers the last eight ids. The server stands still, sixty requests add to one counter and time out, and their
//! repetitions arrive on another connection. When the server goes on, it carries out the sixty and remembers the last
//! eight ids. Then it carries out most of the repetitions. The reverse order does the same, and no number of ids mends
//! it. A repeated create can even bring a session back, if the first one is carried out after the logout.
//!
//! After a broken connection the store looks whether the record remembers the commit, or has the credentials of the
//! create. Then it is done, and a lost reply costs no login. Otherwise the outcome is reported as unknown. A request
//! that the server refused for certain (`NOSCRIPT`, `MOVED`, `ASK`, `LOADING`, `READONLY` and others) is sent again.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use redis::{Cmd, RedisError, Value};
use tokio::time::{Instant, error::Elapsed, timeout_at};

use super::{
    connections::{Liveness, ServerConnections, SharedConnection},
    error_class::{ErrorClass, classify, is_midway, silent, timed_out},
    failure::RequestFailure,
    health::AfterRefusal,
    request::{RedisRequest, Repeat, WithTime, WriteCommand},
    retry::Retry,
    topology::Topology,
};
use crate::{store::hash::Script, value::Timestamp};

/// A client that sends requests to the servers of a store.
#[derive(Debug)]
pub(super) struct RedisClient {
    topology: Topology,
    timeout: Duration,
    /// The largest number of further pieces that a record's metadata had, within [`PIECES`].
    pieces: AtomicUsize,
}

/// The number of further pieces of metadata that a load asks for, at least and at most. A session that has logged in
/// has one. A session that has rotated many times has up to eight, and a real session no more.
const PIECES: (usize, usize) = (1, 8);

impl RedisClient {
    pub(super) fn new(topology: Topology, timeout: Duration) -> Self {
        Self { topology, timeout, pieces: AtomicUsize::new(PIECES.0) }
    }

    /// Returns the time of the one server that there is, if it was asked lately. Returns `None` for a cluster.
    pub(super) fn now(&self) -> Option<Timestamp> {
        self.topology.only_clock()?.now()
    }

    /// Returns the time at this moment by the clock of the server that has the key, if both are known.
    pub(super) fn server_time(&self, key: &str, moment: Instant) -> Option<Timestamp> {
        self.topology.server_time(key, moment)
    }

    /// Returns how many further pieces of a record's metadata to ask for. Each costs a load eleven bytes if the record
    /// has none.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Notes that a record had so many further pieces.
    pub(super) fn ask_for_pieces(&self, pieces: usize) {
        if pieces > self.pieces() {
            self.pieces.fetch_max(pieces.min(PIECES.1), Ordering::Relaxed);
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the deadline of a request that begins now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs a script on one key, by its digest. Sends its text if the server does not know it.
    pub(super) async fn script(
        &self,
        script: &Script,
        key: &str,
        arguments: impl Fn(&mut Cmd),
        deadline: Instant,
    ) -> Result<Value, RequestFailure> {
        let command = |verb: &str, what: &str| {
            let mut command = Cmd::with_capacity(16, 256);
            command.arg(verb).arg(what).arg(1).arg(key);
            arguments(&mut command);
            WriteCommand(command)
        };
        let replied = match self.run(key, &command("EVALSHA", &script.sha), Repeat::Never, deadline).await {
            Err(RequestFailure::Refused(error)) if classify(&error) == ErrorClass::NoScript => {
                // Boxed, so that this rare case adds nothing to the size of every future.
                Box::pin(self.run(key, &command("EVAL", &script.text), Repeat::Never, deadline)).await
            }
            replied => replied,
        };
        replied.map_err(|failure| match failure {
            RequestFailure::Refused(error) if is_midway(&error) => RequestFailure::Unknown(error),
            failure => failure,
        })
    }

    /// Runs a command that only reads one key.
    pub(super) async fn command(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, RequestFailure> {
        self.run(key, command, Repeat::Always, deadline).await
    }

    /// Runs a command that writes one key, and may happen twice.
    pub(super) async fn write(
        &self,
        key: &str,
        command: Cmd,
        deadline: Instant,
    ) -> Result<Value, RequestFailure> {
        self.run(key, &WriteCommand(command), Repeat::Always, deadline).await
    }

    /// Runs a command that only reads one key, and `TIME` before it. The time of the server is remembered.
    pub(super) async fn command_with_time(
        &self,
        key: &str,
        command: Cmd,
        deadline: Instant,
    ) -> Result<(Timestamp, Value), RequestFailure> {
        self.run(key, &WithTime::new(command), Repeat::Always, deadline).await
    }

    /// Sends a request until it is answered, refused, or out of time.
    async fn run<R: RedisRequest>(
        &self,
        key: &str,
        request: &R,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<R::Reply, RequestFailure> {
        // In the usual case this is all.
        let begun = match self.topology.ready(key) {
            None => None,
            Some(mut shared) => match self.attempt(&mut shared, deadline, request, repeat).await {
                Ok(Ok(reply)) => {
                    self.topology.mark_served(key);
                    return Ok(reply);
                }
                Ok(Err(error)) => Some((shared, Some(error))),
                Err(_) => Some((shared, None)),
            },
        };
        Box::pin(self.go_on(key, request, repeat, deadline, begun)).await
    }

    /// Sends a request once. If its reply is missing for long, another connection is opened meanwhile, since this one
    /// may lead nowhere any more.
    async fn attempt<R: RedisRequest>(
        &self,
        shared: &mut SharedConnection,
        deadline: Instant,
        request: &R,
        repeat: Repeat,
    ) -> Result<Result<R::Reply, RedisError>, Elapsed> {
        let SharedConnection { connection, server, liveness, .. } = shared;
        let mut sent = pin!(request.send(connection));
        let soon = deadline.min(Instant::now() + ServerConnections::silence(self.timeout));
        let sent = match timeout_at(soon, &mut sent).await {
            Ok(sent) => sent,
            Err(_) => Box::pin(wait_on(sent, server, liveness, deadline, repeat)).await?,
        };
        if let Ok(reply) = &sent {
            server.mark_replied(liveness);
            server.health.mark_back();
            request.note(reply, server);
        }
        Ok(sent)
    }

    /// Goes on after a first attempt that failed, or could not be made. `begun` has its connection and its error;
    /// `None` in place of the error is a timeout.
    async fn go_on<R: RedisRequest>(
        &self,
        key: &str,
        request: &R,
        repeat: Repeat,
        deadline: Instant,
        mut begun: Option<(SharedConnection, Option<RedisError>)>,
    ) -> Result<R::Reply, RequestFailure> {
        let mut retry = Retry::new(deadline, self.timeout);
        // The node that another node of a cluster named, and whether it has the key for this once.
        let mut named: Option<(Arc<ServerConnections>, bool)> = None;
        loop {
            let (shared, error) = if let Some(begun) = begun.take() {
                begun
            } else {
                let (server, asks) = match named.take() {
                    Some(named) => named,
                    None => match self.topology.owner(key, deadline).await {
                        Ok(server) => (server, false),
                        Err(error) => {
                            self.wait_for_node(&mut retry, error, key).await?;
                            continue;
                        }
                    },
                };
                let mut shared = match server.get(deadline).await {
                    Ok(shared) => shared,
                    Err(error) => {
                        self.topology.refresh();
                        retry.when_it_is_back(error, &server).await?;
                        continue;
                    }
                };
                let sent = if asks {
                    timeout_at(deadline, request.ask(&mut shared.connection)).await
                } else {
                    self.attempt(&mut shared, deadline, request, repeat).await
                };
                match sent {
                    Ok(Ok(reply)) => {
                        self.topology.mark_served(key);
                        return Ok(reply);
                    }
                    Ok(Err(error)) => (shared, Some(error)),
                    Err(_) => (shared, None),
                }
            };
            let Some(error) = error else {
                // It is not known whether this connection still leads anywhere.
                self.retire(&shared);
                let error = timed_out();
                return Err(RequestFailure::Unknown(match repeat {
                    // The outcome of this attempt is the one that is unknown.
                    Repeat::Never => error,
                    Repeat::Always => retry.clearest(error),
                }));
            };
            match classify(&error) {
                ErrorClass::Ask(node) => {
                    let node = self.topology.named(&node, shared.server.host(), key, false);
                    named = node.map(|node| (node, true));
                    if named.is_none() {
                        retry.later(error).await?;
                    }
                }
                ErrorClass::Moved(node) => {
                    let node = self.topology.named(&node, shared.server.host(), key, true);
                    named = node.map(|node| (node, false));
                    // For a moment two nodes may name each other.
                    retry.later(error).await?;
                }
                ErrorClass::Later => {
                    let (health, now) = (&shared.server.health, Instant::now());
                    self.topology.refresh();
                    health.mark_away(now);
                    if health.is_away_for_longer_than(self.timeout, now) {
                        return Err(retry.refused(error));
                    }
                    self.wait_for_node(&mut retry, error, key).await?;
                }
                ErrorClass::NoWrites => {
                    match shared.server.health.mark_refusing(self.timeout, Instant::now()) {
                        AfterRefusal::Reconnect => {
                            self.retire(&shared);
                            retry.later(error).await?;
                        }
                        AfterRefusal::Wait => retry.later(error).await?,
                        AfterRefusal::GiveUp => return Err(retry.refused(error)),
                    }
                }
                ErrorClass::NoScript | ErrorClass::Refused => return Err(retry.refused(error)),
                ErrorClass::Unknown => {
                    self.retire(&shared);
                    if repeat == Repeat::Never {
                        return Err(RequestFailure::Unknown(error));
                    }
                    retry.mark_unknown();
                    retry.later(error).await?;
                }
            }
        }
    }

    /// Waits for a node that serves a key. Fails if there has been none for longer than a request may take.
    async fn wait_for_node(
        &self,
        retry: &mut Retry,
        error: RedisError,
        key: &str,
    ) -> Result<(), RequestFailure> {
        if self.topology.mark_unserved(key) > self.timeout {
            return Err(retry.refused(error));
        }
        retry.later(error).await
    }

    /// Takes a connection out of use, with all that were open when the request got it.
    fn retire(&self, shared: &SharedConnection) {
        shared.server.clock().forget();
        shared.server.retire(shared.opened);
        self.topology.refresh();
    }
}

/// Goes on waiting for a reply that is missing for long. A request that may happen twice waits only until its
/// connection is out of use, and then is sent again on another one.
async fn wait_on<T>(
    mut sent: Pin<&mut impl Future<Output = Result<T, RedisError>>>,
    server: &Arc<ServerConnections>,
    liveness: &Arc<Liveness>,
    deadline: Instant,
    repeat: Repeat,
) -> Result<Result<T, RedisError>, Elapsed> {
    server.replace_if_silent(liveness);
    let mut out_of_use = pin!(liveness.out_of_use());
    let ended = poll_fn(|context| match sent.as_mut().poll(context) {
        Poll::Ready(sent) => Poll::Ready(sent),
        Poll::Pending if repeat == Repeat::Always => {
            out_of_use.as_mut().poll(context).map(|()| Err(silent()))
        }
        Poll::Pending => Poll::Pending,
    });
    timeout_at(deadline, ended).await
}
