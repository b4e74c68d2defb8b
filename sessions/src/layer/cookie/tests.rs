//! Reading, writing and checking the cookie.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::*;
use crate::value::{RecordId, Secret, Token};

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
    let scopes = |config: &CookieConfig| {
        config.check().unwrap();
        let removals = config.remove_former().into_iter().map(|value| {
            let text = value.to_str().unwrap().to_owned();
            assert!(value.is_sensitive() && text.contains("; Max-Age=0"), "{text}");
            let attributes = text
                .split("; ")
                .filter(|part| ["Path=", "Domain=", "Partitioned"].iter().any(|name| part.starts_with(name)));
            attributes.collect::<Vec<_>>().join(" ")
        });
        removals.collect::<Vec<_>>()
    };
    let shop = CookieConfig::new("shop");
    assert!(scopes(&CookieConfig::default()).is_empty());
    assert!(scopes(&shop.clone().with_former(None, "/")).is_empty(), "the same place");
    let shop = shop.with_domain("Example.com");
    assert_eq!(scopes(&shop), ["Path=/"], "host-only is among the former ones by itself");
    assert_eq!(scopes(&shop.clone().with_former(Some("example.COM"), "/")), ["Path=/"], "the same domain");
    let many = shop.with_former(Some("shop.example.com"), "/").with_former(None, "/shop");
    let expected = ["Path=/ Domain=shop.example.com", "Path=/shop", "Path=/"];
    assert_eq!(scopes(&many), expected);
    let embedded = CookieConfig::default().with_same_site(SameSite::None).with_partitioned(true);
    assert_eq!(scopes(&embedded), ["Path=/"], "the one from before `Partitioned`");
    let embedded = CookieConfig::new("__Secure-a").with_former(None, "/a").with_partitioned(true);
    assert_eq!(scopes(&embedded), ["Path=/a", "Partitioned Path=/a", "Path=/"], "in any order of calls");
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
