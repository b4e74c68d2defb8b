//! What an error of the client says about the request that it ended.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::{error::Error, store::hash::Malformed};

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
            Self::Refused(error) | Self::Unknown(error) => refused(error),
        }
    }

    /// Of the first things that a store asks of its server.
    pub(super) fn into_opening(self) -> Error {
        let (Self::Refused(error) | Self::Unknown(error)) = self;
        // Redis has codes for some refusals only.
        let says = |words: &str| error.to_string().contains(words);
        let (is_ours, what_to_do) = match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => (
                true,
                "Redis refuses the session store's user or password; set them in the URL or by `with_user`",
            ),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, Some("NOPERM")) => (true, PERMISSION),
            _ if says("user executing the script") || says("no permissions to run") => (true, PERMISSION),
            (ErrorKind::Server(ServerErrorKind::Moved), _) => {
                (true, "this is a node of a Redis Cluster; open the session store with `RedisStore::cluster`")
            }
            _ if says("cluster support disabled") => {
                (true, "this is a Redis without a cluster; open the session store with `RedisStore::connect`")
            }
            _ if says("not point to a sentinel") => {
                (true, "this is no Sentinel; open the session store with `RedisStore::connect`")
            }
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
                (true, "this Redis is a replica; give the session store its primary, or its Sentinels")
            }
            _ if says("DB index") || says("switch database") || says("SELECT is not allowed") => (
                true,
                "Redis has no such database for the session store; check the number in the URL or in \
                 `with_database`",
            ),
            (ErrorKind::MasterNameNotFoundBySentinel, _) => {
                (true, "Sentinel knows no primary for the session store; check the service name")
            }
            (ErrorKind::Io, _) => (false, "the session store cannot reach Redis; check host, port and TLS"),
            (ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported, _) => (
                false,
                "what the session store has reached does not answer like Redis 7; check host, port and TLS",
            ),
            (ErrorKind::ClusterConnectionNotFound, _) => {
                (false, "the session store finds no node of the Redis Cluster; check host, port and TLS")
            }
            _ => (true, "Redis refuses what the session store needs"),
        };
        if is_ours {
            Error::config(what_to_do).with_source(error)
        } else {
            Error::unavailable(error).with_message(what_to_do)
        }
    }
}

const PERMISSION: &str =
    "the session store's Redis user lacks a permission; give it those of `RedisStore`'s documentation";

/// The error for what did not happen.
pub(super) fn refused(error: RedisError) -> Error {
    match error.code() {
        Some("WRONGTYPE") => Error::unavailable(Malformed),
        _ => Error::unavailable(error),
    }
}

/// Whether a script may have ended with this after it had written: a command of it that the user may
/// not run is found out when its turn comes. Anything else is found out before the first write.
pub(super) fn is_midway(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm))
}

/// What to do about an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It did not happen: the server does not know the script.
    NoScript,
    /// It did not happen: for the time being this node of the cluster is to be asked.
    Ask(String),
    /// It did not happen: this node of the cluster has the key.
    Moved(String),
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
        ErrorKind::Server(ServerErrorKind::Moved) => match error.redirect_node() {
            Some((address, _)) => Verdict::Moved(address.to_owned()),
            None => Verdict::Refused,
        },
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Verdict::Demoted,
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        )
        // No node to send it to, for now.
        | ErrorKind::ClusterConnectionNotFound => Verdict::Later,
        ErrorKind::Extension if error.code() == Some("NOREPLICAS") => Verdict::Later,
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
        assert_eq!(verdict(&reply("MOVED 3999 127.0.0.1:6381")), Verdict::Moved("127.0.0.1:6381".into()));
        assert_eq!(verdict(&reply("ASK 3999 127.0.0.1:6381")), Verdict::Ask("127.0.0.1:6381".into()));
        assert_eq!(verdict(&reply("READONLY You can't write")), Verdict::Demoted);
        for later in [
            "LOADING Redis is loading",
            "TRYAGAIN",
            "NOREPLICAS x",
            "CLUSTERDOWN Hash slot not served",
            "MASTERDOWN",
        ] {
            assert_eq!(verdict(&reply(later)), Verdict::Later, "{later}");
        }
        for refused in ["ERR x", "WRONGTYPE x", "OOM x", "MISCONF x", "NOAUTH x", "NOPERM x"] {
            assert_eq!(verdict(&reply(refused)), Verdict::Refused, "{refused}");
        }
        for kind in [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::TimedOut] {
            assert_eq!(verdict(&std::io::Error::from(kind).into()), Verdict::Unknown, "{kind}");
        }
    }
}
