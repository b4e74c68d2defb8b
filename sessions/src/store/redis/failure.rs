//! What an error of the client says about the request that it ended.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::Error;

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It did not happen.
    Refused(RedisError),
    /// It may have happened, wholly or not at all.
    Unknown(RedisError),
}

impl Failure {
    /// Of something that only reads, so that nothing happened either way.
    pub(super) fn into_read(self) -> Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => Error::unavailable(error),
        }
    }

    /// Of the first things that a store asks of its server.
    pub(super) fn into_opening(self) -> Error {
        let (Self::Refused(error) | Self::Unknown(error)) = self;
        let what_to_do = match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
                "Redis refuses the session store's user or password; set them in the URL or by `with_user`"
            }
            (_, Some("NOPERM")) => {
                "the session store's Redis user lacks a permission; give it those of `RedisStore`'s documentation"
            }
            (ErrorKind::Io, _) => "the session store cannot reach Redis; check host, port and TLS",
            (ErrorKind::MasterNameNotFoundBySentinel, _) => {
                "Sentinel knows no primary for the session store; check the service name"
            }
            _ => "Redis refuses what the session store needs",
        };
        if verdict(&error) == Verdict::Unknown {
            Error::unavailable(error).with_message(what_to_do)
        } else {
            Error::config(what_to_do).with_source(error)
        }
    }
}

/// What to do about an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did not happen: the server does not know the script.
    NoScript,
    /// It did not happen: for the time being this node of the cluster is to be asked.
    Ask(String),
    /// It did not happen: another node has the key, and the client has taken note.
    Moved,
    /// It did not happen, and may later.
    Later,
    /// It did not happen: we were talking to a server that is no primary any more.
    Demoted,
    /// It did not happen.
    Refused,
    /// It may have happened.
    Unknown,
}

/// A server's error reply means that nothing was written: a script finds out all that can fail
/// before it writes, and the server refuses a script at its first write or not at all.
/// An error of the connection means nothing.
pub(super) fn verdict(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoScript) => Verdict::NoScript,
        ErrorKind::Server(ServerErrorKind::Ask) => match error.redirect_node() {
            Some((address, _)) => Verdict::Ask(address.to_owned()),
            None => Verdict::Refused,
        },
        ErrorKind::Server(ServerErrorKind::Moved) => Verdict::Moved,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Verdict::Demoted,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        )
        // No node to send it to: the client is looking for one.
        | ErrorKind::ClusterConnectionNotFound => Verdict::Later,
        ErrorKind::Server(_)
        // A code that the client has no name for, such as `WRONGTYPE`, `OOM` or `MISCONF`.
        | ErrorKind::Extension
        // These end an attempt to connect.
        | ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::Client
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::EmptySentinelList => Verdict::Refused,
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use redis::{ServerError, Value, parse_redis_value};

    use super::*;

    fn reply(error: &str) -> RedisError {
        match parse_redis_value(format!("-{error}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => ServerError::into(error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reply_is_a_refusal_and_a_broken_connection_means_nothing() {
        assert_eq!(verdict(&reply("NOSCRIPT No matching script.")), Verdict::NoScript);
        assert_eq!(verdict(&reply("MOVED 3999 127.0.0.1:6381")), Verdict::Moved);
        assert_eq!(verdict(&reply("ASK 3999 127.0.0.1:6381")), Verdict::Ask("127.0.0.1:6381".into()));
        assert_eq!(verdict(&reply("READONLY You can't write")), Verdict::Demoted);
        for later in ["LOADING Redis is loading", "TRYAGAIN", "CLUSTERDOWN Hash slot not served", "MASTERDOWN"] {
            assert_eq!(verdict(&reply(later)), Verdict::Later, "{later}");
        }
        for refused in ["ERR x", "WRONGTYPE x", "OOM x", "MISCONF x", "NOAUTH x", "NOPERM x", "NOREPLICAS x"] {
            assert_eq!(verdict(&reply(refused)), Verdict::Refused, "{refused}");
        }
        for kind in [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::TimedOut] {
            assert_eq!(verdict(&std::io::Error::from(kind).into()), Verdict::Unknown, "{kind}");
        }
    }
}
