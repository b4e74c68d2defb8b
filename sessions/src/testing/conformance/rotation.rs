//! A new secret for a session: the old one is dead at once, and the data stay.

use http::StatusCode;

use super::{
    super::{Gate, Operation},
    environment::{COOKIE, TestEnvironment, record_of},
    handler::{case, gated},
};
use crate::{
    Session, TypedSession,
    error::Error,
    random,
    value::{Secret, Token},
};

#[derive(Session)]
struct Rotated {
    name: Option<String>,
    count: u32,
    #[session(merge = "add")]
    hits: i64,
}

type Visit = TypedSession<Rotated>;

async fn rotate(session: Visit) {
    session.rotate();
}

async fn rotate_and_set_name(mut session: Visit) {
    session.rotate();
    session.set_name("Ada");
}

async fn name(session: Visit) -> Option<String> {
    session.name().map(str::to_owned)
}

/// Rotation keeps record and data, and from then on the old token is worth nothing.
pub async fn rotation_keeps_the_data_and_kills_the_old_token(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    let rotate_twice = async |session: Visit| {
        session.rotate();
        session.rotate();
    };
    for (what, handler) in [
        ("one rotation", case(rotate)),
        ("a rotation and a change", case(rotate_and_set_name)),
        ("two rotations", case(rotate_twice)),
    ] {
        let browser = app.visitor("Ada").await;
        let (id, stolen) = (record_of(&browser), browser.clone_jar());
        let response = browser.send(handler).await;
        assert_eq!(response.set_cookies().len(), 1, "{what}");
        assert_eq!(record_of(&browser), id, "{what}");
        assert_ne!(browser.cookie(COOKIE), stolen.cookie(COOKIE), "{what}");
        assert_eq!(browser.at(&other.browser()).visit(name).await.as_deref(), Some("Ada"), "{what}");
        for instance in [&app, &other] {
            let thief = stolen.clone_jar().at(&instance.browser());
            assert_eq!(thief.visit(name).await, None, "{what}");
            let response = thief.send(async |mut session: Visit| session.set_name("thief")).await;
            assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0), "{what}");
        }
        assert_eq!(browser.visit(name).await.as_deref(), Some("Ada"), "{what}");
        assert_eq!(app.load(id, &[]).await.expect("the record").epoch, 1, "{what}");
    }
}

/// A rotation without a session does nothing, and beside a first change it is a plain create.
pub async fn rotating_a_new_session_creates_it_once(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    assert!(browser.send(rotate).await.set_cookies().is_empty());
    let response = browser.send(rotate_and_set_name).await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!((app.calls.count(Operation::Create), app.calls.count(Operation::Commit)), (1, 0));
    assert_eq!(browser.visit(name).await.as_deref(), Some("Ada"));
}

/// A rotation and two saves in one request are one rotation, with one cookie.
pub async fn rotate_then_save_twice_is_one_rotation(env: TestEnvironment) {
    async fn rotate_and_save_twice(mut session: Visit) -> Result<(), Error> {
        session.rotate();
        session.set_name("Bea");
        session.save().await?;
        session.set_count(7);
        session.save().await
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let response = browser.send(rotate_and_save_twice).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(app.load(record_of(&browser), &[]).await.expect("the record").epoch, 1);
    assert_eq!(browser.visit(name).await.as_deref(), Some("Bea"));
    assert_eq!(browser.visit(async |session: Visit| session.count()).await, 7);
}

/// A rotation does not revive a destroyed session.
pub async fn rotating_a_destroyed_session_leaves_it_destroyed(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let destroy_and_rotate = async |session: Visit| {
        session.destroy();
        session.rotate();
    };
    let response = browser.send(destroy_and_rotate).await;
    assert_eq!(response.status(), 200);
    assert!(browser.cookie(COOKIE).is_none(), "{:?}", response.set_cookies());
    assert!(app.load(id, &[]).await.is_none());
    assert_eq!(app.calls.count(Operation::Create), 0);
}

/// Of many rotations at once one succeeds: its token works, and the other responses send no token.
pub async fn of_many_rotations_one_token_is_usable(env: TestEnvironment) {
    let app = env.app().await;
    for _ in 0..20 {
        let (browser, gate) = (app.visitor("Ada").await, Gate::new());
        let tabs: Vec<_> = (0..10).map(|_| tokio::spawn(browser.send(gated(&gate, rotate)))).collect();
        for _ in 0..10 {
            gate.arrived().await;
        }
        for _ in 0..10 {
            gate.release();
        }
        let mut winners = 0;
        for tab in tabs {
            let response = tab.await.expect("an answer");
            let won = response.status() == 200;
            assert_eq!(response.set_cookies().len(), usize::from(won), "the loser replaces no cookie");
            assert!(won || response.status() == 409, "{}", response.status());
            winners += usize::from(won);
        }
        assert_eq!(winners, 1);
        assert_eq!(browser.visit(name).await.as_deref(), Some("Ada"), "no browser is logged out");
        assert_eq!(app.load(record_of(&browser), &[]).await.expect("the record").epoch, 1);
    }
}

/// A slow request that began before a rotation writes, counts, rotates and reads nothing after it.
pub async fn a_request_from_before_a_rotation_writes_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let change_two_fields = async |mut session: Visit| {
        session.set_name("x");
        session.set_count(session.count() + 1);
    };
    let fetch_add = async |mut session: Visit| session.fetch_add_hits(1).await.map(|hits| hits.to_string());
    let save_and_fail = async |mut session: Visit| {
        session.set_name("x");
        session.save().await?;
        Ok::<_, Error>(StatusCode::INTERNAL_SERVER_ERROR)
    };
    for (what, handler) in [
        ("a change of two fields", case(change_two_fields)),
        ("an addition", case(async |mut session: Visit| *session.hits_mut() += 1)),
        ("a fetched addition", case(fetch_add)),
        ("a rotation", case(rotate)),
        ("a clear", case(async |session: Visit| session.clear())),
        ("a save", case(save_and_fail)),
    ] {
        let (victim, gate) = (app.visitor("Ada").await, Gate::new());
        let (id, attacker) = (record_of(&victim), victim.clone_jar());
        let slow = tokio::spawn(attacker.send_post(gated(&gate, handler)));
        gate.arrived().await;
        let rotate_and_write = async |mut session: Visit| {
            session.rotate();
            session.set_name("secret");
        };
        victim.visit(rotate_and_write).await;
        let before = app.load(id, &["name", "count", "hits"]).await.expect("the record");
        gate.release();
        let response = slow.await.expect("an answer");
        assert_eq!(response.status(), 409, "{what}");
        assert!(response.set_cookies().is_empty(), "{what}");
        assert!(!response.text().contains("secret"), "{what}");
        let after = app.load(id, &["name", "count", "hits"]).await.expect("the record");
        assert_eq!(
            (after.credentials, after.epoch, after.fields),
            (before.credentials, before.epoch, before.fields),
            "{what}"
        );
        assert_eq!(attacker.visit(name).await, None, "{what}");
        assert_eq!(victim.visit(name).await.as_deref(), Some("secret"), "{what}");
    }
}

/// A logout from before a rotation still ends the session: the end takes precedence.
pub async fn a_logout_from_before_a_rotation_ends_it(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (app.visitor("Ada").await, Gate::new());
    let id = record_of(&browser);
    let destroy = async |session: Visit| session.destroy();
    let slow = tokio::spawn(browser.clone_jar().visit(gated(&gate, destroy)));
    gate.arrived().await;
    browser.visit(rotate).await;
    gate.release();
    slow.await.expect("an answer");
    assert!(app.load(id, &[]).await.is_none());
    assert_eq!(browser.visit(name).await, None);
}

/// Ten thousand wrong secrets for a known id change nothing and log no browser out.
pub async fn wrong_secrets_change_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let before = app.load(id, &["name"]).await.expect("the record");
    let forger = app.browser();
    app.events();
    for attempt in 0..10_000 {
        let secret = Secret::from_bytes(random::bytes().expect("random bytes"));
        forger.set_cookie_raw(COOKIE, &Token::new(id, secret).expose());
        let (what, handler) = match attempt % 4 {
            0 => ("read", case(async |session: Visit| session.name().unwrap_or("-").to_owned())),
            1 => ("destroy", case(async |session: Visit| session.destroy())),
            2 => ("rotate", case(rotate)),
            _ => ("clear", case(async |session: Visit| session.clear())),
        };
        let response = forger.send(handler).await;
        assert_eq!(response.status(), 200);
        assert_ne!(response.text(), "Ada");
        assert!(response.set_cookies().is_empty(), "{what}: neither a cookie nor a removal");
    }
    assert_eq!(app.calls.writes(), 0);
    let events = app.events();
    assert!(events.iter().all(|event| event.contains("Forged")) && events.len() == 10_000);
    let after = app.load(id, &["name"]).await.expect("the record");
    assert_eq!(
        (after.credentials, after.touched, after.fields),
        (before.credentials, before.touched, before.fields)
    );
    assert_eq!(browser.visit(name).await.as_deref(), Some("Ada"));
}
