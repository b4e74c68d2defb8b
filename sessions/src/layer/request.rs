//! The facts that a layer reads in a request besides the cookie: plain rules over its method and headers.

use http::{
    HeaderMap, HeaderName, Method,
    header::{FORWARDED, HOST, ORIGIN, REFERER},
};

use super::SameSite;
use crate::slot::RequestFacts;

/// W3C Fetch Metadata, section 2.4.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// WHATWG Fetch, section 3.2.3.
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Returns the facts that the slot needs of a request.
///
/// For a request without a session this looks up one header at most, or two if the cookie is `Strict`.
pub(super) fn facts(
    method: &Method,
    headers: &HeaderMap,
    same_site: SameSite,
    admits_cross_site_logins: bool,
) -> RequestFacts {
    let is_safe = *method == Method::GET || *method == Method::HEAD;
    let is_kept_back = match same_site {
        SameSite::Strict => true,
        SameSite::Lax => !is_safe,
        SameSite::None => false,
    };
    let is_cross_site = || headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
    let is_prefetch =
        || *method == Method::GET && headers.get_all(SEC_PURPOSE).iter().any(announces_prefetch);
    RequestFacts {
        is_safe,
        is_unseen: *method == Method::HEAD || is_prefetch(),
        may_lack_cookie: is_kept_back && is_cross_site(),
        admits_cross_site_logins,
    }
}

/// Returns true for `prefetch` or `prerender` among the words of a value.
fn announces_prefetch(value: &http::HeaderValue) -> bool {
    let words = value.as_bytes().split(|byte| matches!(byte, b';' | b','));
    words
        .map(<[u8]>::trim_ascii)
        .any(|word| word.eq_ignore_ascii_case(b"prefetch") || word.eq_ignore_ascii_case(b"prerender"))
}

/// Returns true if the browser certainly uses plain HTTP, so that it keeps no `Secure` cookie from the answer.
///
/// Browsers name the page of a form in `Origin` or `Referer`, and send `Sec-Fetch-Site` over secure connections only.
/// Without these, and without a proxy's header, a bare address counts as a machine in a private network. This machine
/// counts as secure (W3C Secure Contexts, section 3.1).
pub(super) fn is_over_http(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(HOST).filter(|host| !is_this_machine(host)) else { return false };
    let is_own = |page: &&str| page.split_once("://").is_some_and(|(_, rest)| authority(rest) == host);
    if let Some(page) = [text(ORIGIN), text(REFERER)].into_iter().flatten().find(is_own) {
        return page.starts_with("http://");
    }
    let is_spoken_for =
        [SEC_FETCH_SITE, FORWARDED, X_FORWARDED_PROTO].iter().any(|name| headers.contains_key(name));
    !is_spoken_for && is_address(host_of(host))
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Returns a host without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_this_machine(authority: &str) -> bool {
    let host = host_of(authority).to_ascii_lowercase();
    let v4 = host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    v4 || host == "[::1]" || host == "localhost" || host.ends_with(".localhost")
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_cookie_may_be_kept_back_from_requests_of_other_sites() {
        let may_lack = |method: Method, site: &'static str, same_site| {
            facts(&method, &headers(&[("sec-fetch-site", site)]), same_site, false).may_lack_cookie
        };
        for site in ["same-origin", "same-site", "none", "Cross-Site", ""] {
            for same_site in [SameSite::Strict, SameSite::Lax, SameSite::None] {
                assert!(!may_lack(Method::POST, site, same_site), "{site} {same_site:?}");
            }
        }
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
            let is_safe = matches!(method, Method::GET | Method::HEAD);
            assert!(may_lack(method.clone(), "cross-site", SameSite::Strict), "{method}");
            assert_eq!(may_lack(method.clone(), "cross-site", SameSite::Lax), !is_safe, "{method}");
            assert!(!may_lack(method.clone(), "cross-site", SameSite::None), "{method}");
        }
        let without = facts(&Method::POST, &HeaderMap::new(), SameSite::Strict, true);
        assert!(!without.may_lack_cookie && without.admits_cross_site_logins, "browsers before 2023");
    }

    #[test]
    fn heads_and_prefetches_are_not_seen() {
        let is_unseen = |method: Method, purpose: &'static str| {
            facts(&method, &headers(&[("sec-purpose", purpose)]), SameSite::Lax, false).is_unseen
        };
        for purpose in ["prefetch", "prefetch;prerender", "Prefetch; anonymous-client-ip", "a, prerender"] {
            assert!(is_unseen(Method::GET, purpose), "{purpose}");
            assert!(!is_unseen(Method::POST, purpose), "{purpose}");
        }
        for purpose in ["", "prefetched", "x-prefetch", "navigate"] {
            assert!(!is_unseen(Method::GET, purpose), "{purpose}");
            assert!(is_unseen(Method::HEAD, purpose));
        }
        assert!(!facts(&Method::GET, &HeaderMap::new(), SameSite::Lax, false).is_unseen);
    }

    #[test]
    fn only_gets_and_heads_order_nothing() {
        for (method, is_safe) in [(Method::GET, true), (Method::HEAD, true), (Method::POST, false)] {
            assert_eq!(facts(&method, &HeaderMap::new(), SameSite::Lax, false).is_safe, is_safe);
        }
    }

    #[test]
    fn plain_http_is_told_where_it_can_be_known() {
        for over_http in [
            &[("host", "192.168.1.5:3000")][..],
            &[("host", "[fe80::1]:3000")],
            &[("host", "192.168.1.5:3000"), ("origin", "http://192.168.1.5:3000")],
            &[("host", "shop.test"), ("origin", "http://shop.test")],
            &[("host", "shop.test:80"), ("referer", "http://shop.test:80/login?next=/")],
            &[("host", "shop.test"), ("origin", "null"), ("referer", "http://shop.test/login")],
        ] {
            assert!(is_over_http(&headers(over_http)), "{over_http:?}");
        }
        for unknown in [
            &[][..],
            &[("host", "shop.test")],
            &[("host", "localhost:3000"), ("origin", "http://localhost:3000")],
            &[("host", "shop.localhost"), ("origin", "http://shop.localhost")],
            &[("host", "127.0.0.1:3000")],
            &[("host", "127.1.2.3")],
            &[("host", "[::1]:3000")],
            &[("host", "[::1]")],
            &[("host", "shop.test"), ("origin", "https://shop.test")],
            &[("host", "192.168.1.5"), ("origin", "https://192.168.1.5")],
            &[("host", "192.168.1.5"), ("sec-fetch-site", "same-origin")],
            &[("host", "192.168.1.5"), ("x-forwarded-proto", "https")],
            &[("host", "192.168.1.5"), ("forwarded", "proto=https")],
            // A form of another site's.
            &[("host", "shop.test"), ("origin", "http://other.test"), ("referer", "http://shop.test.other/")],
        ] {
            assert!(!is_over_http(&headers(unknown)), "{unknown:?}");
        }
    }
}
