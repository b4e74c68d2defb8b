//! Starting a Webdis server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::redis::value;
use super::{Process, Server, port};

/// Starts a server in front of this Redis.
pub async fn start(dir: &Path, redis: &Server) -> Result<Server> {
    // Somebody else may get the port first; the server then ends.
    for _ in 0..5 {
        let port = port::free()?;
        // Threads and pool as Webdis comes.
        let config = format!(
            r#"{{"redis_host": "127.0.0.1", "redis_port": {}, "redis_auth": null,
                 "http_host": "127.0.0.1", "http_port": {port}, "threads": 2,
                 "daemonize": false, "database": 0, "verbosity": 3, "logfile": "webdis.log"}}"#,
            redis.port
        );
        std::fs::write(dir.join("webdis.json"), config)?;
        let process = Process::start(dir, "webdis", &["webdis.json".into()])?;
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            // It is ours if it talks to our Redis.
            if let Ok(info) = info(port).await
                && value(&info, "process_id") == Some(&redis.process.pid().to_string())
            {
                return Ok(Server { process, port, name: format!("webdis {}", version(dir)) });
            }
        }
    }
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    bail!("webdis does not start; is it installed?\n{log}");
}

async fn info(port: u16) -> reqwest::Result<String> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(format!("http://127.0.0.1:{port}/INFO.raw")).send().await?.text().await
}

/// It tells its version in its log only: `Webdis 0.1.9 up and running`.
fn version(dir: &Path) -> String {
    let log = std::fs::read_to_string(dir.join("webdis.log")).unwrap_or_default();
    let line = log.lines().find_map(|line| line.strip_suffix(" up and running"));
    line.and_then(|line| line.rsplit(' ').next()).unwrap_or("?").to_owned()
}
