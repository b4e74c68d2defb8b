//! What an error of the client says about the request that it ended.

use std::{error::Error as StdError, fmt, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::dial::BoxError;
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

    /// Of the first things that a store asks of its server. `follows` says that it finds its primaries by itself, so
    /// that one which is none any more is a matter of time.
    ///
    /// The kind is `Config` where somebody has to change something, and else `Unavailable`.
    pub(super) fn into_opening(self, follows: bool) -> Error {
        let (Self::Refused(error) | Self::Unknown(error)) = self;
        // Redis has codes for some refusals only.
        let says = |words: &str| error.to_string().contains(words);
        if let Some(reason) = tls_reason(&error) {
            return Error::config(format!(
                "TLS between the session store and Redis fails: {reason}; check the port, `with_root_certificate`, \
                 `with_tls_name` and `with_client_certificate`"
            ))
            .with_source(error);
        }
        let (is_ours, what_to_do) = match (error.kind(), error.code()) {
            _ if no_login(&error) => {
                (false, "the session store was not told its password; see the error of `with_login_provider`")
            }
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
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) if follows => {
                (false, "the primary of the session store is a replica now; another is not known yet")
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
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => {
                (false, "Redis is loading its data; try again, or let `with_start_timeout` wait for it")
            }
            (ErrorKind::Server(ServerErrorKind::MasterDown), _) => (
                false,
                "Redis or its Sentinel has no connection to the primary; the session store waits for it",
            ),
            (ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain), _) => {
                (false, "the Redis Cluster does not serve the session store now; check `CLUSTER INFO`")
            }
            (_, Some("NOREPLICAS")) => {
                (false, "Redis has too few replicas to write anything; see `min-replicas-to-write`")
            }
            (_, Some("OOM")) => (false, "Redis has no memory left for the session store; see `maxmemory`"),
            (_, Some("MISCONF")) => (false, "Redis cannot write to its disk, and so takes no sessions"),
            (_, Some("BUSY")) => (false, "Redis is busy with a script; the session store waits for its end"),
            _ if is_full(&error) => {
                (false, "Redis takes no more clients, the session store among them; see `maxclients`")
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

/// The callback that tells the login has failed.
#[derive(Debug)]
pub(super) struct NoLogin(pub(super) BoxError);

impl fmt::Display for NoLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`with_login_provider`: {}", self.0)
    }
}

impl StdError for NoLogin {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

impl From<NoLogin> for RedisError {
    fn from(error: NoLogin) -> Self {
        io::Error::other(error).into()
    }
}

/// What TLS failed for is the text behind this, of an error of the kind `InvalidClientConfig`.
const TLS: &str = "TLS";

/// Of an attempt to connect: what TLS is refused for will be refused again.
pub(super) fn of_io(error: io::Error) -> RedisError {
    #[cfg(feature = "redis-tls")]
    if let Some(reason) = crate::store::tls::refusal(&error) {
        return (ErrorKind::InvalidClientConfig, TLS, reason.to_string()).into();
    }
    error.into()
}

/// The same of an error that the client library has wrapped.
pub(super) fn of_connection(error: RedisError) -> RedisError {
    #[cfg(feature = "redis-tls")]
    if let Some(reason) = io_error(&error).and_then(crate::store::tls::refusal) {
        return (ErrorKind::InvalidClientConfig, TLS, reason.to_string()).into();
    }
    unquoted(error)
}

/// Without what a server quotes of a command that it does not know, the first 128 bytes of its arguments: of `HELLO`
/// the password, of a script values of fields.
pub(super) fn unquoted(error: RedisError) -> RedisError {
    if error.detail().is_some_and(|detail| detail.to_ascii_lowercase().starts_with("unknown command")) {
        let what = "Redis does not know a command that the session store needs";
        return (ErrorKind::Server(ServerErrorKind::ResponseError), what).into();
    }
    error
}

fn tls_reason(error: &RedisError) -> Option<&str> {
    let is_tls = error.kind() == ErrorKind::InvalidClientConfig && error.to_string().starts_with(TLS);
    error.detail().filter(|_| is_tls)
}

fn no_login(error: &RedisError) -> bool {
    io_error(error).and_then(io::Error::get_ref).is_some_and(<dyn StdError + Send + Sync>::is::<NoLogin>)
}

fn io_error(error: &RedisError) -> Option<&io::Error> {
    // The client library shares it, so that its errors can be cloned.
    error.source()?.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?.downcast_ref()
}

/// The server has as many clients as it takes, and says so instead of anything else.
fn is_full(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("max number of clients"))
}

/// Whether an error says that time was over, or that none of several servers could be asked, and not why.
pub(super) fn says_little(error: &RedisError) -> bool {
    error.is_timeout() || error.kind() == ErrorKind::ClusterConnectionNotFound
}

/// Of several servers that were asked alike, the error that says most. What is refused for good says more than what
/// may pass, and what a server says more than that it says nothing.
pub(super) fn keep_the_clearer(kept: &mut Option<RedisError>, error: RedisError) {
    let clarity = |error: &RedisError| match verdict(error) {
        _ if says_little(error) => 0,
        Verdict::Unknown => 1,
        // Another Sentinel may know the service, and why it has no primary.
        _ if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => 2,
        Verdict::Refused => 4,
        _ => 3,
    };
    if kept.as_ref().is_none_or(|kept| clarity(kept) <= clarity(&error)) {
        *kept = Some(error);
    }
}

const PERMISSION: &str =
    "the session store's Redis user lacks a permission; give it those of `RedisStore`'s documentation";

/// The error for what did not happen.
pub(super) fn refused(error: RedisError) -> Error {
    match error.code() {
        Some("WRONGTYPE") => Error::unreadable(Malformed),
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
    /// It did not happen: the server takes no writes, for it is no primary any more, or has too few replicas to be
    /// sure that it still is.
    NoWrites,
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
        ErrorKind::Server(ServerErrorKind::ReadOnly) => Verdict::NoWrites,
        // With `cluster-allow-reads-when-down`.
        ErrorKind::Server(ServerErrorKind::ClusterDown)
            if error.detail().is_some_and(|detail| detail.contains("only accepts read commands")) =>
        {
            Verdict::NoWrites
        }
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        )
        // No node to send it to, for now.
        | ErrorKind::ClusterConnectionNotFound => Verdict::Later,
        ErrorKind::Extension if error.code() == Some("NOREPLICAS") => Verdict::NoWrites,
        ErrorKind::Server(ServerErrorKind::ResponseError) if is_full(error) => Verdict::Later,
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
    use crate::ErrorKind;

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
        let only_reads = "CLUSTERDOWN The cluster is down and only accepts read commands";
        for no_writes in ["READONLY You can't write", "NOREPLICAS x", only_reads] {
            assert_eq!(verdict(&reply(no_writes)), Verdict::NoWrites, "{no_writes}");
        }
        for later in [
            "LOADING Redis is loading",
            "TRYAGAIN",
            "CLUSTERDOWN Hash slot not served",
            "MASTERDOWN",
            "ERR max number of clients reached",
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

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        let kind = |error: &str, follows| Failure::Refused(reply(error)).into_opening(follows).kind();
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
        assert_eq!(verdict(&tls), Verdict::Refused);
        let error = Failure::Refused(tls).into_opening(true);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }

    #[test]
    fn a_command_that_is_not_known_is_not_quoted() {
        let error = "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'sesame' ";
        for error in [of_connection(reply(error)), unquoted(reply(error))] {
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
            assert_eq!((verdict(&error), is_midway(&error)), (Verdict::Refused, true));
        }
    }

    #[test]
    fn of_several_errors_the_clearest_is_kept() {
        let timed_out = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let cut = || RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        let tls =
            || RedisError::from((redis::ErrorKind::InvalidClientConfig, TLS, "UnknownIssuer".to_owned()));
        for errors in [[timed_out(), cut(), tls()], [tls(), cut(), timed_out()], [cut(), tls(), timed_out()]]
        {
            let mut kept = None;
            for error in errors {
                keep_the_clearer(&mut kept, error);
            }
            assert!(kept.is_some_and(|kept| tls_reason(&kept) == Some("UnknownIssuer")));
        }
        let unknown =
            || RedisError::from((redis::ErrorKind::MasterNameNotFoundBySentinel, "no such service"));
        for errors in [[unknown(), cut(), reply("MASTERDOWN")], [reply("MASTERDOWN"), unknown(), cut()]] {
            let mut kept = None;
            for error in errors {
                keep_the_clearer(&mut kept, error);
            }
            assert_eq!(kept.map(|kept| verdict(&kept)), Some(Verdict::Later));
        }
    }
}
