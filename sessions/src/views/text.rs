//! A text that the compiler can put together, for the message of a constant's panic.

/// The most bytes of a message. What is longer is cut off.
const MOST_BYTES: usize = 1024;

/// A text of parts, made in a constant.
pub(super) struct ConstText {
    bytes: [u8; MOST_BYTES],
    len: usize,
}

impl ConstText {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MOST_BYTES], len: 0 }
    }

    /// Adds a part, wholly or not at all.
    pub(super) const fn and(mut self, part: &str) -> Self {
        let part = part.as_bytes();
        if self.len + part.len() <= MOST_BYTES {
            let mut at = 0;
            while at < part.len() {
                self.bytes[self.len + at] = part[at];
                at += 1;
            }
            self.len += part.len();
        }
        self
    }

    pub(super) const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            // invariant: the parts are text, and each is there wholly
            Err(_) => "",
        }
    }
}

/// Returns true if the texts are equal, also in a constant, where `==` does not work on texts.
pub(super) const fn are_equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_holds_its_parts_and_drops_what_does_not_fit() {
        let text = ConstText::new().and("é").and("").and("b");
        assert_eq!(text.as_str(), "éb");
        let long = "x".repeat(MOST_BYTES);
        assert_eq!(text.and(&long).and("c").as_str(), "ébc");
        assert_eq!(ConstText::new().and(&long).as_str(), long);
    }

    #[test]
    fn texts_are_compared_byte_by_byte() {
        for (one, other) in [("", ""), ("a", "a"), ("a", "b"), ("a", "aa"), ("é", "e")] {
            assert_eq!(are_equal(one, other), one == other);
        }
    }
}
