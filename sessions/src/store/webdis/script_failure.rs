//! The failure of a call of the script, and the error of the store that it becomes.

use std::error::Error as StdError;

use http::StatusCode;

#[cfg(feature = "webdis-tls")]
use super::failure::NotSent;
use super::failure::{Code, Reason};
use crate::{error::Error, store::hash::Malformed};

/// The failure of a call of the script.
pub(super) enum ScriptFailure {
    /// The call did not happen.
    Refused(Error),
    /// The call may have happened.
    Unknown(Reason),
}

impl ScriptFailure {
    /// Converts the code of a verified error of Redis. A command that the user may not run is found when the script
    /// comes to it, perhaps after a write. Any other error is found before the first write.
    pub(super) fn of(code: Code) -> Self {
        match code.as_str() {
            "ERR" | "NOPERM" => Self::Unknown(Reason::Redis(code)),
            "WRONGTYPE" => Self::Refused(Error::unreadable(Malformed)),
            _ => Self::Refused(Error::unavailable(Reason::Redis(code))),
        }
    }

    /// Converts the failure of a read, which changes nothing in either case.
    pub(super) fn into_read(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Unknown(reason) => Error::unavailable(reason),
        }
    }

    /// Converts the failure of the first calls of a store, and says what to do about it.
    ///
    /// The kind is `Config` if waiting does not help, and else `Unavailable`.
    pub(super) fn into_opening(self) -> Error {
        let reason = match self {
            Self::Refused(error) => return refused_opening(error),
            Self::Unknown(reason) => reason,
        };
        let (is_config, message) = match &reason {
            Reason::Status(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => (
                true,
                "Webdis refuses the session store; check its user and password, and that Webdis' ACL lets \
                 them run EVAL and EVALSHA",
            ),
            Reason::Redis(code) if matches!(code.as_str(), "NOAUTH" | "WRONGPASS") => {
                (true, "Webdis is not logged in to Redis; check `redis_auth` in Webdis' configuration")
            }
            Reason::Redis(code) if matches!(code.as_str(), "ERR" | "NOPERM") => (
                true,
                "the Redis user of Webdis lacks a permission; give it those of `WebdisStore`'s documentation",
            ),
            Reason::Status(StatusCode::SERVICE_UNAVAILABLE) => (
                false,
                "Webdis answers the session store, but cannot reach Redis; check `redis_host` and `redis_port` in \
                 Webdis' configuration, and Redis",
            ),
            Reason::Redis(code) => {
                let message = not_serving(*code);
                return Error::unavailable(reason).with_message(message);
            }
            Reason::Tls(refusal) => return Error::config(no_tls(refusal)).with_source(reason),
            Reason::Foreign | Reason::Status(_) => (
                false,
                "the server that the session store has reached does not answer like Webdis; check the URL",
            ),
            _ => (false, UNREACHABLE),
        };
        if is_config {
            Error::config(message).with_source(reason)
        } else {
            Error::unavailable(reason).with_message(message)
        }
    }
}

/// Converts the error of the first call of a store, if it certainly did not happen.
fn refused_opening(error: Error) -> Error {
    let source = StdError::source(&error);
    #[cfg(feature = "webdis-tls")]
    if let Some(refusal) = source.and_then(|source| source.downcast_ref::<NotSent>()?.tls_refusal()) {
        return Error::config(no_tls(&refusal)).with_source(error);
    }
    if let Some(Reason::Redis(code)) = source.and_then(|source| source.downcast_ref()) {
        let message = not_serving(*code);
        return error.with_message(message);
    }
    error.with_message(UNREACHABLE)
}

fn not_serving(code: Code) -> String {
    format!(
        "Webdis answers, but Redis does not serve the session store now: {}; see the log of Redis",
        code.as_str()
    )
}

fn no_tls(refusal: &str) -> String {
    format!(
        "TLS between the session store and Webdis fails: {refusal}; check the port, `with_root_certificates`, \
         `with_tls_name` and `with_client_certificate`"
    )
}

const UNREACHABLE: &str = "the session store cannot reach Webdis; check host, port and TLS";
