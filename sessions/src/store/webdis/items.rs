//! The reply of the script between its nonces: items, each `length:bytes`, or `-` for nil; or an error, which is an
//! item after an `!`.

use bytes::Bytes;

use super::failure::Code;
use crate::store::hash::{Malformed, ReplyItem};

/// The contents of a verified reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScriptReply {
    Items(Vec<ReplyItem>),
    /// The code of an error of Redis that the script has caught.
    Error(Code),
}

/// Reads the text between the nonces.
pub(super) fn read(mut answer: Bytes) -> Result<ScriptReply, Malformed> {
    let is_error = answer.first() == Some(&b'!');
    if is_error {
        answer = answer.slice(1..);
    }
    let mut items = Vec::new();
    while let Some(first) = answer.first() {
        if *first == b'-' {
            answer = answer.slice(1..);
            items.push(ReplyItem::None);
            continue;
        }
        let colon = answer.iter().position(|byte| *byte == b':').ok_or(Malformed)?;
        let length = std::str::from_utf8(&answer[..colon]).ok().and_then(|text| text.parse().ok());
        let length: usize = length.ok_or(Malformed)?;
        let rest = answer.slice(colon + 1..);
        if rest.len() < length {
            return Err(Malformed);
        }
        items.push(ReplyItem::Bytes(rest.slice(..length)));
        answer = rest.slice(length..);
    }
    match (is_error, items.first()) {
        (false, _) => Ok(ScriptReply::Items(items)),
        (true, Some(ReplyItem::Bytes(text))) => Ok(ScriptReply::Error(Code::of(text))),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> ReplyItem {
        ReplyItem::Bytes(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn items_are_told_apart_by_their_lengths() {
        let answer = Bytes::from_static(b"1:1-0:5:a:-b!-");
        let items = vec![bytes("1"), ReplyItem::None, bytes(""), bytes("a:-b!"), ReplyItem::None];
        assert_eq!(read(answer).unwrap(), ScriptReply::Items(items));
    }

    #[test]
    fn an_error_is_its_code() {
        let ScriptReply::Error(code) = read(Bytes::from_static(b"!16:WRONGTYPE secret")).unwrap() else {
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
