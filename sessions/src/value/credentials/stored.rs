//! Credentials as a store keeps them.

use std::fmt;

use bytes::Bytes;

use crate::value::{SecretHash, hash::HASH_BYTES, timeouts::SessionKind};

/// The bit of the byte after the hash that says that the record holds a right.
pub(super) const HOLDS_RIGHTS: u8 = 0x80;

/// The bit that says that the user asked to be remembered. It counts beside a right only.
pub(super) const IS_REMEMBERED: u8 = 0x40;

/// The bit that says that the browser forgets the cookie when it is closed.
pub(super) const FORGOTTEN: u8 = 0x20;

/// The bit of the second byte after the hash that says that the session has a lifetime of its own.
pub(super) const OWN_LIFETIME: u8 = 0x04;

/// The credentials of a record: bytes that a store keeps, compares and returns, and need not read.
///
/// They hold the hash of the record's secret, the names of the rights that are set, and what the library needs beside
/// these. Each login, rotation and renewal puts new credentials in their place.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(pub(super) Bytes);

impl Credentials {
    /// Makes credentials of the bytes that a store has kept.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Makes credentials of bytes from a place where other programs may write; `None` if these are plainly none.
    #[cfg(any(feature = "redis", feature = "webdis"))]
    pub(crate) fn checked(bytes: &[u8]) -> Option<Self> {
        let (_, rest) = bytes.split_first_chunk::<HASH_BYTES>()?;
        let are_credentials = rest.first().is_none_or(|flags| are_flags(*flags));
        are_credentials.then(|| Self(Bytes::copy_from_slice(bytes)))
    }

    /// Returns the bytes to store: at least 32, mostly not many more.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns true if the record holds a right, such as who is logged in. A store that has no room left evicts no such
    /// record for a new one. It is the highest bit of the byte after the first 32.
    #[must_use]
    pub fn holds_rights(&self) -> bool {
        self.flags() & HOLDS_RIGHTS != 0
    }

    /// Returns true if the record holds a right and its user asked to be remembered, so that it may live longer
    /// ([`Timeouts::with_remembered`](crate::Timeouts::with_remembered)). It is the second highest bit of the byte after
    /// the first 32, and set beside the highest one only.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        self.flags() >= HOLDS_RIGHTS | IS_REMEMBERED
    }

    pub(crate) fn kind(&self) -> SessionKind {
        SessionKind::new(self.holds_rights(), self.is_remembered())
    }

    /// Returns the hash of the present secret.
    pub(crate) fn hash(&self) -> Option<SecretHash> {
        self.0.first_chunk::<HASH_BYTES>().map(|hash| SecretHash::from_bytes(*hash))
    }

    /// Returns true if the session has a lifetime of its own, shorter than the layer's.
    pub(crate) fn has_own_lifetime(&self) -> bool {
        self.0.get(HASH_BYTES + 1).is_some_and(|parts| parts & OWN_LIFETIME != 0)
    }

    fn flags(&self) -> u8 {
        self.0.get(HASH_BYTES).copied().unwrap_or(0)
    }
}

/// Returns true if credentials of this version may have these flags.
pub(super) const fn are_flags(flags: u8) -> bool {
    matches!(flags & !HOLDS_RIGHTS, 0 | FORGOTTEN) || flags == HOLDS_RIGHTS | IS_REMEMBERED
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("holds_rights", &self.holds_rights()).finish_non_exhaustive()
    }
}
