//! A Webdis server: Redis over HTTP.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::OnceLock,
    time::Duration,
};

use super::{RedisServer, process::ServerProcess};

/// A Webdis server in front of a Redis server.
#[derive(Debug)]
pub struct WebdisServer {
    process: ServerProcess,
}

/// The options of a Webdis server.
#[derive(Debug, Clone)]
pub struct WebdisOptions {
    threads: u32,
    pool_size: u32,
    redis_password: Option<String>,
    credentials: Option<String>,
}

impl WebdisOptions {
    /// Sets the number of threads, and of connections to Redis for each of them.
    #[must_use]
    pub fn with_pool(mut self, threads: u32, connections: u32) -> Self {
        (self.threads, self.pool_size) = (threads, connections);
        self
    }

    /// Logs in to Redis. Webdis 0.1.9 can log in as the default user only: it knows a password alone. With
    /// `["user", "password"]`, which came with 0.1.13, it fails silently.
    #[must_use]
    pub fn with_redis_password(mut self, password: &str) -> Self {
        self.redis_password = Some(password.to_owned());
        self
    }

    /// Refuses every command but EVAL, EVALSHA and SCRIPT, and these without `user:password`.
    #[must_use]
    pub fn with_scripts_only(mut self, credentials: &str) -> Self {
        self.credentials = Some(credentials.to_owned());
        self
    }

    /// Starts the server and waits until it answers.
    pub fn start(self, redis: &RedisServer) -> WebdisServer {
        let acl = self.credentials.as_ref().map_or_else(
            || "[]".to_owned(),
            |credentials| {
                format!(
                    r#"[{{"disabled":["*"]}},{{"http_basic_auth":"{credentials}","enabled":["EVAL","EVALSHA","SCRIPT"]}}]"#
                )
            },
        );
        let auth = self
            .redis_password
            .as_ref()
            .map_or_else(|| "null".to_owned(), |password| format!(r#""{password}""#));
        let Self { threads, pool_size, credentials, .. } = self;
        let redis_port = redis.port();
        let process = ServerProcess::start(
            "webdis",
            |port, _, _| {
                format!(
                    r#"{{"redis_host": "127.0.0.1", "redis_port": {redis_port}, "redis_auth": {auth},
                         "http_host": "127.0.0.1", "http_port": {port}, "threads": {threads},
                         "pool_size": {pool_size}, "daemonize": false, "acl": {acl},
                         "verbosity": 4, "logfile": "log"}}"#
                )
            },
            // Any reply of Redis will do, such as that the user lacks a permission.
            move |port| {
                let answer = call(port, credentials.as_deref(), &[b"EVAL", b"return 1", b"0"]);
                answer.is_ok_and(|(status, _)| status == 200)
            },
        );
        WebdisServer { process }
    }
}

impl WebdisServer {
    /// Starts a server without an ACL.
    pub fn start(redis: &RedisServer) -> Self {
        Self::options().start(redis)
    }

    /// Returns the default options.
    #[must_use]
    pub fn options() -> WebdisOptions {
        WebdisOptions { threads: 2, pool_size: 4, redis_password: None, credentials: None }
    }

    /// Returns the server in front of [`RedisServer::shared`] that the tests of this binary share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<WebdisServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(RedisServer::shared()))
    }

    /// Returns `http://…`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port())
    }

    /// Returns the version, such as 0.1.9, which Webdis writes in its log only.
    pub fn version(&self) -> String {
        let log = self.log();
        let version =
            log.lines().find_map(|line| line.split_once("Webdis ")?.1.strip_suffix(" up and running"));
        version.expect("a version in the log").to_owned()
    }

    /// Runs a command by `POST /`, and returns the status and the body.
    pub fn call(&self, credentials: Option<&str>, command: &[&[u8]]) -> (u16, String) {
        call(self.port(), credentials, command).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// Kills and starts the server, see [`ServerProcess::restart`].
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
}

fn call(port: u16, credentials: Option<&str>, command: &[&[u8]]) -> io::Result<(u16, String)> {
    let body = command.iter().map(|argument| percent_encode(argument)).collect::<Vec<_>>().join("/");
    let login = credentials.map_or_else(String::new, |credentials| {
        format!("Authorization: Basic {}\r\n", base64(credentials.as_bytes()))
    });
    // Head and body in one write, or Webdis may wait for ever.
    let request =
        format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{login}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    stream.get_ref().set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut status, mut length, mut line) = (0, 0, String::new());
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
            status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("Content-Length:") {
            length = rest.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn percent_encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").expect("text");
        }
    }
    text
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let sextet = char::from(ALPHABET[bits >> (18 - 6 * at) & 63]);
            text.push(if at <= chunk.len() { sextet } else { '=' });
        }
    }
    text
}
