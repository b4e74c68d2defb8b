//! Judges whether an answer is the answer to a call.

use std::str;

use bytes::Bytes;
use http::StatusCode;

use super::{
    failure::{Code, Reason},
    nonce::Nonce,
};

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The one to this call: what stands between its nonces.
    Ours(Bytes),
    /// An error, of whichever call: errors carry no nonce.
    Error(Reason),
    /// One to another call. The one to this call is still to come.
    Foreign,
}

/// Judges a whole answer.
pub(super) fn judge(status: StatusCode, body: &Bytes, nonce: &Nonce) -> Verdict {
    if status != StatusCode::OK {
        return Verdict::Error(Reason::Status(status));
    }
    if let Some(error) = body.strip_prefix(b"-") {
        return Verdict::Error(Reason::Redis(Code::of(error)));
    }
    match bulk_string(body) {
        Some(text) => match between(&text, nonce.as_bytes()) {
            Some(answer) => Verdict::Ours(answer),
            None => Verdict::Foreign,
        },
        None => Verdict::Foreign,
    }
}

/// What stands between two nonces. Webdis 0.1.9 may write a large reply in several goes, between which
/// another client's can get, and then the end is not where it should be.
fn between(text: &Bytes, nonce: &[u8]) -> Option<Bytes> {
    let end = text.len().checked_sub(nonce.len()).filter(|end| *end >= nonce.len())?;
    (text.starts_with(nonce) && text.ends_with(nonce)).then(|| text.slice(nonce.len()..end))
}

/// The contents of `$<length>\r\n<contents>\r\n`, if that is all of it.
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

/// A length as Redis writes it.
pub(super) fn length(digits: &[u8]) -> Option<usize> {
    // `parse` takes a sign too.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(nonce: &Nonce, body: impl AsRef<[u8]>) -> Verdict {
        judge(StatusCode::OK, &Bytes::copy_from_slice(body.as_ref()), nonce)
    }

    fn bulk(nonce: &Nonce, rest: &[u8]) -> Vec<u8> {
        let length = 2 * Nonce::LENGTH + rest.len();
        [format!("${length}\r\n").as_bytes(), nonce.as_bytes(), rest, nonce.as_bytes(), b"\r\n"].concat()
    }

    #[test]
    fn what_stands_between_our_nonces_is_ours() {
        let nonce = Nonce::new().unwrap();
        for rest in [&b""[..], b"{}", b"\0\xff\r\n", &vec![b'x'; 100_000]] {
            let expected = Verdict::Ours(Bytes::copy_from_slice(rest));
            assert_eq!(judged(&nonce, bulk(&nonce, rest)), expected);
        }
    }

    #[test]
    fn another_nonce_is_never_ours_wherever_it_differs() {
        let nonce = Nonce::new().unwrap();
        for at in 0..Nonce::LENGTH {
            let mut body = bulk(&nonce, b"{}");
            body[5 + at] ^= 1;
            assert_eq!(judged(&nonce, body), Verdict::Foreign, "{at}");
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
            assert_eq!(judged(&nonce, mixed), Verdict::Foreign, "{at}");
        }
        let once = format!("$32\r\n{}\r\n", std::str::from_utf8(nonce.as_bytes()).unwrap());
        assert_eq!(judged(&nonce, once), Verdict::Foreign, "one nonce is not two");
    }

    #[test]
    fn a_reply_that_is_not_whole_or_not_a_string_is_never_ours() {
        let nonce = Nonce::new().unwrap();
        let whole = bulk(&nonce, b"{}");
        for end in 0..whole.len() {
            assert_eq!(judged(&nonce, &whole[..end]), Verdict::Foreign, "{end}");
        }
        let longer = [whole.as_slice(), b"x"].concat();
        assert_eq!(judged(&nonce, longer), Verdict::Foreign);
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
            assert_eq!(judged(&nonce, &other), Verdict::Foreign, "{other:?}");
        }
    }

    #[test]
    fn errors_are_told_by_status_or_code_even_with_our_nonce() {
        let nonce = Nonce::new().unwrap();
        let body = Bytes::from(bulk(&nonce, b"{}"));
        for status in [StatusCode::FORBIDDEN, StatusCode::CREATED, StatusCode::TEMPORARY_REDIRECT] {
            assert_eq!(judge(status, &body, &nonce), Verdict::Error(Reason::Status(status)));
        }
        let error = judged(&nonce, "-NOSCRIPT No matching script\r\n");
        assert_eq!(error, Verdict::Error(Reason::Redis(Code::of(b"NOSCRIPT"))));
    }
}
