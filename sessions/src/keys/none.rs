//! What stands in for the keys where the feature is off: no ring can be made, so nothing is sealed or signed.

use std::fmt;

use bytes::Bytes;

use crate::{
    error::Error,
    value::{FieldName, RecordId, Token},
};

/// A ring that nobody can have.
#[derive(Debug)]
pub(crate) enum KeyRing {}

/// Why nothing is opened by a ring that nobody can have.
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

/// What a sealed value belongs to.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "there is nobody to look at it")]
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
