//! The secret that a request presents, for a commit without a load.

use std::fmt;

use crate::value::{Credentials, SecretHash};

/// The hash of the secret that a request presents.
///
/// A commit that carries it ([`Commit::blind`](super::Commit::blind)) comes from a request that has not loaded the
/// record. So the store compares it in the place of an epoch, inside the same atomic operation.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedSecret(SecretHash);

impl PresentedSecret {
    /// Makes it of the 32 bytes of a hash.
    #[must_use]
    pub const fn from_hash(hash: [u8; 32]) -> Self {
        Self(SecretHash::from_bytes(hash))
    }

    pub(crate) const fn new(hash: SecretHash) -> Self {
        Self(hash)
    }

    /// Returns the 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Returns true if a blind commit with this secret may change a record of these credentials: their first 32 bytes
    /// are this hash, and the session has no lifetime of its own, which the third bit of the 34th byte tells.
    ///
    /// Otherwise the store answers [`CredentialsChanged`](super::CommitOutcome::CredentialsChanged), and the request
    /// loads the record to judge it.
    #[must_use]
    pub fn opens(&self, credentials: &Credentials) -> bool {
        !credentials.has_own_lifetime() && credentials.hash().is_some_and(|hash| hash == self.0)
    }
}

impl fmt::Debug for PresentedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedSecret")
    }
}
