//! What the script answers after its nonce: items, each `length:bytes` or `-` for none; or an error,
//! an item after an `!`.

use bytes::Bytes;

use super::failure::Code;
use crate::store::hash::{Item, Malformed};

/// What a proven answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Items(Vec<Item>),
    /// An error of Redis, which the script has caught.
    Error(Code),
}

/// Reads an answer.
pub(super) fn read(mut answer: Bytes) -> Result<Answered, Malformed> {
    let is_error = answer.first() == Some(&b'!');
    if is_error {
        answer = answer.slice(1..);
    }
    let mut items = Vec::new();
    while let Some(first) = answer.first() {
        if *first == b'-' {
            answer = answer.slice(1..);
            items.push(Item::None);
            continue;
        }
        let colon = answer.iter().position(|byte| *byte == b':').ok_or(Malformed)?;
        let length = std::str::from_utf8(&answer[..colon]).ok().and_then(|text| text.parse().ok());
        let length: usize = length.ok_or(Malformed)?;
        let rest = answer.slice(colon + 1..);
        if rest.len() < length {
            return Err(Malformed);
        }
        items.push(Item::Bytes(rest.slice(..length)));
        answer = rest.slice(length..);
    }
    match (is_error, items.first()) {
        (false, _) => Ok(Answered::Items(items)),
        (true, Some(Item::Bytes(text))) => Ok(Answered::Error(Code::of(text))),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Item {
        Item::Bytes(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn items_are_told_apart_by_their_lengths() {
        let answer = Bytes::from_static(b"1:1-0:5:a:-b!-");
        let items = vec![bytes("1"), Item::None, bytes(""), bytes("a:-b!"), Item::None];
        assert_eq!(read(answer).unwrap(), Answered::Items(items));
    }

    #[test]
    fn an_error_is_its_code() {
        let Answered::Error(code) = read(Bytes::from_static(b"!16:WRONGTYPE secret")).unwrap() else {
            panic!("an error");
        };
        assert_eq!(code.as_str(), "WRONGTYPE");
    }

    #[test]
    fn what_is_cut_off_is_malformed() {
        for bad in ["5:abcd", "x", "99999999999999999999:a", "!", "!-", ":a"] {
            assert!(read(Bytes::from_static(bad.as_bytes())).is_err(), "{bad}");
        }
    }
}
