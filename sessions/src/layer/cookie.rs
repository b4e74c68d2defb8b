//! The cookie: read strictly, written with every protection that browsers offer.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::{slot::Presented, value::Token};

/// The name and attributes of a layer's cookie.
///
/// The `__Host-` prefix makes browsers accept it from this very host over HTTPS only, with the path
/// `/` and no domain (RFC 6265bis section 4.1.3.2), so no sibling domain can plant one.
#[derive(Clone, Debug)]
pub(crate) struct CookieConfig {
    name: &'static str,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self { name: "__Host-sid" }
    }
}

impl CookieConfig {
    pub(crate) const fn name(&self) -> &str {
        self.name
    }

    /// The first two distinct well-formed tokens under exactly this name.
    ///
    /// Works on bytes and on each pair alone, so that nothing another cookie holds gets in the way.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Presented {
        let mut presented = Presented::default();
        for header in headers.get_all(COOKIE) {
            for pair in header.as_bytes().split(|byte| *byte == b';') {
                let Some(value) = pair.trim_ascii().strip_prefix(self.name.as_bytes()) else { continue };
                let Some(value) = value.strip_prefix(b"=") else { continue };
                let Some(token) = Token::parse(value) else { continue };
                match &presented {
                    [None, _] => presented[0] = Some(token),
                    [Some(first), None] if !first.is_same(&token) => presented[1] = Some(token),
                    [Some(_), None] => {}
                    [Some(_), Some(_)] => return presented,
                }
            }
        }
        presented
    }

    /// The `Set-Cookie` value that gives the browser a token for so long.
    pub(crate) fn set(&self, token: &Token, max_age: Duration) -> Option<HeaderValue> {
        let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        self.header(token.expose(), seconds)
    }

    /// The `Set-Cookie` value that takes it away: the same attributes, an age of nothing.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header(String::new(), 0)
    }

    fn header(&self, value: String, max_age: i64) -> Option<HeaderValue> {
        let cookie = Cookie::build((self.name, value))
            .path("/")
            .secure(true)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::seconds(max_age))
            .build();
        let mut value = HeaderValue::try_from(cookie.to_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{RecordId, Secret};

    fn token(byte: u8) -> Token {
        Token::new(RecordId::from_bytes([byte; 16]), Secret::from_bytes([byte; 32]))
    }

    fn read(lines: &[&[u8]]) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        let presented = CookieConfig::default().read(&headers);
        presented.into_iter().flatten().map(|token| token.id().as_bytes()[0]).collect()
    }

    #[test]
    fn the_token_is_found_among_anything() {
        let line = format!("a=1; __Host-sid={};b=\"2\"", token(7).expose());
        assert_eq!(read(&[line.as_bytes()]), [7]);
        let line = [b"name=\xff\xfe; __Host-sid=".as_slice(), token(7).expose().as_bytes()].concat();
        assert_eq!(read(&[b"x=%zz", &line]), [7]);
    }

    #[test]
    fn other_names_are_other_cookies() {
        for name in ["sid", "__host-sid", "__Host-sid2", "x__Host-sid", "__Host-sid "] {
            assert!(read(&[format!("{name}={}", token(7).expose()).as_bytes()]).is_empty(), "{name}");
        }
    }

    #[test]
    fn the_first_two_distinct_tokens_count() {
        let pair = |byte| format!("__Host-sid={}", token(byte).expose());
        let line = [pair(1), "__Host-sid=garbage".into(), pair(1), pair(2), pair(3)].join("; ");
        assert_eq!(read(&[line.as_bytes()]), [1, 2]);
    }

    #[test]
    fn removal_mirrors_the_attributes() {
        let config = CookieConfig::default();
        let set = config.set(&token(1), Duration::from_mins(1)).unwrap();
        let remove = config.remove().unwrap();
        let attributes = |value: &HeaderValue| {
            let text = value.to_str().unwrap().to_owned();
            text.split("; ").skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(attributes(&set), ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=60"]);
        assert_eq!(attributes(&remove), ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=0"]);
    }
}
