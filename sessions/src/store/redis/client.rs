//! Sending a request once, or again where it certainly did not happen.

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

use redis::{Cmd, ErrorKind, Pipeline, RedisError, Value};
use tokio::time::{Instant, error::Elapsed, sleep_until, timeout_at};

use super::{
    cluster::Cluster,
    failure::{Failure, Verdict, is_midway, says_little, unquoted, verdict},
    lanes::{Lane, Lanes, Pulse, Refused},
    source::Connection,
};
use crate::{
    store::hash::{Arguments, Script},
    value::Timestamp,
};

/// How long to wait before asking again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

#[derive(Debug)]
pub(super) struct Client {
    servers: Servers,
    timeout: Duration,
    /// Of how many further pieces the metadata of a record were, at most.
    pieces: AtomicUsize,
}

/// How many further pieces of metadata are asked for: one, which a session has that has logged in, up to what those
/// have that have rotated many times. More is nothing that this library writes for a real session.
const PIECES: (usize, usize) = (1, 8);

/// Who is asked.
#[derive(Debug)]
pub(super) enum Servers {
    One(Arc<Lanes>),
    Cluster(Arc<Cluster>),
}

/// What can be sent, on one key.
trait Request {
    /// What is answered, if it is no error.
    type Reply;

    async fn send(&self, connection: &mut Connection) -> Result<Self::Reply, RedisError>;

    /// The same to a node of a cluster to which another one referred us for this once.
    async fn ask(&self, connection: &mut Connection) -> Result<Self::Reply, RedisError>;

    /// Notes what the reply says of the server that it is from.
    fn note(&self, _reply: &Self::Reply, _server: &Lanes) {}
}

/// `TIME` and a command in the same write.
struct WithTime(Pipeline);

impl WithTime {
    fn new(command: Cmd) -> Self {
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("TIME").add_command(command);
        Self(commands)
    }
}

/// What writes.
struct Write(Cmd);

/// Whether a request whose outcome is unknown is sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It happens at most once.
    Never,
    /// Twice is the same as once.
    Always,
}

impl Client {
    pub(super) fn new(servers: Servers, timeout: Duration) -> Self {
        Self { servers, timeout, pieces: AtomicUsize::new(PIECES.0) }
    }

    /// The time of the one server that there is, if it was asked lately. A cluster has as many times as
    /// nodes, and who answers is not known before it has.
    pub(super) fn now(&self) -> Option<Timestamp> {
        match &self.servers {
            Servers::One(lanes) => lanes.clock().now(),
            Servers::Cluster(_) => None,
        }
    }

    /// When it will be this moment by the clock of the server that has the key, as far as that is known.
    pub(super) fn server_time(&self, key: &str, moment: Instant) -> Option<Timestamp> {
        match &self.servers {
            Servers::One(lanes) => lanes.clock().at(moment.into_std()),
            Servers::Cluster(cluster) => cluster.known_owner(key)?.clock().at(moment.into_std()),
        }
    }

    /// How many further pieces of a record's metadata to ask for: each costs a load eleven bytes, where there is
    /// none.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.load(Ordering::Relaxed)
    }

    /// Notes that a record had so many.
    pub(super) fn ask_for_pieces(&self, pieces: usize) {
        if pieces > self.pieces() {
            self.pieces.fetch_max(pieces.min(PIECES.1), Ordering::Relaxed);
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When a request that begins now is to be over.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs a script on one key, by its name; with its text where the server does not know it.
    pub(super) async fn script(
        &self,
        script: &Script,
        key: &str,
        arguments: impl Fn(&mut Cmd),
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let command = |verb: &str, what: &str| {
            let mut command = Cmd::with_capacity(16, 256);
            command.arg(verb).arg(what).arg(1).arg(key);
            arguments(&mut command);
            Write(command)
        };
        let replied = match self.run(key, &command("EVALSHA", &script.sha), Repeat::Never, deadline).await {
            Err(Failure::Refused(error)) if verdict(&error) == Verdict::NoScript => {
                // Boxed, so that what hardly ever happens takes no room in what always does.
                Box::pin(self.run(key, &command("EVAL", &script.text), Repeat::Never, deadline)).await
            }
            replied => replied,
        };
        replied.map_err(|failure| match failure {
            Failure::Refused(error) if is_midway(&error) => Failure::Unknown(error),
            failure => failure,
        })
    }

    /// One command on one key, which may happen twice.
    pub(super) async fn command(
        &self,
        key: &str,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        self.run(key, command, Repeat::Always, deadline).await
    }

    /// The same for one that writes.
    pub(super) async fn write(&self, key: &str, command: Cmd, deadline: Instant) -> Result<Value, Failure> {
        self.run(key, &Write(command), Repeat::Always, deadline).await
    }

    /// The same as [`command`](Self::command) together with the time of the server that answers, which is remembered.
    pub(super) async fn command_with_time(
        &self,
        key: &str,
        command: Cmd,
        deadline: Instant,
    ) -> Result<(Timestamp, Value), Failure> {
        self.run(key, &WithTime::new(command), Repeat::Always, deadline).await
    }

    async fn run<R: Request>(
        &self,
        key: &str,
        request: &R,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<R::Reply, Failure> {
        let ready = match &self.servers {
            Servers::One(lanes) => lanes.ready(),
            Servers::Cluster(cluster) => cluster.known_owner(key).and_then(|lanes| lanes.ready()),
        };
        // Nearly always this is all.
        let begun = match ready {
            None => None,
            Some(mut lane) => match self.attempt(&mut lane, deadline, request, repeat).await {
                Ok(Ok(reply)) => {
                    self.servers.mark_served(key);
                    return Ok(reply);
                }
                Ok(Err(error)) => Some((lane, Some(error))),
                Err(_) => Some((lane, None)),
            },
        };
        Box::pin(self.go_on(key, request, repeat, deadline, begun)).await
    }

    /// Sends a request once. Where an answer is missing for long, another connection is opened meanwhile: this one
    /// may lead nowhere any more.
    async fn attempt<R: Request>(
        &self,
        lane: &mut Lane,
        deadline: Instant,
        request: &R,
        repeat: Repeat,
    ) -> Result<Result<R::Reply, RedisError>, Elapsed> {
        let Lane { connection, lanes, pulse, .. } = lane;
        let mut sent = pin!(request.send(connection));
        let soon = deadline.min(Instant::now() + Lanes::silence(self.timeout));
        let sent = match timeout_at(soon, &mut sent).await {
            Ok(sent) => sent,
            Err(_) => Box::pin(wait_on(sent, lanes, pulse, deadline, repeat)).await?,
        };
        if let Ok(reply) = &sent {
            lanes.mark_heard(pulse);
            lanes.mark_back();
            request.note(reply, lanes);
        }
        Ok(sent)
    }

    /// Sends a request until it is answered; `begun` is how the first attempt has failed.
    async fn go_on<R: Request>(
        &self,
        key: &str,
        request: &R,
        repeat: Repeat,
        deadline: Instant,
        mut begun: Option<(Lane, Option<RedisError>)>,
    ) -> Result<R::Reply, Failure> {
        let mut retry =
            Retry { pause: PAUSES.0, deadline, timeout: self.timeout, is_unknown: false, reason: None };
        // Whom another node of a cluster named, and whether for this once.
        let mut named: Option<(Arc<Lanes>, bool)> = None;
        loop {
            let (lane, error) = if let Some(begun) = begun.take() {
                begun
            } else {
                let (lanes, asks) = match named.take() {
                    Some(named) => named,
                    None => match self.servers.owner(key, deadline).await {
                        Ok(lanes) => (lanes, false),
                        Err(error) => {
                            self.wait_for_node(&mut retry, error, key).await?;
                            continue;
                        }
                    },
                };
                let mut lane = match lanes.get(deadline).await {
                    Ok(lane) => lane,
                    Err(error) => {
                        self.servers.doubt();
                        retry.when_it_is_back(error, &lanes).await?;
                        continue;
                    }
                };
                let sent = if asks {
                    timeout_at(deadline, request.ask(&mut lane.connection)).await
                } else {
                    self.attempt(&mut lane, deadline, request, repeat).await
                };
                match sent {
                    Ok(Ok(reply)) => {
                        self.servers.mark_served(key);
                        return Ok(reply);
                    }
                    Ok(Err(error)) => (lane, Some(error)),
                    Err(_) => (lane, None),
                }
            };
            let Some(error) = error else {
                // Nobody knows whether this connection still leads anywhere.
                self.retire(&lane);
                let error = timed_out();
                return Err(Failure::Unknown(match repeat {
                    // The last attempt is the one of which it is not known what became of it.
                    Repeat::Never => error,
                    Repeat::Always => retry.told(error),
                }));
            };
            match verdict(&error) {
                Verdict::Ask(node) => {
                    named =
                        self.servers.named(&node, lane.lanes.host(), key, false).map(|lanes| (lanes, true));
                    if named.is_none() {
                        retry.later(error).await?;
                    }
                }
                Verdict::Moved(node) => {
                    named =
                        self.servers.named(&node, lane.lanes.host(), key, true).map(|lanes| (lanes, false));
                    // Two nodes may send us to each other for a moment.
                    retry.later(error).await?;
                }
                Verdict::Later => {
                    self.servers.doubt();
                    lane.lanes.mark_away();
                    if lane.lanes.is_away_for_longer_than(self.timeout) {
                        return Err(retry.refused(error));
                    }
                    self.wait_for_node(&mut retry, error, key).await?;
                }
                Verdict::NoWrites => match lane.lanes.mark_refusing(self.timeout) {
                    Refused::Reconnect => {
                        self.retire(&lane);
                        retry.later(error).await?;
                    }
                    Refused::Wait => retry.later(error).await?,
                    Refused::GiveUp => return Err(retry.refused(error)),
                },
                Verdict::NoScript | Verdict::Refused => return Err(retry.refused(error)),
                Verdict::Unknown => {
                    self.retire(&lane);
                    if repeat == Repeat::Never {
                        return Err(Failure::Unknown(error));
                    }
                    retry.is_unknown = true;
                    retry.later(error).await?;
                }
            }
        }
    }

    /// Waits for a node that serves a key, unless there has been none for longer than a request may take.
    async fn wait_for_node(&self, retry: &mut Retry, error: RedisError, key: &str) -> Result<(), Failure> {
        if self.servers.mark_lost(key) > self.timeout {
            return Err(retry.refused(error));
        }
        retry.later(error).await
    }

    fn retire(&self, lane: &Lane) {
        lane.lanes.clock().forget();
        lane.lanes.retire(lane.opened);
        self.servers.doubt();
    }
}

impl Servers {
    /// Whether primaries are found anew when others take their place.
    pub(super) fn follows_primaries(&self) -> bool {
        match self {
            Self::One(lanes) => lanes.follows_primary(),
            Self::Cluster(_) => true,
        }
    }

    async fn owner(&self, key: &str, deadline: Instant) -> Result<Arc<Lanes>, RedisError> {
        match self {
            Self::One(lanes) => Ok(Arc::clone(lanes)),
            Self::Cluster(cluster) => {
                timeout_at(deadline, cluster.owner(key)).await.unwrap_or_else(|_| Err(timed_out()))
            }
        }
    }

    fn named(&self, address: &str, asked: &str, key: &str, moved: bool) -> Option<Arc<Lanes>> {
        match self {
            Self::One(_) => None,
            Self::Cluster(cluster) => cluster.named(address, asked, key, moved),
        }
    }

    fn mark_lost(&self, key: &str) -> Duration {
        match self {
            // It is there, or away as a whole.
            Self::One(_) => Duration::ZERO,
            Self::Cluster(cluster) => cluster.mark_lost(key),
        }
    }

    fn mark_served(&self, key: &str) {
        if let Self::Cluster(cluster) = self {
            cluster.mark_served(key);
        }
    }

    /// A node has failed: another may have taken its place.
    fn doubt(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.look_again();
        }
    }
}

/// Goes on waiting for an answer that is missing for long. What may happen twice waits only until the connection is
/// out of use, and is sent again on another one then.
async fn wait_on<T>(
    mut sent: Pin<&mut impl Future<Output = Result<T, RedisError>>>,
    lanes: &Arc<Lanes>,
    pulse: &Arc<Pulse>,
    deadline: Instant,
    repeat: Repeat,
) -> Result<Result<T, RedisError>, Elapsed> {
    lanes.suspect(pulse);
    let mut gone = pin!(pulse.gone());
    let ended = poll_fn(|context| match sent.as_mut().poll(context) {
        Poll::Ready(sent) => Poll::Ready(sent),
        Poll::Pending if repeat == Repeat::Always => gone.as_mut().poll(context).map(|()| Err(silent())),
        Poll::Pending => Poll::Pending,
    });
    timeout_at(deadline, ended).await
}

/// Trying again, more and more slowly, until there is no time left.
struct Retry {
    pause: Duration,
    deadline: Instant,
    timeout: Duration,
    /// Whether an attempt may have been carried out.
    is_unknown: bool,
    /// Why the latest attempt failed of those that found out. The last one often has no time left for that.
    reason: Option<RedisError>,
}

impl Retry {
    async fn later(&mut self, error: RedisError) -> Result<(), Failure> {
        // A server that refuses our login will refuse it again. What sentinels know may change.
        let is_hopeless =
            verdict(&error) == Verdict::Refused && error.kind() != ErrorKind::MasterNameNotFoundBySentinel;
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

    /// A server that restarts is waited for; one that has been away for longer than that would only
    /// make requests pile up.
    async fn when_it_is_back(&mut self, error: RedisError, lanes: &Lanes) -> Result<(), Failure> {
        if lanes.is_away_for_longer_than(self.timeout) {
            return Err(self.refused(error));
        }
        self.later(error).await
    }

    fn refused(&mut self, error: RedisError) -> Failure {
        let error = self.told(error);
        if self.is_unknown { Failure::Unknown(error) } else { Failure::Refused(error) }
    }
}

impl Retry {
    /// What is told in the end: this error, unless only an earlier one gives a reason.
    fn told(&mut self, error: RedisError) -> RedisError {
        if says_little(&error) { self.reason.take().unwrap_or(error) } else { error }
    }
}

impl Request for Cmd {
    type Reply = Value;

    async fn send(&self, connection: &mut Connection) -> Result<Value, RedisError> {
        // Within an array there is no error: what is called answers with texts and integers.
        match connection.command(self).await? {
            Value::ServerError(error) => Err(unquoted(error.into())),
            value => Ok(value),
        }
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Value, RedisError> {
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("ASKING").add_command(self.clone());
        let reply = connection.pipeline(&commands).await?.pop();
        reply.ok_or_else(unexpected)?.extract_error().map_err(unquoted)
    }
}

impl Request for Write {
    type Reply = Value;

    async fn send(&self, connection: &mut Connection) -> Result<Value, RedisError> {
        self.0.send(connection).await
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Value, RedisError> {
        self.0.ask(connection).await
    }

    fn note(&self, reply: &Value, server: &Lanes) {
        // A script that has nothing to write is not refused either.
        let first = match reply {
            Value::Array(items) => items.first(),
            reply => Some(reply),
        };
        if matches!(first, Some(Value::Int(1) | Value::BulkString(_))) {
            server.mark_written();
        }
    }
}

impl Request for WithTime {
    type Reply = (Timestamp, Value);

    async fn send(&self, connection: &mut Connection) -> Result<Self::Reply, RedisError> {
        with_time(connection.pipeline(&self.0).await?)
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Self::Reply, RedisError> {
        // `ASKING` counts for the next command.
        let mut commands = Pipeline::new();
        for command in self.0.cmd_iter() {
            commands.cmd("ASKING").add_command(command.clone());
        }
        let replies = connection.pipeline(&commands).await?;
        with_time(replies.into_iter().skip(1).step_by(2))
    }

    fn note(&self, (now, _): &Self::Reply, server: &Lanes) {
        server.clock().set(*now);
    }
}

fn with_time(replies: impl IntoIterator<Item = Value>) -> Result<(Timestamp, Value), RedisError> {
    let mut replies = replies.into_iter().map(Value::extract_error);
    let (Some(now), Some(reply), None) = (replies.next(), replies.next(), replies.next()) else {
        return Err(unexpected());
    };
    Ok((time(now?).ok_or_else(unexpected)?, reply?))
}

/// The reply to `TIME`: seconds and microseconds.
fn time(value: Value) -> Option<Timestamp> {
    let Value::Array(parts) = value else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    let (seconds, micros) = (parts.first().and_then(number)?, parts.get(1).and_then(number)?);
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?.checked_add(micros / 1000)?))
}

pub(super) fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "Redis answered something unexpected").into()
}

fn silent() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the connection to Redis leads nowhere any more")
        .into()
}

pub(super) fn timed_out() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "Redis did not answer in time").into()
}

impl Arguments for Cmd {
    fn push(&mut self, argument: &[u8]) {
        self.arg(argument);
    }
}
