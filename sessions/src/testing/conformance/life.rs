//! When a session comes to be, what it costs, and how it ends.

use super::{
    super::Operation,
    environment::{COOKIE, TestEnvironment, at_once, record_of, session},
    kit::{Kit, Other},
    reply::text,
};
use crate::{
    TypedSession,
    layer::OnServerError,
    random,
    value::{RecordId, Secret, Token},
};

/// A new session has no id, changes nothing and reaches no store.
pub async fn a_new_session_costs_nothing(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.browser();
    for (path, body) in [("/is-new", "true"), ("/id", ""), ("/name", "-"), ("/count", "0")] {
        let response = browser.get(path).await;
        assert_eq!(response.text(), body, "{path}");
        assert!(response.set_cookies().is_empty(), "{path}");
    }
    assert_eq!(app.calls(), []);
}

/// Tokens that nobody was given create nothing.
pub async fn a_thousand_unknown_ids_create_no_record(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.browser();
    let mut ids = Vec::new();
    for _ in 0..1000 {
        let token = unknown_token();
        ids.push(token.id());
        browser.set_cookie_raw(COOKIE, &token.expose());
        let response = browser.get("/name").await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "-"));
        assert!(response.set_cookies().is_empty(), "neither a cookie nor a removal");
    }
    assert_eq!(app.calls.count(Operation::Load), 1000);
    assert_eq!(app.calls.writes(), 0);
    for id in ids {
        assert!(app.load(id, &[]).await.is_none());
    }
}

/// Who comes with an id gets another one.
pub async fn a_planted_id_is_never_adopted(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.browser();
    let planted = unknown_token();
    browser.set_cookie_raw(COOKIE, &planted.expose());
    assert_eq!(browser.get("/set-name/Ada").await.status(), 200);
    assert_ne!(record_of(&browser), planted.id());
    assert!(app.load(planted.id(), &[]).await.is_none());
    assert_eq!(browser.get("/name").await.text(), "Ada");
}

/// What is no token is no reason to ask the store, and none to fail.
pub async fn malformed_tokens_reach_no_store(env: TestEnvironment) {
    let app = env.kit().await;
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
        let response = app.browser().get_with("/name", "cookie", format!("{COOKIE}={value}")).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "{value:.80}");
    }
    let not_text = [COOKIE.as_bytes(), b"=", &[0xff; 66]].concat();
    assert_eq!(app.browser().get_with("/name", "cookie", not_text).await.text(), "-");
    assert_eq!(app.calls(), []);
    assert_eq!(visitor.get("/name").await.text(), "Ada", "the good one still is");
}

/// Reading sends no cookie, whether there is a session or not.
pub async fn reading_sets_no_cookie(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    for browser in [app.browser(), visitor] {
        for path in ["/name", "/count", "/notice", "/is-new"] {
            assert!(browser.get(path).await.set_cookies().is_empty(), "{path}");
        }
    }
    assert_eq!(app.calls.writes(), 0);
}

/// A handler that takes no session costs no store call, cookie or not.
pub async fn an_untouched_request_makes_no_store_call(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    for browser in [app.browser(), visitor] {
        let response = browser.get("/nothing").await;
        assert_eq!(response.status(), 200);
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }
    assert_eq!(app.calls(), []);
}

/// A visitor who leaves nothing behind is not stored.
pub async fn a_visitor_who_writes_nothing_is_not_stored(env: TestEnvironment) {
    let app = env.kit().await;
    let idle = [
        "/remove-name",
        "/set-and-remove-name/x",
        "/tags-same",
        // Its default, which it has anyway.
        "/set-count/0",
        "/take-notice",
        "/discard-notice",
        "/now/x",
        "/flash-and-take/x",
        "/clear",
        "/rotate",
        "/end",
    ];
    for path in idle {
        let browser = app.browser();
        let response = browser.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.set_cookies().is_empty(), "{path}: {:?}", response.set_cookies());
    }
    assert_eq!(app.calls(), []);
}

/// The removal matches the cookie in everything but age, and a second logout changes nothing.
pub async fn destroy_removes_the_cookie_as_it_was_set(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.browser();
    let attributes = |line: &str| {
        let parts = line.split("; ").map(str::to_owned);
        parts.skip(1).filter(|part| !part.starts_with("Max-Age")).collect::<Vec<_>>()
    };
    let set = browser.get("/set-name/Ada").await.set_cookies();
    let stolen = browser.clone_jar();
    let id = record_of(&browser);
    let removal = browser.get("/end-twice").await.set_cookies();
    assert_eq!(removal.len(), 1);
    assert!(removal[0].starts_with("__Host-sid=;") && removal[0].contains("Max-Age=0"), "{removal:?}");
    assert_eq!(attributes(&removal[0]), attributes(&set[0]));
    assert!(browser.cookie(COOKIE).is_none());
    assert!(app.load(id, &[]).await.is_none());
    let again = stolen.get("/end").await;
    assert_eq!(again.status(), 200);
    assert!(again.set_cookies().is_empty(), "a dead token gets neither a cookie nor a removal");
    assert_eq!(stolen.get("/name").await.text(), "-");
}

/// What is set after a destroy goes into a new record; nothing of the old one comes with it.
pub async fn use_after_destroy_starts_a_fresh_record(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    browser.get("/set-count/5").await;
    let (old, stolen) = (record_of(&browser), browser.clone_jar());
    let response = browser.get("/end-and-begin/Grace").await;
    assert_eq!(response.set_cookies().len(), 1, "one cookie, and no removal beside it");
    assert_ne!(record_of(&browser), old);
    assert_eq!(browser.get("/name").await.text(), "Grace");
    assert_eq!(browser.get("/count").await.text(), "0");
    assert!(app.load(old, &[]).await.is_none());
    assert_eq!(stolen.get("/name").await.text(), "-");
}

/// A handle taken before the destroy has no say after it, whenever it is dropped.
pub async fn an_earlier_handle_has_no_say_after_a_destroy(env: TestEnvironment) {
    let app = env
        .app_answering(|mut parts| async move {
            let mut kit: TypedSession<Kit> = session(&mut parts).await?;
            if parts.uri.path() == "/set" {
                kit.set_name("Ada");
                return text("done");
            }
            kit.set_name("after all");
            let other: TypedSession<Other> = session(&mut parts).await?;
            other.destroy();
            drop(other);
            match parts.uri.path() {
                "/end" => kit.discard_changes(),
                "/end-clear" => kit.clear(),
                "/end-save" => drop(kit.save().await.expect_err("it was another record's")),
                "/end-reload" => drop(kit.reload().await.expect_err("it was another record's")),
                other => panic!("there is no `{other}`"),
            }
            assert_eq!(kit.name(), None);
            kit.set_name("once more");
            drop(kit);
            text("done")
        })
        .await;
    for path in ["/end", "/end-clear", "/end-save", "/end-reload"] {
        let browser = app.browser();
        browser.get("/set").await;
        let id = record_of(&browser);
        app.calls.clear();
        assert_eq!(browser.get(path).await.text(), "done", "{path}");
        assert!(browser.cookie(COOKIE).is_none(), "{path}");
        assert!(app.load(id, &[]).await.is_none(), "{path}");
        assert_eq!(app.calls.count(Operation::Create), 0, "{path}: nothing of it goes into a new session");
    }
}

/// What a handler changed before it failed did not happen.
pub async fn a_server_error_drops_the_changes(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    for path in ["/set-name-and-fail/x", "/set-name-and-give-up/x"] {
        assert!(browser.get(path).await.set_cookies().is_empty(), "{path}");
        assert!(app.browser().get(path).await.set_cookies().is_empty(), "{path}");
        assert_eq!(browser.get("/name").await.text(), "Ada", "{path}");
    }
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.get("/save-name-and-fail/saved").await.status(), 500);
    assert_eq!(browser.get("/name").await.text(), "saved", "what was saved is not undone");
}

/// Unless the layer is told to keep it.
pub async fn a_server_error_commits_if_told_to(env: TestEnvironment) {
    let app = env.kit_with(|layer| layer.with_on_server_error(OnServerError::Commit)).await;
    let browser = app.browser();
    assert_eq!(browser.get("/set-name-and-fail/x").await.status(), 500);
    assert_eq!(browser.get("/name").await.text(), "x");
    assert_eq!(browser.get("/set-name-and-give-up/y").await.status(), 408);
    assert_eq!(browser.get("/name").await.text(), "x", "a handler that was given up on is half done");
}

/// A logout and an explicit rotation happen all the same.
pub async fn logout_and_rotation_survive_a_server_error(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let stolen = browser.clone_jar();
    let response = browser.get("/rotate-and-fail/x").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (502, 1));
    assert_eq!(browser.get("/name").await.text(), "Ada", "rotated, but without the put");
    assert_eq!(stolen.get("/name").await.text(), "-");
    let stolen = browser.clone_jar();
    let response = browser.get("/end-and-fail").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(stolen.get("/name").await.text(), "-");
}

/// A client that goes away leaves all of a change or none of it, wherever its request was.
pub async fn a_disconnect_leaves_all_or_none(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);

    // In the handler: none.
    let tab = browser.fork();
    let request = tokio::spawn(async move { tab.get("/wait/change-some/Bea").await });
    app.gate.arrived().await;
    request.abort();
    assert!(request.await.is_err());
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
    assert_eq!(app.calls.writes(), 0);

    // In the commit: all.
    for late in [false, true] {
        let hold =
            if late { app.faults.hold_answer(Operation::Commit) } else { app.faults.hold(Operation::Commit) };
        let tab = browser.fork();
        let name = format!("Cyd{late}");
        let path = format!("/change-some/{name}");
        let request = tokio::spawn(async move { tab.get(&path).await });
        hold.arrived().await;
        request.abort();
        assert!(request.await.is_err());
        let before = number(app.stored(id, "count").await);
        hold.release();
        // It goes on in a task of its own, which nobody can wait for any more.
        while app.stored(id, "name").await != Some(format!("\"{name}\"")) {
            tokio::task::yield_now().await;
        }
        let after = number(app.stored(id, "count").await);
        assert_eq!(after, if late { before } else { before + 1 }, "both fields, or neither");
    }
}

/// A handler that panics changes nothing.
pub async fn a_panicking_handler_commits_nothing(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let tab = browser.fork();
    assert!(tokio::spawn(async move { tab.get("/set-name-and-panic/x").await }).await.is_err());
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.get("/name").await.text(), "Ada");
}

/// Views taken one after another in one request are of one session, which is loaded once and
/// committed once.
pub async fn views_in_one_request_see_each_others_writes(env: TestEnvironment) {
    let app = env
        .app_answering(|mut parts| async move {
            let mut kit: TypedSession<Kit> = session(&mut parts).await?;
            kit.set_name("Ada");
            kit.set_count(4);
            drop(kit);
            let mut other: TypedSession<Other> = session(&mut parts).await?;
            assert_eq!(other.name(), Some("Ada"));
            other.set_name("Grace");
            other.set_theme("dark");
            drop(other);
            let kit: TypedSession<Kit> = session(&mut parts).await?;
            assert_eq!((kit.name(), kit.count()), (Some("Grace"), 4));
            text("done")
        })
        .await;
    let browser = app.browser();
    for _ in 0..2 {
        assert_eq!(browser.get("/").await.text(), "done");
    }
    let operations: Vec<_> = app.calls().iter().map(super::super::Call::operation).collect();
    let expected = [Operation::Create, Operation::Load];
    assert_eq!(operations[..2], expected, "the second request changes nothing but what it began with");
    let loads = operations.iter().filter(|operation| **operation == Operation::Load).count();
    assert!(loads <= 2, "a load for each view at most: {operations:?}");
    let id = record_of(&browser);
    let stored = app.load(id, &["name", "count", "theme"]).await.expect("the record");
    let names: Vec<_> = stored.fields.iter().map(|(name, _)| name.as_str().to_owned()).collect();
    assert_eq!(names, ["count", "name", "theme"]);
}

/// Many first requests of one browser at once each get a session that works.
pub async fn sessions_that_begin_at_once_are_separate(env: TestEnvironment) {
    let app = env.kit().await;
    let browsers: Vec<_> = (0..20).map(|_| app.browser()).collect();
    let visits = browsers.iter().cloned().enumerate().map(|(index, browser)| async move {
        browser.get(&format!("/set-name/visitor-{index}")).await;
    });
    at_once(visits).await;
    let mut ids: Vec<_> = browsers.iter().map(record_of).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    for (index, browser) in browsers.iter().enumerate() {
        assert_eq!(browser.get("/name").await.text(), format!("visitor-{index}"));
    }
}

fn unknown_token() -> Token {
    let id = RecordId::from_bytes(random::bytes().expect("random bytes"));
    Token::new(id, Secret::from_bytes(random::bytes().expect("random bytes")))
}

fn number(stored: Option<String>) -> u32 {
    stored.map_or(0, |stored| stored.parse().expect("a number"))
}
