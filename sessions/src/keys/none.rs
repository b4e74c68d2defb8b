//! The keys without the feature `keys`: types without values, so nothing is sealed or signed.

use std::fmt;

use bytes::Bytes;

use crate::{
    error::Error,
    value::{FieldName, RecordId, Token},
};

/// A key ring without values.
#[derive(Debug)]
pub(crate) enum KeyRing {}

/// An error of a key ring without values.
#[derive(Debug)]
pub(crate) enum OpenError {}

impl OpenError {
    pub(crate) const fn is_key_missing(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn is_plain(&self) -> bool {
        match *self {}
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// The context that a sealed value is bound to.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "without the feature `keys` nothing reads it")]
pub(crate) struct SealingContext<'a> {
    pub(crate) purpose: &'a str,
    pub(crate) record: RecordId,
    pub(crate) field: &'a FieldName,
}

impl KeyRing {
    pub(crate) fn seal(&self, _place: SealingContext<'_>, _value: &[u8]) -> Result<Bytes, Error> {
        match *self {}
    }

    pub(crate) fn open(&self, _place: SealingContext<'_>, _stored: &[u8]) -> Result<Bytes, OpenError> {
        match *self {}
    }

    pub(crate) fn read_token(&self, _purpose: &str, _value: &[u8]) -> Option<Result<Token, Error>> {
        match *self {}
    }

    pub(crate) fn token_text(&self, _purpose: &str, _token: Token) -> String {
        match *self {}
    }
}
