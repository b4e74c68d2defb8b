//! The hash of a secret, which binds it to one layer and one record.

use std::{fmt, hint::black_box};

use sha2::{Digest, Sha256};

use super::{RecordId, Secret};

/// The length of a hash.
pub(super) const HASH_BYTES: usize = 32;

/// The first bytes of every hashed message, so that no other use of SHA-256 can collide with it.
const LABEL: &[u8; 24] = b"sessions/secret-hash/v1\0";

/// SHA-256 over a version label, the layer's purpose, the record id and the secret.
///
/// A store holds nothing else of a token, so a leaked store lets no thief log in (OWASP ASVS 5.0, V11). A comparison
/// takes the same time wherever the difference is.
#[derive(Clone, Copy, Eq)]
pub(crate) struct SecretHash([u8; HASH_BYTES]);

impl SecretHash {
    /// Makes a hash of the bytes that a store has kept.
    pub(crate) const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes to store.
    pub(crate) const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// Returns true if all bytes are equal, in the same time wherever they differ.
pub(super) fn is_same<const N: usize>(left: &[u8; N], right: &[u8; N]) -> bool {
    let mut difference = 0;
    for (left, right) in left.iter().zip(right) {
        difference |= left ^ right;
    }
    // Hides from the compiler that only zero matters. So it makes no loop that stops early.
    black_box(difference) == 0
}

/// Hashes secrets for one purpose; a token hashed for one purpose is worth nothing for another.
///
/// The first 64-byte block depends on the purpose only and is absorbed once, so a request pays for
/// a single block of SHA-256.
#[derive(Clone)]
pub(crate) struct TokenHasher {
    after_purpose: Sha256,
}

impl TokenHasher {
    /// Makes a hasher for this purpose: by default the layer's cookie name.
    pub(crate) fn new(purpose: &str) -> Self {
        let mut first_block = [0_u8; 64];
        first_block[..24].copy_from_slice(LABEL);
        first_block[24..56].copy_from_slice(&Sha256::digest(purpose));
        Self { after_purpose: Sha256::new_with_prefix(first_block) }
    }

    /// Returns the hash that the store keeps for this secret of this record.
    pub(crate) fn hash(&self, id: &RecordId, secret: &Secret) -> SecretHash {
        let mut hasher = self.after_purpose.clone();
        hasher.update(id.as_bytes());
        hasher.update(secret.as_bytes());
        SecretHash(hasher.finalize().into())
    }
}

/// The first bytes of the message from which a renewed secret is derived.
const RENEWAL: &[u8] = b"sessions/renewed-secret/v1\0";

impl Secret {
    /// Derives the secret that takes the place of this one in a renewal, by HMAC-SHA256 (RFC 2104). All who have this
    /// secret, the salt and the id derive the same; without this secret it cannot be found.
    pub(crate) fn renewed(&self, id: &RecordId, salt: &[u8; SALT_BYTES]) -> Self {
        Self::from_bytes(hmac(self.as_bytes(), &[RENEWAL, id.as_bytes(), salt]))
    }
}

/// The length of a renewal's salt.
pub(crate) const SALT_BYTES: usize = 16;

/// Returns the HMAC-SHA256 with a key of at most one block. These lines stand in place of a crate, which would be the
/// twentieth on top of axum.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let keyed = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
    let inner = parts.iter().fold(keyed(0x36), Digest::chain_update).finalize();
    keyed(0x5c).chain_update(inner).finalize().into()
}

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_binds_purpose_record_and_secret() {
        let (id, secret) = (RecordId::from_bytes([1; 16]), Secret::from_bytes([2; 32]));
        let hash = TokenHasher::new("__Host-sid").hash(&id, &secret);
        assert_eq!(hash, TokenHasher::new("__Host-sid").hash(&id, &secret));
        assert_ne!(hash, TokenHasher::new("__Host-admin").hash(&id, &secret));
        let other_id = RecordId::from_bytes([3; 16]);
        assert_ne!(hash, TokenHasher::new("__Host-sid").hash(&other_id, &secret));
        let other_secret = Secret::from_bytes([4; 32]);
        assert_ne!(hash, TokenHasher::new("__Host-sid").hash(&id, &other_secret));
    }

    #[test]
    fn the_hash_is_the_documented_one() {
        let (id, secret) = (RecordId::from_bytes([1; 16]), Secret::from_bytes([2; 32]));
        let mut message = LABEL.to_vec();
        message.extend_from_slice(&Sha256::digest("__Host-sid"));
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(id.as_bytes());
        message.extend_from_slice(secret.as_bytes());
        let expected: [u8; 32] = Sha256::digest(message).into();
        assert_eq!(TokenHasher::new("__Host-sid").hash(&id, &secret).as_bytes(), &expected);
    }

    /// RFC 4231 sections 4.2 and 4.3.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let hex = |bytes: [u8; 32]| {
            let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
            bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect::<String>()
        };
        assert_eq!(
            hex(hmac(&[0x0b; 20], &[b"Hi ", b"There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(b"Jefe", &[b"what do ya want for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_renewed_secret_depends_on_all_that_it_is_made_of() {
        let renewed = |secret: u8, id: u8, salt: u8| {
            let secret = Secret::from_bytes([secret; 32]);
            *secret.renewed(&RecordId::from_bytes([id; 16]), &[salt; SALT_BYTES]).as_bytes()
        };
        assert_eq!(renewed(1, 2, 3), renewed(1, 2, 3));
        for other in [renewed(9, 2, 3), renewed(1, 9, 3), renewed(1, 2, 9), [1; 32]] {
            assert_ne!(renewed(1, 2, 3), other);
        }
    }

    #[test]
    fn every_single_bit_counts_in_a_comparison() {
        for bit in 0..256 {
            let mut bytes = [0_u8; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            assert_ne!(SecretHash::from_bytes(bytes), SecretHash::from_bytes([0; 32]));
        }
    }
}
