//! Any answer of Webdis: only what stands between the nonces of the call is taken for its answer; requests decode
//! to their words.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sessions::fuzzing::webdis;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    status: Option<u16>,
    pieces: Vec<Piece<'a>>,
    /// Between nonces, and announced by its length.
    answer: &'a [u8],
    words: Vec<&'a [u8]>,
}

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Length(u16),
    Nonce,
    LineEnd,
}

fn check_pieces(input: &Input<'_>, status: u16) {
    let mut written = Vec::new();
    let mut own = Vec::new();
    let answer = webdis::verified(status, |nonce| {
        own = nonce.to_vec();
        for piece in &input.pieces {
            match piece {
                Piece::Bytes(bytes) => written.extend_from_slice(bytes),
                Piece::Length(length) => written.extend_from_slice(format!("${length}").as_bytes()),
                Piece::Nonce => written.extend_from_slice(nonce),
                Piece::LineEnd => written.extend_from_slice(b"\r\n"),
            }
        }
        written.clone()
    });
    if let Some(answer) = answer {
        assert_eq!(status, 200);
        let tail = [b"\r\n", &own[..], &answer, &own, b"\r\n"].concat();
        let head = written.strip_suffix(&tail[..]).expect("the answer stands between nonces");
        let length = head.strip_prefix(b"$").expect("a string's length");
        let length: usize = std::str::from_utf8(length).expect("digits").parse().expect("digits");
        assert_eq!(length, 2 * own.len() + answer.len());
    }
}

fn check_answer(input: &Input<'_>, status: u16) {
    let body = |nonce: &[u8]| {
        let length = 2 * nonce.len() + input.answer.len();
        [format!("${length}\r\n").as_bytes(), nonce, input.answer, nonce, b"\r\n"].concat()
    };
    assert_eq!(webdis::verified(status, body).as_deref(), (status == 200).then_some(input.answer));
    if let Some(items) = webdis::items(status, body) {
        // Each byte of the answer belongs to one item or its length.
        let least: usize = items.iter().map(|item| item.as_ref().map_or(1, |bytes| 2 + bytes.len())).sum();
        assert!(least <= input.answer.len());
    }
    let mut answer = Vec::new();
    let items: Vec<_> = input.words.iter().map(|word| (!word.starts_with(b"-")).then_some(*word)).collect();
    for item in &items {
        match item {
            Some(bytes) => answer.extend([format!("{}:", bytes.len()).as_bytes(), bytes].concat()),
            None => answer.push(b'-'),
        }
    }
    let read = webdis::items(200, |nonce| {
        let length = 2 * nonce.len() + answer.len();
        [format!("${length}\r\n").as_bytes(), nonce, &answer, nonce, b"\r\n"].concat()
    });
    let read = read.expect("items");
    assert!(read.iter().map(Option::as_deref).eq(items.iter().copied()));
}

fn check_request(words: &[&[u8]]) {
    let words = [&[b"EVAL".as_slice()], words].concat();
    let body = webdis::request(&words).expect("a small one");
    let body = body.strip_suffix(b".raw").expect("the suffix");
    assert!(body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/%".contains(byte)));
    let decoded: Vec<_> = body.split(|byte| *byte == b'/').map(decode).collect();
    assert_eq!(decoded, words);
}

fn decode(mut word: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    while let Some((first, rest)) = word.split_first() {
        word = rest;
        if *first == b'%' {
            let digits = std::str::from_utf8(&word[..2]).expect("digits");
            decoded.push(u8::from_str_radix(digits, 16).expect("digits"));
            word = &word[2..];
        } else {
            decoded.push(*first);
        }
    }
    decoded
}

fuzz_target!(|input: Input<'_>| {
    let status = 100 + input.status.unwrap_or(100) % 900;
    check_pieces(&input, status);
    check_answer(&input, status);
    check_request(&input.words);
});
