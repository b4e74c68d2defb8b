//! Identifies the call that a reply belongs to.

use std::str;

use bytes::Bytes;
use http::StatusCode;

use super::{
    failure::{Code, Reason},
    nonce::Nonce,
};

/// The call that a reply belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReplyOwner {
    /// This call. The text is that between its nonces.
    ThisCall(Bytes),
    /// This call or another one: the reply is an error, and errors carry no nonce.
    Unknown(Reason),
    /// Another call. The reply to this call is still to come.
    OtherCall,
}

/// Identifies the owner of a whole reply to a request with this nonce.
pub(super) fn identify(status: StatusCode, body: &Bytes, nonce: &Nonce) -> ReplyOwner {
    if status != StatusCode::OK {
        return ReplyOwner::Unknown(Reason::Status(status));
    }
    if let Some(error) = body.strip_prefix(b"-") {
        return ReplyOwner::Unknown(Reason::Redis(Code::of(error)));
    }
    match bulk_string(body) {
        Some(text) => match between(&text, nonce.as_bytes()) {
            Some(answer) => ReplyOwner::ThisCall(answer),
            None => ReplyOwner::OtherCall,
        },
        None => ReplyOwner::OtherCall,
    }
}

/// Returns the text between two nonces. The second one proves that the reply is whole: Webdis 0.1.9 may write a large
/// reply in several steps, and another client's reply may get in between.
fn between(text: &Bytes, nonce: &[u8]) -> Option<Bytes> {
    let end = text.len().checked_sub(nonce.len()).filter(|end| *end >= nonce.len())?;
    (text.starts_with(nonce) && text.ends_with(nonce)).then(|| text.slice(nonce.len()..end))
}

/// Returns the contents of `$<length>\r\n<contents>\r\n`, if the body is nothing else.
fn bulk_string(body: &Bytes) -> Option<Bytes> {
    let digits = body.strip_prefix(b"$")?;
    let end = digits.iter().position(|byte| *byte == b'\r')?;
    let length = length(&digits[..end])?;
    let start = 1 + end + 2;
    let is_whole = body.len() == start.checked_add(length)?.checked_add(2)?
        && &body[start - 2..start] == b"\r\n"
        && body.ends_with(b"\r\n");
    is_whole.then(|| body.slice(start..start + length))
}

/// Reads a length as Redis writes it.
pub(super) fn length(digits: &[u8]) -> Option<usize> {
    // `parse` would accept a sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identified(nonce: &Nonce, body: impl AsRef<[u8]>) -> ReplyOwner {
        identify(StatusCode::OK, &Bytes::copy_from_slice(body.as_ref()), nonce)
    }

    fn bulk(nonce: &Nonce, rest: &[u8]) -> Vec<u8> {
        let length = 2 * Nonce::LENGTH + rest.len();
        [format!("${length}\r\n").as_bytes(), nonce.as_bytes(), rest, nonce.as_bytes(), b"\r\n"].concat()
    }

    #[test]
    fn what_stands_between_our_nonces_is_ours() {
        let nonce = Nonce::new().unwrap();
        for rest in [&b""[..], b"{}", b"\0\xff\r\n", &vec![b'x'; 100_000]] {
            let expected = ReplyOwner::ThisCall(Bytes::copy_from_slice(rest));
            assert_eq!(identified(&nonce, bulk(&nonce, rest)), expected);
        }
    }

    #[test]
    fn another_nonce_is_never_ours_wherever_it_differs() {
        let nonce = Nonce::new().unwrap();
        for at in 0..Nonce::LENGTH {
            let mut body = bulk(&nonce, b"{}");
            body[5 + at] ^= 1;
            assert_eq!(identified(&nonce, body), ReplyOwner::OtherCall, "{at}");
        }
    }

    #[test]
    fn what_got_into_a_reply_makes_it_foreign() {
        let nonce = Nonce::new().unwrap();
        let whole = bulk(&nonce, &[b'x'; 1000]);
        let others = b"HTTP/1.1 200 OK\r\n\r\n$1\r\ny\r\n";
        // The length stays what was announced: as much of our own is missing at the end.
        for at in [5 + Nonce::LENGTH, 500, whole.len() - others.len() - 2] {
            let mut mixed = [&whole[..at], others, &whole[at..]].concat();
            mixed.truncate(whole.len() - 2);
            mixed.extend_from_slice(b"\r\n");
            assert_eq!(identified(&nonce, mixed), ReplyOwner::OtherCall, "{at}");
        }
        let once = format!("$32\r\n{}\r\n", std::str::from_utf8(nonce.as_bytes()).unwrap());
        assert_eq!(identified(&nonce, once), ReplyOwner::OtherCall, "one nonce is not two");
    }

    #[test]
    fn a_reply_that_is_not_whole_or_not_a_string_is_never_ours() {
        let nonce = Nonce::new().unwrap();
        let whole = bulk(&nonce, b"{}");
        for end in 0..whole.len() {
            assert_eq!(identified(&nonce, &whole[..end]), ReplyOwner::OtherCall, "{end}");
        }
        let longer = [whole.as_slice(), b"x"].concat();
        assert_eq!(identified(&nonce, longer), ReplyOwner::OtherCall);
        let text = std::str::from_utf8(nonce.as_bytes()).unwrap();
        let others = [
            text.to_owned(),
            format!("+{text}\r\n"),
            format!("$+32\r\n{text}\r\n"),
            format!("$-1\r\n{text}\r\n"),
            format!("$99999999999999999999999\r\n{text}\r\n"),
            format!("$18446744073709551615\r\n{text}\r\n"),
            format!("$32\rx{text}\r\n"),
            format!("$32\r\n{text}xx"),
            format!("*1\r\n$32\r\n{text}\r\n"),
            ":1\r\n".into(),
            "$-1\r\n".into(),
            String::new(),
        ];
        for other in others {
            assert_eq!(identified(&nonce, &other), ReplyOwner::OtherCall, "{other:?}");
        }
    }

    #[test]
    fn errors_are_told_by_status_or_code_even_with_our_nonce() {
        let nonce = Nonce::new().unwrap();
        let body = Bytes::from(bulk(&nonce, b"{}"));
        for status in [StatusCode::FORBIDDEN, StatusCode::CREATED, StatusCode::TEMPORARY_REDIRECT] {
            assert_eq!(identify(status, &body, &nonce), ReplyOwner::Unknown(Reason::Status(status)));
        }
        let error = identified(&nonce, "-NOSCRIPT No matching script\r\n");
        assert_eq!(error, ReplyOwner::Unknown(Reason::Redis(Code::of(b"NOSCRIPT"))));
    }
}
