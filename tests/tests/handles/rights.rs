//! Rights that another version of the program has stored, and rights that end in the middle of a request.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    routing::get,
};
use sessions::{
    Error, Key, KeyRing, Session, SessionLayer, TypedSession, store::MemoryStore, testing::Client,
};

#[derive(Session)]
struct Person {
    #[session(privilege)]
    level: u32,
}

/// Setting a right to its default takes it away at once: a handle that the same request takes after that sees none.
#[tokio::test]
async fn a_right_that_is_set_to_its_default_is_gone_at_once() {
    let handler = async |request: Request| {
        let mut parts = request.into_parts().0;
        let mut take = async || TypedSession::<Person>::from_request_parts(&mut parts, &()).await;
        let mut one = take().await.expect("a session");
        one.set_level(0);
        take().await.expect("a session").level().to_string()
    };
    let grant = async |mut person: TypedSession<Person>| person.set_level(3);
    let routes = Router::new().route("/", get(handler)).route("/grant", get(grant));
    let browser = Client::new(routes.layer(SessionLayer::new(MemoryStore::new())));
    browser.get("/grant").await;
    assert_eq!(browser.get("/").await.text(), "0");
}

/// A user of the version before.
#[derive(Session)]
struct Before {
    #[session(identity)]
    user: Option<u64>,
    #[session(merge = "add")]
    visits: u32,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(keep_on_logout, merge = "add")]
    shown: u32,
}

#[derive(Session)]
struct After {
    #[session(identity)]
    user: Option<String>,
    #[session(merge = "add")]
    visits: u32,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(keep_on_logout, merge = "add")]
    shown: u32,
}

/// Where the login cannot be read, a request sees the record as after a logout, also after it has counted something
/// in it: `fetch_add` and the getters after a save show nothing of what is stored.
#[tokio::test]
async fn what_is_counted_beside_an_unreadable_login_shows_nothing_of_it() {
    let store = Arc::new(MemoryStore::new());
    let visit = async |mut before: TypedSession<Before>| {
        before.set_user(7);
        before.add_visits(40);
        before.set_best(100);
        before.add_shown(5);
    };
    let read = async |before: TypedSession<Before>| {
        format!("{:?} {} {:?} {}", before.user(), before.visits(), before.best(), before.shown())
    };
    let older = Router::new().route("/visit", get(visit)).route("/read", get(read));
    let fetch = async |mut after: TypedSession<After>| {
        let (visits, shown) = (after.fetch_add_visits(1).await?, after.fetch_add_shown(1).await?);
        Ok::<_, Error>(format!("{visits} {} {shown} {}", after.visits(), after.shown()))
    };
    let save = async |mut after: TypedSession<After>| {
        after.add_visits(1);
        after.set_best(3);
        after.add_shown(1);
        after.save().await?;
        Ok::<_, Error>(format!("{} {:?} {}", after.visits(), after.best(), after.shown()))
    };
    let newer = Router::new().route("/fetch", get(fetch)).route("/save", get(save));
    let older = Client::new(older.layer(SessionLayer::new(Arc::clone(&store))));
    let newer = older.at(&Client::new(newer.layer(SessionLayer::new(store))));
    older.get("/visit").await;
    assert_eq!(newer.get("/fetch").await.text(), "1 1 6 6");
    assert_eq!(newer.get("/save").await.text(), "1 Some(3) 7");
    assert_eq!(older.get("/read").await.text(), "Some(7) 42 Some(100) 7", "what was counted is stored");
}

#[derive(Session)]
struct Plain {
    card: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    note: Option<String>,
}

/// The same fields, which have become secret.
#[derive(Session)]
struct Sealed {
    #[session(secret, on_invalid = "reset")]
    card: Option<String>,
    #[session(secret, privilege, on_invalid = "reset")]
    role: Option<String>,
    note: Option<String>,
}

/// A right that refuses what it cannot read.
#[derive(Session)]
struct Strict {
    #[session(secret, privilege, on_invalid = "reject")]
    role: Option<String>,
}

/// A field that becomes `secret` with `on_invalid = "reset"` locks no user out: a plain field counts as absent, and
/// because of a right the request sees the record as after a logout, as with any right that it cannot read.
#[tokio::test]
async fn a_field_that_becomes_secret_is_reset_if_it_says_so() {
    let store = Arc::new(MemoryStore::new());
    let card = async |mut plain: TypedSession<Plain>| {
        plain.set_card("4111");
        plain.set_note("hello");
    };
    let role = async |mut plain: TypedSession<Plain>| plain.set_role("admin");
    let older = Router::new().route("/card", get(card)).route("/role", get(role));
    let show = |sealed: &TypedSession<Sealed>| {
        let (card, role) = (sealed.card().unwrap_or("-"), sealed.role().unwrap_or("-"));
        format!("{card} {role} {}", sealed.note().unwrap_or("-"))
    };
    let read = async move |sealed: TypedSession<Sealed>| show(&sealed);
    let set = async move |mut sealed: TypedSession<Sealed>| {
        sealed.set_role("editor");
        sealed.set_card("4222");
        show(&sealed)
    };
    let strict = async |strict: TypedSession<Strict>| strict.role().unwrap_or("-").to_owned();
    let keys = KeyRing::new(Key::generate().expect("a key"));
    let sealing = || SessionLayer::new(Arc::clone(&store)).with_keys(keys.clone());
    let newer = Router::new().route("/read", get(read)).route("/set", get(set)).layer(sealing());
    let strict = Router::new().route("/strict", get(strict)).layer(sealing());
    let older = Client::new(older.layer(SessionLayer::new(Arc::clone(&store))));
    let (newer, strict) = (older.at(&Client::new(newer)), older.at(&Client::new(strict)));
    older.get("/card").await;
    let response = newer.get("/read").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "- - hello"));
    older.get("/role").await;
    let response = newer.get("/read").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "- - -"));
    assert_eq!(strict.get("/strict").await.status(), 500);
    assert_eq!(newer.get("/set").await.status(), 200);
    assert_eq!(newer.get("/read").await.text(), "4222 editor -");
    assert_eq!(strict.get("/strict").await.text(), "editor");
}
