//! The context of a sealed value or a tag, as bytes.

/// Passes the bytes of the parts to `take`, each after its length in 8 bytes. So two lists of parts give the same bytes
/// only if they are equal.
pub(super) fn for_each_piece(parts: &[&[u8]], mut take: impl FnMut(&[u8])) {
    for part in parts {
        take(&(part.len() as u64).to_be_bytes());
        take(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for_each_piece(parts, |piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn no_two_lists_are_the_same_bytes() {
        let lists: [&[&[u8]]; 7] =
            [&[], &[b""], &[b"", b""], &[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""]];
        for (left, one) in lists.iter().enumerate() {
            for other in &lists[left + 1..] {
                assert_ne!(bytes(one), bytes(other), "{one:?} {other:?}");
            }
        }
        assert_eq!(bytes(&[b"ab"]), b"\0\0\0\0\0\0\0\x02ab");
    }
}
