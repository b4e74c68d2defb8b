//! The random text that distinguishes the reply to a call from every other reply.

use std::fmt;

use crate::{error::Error, random};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// 128 random bits as hexadecimal digits, new for each call.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::store) struct Nonce([u8; Self::LENGTH]);

impl Nonce {
    /// The length of a nonce in bytes.
    pub(in crate::store) const LENGTH: usize = 32;

    /// Draws a nonce that was never used before.
    pub(in crate::store) fn new() -> Result<Self, Error> {
        Ok(Self::of(random::bytes()?))
    }

    pub(in crate::store) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn of(bits: [u8; Self::LENGTH / 2]) -> Self {
        let mut digits = [0; Self::LENGTH];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bits) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(digits)
    }
}

impl fmt::Debug for Nonce {
    /// Shows no digits: with them another client could forge the reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn bits_become_digits_in_order() {
        let bits = [0, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff, 0x10, 0, 0, 0, 0, 0x9a];
        assert_eq!(Nonce::of(bits).as_bytes(), b"000123456789abcdefff10000000009a");
    }

    #[test]
    fn no_two_are_alike_nor_shown() {
        let drawn: HashSet<_> = (0..1000).map(|_| Nonce::new().unwrap().as_bytes().to_vec()).collect();
        assert_eq!(drawn.len(), 1000);
        assert_eq!(format!("{:?}", Nonce::new().unwrap()), "Nonce(..)");
    }
}
