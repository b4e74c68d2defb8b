//! A new secret for a session: the old one is dead at once, and the data stay.

use super::{
    super::Operation,
    rig::{COOKIE, Rig, record_of},
};
use crate::{
    random,
    value::{Secret, Token},
};

/// Rotation keeps record and data; the old token is worth nothing from then on.
pub async fn rotation_keeps_the_data_and_kills_the_old_token(rig: Rig) {
    let (app, other) = (rig.kit().await, rig.kit().await);
    for path in ["/rotate", "/rotate-and-set-name/Ada", "/rotate-twice"] {
        let browser = app.visitor("Ada").await;
        let (id, stolen) = (record_of(&browser), browser.clone_jar());
        let response = browser.get(path).await;
        assert_eq!(response.set_cookies().len(), 1, "{path}");
        assert_eq!(record_of(&browser), id, "{path}");
        assert_ne!(browser.cookie(COOKIE), stolen.cookie(COOKIE), "{path}");
        assert_eq!(browser.at(&other.browser()).get("/name").await.text(), "Ada", "{path}");
        for instance in [&app, &other] {
            let thief = stolen.clone_jar().at(&instance.browser());
            assert_eq!(thief.get("/name").await.text(), "-", "{path}");
            let response = thief.get("/set-name/thief").await;
            assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0), "{path}");
        }
        assert_eq!(browser.get("/name").await.text(), "Ada", "{path}");
        assert_eq!(app.load(id, &[]).await.expect("the record").epoch, 1, "{path}");
    }
}

/// A rotation of what is not there is none.
pub async fn rotating_a_new_session_creates_it_once(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    assert!(browser.get("/rotate").await.set_cookies().is_empty());
    let response = browser.get("/rotate-and-set-name/Ada").await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!((app.calls.count(Operation::Create), app.calls.count(Operation::Commit)), (1, 0));
    assert_eq!(browser.get("/name").await.text(), "Ada");
}

/// Rotating and saving twice in one request is one rotation, and one cookie, that of the end.
pub async fn rotate_then_save_twice_is_one_rotation(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.visitor("Ada").await;
    let response = browser.get("/rotate-and-save-twice/Bea").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(app.load(record_of(&browser), &[]).await.expect("the record").epoch, 1);
    assert_eq!(browser.get("/name").await.text(), "Bea");
    assert_eq!(browser.get("/count").await.text(), "7");
}

/// A destroyed session is not rotated back to life.
pub async fn rotating_a_destroyed_session_leaves_it_destroyed(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let response = browser.get("/end-and-rotate").await;
    assert_eq!(response.status(), 200);
    assert!(browser.cookie(COOKIE).is_none(), "{:?}", response.set_cookies());
    assert!(app.load(id, &[]).await.is_none());
    assert_eq!(app.calls.count(Operation::Create), 0);
}

/// Of many rotations at once one wins: its token works, and the others' responses send none.
pub async fn of_many_rotations_one_token_is_usable(rig: Rig) {
    let app = rig.kit().await;
    for _ in 0..20 {
        let browser = app.visitor("Ada").await;
        let gate = app.gate.clone();
        let tabs: Vec<_> = (0..10)
            .map(|_| {
                let tab = browser.fork();
                tokio::spawn(async move { tab.get("/wait/rotate").await })
            })
            .collect();
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
        assert_eq!(browser.get("/name").await.text(), "Ada", "nobody is logged out");
        assert_eq!(app.load(record_of(&browser), &[]).await.expect("the record").epoch, 1);
    }
}

/// A slow request began before the rotation: it writes, counts, rotates and reads nothing after it.
pub async fn a_request_from_before_a_rotation_writes_nothing(rig: Rig) {
    let app = rig.kit().await;
    for path in ["change-some/x", "hit", "fetch-hit", "rotate", "clear", "save-name-and-fail/x"] {
        let victim = app.visitor("Ada").await;
        let (id, attacker) = (record_of(&victim), victim.clone_jar());
        let slow = format!("/wait/{path}");
        let slow = tokio::spawn(async move { (attacker.post(&slow, "").await, attacker) });
        app.gate.arrived().await;
        assert_eq!(victim.get("/rotate-and-set-name/secret").await.status(), 200);
        let before = app.load(id, &["name", "count", "hits"]).await.expect("the record");
        app.gate.release();
        let (response, attacker) = slow.await.expect("an answer");
        assert_eq!(response.status(), 409, "{path}");
        assert!(response.set_cookies().is_empty(), "{path}");
        assert!(!response.text().contains("secret"), "{path}");
        let after = app.load(id, &["name", "count", "hits"]).await.expect("the record");
        assert_eq!(
            (after.credentials, after.epoch, after.fields),
            (before.credentials, before.epoch, before.fields),
            "{path}"
        );
        assert_eq!(attacker.get("/name").await.text(), "-", "{path}");
        assert_eq!(victim.get("/name").await.text(), "secret", "{path}");
    }
}

/// Even a logout from before the rotation ends the session: ending always wins.
pub async fn a_logout_from_before_a_rotation_ends_it(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.visitor("Ada").await;
    let (id, tab) = (record_of(&browser), browser.clone_jar());
    let slow = tokio::spawn(async move { tab.get("/wait/end").await });
    app.gate.arrived().await;
    browser.get("/rotate").await;
    app.gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 200);
    assert!(app.load(id, &[]).await.is_none());
    assert_eq!(browser.get("/name").await.text(), "-");
}

/// Ten thousand wrong secrets on a known id change nothing and lock nobody out.
pub async fn wrong_secrets_change_nothing(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.visitor("Ada").await;
    let id = record_of(&browser);
    let before = app.load(id, &["name"]).await.expect("the record");
    let forger = app.browser();
    app.events();
    for attempt in 0..10_000 {
        let secret = Secret::from_bytes(random::bytes().expect("random bytes"));
        forger.set_cookie_raw(COOKIE, &Token::new(id, secret).expose());
        let path = ["/name", "/end", "/rotate", "/clear"][attempt % 4];
        let response = forger.get(path).await;
        assert_eq!(response.status(), 200);
        assert_ne!(response.text(), "Ada");
        assert!(response.set_cookies().is_empty(), "{path}: neither a cookie nor a removal");
    }
    assert_eq!(app.calls.writes(), 0);
    let events = app.events();
    assert!(events.iter().all(|event| event.contains("Forged")) && events.len() == 10_000);
    let after = app.load(id, &["name"]).await.expect("the record");
    assert_eq!(
        (after.credentials, after.touched, after.fields),
        (before.credentials, before.touched, before.fields)
    );
    assert_eq!(browser.get("/name").await.text(), "Ada");
}
