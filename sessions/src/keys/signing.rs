//! Signing of tokens, so that a forged one costs no call to the store.
//!
//! The tag is the first half of HMAC-SHA256 over a label, the layer's purpose, the record id, the secret and the key's id.
//! It proves that a holder of the key issued the token. It does not prove that the session is alive: the store decides
//! that.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{KeyRing, OpenError, binding::for_each_piece, ring::LiveKey};
use crate::value::{SignedToken, TAG_BYTES, Token};

/// The first part of the context. Another form of token has another label.
const LABEL: &[u8] = b"sessions/signed-token/v2";

impl KeyRing {
    /// Returns the token in a cookie's value: `None` if the value is no signed token, an error if no living key of the
    /// ring signed it for this purpose.
    pub(crate) fn read_token(&self, purpose: &str, value: &[u8]) -> Option<Result<Token, OpenError>> {
        SignedToken::parse(value).map(|token| self.verify(purpose, token))
    }

    /// Returns the cookie's value for a token.
    pub(crate) fn token_text(&self, purpose: &str, token: Token) -> String {
        self.sign(purpose, token).expose()
    }

    /// Returns the token with a tag by the key that signs.
    fn sign(&self, purpose: &str, token: Token) -> SignedToken {
        let key = self.newest();
        let hash: [u8; 32] = key.hash(purpose, &token).finalize().into_bytes().into();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hash[..TAG_BYTES]);
        SignedToken::new(token, key.id, tag)
    }

    /// Returns the token if a living key of the ring signed it for this purpose. It takes the same time wherever a tag is
    /// wrong.
    fn verify(&self, purpose: &str, token: SignedToken) -> Result<Token, OpenError> {
        let key = self.live(token.key())?;
        let (token, tag) = token.into_unverified();
        key.hash(purpose, &token).verify_truncated_left(&tag).map_err(|_| OpenError::NotAuthentic)?;
        Ok(token)
    }
}

impl LiveKey {
    fn hash(&self, purpose: &str, token: &Token) -> Hmac<Sha256> {
        let id = token.id();
        let parts: [&[u8]; 5] =
            [LABEL, purpose.as_bytes(), id.as_bytes(), token.secret().as_bytes(), self.id.as_bytes()];
        let mut hash = self.signing.clone();
        for_each_piece(&parts, |piece| hash.update(piece));
        hash
    }
}

#[cfg(test)]
mod tests {
    use hmac::KeyInit;

    use super::*;
    use crate::{
        keys::Key,
        value::{KeyId, RecordId, Secret, base64url},
    };

    const PURPOSE: &str = "__Host-sid";

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(Key::of(byte))
    }

    fn id(byte: u8) -> KeyId {
        Key::of(byte).id()
    }

    fn token() -> Token {
        Token::new(RecordId::from_bytes([0xa5; 16]), Secret::from_bytes([0x3c; 32]))
    }

    /// Reads a cookie's value: `None` if it is no token.
    fn read(ring: &KeyRing, text: &str) -> Option<Result<Token, OpenError>> {
        ring.read_token(PURPOSE, text.as_bytes())
    }

    #[test]
    fn a_signed_token_verifies() {
        let text = ring(1).sign(PURPOSE, token()).expose();
        assert!(read(&ring(1), &text).unwrap().unwrap().is_same(&token()));
        assert_eq!(text, ring(1).sign(PURPOSE, token()).expose());
    }

    /// Made by another implementation, so that a cookie of today is good with every later version.
    #[test]
    fn the_form_is_the_documented_one() {
        assert_eq!(ring(1).sign(PURPOSE, token()).expose(), KNOWN);
    }

    const KNOWN: &str =
        "AqWlpaWlpaWlpaWlpaWlpaU8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PJtdmsNn9ya9kksX2mndwFjkTeaP";

    #[test]
    fn every_single_bit_counts() {
        let text = ring(1).sign(PURPOSE, token()).expose();
        let bytes: [u8; 69] = base64url::decode(text.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            let read = read(&ring(1), &base64url::encode(&changed)).map(|read| read.unwrap_err());
            match bit / 8 {
                0 => assert_eq!(read, None),
                49..53 => assert!(matches!(read, Some(OpenError::UnknownKey(_))), "bit {bit}: {read:?}"),
                _ => assert_eq!(read, Some(OpenError::NotAuthentic), "bit {bit}"),
            }
        }
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone().into_bytes();
                changed[at] ^= 1 << bit;
                let token = SignedToken::parse(&changed);
                assert!(token.is_none_or(|token| ring(1).verify(PURPOSE, token).is_err()));
            }
        }
        for length in 0..text.len() {
            assert!(read(&ring(1), &text[..length]).is_none());
        }
    }

    #[test]
    fn a_token_of_another_purpose_or_key_is_refused() {
        let sign = || ring(1).sign(PURPOSE, token());
        for purpose in ["__Host-admin", "", "__Host-si"] {
            assert_eq!(ring(1).verify(purpose, sign()).err(), Some(OpenError::NotAuthentic), "{purpose}");
        }
        assert_eq!(ring(2).verify(PURPOSE, sign()).err(), Some(OpenError::UnknownKey(id(1))));
        // Relabelled, so that the other key is tried.
        let relabelled = SignedToken::new(token(), id(2), sign().into_unverified().1);
        let both = ring(1).add_active(Key::of(2)).unwrap();
        assert_eq!(both.verify(PURPOSE, relabelled).err(), Some(OpenError::NotAuthentic));
    }

    #[test]
    fn a_tag_binds_what_the_key_says_of_itself() {
        // Two rings that call one key differently: nothing but the id in the tag tells them apart.
        let mut renamed = ring(1).newest().clone();
        renamed.id = id(2);
        let tag = |key: &LiveKey| key.hash(PURPOSE, &token()).finalize().into_bytes();
        assert_ne!(tag(ring(1).newest()), tag(&renamed));
    }

    #[test]
    fn a_key_lives_from_created_to_revoked() {
        let prepared = ring(1).add_created(Key::of(2)).unwrap();
        let switched = ring(1).add_active(Key::of(2)).unwrap();
        let revoked = ring(2).add_revoked(id(1)).unwrap();
        let sign = |ring: &KeyRing| ring.sign(PURPOSE, token());
        assert_eq!((sign(&prepared).key(), sign(&switched).key()), (id(1), id(2)));
        for (verifier, signer) in [(&prepared, &switched), (&switched, &prepared), (&revoked, &switched)] {
            assert!(verifier.verify(PURPOSE, sign(signer)).unwrap().is_same(&token()));
        }
        assert_eq!(revoked.verify(PURPOSE, sign(&prepared)).err(), Some(OpenError::RevokedKey(id(1))));
    }

    #[test]
    fn what_seals_does_not_sign() {
        let tag = |hash: Hmac<Sha256>| hash.finalize().into_bytes();
        let with = |key: &[u8; 32]| tag(Hmac::new_from_slice(key).unwrap());
        let signing = tag(Key::of(1).signing());
        assert_ne!(signing, with(&Key::of(1).sealing()));
        assert_ne!(signing, with(&[1; 32]));
    }
}
