//! The failures of a call that got no verified reply.

use std::{error::Error as StdError, fmt, str};

use http::StatusCode;

use crate::error::Error;

/// The failure of a call.
#[derive(Debug)]
pub(in crate::store) enum CallFailure {
    /// No byte of it was sent, so it certainly did not happen.
    NotSent(Error),
    /// It was sent, and no reply is verified as its own. It may have happened, whatever the reason says: the reason
    /// may come from another client's reply.
    Unverified { reason: Reason },
}

impl CallFailure {
    pub(super) fn not_sent(reason: NotSent) -> Self {
        Self::NotSent(Error::unavailable(reason))
    }
}

/// The reason that there is no verified reply. It contains nothing of what came instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Reason {
    /// No reply came in time.
    TimedOut,
    /// The connection ended.
    Cut,
    /// The connection ended, since the server refused TLS for this reason.
    Tls(Box<str>),
    /// The reply to another call came, very likely another client's.
    Foreign,
    /// A status other than 200 came.
    Status(StatusCode),
    /// An error of Redis came.
    Redis(Code),
    /// The runtime of the call shut down.
    RuntimeEnded,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("Webdis did not answer in time"),
            Self::Cut => f.write_str("the connection to Webdis ended before the reply"),
            Self::Tls(refusal) => write!(f, "TLS with Webdis fails: {refusal}"),
            Self::Foreign => f.write_str("Webdis delivered the reply to another call, and it was discarded"),
            Self::Status(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => f.write_str(
                "Webdis refused the command (403): check the user, the password, and Webdis' ACL for EVAL and \
                 EVALSHA",
            ),
            Self::Status(StatusCode::SERVICE_UNAVAILABLE) => f.write_str("Webdis cannot reach Redis (503)"),
            Self::Status(status) => {
                write!(f, "Webdis, or a proxy before it, answered with the status {}", status.as_u16())
            }
            Self::Redis(code) => write!(f, "Redis answered with the error {}", code.as_str()),
            Self::RuntimeEnded => f.write_str("the runtime of the call to Webdis shut down before the reply"),
        }
    }
}

impl StdError for Reason {}

/// The first word of an error of Redis, such as `NOSCRIPT`, `NOAUTH`, `NOPERM`, `WRONGTYPE`, `OOM`.
/// The text after it is dropped, since it may quote data of another client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Code {
    letters: [u8; Self::LONGEST],
    length: usize,
}

impl Code {
    const LONGEST: usize = 16;

    /// Reads the code of an error, as it is sent after its `-`. A text that does not begin with a word of capital
    /// letters is `ERR`, since a script can raise any text.
    pub(super) fn of(error: &[u8]) -> Self {
        let end = error.iter().position(|byte| !byte.is_ascii_uppercase()).unwrap_or(error.len());
        let is_word = matches!(error.get(end), None | Some(b' ' | b'\r'));
        let word = match &error[..end] {
            word @ [_, ..] if is_word && word.len() <= Self::LONGEST => word,
            _ => b"ERR",
        };
        let mut letters = [0; Self::LONGEST];
        letters[..word.len()].copy_from_slice(word);
        Self { letters, length: word.len() }
    }

    pub(in crate::store) fn as_str(&self) -> &str {
        str::from_utf8(&self.letters[..self.length]).unwrap_or_default()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reason that a call was not sent.
#[derive(Debug)]
pub(super) enum NotSent {
    /// No connection came about, for this error of the system or of TLS.
    NoConnection { address: Box<str>, source: Box<dyn StdError + Send + Sync> },
    /// Connections ended, or brought bytes without a request, before anything was sent.
    Unusable { address: Box<str> },
    /// Connecting took too long.
    ConnectTimedOut { address: Box<str> },
    /// All connections were in use until the deadline.
    Busy { connections: usize },
    /// Too many connections are quarantined.
    TooManyQuarantined { connections: usize },
    /// The request is larger than Webdis takes.
    TooLarge,
}

#[cfg(feature = "webdis-tls")]
impl NotSent {
    /// Returns the reason, if the server refuses TLS and will do so again.
    pub(super) fn tls_refusal(&self) -> Option<String> {
        let Self::NoConnection { source, .. } = self else { return None };
        Some(crate::store::tls::refusal(source.downcast_ref()?)?.to_string())
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection { address, .. } => write!(f, "cannot connect to Webdis at {address}"),
            Self::Unusable { address } => write!(
                f,
                "connections to Webdis at {address} end as soon as they are open, or bring another client's \
                 reply; check that it is a Webdis, 0.1.20 or newer"
            ),
            Self::ConnectTimedOut { address } => {
                write!(f, "connecting to Webdis at {address} took too long; check host and port")
            }
            Self::Busy { connections } => write!(
                f,
                "all {connections} connections to Webdis were in use for too long; see `with_max_connections`"
            ),
            Self::TooManyQuarantined { connections } => write!(
                f,
                "{connections} connections to Webdis wait for late replies or got another client's, so \
                 nothing more is sent for now: check that Webdis is 0.1.20 or newer and that Redis answers"
            ),
            Self::TooLarge => f.write_str(
                "the session is larger than a request to Webdis may be (64 MiB, percent-encoded); store less in it",
            ),
        }
    }
}

impl StdError for NotSent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::NoConnection { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_only_its_code_is_kept() {
        let pairs: [(&[u8], &str); 8] = [
            (b"NOSCRIPT No matching script.\r\n", "NOSCRIPT"),
            (b"WRONGTYPE Operation against a key\r\n", "WRONGTYPE"),
            (b"LOADING\r\n", "LOADING"),
            (b"ERR user_script:1: alice@example.org\r\n", "ERR"),
            (b"alice@example.org\r\n", "ERR"),
            (b"SECRET-TOKEN\r\n", "ERR"),
            (b"ABCDEFGHIJKLMNOPQ too long\r\n", "ERR"),
            (b"", "ERR"),
        ];
        for (error, code) in pairs {
            assert_eq!(Code::of(error).as_str(), code);
        }
    }

    #[test]
    fn a_refusal_says_what_to_check() {
        let text = Reason::Status(StatusCode::FORBIDDEN).to_string();
        assert!(text.contains("403") && text.contains("password") && text.contains("EVALSHA"), "{text}");
    }
}
