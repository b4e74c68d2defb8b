//! The body of a request: `VERB/argument/argument….raw`.

use bytes::Bytes;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The suffix that asks for the reply as Redis sent it. As JSON it would lose NUL, and values that are not UTF-8.
const SUFFIX: &[u8] = b".raw";

/// The largest body that is sent, in bytes. Webdis refuses a body of 128 MiB in the middle, and goes on reading it as
/// if nothing had happened. It writes past a buffer for a reply of a billion bytes.
pub(super) const LARGEST: usize = 64 << 20;

/// Returns the body for a command, or `None` if it would be too large.
///
/// The first word is the command's name, of capital letters. Webdis compares it with its list of permitted commands
/// without decoding it, and takes one of digits for the number of a database.
pub(super) fn body(words: &[&[u8]]) -> Option<Bytes> {
    debug_assert!(
        words.first().is_some_and(|verb| !verb.is_empty() && verb.iter().all(u8::is_ascii_uppercase)),
        "a command begins with its name"
    );
    let length = words.iter().map(|word| 1 + encoded_length(word)).sum::<usize>() - 1 + SUFFIX.len();
    if length > LARGEST {
        return None;
    }
    let mut body = Vec::with_capacity(length);
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            body.push(b'/');
        }
        encode(word, &mut body);
    }
    body.extend_from_slice(SUFFIX);
    Some(body.into())
}

/// Encodes a word. Letters and digits stand for themselves, and every other byte is encoded. For some that is
/// necessary: `/` divides arguments, `.` begins a suffix, `+` becomes a space, `?` ends the command.
fn encode(word: &[u8], into: &mut Vec<u8>) {
    for byte in word {
        if byte.is_ascii_alphanumeric() {
            into.push(*byte);
        } else {
            into.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

fn encoded_length(word: &[u8]) -> usize {
    word.iter().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_letters_and_digits_is_left_as_it_is() {
        let all: Vec<u8> = (0..=255).collect();
        let body = body(&[b"GET", &all]).unwrap();
        let encoded = body.strip_prefix(b"GET/").unwrap().strip_suffix(b".raw").unwrap();
        let mut rest = encoded;
        for byte in 0..=255_u8 {
            let expected = match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => vec![byte],
                _ => format!("%{byte:02X}").into_bytes(),
            };
            rest = rest.strip_prefix(expected.as_slice()).unwrap();
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn empty_arguments_keep_their_places() {
        assert_eq!(body(&[b"EVAL", b"", b"0", b""]).unwrap(), "EVAL//0/.raw");
        assert_eq!(body(&[b"PING"]).unwrap(), "PING.raw");
    }

    #[test]
    fn what_looks_like_a_suffix_or_a_path_is_data() {
        assert_eq!(body(&[b"GET", b"a.json"]).unwrap(), "GET/a%2Ejson.raw");
        assert_eq!(body(&[b"GET", b"../FLUSHALL"]).unwrap(), "GET/%2E%2E%2FFLUSHALL.raw");
    }

    #[test]
    fn what_webdis_could_not_take_is_not_sent() {
        let fits = vec![b'a'; LARGEST - "SET/a/.raw".len()];
        assert_eq!(body(&[b"SET", b"a", &fits]).unwrap().len(), LARGEST);
        let too_large = vec![b'a'; fits.len() + 1];
        assert!(body(&[b"SET", b"a", &too_large]).is_none());
    }
}
