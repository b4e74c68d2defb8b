//! The public name of a record.

use std::{error::Error as StdError, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::base64url;

/// The public name of one session's record: 128 random bits, the same for as long as the record exists.
///
/// It is safe to list and to log: without the secret in the cookie it opens no session. Its text form is 22 characters
/// of base64url, for serde too.
///
/// ```
/// use sessions::RecordId;
///
/// let id: RecordId = "BwcHBwcHBwcHBwcHBwcHBw".parse().unwrap();
/// assert_eq!(id, RecordId::from_bytes([7; 16]));
/// assert!("1; DROP TABLE".parse::<RecordId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// Makes an id of these 16 bytes, which should come from a random number generator.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; `None` for anything but its one canonical spelling.
    ///
    /// ```
    /// use sessions::RecordId;
    ///
    /// let id = RecordId::from_bytes([7; 16]);
    /// assert_eq!(RecordId::parse(&id.to_string()), Some(id));
    /// assert_eq!(RecordId::parse("../../etc/passwd"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base64url::decode(text.as_bytes()).map(Self)
    }

    /// The number of characters of the text form.
    #[cfg(any(feature = "redis", feature = "webdis"))]
    pub(crate) const TEXT_LENGTH: usize = base64url::encoded_len(16);

    /// Appends the text form.
    #[cfg(any(feature = "redis", feature = "webdis"))]
    pub(crate) fn push_to(&self, text: &mut String) {
        base64url::encode_to(&self.0, text);
    }

    /// Returns the 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

/// The error for a text that is no [`RecordId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseRecordIdError;

impl fmt::Display for ParseRecordIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record id is 22 characters of base64url")
    }
}

impl StdError for ParseRecordIdError {}

impl FromStr for RecordId {
    type Err = ParseRecordIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(ParseRecordIdError)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordIdVisitor;

        impl de::Visitor<'_> for RecordIdVisitor {
            type Value = RecordId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record id: 22 characters of base64url")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RecordId, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(RecordIdVisitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_id_goes_through_text_and_serde() {
        let id = RecordId::from_bytes([0xf7; 16]);
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<RecordId>(&json).unwrap(), id);
        let map = BTreeMap::from([(id, 1)]);
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(serde_json::from_str::<BTreeMap<RecordId, i32>>(&json).unwrap(), map);
        for other in ["", "7", &text[1..], &format!("{text}="), &format!(" {text}"), &text.replace('9', "/")]
        {
            assert_eq!(other.parse::<RecordId>(), Err(ParseRecordIdError), "{other}");
            assert!(serde_json::from_value::<RecordId>(other.into()).is_err(), "{other}");
        }
        assert!(serde_json::from_str::<RecordId>("7").is_err());
    }
}
