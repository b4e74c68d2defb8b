//! The plain values everything else is written in: ids, secrets, tokens, names, fields, times.
//!
//! Nothing here does I/O, reads a clock or draws randomness.

mod base64url;
mod field_name;
mod fields;
mod hash;
mod record_id;
mod time;
mod token;

pub use self::{
    field_name::FieldName,
    fields::Fields,
    hash::SecretHash,
    record_id::RecordId,
    time::{Timeouts, Timestamp},
};
pub(crate) use self::{
    hash::TokenHasher,
    token::{Secret, Token},
};
