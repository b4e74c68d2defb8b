//! The key of an index row: a hash in place of the value that sessions are found by.

use std::fmt;

use sha2::{Digest, Sha256};

use super::base64url;

/// The first bytes of every hashed message, so that no other use of SHA-256 can collide with it.
const LABEL: &[u8] = b"sessions/index-key/v1\0";

/// The key under which a store keeps the sessions that have one value in one indexed field.
///
/// It is SHA-256 over a version label, the layer's purpose, the field's stored name and the value's JSON. So a store
/// keeps no value in plain for the sake of an index. A value that can be guessed, such as a number of a user, can be
/// recognised by its hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey([u8; 32]);

impl IndexKey {
    /// Returns the key of a value's JSON in the field of this stored name.
    pub(crate) fn new(purpose: &str, name: &str, value: &[u8]) -> Self {
        let mut hasher = Sha256::new_with_prefix(LABEL);
        for part in [purpose.as_bytes(), name.as_bytes(), value] {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Makes a key of these 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Shows the text form: 43 characters of base64url.
impl fmt::Display for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(base64url::encoded_len(32));
        base64url::encode_to(&self.0, &mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_each_part_and_on_where_it_ends() {
        let key = IndexKey::new("sid", "user", b"1");
        assert_eq!(key, IndexKey::new("sid", "user", b"1"));
        for other in [
            IndexKey::new("si", "duser", b"1"),
            IndexKey::new("sid", "use", b"r1"),
            IndexKey::new("sid", "user1", b""),
            IndexKey::new("sid", "user", b"2"),
            IndexKey::new("other", "user", b"1"),
        ] {
            assert_ne!(key, other);
        }
    }
}
