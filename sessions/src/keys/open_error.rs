//! Why something sealed or signed is not taken.

use std::fmt;

use crate::value::KeyId;

/// Why something sealed or signed is not taken. None of it shows a key, a secret or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It is not in the form that sealing gives.
    Malformed,
    /// It names a key that the ring does not have.
    UnknownKey(KeyId),
    /// It names a key that is revoked.
    RevokedKey(KeyId),
    /// The key that it names did not make it, or not for this place.
    NotAuthentic,
}

impl OpenError {
    /// Whether the ring does not have its key, or not any more.
    pub(crate) const fn is_key_missing(&self) -> bool {
        matches!(self, Self::UnknownKey(_) | Self::RevokedKey(_))
    }

    /// Returns true if it is not sealed at all.
    pub(crate) const fn is_plain(&self) -> bool {
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
