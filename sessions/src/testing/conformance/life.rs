//! The beginning of a session, its cost, and its end.

use http::{Request, StatusCode, request::Parts};

use super::{
    super::{Call, Gate, Operation},
    environment::{COOKIE, TestEnvironment, at_once, record_of, session},
    handler::{Case, case, gated},
    reply::HandlerFailure,
};
use crate::{
    Session, TypedSession,
    error::Error,
    layer::OnServerError,
    random,
    rejection::SessionRejection,
    value::{RecordId, Secret, Token},
};

#[derive(Session)]
struct Guest {
    name: Option<String>,
    count: u32,
    #[session(merge = "last")]
    tags: Vec<String>,
    #[flash]
    notice: Option<String>,
}

/// Another view of the same session.
#[derive(Session)]
struct ThemedGuest {
    name: Option<String>,
    theme: Option<String>,
}

type Visit = TypedSession<Guest>;
type ThemedVisit = TypedSession<ThemedGuest>;

/// Returns the name, or `-` without one.
async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

async fn count(session: Visit) -> String {
    session.count().to_string()
}

async fn notice(session: Visit) -> String {
    session.notice().unwrap_or("-").to_owned()
}

async fn is_new(session: Visit) -> String {
    session.is_new().to_string()
}

async fn set_name(mut session: Visit) {
    session.set_name("Ada");
}

async fn destroy(session: Visit) {
    session.destroy();
}

/// Returns a handler that sets the name and answers with this status.
fn set_name_and_answer(name: &'static str, status: StatusCode) -> Case<Visit> {
    case(async move |mut session: Visit| {
        session.set_name(name);
        status
    })
}

/// Returns a handler that changes two fields, so that a commit of one would show.
fn change_two_fields(name: &'static str) -> Case<Visit> {
    case(async move |mut session: Visit| {
        session.set_name(name);
        session.set_count(session.count() + 1);
    })
}

/// A new session has no id, changes nothing and reaches no store.
pub async fn a_new_session_costs_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let id = async |session: Visit| session.record_id().map(|id| id.to_string()).unwrap_or_default();
    for (what, handler, body) in [
        ("is new", case(is_new), "true"),
        ("the id", case(id), ""),
        ("the name", case(name), "-"),
        ("the count", case(count), "0"),
    ] {
        let response = browser.send(handler).await;
        assert_eq!(response.text(), body, "{what}");
        assert!(response.set_cookies().is_empty(), "{what}");
    }
    assert_eq!(app.calls(), []);
}

/// Tokens that the application never gave out create no record.
pub async fn a_thousand_unknown_ids_create_no_record(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let mut ids = Vec::new();
    for _ in 0..1000 {
        let token = unknown_token();
        ids.push(token.id());
        browser.set_cookie_raw(COOKIE, &token.expose());
        let response = browser.send(name).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "-"));
        assert!(response.set_cookies().is_empty(), "neither a cookie nor a removal");
    }
    assert_eq!(app.calls.count(Operation::Load), 1000);
    assert_eq!(app.calls.writes(), 0);
    for id in ids {
        assert!(app.load(id, &[]).await.is_none());
    }
}

/// A browser that comes with an unknown id gets another one.
pub async fn a_planted_id_is_never_adopted(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let planted = unknown_token();
    browser.set_cookie_raw(COOKIE, &planted.expose());
    browser.visit(set_name).await;
    assert_ne!(record_of(&browser), planted.id());
    assert!(app.load(planted.id(), &[]).await.is_none());
    assert_eq!(browser.visit(name).await, "Ada");
}

/// A cookie that holds no token reaches no store and fails no request.
pub async fn malformed_tokens_reach_no_store(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    let good = visitor.cookie(COOKIE).expect("a cookie");
    let mut bad = vec![
        String::new(),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        format!("{good}="),
        format!("\"{good}"),
        format!("\"\"{good}\"\""),
        format!("%00{}", &good[3..]),
        good.replace(|character: char| character.is_ascii_alphabetic(), "+"),
        "A".repeat(1 << 20),
        "\u{fffd}".repeat(22),
        "../../../../etc/passwd".to_owned(),
        "null".to_owned(),
    ];
    bad.extend((0..good.len()).step_by(7).map(|length| good[..length].to_owned()));
    for value in bad {
        let request = Request::get("/").header("cookie", format!("{COOKIE}={value}"));
        let response = app.browser().send_as(request, name).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "{value:.80}");
    }
    let not_text = Request::get("/").header("cookie", [COOKIE.as_bytes(), b"=", &[0xff; 66]].concat());
    assert_eq!(app.browser().send_as(not_text, name).await.text(), "-");
    assert_eq!(app.calls(), []);
    assert_eq!(visitor.visit(name).await, "Ada", "the good one still is");
}

/// A request that only reads sends no cookie, with a session or without one.
pub async fn reading_sets_no_cookie(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    for browser in [app.browser(), visitor] {
        for (what, handler) in [
            ("the name", case(name)),
            ("the count", case(count)),
            ("the notice", case(notice)),
            ("is new", case(is_new)),
        ] {
            assert!(browser.send(handler).await.set_cookies().is_empty(), "{what}");
        }
    }
    assert_eq!(app.calls.writes(), 0);
}

/// A handler that takes no session costs no store call, with a cookie or without one.
pub async fn an_untouched_request_makes_no_store_call(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    for browser in [app.browser(), visitor] {
        let response = browser.send(async || ()).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }
    assert_eq!(app.calls(), []);
}

/// A visitor whose request ends without a value is not stored.
pub async fn a_visitor_who_writes_nothing_is_not_stored(env: TestEnvironment) {
    let app = env.app().await;
    let set_and_remove = async |mut session: Visit| {
        session.set_name("x");
        session.remove_name();
    };
    let set_all_as_they_are = async |mut session: Visit| {
        session.tags_mut();
        session.set_count(session.count());
        let name = session.name().map(str::to_owned);
        if let Some(name) = name {
            session.set_name(name);
        }
    };
    let flash_and_take = async |mut session: Visit| {
        session.flash_notice("x");
        session.take_notice();
    };
    for (what, handler) in [
        ("a removal", case(async |mut session: Visit| session.remove_name())),
        ("a set and a removal", case(set_and_remove)),
        ("the values that are there", case(set_all_as_they_are)),
        ("the default", case(async |mut session: Visit| session.set_count(0))),
        ("a take", case(async |mut session: Visit| drop(session.take_notice()))),
        ("a discard", case(async |mut session: Visit| session.discard_notice())),
        ("a flash for now", case(async |mut session: Visit| session.flash_now_notice("x"))),
        ("a flash and a take", case(flash_and_take)),
        ("a clear", case(async |session: Visit| session.clear())),
        ("a rotation", case(async |session: Visit| session.rotate())),
        ("a destroy", case(destroy)),
    ] {
        let browser = app.browser();
        let response = browser.send(handler).await;
        assert_eq!(response.status(), 200, "{what}");
        assert!(response.set_cookies().is_empty(), "{what}: {:?}", response.set_cookies());
    }
    assert_eq!(app.calls(), []);
}

/// The removal matches the cookie in everything but age, and a second logout changes nothing.
pub async fn destroy_removes_the_cookie_as_it_was_set(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let attributes = |line: &str| {
        let parts = line.split("; ").map(str::to_owned);
        parts.skip(1).filter(|part| !part.starts_with("Max-Age")).collect::<Vec<_>>()
    };
    let set = browser.send(set_name).await.set_cookies();
    let stolen = browser.clone_jar();
    let id = record_of(&browser);
    let destroy_twice = async |session: Visit| {
        session.destroy();
        session.destroy();
    };
    let removal = browser.send(destroy_twice).await.set_cookies();
    assert_eq!(removal.len(), 1);
    assert!(removal[0].starts_with("__Host-sid=;") && removal[0].contains("Max-Age=0"), "{removal:?}");
    assert_eq!(attributes(&removal[0]), attributes(&set[0]));
    assert!(browser.cookie(COOKIE).is_none());
    assert!(app.load(id, &[]).await.is_none());
    let again = stolen.send(destroy).await;
    assert_eq!(again.status(), 200);
    assert!(again.set_cookies().is_empty(), "a dead token gets neither a cookie nor a removal");
    assert_eq!(stolen.visit(name).await, "-");
}

/// A field that is set after a destroy goes into a new record, without the values of the old one.
pub async fn use_after_destroy_starts_a_fresh_record(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.set_count(5)).await;
    let (old, stolen) = (record_of(&browser), browser.clone_jar());
    let destroy_and_begin = async |mut session: Visit| {
        session.destroy();
        assert!(session.name().is_none() && session.record_id().is_none(), "nothing is left");
        session.set_name("Grace");
    };
    let response = browser.send(destroy_and_begin).await;
    assert_eq!(response.set_cookies().len(), 1, "one cookie, and no removal beside it");
    assert_ne!(record_of(&browser), old);
    assert_eq!(browser.visit(name).await, "Grace");
    assert_eq!(browser.visit(count).await, "0");
    assert!(app.load(old, &[]).await.is_none());
    assert_eq!(stolen.visit(name).await, "-");
}

/// A handle taken before the destroy changes nothing after it, whenever it is dropped.
pub async fn an_earlier_handle_has_no_say_after_a_destroy(env: TestEnvironment) {
    /// Changes the session, destroys it by another handle, and returns the earlier one.
    async fn destroy_beside(parts: &mut Parts) -> Result<Visit, SessionRejection> {
        let mut earlier: Visit = session(parts).await?;
        earlier.set_name("after all");
        let other: ThemedVisit = session(parts).await?;
        other.destroy();
        Ok(earlier)
    }
    /// Changes the session by the earlier handle and drops it.
    fn set_again(mut earlier: Visit) -> &'static str {
        assert_eq!(earlier.name(), None);
        earlier.set_name("once more");
        "done"
    }
    let discard = async |mut parts: Parts| {
        let earlier = destroy_beside(&mut parts).await?;
        earlier.discard_changes();
        Ok::<_, HandlerFailure>(set_again(earlier))
    };
    let clear = async |mut parts: Parts| {
        let earlier = destroy_beside(&mut parts).await?;
        earlier.clear();
        Ok::<_, HandlerFailure>(set_again(earlier))
    };
    let save = async |mut parts: Parts| {
        let earlier = destroy_beside(&mut parts).await?;
        drop(earlier.save().await.expect_err("it was another record's"));
        Ok::<_, HandlerFailure>(set_again(earlier))
    };
    let reload = async |mut parts: Parts| {
        let mut earlier = destroy_beside(&mut parts).await?;
        drop(earlier.reload().await.expect_err("it was another record's"));
        Ok::<_, HandlerFailure>(set_again(earlier))
    };
    let app = env.app().await;
    for (what, handler) in [
        ("a discard", case(discard)),
        ("a clear", case(clear)),
        ("a save", case(save)),
        ("a reload", case(reload)),
    ] {
        let browser = app.browser();
        browser.visit(set_name).await;
        let id = record_of(&browser);
        app.calls.clear();
        assert_eq!(browser.send(handler).await.text(), "done", "{what}");
        assert!(browser.cookie(COOKIE).is_none(), "{what}");
        assert!(app.load(id, &[]).await.is_none(), "{what}");
        assert_eq!(app.calls.count(Operation::Create), 0, "{what}: nothing of it goes into a new session");
    }
}

/// A failed request drops its changes, except those that it has saved.
pub async fn a_server_error_drops_the_changes(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::REQUEST_TIMEOUT] {
        let set_and_fail = || set_name_and_answer("x", status);
        assert!(browser.send(set_and_fail()).await.set_cookies().is_empty(), "{status}");
        assert!(app.browser().send(set_and_fail()).await.set_cookies().is_empty(), "{status}");
        assert_eq!(browser.visit(name).await, "Ada", "{status}");
    }
    assert_eq!(app.calls.writes(), 0);
    let save_and_fail = async |mut session: Visit| {
        session.set_name("saved");
        session.save().await?;
        Ok::<_, Error>(StatusCode::INTERNAL_SERVER_ERROR)
    };
    assert_eq!(browser.send(save_and_fail).await.status(), 500);
    assert_eq!(browser.visit(name).await, "saved", "what was saved is not undone");
}

/// A layer that is configured so commits the changes of a server error.
pub async fn a_server_error_commits_if_told_to(env: TestEnvironment) {
    let app = env.app_with(|layer| layer.with_on_server_error(OnServerError::Commit)).await;
    let browser = app.browser();
    let set_and_fail = set_name_and_answer("x", StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(browser.send(set_and_fail).await.status(), 500);
    assert_eq!(browser.visit(name).await, "x");
    let set_and_give_up = set_name_and_answer("y", StatusCode::REQUEST_TIMEOUT);
    assert_eq!(browser.send(set_and_give_up).await.status(), 408);
    assert_eq!(browser.visit(name).await, "x", "a handler that was given up on is half done");
}

/// A logout and an explicit rotation are committed even if the request fails.
pub async fn logout_and_rotation_survive_a_server_error(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let stolen = browser.clone_jar();
    let rotate_and_fail = async |mut session: Visit| {
        session.rotate();
        session.set_name("x");
        StatusCode::BAD_GATEWAY
    };
    let response = browser.send(rotate_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (502, 1));
    assert_eq!(browser.visit(name).await, "Ada", "rotated, but without the put");
    assert_eq!(stolen.visit(name).await, "-");
    let stolen = browser.clone_jar();
    let destroy_and_fail = async |session: Visit| {
        session.destroy();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let response = browser.send(destroy_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(stolen.visit(name).await, "-");
}

/// A disconnect leaves all of a change or none of it, at any point of the request.
pub async fn a_disconnect_leaves_all_or_none(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);

    // In the handler: none.
    let gate = Gate::new();
    let request = tokio::spawn(browser.send(gated(&gate, change_two_fields("Bea"))));
    gate.arrived().await;
    request.abort();
    assert!(request.await.is_err());
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
    assert_eq!(app.calls.writes(), 0);

    // In the commit: all.
    for (late, name) in [(false, "Cyd"), (true, "Dot")] {
        let hold =
            if late { app.faults.hold_answer(Operation::Commit) } else { app.faults.hold(Operation::Commit) };
        let request = tokio::spawn(browser.send(change_two_fields(name)));
        hold.arrived().await;
        request.abort();
        assert!(request.await.is_err());
        let before = number(app.stored(id, "count").await);
        hold.release();
        // It goes on in a task of its own, which the scenario cannot join.
        while app.stored(id, "name").await != Some(format!("\"{name}\"")) {
            tokio::task::yield_now().await;
        }
        let after = number(app.stored(id, "count").await);
        assert_eq!(after, if late { before } else { before + 1 }, "both fields, or neither");
    }
}

/// A handler that panics changes nothing.
pub async fn a_panicking_handler_commits_nothing(env: TestEnvironment) {
    async fn set_name_and_panic(mut session: Visit) {
        session.set_name("x");
        panic!("as the scenario wants it");
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    assert!(tokio::spawn(browser.send(set_name_and_panic)).await.is_err());
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.visit(name).await, "Ada");
}

/// Views that one request takes in turn are of one session, which is loaded once and committed once.
pub async fn views_in_one_request_see_each_others_writes(env: TestEnvironment) {
    async fn take_three_views(mut parts: Parts) -> Result<(), SessionRejection> {
        let mut guest: Visit = session(&mut parts).await?;
        guest.set_name("Ada");
        guest.set_count(4);
        drop(guest);
        let mut themed: ThemedVisit = session(&mut parts).await?;
        assert_eq!(themed.name(), Some("Ada"));
        themed.set_name("Grace");
        themed.set_theme("dark");
        drop(themed);
        let guest: Visit = session(&mut parts).await?;
        assert_eq!((guest.name(), guest.count()), (Some("Grace"), 4));
        Ok(())
    }
    let app = env.app().await;
    let browser = app.browser();
    for _ in 0..2 {
        assert_eq!(browser.send(take_three_views).await.status(), 200);
    }
    let operations: Vec<_> = app.calls().iter().map(Call::operation).collect();
    let expected = [Operation::Create, Operation::Load];
    assert_eq!(operations[..2], expected, "the second request changes nothing but what it began with");
    let loads = operations.iter().filter(|operation| **operation == Operation::Load).count();
    assert!(loads <= 2, "a load for each view at most: {operations:?}");
    let id = record_of(&browser);
    let stored = app.load(id, &["name", "count", "theme"]).await.expect("the record");
    let names: Vec<_> = stored.fields.iter().map(|(name, _)| name.as_str().to_owned()).collect();
    assert_eq!(names, ["count", "name", "theme"]);
}

/// Many first requests at once each get a session that works.
pub async fn sessions_that_begin_at_once_are_separate(env: TestEnvironment) {
    let app = env.app().await;
    let browsers: Vec<_> = (0..20).map(|_| app.browser()).collect();
    let visits = browsers.iter().enumerate().map(|(index, browser)| {
        browser.visit(async move |mut session: Visit| session.set_name(format!("visitor-{index}")))
    });
    at_once(visits).await;
    let mut ids: Vec<_> = browsers.iter().map(record_of).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    for (index, browser) in browsers.iter().enumerate() {
        assert_eq!(browser.visit(name).await, format!("visitor-{index}"));
    }
}

fn unknown_token() -> Token {
    let id = RecordId::from_bytes(random::bytes().expect("random bytes"));
    Token::new(id, Secret::from_bytes(random::bytes().expect("random bytes")))
}

fn number(stored: Option<String>) -> u32 {
    stored.map_or(0, |stored| stored.parse().expect("a number"))
}
