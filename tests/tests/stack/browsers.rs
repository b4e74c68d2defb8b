//! What browsers, caches and proxies make of a session's cookie.

use std::sync::Mutex;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use bytes::Bytes;
use sessions::ClearSiteData;

use super::*;

/// What a layer reported, by name.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    pub(super) fn by(&self, layer: SessionLayer) -> SessionLayer {
        let heard = Arc::clone(&self.0);
        let interval = Duration::ZERO;
        layer.with_event_interval(interval).with_event_hook(move |event| {
            heard.lock().expect("no panic").push(format!("{} {event}", event.name()));
        })
    }

    /// The events of this name so far.
    pub(super) fn of(&self, name: &str) -> Vec<String> {
        let events = self.0.lock().expect("no panic");
        events.iter().filter(|event| event.split(' ').next() == Some(name)).cloned().collect()
    }
}

fn at(host: &str, app: Router) -> Client {
    Client::new(app).with_origin(host)
}

/// Two cookies of one name after a deploy that adds a domain, both alive: the next login ends that.
#[tokio::test]
async fn two_cookies_of_one_name_end_with_the_next_login() {
    let store = Arc::new(MemoryStore::new());
    let heard = Heard::default();
    let before = routes().layer(with_cookie(&store, CookieConfig::new("__Secure-shop")));
    let shared = CookieConfig::new("__Secure-shop").with_domain("example.com");
    let after = routes().layer(heard.by(with_cookie(&store, shared)));
    let old = at("https://www.example.com", before);
    old.get("/in/Ada").await;
    let new = old.at(&at("https://www.example.com", after.clone()));
    assert_eq!(new.get("/read").await.text(), "Ada 0", "the old cookie alone is as good as ever");
    // Elsewhere on the site the user gets the new one.
    let elsewhere = new.clone().with_origin("https://app.example.com");
    elsewhere.get("/in/Ada").await;
    assert_eq!(new.cookies().len(), 2);
    assert_eq!(new.get("/read").await.text(), "- 0", "nobody can tell which one is meant");
    assert_eq!(heard.of("TwoLiveTokens").len(), 1);
    let response = new.get("/in/Bob").await;
    let [former, present] = &response.set_cookies()[..] else { panic!("two cookies: {response:?}") };
    assert!(former.contains("; Max-Age=0") && !former.contains("Domain"), "{former}");
    assert!(present.contains("; Domain=example.com"), "{present}");
    assert_eq!(new.cookies().len(), 1);
    assert_eq!(new.get("/read").await.text(), "Bob 0");
    assert_eq!(elsewhere.get("/read").await.text(), "Bob 0");
    assert_eq!(new.get("/in/Eve").await.set_cookies().len(), 1, "one cookie came");
}

/// A logout takes former ones along; without that, the old one would be there again.
#[tokio::test]
async fn a_logout_removes_former_cookies_too() {
    let store = Arc::new(MemoryStore::new());
    let of = |cookie: CookieConfig| routes().layer(with_cookie(&store, cookie));
    let shop = || CookieConfig::new("shop");
    let old = at("https://app.test", of(shop().with_path("/in")));
    old.get("/in/Ada").await;
    let present = shop().with_former(None, "/in").with_former(Some("app.test"), "/in");
    let new = old.at(&at("https://app.test", of(present)));
    assert_eq!(new.get("/in/Bob").await.set_cookies().len(), 1, "one cookie came");
    assert_eq!(new.cookies().len(), 2);
    assert_eq!(new.get("/read").await.text(), "Bob 0");
    let gone = new.get("/out").await;
    assert_eq!(gone.set_cookies().len(), 1, "one came here, too");
    assert_eq!(new.get("/in/Eve").await.set_cookies().len(), 1);
    let response = new.get("/in/Eve").await;
    assert_eq!(response.set_cookies().len(), 3);
    assert_eq!(new.cookies().len(), 1, "that of the layer");
}

/// What a shared cache keeps it gives to the next visitor, cookie included.
#[tokio::test]
async fn no_cache_keeps_a_response_with_the_cookie() {
    let cacheable = async |mut session: TypedSession<Account>| {
        session.set_name("Ada");
        let headers = [
            ("cache-control", "public, max-age=60"),
            ("expires", "Fri, 01 Jan 2100 00:00:00 GMT"),
            ("surrogate-control", "max-age=60"),
            ("cdn-cache-control", "max-age=60"),
        ];
        (headers, "done")
    };
    let heard = Heard::default();
    let app = routes().route("/cacheable", get(cacheable)).layer(heard.by(layer()));
    let browser = Client::new(app);
    let response = browser.get("/cacheable").await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(response.headers().get_all("cache-control").iter().count(), 1);
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    for gone in ["expires", "surrogate-control", "cdn-cache-control"] {
        assert_eq!(response.header(gone), None);
    }
    assert_eq!(response.header("vary"), Some("Cookie"));
    let [event] = &heard.of("CachingForbidden")[..] else { panic!("one event") };
    assert!(event.contains("public, max-age=60") && event.contains("cdn-cache-control"), "{event}");
    // The same without a cookie is the handler's own business.
    assert_eq!(browser.get("/cacheable").await.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(heard.of("CachingForbidden").len(), 1);
    browser.get("/in/Bob").await;
    assert_eq!(heard.of("CachingForbidden").len(), 1, "what the handler did not say is no event");
}

#[tokio::test]
async fn what_a_browser_is_to_forget_can_be_chosen() {
    let of = async |layer: SessionLayer, leave: Router| {
        let browser = Client::new(leave.layer(layer));
        browser.get("/in/Ada").await;
        let response = browser.get("/out").await;
        let values = response.headers().get_all("clear-site-data").iter();
        values.map(|value| value.to_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        of(layer().with_clear_site_data(true), routes()).await,
        ["\"storage\""],
        "not the cache: it takes seconds"
    );
    assert!(of(layer().with_clear_site_data(true).with_clear_site_data(false), routes()).await.is_empty());
    let both = [ClearSiteData::Cache, ClearSiteData::Storage];
    let chosen = layer().with_clear_site_data_directives(both);
    assert_eq!(of(chosen, routes()).await, ["\"cache\", \"storage\""]);
    let own = async |session: TypedSession<Account>| {
        session.destroy();
        [("clear-site-data", "\"executionContexts\"")]
    };
    let routes = Router::new().route("/in/{name}", get(sign_in)).route("/out", get(own));
    let both = of(layer().with_clear_site_data(true), routes).await;
    assert_eq!(both, ["\"executionContexts\"", "\"storage\""], "the handler's own stays");
}

/// A browser keeps no `Secure` cookie from plain HTTP, so each login is lost: one event says so, and what to do.
#[tokio::test]
async fn a_login_over_plain_http_is_told() {
    let form = |app: Client, origin: &'static str| async move {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        app.request(Method::GET, "/in/Ada", &headers, Bytes::new()).await
    };
    for (host, told) in [
        ("http://192.168.1.5:3000", 1),
        ("http://shop.example", 1),
        ("http://localhost:3000", 0),
        ("http://127.0.0.1:3000", 0),
        ("https://shop.example", 0),
    ] {
        let heard = Heard::default();
        let browser = at(host, routes().layer(heard.by(layer())));
        assert_eq!(browser.get("/read").await.status(), 200);
        assert!(heard.of("CookieOverHttp").is_empty(), "{host}: nothing is lost");
        for _ in 0..2 {
            form(browser.clone(), host).await;
        }
        let events = heard.of("CookieOverHttp");
        assert_eq!(events.len(), told, "{host}");
        for remedy in ["with_insecure_cookies", "localhost", "HTTPS"] {
            assert!(events.iter().all(|event| event.contains(remedy)), "{events:?}");
        }
        assert_eq!(browser.cookies().is_empty(), told == 1, "{host}");
        let name = if told == 1 { "-" } else { "Ada" };
        assert_eq!(browser.get("/read").await.text(), format!("{name} 0"), "{host}");
    }
    // As it comes from a program that names no page.
    let heard = Heard::default();
    at("http://192.168.1.5:3000", routes().layer(heard.by(layer()))).get("/in/Ada").await;
    assert_eq!(heard.of("CookieOverHttp").len(), 1);
    let heard = Heard::default();
    let insecure = heard.by(layer().with_insecure_cookies());
    let browser = at("http://192.168.1.5:3000", routes().layer(insecure));
    browser.get("/in/Ada").await;
    assert!(heard.of("CookieOverHttp").is_empty(), "the cookie is not lost");
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
}

#[tokio::test]
async fn insecure_cookies_are_told_at_start() {
    let heard = Heard::default();
    // As axum puts a layer around each route.
    let _ = routes().layer(heard.by(layer().with_insecure_cookies()));
    let events = heard.of("InsecureCookies");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("with_insecure_cookies"), "{events:?}");
    let heard = Heard::default();
    let _ = routes().layer(heard.by(layer()));
    assert!(heard.of("InsecureCookies").is_empty());
}

/// What browsers would refuse is refused where it is given, and insecure cookies make no difference to that.
#[tokio::test]
async fn a_cookie_that_browsers_refuse_is_refused_with_the_layer() {
    for layer in [layer(), layer().with_insecure_cookies()] {
        for bad in [CookieConfig::new("a b"), CookieConfig::new("sid").with_domain("localhost")] {
            let error = layer.clone().with_cookie(bad).expect_err("browsers refuse it");
            assert_eq!(error.kind(), sessions::ErrorKind::Config);
        }
    }
}

/// In whichever order the two are said.
#[tokio::test]
async fn a_cookie_of_ones_own_stays_insecure() {
    let cookie = || CookieConfig::new("__Secure-shop").with_same_site(SameSite::Strict);
    let with = |layer: SessionLayer| layer.with_cookie(cookie()).expect("a cookie that browsers take");
    for layer in [with(layer()).with_insecure_cookies(), with(layer().with_insecure_cookies())] {
        let browser = at("http://192.168.1.5:3000", routes().layer(layer));
        let response = browser.get("/in/Ada").await;
        let [set] = &response.set_cookies()[..] else { panic!("one cookie: {response:?}") };
        assert!(set.starts_with("shop=") && !set.contains("Secure"), "{set}");
        assert!(set.contains("SameSite=Strict"), "{set}");
        assert_eq!(browser.get("/read").await.text(), "Ada 0");
    }
}

/// A client of RFC 2109 sends quotes back that it was not given.
#[tokio::test]
async fn a_quoted_token_is_the_session() {
    let browser = Client::new(routes().layer(layer()));
    browser.get("/in/Ada").await;
    let token = browser.cookie("__Host-sid").expect("a cookie");
    let other = browser.stranger();
    let line = format!("$Version=1; __Host-sid=\"{token}\"; $Path=\"/\"");
    assert_eq!(other.get_with("/read", "cookie", line).await.text(), "Ada 0");
    for smuggled in [format!("theme=\"a, __Host-sid={token}\""), format!("theme=a, __Host-sid=\"{token}\"")] {
        assert_eq!(other.get_with("/read", "cookie", smuggled).await.text(), "- 0");
    }
}
