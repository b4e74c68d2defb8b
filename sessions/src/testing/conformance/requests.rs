//! Requests that are treated by their method and headers: `HEAD`, prefetches, pages, forms and other sites.

use http::{Method, Request, StatusCode};

use super::{
    super::{Client, Gate, Response},
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    handler::{Case, case, gated},
};
use crate::{CookieConfig, SameSite, Session, SessionLayer, TypedSession, error::Error};

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

type Visit = TypedSession<Page>;

/// Returns user, note and hits.
async fn read(page: Visit) -> String {
    format!("{} {} {}", page.user().unwrap_or("-"), page.note().unwrap_or("-"), page.hits())
}

async fn login_ada(mut page: Visit) {
    page.set_user("ada");
}

async fn note(mut page: Visit) {
    page.set_note("x");
}

async fn flash(mut page: Visit) {
    page.flash_notice("saved");
}

async fn flash_and_note(mut page: Visit) {
    page.flash_notice("x");
    page.set_note("x");
}

async fn take(mut page: Visit) -> String {
    page.take_notice().unwrap_or_else(|| "-".to_owned())
}

async fn take_one(mut page: Visit) -> &'static str {
    assert!(page.take_notice().is_some(), "there is one to take");
    "the page"
}

async fn hit(mut page: Visit) -> &'static str {
    page.add_hits(1);
    "the page"
}

async fn fetch_hit(mut page: Visit) -> Result<(), Error> {
    page.fetch_add_hits(1).await.map(drop)
}

async fn best(mut page: Visit) -> &'static str {
    page.set_best(7);
    "the page"
}

async fn least(mut page: Visit) -> &'static str {
    page.set_least(7);
    "the page"
}

async fn rotate(page: Visit) {
    page.rotate();
}

async fn destroy(page: Visit) {
    page.destroy();
}

fn has_event(app: &TestApp, words: &[&str]) -> bool {
    app.events().iter().any(|event| words.iter().all(|word| event.contains(word)))
}

/// A `HEAD` or a prefetch shows a flash and does not commit the take, so the first page that is seen has it.
pub async fn a_head_and_a_prefetch_deliver_no_flash(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.send_post(flash).await;
    browser.visit(read).await;
    app.calls.clear();
    assert_eq!(browser.send_as(Request::head("/"), take).await.text(), "saved", "shown");
    for purpose in ["prefetch", "prefetch;prerender"] {
        let prefetch = Request::get("/").header("sec-purpose", purpose);
        assert_eq!(browser.send_as(prefetch, take).await.text(), "saved", "shown");
    }
    assert_eq!(app.calls.writes(), 0);
    // Nor with what else the request changes, nor by a save.
    let hit_and_take = async |mut page: Visit| {
        page.add_hits(1);
        page.take_notice().expect("there is one to take")
    };
    assert_eq!(browser.send_as(Request::head("/"), hit_and_take).await.text(), "saved");
    let take_and_save = async |mut page: Visit| {
        assert!(page.take_notice().is_some(), "there is one to take");
        page.save().await
    };
    assert_eq!(browser.send_as(Request::head("/"), take_and_save).await.status(), 200);
    assert_eq!(browser.visit(read).await, "- - 1");
    assert_eq!(browser.visit(take).await, "saved", "seen");
    assert_eq!(browser.visit(take).await, "-", "and gone");
    // What such a request flashes reaches the next page.
    let flash_later = async |mut page: Visit| page.flash_notice("later");
    assert_eq!(browser.send_as(Request::head("/"), flash_later).await.status(), 200);
    assert_eq!(browser.visit(take).await, "later");
    // A form is no prefetch, whatever it says.
    browser.send_post(flash).await;
    let form = Request::post("/").header("sec-purpose", "prefetch");
    assert_eq!(browser.send_as(form, take).await.text(), "saved");
    assert_eq!(browser.visit(take).await, "-");
}

/// Sends a request that waits with its session while another tab sends this one.
async fn slow(
    app: &TestApp,
    browser: &Client,
    method: &Method,
    handler: Case<Visit>,
    meanwhile: Case<Visit>,
) -> Response {
    let gate = Gate::new();
    let request = Request::builder().method(method).uri("/");
    let slow = tokio::spawn(browser.clone_jar().send_as(request, gated(&gate, handler)));
    gate.arrived().await;
    assert_eq!(browser.send(meanwhile).await.status(), 200);
    app.events();
    gate.release();
    slow.await.expect("an answer")
}

/// A page whose counts are refused, since the session ended or rotated meanwhile, is a 200 and an event.
pub async fn a_page_is_worth_more_than_what_it_counts(env: TestEnvironment) {
    async fn count_all(mut page: Visit) -> &'static str {
        page.add_hits(1);
        page.set_best(7);
        page.set_least(7);
        assert!(page.take_notice().is_some(), "there is one to take");
        "the page"
    }
    /// Returns the handlers, and if each only takes a flash.
    fn handlers() -> [(&'static str, bool, Case<Visit>); 5] {
        [
            ("an addition", false, case(hit)),
            ("a maximum", false, case(best)),
            ("a minimum", false, case(least)),
            ("a take", true, case(take_one)),
            ("all of these", false, case(count_all)),
        ]
    }
    let app = env.app().await;
    for method in [Method::GET, Method::HEAD] {
        for is_rotated in [false, true] {
            for (what, only_takes, handler) in handlers() {
                let browser = app.browser();
                browser.send_post(flash_and_note).await;
                browser.visit(read).await;
                let id = record_of(&browser);
                let meanwhile = if is_rotated { case(rotate) } else { case(destroy) };
                let response = slow(&app, &browser, &method, handler, meanwhile).await;
                let context = format!("{method} with {what}, rotated: {is_rotated}");
                assert_eq!((response.status().as_u16(), response.text()), (200, "the page"), "{context}");
                assert!(response.set_cookies().is_empty(), "{context}");
                // A HEAD takes nothing, so there is nothing to refuse.
                let is_refused = method == Method::GET || !only_takes;
                assert_eq!(has_event(&app, &["Conflict", &id.to_string()]), is_refused, "{context}");
                let left = app.load(id, &["hits", "best", "notice"]).await;
                assert_eq!(left.is_some(), is_rotated, "{context}");
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
    browser.send_post(note).await;
    let old = browser.clone_jar();
    browser.send_post(rotate).await;
    assert_eq!(old.send(hit).await.status(), 200);
    assert_eq!(old.send_post(hit).await.status(), 409);
    assert_eq!(browser.visit(read).await, "- x 0");
}

/// A value that a handler put or a change that it ordered is refused with a 409 if it is not stored.
pub async fn what_somebody_put_is_worth_more_than_the_page(env: TestEnvironment) {
    let app = env.app().await;
    let hit_and_note = async |mut page: Visit| {
        page.add_hits(1);
        page.set_note("y");
    };
    let hit_and_rotate = async |mut page: Visit| {
        page.add_hits(1);
        page.rotate();
    };
    let hit_and_clear = async |mut page: Visit| {
        page.add_hits(1);
        page.clear();
    };
    let hit_and_save = async |mut page: Visit| {
        page.add_hits(1);
        page.save().await
    };
    for (method, what, handler) in [
        (Method::GET, "a note", case(async |mut page: Visit| page.set_note("y"))),
        (Method::GET, "a first value", case(async |mut page: Visit| page.set_origin("x"))),
        (Method::GET, "a flash", case(async |mut page: Visit| page.flash_notice("y"))),
        (Method::GET, "an addition and a note", case(hit_and_note)),
        (Method::GET, "an addition and a rotation", case(hit_and_rotate)),
        (Method::GET, "an addition and a clear", case(hit_and_clear)),
        (Method::GET, "an addition and a save", case(hit_and_save)),
        (Method::GET, "a fetched addition", case(fetch_hit)),
        (Method::POST, "an addition", case(hit)),
        (Method::POST, "a maximum", case(best)),
        (Method::POST, "a take", case(take_one)),
        (Method::PUT, "a minimum", case(least)),
    ] {
        let browser = app.browser();
        browser.send_post(flash_and_note).await;
        let response = slow(&app, &browser, &method, handler, case(destroy)).await;
        assert_eq!(response.status(), 409, "{method} with {what}");
        assert!(response.set_cookies().is_empty(), "{method} with {what}");
    }
}

/// A request from another site that may lack its cookie begins no session, which would replace that cookie.
pub async fn a_request_that_may_lack_its_cookie_begins_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.send_post(login_ada).await;
    let abroad = browser.from_another_site();
    app.calls.clear();
    app.events();
    for (what, handler) in [
        ("an addition", case(hit)),
        ("a note", case(note)),
        ("a flash", case(flash)),
        ("a rotation", case(rotate)),
    ] {
        let response = abroad.send_post(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "{what}");
        let is_reported = has_event(&app, &["CrossSite", "is_login: false"]);
        assert_eq!(is_reported, what != "a rotation", "{what}");
    }
    let note_and_save = async |mut page: Visit| {
        page.set_note("x");
        page.save().await
    };
    for (what, handler) in [("a save", case(note_and_save)), ("a fetched addition", case(fetch_hit))] {
        let response = abroad.send_post(handler).await;
        assert_eq!((response.status(), response.set_cookies().len()), (StatusCode::FORBIDDEN, 0), "{what}");
        assert!(has_event(&app, &["CrossSite", "is_login: false"]), "{what}");
    }
    assert_eq!(app.calls(), []);
    assert_eq!(browser.visit(read).await, "ada - 0", "the login is as it was");
    assert_eq!(abroad.visit(read).await, "ada - 0", "a link brings the cookie");
    abroad.visit(hit).await;
    assert_eq!(browser.visit(read).await, "ada - 1");
    // No cookie can be lost here.
    assert_eq!(app.browser().send_post(note).await.set_cookies().len(), 1, "this site's");
    assert_eq!(app.browser().from_another_site().send(note).await.set_cookies().len(), 1, "a link");
    let dead = app.browser();
    dead.send_post(note).await;
    let stolen = format!("{COOKIE}={}", dead.cookie(COOKIE).expect("a cookie"));
    dead.send_post(destroy).await;
    let with_cookie = Request::post("/").header("cookie", stolen);
    let came = dead.from_another_site().send_as(with_cookie, note).await;
    assert_eq!(came.set_cookies().len(), 1, "the cookie came, and is worth nothing");

    for (same_site, links, forms) in [(SameSite::Strict, 0, 0), (SameSite::None, 1, 1)] {
        let cookie = CookieConfig::default().with_same_site(same_site);
        let app = env.app_with(|layer| layer.with_cookie(cookie).expect("a cookie that browsers take")).await;
        let abroad = || app.browser().from_another_site();
        assert_eq!(abroad().send(note).await.set_cookies().len(), links, "{same_site:?}");
        assert_eq!(abroad().send_post(note).await.set_cookies().len(), forms, "{same_site:?}");
    }
}

/// Another site logs no browser in, unless the layer allows it.
pub async fn no_other_site_logs_a_browser_in(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.send_post(login_ada).await;
    app.calls.clear();
    app.events();
    let note_and_login = async |mut page: Visit| {
        page.set_note("mallory");
        page.set_user("mallory");
    };
    let login_and_save = async |mut page: Visit| {
        page.set_user("mallory");
        page.save().await
    };
    for (what, handler) in [
        ("a login", case(async |mut page: Visit| page.set_user("mallory"))),
        ("a note and a login", case(note_and_login)),
        ("a login and a save", case(login_and_save)),
    ] {
        let response = browser.from_another_site().send_post(handler).await;
        assert_eq!((response.status(), response.set_cookies().len()), (StatusCode::FORBIDDEN, 0), "{what}");
        assert!(has_event(&app, &["CrossSite", "is_login: true", "with_cross_site_logins"]), "{what}");
    }
    assert_eq!(app.calls(), []);
    assert_eq!(browser.visit(read).await, "ada - 0");

    let app = env.app_with(SessionLayer::with_cross_site_logins).await;
    let browser = app.browser();
    browser.send_post(note).await;
    let login_bea = async |mut page: Visit| page.set_user("bea");
    let response = browser.from_another_site().send_post(login_bea).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(browser.visit(read).await, "bea - 0");
    app.events();
    let response = browser.from_another_site().send_post(note).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "no login");
    assert!(has_event(&app, &["CrossSite", "is_login: false"]));
    assert_eq!(browser.visit(read).await, "bea - 0");
}
