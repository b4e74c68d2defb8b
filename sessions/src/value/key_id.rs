//! The public name of a key.

use std::fmt;

/// The public name of a key: 4 bytes derived from it, the same wherever the key is used.
///
/// It is safe to list and to log: nothing of the key follows from it. Its text form is 8 hexadecimal
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    pub(crate) const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// Reads the text form; `None` for anything but its one canonical spelling, in small letters.
    ///
    /// ```
    /// use sessions::KeyId;
    ///
    /// assert_eq!(KeyId::parse("00c0ffee").unwrap().to_string(), "00c0ffee");
    /// assert_eq!(KeyId::parse("C0FFEE"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u32::from_str_radix(text, 16).ok()?.to_be_bytes());
        // The parser takes signs, capitals and fewer digits too.
        (id.to_string() == text).then_some(id)
    }

    /// Returns the 4 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_has_one_spelling() {
        let id = KeyId::from_bytes([0x00, 0xc0, 0xff, 0xee]);
        assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        for bad in ["", "c0ffee", "00C0FFEE", "+0c0ffee", "000c0ffee", "00c0ffeg", " 00c0ffe", "0x00c0ff"] {
            assert_eq!(KeyId::parse(bad), None, "{bad}");
        }
    }
}
