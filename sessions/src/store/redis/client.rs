//! Sending a request once, or again where it certainly did not happen.

use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, Value};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    clock::ServerClock,
    failure::{Failure, Verdict, verdict},
    lanes::{Lane, Lanes},
};
use crate::store::hash::{Arguments, Script};

/// How long to wait before asking again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

#[derive(Debug)]
pub(super) struct Client {
    lanes: Lanes,
    timeout: Duration,
    clock: ServerClock,
}

/// What can be sent.
enum Request<'a> {
    Command(Cmd),
    Commands(&'a Pipeline),
}

/// Whether a request whose outcome is unknown is sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It happens at most once.
    Never,
    /// Twice is the same as once.
    Always,
}

impl Client {
    pub(super) fn new(lanes: Lanes, timeout: Duration) -> Self {
        Self { lanes, timeout, clock: ServerClock::new() }
    }

    /// The clock of the one server that there is: the nodes of a cluster have one each.
    pub(super) fn clock(&self) -> Option<&ServerClock> {
        (!self.lanes.is_cluster()).then_some(&self.clock)
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
            let mut command = redis::cmd(verb);
            command.arg(what).arg(1).arg(key);
            arguments(&mut command);
            Request::Command(command)
        };
        match self.run(command("EVALSHA", &script.sha), Repeat::Never, deadline).await {
            Err(Failure::Refused(error)) if verdict(&error) == Verdict::NoScript => {
                one(self.run(command("EVAL", &script.text), Repeat::Never, deadline).await?)
            }
            replied => one(replied?),
        }
    }

    /// Commands on one key, which reach the server together.
    pub(super) async fn commands(
        &self,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        self.run(Request::Commands(commands), Repeat::Always, deadline).await
    }

    /// One command, which may happen twice.
    pub(super) async fn command(&self, command: Cmd, deadline: Instant) -> Result<Value, Failure> {
        one(self.run(Request::Command(command), Repeat::Always, deadline).await?)
    }

    async fn run(
        &self,
        request: Request<'_>,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let mut pause = PAUSES.0;
        let mut ask = None;
        loop {
            let mut lane = self.lanes.get(deadline).await.map_err(Failure::Refused)?;
            let sent = timeout_at(deadline, send(&mut lane, &request, ask.take()));
            let error = match sent.await {
                Ok(Ok(values)) => return Ok(values),
                Ok(Err(error)) => error,
                Err(_) => {
                    // Nobody knows whether this connection still leads anywhere.
                    self.retire(&lane);
                    return Err(Failure::Unknown(timed_out()));
                }
            };
            let waits = match verdict(&error) {
                Verdict::Ask(node) => {
                    ask = Some(node);
                    false
                }
                Verdict::Moved | Verdict::Later => true,
                Verdict::Demoted => {
                    self.retire(&lane);
                    true
                }
                Verdict::NoScript | Verdict::Refused => return Err(Failure::Refused(error)),
                Verdict::Unknown => {
                    self.retire(&lane);
                    if repeat == Repeat::Never {
                        return Err(Failure::Unknown(error));
                    }
                    true
                }
            };
            if waits {
                let until = Instant::now() + pause;
                if until >= deadline {
                    return Err(match verdict(&error) {
                        Verdict::Unknown => Failure::Unknown(error),
                        _ => Failure::Refused(error),
                    });
                }
                sleep_until(until).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }

    fn retire(&self, lane: &Lane) {
        self.clock.forget();
        // A cluster's client mends its connections itself.
        if !lane.connection.is_cluster() {
            self.lanes.retire(lane);
        }
    }
}

/// Sends a request; `ask` names the node to which another one referred us for this once.
async fn send(lane: &mut Lane, request: &Request<'_>, ask: Option<String>) -> Result<Vec<Value>, RedisError> {
    let replies = match (request, ask) {
        (Request::Command(command), None) => vec![lane.connection.command(command).await?],
        (Request::Commands(commands), None) => lane.connection.pipeline(commands).await?,
        (request, Some(node)) => {
            // `ASKING` counts for the next command.
            let mut commands = Pipeline::new();
            let asked: Vec<_> = match request {
                Request::Command(command) => vec![command],
                Request::Commands(pipeline) => pipeline.cmd_iter().collect(),
            };
            for command in asked {
                commands.cmd("ASKING").add_command(command.clone());
            }
            let replies = lane.connection.asking(&node, &commands).await?;
            replies.into_iter().skip(1).step_by(2).collect()
        }
    };
    replies.into_iter().map(Value::extract_error).collect()
}

fn one(values: Vec<Value>) -> Result<Value, Failure> {
    values.into_iter().next().ok_or_else(|| Failure::Unknown(timed_out()))
}

fn timed_out() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "Redis did not answer in time").into()
}

impl Arguments for Cmd {
    fn push(&mut self, argument: &[u8]) {
        self.arg(argument);
    }
}
