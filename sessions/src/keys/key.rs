//! A key, and the keys that are derived from it.

use std::{collections::BTreeSet, fmt};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    error::Error,
    random,
    value::{KeyId, base64url},
};

/// The labels of the derivations, one for each use, so that no derived key has two uses.
const ID: &[u8] = b"sessions/key-id/v1";
const SEALING: &[u8] = b"sessions/sealing-key/v1";
const SIGNING: &[u8] = b"sessions/signing-key/v1";

/// The least number of different bytes among the 32. Random bytes have fewer once in 10^24 keys, a repeated placeholder
/// nearly always.
const FEWEST_DISTINCT: usize = 12;

/// 256 random bits from which a [`KeyRing`](super::KeyRing) seals and signs.
///
/// All instances of a service get the same keys from their configuration. Keep a key like a password of the database:
/// not in the repository, and apart from the store that it protects (OWASP ASVS 5.0, 13.3.1). `Debug` shows the
/// [id](Self::id) only.
///
/// A shell makes one:
///
/// ```sh
/// openssl rand -base64 32 | tr '+/' '-_' | tr -d =
/// ```
///
/// ```
/// use sessions::Key;
///
/// # fn keys() -> Result<(), sessions::Error> {
/// let key = Key::generate()?;
/// let same = Key::from_base64(&key.expose_base64())?;
/// assert_eq!(key.id(), same.id());
/// # Ok(())
/// # }
/// # keys().unwrap();
/// ```
pub struct Key([u8; 32]);

impl Key {
    /// Creates a key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the operating system has none.
    pub fn generate() -> Result<Self, Error> {
        random::bytes().map(Self)
    }

    /// Reads a key from configuration: 43 characters of base64url (RFC 4648 section 5) without padding.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for any other length or character, for unused bits that are not zero, and
    /// for bytes that repeat themselves, as those of a placeholder do. The message shows nothing of the text.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let refuse = |what: &str| {
            Error::config(format!(
                "a session key {what}; `openssl rand -base64 32 | tr '+/' '-_' | tr -d =` makes a good one"
            ))
        };
        let length = text.chars().count();
        if length != base64url::encoded_len(32) {
            return Err(refuse(&format!(
                "has 43 characters of base64url without padding, quotes or white space, and this has {length}"
            )));
        }
        let bytes: [u8; 32] = base64url::decode(text.as_bytes()).ok_or_else(|| {
            refuse(
                "is base64url of 32 bytes (`-` and `_`, not `+` and `/`), and this is not as it is written",
            )
        })?;
        if bytes.iter().collect::<BTreeSet<_>>().len() < FEWEST_DISTINCT {
            return Err(refuse("is 256 random bits, and this repeats itself"));
        }
        Ok(Self(bytes))
    }

    /// Returns the key's name. It is derived from the key, so all instances use the same name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, ..] = self.derive(ID);
        KeyId::from_bytes([a, b, c, d])
    }

    /// Returns the text that [`from_base64`](Self::from_base64) reads. A program that has it can read and make
    /// everything that the key protects.
    #[must_use]
    pub fn expose_base64(&self) -> String {
        base64url::encode(&self.0)
    }

    /// Returns the key for sealing.
    pub(super) fn sealing(&self) -> [u8; 32] {
        self.derive(SEALING)
    }

    /// Returns the keyed hash for signing.
    pub(super) fn signing(&self) -> Hmac<Sha256> {
        keyed(&self.derive(SIGNING))
    }

    /// Derives the key for one use: the first block of HKDF-Expand (RFC 5869 section 2.3). The key is random, so HKDF's
    /// extraction is not needed (section 3.3).
    fn derive(&self, label: &[u8]) -> [u8; 32] {
        expand(&self.0, label)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn expand(key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(info).chain_update([1]).finalize().into_bytes().into()
}

/// Returns HMAC-SHA256 with this key, filled with zeros to a block (RFC 2104 section 2).
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
impl Key {
    /// The key of a test.
    pub(crate) const fn of(byte: u8) -> Self {
        Self([byte; 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn from_hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap())
    }

    #[test]
    fn a_key_reads_back() {
        let key = Key::generate().unwrap();
        let text = key.expose_base64();
        assert_eq!(text.len(), 43);
        assert_eq!(Key::from_base64(&text).unwrap().0, key.0);
        assert_ne!(Key::generate().unwrap().0, key.0);
    }

    #[test]
    fn a_key_has_at_least_twelve_different_bytes() {
        let of = |distinct: usize| {
            let bytes = std::array::from_fn(|at| u8::try_from(at % distinct).unwrap());
            Key::from_base64(&Key(bytes).expose_base64())
        };
        of(12).unwrap();
        of(11).unwrap_err();
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = Key(std::array::from_fn(|at| u8::try_from(at * 7).unwrap())).expose_base64();
        Key::from_base64(&good).unwrap();
        let placeholder = base64url::encode(b"changemechangemechangemechangeme");
        let cases = [
            (String::new(), "this has 0"),
            (good[1..].to_owned(), "this has 42"),
            (format!("{good}="), "this has 44"),
            (format!("{good}\n"), "this has 44"),
            (format!("\"{good}\""), "this has 45"),
            (format!("+{}", &good[1..]), "not as it is written"),
            (format!("é{}", &good[1..]), "not as it is written"),
            (format!("{}B", &good[..42]), "not as it is written"),
            ("A".repeat(43), "repeats itself"),
            (format!("{}8", "_".repeat(42)), "repeats itself"),
            (format!("{}Q", "changeme".repeat(6)[..42].to_owned()), "repeats itself"),
            (placeholder, "repeats itself"),
        ];
        for (text, why) in cases {
            let error = Key::from_base64(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(why), "{why}: {shown}");
            assert!(shown.contains("openssl rand -base64 32"), "{shown}");
            assert!(text.is_empty() || !shown.contains(&text), "{shown}");
        }
    }

    #[test]
    fn what_follows_from_a_key_is_different_for_each_use() {
        let key = Key::of(1);
        let derived = [key.derive(ID), key.derive(SEALING), key.derive(SIGNING), key.0];
        for (left, one) in derived.iter().enumerate() {
            assert!(derived[left + 1..].iter().all(|other| one != other));
        }
        assert_eq!(key.sealing(), key.derive(SEALING));
        let tag = |mac: Hmac<Sha256>| mac.finalize().into_bytes();
        assert_eq!(tag(key.signing()), tag(keyed(&key.derive(SIGNING))));
    }

    #[test]
    fn the_id_is_of_the_key_alone() {
        assert_eq!(Key::of(1).id(), Key::of(1).id());
        assert_ne!(Key::of(1).id(), Key::of(2).id());
    }

    #[test]
    fn debug_shows_the_id_only() {
        let key = Key::of(0x5a);
        assert_eq!(format!("{key:?}"), format!("Key {{ id: {:?}, .. }}", key.id()));
    }

    /// RFC 5869, test case 1: the first 32 of its 42 bytes.
    #[test]
    fn derivation_is_that_of_rfc_5869() {
        let key = from_hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let info: [u8; 10] = from_hex("f0f1f2f3f4f5f6f7f8f9");
        let expected: [u8; 32] = from_hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        assert_eq!(expand(&key, &info), expected);
    }
}
