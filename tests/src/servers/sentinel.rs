//! A Redis primary with a replica, watched by a sentinel.

use super::{RedisServer, process::ServerProcess, resp, until};

const NAME: &str = Sentinel::NAME;

/// A primary, its replica and a sentinel that can decide alone.
#[derive(Debug)]
pub struct Sentinel {
    process: ServerProcess,
    servers: [RedisServer; 2],
}

impl Sentinel {
    /// The name under which a Sentinel knows the primary.
    pub const NAME: &str = "sessions";

    /// Starts a sentinel that names the server on this port, and leaves it alone.
    pub fn alone(primary: u16) -> ServerProcess {
        Self::watch(primary, 3_600_000)
    }

    /// Starts all three and waits until the sentinel could fail over.
    pub fn start() -> Self {
        let primary = RedisServer::options().add_line("repl-diskless-sync-delay 0").start();
        let replica = RedisServer::options()
            .add_line(&format!("replicaof 127.0.0.1 {}", primary.port()))
            .add_line("repl-diskless-sync-delay 0")
            .start();
        let process = Self::watch(primary.port(), 1000);
        let sentinel = Self { process, servers: [primary, replica] };
        // Otherwise it checks the servers every 10 s, since Redis 7.0, and a test would wait for that.
        let _ = sentinel.ask(&["SENTINEL", "DEBUG", "info-period", "200", "publish-period", "200"]);
        sentinel.wait_for_replica();
        sentinel
    }

    fn watch(primary: u16, down_after: u32) -> ServerProcess {
        ServerProcess::start(
            "redis-sentinel",
            |port, _, _| {
                format!(
                    "port {port}\nbind 127.0.0.1\ndaemonize no\n\
                     sentinel monitor {NAME} 127.0.0.1 {primary} 1\n\
                     sentinel down-after-milliseconds {NAME} {down_after}\n\
                     sentinel failover-timeout {NAME} 3000\n",
                )
            },
            |port| resp::call(port, &[&["PING"]]).is_ok_and(|reply| reply.is_ok()),
        )
    }

    /// Returns the URLs of the Sentinels.
    pub fn sentinel_urls(&self) -> Vec<String> {
        vec![format!("redis://127.0.0.1:{}/", self.process.port())]
    }

    /// Returns the name under which the Sentinel knows the primary.
    #[must_use]
    pub fn service_name(&self) -> &'static str {
        NAME
    }

    /// Returns the primary, as the Sentinel names it.
    pub fn primary(&self) -> &RedisServer {
        let address = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).expect("the sentinel answers");
        let named = |server: &&RedisServer| address.ends_with(&format!("\n{}", server.port()));
        self.servers.iter().find(named).expect("one of the two servers")
    }

    /// Returns the server that is not the primary.
    pub fn replica(&self) -> &RedisServer {
        let primary = self.primary().port();
        self.servers.iter().find(|server| server.port() != primary).expect("there are two")
    }

    /// Makes the replica the primary while both are alive, and waits until the Sentinel names it. The old primary
    /// becomes a replica somewhat later. Until then it takes writes that will be lost.
    pub fn failover(&self) {
        let old = self.primary().port();
        // The question whether it is under way comes first. In the other order it could end in between, and a second
        // one would be ordered.
        let ordered = || {
            let is_under_way = self.is_failing_over();
            let is_done = self.primary().port() != old;
            // The Sentinel may accept a failover and then give it up.
            if !is_under_way && !is_done {
                // It refuses while it is not ready for one.
                let _ = self.ask(&["SENTINEL", "FAILOVER", NAME]);
            }
            is_done
        };
        until("the sentinel to fail over", || self.log(), ordered);
        self.wait_for_new_primary(old);
    }

    /// Kills the primary. The Sentinel needs a second or two to notice, see `wait_for_new_primary`.
    pub fn kill_primary(&self) {
        self.primary().kill();
    }

    /// Waits until the primary is another one than that on port `old`, and knows it.
    pub fn wait_for_new_primary(&self, old: u16) {
        let switched = || {
            let primary = self.primary();
            primary.port() != old && primary.info("role").as_deref() == Some("master")
        };
        until("another primary", || self.log(), switched);
    }

    /// Has the Sentinel start no failover from now on. On a busy machine its own file may take a second to be saved.
    /// Then it may take the primary for dead, and the other server, still empty, for a replica.
    pub fn keep_primary(&self) {
        self.ask(&["SENTINEL", "SET", NAME, "down-after-milliseconds", "3600000"]).expect("a setting");
    }

    /// Kills both servers, and waits until the Sentinel takes the primary for down.
    pub fn kill_both(&self) {
        self.servers.iter().for_each(RedisServer::kill);
        let is_down = || {
            let known = self.ask(&["SENTINEL", "MASTER", NAME]).unwrap_or_default();
            known.lines().any(|line| line.contains("s_down"))
        };
        until("the sentinel to miss the primary", || self.log(), is_down);
    }

    /// Waits until the replica follows the primary and the sentinel knows.
    pub fn wait_for_replica(&self) {
        let follows = || {
            let replica = self.replica();
            let known = self.ask(&["SENTINEL", "REPLICAS", NAME]).unwrap_or_default();
            let fields: Vec<_> = known.lines().collect();
            let field = |name: &str, value: &str| fields.windows(2).any(|pair| pair == [name, value]);
            replica.info("master_link_status").as_deref() == Some("up")
                && replica.info("master_port") == Some(self.primary().port().to_string())
                && field("port", &replica.port().to_string())
                && field("flags", "slave")
                && field("master-link-status", "ok")
        };
        until("the replica to follow", || self.log(), follows);
    }

    /// Returns the Sentinel's process.
    pub fn process(&self) -> &ServerProcess {
        &self.process
    }

    fn is_failing_over(&self) -> bool {
        let known = self.ask(&["SENTINEL", "MASTER", NAME]).unwrap_or_default();
        let fields: Vec<_> = known.lines().collect();
        fields.windows(2).any(|pair| pair[0] == "flags" && pair[1].contains("failover_in_progress"))
    }

    fn ask(&self, command: &[&str]) -> resp::CliReply {
        resp::call(self.process.port(), &[command]).unwrap_or_else(|error| Err(error.to_string()))
    }

    fn log(&self) -> String {
        let [one, other] = &self.servers;
        format!("{}\n{}\n{}", self.process.log(), one.log(), other.log())
    }
}

/// A Sentinel that listens for TLS, for a primary with TLS of the same authority.
#[derive(Debug)]
pub struct TlsSentinel {
    process: ServerProcess,
}

impl TlsSentinel {
    /// Starts a Sentinel that names the primary's port for TLS, or the one for plain text. `certificate` is the name
    /// of a certificate in the primary's folder: `server` or `named`.
    pub fn start(primary: &RedisServer, names_tls_port: bool, certificate: &str) -> Self {
        let files = primary.process().folder().display().to_string();
        let (replication, primary) =
            if names_tls_port { ("yes", primary.tls_port()) } else { ("no", primary.port()) };
        let process = ServerProcess::start(
            "redis-sentinel",
            |port, second, _| {
                format!(
                    "port {port}\ntls-port {second}\nbind 127.0.0.1\ndaemonize no\n\
                     tls-auth-clients no\ntls-replication {replication}\ntls-ca-cert-file {files}/ca.pem\n\
                     tls-cert-file {files}/{certificate}.pem\ntls-key-file {files}/{certificate}.key\n\
                     sentinel monitor {NAME} 127.0.0.1 {primary} 1\n\
                     sentinel auth-user {NAME} support\nsentinel auth-pass {NAME} support\n\
                     sentinel down-after-milliseconds {NAME} 3600000\n"
                )
            },
            |port| resp::call(port, &[&["PING"]]).is_ok_and(|reply| reply.is_ok()),
        );
        Self { process }
    }

    /// Returns `rediss://…`.
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}/", self.process.second_port())
    }

    /// Returns the name under which the Sentinel knows the primary.
    #[must_use]
    pub fn service_name(&self) -> &'static str {
        NAME
    }
}

impl Drop for Sentinel {
    /// Prints the logs of a failed test: nothing else says which server became the primary, and why.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
