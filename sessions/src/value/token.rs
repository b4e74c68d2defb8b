//! The value of the cookie.

use std::fmt;

use super::{RecordId, base64url, hash::is_same};

/// The first byte of every token: its version.
const VERSION: u8 = 1;

const BYTES: usize = 1 + 16 + 32;

/// The secret part of a token: 256 random bits, changed by every rotation.
///
/// It has no text form, and `Debug` shows none of it.
#[derive(Clone)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// Makes a secret of these bytes, which must come from a cryptographic random number generator.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A cookie's value: version byte, record id and secret in 66 characters of base64url.
///
/// `Debug` shows the record id only.
#[derive(Clone)]
pub(crate) struct Token {
    id: RecordId,
    secret: Secret,
}

impl Token {
    /// Makes a token for this record with this secret.
    pub(crate) const fn new(id: RecordId, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// The number of characters of a cookie's value.
    pub(crate) const TEXT_LENGTH: usize = base64url::encoded_len(BYTES);

    /// Reads a cookie's value; `None` for anything but the canonical form of a known version. So a malformed value never
    /// reaches a store.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let bytes: [u8; BYTES] = base64url::decode(value)?;
        let (version, rest) = bytes.split_first()?;
        let (id, secret) = rest.split_first_chunk::<16>()?;
        let secret = <[u8; 32]>::try_from(secret).ok()?;
        (*version == VERSION).then(|| Self::new(RecordId::from_bytes(*id), Secret::from_bytes(secret)))
    }

    /// Returns the cookie's value. The method has this name because the value opens the session.
    pub(crate) fn expose(&self) -> String {
        let mut bytes = [VERSION; BYTES];
        bytes[1..17].copy_from_slice(self.id.as_bytes());
        bytes[17..].copy_from_slice(self.secret.as_bytes());
        base64url::encode(&bytes)
    }

    /// Returns true if the other token is the same, in the same time wherever they differ.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && is_same(&self.secret.0, &other.secret.0)
    }

    /// Returns the record that the token names.
    pub(crate) const fn id(&self) -> RecordId {
        self.id
    }

    /// Returns the secret that proves it.
    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new(RecordId::from_bytes([0xa5; 16]), Secret::from_bytes([0x3c; 32]))
    }

    #[test]
    fn a_token_reads_back() {
        let text = token().expose();
        assert_eq!(text.len(), 66);
        let read = Token::parse(text.as_bytes()).unwrap();
        assert_eq!(read.id(), token().id());
        assert_eq!(read.secret().as_bytes(), token().secret().as_bytes());
    }

    #[test]
    fn another_version_is_refused() {
        let text = token().expose();
        assert!(text.starts_with('A'));
        assert!(Token::parse(format!("Q{}", &text[1..]).as_bytes()).is_none());
    }

    #[test]
    fn anything_but_the_canonical_form_is_refused() {
        let text = token().expose();
        for length in 0..text.len() {
            assert!(Token::parse(&text.as_bytes()[..length]).is_none());
        }
        for bad in [format!("{text}="), format!(" {text}"), format!("\"{text}\""), text.replace('P', "%")] {
            assert!(Token::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        let last = text.len() - 1;
        assert!(Token::parse(format!("{}B", &text[..last]).as_bytes()).is_none(), "unused bits");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?} {:?}", token(), token().secret());
        assert!(!shown.contains(&token().expose()[24..]), "{shown}");
        assert!(!shown.contains("60"), "{shown}");
    }
}
