//! The way to Webdis and back: with a real one, and with a peer that does what a real one does only
//! now and then.

use std::{
    future::poll_fn,
    io::Write as _,
    net::{SocketAddr, TcpStream as StdTcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    WebdisStoreBuilder,
    channels::{Channels, Limits, POISONED_AT_MOST},
    failure::{CallFailure, Reason},
    nonce::Nonce,
};
use crate::ErrorKind;

const ECHO: &[u8] = b"return ARGV[1]..ARGV[2]..ARGV[1]";

/// For what must happen. Never waited for in full unless the test fails.
const SOON: Duration = Duration::from_secs(30);

/// For callers that are to be let down. No call that is to succeed has it.
const BRIEF: Duration = Duration::from_millis(300);

type Answer = Result<Bytes, CallFailure>;

// ---------------------------------------------------------------------------------------------------
// Calls
// ---------------------------------------------------------------------------------------------------

/// Asks for a value to be sent back.
async fn echo(channels: &Channels, value: &[u8]) -> Answer {
    let nonce = Nonce::new().unwrap();
    within(channels.call(&[b"EVAL", ECHO, b"0", nonce.as_bytes(), value], &nonce)).await
}

/// The same in a task.
fn start_echo(channels: &Arc<Channels>, value: &str) -> JoinHandle<Answer> {
    let (channels, value) = (Arc::clone(channels), value.to_owned());
    tokio::spawn(async move { echo(&channels, value.as_bytes()).await })
}

fn reason(answer: Answer) -> Reason {
    match answer {
        Err(CallFailure::Unproven { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// The text of an error for a call that certainly did not happen.
fn not_sent(answer: Answer) -> String {
    match answer {
        Err(CallFailure::NotSent(error)) => {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            std::error::Error::source(&error).unwrap().to_string()
        }
        other => panic!("{other:?}"),
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("this takes too long")
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn is_pending<T>(task: &JoinHandle<T>) -> bool {
    !task.is_finished()
}

// ---------------------------------------------------------------------------------------------------
// A peer that says what the test wants
// ---------------------------------------------------------------------------------------------------

struct Peer(TcpListener);

impl Peer {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    fn builder(&self) -> WebdisStoreBuilder {
        WebdisStoreBuilder::new(self.url()).with_timeout(SOON)
    }

    fn channels(&self) -> Arc<Channels> {
        Arc::new(self.builder().channels().unwrap())
    }

    /// With callers that are soon let down.
    fn impatient(&self, change: impl FnOnce(&mut Limits)) -> Arc<Channels> {
        let mut limits = Limits { timeout: BRIEF, ..Limits::DEFAULT };
        change(&mut limits);
        let endpoint = self.builder().endpoint().unwrap();
        Arc::new(Channels::new(endpoint, limits))
    }

    async fn accept(&self) -> Line {
        Line { stream: within(self.0.accept()).await.unwrap().0 }
    }

    /// Nobody is waiting to be accepted.
    async fn assert_alone(&self) {
        let accepted = poll_fn(|context| Poll::Ready(self.0.poll_accept(context))).await;
        assert!(accepted.is_pending(), "there is another connection");
    }
}

/// One connection to the peer.
struct Line {
    stream: TcpStream,
}

/// What came over it.
struct Request {
    text: String,
    nonce: String,
    value: String,
    reads: usize,
}

impl Line {
    /// Reads one request, and not a byte more.
    async fn request(&mut self) -> Request {
        let mut bytes = Vec::new();
        let mut reads = 0;
        loop {
            let mut buffer = vec![0; 1 << 20];
            let read = within(self.stream.read(&mut buffer)).await.unwrap();
            assert_ne!(read, 0, "the connection was closed");
            reads += 1;
            bytes.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            assert!(body.len() <= length, "two requests at once");
            if body.len() == length {
                let mut words = body.strip_suffix(".raw").unwrap().split('/').skip(3);
                let nonce = words.next().unwrap().to_owned();
                let value = words.next().unwrap().to_owned();
                return Request { text, nonce, value, reads };
            }
        }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// What Webdis answers to this request.
    async fn answer(&mut self, request: &Request) {
        self.send(&bulk(&request.nonce, &request.value)).await;
    }

    /// Waits until the other side closes, and sends nothing before.
    async fn ended(&mut self) {
        let read = within(self.stream.read(&mut [0; 1024])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "there is another request");
    }

    /// The other side is there and sends nothing.
    fn assert_silent(&self) {
        let read = self.stream.try_read(&mut [0; 1]);
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

fn bulk(nonce: &str, value: &str) -> String {
    let text = format!("{nonce}{value}{nonce}");
    ok(&format!("${}\r\n{text}\r\n", text.len()))
}

fn ok(body: &str) -> String {
    status("200 OK", body)
}

fn status(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nServer: Webdis\r\nConnection: Keep-Alive\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The reply to somebody else.
fn foreign() -> String {
    let nonce = Nonce::new().unwrap();
    bulk(std::str::from_utf8(nonce.as_bytes()).unwrap(), "{\"user\":\"mallory\"}")
}

// ---------------------------------------------------------------------------------------------------
// Servers
// ---------------------------------------------------------------------------------------------------

/// A process of this test, which ends with it.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Starts one on a port that nobody uses, again on another if somebody was faster.
    fn start(command: impl Fn(u16) -> Command) -> Self {
        for _ in 0..10 {
            if let Some(server) = Self::start_on(free_port(), &command) {
                return server;
            }
        }
        panic!("the server does not start")
    }

    fn start_on(port: u16, command: impl Fn(u16) -> Command) -> Option<Self> {
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

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder of its own for one test, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sessions-webdis-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Redis and a Webdis in front of it. The order of the fields is the order of their end.
struct Live {
    webdis: Server,
    redis: Option<Server>,
    folder: Folder,
}

const OPEN: &str = "[]";

/// The only list that keeps everybody else from everything.
const CLOSED: &str = r#"[{"disabled": ["*"]},
    {"http_basic_auth": "user:pass/word", "enabled": ["EVAL", "EVALSHA", "SCRIPT"]}]"#;

impl Live {
    fn new(acl: &str) -> Self {
        let folder = Folder::new();
        let redis = Server::start(|port| redis(port, &folder.0));
        let redis_port = redis.port;
        let webdis = Server::start(|port| {
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

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.webdis.port)
    }

    fn builder(&self) -> WebdisStoreBuilder {
        WebdisStoreBuilder::new(self.url()).with_timeout(SOON)
    }

    /// Once Webdis has got its Redis.
    async fn channels(&self) -> Arc<Channels> {
        let channels = Arc::new(self.builder().channels().unwrap());
        until_answered(&channels).await;
        channels
    }

    fn stop_redis(&mut self) -> u16 {
        self.redis.take().unwrap().port
    }

    fn start_redis(&mut self, port: u16) {
        let end = Instant::now() + SOON;
        while self.redis.is_none() {
            assert!(Instant::now() < end);
            self.redis = Server::start_on(port, |port| redis(port, &self.folder.0));
        }
    }
}

fn redis(port: u16, folder: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder).current_dir(folder);
    command
}

async fn until_answered(channels: &Channels) {
    let end = Instant::now() + SOON;
    loop {
        match echo(channels, b"x").await {
            Ok(_) => return,
            Err(failure) => assert!(Instant::now() < end, "{failure:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// ---------------------------------------------------------------------------------------------------
// What is sent and what comes back
// ---------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_comes_back_as_it_was_sent() {
    let live = Live::new(OPEN);
    let channels = live.channels().await;
    for byte in 0..=255_u8 {
        assert_eq!(echo(&channels, &[byte]).await.unwrap(), [byte].as_slice(), "{byte}");
    }
    let all: Vec<u8> = (0..=255).collect();
    let long = all.repeat(1000);
    let values: [&[u8]; 9] =
        [b"", b"a.json", b".raw", b"../..", b"%2e%2e", b"a/b//", b"?type=x", b"+ +", b"\r\n\r\n"];
    for value in values.into_iter().chain([all.as_slice(), &long]) {
        assert_eq!(echo(&channels, value).await.unwrap(), value);
    }
    assert_eq!((channels.poisoned_now(), channels.poisoned_total()), (0, 0));
}

#[tokio::test]
async fn a_request_leaves_in_one_piece_and_says_nothing_else() {
    let peer = Peer::new().await;
    let url = peer.url();
    let builder = peer.builder().with_basic_auth("Aladdin", "open sesame");
    let channels = Arc::new(builder.channels().unwrap());
    let mut line = None;
    for value in ["x".repeat(30_000), "y".into(), String::new()] {
        let call = start_echo(&channels, &value);
        if line.is_none() {
            line = Some(peer.accept().await);
        }
        let line = line.as_mut().unwrap();
        let request = line.request().await;
        assert_eq!(request.reads, 1, "the body came after the head");
        let length = request.text.split_once("\r\n\r\n").unwrap().1.len();
        let expected = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nauthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\
             content-length: {length}\r\n\r\nEVAL/return%20ARGV%5B1%5D%2E%2EARGV%5B2%5D%2E%2EARGV%5B1%5D/0/{}/{value}.raw",
            url.strip_prefix("http://").unwrap(),
            request.nonce,
        );
        assert_eq!(request.text, expected);
        line.answer(&request).await;
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    peer.assert_alone().await;
}

#[tokio::test]
async fn answers_may_come_in_chunks() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let call = start_echo(&channels, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    let nonce = &request.nonce;
    line.send(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n$65\r\n\r\n20\r\n{nonce}\r\n"
    ))
    .await;
    line.send(&format!("23\r\nv{nonce}\r\n\r\n0\r\n\r\n")).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (peer, other) = (Peer::new().await, Peer::new().await);
    let channels = peer.channels();
    for code in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let call = start_echo(&channels, "v");
        let mut line = peer.accept().await;
        line.request().await;
        let location = format!("{code}\r\nLocation: {}/", other.url());
        line.send(&status(&location, "")).await;
        let expected: u16 = code[..3].parse().unwrap();
        assert_eq!(reason(call.await.unwrap()), Reason::Status(StatusCode::from_u16(expected).unwrap()));
        other.assert_alone().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_in_the_environment_is_ignored() {
    const CHILD: &str = "SESSIONS_WEBDIS_TEST_URL";
    if let Ok(url) = std::env::var(CHILD) {
        let channels = WebdisStoreBuilder::new(url).with_timeout(SOON).channels().unwrap();
        echo(&channels, b"x").await.unwrap();
        return;
    }
    let live = Live::new(OPEN);
    live.channels().await;
    let proxy = Peer::new().await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "store::webdis::tests::a_proxy_in_the_environment_is_ignored"]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"] {
        child.env(name, proxy.url());
    }
    child.env_remove("no_proxy").env_remove("NO_PROXY").env(CHILD, live.url());
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    proxy.assert_alone().await;
}

// ---------------------------------------------------------------------------------------------------
// Replies to others
// ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_foreign_reply_goes_to_nobody_and_ours_that_follows_neither() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let first = start_echo(&channels, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.send(&foreign()).await;
    assert_eq!(reason(first.await.unwrap()), Reason::Foreign);
    assert_eq!((channels.poisoned_now(), channels.poisoned_total()), (1, 1));

    // More of them change nothing: ours is still to come.
    line.send(&foreign()).await;
    line.send(&ok("-NOSCRIPT No matching script\r\n")).await;
    line.send(&status("503 Service Unavailable", "")).await;

    let second = start_echo(&channels, "second");
    let mut other = peer.accept().await;
    let other_request = other.request().await;
    let (half, rest) = {
        let reply = bulk(&request.nonce, "first");
        let at = reply.len() - 5;
        (reply[..at].to_owned(), reply[at..].to_owned())
    };
    line.send(&half).await;
    other.answer(&other_request).await;
    assert_eq!(second.await.unwrap().unwrap(), "second");
    line.assert_silent();
    assert_eq!(channels.poisoned_now(), 1);

    line.send(&rest).await;
    line.ended().await;
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;

    let third = start_echo(&channels, "third");
    let other_request = other.request().await;
    other.answer(&other_request).await;
    assert_eq!(third.await.unwrap().unwrap(), "third");
    peer.assert_alone().await;
}

#[tokio::test]
async fn a_foreign_reply_and_ours_in_one_packet_are_told_apart() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let call = start_echo(&channels, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.send(&(foreign() + &bulk(&request.nonce, "v"))).await;
    assert_eq!(reason(call.await.unwrap()), Reason::Foreign);
    line.ended().await;
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;
}

#[tokio::test]
async fn a_foreign_reply_to_a_resting_connection_ends_it() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    let call = start_echo(&channels, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
    line.send(&foreign()).await;

    line.ended().await;

    let call = start_echo(&channels, "w");
    let mut line = peer.accept().await;
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "w");
    assert_eq!(channels.poisoned_total(), 0);
}

/// The real one: eight clients leave in the middle of their requests, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_do_not_give_us_their_replies() {
    let live = Live::new(OPEN);
    live.channels().await;
    let address = live.webdis.address();
    let (mut answered, mut foreign) = (0, 0);
    for round in 0..200 {
        // New connections, which get the places of those that left.
        let channels = Arc::new(live.builder().channels().unwrap());
        let leaving = tokio::task::spawn_blocking(move || {
            let clients: Vec<_> = (0..8).map(|_| half_ask(address)).collect();
            drop(clients);
        });
        leaving.await.unwrap();
        let calls: Vec<_> = (0..8)
            .map(|call| {
                let value = format!("{round}-{call}");
                (start_echo(&channels, &value), value)
            })
            .collect();
        for (call, value) in calls {
            match call.await.unwrap() {
                Ok(got) => {
                    assert_eq!(got, value);
                    answered += 1;
                }
                failure => {
                    assert_eq!(reason(failure), Reason::Foreign);
                    foreign += 1;
                }
            }
        }
        until("our own replies have come", || channels.poisoned_now() == 0).await;
    }
    println!("{answered} answered, {foreign} got a foreign reply");
    assert!(answered > 0);
    assert!(foreign > 0, "the hazard was never there, so this has shown nothing");
}

/// A client that has asked for something that takes a while, in the same form as ours.
fn half_ask(address: SocketAddr) -> StdTcpStream {
    let nonce = Nonce::new().unwrap();
    let nonce = std::str::from_utf8(nonce.as_bytes()).unwrap();
    let script = "for%20i%3D1%2C300000%20do%20end%20return%20ARGV%5B1%5D%2E%2EARGV%5B2%5D%2E%2EARGV%5B1%5D";
    let body = format!("EVAL/{script}/0/{nonce}/mallory.raw");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = StdTcpStream::connect(address).unwrap();
    stream.write_all((head + &body).as_bytes()).unwrap();
    stream
}

// ---------------------------------------------------------------------------------------------------
// Replies that are late
// ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_late_reply_goes_to_nobody_and_its_connection_is_used_again() {
    let peer = Peer::new().await;
    let channels = peer.impatient(|limits| limits.timeout = Duration::from_secs(2));
    let first = start_echo(&channels, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    assert_eq!(reason(first.await.unwrap()), Reason::TimedOut);
    assert_eq!((channels.poisoned_now(), channels.poisoned_total()), (1, 1));

    let second = start_echo(&channels, "second");
    let mut other = peer.accept().await;
    let other_request = other.request().await;
    line.assert_silent();
    line.answer(&request).await;
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;
    assert!(is_pending(&second));
    other.answer(&other_request).await;
    assert_eq!(second.await.unwrap().unwrap(), "second");

    // Both connections are proven now.
    let calls = [start_echo(&channels, "third"), start_echo(&channels, "fourth")];
    for line in [&mut line, &mut other] {
        let request = line.request().await;
        line.answer(&request).await;
    }
    for (call, value) in calls.into_iter().zip(["third", "fourth"]) {
        assert_eq!(call.await.unwrap().unwrap(), value);
    }
    peer.assert_alone().await;
    assert_eq!(channels.poisoned_total(), 1);
}

#[tokio::test]
async fn a_late_foreign_reply_is_not_taken_for_ours() {
    let peer = Peer::new().await;
    let channels = peer.impatient(|limits| limits.timeout = Duration::from_secs(2));
    let call = start_echo(&channels, "v");
    let mut line = peer.accept().await;
    let request = line.request().await;
    assert_eq!(reason(call.await.unwrap()), Reason::TimedOut);
    line.send(&(foreign() + &foreign())).await;
    for _ in 0..10 {
        // Never over the first one.
        let call = start_echo(&channels, "w");
        let mut other = peer.accept().await;
        let request = other.request().await;
        other.send(&bulk(&request.nonce, "w").replace("Keep-Alive", "close")).await;
        assert_eq!(call.await.unwrap().unwrap(), "w");
        line.assert_silent();
        assert_eq!(channels.poisoned_now(), 1);
    }
    line.answer(&request).await;
    line.ended().await;
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;
    assert_eq!(channels.poisoned_total(), 1);
}

#[tokio::test]
async fn a_reply_that_never_comes_is_given_up() {
    let peer = Peer::new().await;
    for also_foreign in [false, true] {
        let channels = peer.impatient(|limits| limits.drain_for = BRIEF);
        let call = start_echo(&channels, "v");
        let mut line = peer.accept().await;
        line.request().await;
        if also_foreign {
            line.send(&foreign()).await;
        }
        let expected = if also_foreign { Reason::Foreign } else { Reason::TimedOut };
        assert_eq!(reason(call.await.unwrap()), expected);
        line.ended().await;
        until("nothing is poisoned", || channels.poisoned_now() == 0).await;
    }
}

#[tokio::test]
async fn too_many_late_replies_stop_everything_until_one_comes() {
    let peer = Peer::new().await;
    let channels = peer.impatient(|limits| {
        limits.timeout = Duration::from_secs(3);
        limits.max_connections = POISONED_AT_MOST;
    });
    let calls: Vec<_> = (0..POISONED_AT_MOST).map(|_| start_echo(&channels, "late")).collect();
    let mut lines = Vec::new();
    for _ in 0..POISONED_AT_MOST {
        let mut line = peer.accept().await;
        let request = line.request().await;
        lines.push((line, request));
    }
    for call in calls {
        assert_eq!(reason(call.await.unwrap()), Reason::TimedOut);
    }
    assert_eq!(channels.poisoned_now(), POISONED_AT_MOST);

    let text = not_sent(echo(&channels, b"v").await);
    assert!(text.contains("64 connections"), "{text}");
    peer.assert_alone().await;
    for (line, _) in &lines {
        line.assert_silent();
    }

    let (line, request) = &mut lines[0];
    line.answer(request).await;
    until("one is not poisoned", || channels.poisoned_now() < POISONED_AT_MOST).await;
    let call = start_echo(&channels, "v");
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "v");
    assert_eq!(channels.poisoned_total(), 64);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_cut_its_request() {
    let peer = Peer::new().await;
    let channels = Arc::new(peer.builder().with_max_connections(1).channels().unwrap());
    let call = start_echo(&channels, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    line.assert_silent();
    line.answer(&request).await;

    // One permit: the next call waits until the first is over, and only an exchange that was proven
    // leaves its connection to it.
    let call = start_echo(&channels, "second");
    let request = line.request().await;
    line.answer(&request).await;
    assert_eq!(call.await.unwrap().unwrap(), "second");
    assert_eq!(channels.poisoned_total(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_redis_is_not_waited_for_and_is_noticed_when_it_goes_on() {
    let live = Live::new(OPEN);
    live.channels().await;
    let channels = Arc::new(live.builder().with_timeout(Duration::from_secs(1)).channels().unwrap());
    until_answered(&channels).await;
    let redis = live.redis.as_ref().unwrap();
    redis.signal("-STOP");
    let calls: Vec<_> = (0..5).map(|_| start_echo(&channels, "v")).collect();
    for call in calls {
        assert_eq!(reason(call.await.unwrap()), Reason::TimedOut);
    }
    assert_eq!(channels.poisoned_now(), 5);
    redis.signal("-CONT");
    until("nothing is poisoned", || channels.poisoned_now() == 0).await;
    assert_eq!(echo(&channels, b"again").await.unwrap(), "again");
}

// ---------------------------------------------------------------------------------------------------
// Errors, of whomever
// ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn errors_use_up_neither_connections_nor_patience() {
    let peer = Peer::new().await;
    let channels = Arc::new(peer.builder().with_max_connections(3).channels().unwrap());
    let refuse = Arc::new(AtomicBool::new(true));
    let accepted = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn({
        let (refuse, accepted) = (Arc::clone(&refuse), Arc::clone(&accepted));
        async move {
            loop {
                let mut line = peer.accept().await;
                accepted.fetch_add(1, Ordering::SeqCst);
                let refuse = Arc::clone(&refuse);
                tokio::spawn(async move {
                    loop {
                        let request = line.request().await;
                        if refuse.load(Ordering::SeqCst) {
                            line.send(&status("503 Service Unavailable", "")).await;
                        } else {
                            line.answer(&request).await;
                        }
                    }
                });
            }
        }
    });
    for _ in 0..300 {
        let reason = reason(echo(&channels, b"v").await);
        assert_eq!(reason, Reason::Status(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(reason.to_string(), "Webdis cannot reach Redis (503)");
    }
    assert_eq!((channels.poisoned_now(), channels.poisoned_total()), (0, 0));
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
    refuse.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(echo(&channels, b"v").await.unwrap(), "v");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
    server.abort();
}

#[tokio::test]
async fn a_foreign_error_does_not_let_our_reply_reach_the_next_call() {
    for ours_comes_first in [true, false] {
        let peer = Peer::new().await;
        let channels = Arc::new(peer.builder().with_max_connections(1).channels().unwrap());
        let first = start_echo(&channels, "first");
        let mut line = peer.accept().await;
        let request = line.request().await;
        line.send(&ok("-OOM command not allowed\r\n")).await;
        let reason_given = reason(first.await.unwrap());
        assert!(matches!(reason_given, Reason::Redis(code) if code.as_str() == "OOM"), "{reason_given:?}");

        if ours_comes_first {
            line.answer(&request).await;
            line.ended().await;
            let second = start_echo(&channels, "second");
            let mut line = peer.accept().await;
            let request = line.request().await;
            line.answer(&request).await;
            assert_eq!(second.await.unwrap().unwrap(), "second");
        } else {
            let second = start_echo(&channels, "second");
            let second_request = line.request().await;
            line.answer(&request).await;
            assert_eq!(reason(second.await.unwrap()), Reason::Foreign);
            assert_eq!(channels.poisoned_now(), 1);
            line.answer(&second_request).await;
            line.ended().await;
            until("nothing is poisoned", || channels.poisoned_now() == 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_is_noticed_by_the_first_call() {
    let mut live = Live::new(OPEN);
    let channels = live.channels().await;
    let port = live.stop_redis();
    for _ in 0..200 {
        // At first also the end of what was under way.
        let reason = reason(echo(&channels, b"v").await);
        assert_eq!(reason, Reason::Status(StatusCode::SERVICE_UNAVAILABLE));
    }
    assert_eq!(channels.poisoned_total(), 0);
    live.start_redis(port);
    until_answered(&channels).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_call_is_for_webdis_to_say() {
    let live = Live::new(CLOSED);
    let wrong = [
        live.builder(),
        live.builder().with_basic_auth("user", "wrong"),
        live.builder().with_basic_auth("other", "pass/word"),
    ];
    for builder in wrong {
        let channels = builder.channels().unwrap();
        for _ in 0..100 {
            let reason = reason(echo(&channels, b"v").await);
            assert_eq!(reason, Reason::Status(StatusCode::FORBIDDEN));
            let text = reason.to_string();
            assert!(text.contains("403") && text.contains("password") && !text.contains("wrong"), "{text}");
        }
        assert_eq!(channels.poisoned_total(), 0);
    }
    let url = format!("http://user:pass%2Fword@127.0.0.1:{}", live.webdis.port);
    let right = [live.builder().with_basic_auth("user", "pass/word"), WebdisStoreBuilder::new(url)];
    for builder in right {
        let channels = builder.channels().unwrap();
        until_answered(&channels).await;
        let nonce = Nonce::new().unwrap();
        let words: [&[u8]; 5] = [b"SET", b"key", b"0", nonce.as_bytes(), b""];
        let other_command = channels.call(&words, &nonce).await;
        assert_eq!(reason(other_command), Reason::Status(StatusCode::FORBIDDEN));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_error_of_redis_there_is_its_code() {
    let live = Live::new(OPEN);
    let channels = live.channels().await;
    let nonce = Nonce::new().unwrap();
    let digest = b"ffffffffffffffffffffffffffffffffffffffff";
    let words: [&[u8]; 4] = [b"EVALSHA", digest, b"0", nonce.as_bytes()];
    let reason_given = reason(channels.call(&words, &nonce).await);
    assert!(matches!(reason_given, Reason::Redis(code) if code.as_str() == "NOSCRIPT"), "{reason_given:?}");
    // Something of Redis that is no error and not ours either.
    let nonce = Nonce::new().unwrap();
    assert_eq!(reason(channels.call(&[b"PING"], &nonce).await), Reason::Foreign);
}

// ---------------------------------------------------------------------------------------------------
// Connections
// ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let url = {
        let peer = Peer::new().await;
        peer.url()
    };
    let channels = WebdisStoreBuilder::new(url).channels().unwrap();
    assert!(not_sent(echo(&channels, b"v").await).starts_with("cannot connect to Webdis at 127.0.0.1:"));
    let unknown = WebdisStoreBuilder::new("http://user:sesame@webdis.invalid").channels().unwrap();
    let text = not_sent(echo(&unknown, b"v").await);
    assert!(text.contains("webdis.invalid") && !text.contains("sesame"), "{text}");
}

#[tokio::test]
async fn waiting_for_a_free_connection_has_an_end() {
    let peer = Peer::new().await;
    let channels = peer.impatient(|limits| {
        limits.timeout = Duration::from_secs(2);
        limits.max_connections = 1;
    });
    let first = start_echo(&channels, "first");
    let mut line = peer.accept().await;
    let request = line.request().await;
    let second = start_echo(&channels, "second");
    let third = start_echo(&channels, "third");
    line.assert_silent();
    peer.assert_alone().await;
    line.answer(&request).await;
    assert_eq!(first.await.unwrap().unwrap(), "first");
    let request = line.request().await;
    let (answered, left) = if request.value == "second" { (second, third) } else { (third, second) };
    assert!(not_sent(left.await.unwrap()).contains("in use"));
    assert_eq!(reason(answered.await.unwrap()), Reason::TimedOut);
    peer.assert_alone().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_owes_nothing() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    for sent in ["", "HTTP/1.1 200", &ok("$99")[..40], "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n$40"] {
        let call = start_echo(&channels, "v");
        let mut line = peer.accept().await;
        line.request().await;
        line.send(sent).await;
        drop(line);
        assert_eq!(reason(call.await.unwrap()), Reason::Cut, "{sent:?}");
    }
    assert_eq!(channels.poisoned_total(), 0);
}

#[tokio::test]
async fn a_connection_that_was_closed_at_rest_is_replaced() {
    let peer = Peer::new().await;
    let channels = peer.channels();
    for value in ["first", "second", "third"] {
        let call = start_echo(&channels, value);
        let mut line = peer.accept().await;
        let request = line.request().await;
        line.answer(&request).await;
        assert_eq!(call.await.unwrap().unwrap(), value);
        drop(line);
        until("it is noticed", || channels.resting() == 0).await;
    }
}

#[test]
fn runtimes_do_not_wait_for_each_other() {
    let live = Live::new(OPEN);
    let channels = Arc::new(live.builder().with_max_connections(2).channels().unwrap());
    // Each stands still after its call, and its connections with it.
    let runtimes: Vec<_> = (0..5)
        .map(|_| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(until_answered(&channels));
            runtime
        })
        .collect();
    for runtime in &runtimes {
        assert_eq!(runtime.block_on(echo(&channels, b"v")).unwrap(), "v");
    }
    drop(runtimes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(echo(&channels, b"w")).unwrap(), "w");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_are_open_than_may_be() {
    let peer = Peer::new().await;
    let channels = Arc::new(peer.builder().with_max_connections(4).channels().unwrap());
    let accepted = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn({
        let accepted = Arc::clone(&accepted);
        async move {
            loop {
                let mut line = peer.accept().await;
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    loop {
                        // One request at a time, which `request` asserts.
                        let request = line.request().await;
                        tokio::task::yield_now().await;
                        line.answer(&request).await;
                    }
                });
            }
        }
    });
    let calls: Vec<_> = (0..500).map(|number| start_echo(&channels, &number.to_string())).collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number.to_string());
    }
    assert!(accepted.load(Ordering::SeqCst) <= 4);
    server.abort();
}

// ---------------------------------------------------------------------------------------------------
// TLS
// ---------------------------------------------------------------------------------------------------

#[cfg(feature = "webdis-tls")]
mod tls {
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            ServerConfig,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        },
    };

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn https_is_spoken_to_whom_the_roots_vouch_for() {
        let live = Live::new(OPEN);
        live.channels().await;
        let (certificate, key) = certificate(&live.folder.0, "right");
        let (other, _) = self::certificate(&live.folder.0, "wrong");
        let address = serve(&certificate, &key, live.webdis.address()).await;
        let builder = WebdisStoreBuilder::new(format!("https://{address}")).with_timeout(SOON);

        let trusting = builder.clone().with_root_certificates(&certificate).unwrap().channels().unwrap();
        let long = vec![7; 100_000];
        assert_eq!(echo(&trusting, &long).await.unwrap(), long);
        for doubting in [builder.clone(), builder.clone().with_root_certificates(&other).unwrap()] {
            // A machine without roots of its own refuses to begin.
            if let Ok(channels) = doubting.channels() {
                assert!(not_sent(echo(&channels, b"v").await).starts_with("cannot connect"));
            }
        }
        for bad in [&b""[..], b"nonsense", &key] {
            let error = builder.clone().with_root_certificates(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    fn certificate(folder: &Path, name: &str) -> (Vec<u8>, Vec<u8>) {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=webdis"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        (std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap())
    }

    /// What stands before Webdis.
    async fn serve(certificate: &[u8], key: &[u8], webdis: SocketAddr) -> SocketAddr {
        let certificates = CertificateDer::pem_slice_iter(certificate).map(Result::unwrap).collect();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(key).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = TcpStream::connect(webdis).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        address
    }
}
