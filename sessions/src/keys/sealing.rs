//! Sealing a field's value before it reaches the store.
//!
//! The stored form is a JSON string, since stores keep JSON texts: `"s1.…"`. `…` is base64url of key id (4 bytes), nonce
//! (24), the encrypted value, and tag (16). A nonce of 192 bits can be random for as long as a key lives
//! (draft-irtf-cfrg-xchacha-03 section 2.1; OWASP ASVS 5.0, 11.3.4). AES-GCM's 96 bits are good for 2^32 values only.

use bytes::Bytes;
use chacha20poly1305::{AeadInOut, Tag};

use super::{KeyRing, OpenError, binding::for_each_piece};
use crate::{
    error::Error,
    random,
    value::{FieldName, KeyId, RecordId, base64url},
};

/// The first part of the context. Another form of sealing has another label.
const LABEL: &[u8] = b"sessions/sealed-value/s1";

const START: &[u8] = b"\"s1.";
const END: &[u8] = b"\"";

const KEY_ID_BYTES: usize = 4;
const NONCE_BYTES: usize = 24;
const HEAD_BYTES: usize = KEY_ID_BYTES + NONCE_BYTES;
const TAG_BYTES: usize = 16;

/// The context that a sealed value is bound to. It opens in no other one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealingContext<'a> {
    /// The layer's purpose: its cookie's name.
    pub(crate) purpose: &'a str,
    pub(crate) record: RecordId,
    /// The name under which the value is stored, whatever the view calls it.
    pub(crate) field: &'a FieldName,
}

impl KeyRing {
    /// Seals a value, and returns its stored form. Equal values never have equal forms.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the operating system has no random numbers, `InvalidField` for a value of 2^38
    /// bytes or more.
    pub(crate) fn seal(&self, context: SealingContext<'_>, value: &[u8]) -> Result<Bytes, Error> {
        self.seal_with(random::bytes()?, context, value)
            .ok_or_else(|| Error::invalid_field(context.field, "is too long to be sealed"))
    }

    /// Opens a stored form, and returns the value.
    pub(crate) fn open(&self, context: SealingContext<'_>, stored: &[u8]) -> Result<Bytes, OpenError> {
        let text = stored.strip_prefix(START).and_then(|text| text.strip_suffix(END));
        let mut bytes = text.and_then(base64url::decode_vec).ok_or(OpenError::Malformed)?;
        let (head, rest) = bytes.split_first_chunk_mut::<HEAD_BYTES>().ok_or(OpenError::Malformed)?;
        let (value, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(OpenError::Malformed)?;
        let [a, b, c, d, nonce @ ..] = *head;
        let key = self.live(KeyId::from_bytes([a, b, c, d]))?;
        let bound = context.bytes(key.id);
        let end = HEAD_BYTES + value.len();
        key.sealing
            .decrypt_inout_detached(&nonce.into(), &bound, value.into(), &Tag::from(*tag))
            .map_err(|_| OpenError::NotAuthentic)?;
        Ok(Bytes::from(bytes).slice(HEAD_BYTES..end))
    }

    /// Seals a value with this nonce. Returns `None` if the value is too long for the cipher.
    fn seal_with(
        &self,
        nonce: [u8; NONCE_BYTES],
        context: SealingContext<'_>,
        value: &[u8],
    ) -> Option<Bytes> {
        let key = self.newest();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + value.len() + TAG_BYTES);
        bytes.extend_from_slice(key.id.as_bytes());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(value);
        let sealed = (&mut bytes[HEAD_BYTES..]).into();
        let tag = key.sealing.encrypt_inout_detached(&nonce.into(), &context.bytes(key.id), sealed).ok()?;
        bytes.extend_from_slice(&tag);
        let mut text = String::with_capacity(START.len() + base64url::encoded_len(bytes.len()) + END.len());
        text.push_str("\"s1.");
        base64url::encode_to(&bytes, &mut text);
        text.push('"');
        Some(text.into())
    }
}

impl SealingContext<'_> {
    /// Returns the associated data of a value that this key seals.
    fn bytes(&self, key: KeyId) -> Vec<u8> {
        let parts: [&[u8]; 5] = [
            LABEL,
            self.purpose.as_bytes(),
            self.record.as_bytes(),
            self.field.as_str().as_bytes(),
            key.as_bytes(),
        ];
        let mut bytes = Vec::with_capacity(128);
        for_each_piece(&parts, |piece| bytes.extend_from_slice(piece));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Key, SealingContext};

    const FIELD: FieldName = FieldName::from_static("card");
    const CONTEXT: SealingContext<'static> =
        SealingContext { purpose: "__Host-sid", record: RecordId::from_bytes([7; 16]), field: &FIELD };

    fn ring(byte: u8) -> KeyRing {
        KeyRing::new(Key::of(byte))
    }

    fn id(byte: u8) -> KeyId {
        Key::of(byte).id()
    }

    fn bytes_of(stored: &[u8]) -> Vec<u8> {
        base64url::decode_vec(&stored[START.len()..stored.len() - 1]).unwrap()
    }

    fn text_of(bytes: &[u8]) -> String {
        format!("\"s1.{}\"", base64url::encode(bytes))
    }

    #[test]
    fn a_value_opens_where_it_was_sealed() {
        for length in [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 1000, 1 << 20] {
            let value: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
            let stored = ring(1).seal(CONTEXT, &value).unwrap();
            assert_eq!(ring(1).open(CONTEXT, &stored).unwrap(), value);
        }
    }

    #[test]
    fn the_stored_form_is_a_json_string_that_shows_nothing() {
        let stored = ring(1).seal(CONTEXT, b"\"4111 1111 1111 1111\"").unwrap();
        let text: String = serde_json::from_slice(&stored).unwrap();
        assert!(text.starts_with("s1."), "{text}");
        assert_eq!(serde_json::to_vec(&text).unwrap(), stored);
        let sealed = bytes_of(&stored);
        assert_eq!(sealed.len(), 4 + 24 + 21 + 16);
        assert_eq!(sealed[..4], *id(1).as_bytes());
        assert!(!sealed.windows(4).any(|window| window == b"4111"));
    }

    /// Made by another implementation, so that what is stored today opens with every later version.
    #[test]
    fn the_form_is_the_documented_one() {
        let nonce = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let stored = ring(1).seal_with(nonce, CONTEXT, b"{\"n\":1}").unwrap();
        assert_eq!(stored, KNOWN);
        assert_eq!(ring(1).open(CONTEXT, KNOWN.as_bytes()).unwrap(), "{\"n\":1}");
    }

    const KNOWN: &str = r#""s1.m12awwABAgMEBQYHCAkKCwwNDg8QERITFBUWF73kVgLqe630Ot67dPH48mMwlEIVjbvR""#;

    #[test]
    fn every_single_bit_counts() {
        let stored = ring(1).seal(CONTEXT, b"{\"n\":1}").unwrap();
        let sealed = bytes_of(&stored);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = ring(1).open(CONTEXT, text_of(&changed).as_bytes()).unwrap_err();
            match error {
                OpenError::UnknownKey(_) => assert!(bit < 32, "bit {bit}"),
                error => assert_eq!((error, bit >= 32), (OpenError::NotAuthentic, true), "bit {bit}"),
            }
        }
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut changed = stored.to_vec();
                changed[at] ^= 1 << bit;
                ring(1).open(CONTEXT, &changed).unwrap_err();
            }
        }
    }

    #[test]
    fn every_byte_counts() {
        let stored = ring(1).seal(CONTEXT, b"{\"n\":1}").unwrap();
        for length in 0..stored.len() {
            ring(1).open(CONTEXT, &stored[..length]).unwrap_err();
            ring(1).open(CONTEXT, &stored[stored.len() - length..]).unwrap_err();
        }
        let sealed = bytes_of(&stored);
        for length in 0..sealed.len() {
            let error = ring(1).open(CONTEXT, text_of(&sealed[..length]).as_bytes()).unwrap_err();
            let expected = if length < 44 { OpenError::Malformed } else { OpenError::NotAuthentic };
            assert_eq!(error, expected, "{length} bytes");
        }
        let longer = [&sealed[..], &[0]].concat();
        assert_eq!(ring(1).open(CONTEXT, text_of(&longer).as_bytes()), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn what_is_not_sealed_is_never_read() {
        let stored = ring(1).seal(CONTEXT, b"1").unwrap();
        let text = std::str::from_utf8(&stored).unwrap();
        for bad in [
            "",
            "\"",
            "\"\"",
            "1",
            "null",
            "\"plain\"",
            "\"s1.\"",
            &text.replace("s1.", "s2."),
            &text.replace("s1.", "s1"),
            &text.replace('"', ""),
            &format!("{text} "),
            &format!(" {text}"),
            &format!("[{text}]"),
            &text.replacen("s1.", "s1.=", 1),
        ] {
            assert_eq!(ring(1).open(CONTEXT, bad.as_bytes()), Err(OpenError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_value_opens_nowhere_else() {
        let stored = ring(1).seal(CONTEXT, b"1").unwrap();
        let field = FieldName::from_static("Card");
        for context in [
            SealingContext { purpose: "__Host-admin", ..CONTEXT },
            SealingContext { purpose: "", ..CONTEXT },
            SealingContext { record: RecordId::from_bytes([8; 16]), ..CONTEXT },
            SealingContext { field: &field, ..CONTEXT },
        ] {
            assert_eq!(ring(1).open(context, &stored), Err(OpenError::NotAuthentic), "{context:?}");
        }
    }

    #[test]
    fn no_bytes_move_between_the_names() {
        let (left, right) = (FieldName::from_static("aa"), FieldName::from_static("a"));
        let record = RecordId::from_bytes([b'a'; 16]);
        let bound = |purpose, field| SealingContext { purpose, record, field }.bytes(id(1));
        assert_ne!(bound("a", &left), bound("aa", &right));
        assert_ne!(CONTEXT.bytes(id(1)), CONTEXT.bytes(id(2)));
    }

    #[test]
    fn another_key_opens_nothing() {
        let stored = ring(1).seal(CONTEXT, b"1").unwrap();
        assert_eq!(ring(2).open(CONTEXT, &stored), Err(OpenError::UnknownKey(id(1))));
        // Relabelled, so that the other key is tried.
        let mut sealed = bytes_of(&stored);
        sealed[..4].copy_from_slice(id(2).as_bytes());
        let both = ring(1).add_active(Key::of(2)).unwrap();
        assert_eq!(both.open(CONTEXT, text_of(&sealed).as_bytes()), Err(OpenError::NotAuthentic));
    }

    #[test]
    fn a_key_lives_from_created_to_revoked() {
        let old = ring(1);
        let prepared = ring(1).add_created(Key::of(2)).unwrap();
        let switched = ring(1).add_active(Key::of(2)).unwrap();
        let revoked = ring(2).add_revoked(id(1)).unwrap();
        let [by_old, by_prepared, by_switched] =
            [&old, &prepared, &switched].map(|ring| ring.seal(CONTEXT, b"1").unwrap());
        // A created key opens and does not seal: instances before and after the first restart agree.
        assert_eq!(old.open(CONTEXT, &by_prepared).unwrap(), "1");
        // The newest active key seals; instances of the step before open it already.
        assert_eq!(prepared.open(CONTEXT, &by_switched).unwrap(), "1");
        assert_eq!(switched.open(CONTEXT, &by_old).unwrap(), "1");
        assert_eq!(old.open(CONTEXT, &by_switched), Err(OpenError::UnknownKey(id(2))));
        // A revoked key opens nothing.
        assert_eq!(revoked.open(CONTEXT, &by_old), Err(OpenError::RevokedKey(id(1))));
        assert_eq!(revoked.open(CONTEXT, &by_switched).unwrap(), "1");
    }

    #[test]
    fn the_same_value_is_never_sealed_the_same() {
        let sealed = || ring(1).seal(CONTEXT, b"1").unwrap();
        assert_ne!(sealed(), sealed());
        let nonce = |stored: &[u8]| bytes_of(stored)[4..28].to_vec();
        assert_ne!(nonce(&sealed()), nonce(&sealed()));
    }

    #[test]
    fn errors_show_no_value() {
        let stored = ring(1).seal(CONTEXT, b"1").unwrap();
        let text = std::str::from_utf8(&stored).unwrap();
        for error in [ring(2).open(CONTEXT, &stored), ring(1).open(CONTEXT, b"\"4111\"")] {
            let error = error.unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&text[4..14]) && !shown.contains("4111"), "{shown}");
        }
    }
}
