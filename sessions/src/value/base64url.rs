//! Unpadded base64url (RFC 4648 section 5), canonical form only.
//!
//! Written here rather than taken from a crate because so little is needed and strictness is the
//! point: one value has exactly one accepted spelling.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const INVALID: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Returns the number of characters that `bytes` bytes take.
pub(crate) const fn encoded_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    encode_to(bytes, &mut text);
    text
}

/// Appends the text of these bytes.
pub(crate) fn encode_to(bytes: &[u8], text: &mut String) {
    for chunk in bytes.chunks(3) {
        let mut group = [0_u8; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let sextets = [
            group[0] >> 2,
            (group[0] & 0b11) << 4 | group[1] >> 4,
            (group[1] & 0b1111) << 2 | group[2] >> 6,
            group[2] & 0b11_1111,
        ];
        for sextet in &sextets[..=chunk.len()] {
            text.push(ALPHABET[usize::from(*sextet)] as char);
        }
    }
}

/// Decodes exactly `N` bytes; `None` for any other length, character, or non-zero unused bits.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_to(text, &mut bytes).then_some(bytes)
}

/// Decodes as many bytes as there are; `None` for a length, a character, or unused bits that no text has.
#[cfg(feature = "keys")]
pub(crate) fn decode_vec(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 4 * 3 + text.len() % 4 * 3 / 4];
    decode_to(text, &mut bytes).then_some(bytes)
}

/// Fills `bytes`; `false` if the text is not the one spelling of so many bytes.
#[inline]
fn decode_to(text: &[u8], bytes: &mut [u8]) -> bool {
    if text.len() != encoded_len(bytes.len()) {
        return false;
    }
    // The value of an invalid character has bits that no sextet has. They are looked at once, at the end.
    let mut seen = 0;
    let mut sextet = |character: u8| {
        let value = VALUES[usize::from(character)];
        seen |= value;
        u32::from(value)
    };
    let (whole, rest) = text.as_chunks::<4>();
    let (groups, last) = bytes.as_chunks_mut::<3>();
    for ([a, b, c, d], group) in whole.iter().zip(groups) {
        let buffer = sextet(*a) << 18 | sextet(*b) << 12 | sextet(*c) << 6 | sextet(*d);
        group.copy_from_slice(&buffer.to_be_bytes()[1..]);
    }
    let shifts = [18, 12, 6];
    let buffer = rest.iter().zip(shifts).fold(0, |buffer, (c, shift)| buffer | sextet(*c) << shift);
    let decoded = buffer.to_be_bytes();
    let (used, unused) = decoded[1..].split_at(last.len());
    last.copy_from_slice(used);
    seen < 64 && unused.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_of_rfc_4648() {
        assert_eq!(encode(b"f"), "Zg");
        assert_eq!(encode(b"fo"), "Zm8");
        assert_eq!(encode(b"foobar"), "Zm9vYmFy");
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        assert_eq!(decode::<6>(b"Zm9vYmFy"), Some(*b"foobar"));
        assert_eq!(decode::<1>(b"Zg"), Some(*b"f"));
    }

    #[test]
    fn every_byte_survives_at_every_position() {
        for byte in 0..=255_u8 {
            for position in 0..5 {
                let mut bytes = [0x5a_u8; 5];
                bytes[position] = byte;
                assert_eq!(decode::<5>(encode(&bytes).as_bytes()), Some(bytes));
            }
        }
    }

    #[cfg(feature = "keys")]
    #[test]
    fn any_length_decodes() {
        for length in 0..10 {
            let bytes: Vec<u8> = (1..=length).collect();
            assert_eq!(decode_vec(encode(&bytes).as_bytes()), Some(bytes));
        }
        for bad in [&b"A"[..], b"Zh", b"Zg==", b"AAAAA", b"+/8", b"Zm9vYmF", b"Zm9v "] {
            assert_eq!(decode_vec(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_the_canonical_spelling_is_accepted() {
        assert_eq!(decode::<1>(b"Zh"), None, "unused bits set");
        assert_eq!(decode::<1>(b"Zg=="), None, "padding");
        assert_eq!(decode::<2>(b"+/8"), None, "the other alphabet");
        assert_eq!(decode::<1>(b"Z"), None, "too short");
        assert_eq!(decode::<1>(b"Zg "), None, "too long");
    }
}
