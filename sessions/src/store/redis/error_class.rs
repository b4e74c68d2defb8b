//! The classes of the client library's errors: what an error says about the request that it ended.

use std::{error::Error as StdError, io, sync::Arc};

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::login::LoginProviderFailed;

/// The class of an error, by what the store does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ErrorClass {
    /// The request did not happen: the server does not know the script.
    NoScript,
    /// The request did not happen: another node of the cluster, named here, has the key for the time being.
    Ask(String),
    /// The request did not happen: another node of the cluster, named here, has the key.
    Moved(String),
    /// The request did not happen, and may succeed later.
    Later,
    /// The request did not happen: the server takes no writes. It is no primary any more, or it has too few replicas
    /// to be sure that it still is.
    NoWrites,
    /// The request did not happen.
    Refused,
    /// The request may have happened.
    Unknown,
}

/// Returns the class of an error.
///
/// A server's error reply means that nothing was written: a script finds every error before it writes, and the server
/// refuses a script at its first write or not at all. An error of the connection says nothing about the request.
pub(super) fn classify(error: &RedisError) -> ErrorClass {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoScript) => ErrorClass::NoScript,
        ErrorKind::Server(ServerErrorKind::Ask) => match error.redirect_node() {
            Some((address, _)) => ErrorClass::Ask(address.to_owned()),
            None => ErrorClass::Refused,
        },
        ErrorKind::Server(ServerErrorKind::Moved) => match error.redirect_node() {
            Some((address, _)) => ErrorClass::Moved(address.to_owned()),
            None => ErrorClass::Refused,
        },
        ErrorKind::Server(ServerErrorKind::ReadOnly) => ErrorClass::NoWrites,
        // With `cluster-allow-reads-when-down`.
        ErrorKind::Server(ServerErrorKind::ClusterDown)
            if error.detail().is_some_and(|detail| detail.contains("only accepts read commands")) =>
        {
            ErrorClass::NoWrites
        }
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown,
        )
        // There is no node to send the request to, for now.
        | ErrorKind::ClusterConnectionNotFound => ErrorClass::Later,
        ErrorKind::Extension if error.code() == Some("NOREPLICAS") => ErrorClass::NoWrites,
        ErrorKind::Server(ServerErrorKind::ResponseError) if is_full(error) => ErrorClass::Later,
        ErrorKind::Server(_)
        // A code that the client library has no name for, such as `WRONGTYPE`, `OOM` or `MISCONF`.
        | ErrorKind::Extension
        // These end an attempt to connect.
        | ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::Client
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::EmptySentinelList => ErrorClass::Refused,
        _ => ErrorClass::Unknown,
    }
}

/// Returns true if a script may have ended with this error after a write. A command that the user may not run is found
/// when the script comes to it. Any other error is found before the first write.
pub(super) fn is_midway(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm))
}

/// Returns true if the server has as many clients as it takes, which it says in place of any other reply.
pub(super) fn is_full(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("max number of clients"))
}

/// Returns true if an error says only that the time was over, or that none of several servers could be asked. It gives
/// no reason.
pub(super) fn says_little(error: &RedisError) -> bool {
    error.is_timeout() || error.kind() == ErrorKind::ClusterConnectionNotFound
}

/// Keeps the error that says most, of several servers that were asked alike. A lasting refusal says more than one that
/// may pass, and a server's error says more than silence.
pub(super) fn keep_the_clearer(kept: &mut Option<RedisError>, error: RedisError) {
    let clarity = |error: &RedisError| match classify(error) {
        _ if says_little(error) => 0,
        ErrorClass::Unknown => 1,
        // Another Sentinel may know the service, and why it has no primary.
        _ if error.kind() == ErrorKind::MasterNameNotFoundBySentinel => 2,
        ErrorClass::Refused => 4,
        _ => 3,
    };
    if kept.as_ref().is_none_or(|kept| clarity(kept) <= clarity(&error)) {
        *kept = Some(error);
    }
}

/// The text before the reason of a TLS error, of the kind `InvalidClientConfig`.
pub(super) const TLS: &str = "TLS";

/// Converts an error of an attempt to connect. A refusal of TLS lasts, so it becomes an error of the configuration.
pub(super) fn of_io(error: io::Error) -> RedisError {
    #[cfg(feature = "redis-tls")]
    if let Some(reason) = crate::store::tls::refusal(&error) {
        return (ErrorKind::InvalidClientConfig, TLS, reason.to_string()).into();
    }
    error.into()
}

/// Converts an error of an attempt to connect that the client library has wrapped.
pub(super) fn of_connection(error: RedisError) -> RedisError {
    #[cfg(feature = "redis-tls")]
    if let Some(reason) = io_error(&error).and_then(crate::store::tls::refusal) {
        return (ErrorKind::InvalidClientConfig, TLS, reason.to_string()).into();
    }
    unquoted(error)
}

/// Removes the arguments of a command that the server does not know, of which its error quotes the first 128 bytes: of
/// `HELLO` the password, of a script the values of fields.
pub(super) fn unquoted(error: RedisError) -> RedisError {
    if error.detail().is_some_and(|detail| detail.to_ascii_lowercase().starts_with("unknown command")) {
        let what = "Redis does not know a command that the session store needs";
        return (ErrorKind::Server(ServerErrorKind::ResponseError), what).into();
    }
    error
}

/// Returns the reason of a TLS error; `None` for any other error.
pub(super) fn tls_reason(error: &RedisError) -> Option<&str> {
    let is_tls = error.kind() == ErrorKind::InvalidClientConfig && error.to_string().starts_with(TLS);
    error.detail().filter(|_| is_tls)
}

/// Returns true if the login provider has failed.
pub(super) fn is_login_provider(error: &RedisError) -> bool {
    let source = io_error(error).and_then(io::Error::get_ref);
    source.is_some_and(<dyn StdError + Send + Sync>::is::<LoginProviderFailed>)
}

fn io_error(error: &RedisError) -> Option<&io::Error> {
    // The client library keeps it in an `Arc`, so that its own errors can be cloned.
    error.source()?.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?.downcast_ref()
}

/// Returns the error for a reply of an unexpected type.
pub(super) fn unexpected() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "Redis sent a reply of an unexpected type").into()
}

/// Returns the error for a connection that a silent network has swallowed.
pub(super) fn silent() -> RedisError {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection to Redis brings no replies any more").into()
}

/// Returns the error for a reply that did not come in time.
pub(super) fn timed_out() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, "Redis did not answer in time").into()
}

/// Returns the error for a connection that did not come about in time.
pub(super) fn connect_timed_out() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, "connecting to Redis took too long").into()
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
        assert_eq!(classify(&reply("NOSCRIPT No matching script.")), ErrorClass::NoScript);
        assert_eq!(classify(&reply("MOVED 3999 127.0.0.1:6381")), ErrorClass::Moved("127.0.0.1:6381".into()));
        assert_eq!(classify(&reply("ASK 3999 127.0.0.1:6381")), ErrorClass::Ask("127.0.0.1:6381".into()));
        let only_reads = "CLUSTERDOWN The cluster is down and only accepts read commands";
        for no_writes in ["READONLY You can't write", "NOREPLICAS x", only_reads] {
            assert_eq!(classify(&reply(no_writes)), ErrorClass::NoWrites, "{no_writes}");
        }
        for later in [
            "LOADING Redis is loading",
            "TRYAGAIN",
            "CLUSTERDOWN Hash slot not served",
            "MASTERDOWN",
            "ERR max number of clients reached",
        ] {
            assert_eq!(classify(&reply(later)), ErrorClass::Later, "{later}");
        }
        for refused in ["ERR x", "WRONGTYPE x", "OOM x", "MISCONF x", "NOAUTH x", "NOPERM x"] {
            assert_eq!(classify(&reply(refused)), ErrorClass::Refused, "{refused}");
        }
        for kind in [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::TimedOut] {
            assert_eq!(classify(&std::io::Error::from(kind).into()), ErrorClass::Unknown, "{kind}");
        }
    }

    #[test]
    fn a_command_that_is_not_known_is_not_quoted() {
        let error = "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'sesame' ";
        for error in [of_connection(reply(error)), unquoted(reply(error))] {
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
            assert_eq!((classify(&error), is_midway(&error)), (ErrorClass::Refused, true));
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
            assert_eq!(kept.map(|kept| classify(&kept)), Some(ErrorClass::Later));
        }
    }
}
