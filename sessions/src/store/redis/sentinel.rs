//! Who is the primary: Sentinels are asked.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value, cmd};
use tokio::task::JoinSet;

use super::{address::Place, dial::Dial, failure, source::Connection};

/// Sentinels, and the service whose primary they know.
pub(super) struct Sentinels {
    pub(super) service: Arc<str>,
    /// Each with a login of its own.
    pub(super) asked: Vec<(Arc<Dial>, Place)>,
    /// How to connect to the servers that they name. With TLS where it is spoken to the Sentinels.
    pub(super) servers: Arc<Dial>,
}

impl Sentinels {
    /// Connects to the primary that the first Sentinel to answer names: any of them may be silent, or wrong.
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        let mut answers = JoinSet::new();
        for (dial, place) in &self.asked {
            let (dial, place) = (Arc::clone(dial), place.clone());
            let (service, servers) = (Arc::clone(&self.service), Arc::clone(&self.servers));
            answers.spawn(async move { connect(&dial, &place, &service, &servers).await });
        }
        let mut reason = None;
        while let Some(answered) = answers.join_next().await {
            match answered {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => failure::keep_the_clearer(&mut reason, error),
                Err(_) => {}
            }
        }
        Err(reason.unwrap_or_else(|| (ErrorKind::EmptySentinelList, "no Sentinel was asked").into()))
    }
}

async fn connect(
    sentinel: &Dial,
    place: &Place,
    service: &str,
    servers: &Dial,
) -> Result<Connection, RedisError> {
    let mut sentinel = sentinel.connect_briefly(place).await?;
    if role(&mut sentinel).await? != "sentinel" {
        return Err((ErrorKind::InvalidClientConfig, "this does not point to a sentinel").into());
    }
    let primary = primary(&mut sentinel, service).await?;
    let mut server = servers.connect(&primary).await?;
    // What Sentinels say may be old.
    if role(&mut server).await? != "master" {
        return Err(not_now("Sentinel names a server as the primary that is none"));
    }
    Ok(server)
}

async fn role(connection: &mut Connection) -> Result<String, RedisError> {
    match connection.command(&cmd("ROLE")).await?.extract_error()? {
        Value::Array(parts) => Ok(parts.first().and_then(text).unwrap_or_default()),
        _ => Err(super::client::unexpected()),
    }
}

async fn primary(sentinel: &mut Connection, service: &str) -> Result<Place, RedisError> {
    let mut command = cmd("SENTINEL");
    command.arg("MASTERS");
    let Value::Array(primaries) = sentinel.command(&command).await?.extract_error()? else {
        return Err(super::client::unexpected());
    };
    let named = primaries.iter().find(|primary| field(primary, "name").as_deref() == Some(service));
    let Some(named) = named else {
        return Err((ErrorKind::MasterNameNotFoundBySentinel, "Sentinel has no such service").into());
    };
    // `s_down`, `o_down`: held for down by this Sentinel, or by as many as it takes to agree on it.
    if field(named, "flags").is_none_or(|flags| flags.contains("_down") || !flags.contains("master")) {
        return Err(not_now("Sentinel holds the primary for down, and knows no other yet"));
    }
    let place = (|| Some(Place::Tcp(field(named, "ip")?, field(named, "port")?.parse().ok()?)))();
    place.ok_or_else(super::client::unexpected)
}

/// A field of what Sentinel tells of a server: names and values in turn.
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

fn not_now(what: &'static str) -> RedisError {
    (ErrorKind::Server(ServerErrorKind::MasterDown), what).into()
}
