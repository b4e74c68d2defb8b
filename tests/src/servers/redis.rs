//! A Redis server.

use std::{fmt::Write, fs, path::PathBuf, sync::OnceLock};

use super::{port::Port, process::Process, resp, tls};

/// The user as whom the helpers log in, so that a test may restrict the default user as it likes.
const LOGIN: &[&str] = &["AUTH", "support", "support"];

/// A Redis server without persistence, unless the options say otherwise.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    password: Option<String>,
    tls_port: Option<Port>,
}

/// What a Redis server is started with.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    lines: String,
    password: Option<String>,
    tls: bool,
    cluster: bool,
}

impl RedisOptions {
    /// Asks for a password of the default user, which `url` has then.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.add_line(&format!("requirepass {password}"))
    }

    /// Writes every command to the disk before its answer: data survive `restart`.
    #[must_use]
    pub fn with_durability(self) -> Self {
        self.add_line("appendonly yes").add_line("appendfsync always")
    }

    /// Listens for TLS too, see `tls_url` and `ca_file`. Lines added can change how, such as `tls-auth-clients yes`.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// A node of a cluster.
    #[must_use]
    pub fn with_cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// Adds a user with rules such as `~prefix* -@all +get`; `default` is one too.
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
        let process = Process::start(
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

    /// The server that the tests of this binary share. It ends with the test process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The options of a server.
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// `redis://…` with what the default user needs.
    pub fn url(&self) -> String {
        self.password
            .as_ref()
            .map_or_else(|| self.bare_url(""), |password| self.bare_url(&format!(":{password}@")))
    }

    /// `redis://…` as another user.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.bare_url(&format!("{user}:{password}@"))
    }

    /// `rediss://…`, of a server with TLS; the certificate is good for 127.0.0.1 and for localhost.
    pub fn tls_url(&self) -> String {
        let login = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("rediss://{login}127.0.0.1:{}/", self.tls_port())
    }

    /// The port of a server with TLS where it is spoken.
    pub fn tls_port(&self) -> u16 {
        self.tls_port.as_ref().expect("a server with TLS").number()
    }

    /// The certificate authority of a server with TLS, in PEM.
    pub fn ca_file(&self) -> PathBuf {
        self.process.folder().join("ca.pem")
    }

    /// A new certificate and key for a client, in PEM, of the authority of a server with TLS. `key` is how openssl makes
    /// one, such as `genpkey -algorithm ed25519`.
    pub fn client_certificate(&self, name: &str, key: &str) -> (Vec<u8>, Vec<u8>) {
        let folder = self.process.folder();
        tls::make_certificate(folder, name, "client", key);
        let read =
            |extension: &str| fs::read(folder.join(format!("{name}.{extension}"))).expect("openssl wrote it");
        (read("pem"), read("key"))
    }

    /// From now on shows a certificate with a key of this kind.
    pub fn change_key(&self, key: &str) {
        tls::make_certificate(self.process.folder(), "changed", "server", key);
        self.cli(&["CONFIG", "SET", "tls-cert-file", "changed.pem", "tls-key-file", "changed.key"]);
    }

    /// Runs a command as a user who may do everything; arrays come as lines.
    pub fn cli(&self, command: &[&str]) -> String {
        self.try_cli(command).unwrap_or_else(|error| panic!("{command:?}: {error}\n{}", self.log()))
    }

    /// Runs a command as a user who may do everything.
    ///
    /// # Errors
    ///
    /// The server's error message, or that it does not answer.
    pub fn try_cli(&self, command: &[&str]) -> Result<String, String> {
        resp::call(self.port(), &[LOGIN, command]).unwrap_or_else(|error| Err(error.to_string()))
    }

    /// One line of `INFO`.
    pub fn info(&self, name: &str) -> Option<String> {
        let info = self.try_cli(&["INFO"]).ok()?;
        info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.to_owned()))
    }

    /// How often the server has run a command.
    pub fn calls(&self, command: &str) -> u64 {
        let info = self.cli(&["INFO", "commandstats"]);
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let calls = line.map_or(Some("0"), |line| line.split(',').next());
        calls.and_then(|calls| calls.parse().ok()).expect("a number of calls")
    }

    /// The version, such as 7.0.15.
    pub fn version(&self) -> String {
        self.info("redis_version").expect("the server tells its version")
    }

    /// Cuts the connections of all clients.
    pub fn cut_connections(&self) {
        self.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    /// See [`Process::restart`]; without `with_durability` the data are gone.
    pub fn restart(&self) {
        self.process.restart();
    }

    /// See [`Process::kill`].
    pub fn kill(&self) {
        self.process.kill();
    }

    /// See [`Process::stall`].
    pub fn stall(&self) {
        self.process.stall();
    }

    /// See [`Process::resume`].
    pub fn resume(&self) {
        self.process.resume();
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.process.port()
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn bare_url(&self, login: &str) -> String {
        format!("redis://{login}127.0.0.1:{}/", self.port())
    }
}
