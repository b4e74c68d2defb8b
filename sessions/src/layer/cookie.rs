//! The cookie: read strictly, written with every protection that browsers offer.

use std::{borrow::Cow, time::Duration};

use cookie::Cookie;
use http::{HeaderMap, HeaderValue, header::COOKIE};

use crate::{error::Error, slot::Presented, value::Token};

/// What a browser keeps of one cookie, name and value together, in bytes (RFC 6265bis section 5.7).
const LARGEST_COOKIE: usize = 4096;

/// The longest token's text: that of a signed one, so that a name which is good stays good when tokens are signed.
pub(super) const LONGEST_TOKEN: usize = 92;

const _: () = assert!(Token::TEXT_LENGTH <= LONGEST_TOKEN);

/// The longest attribute value that a browser heeds, in bytes (RFC 6265bis section 5.6).
const LONGEST_ATTRIBUTE: usize = 1024;

/// The name and attributes of a layer's cookie: by default
/// `__Host-sid=…; HttpOnly; SameSite=Lax; Secure; Path=/`.
///
/// The `__Host-` prefix makes browsers accept it from this very host over a secure connection only,
/// with the path `/` and no domain (RFC 6265bis section 4.1.3.2), so no sibling domain can plant
/// one. HTTP on `localhost` is such a connection for Chromium and Firefox.
///
/// What cannot work is an error when it is given to
/// [`SessionLayer::with_cookie`](crate::SessionLayer::with_cookie).
///
/// ```
/// use sessions::{CookieConfig, SameSite, SessionLayer, store::MemoryStore};
///
/// # fn layer() -> Result<(), sessions::Error> {
/// let cookie = CookieConfig::new("__Secure-shop").with_domain("example.com").with_same_site(SameSite::Strict);
/// let layer = SessionLayer::new(MemoryStore::new()).with_cookie(cookie)?;
/// # let _ = layer;
/// # Ok(())
/// # }
/// # layer().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieConfig {
    name: Cow<'static, str>,
    path: Cow<'static, str>,
    domain: Option<Cow<'static, str>>,
    same_site: SameSite,
    is_secure: bool,
    is_http_only: bool,
    is_partitioned: bool,
}

/// With which requests of other sites a browser sends the cookie (RFC 6265bis section 5.6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// With none: a link from another site leads to a page without a session.
    Strict,
    /// With links to this site, not with forms and frames.
    #[default]
    Lax,
    /// With all. Needs protection against forged requests of another kind.
    None,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new("__Host-sid")
    }
}

impl CookieConfig {
    /// A cookie of this name, with the attributes that protect it best.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            path: "/".into(),
            domain: None,
            same_site: SameSite::Lax,
            is_secure: true,
            is_http_only: true,
            is_partitioned: false,
        }
    }

    /// Has the cookie sent with requests of this path and what is below it only. It keeps nobody out:
    /// pages of other paths can read each other's.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Has the cookie sent to all hosts of this domain too. Each of them can then plant one, so the
    /// name must not begin with `__Host-`.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Says with which requests of other sites the cookie is sent: `Lax` by default.
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Has browsers keep a jar of its own for each site that embeds this one (`Partitioned`).
    #[must_use]
    pub fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.is_partitioned = partitioned;
        self
    }

    /// Has the cookie sent over plain HTTP too, where everybody on the way can read and change it.
    #[must_use]
    pub fn insecure_over_http(mut self) -> Self {
        self.is_secure = false;
        self
    }

    /// Lets scripts of the page read the cookie, those that somebody has smuggled in among them.
    #[must_use]
    pub fn insecure_readable_by_scripts(mut self) -> Self {
        self.is_http_only = false;
        self
    }

    /// The same, as far as browsers take it over plain HTTP.
    pub(super) fn into_insecure(self) -> Self {
        // The longer ones first.
        let prefixes = ["__Host-Http-", "__Host-", "__Secure-", "__Http-"];
        let has = |prefix: &&str| is_prefixed(&self.name, prefix);
        let rest = prefixes.into_iter().find(has).map_or(0, str::len);
        let name = match &self.name[rest..] {
            "" => "sid".into(),
            rest => Cow::Owned(rest.to_owned()),
        };
        let same_site = if self.same_site == SameSite::None { SameSite::Lax } else { self.same_site };
        Self { name, same_site, is_secure: false, is_partitioned: false, ..self }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Cow<'static, str> {
        self.name.clone()
    }

    /// Refuses what browsers would refuse, without a word, later.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::config(format!("the session cookie `{}` {what}", self.name)));
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            return refuse("has a name that is none; use letters, digits, `-` and `_`");
        }
        if self.name.len() + LONGEST_TOKEN > LARGEST_COOKIE {
            return refuse("has a name so long that browsers drop it");
        }
        let is_attribute = |text: &str| {
            text.len() <= LONGEST_ATTRIBUTE
                && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
        };
        if !self.path.starts_with('/') || !is_attribute(&self.path) {
            return refuse("needs a path that begins with `/` and holds no `;`");
        }
        if let Some(domain) = &self.domain {
            let labels = || domain.split('.');
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            };
            if !labels().all(is_label) || labels().next_back().is_some_and(|last| last.parse::<u8>().is_ok())
            {
                return refuse("needs the name of a domain, such as `example.com`");
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
        if is_for_host && (self.domain.is_some() || self.path != "/") {
            return refuse(
                "begins with `__Host-`, so it has no domain and the path `/`; begin it with `__Secure-`",
            );
        }
        if is_for_http && !self.is_http_only {
            return refuse("has a prefix of cookies that scripts cannot read; name it otherwise");
        }
        Ok(())
    }

    /// The first two distinct tokens under exactly this name, of the values that `parse` finds to be tokens.
    ///
    /// Works on bytes and on each pair alone, so that nothing another cookie holds gets in the way.
    pub(crate) fn read(&self, headers: &HeaderMap, parse: impl Fn(&[u8]) -> Option<Token>) -> Presented {
        let mut presented = Presented::default();
        for header in headers.get_all(COOKIE) {
            for pair in header.as_bytes().split(|byte| *byte == b';') {
                let Some(value) = pair.trim_ascii().strip_prefix(self.name.as_bytes()) else { continue };
                let Some(value) = value.strip_prefix(b"=") else { continue };
                let Some(token) = parse(value) else { continue };
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
    pub(crate) fn set(&self, token: String, max_age: Option<Duration>) -> Option<HeaderValue> {
        let seconds = max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.header(token, seconds)
    }

    /// The `Set-Cookie` value that takes it away: the same attributes, an age of nothing.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header(String::new(), Some(0))
    }

    fn header(&self, value: String, max_age: Option<i64>) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((&*self.name, value))
            .path(&*self.path)
            .secure(self.is_secure)
            .http_only(self.is_http_only)
            .same_site(match self.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .partitioned(self.is_partitioned);
        if let Some(seconds) = max_age {
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(&**domain);
        }
        let mut value = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Whether a browser sees this prefix in the name, which it looks for without regard to case.
fn is_prefixed(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A byte of a token (RFC 9110 section 5.6.2), which the name of a cookie is.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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
        let presented = CookieConfig::default().read(&headers, Token::parse);
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
        let attributes = |value: HeaderValue| {
            let text = value.to_str().unwrap().to_owned();
            text.split("; ").skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let shop = CookieConfig::new("shop").with_domain("example.com").with_path("/a");
        let embedded = CookieConfig::default().with_same_site(SameSite::None).with_partitioned(true);
        let open = CookieConfig::new("sid").insecure_over_http().insecure_readable_by_scripts();
        for (config, kept) in [
            (CookieConfig::default(), &["HttpOnly", "SameSite=Lax", "Secure", "Path=/"][..]),
            (shop, &["HttpOnly", "SameSite=Lax", "Secure", "Path=/a", "Domain=example.com"]),
            (embedded, &["HttpOnly", "SameSite=None", "Partitioned", "Secure", "Path=/"]),
            (open, &["SameSite=Lax", "Path=/"]),
        ] {
            config.check().unwrap();
            let set = attributes(config.set(token(1).expose(), Some(Duration::from_mins(1))).unwrap());
            assert_eq!(set, [kept, &["Max-Age=60"]].concat());
            assert_eq!(attributes(config.remove().unwrap()), [kept, &["Max-Age=0"]].concat());
        }
    }

    #[test]
    fn what_browsers_refuse_is_refused() {
        let host = CookieConfig::default;
        let cases = [
            (CookieConfig::new(""), "name that is none"),
            (CookieConfig::new("a b"), "name that is none"),
            (CookieConfig::new("a;b"), "name that is none"),
            (CookieConfig::new("a=b"), "name that is none"),
            (CookieConfig::new("é"), "name that is none"),
            (CookieConfig::new("x".repeat(4096 - 91)), "so long"),
            (host().with_path("/app"), "begins with `__Host-`"),
            (host().with_domain("example.com"), "begins with `__Host-`"),
            (host().insecure_over_http(), "has a prefix"),
            (CookieConfig::new("__hOST-sid").with_path("/a"), "begins with `__Host-`"),
            (CookieConfig::new("__Secure-sid").insecure_over_http(), "has a prefix"),
            (CookieConfig::new("__Http-sid").insecure_readable_by_scripts(), "scripts cannot read"),
            (CookieConfig::new("__Host-Http-sid").insecure_readable_by_scripts(), "scripts cannot read"),
            (CookieConfig::new("sid").insecure_over_http().with_same_site(SameSite::None), "SameSite=None"),
            (CookieConfig::new("sid").insecure_over_http().with_partitioned(true), "Partitioned"),
            (CookieConfig::new("sid").with_path("app"), "path"),
            (CookieConfig::new("sid").with_path("/; HttpOnly"), "path"),
            (CookieConfig::new("sid").with_path("/\r\nx: y"), "path"),
            (CookieConfig::new("sid").with_path(format!("/{}", "x".repeat(1024))), "path"),
            (CookieConfig::new("sid").with_domain(".example.com"), "domain"),
            (CookieConfig::new("sid").with_domain("example.com; Path=/x"), "domain"),
            (CookieConfig::new("sid").with_domain("127.0.0.1"), "domain"),
            (CookieConfig::new("sid").with_domain(""), "domain"),
        ];
        for (config, why) in cases {
            let error = config.check().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Config);
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
        for (config, name) in [
            (host(), "sid"),
            (CookieConfig::new("__SECURE-shop").with_domain("example.com"), "shop"),
            (CookieConfig::new("__Host-Http-a").with_same_site(SameSite::None), "a"),
            (CookieConfig::new("__Host-").with_partitioned(true), "sid"),
        ] {
            let insecure = config.into_insecure();
            insecure.check().unwrap();
            assert_eq!(insecure.name(), name);
        }
        for good in [
            CookieConfig::new("x".repeat(4096 - 92)),
            CookieConfig::new("__Secure-sid").with_domain("example.com").with_path("/app"),
            CookieConfig::new("sid").insecure_over_http(),
            CookieConfig::new("__Host-Http-sid"),
            host().with_same_site(SameSite::Strict),
        ] {
            good.check().unwrap();
        }
    }
}
