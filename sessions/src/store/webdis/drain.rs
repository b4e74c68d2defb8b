//! Reads from a connection whose reply is still to come, and discards what comes.
//!
//! If such a connection were closed at once, the client that gets its file descriptor in Webdis would get the reply.

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use super::{endpoint::WebdisStream, nonce::Nonce, reply};

/// The most bytes before the nonce in its reply: `$`, up to twenty digits, CR, LF.
const LONGEST_HEAD: usize = 23;

/// The socket of a connection after its last exchange.
pub(super) struct Remains {
    pub(super) stream: Box<dyn WebdisStream>,
    /// The bytes that were read from it and belong to no exchange.
    pub(super) unread: Bytes,
}

/// Reads until the reply with this nonce has ended, or the connection has.
pub(super) async fn drain(mut remains: Remains, nonce: &Nonce) {
    let mut search = Search::new(nonce);
    search.feed(&remains.unread);
    let mut buffer = vec![0; 16 * 1024];
    while !search.is_over() {
        match remains.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => search.feed(&buffer[..read]),
        }
    }
}

/// A search for the end of one reply in a stream of several. It does not parse the others.
struct Search<'a> {
    nonce: &'a Nonce,
    /// The last bytes that were fed, in which a reply could begin.
    tail: Vec<u8>,
    /// The number of bytes of the reply that are missing, once it was found. It must be read whole: Webdis closes a
    /// file descriptor twice when it cannot write all of a reply, and by the second time it may be another client's.
    missing: Option<usize>,
}

impl<'a> Search<'a> {
    const fn new(nonce: &'a Nonce) -> Self {
        Self { nonce, tail: Vec::new(), missing: None }
    }

    const fn is_over(&self) -> bool {
        matches!(self.missing, Some(0))
    }

    fn feed(&mut self, bytes: &[u8]) {
        if let Some(missing) = &mut self.missing {
            *missing = missing.saturating_sub(bytes.len());
            return;
        }
        self.tail.extend_from_slice(bytes);
        let nonce = self.nonce.as_bytes();
        if let Some(at) = self.tail.windows(nonce.len()).position(|window| window == nonce) {
            let read = self.tail.len() - at;
            self.missing = Some(match stated_length(&self.tail[..at]) {
                Some(length) => length.saturating_add(b"\r\n".len()).saturating_sub(read),
                // The nonce is in another kind of text, whose end is unknown.
                None => 0,
            });
        }
        let kept = self.tail.len().min(LONGEST_HEAD + Nonce::LENGTH - 1);
        self.tail.drain(..self.tail.len() - kept);
    }
}

/// Returns the length in the `$<length>\r\n` at the end of these bytes.
fn stated_length(before: &[u8]) -> Option<usize> {
    let before = before.strip_suffix(b"\r\n")?;
    let dollar = before.iter().rposition(|byte| *byte == b'$')?;
    reply::length(&before[dollar + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of bytes that are read before the search is over, in pieces of this size.
    fn read(stream: &[u8], nonce: &Nonce, piece: usize) -> Option<usize> {
        let mut search = Search::new(nonce);
        let mut read = 0;
        for bytes in stream.chunks(piece) {
            search.feed(bytes);
            read += bytes.len();
            if search.is_over() {
                return Some(read);
            }
        }
        None
    }

    #[test]
    fn the_whole_reply_is_read_however_it_is_cut() {
        let nonce = Nonce::new().unwrap();
        let other = Nonce::new().unwrap();
        let reply = |nonce: &Nonce, rest: &str| {
            let length = Nonce::LENGTH + rest.len();
            let text = std::str::from_utf8(nonce.as_bytes()).unwrap();
            format!("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n${length}\r\n{text}{rest}\r\n")
        };
        for rest in ["", "{}", &"x".repeat(1000), "$5\r\n"] {
            let others = reply(&other, &"y".repeat(300)) + &reply(&other, "");
            let stream = others + &reply(&nonce, rest);
            for piece in 1..100 {
                let end = stream.len().next_multiple_of(piece).min(stream.len());
                assert_eq!(read(stream.as_bytes(), &nonce, piece), Some(end), "{rest:?} {piece}");
            }
            assert_eq!(read(&stream.as_bytes()[..stream.len() - 1], &nonce, 7), None);
        }
    }

    #[test]
    fn other_replies_never_end_the_search() {
        let nonce = Nonce::new().unwrap();
        let stream: Vec<u8> = (0..200).flat_map(|_| Nonce::new().unwrap().as_bytes().to_vec()).collect();
        assert_eq!(read(&stream, &nonce, 13), None);
    }

    #[test]
    fn a_nonce_outside_of_a_reply_ends_the_search_at_once() {
        let nonce = Nonce::new().unwrap();
        let stream = [b"-ERR ", nonce.as_bytes(), b" and more"].concat();
        assert!(read(&stream, &nonce, 1).is_some());
    }
}
