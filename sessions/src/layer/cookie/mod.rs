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
    /// The earlier domains and paths.
    former: Vec<Place>,
}

/// The attributes by which browsers tell cookies of one name apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    domain: Option<Cow<'static, str>>,
    path: Cow<'static, str>,
    is_partitioned: bool,
}

/// What a request's headers have under the cookie's name.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) presented: Presented,
    /// There was more than one cookie of the name, tokens or not.
    pub(crate) is_repeated: bool,
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
            former: Vec::new(),
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
    ///
    /// A domain has at least two labels, as `example.com` does. For one host alone, set no domain. Browsers accept no
    /// cookie for a *public suffix* such as `co.uk` or `github.io`, under which all the world may have hosts. The
    /// list changes from week to week (<https://publicsuffix.org>), so the library does not check it. Names in
    /// other scripts are written as in DNS (`xn--…`).
    ///
    /// A cookie without a domain, from before a deploy that added one, counts as
    /// [former](Self::with_former) automatically.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<Cow<'static, str>>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Names a domain (`None` for the host alone) and a path that the cookie had in an earlier deploy. Call it once
    /// for each earlier place.
    ///
    /// For a browser, the same name with another domain or path is another cookie, and it sends both. If a
    /// request brings more than one of this name, a response that sets or removes the session's cookie also removes
    /// the former ones. Without this option, two live tokens come with each request until the older one ends, and
    /// neither is used ([`Event::TwoLiveTokens`](crate::Event::TwoLiveTokens)).
    ///
    /// ```
    /// use sessions::CookieConfig;
    ///
    /// // Was for `shop.example.com` and below, and for the path `/shop`.
    /// let cookie = CookieConfig::new("__Secure-shop")
    ///     .with_domain("example.com")
    ///     .with_former(Some("shop.example.com"), "/")
    ///     .with_former(None, "/shop");
    /// # let _ = cookie;
    /// ```
    #[must_use]
    pub fn with_former(mut self, domain: Option<&str>, path: &str) -> Self {
        let domain = domain.map(|domain| Cow::Owned(domain.to_owned()));
        let path = Cow::Owned(path.to_owned());
        self.former.push(Place { domain, path, is_partitioned: false });
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

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// Whether browsers send it over secure connections only.
    pub(super) const fn is_secure(&self) -> bool {
        self.is_secure
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
        let formers = || self.former.iter().map(|place| (&place.domain, &place.path));
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
        let mut places = formers().chain([(&self.domain, &self.path)]);
        if is_for_host && places.any(|(domain, path)| domain.is_some() || path != "/") {
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
    /// Works on bytes and on each pair alone, so that nothing another cookie holds gets in the way: a header is
    /// split at every `;` and nowhere else (RFC 6265bis section 5.8.3), and only then is one pair of quotes taken
    /// off a whole value (RFC 6265 section 4.1.1). So quotes hide no `;`, and a comma begins no cookie: what
    /// is smuggled into another cookie's value stays there. `$Version` and `$Path` of RFC 2965 are names
    /// like others.
    pub(crate) fn read(&self, headers: &HeaderMap, parse: impl Fn(&[u8]) -> Option<Token>) -> Found {
        let mut found = Found::default();
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

    /// The `Set-Cookie` value that gives the browser a token for so long.
    pub(crate) fn set(&self, token: String, max_age: Option<Duration>) -> Option<HeaderValue> {
        let seconds = max_age.map(|age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.header(&self.place(), token, seconds)
    }

    /// The `Set-Cookie` value that takes it away: the same attributes, an age of nothing.
    pub(crate) fn remove(&self) -> Option<HeaderValue> {
        self.header(&self.place(), String::new(), Some(0))
    }

    /// The `Set-Cookie` values that take away what earlier settings left in the browser, and not what these do.
    ///
    /// A browser that knows no `Partitioned` takes the last of them for this very cookie, so they come before its
    /// own.
    pub(crate) fn remove_former(&self) -> Vec<HeaderValue> {
        let present = self.place();
        let host_only = self.domain.is_some().then(|| Place { domain: None, ..present.clone() });
        let places = self.former.iter().cloned().chain(host_only).chain([present.clone()]);
        // Where the cookie is partitioned now, it may not have been before.
        let variants = &[false, true][..=usize::from(self.is_partitioned)];
        let former = places.flat_map(|place| {
            variants
                .iter()
                .map(move |is_partitioned| Place { is_partitioned: *is_partitioned, ..place.clone() })
        });
        let former = former.filter(|place| !place.is_same(&present));
        former.filter_map(|place| self.header(&place, String::new(), Some(0))).collect()
    }

    fn place(&self) -> Place {
        let Self { domain, path, is_partitioned, .. } = self;
        Place { domain: domain.clone(), path: path.clone(), is_partitioned: *is_partitioned }
    }

    fn header(&self, place: &Place, value: String, max_age: Option<i64>) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((&*self.name, value))
            .path(&*place.path)
            .secure(self.is_secure)
            .http_only(self.is_http_only)
            .same_site(match self.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .partitioned(place.is_partitioned);
        if let Some(seconds) = max_age {
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        if let Some(domain) = &place.domain {
            cookie = cookie.domain(&**domain);
        }
        let mut value = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Place {
    fn is_same(&self, other: &Self) -> bool {
        let is_same_domain = match (&self.domain, &other.domain) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (None, None) => true,
            _ => false,
        };
        is_same_domain && self.path == other.path && self.is_partitioned == other.is_partitioned
    }
}

/// Prefixes that browsers heed (RFC 6265bis section 4.1.3), the longer ones first.
const PREFIXES: [&str; 4] = ["__Host-Http-", "__Host-", "__Secure-", "__Http-"];

/// A value without the one pair of quotes that may be around it.
fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// Whether a text can be an attribute's value.
fn is_attribute(text: &str) -> bool {
    text.len() <= LONGEST_ATTRIBUTE && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b';')
}

/// Whether browsers can take it for a domain that hosts are below: neither an address nor a single label, which is
/// a public suffix by itself (<https://publicsuffix.org/list/>, rule `*`).
fn is_domain(text: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| matches!(label.len(), 1..=63) && label.bytes().all(is_byte);
    let is_hexadecimal = |label: &str| label.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    // As browsers tell addresses of IPv4 (WHATWG URL section 3.5, "ends in a number").
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit()) || is_hexadecimal(label);
    let Some((_, last)) = text.rsplit_once('.') else { return false };
    text.len() <= 253 && text.split('.').all(is_label) && !is_number(last)
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
        let found = CookieConfig::default().read(&headers, Token::parse);
        found.presented.into_iter().flatten().map(|token| token.id().as_bytes()[0]).collect()
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

    /// As clients of RFC 2109 and some libraries send it.
    #[test]
    fn one_pair_of_quotes_around_a_whole_value_is_taken_off() {
        let token = token(7).expose();
        let quoted = [
            format!("$Version=1; __Host-sid=\"{token}\"; $Path=\"/\""),
            format!("__Host-sid=\"{token}\""),
            format!("a=\"x; __Host-sid=\"{token}\"; b=y\""),
        ];
        for line in quoted {
            assert_eq!(read(&[line.as_bytes()]), [7], "{line}");
        }
        let others = [
            format!("__Host-sid=\"\"{token}\"\""),
            format!("__Host-sid=\"{token}"),
            format!("__Host-sid={token}\""),
            format!("__Host-sid='{token}'"),
            format!("__Host-sid=\" {token} \""),
            format!("\"__Host-sid\"={token}"),
            format!("\"__Host-sid={token}\""),
            "__Host-sid=\"".to_owned(),
            "__Host-sid=\"\"".to_owned(),
            "__Host-sid=".to_owned(),
        ];
        for line in others {
            assert!(read(&[line.as_bytes()]).is_empty(), "{line}");
        }
    }

    /// Some servers read on to the closing quote: there, a cookie's value hides others or gives itself out for one.
    #[test]
    fn quotes_hide_no_semicolon() {
        let token = token(7).expose();
        let line = format!("theme=\"dark; __Host-sid={token}; lang=en\"");
        assert_eq!(read(&[line.as_bytes()]), [7], "what browsers send as a cookie of its own is one");
        for line in [
            format!("theme=\"__Host-sid={token}\""),
            format!("theme=dark __Host-sid={token}"),
            format!("theme=\\\"; x__Host-sid={token}"),
            format!("theme=__Host-sid={token}"),
            format!("=__Host-sid={token}"),
        ] {
            assert!(read(&[line.as_bytes()]).is_empty(), "{line}");
        }
    }

    /// RFC 2965 let a comma part cookies: `__Host-` would guard nothing, since any cookie's value may have one.
    #[test]
    fn a_comma_begins_no_cookie() {
        let token = token(7).expose();
        for line in [
            format!("theme=dark, __Host-sid={token}"),
            format!("theme=dark,__Host-sid={token}"),
            format!("$Version=1, __Host-sid=\"{token}\""),
            format!("__Host-sid={token}, theme=dark"),
        ] {
            assert!(read(&[line.as_bytes()]).is_empty(), "{line}");
        }
    }

    #[test]
    fn version_and_path_are_names_like_others() {
        let mut headers = HeaderMap::new();
        let line = format!("$Version={}; $Path=/", token(7).expose());
        headers.append(COOKIE, HeaderValue::from_str(&line).unwrap());
        for name in ["$Version", "__Host-sid"] {
            let found = CookieConfig::new(name).read(&headers, Token::parse);
            assert_eq!(found.presented[0].is_some(), name == "$Version");
        }
    }

    #[test]
    fn cookies_of_the_name_are_counted_tokens_or_not() {
        let cookie = format!("__Host-sid={}", token(7).expose());
        for (line, is_repeated) in [
            (cookie.clone(), false),
            (format!("{cookie}; sid=1; __host-sid=2"), false),
            (format!("{cookie}; {cookie}"), true),
            (format!("__Host-sid=; {cookie}"), true),
            (format!("{cookie}; __Host-sid=unsigned"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_str(&line).unwrap());
            let found = CookieConfig::default().read(&headers, Token::parse);
            assert_eq!(found.is_repeated, is_repeated, "{line}");
        }
    }

    /// A former one is removed at its own place, and never the present one.
    #[test]
    fn former_cookies_are_removed_where_they_were() {
        let places = |config: &CookieConfig| {
            config.check().unwrap();
            let places = config.remove_former().into_iter().map(|value| {
                let text = value.to_str().unwrap().to_owned();
                assert!(value.is_sensitive() && text.contains("; Max-Age=0"), "{text}");
                let attributes = text.split("; ").filter(|part| {
                    ["Path=", "Domain=", "Partitioned"].iter().any(|name| part.starts_with(name))
                });
                attributes.collect::<Vec<_>>().join(" ")
            });
            places.collect::<Vec<_>>()
        };
        let shop = CookieConfig::new("shop");
        assert!(places(&CookieConfig::default()).is_empty());
        assert!(places(&shop.clone().with_former(None, "/")).is_empty(), "the same place");
        let shop = shop.with_domain("Example.com");
        assert_eq!(places(&shop), ["Path=/"], "host-only is among the former ones by itself");
        assert_eq!(
            places(&shop.clone().with_former(Some("example.COM"), "/")),
            ["Path=/"],
            "the same domain"
        );
        let many = shop.with_former(Some("shop.example.com"), "/").with_former(None, "/shop");
        let expected = ["Path=/ Domain=shop.example.com", "Path=/shop", "Path=/"];
        assert_eq!(places(&many), expected);
        let embedded = CookieConfig::default().with_same_site(SameSite::None).with_partitioned(true);
        assert_eq!(places(&embedded), ["Path=/"], "the one from before `Partitioned`");
        let embedded = CookieConfig::new("__Secure-a").with_former(None, "/a").with_partitioned(true);
        assert_eq!(places(&embedded), ["Path=/a", "Partitioned Path=/a", "Path=/"], "in any order of calls");
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
            (CookieConfig::new("sid").with_domain("127.1"), "domain"),
            (CookieConfig::new("sid").with_domain("10.0.0.0x1"), "domain"),
            (CookieConfig::new("sid").with_domain("[::1]"), "domain"),
            (CookieConfig::new("sid").with_domain("com"), "domain"),
            (CookieConfig::new("sid").with_domain("localhost"), "domain"),
            (CookieConfig::new("sid").with_domain("example.com."), "domain"),
            (CookieConfig::new("sid").with_domain("bücher.example"), "domain"),
            (CookieConfig::new("sid").with_domain(format!("{}.test", "x".repeat(64))), "domain"),
            (CookieConfig::new("sid").with_domain(format!("{}test", "xy.".repeat(84))), "domain"),
            (CookieConfig::new("sid").with_former(Some("com"), "/"), "domain"),
            (CookieConfig::new("sid").with_former(None, "shop"), "path"),
            (host().with_former(Some("example.com"), "/"), "begins with `__Host-`"),
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
            (CookieConfig::new("__Host-__secure-a"), "a"),
            (CookieConfig::new("__Secure-__Host-"), "sid"),
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
            CookieConfig::new("sid").with_domain("my_app.test"),
            CookieConfig::new("sid").with_domain("xn--bcher-kva.example"),
            host().with_former(None, "/"),
            host().with_same_site(SameSite::Strict),
        ] {
            good.check().unwrap();
        }
    }
}
