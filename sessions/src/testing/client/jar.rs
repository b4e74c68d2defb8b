//! The cookies of a browser: which it keeps, and which it sends with a request (RFC 6265bis section 5).

use std::time::Duration;

use cookie::{Cookie, Expiration};
use http::Uri;

use crate::{layer::SameSite, value::Timestamp};

/// The longest time for which a browser keeps a cookie (RFC 6265bis section 5.5): 400 days.
const LONGEST: Duration = Duration::from_hours(400 * 24);

/// The cookies of a browser.
#[derive(Clone, Debug, Default)]
pub(super) struct CookieJar(Vec<StoredCookie>);

/// A cookie as a browser keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredCookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host that it is for.
    pub domain: String,
    /// True if it is for that very host only, not for the domains below.
    pub host_only: bool,
    /// The path that it is for, with all paths below.
    pub path: String,
    /// True if it is sent over secure connections only.
    pub secure: bool,
    /// The requests of other sites with which it is sent. `None` if its site did not say, which counts as `Lax`.
    pub same_site: Option<SameSite>,
    /// The time when it is forgotten; `None` for a cookie that ends with the browser.
    pub expires: Option<Timestamp>,
}

impl StoredCookie {
    pub(super) fn planted(name: &str, value: &str, host: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: host.to_owned(),
            host_only: true,
            path: "/".to_owned(),
            secure: false,
            same_site: None,
            expires: None,
        }
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_for(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        let host_fits = if self.host_only { host == self.domain } else { domain_matches(host, &self.domain) };
        host_fits && path_matches(uri.path(), &self.path) && (!self.secure || is_trustworthy(uri))
    }

    /// Returns true if it is sent with a request from another site (section 5.6.7.1); a GET or HEAD is the click on a link.
    fn is_for_another_site(&self, is_safe: bool) -> bool {
        match self.same_site {
            Some(SameSite::None) => true,
            Some(SameSite::Strict) => false,
            Some(SameSite::Lax) | None => is_safe,
        }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        (&self.name, &self.domain, self.host_only, &self.path)
            == (&other.name, &other.domain, other.host_only, &other.path)
    }
}

impl CookieJar {
    /// Stores the cookie of a `Set-Cookie` line from a response of `uri`, unless the rules forbid that.
    pub(super) fn receive(&mut self, line: &[u8], uri: &Uri, now: Timestamp) {
        if let Some(cookie) = accept(line, uri, now) {
            self.store(cookie, uri, now);
        }
    }

    /// Does so for a response that a page of another site fetched: it sets what is sent there (section 5.7 step 17).
    pub(super) fn receive_embedded(&mut self, line: &[u8], uri: &Uri, now: Timestamp) {
        if let Some(cookie) = accept(line, uri, now).filter(|cookie| cookie.is_for_another_site(false)) {
            self.store(cookie, uri, now);
        }
    }

    fn store(&mut self, cookie: StoredCookie, uri: &Uri, now: Timestamp) {
        // Section 5.7 step 16: an insecure page does not shadow a secure cookie.
        let shadows = |known: &&StoredCookie| {
            known.secure && known.name == cookie.name && path_matches(&cookie.path, &known.path)
        };
        if !cookie.secure && !is_trustworthy(uri) && self.0.iter().any(|known| shadows(&known)) {
            return;
        }
        if cookie.is_expired(now) {
            self.0.retain(|known| !known.is_same_as(&cookie));
        } else {
            self.put(cookie);
        }
    }

    pub(super) fn put(&mut self, cookie: StoredCookie) {
        match self.0.iter_mut().find(|known| known.is_same_as(&cookie)) {
            Some(known) => *known = cookie,
            None => self.0.push(cookie),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|known| known.name != name);
    }

    pub(super) fn end_of_session(&mut self) {
        self.0.retain(|known| known.expires.is_some());
    }

    /// Returns all cookies, expired ones included.
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredCookie> {
        self.0.iter()
    }

    /// Returns the cookies that are sent to `uri` with a request from another site.
    pub(super) fn matching_cross_site(&self, uri: &Uri, is_safe: bool, now: Timestamp) -> Vec<&StoredCookie> {
        let mut cookies = self.matching(uri, now);
        cookies.retain(|cookie| cookie.is_for_another_site(is_safe));
        cookies
    }

    /// Returns the cookies that are sent to `uri`: longer paths first, then older cookies.
    pub(super) fn matching(&self, uri: &Uri, now: Timestamp) -> Vec<&StoredCookie> {
        let mut cookies: Vec<_> =
            self.0.iter().filter(|cookie| !cookie.is_expired(now) && cookie.is_for(uri)).collect();
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        cookies
    }
}

/// Returns the cookie that a line sets, if the browser accepts it from there.
fn accept(line: &[u8], uri: &Uri, now: Timestamp) -> Option<StoredCookie> {
    let parsed = Cookie::parse(std::str::from_utf8(line).ok()?).ok()?;
    let host = uri.host()?;
    let secure = parsed.secure().unwrap_or(false);
    let (domain, host_only) = match parsed.domain().filter(|domain| !domain.is_empty()) {
        Some(domain) => (domain.to_ascii_lowercase(), false),
        None => (host.to_owned(), true),
    };
    if !host_only && !domain_matches(host, &domain) || secure && !is_trustworthy(uri) {
        return None;
    }
    let path = parsed.path().filter(|path| path.starts_with('/'));
    // Prefixes are compared without regard to case (section 4.1.3): servers may not tell them apart.
    let name = parsed.name().to_ascii_lowercase();
    let allowed = if name.starts_with("__host-") {
        secure && host_only && path == Some("/")
    } else {
        !name.starts_with("__secure-") || secure
    };
    let age = parsed.max_age().map(|age| Duration::try_from(age).unwrap_or(Duration::ZERO));
    let expires = match (age, parsed.expires()) {
        (Some(age), _) => Some(now.saturating_add(age.min(LONGEST))),
        (None, Some(Expiration::DateTime(date))) => {
            let millis = i64::try_from(date.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
            Some(Timestamp::from_millis(millis).min(now.saturating_add(LONGEST)))
        }
        (None, _) => None,
    };
    allowed.then(|| StoredCookie {
        name: parsed.name().to_owned(),
        value: parsed.value().to_owned(),
        domain,
        host_only,
        path: path.map_or_else(|| default_path(uri), str::to_owned),
        secure,
        same_site: parsed.same_site().map(|same_site| match same_site {
            cookie::SameSite::Strict => SameSite::Strict,
            cookie::SameSite::Lax => SameSite::Lax,
            cookie::SameSite::None => SameSite::None,
        }),
        expires,
    })
}

/// Returns true if the connection is secure, as browsers see it: this very machine is.
fn is_trustworthy(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let local = host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1" || host == "[::1]";
    uri.scheme_str() == Some("https") || local
}

/// Returns true if a host belongs to a domain (section 5.1.3).
fn domain_matches(host: &str, domain: &str) -> bool {
    let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
    let below = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    host == domain || !is_address && below()
}

/// Returns true if a path is at or below a cookie's (section 5.1.4).
fn path_matches(path: &str, cookie: &str) -> bool {
    let rest = path.strip_prefix(cookie);
    rest.is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Returns the request's path up to its last slash (section 5.1.4).
fn default_path(uri: &Uri) -> String {
    match uri.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(slash) => uri.path()[..slash].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_768_478_400_000);

    fn jar(page: &str, lines: &[&str]) -> CookieJar {
        let mut jar = CookieJar::default();
        for line in lines {
            jar.receive(line.as_bytes(), &page.parse().unwrap(), NOW);
        }
        jar
    }

    fn sent(jar: &CookieJar, to: &str) -> Vec<String> {
        let cookies = jar.matching(&to.parse().unwrap(), NOW);
        cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect()
    }

    #[test]
    fn host_only_cookies_stay_at_their_host() {
        let jar =
            jar("https://app.test/", &["host=1", "domain=2; Domain=app.test", "other=3; Domain=evil.test"]);
        assert_eq!(sent(&jar, "https://app.test/"), ["host=1", "domain=2"]);
        assert_eq!(sent(&jar, "https://www.app.test/"), ["domain=2"]);
        assert!(sent(&jar, "https://notapp.test/").is_empty());
    }

    #[test]
    fn paths_match_whole_segments_and_the_longer_comes_first() {
        let jar = jar("https://app.test/shop/cart", &["a=1; Path=/", "b=2; Path=/shop", "c=3"]);
        assert_eq!(sent(&jar, "https://app.test/shop/x"), ["b=2", "c=3", "a=1"]);
        assert_eq!(sent(&jar, "https://app.test/shopping"), ["a=1"]);
    }

    #[test]
    fn secure_cookies_need_https_or_this_machine() {
        assert!(jar("http://app.test/", &["a=1; Secure"]).0.is_empty());
        let jar = jar("https://app.test/", &["a=1; Secure"]);
        assert!(sent(&jar, "http://app.test/").is_empty());
        assert_eq!(
            sent(&super::tests::jar("http://localhost/", &["a=1; Secure"]), "http://localhost/"),
            ["a=1"]
        );
    }

    #[test]
    fn prefixes_are_enforced() {
        let good = "__Host-a=1; Secure; Path=/";
        assert_eq!(sent(&jar("https://app.test/", &[good]), "https://app.test/"), ["__Host-a=1"]);
        let bad = [
            "__Host-a=1; Path=/",
            "__Host-a=1; Secure",
            "__Host-a=1; Secure; Path=/x",
            "__host-a=1; Secure; Path=/; Domain=app.test",
            "__Secure-a=1; Path=/",
        ];
        for line in bad {
            assert!(jar("https://app.test/", &[line]).0.is_empty(), "{line}");
        }
    }

    #[test]
    fn links_from_other_sites_bring_what_is_not_strict_and_forms_only_what_is_none() {
        let cookies = ["l=1; SameSite=Lax", "s=1; SameSite=Strict", "n=1; SameSite=None; Secure", "d=1"];
        let jar = jar("https://app.test/", &cookies);
        let sent = |is_safe| {
            let cookies = jar.matching_cross_site(&"https://app.test/".parse().unwrap(), is_safe, NOW);
            cookies.iter().map(|cookie| cookie.name.clone()).collect::<String>()
        };
        assert_eq!((sent(true).as_str(), sent(false).as_str()), ("lnd", "n"));
    }

    #[test]
    fn a_page_of_another_site_sets_only_what_is_sent_from_there() {
        let mut jar = CookieJar::default();
        let cookies = ["l=1; SameSite=Lax", "s=1; SameSite=Strict", "n=1; SameSite=None; Secure", "d=1"];
        for line in cookies {
            jar.receive_embedded(line.as_bytes(), &"https://app.test/".parse().unwrap(), NOW);
        }
        assert_eq!(sent(&jar, "https://app.test/"), ["n=1"]);
    }

    #[test]
    fn ages_count_and_removal_needs_the_same_place() {
        let page = "https://app.test/";
        let kept = jar(page, &["a=1; Path=/; Max-Age=60", "a=; Path=/x; Max-Age=0"]);
        assert_eq!(kept.0[0].expires, Some(NOW.saturating_add(Duration::from_mins(1))));
        assert!(jar(page, &["a=1; Path=/; Max-Age=60", "a=; Path=/; Max-Age=0"]).0.is_empty());
        assert!(jar(page, &["a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT"]).0.is_empty());
        assert_eq!(jar(page, &["a=1; Expires=Fri, 16 Jan 2026 00:00:00 GMT"]).0.len(), 1);
        let both = jar(page, &["a=1; Max-Age=60; Expires=Thu, 01 Jan 2026 00:00:00 GMT"]);
        assert_eq!(both.0.len(), 1, "an age counts before a date");
        let long = jar(page, &["a=1; Max-Age=99999999"]);
        assert_eq!(long.0[0].expires, Some(NOW.saturating_add(LONGEST)));
    }

    #[test]
    fn an_insecure_page_does_not_overwrite_a_secure_cookie() {
        let mut jar = jar("https://app.test/", &["a=1; Secure; Path=/"]);
        jar.receive(b"a=2; Path=/", &"http://app.test/".parse().unwrap(), NOW);
        assert_eq!(sent(&jar, "https://app.test/"), ["a=1"]);
    }
}
