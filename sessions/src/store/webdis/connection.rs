//! One connection to Webdis, for one call at a time.
//!
//! # Design
//!
//! The connection is hyper's, and not that of a client such as reqwest. Webdis 0.1.9 can deliver a reply to another
//! client, and the defence against that needs two things that a pool does not give:
//!
//! - After a foreign reply the call's own reply is still to come. The very socket must be read until it is there, and
//!   kept out of use until then. hyper gives the socket back, with the bytes that it had read
//!   ([`WebdisConnection::retire`]). A connection of a pool closes itself at the first unexpected byte, and reports
//!   that to no caller. So each would have to count as quarantined for a minute, where a millisecond mostly suffices.
//!   Sixty-four of them would stop every call for that long.
//! - A pool may open a second connection for a call that follows closely on another, while the first is not yet
//!   marked as idle. It also sends a request again by itself if it believes that nothing was sent the first time.
//!   Here there is one socket, and it is known whether a request was sent.
//!
//! Nothing here follows redirects, uses a proxy, or repeats a request.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    runtime::{Handle, Id},
    task::JoinHandle,
    time::Instant,
};

use super::{drain::Remains, endpoint::Endpoint, failure::NotSent, percent};

/// The largest reply that is read. No request can have written more.
const LARGEST_REPLY: usize = percent::LARGEST;

/// An open connection.
pub(super) struct WebdisConnection {
    sender: SendRequest<Full<Bytes>>,
    /// The task that ends when hyper is done with the socket.
    driver: JoinHandle<ClosedConnection>,
    /// True while a reply may be to come. Otherwise a connection that the other side ends is closed at once.
    is_busy: Arc<AtomicBool>,
    /// The runtime of the driver. To a call in another runtime the driver may stand still.
    runtime: Id,
    /// The moment since which no call uses it. `None` before the first call.
    idle_since: Option<Instant>,
}

/// The remains of a connection that hyper is done with.
struct ClosedConnection {
    /// The socket, if a reply may be to come.
    remains: Option<Remains>,
    /// The reason, if a refusal of TLS ended it. In TLS 1.3 a server checks the client certificate only after the
    /// client has completed the handshake.
    refusal: Option<Box<str>>,
}

/// The end of an exchange.
pub(super) enum Exchanged {
    /// A whole reply, to this call or to another one.
    Answered(StatusCode, Bytes),
    /// A reply that is larger than any to this store.
    TooLarge,
    /// The connection ended after something was sent.
    Cut,
    /// The connection had ended before anything was sent.
    Unsent,
}

impl WebdisConnection {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self, NotSent> {
        let stream = endpoint.connect().await?;
        // `writev(false)`: head and body are one buffer and one write, over TLS too. Webdis may wait for ever for a
        // body in a packet of its own.
        let (sender, mut connection) =
            http1::Builder::new().writev(false).handshake(TokioIo::new(stream)).await.map_err(|error| {
                NotSent::NoConnection { address: endpoint.address(), source: error.into() }
            })?;
        let is_busy = Arc::new(AtomicBool::new(false));
        let driver = tokio::spawn({
            let is_busy = Arc::clone(&is_busy);
            async move {
                // Any other error is reported by hyper to the call that waits for a reply.
                let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
                let refusal = ended.err().and_then(|error| refusal(&error));
                let parts = connection.into_parts();
                let remains = Remains { stream: parts.io.into_inner(), unread: parts.read_buf };
                ClosedConnection { remains: is_busy.load(Ordering::SeqCst).then_some(remains), refusal }
            }
        });
        let runtime = Handle::current().id();
        Ok(Self { sender, driver, is_busy, runtime, idle_since: None })
    }

    /// Sends a request and reads a reply. The connection closes if the future is dropped unfinished.
    pub(super) async fn exchange(mut self, endpoint: &Endpoint, body: Bytes) -> (Self, Exchanged) {
        self.is_busy.store(true, Ordering::SeqCst);
        let exchanged = self.try_exchange(endpoint, body).await;
        (self, exchanged)
    }

    /// Notes that no reply is to come until the next exchange.
    pub(super) fn mark_idle(&mut self) {
        self.is_busy.store(false, Ordering::SeqCst);
        self.idle_since = Some(Instant::now());
    }

    /// Ends HTTP on the connection after an exchange, and returns the remains. Returns `None` if its runtime ended.
    pub(super) async fn retire(self) -> Option<Remains> {
        drop(self.sender);
        self.driver.await.ok()?.remains
    }

    /// Returns the reason, if a refusal of TLS ended this connection.
    pub(super) async fn refusal(self) -> Option<Box<str>> {
        drop(self.sender);
        self.driver.await.ok()?.refusal
    }

    /// Returns true if the other side closed it, or sent bytes without a request.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Returns true before the first call.
    pub(super) const fn is_new(&self) -> bool {
        self.idle_since.is_none()
    }

    /// Returns how long no call has used it.
    pub(super) fn idle_for(&self) -> Duration {
        self.idle_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn runs_in(&self, runtime: Id) -> bool {
        self.runtime == runtime
    }

    async fn try_exchange(&mut self, endpoint: &Endpoint, body: Bytes) -> Exchanged {
        if self.sender.ready().await.is_err() {
            return Exchanged::Unsent;
        }
        let response = match self.sender.try_send_request(request(endpoint, body)).await {
            Ok(response) => response,
            // hyper returns the request only if it did not begin to write it.
            Err(error) if error.message().is_some() => return Exchanged::Unsent,
            Err(_) => return Exchanged::Cut,
        };
        let status = response.status();
        match Limited::new(response.into_body(), LARGEST_REPLY).collect().await {
            Ok(body) => Exchanged::Answered(status, body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Exchanged::TooLarge,
            Err(_) => Exchanged::Cut,
        }
    }
}

#[cfg(feature = "webdis-tls")]
fn refusal(error: &hyper::Error) -> Option<Box<str>> {
    use std::error::Error as _;

    let error = error.source()?.downcast_ref::<std::io::Error>()?;
    Some(crate::store::tls::refusal(error)?.to_string().into())
}

#[cfg(not(feature = "webdis-tls"))]
fn refusal(_: &hyper::Error) -> Option<Box<str>> {
    None
}

/// Returns the request with this body. The path is always `/`, so nothing in it is read as a URL.
fn request(endpoint: &Endpoint, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(header::HOST, endpoint.authority.clone());
    if let Some(authorization) = &endpoint.authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    request
}
