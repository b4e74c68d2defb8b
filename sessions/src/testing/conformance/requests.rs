//! What a request's method and headers say: who asks, for what, and whether anybody will see it.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, request::Parts};

use super::{
    super::{Client, Gate, Response},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    reply::{HandlerFailure, HandlerReply, text},
};
use crate::{CookieConfig, SameSite, Session, SessionLayer, TypedSession};

/// What a page may have.
#[derive(Session)]
struct Page {
    #[session(identity)]
    user: Option<String>,
    note: Option<String>,
    #[session(merge = "add")]
    hits: i64,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "min")]
    least: Option<i64>,
    #[session(merge = "first")]
    origin: Option<String>,
    #[flash]
    notice: Option<String>,
}

// One arm for each thing a handler can do.
async fn answer(mut parts: Parts, gate: Gate) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let mut page: TypedSession<Page> = session(&mut parts).await?;
    let path = match path.strip_prefix("/wait") {
        Some(path) => {
            gate.pass().await;
            path
        }
        None => &path,
    };
    let (command, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    for command in command.split('-') {
        match command {
            "read" => {
                let (user, note) = (page.user().unwrap_or("-"), page.note().unwrap_or("-"));
                return text(format!("{user} {note} {}", page.hits()));
            }
            "login" => page.set_user(argument),
            "note" => page.set_note(argument),
            "hit" => page.add_hits(1),
            "fetch" => {
                page.fetch_add_hits(1).await?;
            }
            "best" => page.set_best(7),
            "least" => page.set_least(7),
            "origin" => page.set_origin("x"),
            "flash" => page.flash_notice(argument),
            "take" => {
                let notice = page.take_notice();
                if notice.is_some() || path == "/take" {
                    return text(notice.unwrap_or_else(|| "-".to_owned()));
                }
            }
            "taken" => assert!(page.take_notice().is_some(), "there is one to take"),
            "rotate" => page.rotate(),
            "clear" => page.clear(),
            "save" => page.save().await?,
            "end" => page.destroy(),
            other => panic!("there is no `{other}`"),
        }
    }
    text("done")
}

async fn app(env: &TestEnvironment) -> TestApp {
    app_with(env, |layer| layer).await
}

async fn app_with(env: &TestEnvironment, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> TestApp {
    let gate = Gate::new();
    let inside = gate.clone();
    let app = env.app_answering_with(configure, move |parts| answer(parts, inside.clone())).await;
    app.with_gate(gate)
}

async fn head(browser: &Client, path: &str) -> Response {
    browser.request(Method::HEAD, path, &HeaderMap::new(), Bytes::new()).await
}

fn has_event(app: &TestApp, words: &[&str]) -> bool {
    app.events().iter().any(|event| words.iter().all(|word| event.contains(word)))
}

/// A take by a request whose answer may not be seen is shown and not committed; the first page that is seen has it.
pub async fn a_head_and_a_prefetch_deliver_no_flash(env: TestEnvironment) {
    let app = app(&env).await;
    let browser = app.browser();
    browser.post("/flash/saved", "").await;
    browser.get("/read").await;
    app.calls.clear();
    assert_eq!(head(&browser, "/take").await.text(), "saved", "shown");
    for purpose in ["prefetch", "prefetch;prerender"] {
        assert_eq!(browser.get_with("/take", "sec-purpose", purpose).await.text(), "saved", "shown");
    }
    assert_eq!(app.calls.writes(), 0);
    // Nor with what else the request changes, nor by a save.
    assert_eq!(head(&browser, "/hit-take").await.text(), "saved");
    assert_eq!(head(&browser, "/taken-save").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "- - 1");
    assert_eq!(browser.get("/take").await.text(), "saved", "seen");
    assert_eq!(browser.get("/take").await.text(), "-", "and gone");
    // What such a request flashes reaches the next page.
    assert_eq!(head(&browser, "/flash/later").await.status(), 200);
    assert_eq!(browser.get("/take").await.text(), "later");
    // A form is no prefetch, whatever it says.
    browser.post("/flash/saved", "").await;
    let mut headers = HeaderMap::new();
    headers.insert("sec-purpose", http::HeaderValue::from_static("prefetch"));
    let posted = browser.request(Method::POST, "/take", &headers, Bytes::new()).await;
    assert_eq!(posted.text(), "saved");
    assert_eq!(browser.get("/take").await.text(), "-");
}

/// A request that waits, session in hand, while another tab does something else.
async fn slow(app: &TestApp, browser: &Client, method: Method, path: &str, meanwhile: &str) -> Response {
    let (tab, path) = (browser.clone_jar(), format!("/wait{path}"));
    let slow = tokio::spawn(async move { tab.request(method, &path, &HeaderMap::new(), Bytes::new()).await });
    app.gate.arrived().await;
    assert_eq!(browser.get(meanwhile).await.status(), 200);
    app.events();
    app.gate.release();
    slow.await.expect("an answer")
}

/// A page that counts something is the page also if the user logs out in another tab: an event, and no error.
pub async fn a_page_is_worth_more_than_what_it_counts(env: TestEnvironment) {
    let app = app(&env).await;
    for path in ["/hit", "/best", "/least", "/taken", "/hit-best-least-taken"] {
        for method in [Method::GET, Method::HEAD] {
            for meanwhile in ["/end", "/rotate"] {
                let browser = app.browser();
                browser.post("/flash-note/x", "").await;
                browser.get("/read").await;
                let id = record_of(&browser);
                let response = slow(&app, &browser, method.clone(), path, meanwhile).await;
                let context = format!("{method} {path}, {meanwhile}");
                assert_eq!((response.status().as_u16(), response.text()), (200, "done"), "{context}");
                assert!(response.set_cookies().is_empty(), "{context}");
                // A HEAD takes nothing, so there is nothing to refuse.
                let is_refused = method == Method::GET || path != "/taken";
                assert_eq!(has_event(&app, &["Conflict", &id.to_string()]), is_refused, "{context}");
                let left = app.load(id, &["hits", "best", "notice"]).await;
                assert_eq!(left.is_some(), meanwhile == "/rotate", "{context}");
                let kept = left.is_none_or(|left| {
                    left.fields.contains("notice")
                        && !left.fields.contains("hits")
                        && !left.fields.contains("best")
                });
                assert!(kept, "{context}");
            }
        }
    }
    // The session of a page that comes with the secret from before counts nothing, either.
    let browser = app.browser();
    browser.post("/note/x", "").await;
    let old = browser.clone_jar();
    browser.post("/rotate", "").await;
    assert_eq!(old.get("/hit").await.status(), 200);
    assert_eq!(old.post("/hit", "").await.status(), 409);
    assert_eq!(browser.get("/read").await.text(), "- x 0");
}

/// What somebody put, or ordered, is not told to be stored when it is not.
pub async fn what_somebody_put_is_worth_more_than_the_page(env: TestEnvironment) {
    let app = app(&env).await;
    for (method, path) in [
        (Method::GET, "/note/y"),
        (Method::GET, "/origin"),
        (Method::GET, "/flash/y"),
        (Method::GET, "/hit-note/y"),
        (Method::GET, "/hit-rotate"),
        (Method::GET, "/hit-clear"),
        (Method::GET, "/hit-save"),
        (Method::GET, "/fetch"),
        (Method::POST, "/hit"),
        (Method::POST, "/best"),
        (Method::POST, "/taken"),
        (Method::PUT, "/least"),
    ] {
        let browser = app.browser();
        browser.post("/flash-note/x", "").await;
        let response = slow(&app, &browser, method.clone(), path, "/end").await;
        assert_eq!(response.status(), 409, "{method} {path}");
        assert!(response.set_cookies().is_empty(), "{method} {path}");
    }
}

/// Where the browser may have kept the cookie back, no session begins that would take that one's place.
pub async fn a_request_that_may_lack_its_cookie_begins_nothing(env: TestEnvironment) {
    let app = app(&env).await;
    let browser = app.browser();
    browser.post("/login/ada", "").await;
    let abroad = browser.from_another_site();
    app.calls.clear();
    app.events();
    for path in ["/hit", "/note/x", "/flash/x", "/rotate"] {
        let response = abroad.post(path, "").await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "{path}");
        let is_told = has_event(&app, &["CrossSite", "is_login: false"]);
        assert_eq!(is_told, path != "/rotate", "{path}");
    }
    for path in ["/note-save/x", "/fetch"] {
        let response = abroad.post(path, "").await;
        assert_eq!((response.status(), response.set_cookies().len()), (StatusCode::FORBIDDEN, 0), "{path}");
        assert!(has_event(&app, &["CrossSite", "is_login: false"]), "{path}");
    }
    assert_eq!(app.calls(), []);
    assert_eq!(browser.get("/read").await.text(), "ada - 0", "the login is as it was");
    assert_eq!(abroad.get("/read").await.text(), "ada - 0", "a link brings the cookie");
    assert_eq!(abroad.get("/hit").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "ada - 1");
    // Nobody's cookie can be lost here.
    assert_eq!(app.browser().post("/note/x", "").await.set_cookies().len(), 1, "this site's");
    assert_eq!(app.browser().from_another_site().get("/note/x").await.set_cookies().len(), 1, "a link");
    let dead = app.browser();
    dead.post("/note/x", "").await;
    let stolen = format!("{COOKIE}={}", dead.cookie(COOKIE).expect("a cookie"));
    dead.post("/end", "").await;
    let mut headers = HeaderMap::new();
    headers.insert("cookie", stolen.parse().expect("a header's value"));
    let came = dead.from_another_site().request(Method::POST, "/note/x", &headers, Bytes::new()).await;
    assert_eq!(came.set_cookies().len(), 1, "the cookie came, and is worth nothing");

    for (same_site, links, forms) in [(SameSite::Strict, 0, 0), (SameSite::None, 1, 1)] {
        let cookie = CookieConfig::default().with_same_site(same_site);
        let app =
            app_with(&env, |layer| layer.with_cookie(cookie).expect("a cookie that browsers take")).await;
        let abroad = || app.browser().from_another_site();
        assert_eq!(abroad().get("/note/x").await.set_cookies().len(), links, "{same_site:?}");
        assert_eq!(abroad().post("/note/x", "").await.set_cookies().len(), forms, "{same_site:?}");
    }
}

/// A login is no exception, since another site could log its visitors in under a name of its choice.
pub async fn no_other_site_logs_a_browser_in(env: TestEnvironment) {
    let app = app(&env).await;
    let browser = app.browser();
    browser.post("/login/ada", "").await;
    app.calls.clear();
    app.events();
    for path in ["/login/mallory", "/note-login/mallory", "/login-save/mallory"] {
        let response = browser.from_another_site().post(path, "").await;
        assert_eq!((response.status(), response.set_cookies().len()), (StatusCode::FORBIDDEN, 0), "{path}");
        assert!(has_event(&app, &["CrossSite", "is_login: true", "with_cross_site_logins"]), "{path}");
    }
    assert_eq!(app.calls(), []);
    assert_eq!(browser.get("/read").await.text(), "ada - 0");

    let app = app_with(&env, SessionLayer::with_cross_site_logins).await;
    let browser = app.browser();
    browser.post("/note/x", "").await;
    let response = browser.from_another_site().post("/login/bea", "").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(browser.get("/read").await.text(), "bea - 0");
    app.events();
    let response = browser.from_another_site().post("/note/y", "").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "no login");
    assert!(has_event(&app, &["CrossSite", "is_login: false"]));
    assert_eq!(browser.get("/read").await.text(), "bea - 0");
}
