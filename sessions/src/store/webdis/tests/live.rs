//! A real Redis and a real Webdis for one test.

use super::*;

/// A process of this test, which ends with it.
pub(super) struct OwnServer {
    pub(super) child: Child,
    pub(super) port: u16,
}

impl OwnServer {
    pub(super) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Starts a server on a free port, and on another one if that port was taken meanwhile.
    pub(super) fn start(command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..10 {
            if let Some(server) = Self::start_on(free_port(), &command) {
                return server;
            }
        }
        panic!("the server does not start")
    }

    pub(super) fn start_on(port: u16, command: impl Fn(u16) -> Command) -> Option<Self> {
        let mut command = command(port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Self { child: command.spawn().unwrap(), port };
        let end = Instant::now() + SOON;
        loop {
            if StdTcpStream::connect(server.address()).is_ok() {
                return Some(server);
            }
            if server.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder for one test, removed with everything in it.
pub(super) struct ServerFolder(pub(super) PathBuf);

impl ServerFolder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sessions-webdis-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for ServerFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Redis and a Webdis in front of it. The order of the fields is the order of their end.
pub(super) struct LiveWebdis {
    pub(super) webdis: OwnServer,
    pub(super) redis: Option<OwnServer>,
    pub(super) folder: ServerFolder,
}

pub(super) const OPEN: &str = "[]";

/// An ACL that refuses every command but scripts, and scripts without the login. No other form does that.
pub(super) const CLOSED: &str = r#"[{"disabled": ["*"]},
    {"http_basic_auth": "user:pass/word", "enabled": ["EVAL", "EVALSHA", "SCRIPT"]}]"#;

impl LiveWebdis {
    pub(super) fn new(acl: &str) -> Self {
        let folder = ServerFolder::new();
        let redis = OwnServer::start(|port| redis(port, &folder.0));
        let redis_port = redis.port;
        let webdis = OwnServer::start(|port| {
            let log = folder.0.join("webdis.log");
            let config = format!(
                r#"{{"redis_host": "127.0.0.1", "redis_port": {redis_port}, "http_host": "127.0.0.1",
                    "http_port": {port}, "threads": 2, "pool_size": 4, "daemonize": false,
                    "websockets": false, "database": 0, "acl": {acl}, "verbosity": 0,
                    "logfile": "{}"}}"#,
                log.display()
            );
            let file = folder.0.join("webdis.json");
            std::fs::write(&file, config).unwrap();
            let mut command = Command::new("webdis");
            command.arg(file).current_dir(&folder.0);
            command
        });
        Self { webdis, redis: Some(redis), folder }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.webdis.port)
    }

    pub(super) fn builder(&self) -> WebdisStoreBuilder {
        WebdisStoreBuilder::new(self.url()).with_timeout(SOON)
    }

    /// Returns a client once Webdis has reached its Redis.
    pub(super) async fn client(&self) -> Arc<WebdisClient> {
        let client = Arc::new(self.builder().client().unwrap());
        until_answered(&client).await;
        client
    }

    pub(super) fn stop_redis(&mut self) -> u16 {
        self.redis.take().unwrap().port
    }

    pub(super) fn start_redis(&mut self, port: u16) {
        let end = Instant::now() + SOON;
        while self.redis.is_none() {
            assert!(Instant::now() < end);
            self.redis = OwnServer::start_on(port, |port| redis(port, &self.folder.0));
        }
    }
}

pub(super) fn redis(port: u16, folder: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder).current_dir(folder);
    command
}

pub(super) async fn until_answered(client: &WebdisClient) {
    let end = Instant::now() + SOON;
    loop {
        match echo(client, b"x").await {
            Ok(_) => return,
            Err(failure) => assert!(Instant::now() < end, "{failure:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
