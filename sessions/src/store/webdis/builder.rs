//! The options of a store behind Webdis, and opening it.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, Uri, uri::Scheme};
use tokio::time::{Instant, sleep};

use super::{base64, client::WebdisClient, endpoint::Endpoint, pool::Limits, store::WebdisStore};
#[cfg(feature = "webdis-tls")]
use crate::store::tls;
use crate::{
    clock::{AnyClock, Clock},
    error::{Error, ErrorKind},
    store::{
        hash::{Prefix, ServerClock},
        userinfo::percent_decoded,
    },
};

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The options of a store behind Webdis.
///
/// See [`WebdisStore`] for the versions of Webdis, and for the permissions in Webdis and Redis.
#[derive(Clone)]
#[must_use = "a builder does nothing until `connect` is called"]
pub struct WebdisStoreBuilder {
    url: Box<str>,
    basic_auth: Option<BasicAuth>,
    connect_timeout: Duration,
    start_timeout: Option<Duration>,
    limits: Limits,
    prefix: Prefix,
    clock: Option<AnyClock>,
    #[cfg(feature = "webdis-tls")]
    tls: tls::TlsOptions,
}

/// The user and password for HTTP's basic authentication.
#[derive(Clone)]
struct BasicAuth {
    user: Box<str>,
    password: Box<str>,
}

/// Opening a store.
impl WebdisStore {
    /// Connects to Webdis at a URL such as `http://user:password@webdis.internal:7379`.
    ///
    /// # Errors
    ///
    /// See [`WebdisStoreBuilder::connect`].
    pub async fn connect(url: impl Into<Box<str>>) -> Result<Self, Error> {
        Self::builder(url).connect().await
    }

    /// Returns a builder with more options.
    pub fn builder(url: impl Into<Box<str>>) -> WebdisStoreBuilder {
        WebdisStoreBuilder::new(url)
    }
}

impl WebdisStoreBuilder {
    /// Creates a builder for a Webdis at this URL, such as `http://127.0.0.1:7379`. A user and password in it are
    /// used for basic authentication.
    pub fn new(url: impl Into<Box<str>>) -> Self {
        Self {
            url: url.into(),
            basic_auth: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            start_timeout: None,
            limits: Limits::DEFAULT,
            prefix: Prefix::default(),
            clock: None,
            #[cfg(feature = "webdis-tls")]
            tls: tls::TlsOptions::default(),
        }
    }

    /// Logs in to Webdis as this user: `http_basic_auth` in its configuration.
    pub fn with_basic_auth(mut self, user: impl Into<Box<str>>, password: impl Into<Box<str>>) -> Self {
        self.basic_auth = Some(BasicAuth { user: user.into(), password: password.into() });
        self
    }

    /// Limits the time to open a connection, with the resolution of the name and TLS: two seconds by default, at most a
    /// day.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Limits the time of an operation, with waiting for a free connection and connecting: five seconds by default,
    /// at most a day. Then the request fails with 503.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self
    }

    /// Lets [`connect`](Self::connect) go on trying this long while Webdis or Redis is not ready, at most a day. By
    /// default it tries once. The last attempt may take the time of [`with_timeout`](Self::with_timeout) besides.
    pub fn with_start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Limits the number of open connections: 1 to 10,000, 32 by default. Quarantined ones do not count, see
    /// [`WebdisStore::quarantined_connections`].
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// Begins all keys with this prefix, `sess:` by default: 1 to 64 letters, digits, `:`, `.`, `_`, `-` and `/`.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the prefix is empty, longer, or has other characters. The characters of
    /// patterns would widen an ACL, and braces would put every session on one node of a cluster.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, Error> {
        self.prefix = Prefix::new(prefix)?;
        Ok(self)
    }

    /// Reads the time from `clock` in place of the server, for tests.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(AnyClock::new(clock));
        self
    }

    /// Trusts only servers whose certificate is signed by one of these authorities, in PEM form. By default the
    /// operating system's authorities are trusted.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the text is not PEM, or contains no certificate that can be read.
    #[cfg(feature = "webdis-tls")]
    pub fn with_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.tls.set_roots(pem.as_ref())?;
        Ok(self)
    }

    /// Shows this certificate, with its chain, to a server that asks for one (mutual TLS).
    /// Certificate and key are PEM. The key is RSA, ECDSA on P-256 or P-384, or Ed25519, and has no passphrase.
    #[cfg(feature = "webdis-tls")]
    pub fn with_client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects a certificate for this name, in place of the host in the URL.
    #[cfg(feature = "webdis-tls")]
    pub fn with_tls_name(mut self, name: impl Into<String>) -> Self {
        self.tls.name = Some(name.into());
        self
    }

    /// Connects, and tries all that the store will do there on a record that no request sees.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the URL or another option is invalid, if Webdis or Redis refuses the
    /// login or a permission, or if TLS fails. It fails again until something is changed.
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if Webdis or Redis does not answer, or is not ready.
    pub async fn connect(self) -> Result<WebdisStore, Error> {
        let (prefix, clock) = (self.prefix.clone(), self.clock.clone());
        let until = Instant::now() + self.start_timeout.unwrap_or_default();
        let store = WebdisStore {
            client: Arc::new(self.client()?),
            prefix,
            clock,
            server_clock: ServerClock::new().into(),
        };
        while let Err(error) = store.probe().await {
            if error.kind() == ErrorKind::Config || Instant::now() + START_PAUSE >= until {
                return Err(error);
            }
            sleep(START_PAUSE).await;
        }
        Ok(store)
    }

    /// Returns a client that has opened no connection yet.
    pub(super) fn client(self) -> Result<WebdisClient, Error> {
        let limits = self.limits.clone();
        if limits.max_connections == 0 || limits.max_connections > MAX_CONNECTIONS {
            return Err(Error::config(format!(
                "`with_max_connections` of the session store was given {}: give 1 to {MAX_CONNECTIONS}",
                limits.max_connections
            )));
        }
        if limits.timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(Error::config(
                "a timeout of the session store is zero, so every request would fail: give more",
            ));
        }
        // tokio cannot add much more to the current time.
        let longest = limits.timeout.max(self.connect_timeout).max(self.start_timeout.unwrap_or_default());
        if longest > LONGEST_TIMEOUT {
            return Err(Error::config("a timeout of the session store is longer than a day: give less"));
        }
        Ok(WebdisClient::new(self.endpoint()?, limits))
    }

    /// Reads the URL. No message shows it, since it may contain a password.
    pub(super) fn endpoint(self) -> Result<Endpoint, Error> {
        let refused = |what: &str| {
            Error::config(format!(
                "the URL of Webdis {what}: write it like `http://127.0.0.1:7379` or \
                 `http://user:password@webdis.internal:7379`"
            ))
        };
        // The parser silently drops a fragment.
        if self.url.contains('#') {
            return Err(refused("has a fragment"));
        }
        let url: Uri = self.url.parse().map_err(|_| refused("cannot be read"))?;
        let is_https = match url.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) => return Err(refused("is neither of HTTP nor of HTTPS")),
            None => return Err(refused("has no scheme")),
        };
        if is_https && cfg!(not(feature = "webdis-tls")) {
            return Err(Error::config(
                "the URL of Webdis begins with `https://`, which needs the feature `webdis-tls` of `sessions`",
            ));
        }
        #[cfg(feature = "webdis-tls")]
        if let Some(what) = self.tls.first_given().filter(|_| !is_https) {
            return Err(Error::config(format!(
                "{what} was given, and the URL of Webdis begins with `http://`, which is plain text: write \
                 `https://`, or leave it out"
            )));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(refused("has a path, which Webdis would read as a command"));
        }
        if url.query().is_some() {
            return Err(refused("has a query, which Webdis would read as options"));
        }
        let authority = url.authority().ok_or_else(|| refused("has no host"))?;
        let (userinfo, address) = match authority.as_str().rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo), address),
            None => (None, authority.as_str()),
        };
        let host = authority.host();
        if host.is_empty() {
            return Err(refused("has no host"));
        }
        let port = match authority.port() {
            Some(port) if port.as_u16() != 0 => port.as_u16(),
            Some(_) => return Err(refused("has the port 0")),
            // The port is beyond 65535, or nothing follows the colon.
            None if address.len() > host.len() => return Err(refused("has a port that is no port")),
            None if is_https => 443,
            None => 80,
        };
        let basic_auth = match (userinfo, self.basic_auth) {
            (Some(_), Some(_)) => {
                return Err(Error::config(
                    "the user of Webdis is given twice: leave it out of the URL or leave out `with_basic_auth`",
                ));
            }
            // As with an empty variable in a template of the URL.
            (Some("" | ":"), None) => {
                return Err(refused("has an `@` with neither a user nor a password before it"));
            }
            (Some(userinfo), None) => {
                Some(BasicAuth::of_userinfo(userinfo).ok_or_else(|| refused("has an unreadable user"))?)
            }
            (None, basic_auth) => basic_auth,
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok(Endpoint {
            host: host.into(),
            port,
            authority: HeaderValue::from_str(address).map_err(|_| refused("has an unreadable host"))?,
            authorization: basic_auth.map(|basic_auth| basic_auth.header()).transpose()?,
            connect_timeout: self.connect_timeout,
            #[cfg(feature = "webdis-tls")]
            tls: if is_https { Some(self.tls.prepare(&["http/1.1"])?.only_to(host)?) } else { None },
        })
    }
}

/// The largest number of connections. More would be no limit.
const MAX_CONNECTIONS: usize = 10_000;

/// The pause before the next attempt to open the store.
const START_PAUSE: Duration = Duration::from_millis(100);

const LONGEST_TIMEOUT: Duration = Duration::from_hours(24);

impl fmt::Debug for WebdisStoreBuilder {
    /// Shows neither URL nor password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebdisStoreBuilder")
            .field("has_basic_auth", &self.basic_auth.is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("limits", &self.limits)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl BasicAuth {
    fn of_userinfo(userinfo: &str) -> Option<Self> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        Some(Self { user: percent_decoded(user)?.into(), password: percent_decoded(password)?.into() })
    }

    /// Returns the value of the header `Authorization` (RFC 7617).
    fn header(&self) -> Result<HeaderValue, Error> {
        if self.user.contains(':') {
            return Err(Error::config(
                "the user of Webdis has a colon in it, which separates user and password: choose another",
            ));
        }
        let plain = format!("{}:{}", self.user, self.password);
        let mut value = HeaderValue::from_str(&format!("Basic {}", base64::encode(plain.as_bytes())))
            .map_err(|error| {
                Error::config("the user or password of Webdis cannot be sent in a header: choose others")
                    .with_source(error)
            })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, Error> {
        WebdisStoreBuilder::new(url).endpoint()
    }

    fn authorization(endpoint: Endpoint) -> String {
        let value = endpoint.authorization.unwrap();
        assert!(value.is_sensitive());
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn an_address_is_read() {
        let cases = [
            ("http://127.0.0.1:7379", "127.0.0.1", 7379, "127.0.0.1:7379"),
            ("http://webdis.internal/", "webdis.internal", 80, "webdis.internal"),
            ("HTTP://[::1]:7379", "::1", 7379, "[::1]:7379"),
            ("http://u:p@webdis:1", "webdis", 1, "webdis:1"),
        ];
        for (url, host, port, authority) in cases {
            let endpoint = endpoint(url).unwrap();
            assert_eq!((&*endpoint.host, endpoint.port), (host, port), "{url}");
            assert_eq!(endpoint.authority, authority, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        let urls = [
            "",
            "webdis:7379",
            "127.0.0.1:7379",
            "/",
            "ftp://webdis",
            "redis://sesame@webdis",
            "http://",
            "http://:7379",
            "http://sesame@:7379",
            "http://webdis:99999",
            "http://webdis:",
            "http://webdis:0",
            "http://webdis/sesame",
            "http://webdis//",
            "http://webdis/?sesame=1",
            "http://webdis?",
            "http://webdis/#sesame",
            "http://user:sesame%zz@webdis",
            "http://user:sesame%4@webdis",
            "http://user:sesame%ff@webdis",
            "http://us%3aer:sesame@webdis",
            "http://@webdis",
            "http://:@webdis",
            "http://web dis",
            "http://user:sesame@webdis\n",
            "https://webdis/#insecure",
            "https://webdis#insecure",
            "https://webdis?insecure=sesame",
        ];
        for url in urls {
            let error = endpoint(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
        }
    }

    #[cfg(not(feature = "webdis-tls"))]
    #[test]
    fn https_says_which_feature_it_needs() {
        let error = endpoint("https://webdis").unwrap_err();
        assert!(error.to_string().contains("webdis-tls"), "{error}");
    }

    #[test]
    fn credentials_come_from_the_url_or_the_option() {
        // The example of RFC 7617.
        let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        let of_url = endpoint("http://Aladdin:open%20sesame@webdis").unwrap();
        assert_eq!(authorization(of_url), expected);
        let of_option = WebdisStoreBuilder::new("http://webdis").with_basic_auth("Aladdin", "open sesame");
        assert_eq!(authorization(of_option.endpoint().unwrap()), expected);
        let twice = WebdisStoreBuilder::new("http://a:b@webdis").with_basic_auth("a", "b");
        assert_eq!(twice.endpoint().unwrap_err().kind(), ErrorKind::Config);
        let colon = WebdisStoreBuilder::new("http://webdis").with_basic_auth("a:b", "c");
        assert_eq!(colon.endpoint().unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn neither_password_nor_url_is_shown() {
        let builder = WebdisStoreBuilder::new("http://user:sesame@webdis");
        assert!(!format!("{builder:?}").contains("sesame"));
        assert!(!format!("{:?}", builder.client().unwrap()).contains("sesame"));
        let builder = WebdisStoreBuilder::new("http://webdis").with_basic_auth("user", "sesame");
        assert!(!format!("{builder:?}").contains("sesame"));
        let shown = format!("{:?}", builder.endpoint().unwrap());
        assert!(!shown.contains("sesame") && !shown.contains("Basic"), "{shown}");
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let builder = || WebdisStoreBuilder::new("http://webdis");
        let bad = [
            builder().with_max_connections(0),
            builder().with_max_connections(usize::MAX),
            builder().with_timeout(Duration::ZERO),
            builder().with_timeout(Duration::MAX),
            builder().with_connect_timeout(Duration::ZERO),
            builder().with_start_timeout(Duration::MAX),
        ];
        for builder in bad {
            assert_eq!(builder.client().unwrap_err().kind(), ErrorKind::Config);
        }
    }
}
