//! The plain values everything else is written in: ids, secrets, tokens, names, fields, times.
//!
//! Nothing here does I/O, reads a clock or draws randomness.

pub(crate) mod base64url;
mod bytes;
mod credentials;
mod field_name;
mod fields;
mod hash;
#[cfg(feature = "keys")]
mod key_id;
mod record_id;
#[cfg(feature = "keys")]
mod signed_token;
mod time;
mod token;

#[cfg(feature = "keys")]
pub use self::key_id::KeyId;
#[cfg(feature = "keys")]
pub(crate) use self::signed_token::{SignedToken, TAG_BYTES};
#[cfg(feature = "sqlite")]
pub(crate) use self::time::SessionKind;
pub(crate) use self::{
    bytes::{ByteReader, push_counted, push_number},
    credentials::{Authority, Match, Proof, hours},
    hash::{SecretHash, TokenHasher},
    time::{DAY, Lifetime},
    token::{Secret, Token},
};
pub use self::{
    credentials::Credentials,
    field_name::FieldName,
    fields::Fields,
    record_id::{ParseRecordIdError, RecordId},
    time::{Cutoff, Cutoffs, Timeouts, Timestamp},
};
