//! The error of a sealed value or a signed token that is refused.

use std::fmt;

use crate::value::KeyId;

/// The reason to refuse a sealed value or a signed token. It shows no key, secret or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It does not have the form of a sealed value.
    Malformed,
    /// It names a key that is not in the ring.
    UnknownKey(KeyId),
    /// It names a key that is revoked.
    RevokedKey(KeyId),
    /// It was changed, or its key did not make it for this context.
    NotAuthentic,
}

impl OpenError {
    /// Returns true if its key is not in the ring, or revoked.
    pub(crate) const fn is_key_missing(self) -> bool {
        matches!(self, Self::UnknownKey(_) | Self::RevokedKey(_))
    }

    /// Returns true if it is not sealed at all.
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::Malformed)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is not in the form of a sealed value"),
            Self::UnknownKey(id) => write!(f, "its key {id} is not in the key ring"),
            Self::RevokedKey(id) => write!(f, "its key {id} is revoked"),
            Self::NotAuthentic => f.write_str("it was changed, or made for another place"),
        }
    }
}

impl std::error::Error for OpenError {}
