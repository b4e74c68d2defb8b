//! The name of an entry: the collection's, and the key's text percent-encoded in brackets.

use std::fmt::Write;

use crate::value::FieldName;

/// The stored name of the entry with this key.
pub(crate) fn entry_name(collection: &str, key: &str) -> FieldName {
    let mut name = String::with_capacity(collection.len() + key.len() + 2);
    name.push_str(collection);
    name.push('[');
    encode(key, &mut name);
    name.push(']');
    name.into()
}

/// The key of the entry with this stored name; `None` if it is no entry of the collection.
pub(crate) fn key_in(collection: &str, name: &str) -> Option<String> {
    let encoded = name.strip_prefix(collection)?.strip_prefix('[')?.strip_suffix(']')?;
    decode(encoded)
}

/// The entry's part of a stored name, from the bracket on; `None` for a field that is no entry.
pub(crate) fn entry_of(name: &str) -> Option<&str> {
    name.find('[').map(|at| &name[at..])
}

fn encode(key: &str, encoded: &mut String) {
    for byte in key.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // invariant: writing to a `String` does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

/// Decodes a key in its one spelling.
fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let byte = (hex(rest.next()?)? << 4) | hex(rest.next()?)?;
                if is_plain(byte) {
                    return None;
                }
                byte
            }
            byte if is_plain(byte) => byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were() {
        let long = "é".repeat(100);
        for key in ["", ".", "@", "%", "\"", "\0", "[", "]", "a[b]", "😀", "42", "Aa_-z", "a b", "%41", &long]
        {
            let name = entry_name("cart", key);
            assert_eq!(key_in("cart", name.as_str()).as_deref(), Some(key), "{name}");
            let inner = &name.as_str()[5..name.as_str().len() - 1];
            assert!(!inner.contains(['[', ']', '@', '.']), "{name}");
        }
        assert_eq!(entry_name("cart", "42").as_str(), "cart[42]");
        assert_eq!(entry_name("shop.tags", "\"a\"").as_str(), "shop.tags[%22a%22]");
    }

    #[test]
    fn a_name_has_one_spelling_and_one_collection() {
        let others = ["cart", "cart[", "cart[]x", "cart2[1]", "car[1]", "xcart[1]"];
        let misspelt = ["cart[%41]", "cart[%2f]", "cart[%2]", "cart[%]", "cart[.]", "cart[%FF]", "cart[é]"];
        for name in others.into_iter().chain(misspelt) {
            assert_eq!(key_in("cart", name), None, "{name}");
        }
        assert_eq!(key_in("cart", "cart[]").as_deref(), Some(""));
    }

    #[test]
    fn the_part_of_the_entry_is_the_same_under_each_name_of_the_collection() {
        assert_eq!(entry_of("cart[42]"), Some("[42]"));
        assert_eq!(entry_of("cart"), None);
    }
}
