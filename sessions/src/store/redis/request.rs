//! The requests that are sent to a server, each on one key.

use redis::{Cmd, Pipeline, RedisError, Value};

use super::{
    connection::RedisConnection,
    connections::ServerConnections,
    error_class::{unexpected, unquoted},
};
use crate::{store::hash::Arguments, value::Timestamp};

/// A request on one key.
pub(super) trait RedisRequest {
    /// The reply, if it is no error.
    type Reply;

    async fn send(&self, connection: &mut RedisConnection) -> Result<Self::Reply, RedisError>;

    /// Sends the request to a node of a cluster that another node named for this once.
    async fn ask(&self, connection: &mut RedisConnection) -> Result<Self::Reply, RedisError>;

    /// Notes what the reply says of the server that sent it.
    fn note(&self, _reply: &Self::Reply, _server: &ServerConnections) {}
}

/// `TIME` and a command in the same write.
pub(super) struct WithTime(Pipeline);

/// A command that writes.
pub(super) struct WriteCommand(pub(super) Cmd);

/// The rule for a request whose outcome is unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The request is not sent again: it must happen at most once.
    Never,
    /// The request is sent again: twice is the same as once.
    Always,
}

impl WithTime {
    pub(super) fn new(command: Cmd) -> Self {
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("TIME").add_command(command);
        Self(commands)
    }
}

impl RedisRequest for Cmd {
    type Reply = Value;

    async fn send(&self, connection: &mut RedisConnection) -> Result<Value, RedisError> {
        // Within an array there is no error: the commands of this store reply with texts and integers.
        match connection.command(self).await? {
            Value::ServerError(error) => Err(unquoted(error.into())),
            value => Ok(value),
        }
    }

    async fn ask(&self, connection: &mut RedisConnection) -> Result<Value, RedisError> {
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("ASKING").add_command(self.clone());
        let reply = connection.pipeline(&commands).await?.pop();
        reply.ok_or_else(unexpected)?.extract_error().map_err(unquoted)
    }
}

impl RedisRequest for WriteCommand {
    type Reply = Value;

    async fn send(&self, connection: &mut RedisConnection) -> Result<Value, RedisError> {
        self.0.send(connection).await
    }

    async fn ask(&self, connection: &mut RedisConnection) -> Result<Value, RedisError> {
        self.0.ask(connection).await
    }

    fn note(&self, reply: &Value, server: &ServerConnections) {
        // A script that writes nothing is not refused by a server that takes no writes, so it proves nothing.
        let first = match reply {
            Value::Array(items) => items.first(),
            reply => Some(reply),
        };
        if matches!(first, Some(Value::Int(1) | Value::BulkString(_))) {
            server.health.mark_written();
        }
    }
}

impl RedisRequest for WithTime {
    type Reply = (Timestamp, Value);

    async fn send(&self, connection: &mut RedisConnection) -> Result<Self::Reply, RedisError> {
        with_time(connection.pipeline(&self.0).await?)
    }

    async fn ask(&self, connection: &mut RedisConnection) -> Result<Self::Reply, RedisError> {
        // `ASKING` counts for the next command only.
        let mut commands = Pipeline::new();
        for command in self.0.cmd_iter() {
            commands.cmd("ASKING").add_command(command.clone());
        }
        let replies = connection.pipeline(&commands).await?;
        with_time(replies.into_iter().skip(1).step_by(2))
    }

    fn note(&self, (now, _): &Self::Reply, server: &ServerConnections) {
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

/// Reads the reply to `TIME`: seconds and microseconds.
fn time(value: Value) -> Option<Timestamp> {
    let Value::Array(parts) = value else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    let (seconds, micros) = (parts.first().and_then(number)?, parts.get(1).and_then(number)?);
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?.checked_add(micros / 1000)?))
}

impl Arguments for Cmd {
    fn push(&mut self, argument: &[u8]) {
        self.arg(argument);
    }
}
