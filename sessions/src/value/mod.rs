//! The plain values in which everything else is written: ids, secrets, tokens, names, fields, times.
//!
//! Nothing here does I/O, reads a clock or draws randomness.

pub(crate) mod base64url;
mod bytes;
pub(crate) mod collection;
mod credentials;
mod cutoffs;
mod field_name;
mod fields;
mod hash;
mod index_key;
#[cfg(feature = "keys")]
mod key_id;
mod record_id;
#[cfg(feature = "keys")]
mod signed_token;
mod timeouts;
mod timestamp;
mod token;

#[cfg(feature = "keys")]
pub use self::key_id::KeyId;
#[cfg(feature = "keys")]
pub(crate) use self::signed_token::{SignedToken, TAG_BYTES};
pub(crate) use self::{
    bytes::{ByteReader, push_counted, push_number},
    credentials::{Authority, Match, Proof, hours},
    field_name::{Covers, declared_fields},
    hash::{SecretHash, TokenHasher},
    timeouts::{DAY, Lifetime, SessionKind},
    token::{Secret, Token},
};
pub use self::{
    credentials::Credentials,
    cutoffs::{Cutoff, Cutoffs},
    field_name::FieldName,
    fields::Fields,
    index_key::IndexKey,
    record_id::{ParseRecordIdError, RecordId},
    timeouts::Timeouts,
    timestamp::Timestamp,
};
