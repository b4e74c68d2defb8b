//! The failure of a request, and the error of the store that it becomes.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::error_class::{is_full, is_login_provider, tls_reason};
use crate::{error::Error, store::hash::Malformed};

/// The failure of a request.
#[derive(Debug)]
pub(super) enum RequestFailure {
    /// The request did not happen.
    Refused(RedisError),
    /// The request may have happened, wholly or not at all.
    Unknown(RedisError),
}

impl RequestFailure {
    /// Converts the failure of a read, which changes nothing in either case.
    pub(super) fn into_read(self) -> Error {
        match self {
            Self::Refused(error) | Self::Unknown(error) => refused(error),
        }
    }

    /// Converts the failure of the first requests of a store, and says what to do about it. `follows` is true if the
    /// store finds new primaries by itself, so that a demoted primary is a matter of time.
    ///
    /// The kind is `Config` if waiting does not help, and else `Unavailable`.
    pub(super) fn into_opening(self, follows: bool) -> Error {
        let (Self::Refused(error) | Self::Unknown(error)) = self;
        // Redis has codes for some refusals only.
        let says = |words: &str| error.to_string().contains(words);
        if let Some(reason) = tls_reason(&error) {
            return Error::config(format!(
                "TLS between the session store and Redis fails: {reason}; check the port, `with_root_certificates`, \
                 `with_tls_name` and `with_client_certificate`"
            ))
            .with_source(error);
        }
        let (is_config, message) = match (error.kind(), error.code()) {
            _ if is_login_provider(&error) => (
                false,
                "the session store got no login for Redis; see the error of its `with_login_provider` callback",
            ),
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => (
                true,
                "Redis refuses the session store's user or password; set them in the URL or by `with_user`",
            ),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, Some("NOPERM")) => (true, PERMISSION),
            // The first two are Redis 7.0's words, the third is what newer ones say.
            _ if says("user executing the script")
                || says("no permissions to run")
                || says("ACL failure in script") =>
            {
                (true, PERMISSION)
            }
            (ErrorKind::Server(ServerErrorKind::Moved), _) => {
                (true, "this is a node of a Redis Cluster; open the session store with `RedisStore::cluster`")
            }
            _ if says("cluster support disabled") => {
                (true, "this is a Redis without a cluster; open the session store with `RedisStore::connect`")
            }
            _ if says("not point to a sentinel") => {
                (true, "this is no Sentinel; open the session store with `RedisStore::connect`")
            }
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) if follows => (
                false,
                "the primary of the session store is a replica now, and no other is known yet; wait for the end of the \
                 failover",
            ),
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
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => (
                false,
                "Redis is loading its data and does not serve the session store yet; try again, or let \
                 `with_start_timeout` wait for it",
            ),
            (ErrorKind::Server(ServerErrorKind::MasterDown), _) => (
                false,
                "Redis or its Sentinel has no connection to the primary of the session store; check the primary, or \
                 wait for the failover",
            ),
            (ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain), _) => {
                (false, "the Redis Cluster does not serve the session store now; check `CLUSTER INFO`")
            }
            (_, Some("NOREPLICAS")) => (
                false,
                "Redis has too few replicas to write sessions; start them, or lower `min-replicas-to-write`",
            ),
            (_, Some("OOM")) => (
                false,
                "Redis has no memory left for the session store; raise `maxmemory`, or delete other keys",
            ),
            (_, Some("MISCONF")) => {
                (false, "Redis cannot write to its disk and refuses to write sessions; see its log")
            }
            (_, Some("BUSY")) => (
                false,
                "Redis runs a script and does not serve the session store; wait for its end, or use `SCRIPT KILL`",
            ),
            _ if is_full(&error) => {
                (false, "Redis takes no more clients, the session store among them; raise `maxclients`")
            }
            (ErrorKind::Io, _) => (false, "the session store cannot reach Redis; check host, port and TLS"),
            (ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::RESP3NotSupported, _) => (
                false,
                "the server that the session store has reached does not answer like Redis 7; check host, port and TLS",
            ),
            (ErrorKind::ClusterConnectionNotFound, _) => {
                (false, "the session store finds no node of the Redis Cluster; check host, port and TLS")
            }
            _ => (true, "Redis refuses a command that the session store needs; see the source of this error"),
        };
        if is_config {
            Error::config(message).with_source(error)
        } else {
            Error::unavailable(error).with_message(message)
        }
    }
}

const PERMISSION: &str =
    "the session store's Redis user lacks a permission; give it those of `RedisStore`'s documentation";

/// Returns the store's error for a request that did not happen.
pub(super) fn refused(error: RedisError) -> Error {
    match error.code() {
        Some("WRONGTYPE") => Error::unreadable(Malformed),
        _ => Error::unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use redis::{ServerError, Value, parse_redis_value};

    use super::*;
    use crate::{
        ErrorKind,
        store::redis::error_class::{ErrorClass, TLS, classify},
    };

    fn reply(error: &str) -> RedisError {
        match parse_redis_value(format!("-{error}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => ServerError::into(error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        let kind = |error: &str, follows| RequestFailure::Refused(reply(error)).into_opening(follows).kind();
        for passing in [
            "LOADING Redis is loading the dataset in memory",
            "ERR max number of clients reached",
            "ERR max number of clients + cluster connections reached",
            "NOREPLICAS Not enough good replicas to write.",
            "CLUSTERDOWN The cluster is down",
            "CLUSTERDOWN Hash slot not served",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "MISCONF Redis is configured to save RDB snapshots",
            "BUSY Redis is busy running a script.",
        ] {
            assert_eq!(kind(passing, false), ErrorKind::Unavailable, "{passing}");
        }
        assert_eq!(
            kind("READONLY You can't write against a read only replica.", true),
            ErrorKind::Unavailable
        );
        for lasting in [
            "READONLY You can't write against a read only replica.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOAUTH HELLO must be called with the client already authenticated",
            "NOPERM this user has no permissions to run the 'eval' command",
            "MOVED 3999 127.0.0.1:6381",
            "ERR DB index is out of range",
        ] {
            assert_eq!(kind(lasting, false), ErrorKind::Config, "{lasting}");
        }
        let tls = RedisError::from((redis::ErrorKind::InvalidClientConfig, TLS, "UnknownIssuer".to_owned()));
        assert_eq!(classify(&tls), ErrorClass::Refused);
        let error = RequestFailure::Refused(tls).into_opening(true);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
}
