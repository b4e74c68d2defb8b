//! Finding the session's token in a request.

use http::{HeaderMap, header::COOKIE};

use super::CookieConfig;
use crate::{slot::Presented, value::Token};

/// The cookies of the layer's name in a request.
#[derive(Debug, Default)]
pub(crate) struct RequestCookies {
    /// The first two distinct tokens.
    pub(crate) presented: Presented,
    /// True if there was more than one cookie of the name, tokens or not.
    pub(crate) is_repeated: bool,
}

impl CookieConfig {
    /// Returns the first two distinct tokens under exactly this name. `parse` decides which values are tokens.
    ///
    /// A header is split at every `;` and nowhere else (RFC 6265bis section 5.8.3). After that, one pair of quotes
    /// around a whole value is taken off (RFC 6265 section 4.1.1). So a quote hides no `;`, and a comma begins no
    /// cookie: text inside another cookie's value never becomes a cookie. `$Version` and `$Path` of RFC 2965 are
    /// ordinary names. All of it works on bytes, so that another cookie's invalid text does no harm.
    pub(crate) fn read(&self, headers: &HeaderMap, parse: impl Fn(&[u8]) -> Option<Token>) -> RequestCookies {
        let mut found = RequestCookies::default();
        let mut is_first = true;
        for header in headers.get_all(COOKIE) {
            for pair in header.as_bytes().split(|byte| *byte == b';') {
                let Some(value) = pair.trim_ascii().strip_prefix(self.name.as_bytes()) else { continue };
                let Some(value) = value.strip_prefix(b"=") else { continue };
                found.is_repeated |= !std::mem::take(&mut is_first);
                let Some(token) = parse(unquoted(value)) else { continue };
                match &mut found.presented {
                    [first @ None, _] => *first = Some(token),
                    [Some(first), second @ None] if !first.is_same(&token) => *second = Some(token),
                    [Some(_), None] => {}
                    [Some(_), Some(_)] => return found,
                }
            }
        }
        found
    }
}

/// Returns a value without the pair of quotes around it, if there is one.
fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}
