//! Rules of browsers for cookies, checked when the layer is built.

use std::borrow::Cow;

use super::{CookieConfig, LONGEST_TOKEN, SameSite};
use crate::error::Error;

/// The most bytes that a browser keeps of one cookie, name and value together (RFC 6265bis section 5.7).
const LARGEST_COOKIE: usize = 4096;

/// The longest attribute value that a browser heeds, in bytes (RFC 6265bis section 5.6).
const LONGEST_ATTRIBUTE: usize = 1024;

/// The name prefixes to which browsers give a meaning (RFC 6265bis section 4.1.3), the longer ones first.
const PREFIXES: [&str; 4] = ["__Host-Http-", "__Host-", "__Secure-", "__Http-"];

impl CookieConfig {
    /// Refuses a cookie that browsers would drop silently.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::config(format!("the session cookie `{}` {what}", self.name)));
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            return refuse("has a name that is none; use letters, digits, `-` and `_`");
        }
        if self.name.len() + LONGEST_TOKEN > LARGEST_COOKIE {
            return refuse("has a name so long that browsers drop it");
        }
        let formers = || self.former.iter().map(|scope| (&scope.domain, &scope.path));
        for (domain, path) in formers().chain([(&self.domain, &self.path)]) {
            if !path.starts_with('/') || !is_attribute(path) {
                return refuse("needs a path that begins with `/` and holds no `;`");
            }
            if domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
                return refuse(
                    "needs the name of a domain, of two labels at least, such as `example.com`; for one host \
                     alone, as `localhost`, leave the domain out",
                );
            }
        }
        if !self.is_secure && self.same_site == SameSite::None {
            return refuse("is `SameSite=None`, which browsers take over secure connections only");
        }
        if !self.is_secure && self.is_partitioned {
            return refuse("is `Partitioned`, which browsers take over secure connections only");
        }
        let has_prefix = |prefix: &str| is_prefixed(&self.name, prefix);
        let is_for_host = has_prefix("__Host-");
        let is_for_http = has_prefix("__Http-") || has_prefix("__Host-Http-");
        if (is_for_host || is_for_http || has_prefix("__Secure-")) && !self.is_secure {
            return refuse("has a prefix that browsers take over secure connections only; name it otherwise");
        }
        let mut scopes = formers().chain([(&self.domain, &self.path)]);
        if is_for_host && scopes.any(|(domain, path)| domain.is_some() || path != "/") {
            return refuse(
                "begins with `__Host-`, so it has no domain and the path `/`; begin it with `__Secure-`",
            );
        }
        if is_for_http && !self.is_http_only {
            return refuse("has a prefix of cookies that scripts cannot read; name it otherwise");
        }
        Ok(())
    }

    /// Changes it to a cookie that browsers accept over plain HTTP: no prefix, no `Secure`, at most `Lax`.
    pub(in crate::layer) fn into_insecure(self) -> Self {
        let mut rest = &*self.name;
        let prefix_of = |name: &str| PREFIXES.into_iter().find(|prefix| is_prefixed(name, prefix));
        while let Some(prefix) = prefix_of(rest) {
            rest = &rest[prefix.len()..];
        }
        let name = match rest {
            "" => "sid".into(),
            rest => Cow::Owned(rest.to_owned()),
        };
        let same_site = if self.same_site == SameSite::None { SameSite::Lax } else { self.same_site };
        Self { name, same_site, is_secure: false, is_partitioned: false, ..self }
    }
}

/// Returns true if a text can be an attribute's value.
fn is_attribute(text: &str) -> bool {
    text.len() <= LONGEST_ATTRIBUTE && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

/// Returns true if browsers can accept it as a domain with hosts below it. An address is none, and a single label is a
/// public suffix (<https://publicsuffix.org/list/>, rule `*`).
fn is_domain(text: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| matches!(label.len(), 1..=63) && label.bytes().all(is_byte);
    let is_hexadecimal = |label: &str| label.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    // The browsers' rule for IPv4 addresses (WHATWG URL section 3.5, "ends in a number").
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit()) || is_hexadecimal(label);
    let Some((_, last)) = text.rsplit_once('.') else { return false };
    text.len() <= 253 && text.split('.').all(is_label) && !is_number(last)
}

/// Returns true if the name begins with this prefix, in any case: browsers compare it so.
fn is_prefixed(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Returns true for a byte of a token (RFC 9110 section 5.6.2), the syntax of a cookie's name.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
