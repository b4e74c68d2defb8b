//! The value of the cookie where tokens are signed.

use std::fmt;

use super::{KeyId, RecordId, Secret, Token, base64url};

/// The first byte of every signed token: its version.
const VERSION: u8 = 2;

/// The length of version, record id, secret, key id and tag.
const BYTES: usize = 1 + 16 + 32 + 4 + 16;

/// The length of the tag: half of the keyed hash, which is the least that RFC 2104 section 5 recommends, and the 128
/// bits that OWASP ASVS 5.0 (11.2.3) asks for.
pub(crate) const TAG_BYTES: usize = 16;

/// A cookie's value with a tag that only holders of the key can make: version byte, record id, secret,
/// key id and tag in 92 characters of base64url.
///
/// Nothing here checks the tag; [`KeyRing::verify`](crate::keys::KeyRing::verify) does, and returns the token. A value of
/// one version is never read as one of the other, so the tag cannot be left out. `Debug` shows the ids only.
pub(crate) struct SignedToken {
    token: Token,
    key: KeyId,
    tag: [u8; TAG_BYTES],
}

impl SignedToken {
    /// Makes the signed form of a token, with a tag by this key.
    pub(crate) const fn new(token: Token, key: KeyId, tag: [u8; TAG_BYTES]) -> Self {
        Self { token, key, tag }
    }

    /// The number of characters of a cookie's value.
    pub(crate) const TEXT_LENGTH: usize = base64url::encoded_len(BYTES);

    /// Reads a cookie's value; `None` for anything but the canonical form of this version, such as an unsigned token.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let bytes: [u8; BYTES] = base64url::decode(value)?;
        let (version, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (secret, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let tag = rest.try_into().ok()?;
        let token = Token::new(RecordId::from_bytes(*id), Secret::from_bytes(*secret));
        (*version == VERSION).then(|| Self::new(token, KeyId::from_bytes(*key), tag))
    }

    /// Returns the cookie's value. The method has this name because the value opens the session.
    pub(crate) fn expose(&self) -> String {
        let mut bytes = [VERSION; BYTES];
        bytes[1..17].copy_from_slice(self.token.id().as_bytes());
        bytes[17..49].copy_from_slice(self.token.secret().as_bytes());
        bytes[49..53].copy_from_slice(self.key.as_bytes());
        bytes[53..].copy_from_slice(&self.tag);
        base64url::encode(&bytes)
    }

    /// Returns the id of the key that made the tag, as the cookie claims.
    pub(crate) const fn key(&self) -> KeyId {
        self.key
    }

    /// Returns the tag and the token that it claims to be for.
    pub(crate) fn into_unverified(self) -> (Token, [u8; TAG_BYTES]) {
        (self.token, self.tag)
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedToken")
            .field("id", &self.token.id())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new(RecordId::from_bytes([0xa5; 16]), Secret::from_bytes([0x3c; 32]))
    }

    fn signed() -> SignedToken {
        SignedToken::new(token(), KeyId::from_bytes([1, 2, 3, 4]), [0x77; 16])
    }

    #[test]
    fn a_signed_token_reads_back() {
        let text = signed().expose();
        assert_eq!(text.len(), 92);
        assert_eq!(text.len(), SignedToken::TEXT_LENGTH);
        let read = SignedToken::parse(text.as_bytes()).unwrap();
        assert_eq!(read.key(), KeyId::from_bytes([1, 2, 3, 4]));
        let (read, tag) = read.into_unverified();
        assert!(read.is_same(&token()));
        assert_eq!(tag, [0x77; 16]);
    }

    #[test]
    fn no_version_reads_as_the_other() {
        let (signed, unsigned) = (signed().expose(), token().expose());
        assert!(Token::parse(signed.as_bytes()).is_none());
        assert!(SignedToken::parse(unsigned.as_bytes()).is_none());
        assert!(Token::parse(&signed.as_bytes()[..66]).is_none());
        let relabelled = format!("AQ{}", &signed[2..]);
        assert!(SignedToken::parse(relabelled.as_bytes()).is_none());
    }

    #[test]
    fn anything_but_the_canonical_form_is_refused() {
        let text = signed().expose();
        for length in 0..text.len() {
            assert!(SignedToken::parse(&text.as_bytes()[..length]).is_none());
        }
        for bad in [format!("{text}="), format!("{text}A"), format!(" {text}"), text.replace('d', "%")] {
            assert!(SignedToken::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", signed());
        assert!(shown.contains("01020304"), "{shown}");
        assert!(!shown.contains("60") && !shown.contains("119"), "{shown}");
    }
}
