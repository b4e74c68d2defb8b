//! The public handle of a record.

use std::fmt;

use super::base64url;

/// The public handle of one session's record: 128 random bits, stable for the record's life.
///
/// It is safe to list and to log and worth nothing by itself: whoever knows it but not the secret
/// in the cookie cannot use the session. Its text form is 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// An id of these 16 bytes, which should come from a random number generator.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text form back. `None` for anything but its one canonical spelling.
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

    /// How many characters the text form has.
    #[cfg(any(feature = "redis", feature = "webdis"))]
    pub(crate) const TEXT_LENGTH: usize = base64url::encoded_len(16);

    /// Appends the text form.
    #[cfg(any(feature = "redis", feature = "webdis"))]
    pub(crate) fn push_to(&self, text: &mut String) {
        base64url::encode_to(&self.0, text);
    }

    /// The 16 bytes.
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
