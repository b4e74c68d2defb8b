//! The plain values everything else is written in: ids, secrets, tokens, names, fields, times.
//!
//! Nothing here does I/O, reads a clock or draws randomness.

mod base64url;
mod field_name;
mod fields;
mod hash;
mod record_id;
mod seal;
mod time;
mod token;

pub use self::{
    field_name::FieldName,
    fields::Fields,
    record_id::RecordId,
    seal::Seal,
    time::{Timeouts, Timestamp},
};
pub(crate) use self::{
    hash::{SecretHash, TokenHasher},
    seal::{Authority, Match, Proof},
    token::{Secret, Token},
};
