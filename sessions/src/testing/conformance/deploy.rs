//! Records that another version of the program, or another part of it, has left.

use std::time::Duration;

use http::request::Parts;

use super::{
    contract::{TIMEOUTS, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    handler::{TestHandler, case},
    reply::text,
};
use crate::{
    Session, TypedSession,
    store::NewRecord,
    testing::{Client, Operation},
    value::{Authority, Credentials, FieldName, RecordId, Secret, Token, TokenHasher},
};

/// A user and their data.
#[derive(Session)]
struct Account {
    #[session(identity)]
    user_id: Option<u64>,
    #[session(privilege, alias = "old_level")]
    level: u32,
    #[session(keep_on_logout, merge = "last")]
    cart: Vec<String>,
    note: Option<String>,
    #[session(merge = "add")]
    visits: u32,
}

/// The account of the next version, whose identity has another type.
#[derive(Session)]
struct Renamed {
    #[session(identity)]
    user_id: Option<String>,
    #[session(privilege)]
    level: u32,
    #[session(keep_on_logout, merge = "last")]
    cart: Vec<String>,
    note: Option<String>,
    #[session(merge = "add")]
    visits: u32,
}

/// An account that refuses what it cannot decode.
#[derive(Session)]
struct StrictAccount {
    #[session(identity, on_invalid = "reject")]
    user_id: Option<String>,
}

/// A view that declares the account's rights as plain fields.
#[derive(Session)]
struct PasswordReset {
    user_id: Option<u64>,
    old_level: u32,
    code: Option<String>,
}

/// A view without rights.
#[derive(Session)]
struct Basket {
    #[session(keep_on_logout, merge = "last")]
    cart: Vec<String>,
    note: Option<String>,
}

type Visit = TypedSession<Account>;
type RenamedVisit = TypedSession<Renamed>;
type StrictVisit = TypedSession<StrictAccount>;
type ResetVisit = TypedSession<PasswordReset>;
type BasketVisit = TypedSession<Basket>;

/// Returns a handler that changes the account and returns how it then looks.
fn account(change: impl FnOnce(&mut Visit) + Send + 'static) -> impl TestHandler<(Visit,), Output = String> {
    async move |mut session: Visit| {
        change(&mut session);
        let is_proved = session.was_authenticated_within(Duration::from_hours(1));
        let user = session.user_id().map_or_else(|| "-".to_owned(), |id| id.to_string());
        let (level, cart, note) = (session.level(), session.cart().join(","), session.note().unwrap_or("-"));
        format!("{user} {is_proved} {level} {cart} {note} {}", session.visits())
    }
}

/// Returns a handler that changes the renamed account and returns how it then looks.
fn renamed(
    change: impl FnOnce(&mut RenamedVisit) + Send + 'static,
) -> impl TestHandler<(RenamedVisit,), Output = String> {
    async move |mut session: RenamedVisit| {
        change(&mut session);
        let is_proved = session.was_authenticated_within(Duration::from_hours(1));
        let (user, level, cart) =
            (session.user_id().unwrap_or("-"), session.level(), session.cart().join(","));
        format!("{user} {is_proved} {level} {cart} {} {}", session.note().unwrap_or("-"), session.visits())
    }
}

fn read() -> impl TestHandler<(Visit,), Output = String> {
    account(|_session| ())
}

fn log_in(user: u64) -> impl TestHandler<(Visit,), Output = String> {
    account(move |session| session.set_user_id(user))
}

fn read_renamed() -> impl TestHandler<(RenamedVisit,), Output = String> {
    renamed(|_session| ())
}

fn log_in_renamed(user: &'static str) -> impl TestHandler<(RenamedVisit,), Output = String> {
    renamed(move |session| session.set_user_id(user))
}

async fn read_basket(session: BasketVisit) -> String {
    format!("{} {}", session.cart().join(","), session.note().unwrap_or("-"))
}

fn reset_user(user: u64) -> impl TestHandler<(ResetVisit,), Output = ()> {
    async move |mut session: ResetVisit| session.set_user_id(user)
}

fn reset_level(level: u32) -> impl TestHandler<(ResetVisit,), Output = ()> {
    async move |mut session: ResetVisit| session.set_old_level(level)
}

/// Returns a browser that the older version has logged in.
async fn user(app: &TestApp) -> Client {
    let browser = app.browser();
    let fill = account(|session| {
        session.cart_mut().push("pen".to_owned());
        session.set_note("hello");
        session.add_visits(2);
    });
    browser.visit(fill).await;
    browser.visit(log_in(7)).await;
    browser.visit(account(|session| session.set_level(3))).await;
    assert_eq!(browser.visit(read()).await, "7 true 3 pen hello 2");
    browser
}

/// A stored right that the record does not name grants nothing, on every instance and under every name.
pub async fn a_right_that_the_record_does_not_name_is_none(env: TestEnvironment) {
    let careless = env.app().await;
    let mut visitors = Vec::new();
    for _ in 0..2 {
        let browser = careless.browser();
        browser.visit(reset_user(7)).await;
        browser.visit(reset_level(3)).await;
        let user = async |session: ResetVisit| session.user_id().map(|id| id.to_string());
        assert_eq!(browser.visit(user).await.as_deref(), Some("7"));
        visitors.push(browser);
    }
    for (app, browser) in [env.app().await, careless].into_iter().zip(visitors) {
        let browser = browser.at(&app.browser());
        app.calls.clear();
        let response = browser.send(read()).await;
        assert_eq!((response.text(), response.set_cookies().len()), ("- false 0  - 0", 0));
        assert_eq!(app.calls.writes(), 0);
        let told = app.events();
        for name in ["user_id", "old_level"] {
            let is_told = |event: &String| event.contains("UnnamedRight") && event.contains(name);
            assert!(told.iter().any(is_told), "{told:?}");
        }
        // A login then replaces no other user.
        assert_eq!(browser.visit(log_in(8)).await, "8 false 0  - 0");
        assert!(app.events().concat().contains("cause: Login"));
        assert_eq!(browser.visit(read()).await, "8 true 0  - 0");
    }
}

/// A view is refused if it has the name or older name of a known right, but does not declare the right.
pub async fn a_view_that_does_not_declare_a_known_right_is_refused(env: TestEnvironment) {
    for meets_it_first in [true, false] {
        let app = env.app().await;
        let browser = app.browser();
        if meets_it_first {
            browser.visit(async |mut session: ResetVisit| session.set_code("x")).await;
        } else {
            browser.visit(read_basket).await;
        }
        browser.visit(log_in(7)).await;
        app.events();
        app.calls.clear();
        let response = browser.send(reset_user(8)).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
        assert_eq!(app.calls(), []);
        let told = app.events().concat();
        assert!(told.contains("Misconfigured") && told.contains("`user_id` is a right"), "{told}");
        browser.visit(read_basket).await;
        assert!(browser.visit(read()).await.starts_with("7 true"));
    }
}

/// A view that writes a field without knowing that it is a right takes the right away, with a new secret.
pub async fn what_is_written_by_a_view_that_knows_no_right_is_none(env: TestEnvironment) {
    let knowing = env.app().await;
    for written in [8, 7] {
        let browser = user(&knowing).await;
        let old = browser.clone_jar();
        let other = env.app().await;
        let response = browser.at(&other.browser()).send(reset_user(written)).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{written}");
        for app in [&knowing, &other] {
            let browser = browser.at(&app.browser());
            // The other instance knew no field that is kept on logout.
            assert_eq!(browser.visit(read()).await, "- false 0  - 0", "{written}");
            let seen = old.at(&app.browser()).visit(read()).await;
            assert!(seen.starts_with("- false 0 "), "{written}: {seen}");
        }
    }
    let browser = user(&knowing).await;
    let other = env.app().await;
    browser.at(&other.browser()).visit(reset_level(9)).await;
    let seen = browser.visit(read()).await;
    assert_eq!(seen, "7 true 3 pen hello 2", "its older name, which is no right");
}

/// A field that becomes a right in a deploy starts unset, and is one from then on.
pub async fn a_field_that_becomes_a_right_starts_unset(env: TestEnvironment) {
    #[derive(Session)]
    struct AccountBefore {
        level: u32,
        note: Option<String>,
    }

    let before = env.app().await;
    let browser = before.browser();
    let write = async |mut session: TypedSession<AccountBefore>| {
        session.set_level(9);
        session.set_note("hello");
    };
    browser.visit(write).await;
    let now = env.app().await;
    let browser = browser.at(&now.browser());
    assert_eq!(browser.visit(read()).await, "- false 0  hello 0");
    assert_eq!(browser.send(account(|session| session.set_level(9))).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read()).await, "- false 9  hello 0");
}

/// A request that cannot decode the identity sees what a logout would leave, and a read changes nothing.
pub async fn an_identity_of_another_type_locks_nobody_out(env: TestEnvironment) {
    let (older, newer) = (env.app().await, env.app().await);
    let browser = user(&older).await;
    let there = browser.at(&newer.browser());
    // From here on the instance knows the view that cannot decode it.
    newer.browser().visit(read_renamed()).await;
    newer.calls.clear();
    newer.events();
    for (what, request, seen) in [
        ("the view with the identity", there.send(read_renamed()), "- false 0 pen - 0"),
        ("a view without it", there.send(read_basket), "pen -"),
    ] {
        let response = request.await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 0), "{what}");
        assert_eq!(response.text(), seen, "{what}");
        let told = newer.events().concat();
        let id = record_of(&browser).to_string();
        assert!(
            told.contains("UndecodableField") && told.contains("user_id") && told.contains(&id),
            "{told}"
        );
    }
    assert_eq!(newer.calls.writes(), 0);
    assert_eq!(there.send(renamed(|session| session.set_note("new"))).await.set_cookies().len(), 0);
    assert_eq!(browser.visit(read()).await, "7 true 3 pen new 2", "still logged in there");
    assert_eq!(there.send(renamed(|session| session.rotate())).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read()).await, "7 true 3 pen new 2", "with the same rights");
}

/// Every change of rights ends a right that does not decode, as a change of users does.
pub async fn a_right_that_does_not_decode_ends_with_the_next_change_of_rights(env: TestEnvironment) {
    let (older, newer) = (env.app().await, env.app().await);
    for (what, handler, seen, identity) in [
        ("a login", case(log_in_renamed("ada")), "ada true 0 pen - 0", Some("\"ada\"")),
        ("a logout", case(renamed(RenamedHandle::remove_user_id)), "- false 0 pen - 0", None),
        ("a right", case(renamed(|session| session.set_level(5))), "- false 5 pen - 0", None),
        ("a clear", case(renamed(|session| session.clear())), "- false 0  - 0", None),
    ] {
        let browser = user(&older).await;
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let there = browser.at(&newer.browser());
        let response = there.send(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what}");
        assert_eq!(there.visit(read_renamed()).await, seen, "{what}");
        assert_eq!(record_of(&browser), id, "{what}");
        for browser in [&old, &browser] {
            let seen = browser.visit(read()).await;
            assert!(seen.starts_with("- false") && !seen.contains("hello"), "{what}: {seen}");
        }
        assert_eq!(older.stored(id, "user_id").await.as_deref(), identity, "{what}");
    }
    // A change of users in a later request still drops the first user's data.
    let browser = user(&older).await.at(&newer.browser());
    browser.visit(log_in_renamed("ada")).await;
    browser.visit(renamed(|session| session.set_note("mine"))).await;
    assert_eq!(browser.visit(log_in_renamed("bob")).await, "bob false 0 pen - 0");
}

/// A right that does not decode refuses every request if its view declares that.
pub async fn a_right_that_does_not_decode_refuses_if_declared(env: TestEnvironment) {
    let (older, newer) = (env.app().await, env.app().await);
    let browser = user(&older).await;
    let there = browser.at(&newer.browser());
    let read_strict = async |session: StrictVisit| session.user_id().unwrap_or("-").to_owned();
    newer.browser().visit(read_strict).await;
    for (what, request) in [
        ("the strict view", there.send(read_strict)),
        ("another view", there.send(read_basket)),
        ("the strict view again", there.send(read_strict)),
    ] {
        let response = request.await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0), "{what}");
    }
    assert_eq!(browser.visit(read()).await, "7 true 3 pen hello 2");
}

/// A view that cannot decode a right, and that the instance meets within a request, counts for the whole request.
pub async fn what_is_met_later_counts_for_the_whole_request(env: TestEnvironment) {
    let browser = user(&env.app().await).await;
    let newer = env.app().await;
    let there = browser.at(&newer.browser());
    let read_both = async |mut parts: Parts| {
        let basket: BasketVisit = session(&mut parts).await?;
        let before = basket.note().unwrap_or("-").to_owned();
        let renamed: RenamedVisit = session(&mut parts).await?;
        text(format!("{before} {} {}", basket.note().unwrap_or("-"), renamed.user_id().unwrap_or("-")))
    };
    assert_eq!(there.send(read_both).await.text(), "hello - -");
    assert_eq!(there.send(read_both).await.text(), "- - -");
}

/// A record whose metadata cannot be read stays as it is, and its token counts as unknown.
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
        let response = browser.send(read()).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "- false 0  - 0"), "{later:?}");
        assert!(response.set_cookies().is_empty(), "{later:?}");
        let told = app.events().concat();
        assert!(told.contains("UnreadableRecord") && told.contains(&id.to_string()), "{told}");
        assert_eq!(app.calls.writes(), 0, "{later:?}");
        assert_eq!(browser.send(log_in(7)).await.set_cookies().len(), 1, "{later:?}");
        assert_eq!(app.calls.count(Operation::Create), 1, "{later:?}");
        assert_eq!(browser.visit(read()).await, "7 true 0  - 0", "{later:?}");
        app.raw.destroy(id).await.expect("destroyed");
    }
}
