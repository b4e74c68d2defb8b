//! What another version of the program, or another part of it, has left behind: rights that are none, rights that
//! cannot be read, records that cannot.

use std::time::Duration;

use http::request::Parts;

use super::{
    contract::{TIMEOUTS, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    reply::{HandlerFailure, HandlerReply, text},
};
use crate::{
    Session, TypedSession,
    store::NewRecord,
    testing::Operation,
    value::{Authority, Credentials, FieldName, RecordId, Secret, Token, TokenHasher},
};

/// Who is logged in, with what is theirs.
#[derive(Session)]
struct Account {
    #[session(identity)]
    user_id: Option<u64>,
    #[session(privilege, alias = "old_level")]
    level: u32,
    #[session(keep_on_logout)]
    cart: Vec<String>,
    note: Option<String>,
    #[session(merge = "add")]
    visits: u32,
}

/// The next version of it.
#[derive(Session)]
struct Renamed {
    #[session(identity)]
    user_id: Option<String>,
    #[session(privilege)]
    level: u32,
    #[session(keep_on_logout)]
    cart: Vec<String>,
    note: Option<String>,
    #[session(merge = "add")]
    visits: u32,
}

/// The same with another answer to what it cannot read.
#[derive(Session)]
struct Strict {
    #[session(identity, on_invalid = "reject")]
    user_id: Option<String>,
}

/// A part of the program that uses the names for something else.
#[derive(Session)]
struct Reset {
    user_id: Option<u64>,
    old_level: u32,
    code: Option<String>,
}

/// A part that has nothing to do with rights.
#[derive(Session)]
struct Basket {
    #[session(keep_on_logout)]
    cart: Vec<String>,
    note: Option<String>,
}

/// Answers `/<view>/<command>/<argument>`.
async fn answer(mut parts: Parts) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let mut path = path[1..].splitn(3, '/');
    let mut next = || path.next().unwrap_or_default();
    let (view, command, argument) = (next(), next(), next());
    match view {
        "account" => account(session(&mut parts).await?, command, argument),
        "renamed" => renamed(session(&mut parts).await?, command, argument),
        "strict" => {
            let strict: TypedSession<Strict> = session(&mut parts).await?;
            text(strict.user_id().unwrap_or("-"))
        }
        "reset" => {
            let mut reset: TypedSession<Reset> = session(&mut parts).await?;
            match command {
                "user" => reset.set_user_id(argument.parse::<u64>().expect("a number")),
                "level" => reset.set_old_level(argument.parse().expect("a number")),
                "code" => reset.set_code(argument),
                _ => {}
            }
            text(reset.user_id().map_or_else(|| "-".to_owned(), |id| id.to_string()))
        }
        "basket" => {
            let basket: TypedSession<Basket> = session(&mut parts).await?;
            text(format!("{} {}", basket.cart().join(","), basket.note().unwrap_or("-")))
        }
        "basket-then-renamed" => {
            let basket: TypedSession<Basket> = session(&mut parts).await?;
            let before = basket.note().unwrap_or("-").to_owned();
            let renamed: TypedSession<Renamed> = session(&mut parts).await?;
            text(format!("{before} {} {}", basket.note().unwrap_or("-"), renamed.user_id().unwrap_or("-")))
        }
        other => panic!("there is no `{other}`"),
    }
}

fn account(
    mut account: TypedSession<Account>,
    command: &str,
    argument: &str,
) -> Result<HandlerReply, HandlerFailure> {
    match command {
        "login" => account.set_user_id(argument.parse::<u64>().expect("a number")),
        "level" => account.set_level(argument.parse().expect("a number")),
        "visit" => {
            account.cart_mut().push("pen".to_owned());
            account.set_note("hello");
            account.add_visits(2);
        }
        _ => {}
    }
    let is_proved = account.was_authenticated_within(Duration::from_hours(1));
    let user = account.user_id().map_or_else(|| "-".to_owned(), |id| id.to_string());
    let (level, cart, note) = (account.level(), account.cart().join(","), account.note().unwrap_or("-"));
    text(format!("{user} {is_proved} {level} {cart} {note} {}", account.visits()))
}

fn renamed(
    mut renamed: TypedSession<Renamed>,
    command: &str,
    argument: &str,
) -> Result<HandlerReply, HandlerFailure> {
    match command {
        "login" => renamed.set_user_id(argument),
        "logout" => renamed.remove_user_id(),
        "level" => renamed.set_level(argument.parse().expect("a number")),
        "note" => renamed.set_note(argument),
        "rotate" => renamed.rotate(),
        "clear" => renamed.clear(),
        _ => {}
    }
    let is_proved = renamed.was_authenticated_within(Duration::from_hours(1));
    let (user, level, cart) = (renamed.user_id().unwrap_or("-"), renamed.level(), renamed.cart().join(","));
    text(format!("{user} {is_proved} {level} {cart} {} {}", renamed.note().unwrap_or("-"), renamed.visits()))
}

async fn app(env: &TestEnvironment) -> TestApp {
    env.app_answering(answer).await
}

/// Somebody who is logged in by the older version.
async fn user(app: &TestApp) -> super::super::Client {
    let browser = app.browser();
    browser.get("/account/visit").await;
    browser.get("/account/login/7").await;
    browser.get("/account/level/3").await;
    assert_eq!(browser.get("/account/read").await.text(), "7 true 3 pen hello 2");
    browser
}

/// A stored value of a right that the record does not name is none, whatever view came first, on every instance; and
/// it is none under an older name.
pub async fn a_right_that_the_record_does_not_name_is_none(env: TestEnvironment) {
    let careless = app(&env).await;
    let mut visitors = Vec::new();
    for _ in 0..2 {
        let browser = careless.browser();
        browser.get("/reset/user/7").await;
        browser.get("/reset/level/3").await;
        assert_eq!(browser.get("/reset/read").await.text(), "7");
        visitors.push(browser);
    }
    for (app, browser) in [app(&env).await, careless].into_iter().zip(visitors) {
        let browser = browser.at(&app.browser());
        app.calls.clear();
        let response = browser.get("/account/read").await;
        assert_eq!((response.text(), response.set_cookies().len()), ("- false 0  - 0", 0));
        assert_eq!(app.calls.writes(), 0);
        let told = app.events();
        for name in ["user_id", "old_level"] {
            let is_told = |event: &String| event.contains("UnnamedRight") && event.contains(name);
            assert!(told.iter().any(is_told), "{told:?}");
        }
        // Nor does a second login find somebody else there.
        let response = browser.get("/account/login/8").await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "8 false 0  - 0"));
        assert!(app.events().concat().contains("cause: Login"));
        assert_eq!(browser.get("/account/read").await.text(), "8 true 0  - 0");
    }
}

/// Once a view has said that a field is a right, one that has the name, or an older name of it, and does not say so is
/// refused: whichever came first.
pub async fn a_view_that_does_not_declare_a_known_right_is_refused(env: TestEnvironment) {
    for first in ["/reset/code/x", "/basket/read"] {
        let app = app(&env).await;
        let browser = app.browser();
        assert_eq!(browser.get(first).await.status(), 200);
        browser.get("/account/login/7").await;
        app.events();
        app.calls.clear();
        let response = browser.get("/reset/user/8").await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
        assert_eq!(app.calls(), []);
        let told = app.events().concat();
        assert!(told.contains("Misconfigured") && told.contains("`user_id` is a right"), "{told}");
        assert_eq!(browser.get("/basket/read").await.status(), 200);
        assert!(browser.get("/account/read").await.text().starts_with("7 true"));
    }
}

/// Where no view has said yet that it is a right, but the record does, what another view writes there is none: it takes
/// the right away, with a new secret.
pub async fn what_is_written_by_a_view_that_knows_no_right_is_none(env: TestEnvironment) {
    let knowing = app(&env).await;
    for path in ["/reset/user/8", "/reset/user/7"] {
        let browser = user(&knowing).await;
        let old = browser.clone_jar();
        let other = app(&env).await;
        let response = browser.at(&other.browser()).get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{path}");
        for app in [&knowing, &other] {
            let browser = browser.at(&app.browser());
            // That instance knew of nothing that is carried.
            assert_eq!(browser.get("/account/read").await.text(), "- false 0  - 0", "{path}");
            assert!(
                old.at(&app.browser()).get("/account/read").await.text().starts_with("- false 0 "),
                "{path}"
            );
        }
    }
    let browser = user(&knowing).await;
    let other = app(&env).await;
    browser.at(&other.browser()).get("/reset/level/9").await;
    assert_eq!(
        browser.get("/account/read").await.text(),
        "7 true 3 pen hello 2",
        "its older name, which is no right"
    );
}

/// A field that becomes a right in a deploy starts unset, and is one from then on.
pub async fn a_field_that_becomes_a_right_starts_unset(env: TestEnvironment) {
    #[derive(Session)]
    struct Before {
        level: u32,
        note: Option<String>,
    }

    let before = env
        .app_answering(|mut parts| async move {
            let mut view: TypedSession<Before> = session(&mut parts).await?;
            view.set_level(9);
            view.set_note("hello");
            text("done")
        })
        .await;
    let browser = before.browser();
    browser.get("/").await;
    let now = app(&env).await;
    let browser = browser.at(&now.browser());
    assert_eq!(browser.get("/account/read").await.text(), "- false 0  hello 0");
    assert_eq!(browser.get("/account/level/9").await.set_cookies().len(), 1);
    assert_eq!(browser.get("/account/read").await.text(), "- false 9  hello 0");
}

/// Of a record whose identity has another type now, a request sees what a logout would leave. It changes nothing by
/// looking, and an instance of the other version still sees the login.
pub async fn an_identity_of_another_type_locks_nobody_out(env: TestEnvironment) {
    let (older, newer) = (app(&env).await, app(&env).await);
    let browser = user(&older).await;
    let there = browser.at(&newer.browser());
    // The view that cannot read it is known from here on.
    newer.browser().get("/renamed/read").await;
    newer.calls.clear();
    newer.events();
    for (path, seen) in [("/renamed/read", "- false 0 pen - 0"), ("/basket/read", "pen -")] {
        let response = there.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "{path}");
        assert_eq!(response.text(), seen, "{path}");
        let told = newer.events().concat();
        let id = record_of(&browser).to_string();
        assert!(
            told.contains("UndecodableField") && told.contains("user_id") && told.contains(&id),
            "{told}"
        );
    }
    assert_eq!(newer.calls.writes(), 0);
    assert_eq!(there.get("/renamed/note/new").await.set_cookies().len(), 0);
    assert_eq!(browser.get("/account/read").await.text(), "7 true 3 pen new 2", "still logged in there");
    assert_eq!(there.get("/renamed/rotate").await.set_cookies().len(), 1);
    assert_eq!(browser.get("/account/read").await.text(), "7 true 3 pen new 2", "with the same rights");
}

/// A login, a logout and any other change of rights there end what cannot be read, as a change of users does.
pub async fn a_right_that_does_not_decode_ends_with_the_next_change_of_rights(env: TestEnvironment) {
    let (older, newer) = (app(&env).await, app(&env).await);
    for (path, seen) in [
        ("/renamed/login/ada", "ada true 0 pen - 0"),
        ("/renamed/logout", "- false 0 pen - 0"),
        ("/renamed/level/5", "- false 5 pen - 0"),
        ("/renamed/clear", "- false 0  - 0"),
    ] {
        let browser = user(&older).await;
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let there = browser.at(&newer.browser());
        let response = there.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{path}");
        assert_eq!(there.get("/renamed/read").await.text(), seen, "{path}");
        assert_eq!(record_of(&browser), id, "{path}");
        for browser in [&old, &browser] {
            let text = browser.get("/account/read").await.text().to_owned();
            assert!(text.starts_with("- false") && !text.contains("hello"), "{path}: {text}");
        }
        let stored = older.stored(id, "user_id").await;
        assert_eq!(stored.as_deref(), path.ends_with("ada").then_some("\"ada\""), "{path}");
    }
    // In the next request of the same handler, too, and after a save.
    let browser = user(&older).await.at(&newer.browser());
    browser.get("/renamed/login/ada").await;
    assert_eq!(browser.get("/renamed/note/mine").await.status(), 200);
    assert_eq!(browser.get("/renamed/login/bob").await.text(), "bob false 0 pen - 0");
}

/// One that says so refuses the request instead, whatever the request takes.
pub async fn a_right_that_does_not_decode_refuses_if_declared(env: TestEnvironment) {
    let (older, newer) = (app(&env).await, app(&env).await);
    let browser = user(&older).await;
    let there = browser.at(&newer.browser());
    newer.browser().get("/strict/read").await;
    for path in ["/strict/read", "/basket/read", "/strict/read"] {
        let response = there.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0), "{path}");
    }
    assert_eq!(browser.get("/account/read").await.text(), "7 true 3 pen hello 2");
}

/// A view that the instance meets in the middle of a request, and cannot read a right, counts for all of it.
pub async fn what_is_met_later_counts_for_the_whole_request(env: TestEnvironment) {
    let browser = user(&app(&env).await).await;
    let newer = app(&env).await;
    let there = browser.at(&newer.browser());
    assert_eq!(there.get("/basket-then-renamed/").await.text(), "hello - -");
    assert_eq!(there.get("/basket-then-renamed/").await.text(), "- - -");
}

/// A record whose metadata cannot be read counts as an unknown token: its browser begins anew, and it stays as it is.
pub async fn metadata_of_another_version_are_an_unknown_token(env: TestEnvironment) {
    let app = app(&env).await;
    let id = RecordId::from_bytes([9; 16]);
    let token = Token::new(id, Secret::from_bytes([7; 32]));
    let hash = TokenHasher::new(COOKIE).hash(&id, token.secret());
    let credentials = Authority::new(hash).credentials();
    let with = |rest: &[u8]| Credentials::from_bytes([credentials.as_bytes(), rest].concat());
    for later in
        [with(&[0, 99, 0, 1, 5]), with(&[0x41]), with(&[0, 1, 0]), Credentials::from_bytes(vec![1, 2, 3])]
    {
        let fields = [(FieldName::from_static("note"), json("\"hello\""))].into_iter().collect();
        let new = NewRecord::new(later.clone(), TIMEOUTS).with_fields(fields);
        app.raw.create(id, new).await.expect("an answer");
        let browser = app.browser();
        browser.set_cookie_raw(COOKIE, &token.expose());
        app.calls.clear();
        app.events();
        let response = browser.get("/account/read").await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "- false 0  - 0"), "{later:?}");
        assert!(response.set_cookies().is_empty(), "{later:?}");
        let told = app.events().concat();
        assert!(told.contains("UnreadableRecord") && told.contains(&id.to_string()), "{told}");
        assert_eq!(app.calls.writes(), 0, "{later:?}");
        assert_eq!(browser.get("/account/login/7").await.set_cookies().len(), 1, "{later:?}");
        assert_eq!(app.calls.count(Operation::Create), 1, "{later:?}");
        assert_eq!(browser.get("/account/read").await.text(), "7 true 0  - 0", "{later:?}");
        app.raw.destroy(id).await.expect("destroyed");
    }
}
