//! Finds the primary by asking Sentinels.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value, cmd};
use tokio::task::JoinSet;

use super::{
    connection::RedisConnection,
    connector::ServerConnector,
    error_class::{self, unexpected},
    url::ServerAddress,
};

/// The Sentinels, and the service whose primary they name.
pub(super) struct Sentinels {
    pub(super) service: Arc<str>,
    /// The Sentinels, each with a login of its own.
    pub(super) asked: Vec<(Arc<ServerConnector>, ServerAddress)>,
    /// The settings for the servers that they name. It uses TLS if the Sentinels do.
    pub(super) servers: Arc<ServerConnector>,
}

impl Sentinels {
    /// Connects to the primary that the first Sentinel to answer names. Any of the others may be silent, or wrong.
    pub(super) async fn connect(&self) -> Result<RedisConnection, RedisError> {
        let mut answers = JoinSet::new();
        for (sentinel, address) in &self.asked {
            let (sentinel, address) = (Arc::clone(sentinel), address.clone());
            let (service, servers) = (Arc::clone(&self.service), Arc::clone(&self.servers));
            answers.spawn(async move { connect(&sentinel, &address, &service, &servers).await });
        }
        let mut reason = None;
        while let Some(answered) = answers.join_next().await {
            match answered {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error_class::keep_the_clearer(&mut reason, error),
                Err(_) => {}
            }
        }
        Err(reason.unwrap_or_else(|| (ErrorKind::EmptySentinelList, "no Sentinel was asked").into()))
    }
}

/// Asks one Sentinel for the primary and connects to it.
async fn connect(
    sentinel: &ServerConnector,
    address: &ServerAddress,
    service: &str,
    servers: &ServerConnector,
) -> Result<RedisConnection, RedisError> {
    let mut sentinel = sentinel.connect_briefly(address).await?;
    if role(&mut sentinel).await? != "sentinel" {
        return Err((ErrorKind::InvalidClientConfig, "this does not point to a sentinel").into());
    }
    let primary = primary(&mut sentinel, service).await?;
    let mut server = servers.connect(&primary).await?;
    // A Sentinel's answer may be outdated.
    if role(&mut server).await? != "master" {
        return Err(not_now("Sentinel names a server as the primary that is none"));
    }
    Ok(server)
}

/// Returns the first word of the reply to `ROLE`.
async fn role(connection: &mut RedisConnection) -> Result<String, RedisError> {
    match connection.command(&cmd("ROLE")).await?.extract_error()? {
        Value::Array(parts) => Ok(parts.first().and_then(text).unwrap_or_default()),
        _ => Err(unexpected()),
    }
}

/// Returns the address of the primary of a service, as this Sentinel names it.
async fn primary(sentinel: &mut RedisConnection, service: &str) -> Result<ServerAddress, RedisError> {
    let mut command = cmd("SENTINEL");
    command.arg("MASTERS");
    let Value::Array(primaries) = sentinel.command(&command).await?.extract_error()? else {
        return Err(unexpected());
    };
    let named = primaries.iter().find(|primary| field(primary, "name").as_deref() == Some(service));
    let Some(named) = named else {
        return Err((ErrorKind::MasterNameNotFoundBySentinel, "Sentinel has no such service").into());
    };
    // `s_down` and `o_down`: this Sentinel, or a quorum of them, takes the primary for down.
    if field(named, "flags").is_none_or(|flags| flags.contains("_down") || !flags.contains("master")) {
        return Err(not_now("Sentinel takes the primary for down, and knows no other yet"));
    }
    let address = (|| Some(ServerAddress::Tcp(field(named, "ip")?, field(named, "port")?.parse().ok()?)))();
    address.ok_or_else(unexpected)
}

/// Returns a field of a server's description by Sentinel, an array of names and values in turn.
fn field(server: &Value, name: &str) -> Option<String> {
    let Value::Array(items) = server else { return None };
    let pair = items.chunks_exact(2).find(|pair| text(&pair[0]).as_deref() == Some(name))?;
    text(&pair[1])
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// Returns the error for a primary that is away, which may pass.
fn not_now(what: &'static str) -> RedisError {
    (ErrorKind::Server(ServerErrorKind::MasterDown), what).into()
}
