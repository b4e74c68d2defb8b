//! A Redis server.

use std::{fmt::Write, fs, path::PathBuf, sync::OnceLock};

use super::{port::Port, process::ServerProcess, resp, tls};

/// The user of the helpers, so that a test may restrict the default user.
const LOGIN: &[&str] = &["AUTH", "support", "support"];

/// A Redis server without persistence, unless the options say otherwise.
#[derive(Debug)]
pub struct RedisServer {
    process: ServerProcess,
    password: Option<String>,
    tls_port: Option<Port>,
}

/// The options of a Redis server.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    lines: String,
    password: Option<String>,
    tls: bool,
    cluster: bool,
}

impl RedisOptions {
    /// Sets a password of the default user, which `url` contains then.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.add_line(&format!("requirepass {password}"))
    }

    /// Writes every command to the disk before its reply, so that data survive `restart`.
    #[must_use]
    pub fn with_durability(self) -> Self {
        self.add_line("appendonly yes").add_line("appendfsync always")
    }

    /// Listens for TLS too, see `tls_url` and `ca_file`. Added lines can change the settings, such as
    /// `tls-auth-clients yes`.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Makes the server a node of a cluster.
    #[must_use]
    pub fn with_cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Adds a user with rules such as `~prefix* -@all +get`. The user may be `default`.
    #[must_use]
    pub fn add_user(self, name: &str, password: &str, rules: &str) -> Self {
        self.add_line(&format!("user {name} reset on >{password} {rules}"))
    }

    /// Adds a line to the configuration file.
    #[must_use]
    pub fn add_line(mut self, line: &str) -> Self {
        self.lines += line;
        self.lines.push('\n');
        self
    }

    /// Starts the server and waits until it answers.
    pub fn start(self) -> RedisServer {
        let tls_port = self.tls.then(Port::take);
        let process = ServerProcess::start(
            "redis-server",
            |port, second, folder| {
                let mut config = format!(
                    "port {port}\nbind 127.0.0.1\nsave \"\"\ndaemonize no\n\
                     user support on >support ~* &* +@all\n"
                );
                if self.cluster {
                    write!(config, "cluster-enabled yes\ncluster-port {second}\n").expect("text");
                }
                if let Some(tls_port) = &tls_port {
                    tls::make_certificates(folder);
                    write!(
                        config,
                        "tls-port {}\ntls-auth-clients no\ntls-ca-cert-file ca.pem\n\
                         tls-cert-file server.pem\ntls-key-file server.key\n",
                        tls_port.number()
                    )
                    .expect("text");
                }
                config + &self.lines
            },
            |port| resp::call(port, &[LOGIN, &["PING"]]).is_ok_and(|reply| reply.is_ok()),
        );
        RedisServer { process, password: self.password, tls_port }
    }
}

impl RedisServer {
    /// Starts a server that needs no password.
    pub fn start() -> Self {
        RedisOptions::default().start()
    }

    /// Returns the server that the tests of this binary share. It ends with the test process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Returns the default options.
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// Returns `redis://…` with the login of the default user.
    pub fn url(&self) -> String {
        self.password
            .as_ref()
            .map_or_else(|| self.bare_url(""), |password| self.bare_url(&format!(":{password}@")))
    }

    /// Returns `redis://…` with the login of another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.bare_url(&format!("{user}:{password}@"))
    }

    /// Returns `rediss://…` of a server with TLS. Its certificate is valid for 127.0.0.1 and localhost.
    pub fn tls_url(&self) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("rediss://{login}127.0.0.1:{}/", self.tls_port())
    }

    /// Returns the port for TLS of a server with TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.as_ref().expect("a server with TLS").number()
    }

    /// Returns the file of the certificate authority of a server with TLS, in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.process.folder().join("ca.pem")
    }

    /// Creates a certificate and key for a client, in PEM, signed by the authority of a server with TLS. `key` is the
    /// openssl command that makes the key, such as `genpkey -algorithm ed25519`.
    pub fn client_certificate(&self, name: &str, key: &str) -> (Vec<u8>, Vec<u8>) {
        let folder = self.process.folder();
        tls::make_certificate(folder, name, "client", key);
        let read =
            |extension: &str| fs::read(folder.join(format!("{name}.{extension}"))).expect("openssl wrote it");
        (read("pem"), read("key"))
    }

    /// Shows a certificate with a key of this kind from now on.
    pub fn change_key(&self, key: &str) {
        tls::make_certificate(self.process.folder(), "changed", "server", key);
        self.cli(&["CONFIG", "SET", "tls-cert-file", "changed.pem", "tls-key-file", "changed.key"]);
    }

    /// Runs a command as a user with all permissions, and returns the reply. Arrays come as lines.
    pub fn cli(&self, command: &[&str]) -> String {
        self.try_cli(command).unwrap_or_else(|error| panic!("{command:?}: {error}\n{}", self.log()))
    }

    /// Runs a command as a user with all permissions.
    ///
    /// # Errors
    ///
    /// The server's error message, or that the server does not answer.
    pub fn try_cli(&self, command: &[&str]) -> Result<String, String> {
        resp::call(self.port(), &[LOGIN, command]).unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Returns one value of `INFO`.
    pub fn info(&self, name: &str) -> Option<String> {
        let info = self.try_cli(&["INFO"]).ok()?;
        info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
    }

    /// Returns the number of times that the server has run a command.
    pub fn calls(&self, command: &str) -> u64 {
        let info = self.cli(&["INFO", "commandstats"]);
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let calls = line.map_or(Some("0"), |line| line.split(',').next());
        calls.and_then(|calls| calls.parse().ok()).expect("a number of calls")
    }

    /// Returns the version, such as 7.0.15.
    pub fn version(&self) -> String {
        self.info("redis_version").expect("a version")
    }

    /// Ends the connections of all clients.
    pub fn cut_connections(&self) {
        self.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    /// Kills and starts the server, see [`ServerProcess::restart`]. Without `with_durability` the data are lost.
    pub fn restart(&self) {
        self.process.restart();
    }

    /// Kills the server, see [`ServerProcess::kill`].
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Stops the server, see [`ServerProcess::stall`].
    pub fn stall(&self) {
        self.process.stall();
    }

    /// Resumes the server, see [`ServerProcess::resume`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// Returns all that the server has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Returns the process.
    pub fn process(&self) -> &ServerProcess {
        &self.process
    }

    fn bare_url(&self, login: &str) -> String {
        format!("redis://{login}127.0.0.1:{}/", self.port())
    }
}
