//! The end and the name of each message.

/// A protocol, as far as a proxy understands it: to find the end of each message.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Protocol {
    /// Returns the length of the first message, request or reply, if it is complete.
    pub message: fn(&[u8]) -> Option<usize>,
    /// Returns the name of a request in [`Traffic::requests`](super::Traffic::requests).
    pub name: fn(&[u8]) -> String,
    /// Returns true if a request runs a script.
    pub runs_script: fn(&[u8]) -> bool,
}

impl Protocol {
    /// Redis' own, in its second and third version.
    pub const REDIS: Self = Self {
        message,
        name: |request| command(request).unwrap_or_default().to_owned(),
        runs_script: |request| command(request).is_some_and(|name| name.starts_with("EVAL")),
    };

    /// HTTP/1.1 as requests to Webdis use it: with lengths, and the command in the body. The first argument of the
    /// script is a nonce. The second is the operation, which becomes part of the name.
    pub const WEBDIS: Self = Self {
        message: http_message,
        name: |request| {
            let words = webdis_words(request);
            let word = |index: usize| words.get(index).copied().unwrap_or_default();
            format!("{}({})", word(0), word(5))
        },
        runs_script: |request| webdis_words(request).first().is_some_and(|name| name.starts_with("EVAL")),
    };
}

/// Returns the length of a request or reply with a `Content-Length`.
fn http_message(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let lines = std::str::from_utf8(&bytes[..head]).unwrap_or_default().lines();
    let mut headers = lines.filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0);
    (bytes.len() >= head + length).then_some(head + length)
}

/// Returns the words of a command in the body of a request, percent-encoded.
fn webdis_words(request: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(request).unwrap_or_default();
    text.split_once("\r\n\r\n").map_or_else(Vec::new, |(_, body)| body.split('/').collect())
}

/// Returns the length of a message by <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
fn message(bytes: &[u8]) -> Option<usize> {
    let (line, mut length) = line(bytes)?;
    let (kind, rest) = line.split_at_checked(1)?;
    let count = || rest.parse::<usize>().unwrap_or(0);
    match kind {
        // An absent one has the length -1, and nothing after it.
        "$" | "=" if rest != "-1" => length += count() + 2,
        "*" | "%" => {
            let items = if kind == "%" { 2 * count() } else { count() };
            for _ in 0..items {
                length += message(bytes.get(length..)?)?;
            }
        }
        _ => {}
    }
    (length <= bytes.len()).then_some(length)
}

/// Returns the first word of a command, which is an array of strings.
fn command(request: &[u8]) -> Option<&str> {
    let (_, array) = line(request)?;
    let (_, string) = line(&request[array..])?;
    line(&request[array + string..]).map(|(name, _)| name)
}

/// Returns the first line, and its length with CR and LF.
fn line(bytes: &[u8]) -> Option<(&str, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    // Only lengths, names and error messages are used, which are ASCII.
    Some((std::str::from_utf8(&bytes[..end]).unwrap_or("?"), end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_they_end() {
        let whole: [&[u8]; 11] = [
            b"+OK\r\n",
            b":12\r\n",
            b"-ERR no\r\n",
            b"$3\r\na\r\n\r\n",
            b"$-1\r\n",
            b"=5\r\ntxt:a\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"_\r\n",
            b"%1\r\n$1\r\na\r\n*1\r\n:1\r\n",
            b"*3\r\n*1\r\n$1\r\n\xff\r\n$-1\r\n:1\r\n",
        ];
        for bytes in whole {
            for end in 0..bytes.len() {
                assert_eq!(message(&bytes[..end]), None, "{:?}", bytes[..end].escape_ascii().to_string());
            }
            assert_eq!(message(&[bytes, b"$4"].concat()), Some(bytes.len()));
        }
    }

    #[test]
    fn requests_have_names() {
        let request = b"*2\r\n$4\r\nEVAL\r\n$1\r\n1\r\n";
        assert_eq!((Protocol::REDIS.name)(request), "EVAL");
        assert!((Protocol::REDIS.runs_script)(request));
        assert!(!(Protocol::REDIS.runs_script)(b"*1\r\n$4\r\nTIME\r\n"));
    }

    #[test]
    fn requests_to_webdis_have_ends_and_names() {
        let request: &[u8] =
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 34\r\n\r\nEVALSHA/sha/1/key/nonce/load/x.raw";
        for end in 0..request.len() {
            assert_eq!((Protocol::WEBDIS.message)(&request[..end]), None, "{end}");
        }
        assert_eq!((Protocol::WEBDIS.message)(&[request, b"POST"].concat()), Some(request.len()));
        assert_eq!((Protocol::WEBDIS.name)(request), "EVALSHA(load)");
        assert!((Protocol::WEBDIS.runs_script)(request));
        assert_eq!((Protocol::WEBDIS.message)(b"HTTP/1.1 403 Forbidden\r\n\r\n"), Some(26));
    }
}
