//! The stored form of a flash: `["<stamp>",<value>]`, so that an equal one is told from an older one.

use bytes::Bytes;

use crate::{error::Error, random};

/// Characters of a stamp: 48 random bits in hexadecimal.
const LEN: usize = 12;

const OPEN: &[u8] = b"[\"";
const BETWEEN: &[u8] = b"\",";
const CLOSE: &[u8] = b"]";

/// The stored form of a value, with a stamp of its own.
pub(super) fn with_new(json: &[u8]) -> Result<Bytes, Error> {
    let number = u64::from_be_bytes(random::bytes()?) >> 16;
    let stamp = format!("{number:0LEN$x}");
    Ok([OPEN, stamp.as_bytes(), BETWEEN, json, CLOSE].concat().into())
}

/// A stamp by itself, as JSON.
pub(super) fn alone() -> Result<Bytes, Error> {
    let number = u64::from_be_bytes(random::bytes()?);
    Ok(format!("\"{number:016x}\"").into())
}

/// The value inside the stored form.
pub(super) fn inner(stored: &[u8]) -> Option<&[u8]> {
    let rest = stored.strip_prefix(OPEN)?;
    rest.get(LEN..)?.strip_prefix(BETWEEN)?.strip_suffix(CLOSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_get_different_stamps() {
        let (one, other) = (with_new(b"\"x\"").unwrap(), with_new(b"\"x\"").unwrap());
        assert_ne!(one, other);
        assert_eq!(inner(&one), Some(&b"\"x\""[..]));
        assert!(serde_json::from_slice::<(String, String)>(&one).is_ok());
    }

    #[test]
    fn anything_else_has_no_inner_value() {
        for other in ["", "[", "\"Saved!\"", "[\"short\",1]", "[\"0123456789ab\",1"] {
            assert_eq!(inner(other.as_bytes()), None, "{other}");
        }
    }
}
