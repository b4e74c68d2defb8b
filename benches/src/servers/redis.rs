//! Starting a Redis server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use redis::Client;

use super::{Process, Server, port};

/// Starts a server that keeps nothing on disk.
pub async fn start(dir: &Path) -> Result<Server> {
    // Somebody else may get the port first; the server then ends.
    for _ in 0..5 {
        let port = port::free()?;
        let options =
            ["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"];
        let process = Process::start(dir, "redis-server", &options.map(str::to_owned))?;
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Ok(info) = info(port).await
                && value(&info, "process_id") == Some(&process.pid().to_string())
            {
                let version = value(&info, "redis_version").unwrap_or("?");
                return Ok(Server { process, port, name: format!("redis-server {version}") });
            }
        }
    }
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    bail!("redis-server does not start; is it installed?\n{log}");
}

async fn info(port: u16) -> redis::RedisResult<String> {
    let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("INFO").arg("server").query_async(&mut connection).await
}

/// The value of one line of `INFO`.
pub fn value<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
