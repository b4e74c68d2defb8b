//! The address of Webdis, and connecting to it.

use std::{error::Error as StdError, fmt, time::Duration};

use http::HeaderValue;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::failure::NotSent;

/// The time without traffic after which the system sends a keepalive packet.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A byte stream of either kind: TCP or TLS.
pub(super) trait WebdisStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> WebdisStream for T {}

/// The address of Webdis, and the headers of every request.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// A host name or an IP address (IPv6 without its brackets).
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// The value of the header `Host`.
    pub(super) authority: HeaderValue,
    /// The value of the header `Authorization`, marked as sensitive.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) connect_timeout: Duration,
    #[cfg(feature = "webdis-tls")]
    pub(super) tls: Option<crate::store::tls::Tls>,
}

impl Endpoint {
    /// Opens a connection. On an error no byte of a request has been sent.
    pub(super) async fn connect(&self) -> Result<Box<dyn WebdisStream>, NotSent> {
        match timeout(self.connect_timeout, self.open()).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(source)) => Err(NotSent::NoConnection { address: self.address(), source }),
            Err(_) => Err(NotSent::ConnectTimedOut { address: self.address() }),
        }
    }

    /// Returns the address for messages, without user and password.
    pub(super) fn address(&self) -> Box<str> {
        self.authority.to_str().unwrap_or_default().into()
    }

    async fn open(&self) -> Result<Box<dyn WebdisStream>, Box<dyn StdError + Send + Sync>> {
        let stream = self.tcp().await?;
        #[cfg(feature = "webdis-tls")]
        if let Some(tls) = &self.tls {
            return Ok(Box::new(tls.over(&self.host, stream).await?));
        }
        Ok(Box::new(stream))
    }

    /// Opens a TCP connection. Small packets leave at once: to wait until they are full halves the requests of one
    /// client in a second. Keepalive keeps the connection known to firewalls on the way while a call waits for long.
    async fn tcp(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        Ok(stream)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("authority", &self.authority)
            .field("has_authorization", &self.authorization.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_are_not_held_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint {
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            authority: HeaderValue::from_static("127.0.0.1"),
            authorization: None,
            connect_timeout: Duration::from_secs(5),
            #[cfg(feature = "webdis-tls")]
            tls: None,
        };
        assert!(endpoint.tcp().await.unwrap().nodelay().unwrap());
    }
}
