//! Reading and writing the pieces that stored bytes are made of.

/// The bytes that are left to read. Each method takes a piece off the front, or returns `None` if it is not there.
pub(crate) struct ByteReader<'a>(pub(crate) &'a [u8]);

impl<'a> ByteReader<'a> {
    /// Takes so many bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Takes so many bytes.
    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes a number of at most 35 bits, as [`push_number`] writes it. Each number has one form only.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return (byte != 0 || shift == 0).then_some(number);
            }
        }
        None
    }

    /// Takes a number that says how many bytes follow, and these.
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.slice(length)
    }
}

/// Appends a number: seven bits a byte, the lowest first; the highest bit says that more follow (LEB128).
pub(crate) fn push_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// Appends how many bytes these are, and these.
pub(crate) fn push_counted(to: &mut Vec<u8>, bytes: &[u8]) {
    push_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_and_has_one_form() {
        for number in [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, u64::from(u32::MAX), (1 << 35) - 1] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            assert_eq!(ByteReader(&bytes).number(), Some(number));
        }
        for none in
            [&[][..], &[0x80], &[0x80, 0], &[0xFF, 0x80, 0], &[0xFF; 6], &[0xFF, 0xFF, 0xFF, 0xFF, 0x80, 1]]
        {
            assert_eq!(ByteReader(none).number(), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_counted_is_there_whole_or_not_at_all() {
        let mut bytes = Vec::new();
        push_counted(&mut bytes, b"abc");
        push_counted(&mut bytes, b"");
        let mut reader = ByteReader(&bytes);
        assert_eq!(
            (reader.counted(), reader.counted(), reader.counted()),
            (Some(&b"abc"[..]), Some(&b""[..]), None)
        );
        assert_eq!(ByteReader(&bytes[..3]).counted(), None);
    }
}
