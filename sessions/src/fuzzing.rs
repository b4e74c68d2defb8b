//! Private parts of the library for the fuzz targets, with `--cfg fuzzing` only.

#[cfg(any(feature = "redis", feature = "webdis"))]
pub use crate::store::fuzzing_hash as hash;
#[cfg(feature = "webdis")]
pub use crate::store::fuzzing_webdis as webdis;
use crate::value::{Authority, Credentials, Token};

/// Returns the text of the token that is read from a cookie's value, if one is.
#[must_use]
pub fn token(value: &[u8]) -> Option<String> {
    Token::parse(value).map(|token| token.expose())
}

/// Returns true if these bytes are credentials of this version.
#[must_use]
pub fn are_credentials(bytes: &[u8]) -> bool {
    Authority::read(&Credentials::from_bytes(bytes.to_vec())).is_some()
}

pub mod entries {
    //! The names of entries, and collections that are stored whole.

    use crate::value::collection;
    pub use crate::value::collection::CollectionKind as Kind;

    /// Returns the stored name of an entry.
    #[must_use]
    pub fn entry_name(collection: &str, key: &str) -> String {
        collection::entry_name(collection, key).as_str().to_owned()
    }

    /// Returns the key of an entry.
    #[must_use]
    pub fn key_in(collection: &str, name: &str) -> Option<String> {
        collection::key_in(collection, name)
    }

    /// Returns the entries of a whole.
    #[must_use]
    pub fn split(kind: Kind, whole: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
        let entries = kind.split(whole)?.into_iter();
        Some(entries.map(|entry| (entry.key.into_owned(), entry.value.into_owned())).collect())
    }

    /// Returns the whole of entries.
    #[must_use]
    pub fn joined(kind: Kind, entries: &[(String, Vec<u8>)]) -> Vec<u8> {
        let entries: Vec<_> =
            entries.iter().map(|(key, value)| (key.as_str(), value.clone().into())).collect();
        kind.join(entries.iter().map(|(key, value)| (*key, value)))
    }
}

#[cfg(feature = "keys")]
mod keys {
    use crate::{
        KeyRing,
        keys::SealingContext,
        value::{RecordId, Secret, Token},
    };

    const RECORD: [u8; 16] = [7; 16];

    /// Returns the text of a token that the ring signs.
    #[must_use]
    pub fn signed(ring: &KeyRing, purpose: &str) -> String {
        let token = Token::new(RecordId::from_bytes(RECORD), Secret::from_bytes([9; 32]));
        ring.token_text(purpose, token)
    }

    /// Returns the text if the ring accepts its signature.
    #[must_use]
    pub fn verified(ring: &KeyRing, purpose: &str, value: &[u8]) -> Option<String> {
        let token = ring.read_token(purpose, value)?.ok()?;
        Some(ring.token_text(purpose, token))
    }

    /// Returns a field's value as a store keeps it.
    #[must_use]
    pub fn sealed(ring: &KeyRing, purpose: &str, field: &str, value: &[u8]) -> Vec<u8> {
        let (record, field) = (RecordId::from_bytes(RECORD), &field.into());
        ring.seal(SealingContext { purpose, record, field }, value)
            .map(|sealed| sealed.to_vec())
            .unwrap_or_default()
    }

    /// Returns the value, if it opens.
    #[must_use]
    pub fn opened(ring: &KeyRing, purpose: &str, field: &str, stored: &[u8]) -> Option<Vec<u8>> {
        let (record, field) = (RecordId::from_bytes(RECORD), &field.into());
        ring.open(SealingContext { purpose, record, field }, stored).ok().map(|value| value.to_vec())
    }
}

#[cfg(feature = "keys")]
pub use self::keys::{opened, sealed, signed, verified};
