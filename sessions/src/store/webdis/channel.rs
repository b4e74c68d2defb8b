//! One connection to Webdis, for one call at a time.
//!
//! This is hyper's connection and not a client such as reqwest, because the defence against foreign
//! replies needs what a pool does not give:
//!
//! - After a foreign reply our own is still to come, and the connection must be read until it is
//!   there. hyper gives the socket back, with what it had read ([`Channel::retire`]). A pooled
//!   connection closes itself at the first byte that comes unasked, be that ours or not, and says
//!   so to nobody: each would have to be counted as poisoned for a minute that mostly takes a
//!   millisecond, and sixty-four of them would stop every call for that long.
//! - A pool may open a second connection for a call that follows closely on another, while the
//!   first is not yet marked as idle, and it sends a request again by itself if it believes that
//!   the first time nothing was sent. Here there is one socket, and whether a request has left is
//!   seen.
//!
//! Nor is there anything here that follows redirects, asks a proxy, or repeats a request.

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

use super::{drain::Remains, endpoint::Endpoint, failure::NotSent};

/// The largest reply that is read. More cannot have been written by one request.
const LARGEST_REPLY: usize = super::percent::LARGEST;

/// An open connection.
pub(super) struct Channel {
    sender: SendRequest<Full<Bytes>>,
    /// Ends when hyper is done with the socket.
    driver: JoinHandle<Ended>,
    /// Whether an answer may be to come. Otherwise what the other side ends is closed at once.
    is_busy: Arc<AtomicBool>,
    /// Where the driver runs: in another runtime, it may stand still.
    runtime: Id,
    /// Since when no call uses it. `None` before the first.
    rests_since: Option<Instant>,
}

/// What is left of a connection.
struct Ended {
    /// The socket, if an answer may be to come.
    remains: Option<Remains>,
    /// Why TLS was refused, if that ended it. With TLS 1.3 a server looks at our certificate when we believe that all
    /// is well.
    refusal: Option<Box<str>>,
}

/// How an exchange ended.
pub(super) enum Exchanged {
    /// With a whole answer, of whomever.
    Answered(StatusCode, Bytes),
    /// With one beyond all bounds, which is not ours.
    TooLarge,
    /// The connection ended after something was sent.
    Cut,
    /// The connection had ended before: nothing was sent.
    Unsent,
}

impl Channel {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self, NotSent> {
        let stream = endpoint.connect().await?;
        // `writev(false)`: head and body are one buffer and one write, over TLS too. Webdis may wait
        // for ever for a body that comes in a packet of its own.
        let (sender, mut connection) =
            http1::Builder::new().writev(false).handshake(TokioIo::new(stream)).await.map_err(|error| {
                NotSent::NoConnection { address: endpoint.address(), source: error.into() }
            })?;
        let is_busy = Arc::new(AtomicBool::new(false));
        let driver = tokio::spawn({
            let is_busy = Arc::clone(&is_busy);
            async move {
                // Else what ended it does not matter: whoever waited for an answer is told by hyper.
                let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
                let refusal = ended.err().and_then(|error| refusal(&error));
                let parts = connection.into_parts();
                let remains = Remains { stream: parts.io.into_inner(), unread: parts.read_buf };
                Ended { remains: is_busy.load(Ordering::SeqCst).then_some(remains), refusal }
            }
        });
        let runtime = Handle::current().id();
        Ok(Self { sender, driver, is_busy, runtime, rests_since: None })
    }

    /// Sends a request and reads an answer. To drop this unfinished is to close the connection.
    pub(super) async fn exchange(mut self, endpoint: &Endpoint, body: Bytes) -> (Self, Exchanged) {
        self.is_busy.store(true, Ordering::SeqCst);
        let exchanged = self.try_exchange(endpoint, body).await;
        (self, exchanged)
    }

    /// Notes that no answer is waited for, until the next exchange.
    pub(super) fn rest(&mut self) {
        self.is_busy.store(false, Ordering::SeqCst);
        self.rests_since = Some(Instant::now());
    }

    /// Ends HTTP on the connection after an exchange, and gives what is left of it. `None` if its
    /// runtime ended.
    pub(super) async fn retire(self) -> Option<Remains> {
        drop(self.sender);
        self.driver.await.ok()?.remains
    }

    /// Why TLS was refused, if that ended the connection, which has ended.
    pub(super) async fn refusal(self) -> Option<Box<str>> {
        drop(self.sender);
        self.driver.await.ok()?.refusal
    }

    /// Whether the other side closed it, or sent what nobody had asked for.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) const fn is_new(&self) -> bool {
        self.rests_since.is_none()
    }

    /// How long it has not been used.
    pub(super) fn rests_for(&self) -> Duration {
        self.rests_since.map_or(Duration::ZERO, |since| since.elapsed())
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
            // hyper gives a request back only if it did not begin to write it.
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

/// The path is always `/`: nothing of what is sent is ever read as a URL.
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
