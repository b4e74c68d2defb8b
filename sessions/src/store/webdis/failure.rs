//! What is known about a call that brought no answer of its own.

use std::{error::Error as StdError, fmt, str};

use http::StatusCode;

use crate::error::Error;

/// Why a call has no answer.
#[derive(Debug)]
pub(in crate::store) enum CallFailure {
    /// Not a byte of it was sent: it certainly did not happen.
    NotSent(Error),
    /// It was sent, and nothing that came back is proved to be the answer. It may have happened,
    /// whatever the reason says: that may be the answer to somebody else.
    Unproven { reason: Reason },
}

impl CallFailure {
    pub(super) fn not_sent(reason: NotSent) -> Self {
        Self::NotSent(Error::unavailable(reason))
    }
}

/// What came instead of a proved answer. Never any of its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Reason {
    /// Nothing, for as long as is to be waited.
    TimedOut,
    /// The end of the connection.
    Cut,
    /// The end of the connection, at which this was the reason to speak no TLS with us.
    Tls(Box<str>),
    /// The answer to another call, very likely another client's.
    Foreign,
    /// A status other than 200.
    Status(StatusCode),
    /// An error of Redis.
    Redis(Code),
    /// The task of the call ended before the call: its runtime shut down.
    Abandoned,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("Webdis did not answer in time"),
            Self::Cut => f.write_str("the connection to Webdis ended before the answer"),
            Self::Tls(refusal) => write!(f, "TLS with Webdis fails: {refusal}"),
            Self::Foreign => f.write_str("Webdis delivered the reply to another call, and it was discarded"),
            Self::Status(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => f.write_str(
                "Webdis refused the command (403): check the user, the password, and the ACL for EVAL and \
                 EVALSHA",
            ),
            Self::Status(StatusCode::SERVICE_UNAVAILABLE) => f.write_str("Webdis cannot reach Redis (503)"),
            Self::Status(status) => {
                write!(f, "Webdis, or a proxy before it, answered with the status {}", status.as_u16())
            }
            Self::Redis(code) => write!(f, "Redis answered with the error {}", code.as_str()),
            Self::Abandoned => f.write_str("the runtime of the call shut down before the answer"),
        }
    }
}

impl StdError for Reason {}

/// The first word of an error of Redis, such as `NOSCRIPT`, `NOAUTH`, `NOPERM`, `WRONGTYPE`, `OOM`.
/// The text after it may quote what is not for this caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Code {
    letters: [u8; Self::LONGEST],
    length: usize,
}

impl Code {
    const LONGEST: usize = 16;

    /// The code of an error as it stands on the wire, after its `-`. One that is no word of
    /// capital letters is `ERR`, since a script can raise any text.
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

/// Why a call was not sent.
#[derive(Debug)]
pub(super) enum NotSent {
    /// No connection, for this reason, which is an error of the system or of TLS.
    NoConnection { address: Box<str>, source: Box<dyn StdError + Send + Sync> },
    /// Connections ended, or brought what nobody had asked for, before anything was sent.
    Unusable { address: Box<str> },
    /// Connecting took too long.
    ConnectTimedOut { address: Box<str> },
    /// All connections were in use for as long as is to be waited.
    Busy { connections: usize },
    /// Too many connections wait for a late answer.
    TooManyPoisoned { connections: usize },
    /// More than Webdis takes.
    TooLarge,
}

#[cfg(feature = "webdis-tls")]
impl NotSent {
    /// Why no TLS came about, and will not by trying again.
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
                 reply"
            ),
            Self::ConnectTimedOut { address } => write!(f, "connecting to Webdis at {address} took too long"),
            Self::Busy { connections } => {
                write!(f, "all {connections} connections to Webdis were in use for too long")
            }
            Self::TooManyPoisoned { connections } => write!(
                f,
                "{connections} connections to Webdis wait for late replies or got another client's, so \
                 nothing more is sent for now: check that Webdis is 0.1.20 or newer and that Redis answers"
            ),
            Self::TooLarge => f.write_str("the session is larger than what is sent to Webdis at once"),
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
