//! Rights, fields and records that another version or another part of the program has left.

use std::time::Duration;

use http::request::Parts;

use super::{
    super::{Client, Operation},
    contract::{TIMEOUTS, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    handler::{Case, case},
    reply::HandlerFailure,
};
use crate::{
    Session, TypedSession,
    store::NewRecord,
    value::{Authority, Credentials, FieldName, RecordId, Secret, Token, TokenHasher},
};

/// The session of the older version.
#[derive(Session)]
struct OlderAccount {
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

/// The session of the newer version, whose identity has another type.
#[derive(Session)]
struct NewerAccount {
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

/// A view that rejects a request whose identity does not decode.
#[derive(Session)]
struct StrictAccount {
    #[session(identity, on_invalid = "reject")]
    user_id: Option<String>,
}

/// A view that uses the names of rights for plain fields.
#[derive(Session)]
struct PasswordReset {
    user_id: Option<u64>,
    old_level: u32,
    code: Option<String>,
}

/// A view without rights.
#[derive(Session)]
struct Basket {
    #[session(keep_on_logout)]
    cart: Vec<String>,
    note: Option<String>,
}

type Older = TypedSession<OlderAccount>;
type Newer = TypedSession<NewerAccount>;
type Reset = TypedSession<PasswordReset>;

/// Returns user, proof of the login, level, cart, note and visits, as the older version sees them.
async fn read(account: Older) -> String {
    let is_proved = account.was_authenticated_within(Duration::from_hours(1));
    let user = account.user_id().map_or_else(|| "-".to_owned(), |id| id.to_string());
    let (level, cart, note) = (account.level(), account.cart().join(","), account.note().unwrap_or("-"));
    format!("{user} {is_proved} {level} {cart} {note} {}", account.visits())
}

/// Returns user, proof of the login, level, cart, note and visits, as the newer version sees them.
async fn read_newer(account: Newer) -> String {
    let is_proved = account.was_authenticated_within(Duration::from_hours(1));
    let (user, level, cart) = (account.user_id().unwrap_or("-"), account.level(), account.cart().join(","));
    format!("{user} {is_proved} {level} {cart} {} {}", account.note().unwrap_or("-"), account.visits())
}

async fn read_reset(reset: Reset) -> Option<u64> {
    reset.user_id()
}

/// Returns cart and note.
async fn read_basket(basket: TypedSession<Basket>) -> String {
    format!("{} {}", basket.cart().join(","), basket.note().unwrap_or("-"))
}

async fn read_strict(account: TypedSession<StrictAccount>) -> String {
    account.user_id().unwrap_or("-").to_owned()
}

/// Returns a handler that logs this user in and reads.
fn login(user: u64) -> Case<Older> {
    case(async move |mut account: Older| {
        account.set_user_id(user);
        read(account).await
    })
}

/// Returns a handler that logs this user in by the newer version and reads.
fn login_newer(user: &'static str) -> Case<Newer> {
    case(async move |mut account: Newer| {
        account.set_user_id(user);
        read_newer(account).await
    })
}

/// Returns a browser in which the older version has logged a user in, with a right.
async fn user(app: &TestApp) -> Client {
    let browser = app.browser();
    let fill = async |mut account: Older| {
        account.cart_mut().push("pen".to_owned());
        account.set_note("hello");
        account.add_visits(2);
    };
    browser.visit(fill).await;
    browser.visit(async |mut account: Older| account.set_user_id(7_u64)).await;
    browser.visit(async |mut account: Older| account.set_level(3)).await;
    assert_eq!(browser.visit(read).await, "7 true 3 pen hello 2");
    browser
}

/// A stored right that the record does not name is ignored on every instance, under an older name too.
pub async fn a_right_that_the_record_does_not_name_is_none(env: TestEnvironment) {
    let careless = env.app().await;
    let mut visitors = Vec::new();
    for _ in 0..2 {
        let browser = careless.browser();
        browser.visit(async |mut reset: Reset| reset.set_user_id(7_u64)).await;
        browser.visit(async |mut reset: Reset| reset.set_old_level(3)).await;
        assert_eq!(browser.visit(read_reset).await, Some(7));
        visitors.push(browser);
    }
    for (app, browser) in [env.app().await, careless].into_iter().zip(visitors) {
        let browser = browser.at(&app.browser());
        app.calls.clear();
        let response = browser.send(read).await;
        assert_eq!((response.text(), response.set_cookies().len()), ("- false 0  - 0", 0));
        assert_eq!(app.calls.writes(), 0);
        let events = app.events();
        for name in ["user_id", "old_level"] {
            let names_it = |event: &String| event.contains("UnnamedRight") && event.contains(name);
            assert!(events.iter().any(names_it), "{events:?}");
        }
        // A login then finds no other user there.
        let response = browser.send(login(8)).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "8 false 0  - 0"));
        assert!(app.events().concat().contains("cause: Login"));
        assert_eq!(browser.visit(read).await, "8 true 0  - 0");
    }
}

/// A view that uses the name of a known right for a plain field is refused, in any order of the views.
pub async fn a_view_that_does_not_declare_a_known_right_is_refused(env: TestEnvironment) {
    for first in [
        |browser: &Client| browser.send(async |mut reset: Reset| reset.set_code("x")),
        |browser: &Client| browser.send(read_basket),
    ] {
        let app = env.app().await;
        let browser = app.browser();
        assert_eq!(first(&browser).await.status(), 200);
        browser.send(login(7)).await;
        app.events();
        app.calls.clear();
        let response = browser.send(async |mut reset: Reset| reset.set_user_id(8_u64)).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
        assert_eq!(app.calls(), []);
        let events = app.events().concat();
        assert!(events.contains("Misconfigured") && events.contains("`user_id` is a right"), "{events}");
        assert_eq!(browser.send(read_basket).await.status(), 200);
        assert!(browser.visit(read).await.starts_with("7 true"));
    }
}

/// A write by a view that knows no right takes the record's right away, with a new secret.
pub async fn what_is_written_by_a_view_that_knows_no_right_is_none(env: TestEnvironment) {
    let knowing = env.app().await;
    for id in [8_u64, 7] {
        let browser = user(&knowing).await;
        let old = browser.clone_jar();
        let other = env.app().await;
        let there = browser.at(&other.browser());
        let response = there.send(async move |mut reset: Reset| reset.set_user_id(id)).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{id}");
        for app in [&knowing, &other] {
            let browser = browser.at(&app.browser());
            // That instance knew of no field that a logout keeps.
            assert_eq!(browser.visit(read).await, "- false 0  - 0", "{id}");
            assert!(old.at(&app.browser()).visit(read).await.starts_with("- false 0 "), "{id}");
        }
    }
    let browser = user(&knowing).await;
    let other = env.app().await;
    browser.at(&other.browser()).visit(async |mut reset: Reset| reset.set_old_level(9)).await;
    assert_eq!(browser.visit(read).await, "7 true 3 pen hello 2", "its older name, which is no right");
}

/// A field that becomes a right in a deploy starts unset, and is a right from then on.
pub async fn a_field_that_becomes_a_right_starts_unset(env: TestEnvironment) {
    #[derive(Session)]
    struct PlainLevel {
        level: u32,
        note: Option<String>,
    }

    let before = env.app().await;
    let browser = before.browser();
    let fill = async |mut view: TypedSession<PlainLevel>| {
        view.set_level(9);
        view.set_note("hello");
    };
    browser.visit(fill).await;
    let now = env.app().await;
    let browser = browser.at(&now.browser());
    assert_eq!(browser.visit(read).await, "- false 0  hello 0");
    assert_eq!(browser.send(async |mut account: Older| account.set_level(9)).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, "- false 9  hello 0");
}

/// A request whose identity does not decode sees what a logout keeps, and reads without a change of the record.
pub async fn an_identity_of_another_type_locks_nobody_out(env: TestEnvironment) {
    let (older, newer) = (env.app().await, env.app().await);
    let browser = user(&older).await;
    let there = browser.at(&newer.browser());
    // The instance knows the view that cannot decode it from here on.
    newer.browser().visit(read_newer).await;
    newer.calls.clear();
    newer.events();
    for (what, response, seen) in [
        ("the newer account", there.send(read_newer), "- false 0 pen - 0"),
        ("the basket", there.send(read_basket), "pen -"),
    ] {
        let response = response.await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "{what}");
        assert_eq!(response.text(), seen, "{what}");
        let events = newer.events().concat();
        for part in ["UndecodableField", "user_id", &record_of(&browser).to_string()] {
            assert!(events.contains(part), "{what}: {events}");
        }
    }
    assert_eq!(newer.calls.writes(), 0);
    assert_eq!(there.send(async |mut account: Newer| account.set_note("new")).await.set_cookies().len(), 0);
    assert_eq!(browser.visit(read).await, "7 true 3 pen new 2", "still logged in there");
    assert_eq!(there.send(async |account: Newer| account.rotate()).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, "7 true 3 pen new 2", "with the same rights");
}

/// A login, a logout and any other change of rights delete a right that does not decode.
pub async fn a_right_that_does_not_decode_ends_with_the_next_change_of_rights(env: TestEnvironment) {
    let (older, newer) = (env.app().await, env.app().await);
    for (what, handler, seen, user_id) in [
        ("a login", login_newer("ada"), "ada true 0 pen - 0", Some("\"ada\"")),
        ("a logout", case(async |mut account: Newer| account.remove_user_id()), "- false 0 pen - 0", None),
        ("a level", case(async |mut account: Newer| account.set_level(5)), "- false 5 pen - 0", None),
        ("a clear", case(async |account: Newer| account.clear()), "- false 0  - 0", None),
    ] {
        let browser = user(&older).await;
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let there = browser.at(&newer.browser());
        let response = there.send(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what}");
        assert_eq!(there.visit(read_newer).await, seen, "{what}");
        assert_eq!(record_of(&browser), id, "{what}");
        for browser in [&old, &browser] {
            let text = browser.visit(read).await;
            assert!(text.starts_with("- false") && !text.contains("hello"), "{what}: {text}");
        }
        assert_eq!(older.stored(id, "user_id").await.as_deref(), user_id, "{what}");
    }
    // A next user then begins with nothing of it either.
    let browser = user(&older).await.at(&newer.browser());
    browser.send(login_newer("ada")).await;
    assert_eq!(browser.send(async |mut account: Newer| account.set_note("mine")).await.status(), 200);
    assert_eq!(browser.send(login_newer("bob")).await.text(), "bob false 0 pen - 0");
}

/// A right that does not decode rejects each request if it is declared `on_invalid = "reject"`.
pub async fn a_right_that_does_not_decode_refuses_if_declared(env: TestEnvironment) {
    let (older, newer) = (env.app().await, env.app().await);
    let browser = user(&older).await;
    let there = browser.at(&newer.browser());
    newer.browser().visit(read_strict).await;
    for (what, response) in [
        ("the strict view", there.send(read_strict)),
        ("the basket", there.send(read_basket)),
        ("the strict view again", there.send(read_strict)),
    ] {
        let response = response.await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0), "{what}");
    }
    assert_eq!(browser.visit(read).await, "7 true 3 pen hello 2");
}

/// A view that cannot decode a right counts for its whole request, even if it comes second.
pub async fn what_is_met_later_counts_for_the_whole_request(env: TestEnvironment) {
    async fn read_basket_then_newer(mut parts: Parts) -> Result<String, HandlerFailure> {
        let basket: TypedSession<Basket> = session(&mut parts).await?;
        let before = basket.note().unwrap_or("-").to_owned();
        let newer: Newer = session(&mut parts).await?;
        let (after, user) = (basket.note().unwrap_or("-"), newer.user_id().unwrap_or("-"));
        Ok(format!("{before} {after} {user}"))
    }
    let browser = user(&env.app().await).await;
    let newer = env.app().await;
    let there = browser.at(&newer.browser());
    assert_eq!(there.send(read_basket_then_newer).await.text(), "hello - -");
    assert_eq!(there.send(read_basket_then_newer).await.text(), "- - -");
}

/// A record whose metadata do not decode stays as it is, and its browser begins anew, as with an unknown token.
pub async fn metadata_of_another_version_are_an_unknown_token(env: TestEnvironment) {
    let app = env.app().await;
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
        let response = browser.send(read).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "- false 0  - 0"), "{later:?}");
        assert!(response.set_cookies().is_empty(), "{later:?}");
        let events = app.events().concat();
        assert!(events.contains("UnreadableRecord") && events.contains(&id.to_string()), "{events}");
        assert_eq!(app.calls.writes(), 0, "{later:?}");
        assert_eq!(browser.send(login(7)).await.set_cookies().len(), 1, "{later:?}");
        assert_eq!(app.calls.count(Operation::Create), 1, "{later:?}");
        assert_eq!(browser.visit(read).await, "7 true 0  - 0", "{later:?}");
        app.raw.destroy(id).await.expect("destroyed");
    }
}
