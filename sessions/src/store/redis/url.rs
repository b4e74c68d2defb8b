//! The URL of a server or of a Sentinel.
//!
//! The client library's parser reads it. Anything in a URL that this parser ignores is an error here.

use crate::{error::Error, store::userinfo::percent_decoded};

/// The contents of a URL. A URL is understood as a whole or refused: a part that is silently left out may be the
/// password, the database, or an option about certificates.
pub(super) struct RedisUrl {
    pub(super) address: ServerAddress,
    /// True for `rediss://`, which is refused without the feature.
    #[cfg_attr(not(feature = "redis-tls"), allow(dead_code))]
    pub(super) is_tls: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: Option<u32>,
}

/// The address at which a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerAddress {
    /// A host name or an IP address (IPv6 without its brackets), and the port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

/// The default port of Redis.
pub(super) const REDIS: u16 = 6379;

/// The default port of a Sentinel.
pub(super) const SENTINEL: u16 = 26379;

impl RedisUrl {
    /// Reads `redis://user:password@host:port/database`, `rediss://…`, the same with `valkey` and `valkeys`, and
    /// `redis+unix:///path?db=1&user=…&pass=…`.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, Error> {
        // The parser silently drops line breaks, and spaces at the ends.
        if text.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err(refused("has a space or a line break in it"));
        }
        let url = redis::parse_redis_url(text).ok_or_else(|| refused("cannot be read"))?;
        match url.fragment() {
            None => {}
            Some(fragment) if fragment.eq_ignore_ascii_case("insecure") => {
                return Err(Error::config(
                    "the address of the session store ends with `#insecure`, but certificates are always checked: \
                     leave it out, trust the server's authority by `with_root_certificates`, and if the certificate \
                     is for another name, give that by `with_tls_name`",
                ));
            }
            Some(_) => return Err(refused("has a `#` in it, which in a password is `%23`")),
        }
        let is_unix = url.scheme().ends_with("unix");
        let is_tls = matches!(url.scheme(), "rediss" | "valkeys");
        if is_tls && cfg!(not(feature = "redis-tls")) {
            return Err(Error::config(
                "the address of the session store begins with `rediss://`, which needs the feature `redis-tls` of \
                 `sessions`",
            ));
        }
        let decoded = |text: &str| {
            percent_decoded(text)
                .ok_or_else(|| refused("has a `%` that stands for nothing; in a password it is `%25`"))
        };
        let address = if is_unix {
            #[cfg(unix)]
            let address =
                ServerAddress::Unix(url.to_file_path().map_err(|()| refused("has no path of a socket"))?);
            #[cfg(not(unix))]
            return Err(refused("names a Unix socket, which this system does not have"));
            #[cfg(unix)]
            address
        } else {
            let host =
                url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refused("has no host"))?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            if matches!(host, "0.0.0.0" | "::") {
                return Err(refused("has a host at which servers listen and no client finds them"));
            }
            let port = url.port().unwrap_or(default_port);
            if port == 0 {
                return Err(refused("has the port 0"));
            }
            ServerAddress::Tcp(host.to_owned(), port)
        };
        let mut parsed = Self {
            address,
            is_tls,
            user: Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?,
            password: url.password().map(decoded).transpose()?,
            database: None,
        };
        let has_login = parsed.user.is_some() || parsed.password.is_some();
        if !is_unix && !has_login && authority(text).contains('@') {
            return Err(refused("has an `@` with neither a user nor a password before it"));
        }
        let path = url.path().trim_matches('/');
        if !is_unix && !path.is_empty() {
            parsed.set_database(path)?;
        }
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => parsed.set_database(&value)?,
                // Connections speak this version in any case.
                "protocol" if matches!(&*value, "3" | "resp3") => {}
                "protocol" => return Err(refused("asks for a version of the protocol other than 3")),
                "user" if is_unix => set_once(&mut parsed.user, value.into_owned(), "user")?,
                "pass" if is_unix => set_once(&mut parsed.password, value.into_owned(), "password")?,
                // The message does not show it: it is the rest of a password that contains a `?`.
                _ if is_unix => {
                    return Err(refused("has options other than `?db=…`, `user`, `pass` and `protocol`"));
                }
                _ => {
                    return Err(refused(
                        "has options other than `?db=…` and `protocol`; a `?` in a password is `%3F`",
                    ));
                }
            }
        }
        Ok(parsed)
    }

    /// Notes the number of the database, which a URL may give once.
    fn set_database(&mut self, text: &str) -> Result<(), Error> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        let number = number.ok_or_else(|| refused("has a database that is no number"))?;
        set_once(&mut self.database, number, "database")
    }
}

fn set_once<T>(option: &mut Option<T>, value: T, what: &str) -> Result<(), Error> {
    if option.replace(value).is_some() {
        return Err(refused(&format!("has a {what} twice")));
    }
    Ok(())
}

/// Returns the part of a URL from after the scheme to the first slash.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Creates an error that shows nothing of the URL, which may contain a password.
fn refused(what: &str) -> Error {
    Error::config(format!(
        "the address of the session store {what}; write it like `redis://user:password@host:6379/0`, with \
         `rediss://` for TLS, and with what is special in a password percent-encoded or set by `with_user`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn parse(text: &str) -> Result<RedisUrl, Error> {
        RedisUrl::parse(text, REDIS)
    }

    #[test]
    fn an_address_is_read() {
        let cases = [
            ("redis://host", "host", 6379, (None, None), None),
            ("redis://host/", "host", 6379, (None, None), None),
            ("REDIS://127.0.0.1:1/7", "127.0.0.1", 1, (None, None), Some(7)),
            ("valkey://[::1]:7/?db=7", "::1", 7, (None, None), Some(7)),
            ("redis://host?db=0&protocol=resp3", "host", 6379, (None, None), Some(0)),
            ("redis://a:b@host/07/", "host", 6379, (Some("a"), Some("b")), Some(7)),
            ("redis://:b@host", "host", 6379, (None, Some("b")), None),
            ("redis://app@host", "host", 6379, (Some("app"), None), None),
            ("redis://a%40:%3A%25%c3%a9%20@host", "host", 6379, (Some("a@"), Some(":%é ")), None),
        ];
        for (url, host, port, (user, password), database) in cases {
            let parsed = parse(url).unwrap();
            assert_eq!(parsed.address, ServerAddress::Tcp(host.into(), port), "{url}");
            assert_eq!((parsed.user.as_deref(), parsed.password.as_deref()), (user, password), "{url}");
            assert_eq!((parsed.database, parsed.is_tls), (database, false), "{url}");
        }
        assert_eq!(
            RedisUrl::parse("redis://host", SENTINEL).unwrap().address,
            ServerAddress::Tcp("host".into(), 26379)
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_read() {
        for url in
            ["redis+unix:///run/redis?db=3&user=a&pass=b%25", "unix:///run/redis?pass=b%25&user=a&db=3"]
        {
            let parsed = parse(url).unwrap();
            assert_eq!(parsed.address, ServerAddress::Unix("/run/redis".into()), "{url}");
            assert_eq!((parsed.user.as_deref(), parsed.password.as_deref()), (Some("a"), Some("b%")));
            assert_eq!((parsed.database, parsed.is_tls), (Some(3), false));
        }
    }

    #[cfg(feature = "redis-tls")]
    #[test]
    fn two_schemes_mean_tls() {
        for url in ["rediss://host", "valkeys://host", "REDISS://host"] {
            assert!(parse(url).unwrap().is_tls, "{url}");
        }
    }

    #[cfg(not(feature = "redis-tls"))]
    #[test]
    fn tls_says_which_feature_it_needs() {
        let error = parse("rediss://host").map(drop).unwrap_err();
        assert!(error.to_string().contains("redis-tls"), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_refused_without_showing_it() {
        let urls = [
            "",
            "host",
            "redis:host",
            "redis:///",
            "redis://:sesame@",
            "http://:sesame@host",
            "redis+tls://:sesame@host",
            "redis://host:0",
            "redis://host:99999",
            "redis://host:port",
            "redis://0.0.0.0",
            "redis://[::]",
            // Neither user nor password, as when a variable is empty.
            "redis://@host",
            "redis://:@host",
            // Databases.
            "redis://host/sesame",
            "redis://host/-1",
            "redis://host/+1",
            "redis://host/1/2",
            "redis://host/99999999999",
            "redis://host/1?db=1",
            "redis://host/?db=1&db=2",
            "redis://host/?db=",
            "redis+unix:///run/redis?db=sesame",
            // Options.
            "redis://host/?protocol=2",
            "redis://host/?timeout=sesame",
            "redis://host/?user=a&pass=sesame",
            "redis://host/?ssl_cert_reqs=none",
            "redis+unix:///run/redis?password=sesame",
            "redis+unix:///run/redis?user=a&user=b",
            "redis+unix://host/run/redis",
            // What is special in passwords.
            "redis://user:123#sesame@host",
            "redis://user#sesame@host",
            "redis://user:123?sesame@host",
            "redis://user:123/sesame@host",
            "redis://user:sesame%zz@host",
            "redis://user:sesame%4@host",
            "redis://user:sesame%ff@host",
            "redis://user:sesame\n@host",
            "redis://user:sesame@host\n",
            " redis://user:sesame@host",
            // Fragments.
            "redis://host#insecure",
            "redis://host/0#",
            "redis+unix:///run/redis#insecure",
            "rediss://host/#insecure",
            "rediss://host#INSECURE",
            "valkeys://:sesame@host#insecure",
            "rediss://host#sesame",
        ];
        for url in urls {
            let Err(error) = parse(url) else { panic!("{url} is read") };
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
        }
        for url in ["rediss://host#insecure", "redis://host#insecure"] {
            let text = parse(url).map(drop).unwrap_err().to_string();
            assert!(text.contains("#insecure") && text.contains("with_tls_name"), "{text}");
        }
    }
}
