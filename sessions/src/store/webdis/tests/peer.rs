//! A peer that sends what the test wants, in place of Webdis.

use super::*;

/// A listener that the test controls.
pub(super) struct Peer(pub(super) TcpListener);

impl Peer {
    pub(super) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    pub(super) fn builder(&self) -> WebdisStoreBuilder {
        WebdisStoreBuilder::new(self.url()).with_timeout(SOON)
    }

    pub(super) fn client(&self) -> Arc<WebdisClient> {
        Arc::new(self.builder().client().unwrap())
    }

    /// Creates a client whose calls time out soon.
    pub(super) fn impatient(&self, change: impl FnOnce(&mut Limits)) -> Arc<WebdisClient> {
        let mut limits = Limits { timeout: BRIEF, ..Limits::DEFAULT };
        change(&mut limits);
        let endpoint = self.builder().endpoint().unwrap();
        Arc::new(WebdisClient::new(endpoint, limits))
    }

    pub(super) async fn accept(&self) -> PeerConnection {
        PeerConnection { stream: within(self.0.accept()).await.unwrap().0 }
    }

    /// Asserts that no connection waits to be accepted.
    pub(super) async fn assert_alone(&self) {
        let accepted = poll_fn(|context| Poll::Ready(self.0.poll_accept(context))).await;
        assert!(accepted.is_pending(), "there is another connection");
    }
}

/// One connection to the peer.
pub(super) struct PeerConnection {
    pub(super) stream: TcpStream,
}

/// A request that came on it.
pub(super) struct PeerRequest {
    pub(super) text: String,
    pub(super) nonce: String,
    pub(super) value: String,
    pub(super) reads: usize,
}

impl PeerConnection {
    /// Reads one request, and not a byte more.
    pub(super) async fn request(&mut self) -> PeerRequest {
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
                return PeerRequest { text, nonce, value, reads };
            }
        }
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends the reply of Webdis to this request.
    pub(super) async fn answer(&mut self, request: &PeerRequest) {
        self.send(&bulk(&request.nonce, &request.value)).await;
    }

    /// Waits until the other side closes, and sends nothing before.
    pub(super) async fn ended(&mut self) {
        let read = within(self.stream.read(&mut [0; 1024])).await;
        assert!(matches!(read, Ok(0) | Err(_)), "there is another request");
    }

    /// Asserts that the other side is there and has sent nothing.
    pub(super) fn assert_silent(&self) {
        let read = self.stream.try_read(&mut [0; 1]);
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

pub(super) fn bulk(nonce: &str, value: &str) -> String {
    let text = format!("{nonce}{value}{nonce}");
    ok(&format!("${}\r\n{text}\r\n", text.len()))
}

pub(super) fn ok(body: &str) -> String {
    status("200 OK", body)
}

pub(super) fn status(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nServer: Webdis\r\nConnection: Keep-Alive\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Returns the reply to another client.
pub(super) fn foreign() -> String {
    let nonce = Nonce::new().unwrap();
    bulk(std::str::from_utf8(nonce.as_bytes()).unwrap(), "{\"user\":\"mallory\"}")
}
