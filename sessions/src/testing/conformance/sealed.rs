//! Sealed values: forged, moved to another place, or of a key that is gone (feature `keys`).

use super::{
    contract::{TIMEOUTS, delta, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    handler::case,
    keys::{copy, flipped, key},
    secrets::{
        LenientVisit, MemberVisit, Visit, card, join, log_in, name, name_beside, note, pin, put, sealing,
        set_card, set_lenient_card, set_name, write,
    },
};
use crate::{
    Session, TypedSession,
    delta::Op,
    keys::KeyRing,
    layer::{CookieConfig, SessionLayer},
    store::{Commit, NewRecord},
    testing::Client,
    value::{Authority, FieldName, RecordId, Secret, Token, TokenHasher, base64url},
};

/// A sealed value that was changed or cut in any place is not read, and stays as it is.
pub async fn every_bit_of_a_sealed_value_counts(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    browser.visit(set_card("4111")).await;
    browser.visit(set_name("Ada")).await;
    let id = record_of(&browser);
    let stored = app.stored(id, "card").await.expect("a value");
    let sealed = base64url::decode_vec(&stored.as_bytes()[4..stored.len() - 1]).expect("base64url");
    let text_of = |bytes: &[u8]| format!("\"s1.{}\"", base64url::encode(bytes));
    let bits = (0..sealed.len() * 8).map(|bit| text_of(&flipped(&sealed, bit)));
    let cuts = (0..sealed.len()).map(|length| text_of(&sealed[..length]));
    let others = ["\"4111\"", "\"\"", "null", "4111", "\"s1.\"", "[\"4111\"]"].map(str::to_owned);
    // The first 32 bits name the key, and no key has the changed name.
    for (bit, forged) in bits.enumerate() {
        put(&app, id, "card", &forged).await;
        if bit < 32 {
            withholds(&browser, &forged).await;
        } else {
            refuses(&browser, &forged).await;
        }
    }
    for forged in cuts.chain(others) {
        put(&app, id, "card", &forged).await;
        refuses(&browser, &forged).await;
    }
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
    put(&app, id, "card", &stored).await;
    assert_eq!(browser.visit(card).await, "4111");
    assert_eq!(browser.visit(name).await, "Ada");
}

/// A field that becomes secret with `on_invalid = "reset"` refuses no user: its plain value counts as absent.
///
/// If it is a right, the request sees the record as after a logout, as with any right that it cannot read.
pub async fn a_field_that_becomes_secret_is_reset_if_it_says_so(env: TestEnvironment) {
    #[derive(Session)]
    struct PlainBefore {
        card: Option<String>,
        #[session(privilege)]
        role: Option<String>,
        note: Option<String>,
    }

    #[derive(Session)]
    struct SecretSince {
        #[session(secret, on_invalid = "reset")]
        card: Option<String>,
        #[session(secret, privilege, on_invalid = "reset")]
        role: Option<String>,
        note: Option<String>,
    }

    #[derive(Session)]
    struct StrictSince {
        #[session(secret, privilege, on_invalid = "reject")]
        role: Option<String>,
    }

    async fn fill(mut before: TypedSession<PlainBefore>) {
        before.set_card("4111");
        before.set_note("hello");
    }
    async fn grant(mut before: TypedSession<PlainBefore>) {
        before.set_role("admin");
    }
    async fn read(since: TypedSession<SecretSince>) -> String {
        let (card, role) = (since.card().unwrap_or("-"), since.role().unwrap_or("-"));
        format!("{card} {role} {}", since.note().unwrap_or("-"))
    }
    async fn set(mut since: TypedSession<SecretSince>) {
        since.set_role("editor");
        since.set_card("4222");
    }
    async fn role(strict: TypedSession<StrictSince>) -> String {
        strict.role().unwrap_or("-").to_owned()
    }
    let keys = KeyRing::new(key());
    let older = env.app().await;
    let (newer, strict) = (sealing(&env, keys.clone()).await, sealing(&env, keys).await);
    let before = older.browser();
    let (since, strict) = (before.at(&newer.browser()), before.at(&strict.browser()));
    before.visit(fill).await;
    assert_eq!(since.visit(read).await, "- - hello");
    before.visit(grant).await;
    assert_eq!(since.visit(read).await, "- - -");
    assert_eq!(strict.send(role).await.status(), 500);
    since.visit(set).await;
    assert_eq!(since.visit(read).await, "4222 editor -");
    assert_eq!(strict.visit(role).await, "editor");
}

/// A sealed value opens only in its record, in its field, under its cookie's name and with its keys.
pub async fn a_sealed_value_opens_nowhere_else(env: TestEnvironment) {
    let key = key();
    let app = sealing(&env, KeyRing::new(copy(&key))).await;
    let [ada, bea] = [app.browser(), app.browser()];
    for (browser, number) in [(&ada, "4111"), (&bea, "4222")] {
        browser.visit(set_card(number)).await;
        browser.visit(async move |mut session: Visit| session.set_pin(number)).await;
    }
    let (id, other) = (record_of(&ada), record_of(&bea));
    let own = app.stored(id, "card").await.expect("a value");
    let foreign = app.stored(other, "card").await.expect("a value");
    let pin = app.stored(id, "pin").await.expect("a value");
    for moved in [&foreign, &pin] {
        put(&app, id, "card", moved).await;
        refuses(&ada, moved).await;
    }
    write(&app, id, "card", Op::Remove).await;
    put(&app, id, "old_card", &own).await;
    refuses(&ada, "sealed under the present name").await;
    write(&app, id, "old_card", Op::Remove).await;
    put(&app, id, "card", &own).await;
    assert_eq!(ada.visit(card).await, "4111");

    // Two other layers on the same store: one has another cookie name, the other has other keys.
    let named =
        |layer: SessionLayer| layer.with_cookie(CookieConfig::new("__Host-admin")).expect("a good cookie");
    let keys = KeyRing::new(copy(&key));
    let admin = env.app_with(|layer| named(layer.with_keys(keys))).await;
    let staging = sealing(&env, KeyRing::new(super::keys::key())).await;
    for (other, has_key) in [(admin, true), (staging, false)] {
        let browser = other.browser();
        browser.visit(set_card("4333")).await;
        let id = named_record(&browser);
        let stored = other.stored(id, "card").await.expect("a value");
        assert_eq!(browser.visit(card).await, "4333");
        let planted = planted(&app, id, &stored).await;
        if has_key {
            refuses(&planted, "of another layer").await;
        } else {
            withholds(&planted, "of other keys").await;
        }
    }
}

/// All values open through the steps of a change of keys, except those that a revoked key sealed.
pub async fn a_sealed_value_is_worth_as_much_as_its_key(env: TestEnvironment) {
    let (old, new) = (key(), key());
    let keys = || KeyRing::new(copy(&old));
    let first = sealing(&env, keys()).await;
    let prepared = sealing(&env, keys().add_created(copy(&new)).expect("another key")).await;
    let switched = sealing(&env, keys().add_active(copy(&new)).expect("another key")).await;
    let after = KeyRing::new(copy(&new)).add_revoked(old.id()).expect("another key");
    let after = sealing(&env, after).await;
    let browser = first.browser();
    browser.visit(set_card("4111")).await;
    let id = record_of(&browser);
    let by_old = first.stored(id, "card").await.expect("a value");
    for app in [&prepared, &switched] {
        let browser = browser.at(&app.browser());
        assert_eq!(browser.visit(card).await, "4111");
        browser.visit(set_card("4111")).await;
        assert_eq!(app.stored(id, "card").await.as_ref(), Some(&by_old), "an equal value is no write");
    }
    let late = browser.at(&after.browser());
    withholds(&late, "of a revoked key").await;
    assert!(after.events().iter().any(|event| event.contains(&format!("its key {} is revoked", old.id()))));
    assert_eq!(late.visit(async |session: LenientVisit| session.card().map(str::to_owned)).await, None);

    browser.at(&switched.browser()).visit(set_card("4222")).await;
    for app in [&prepared, &switched, &after] {
        assert_eq!(browser.at(&app.browser()).visit(card).await, "4222");
    }
    withholds(&browser, "of a key that is not known yet").await;
    put(&after, id, "card", &by_old).await;
    late.visit(set_lenient_card("4333")).await;
    assert_eq!(late.visit(card).await, "4333");
}

/// A request for a field whose key is gone sees what a logout would leave, and a login starts from that.
pub async fn a_secret_whose_key_is_gone_locks_nobody_out(env: TestEnvironment) {
    let (before, after) =
        (sealing(&env, KeyRing::new(key())).await, sealing(&env, KeyRing::new(key())).await);
    for (what, is_right) in [("a field", false), ("a right", true)] {
        let browser = before.browser();
        browser.visit(set_name("Ada")).await;
        browser.visit(log_in(1)).await;
        browser.visit(async |mut session: MemberVisit| session.set_note("hello")).await;
        let set = if is_right { browser.send(join(1)) } else { browser.send(set_card("4111")) };
        assert_eq!(set.await.status(), 200, "{what}");
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let there = browser.at(&after.browser());
        after.browser().visit(note).await;
        after.calls.clear();
        after.events();
        let own = if is_right { there.send(note) } else { there.send(name) };
        // Every request loads the rights, but only the vault's view loads the card.
        let beside = if is_right { "-" } else { "Ada" };
        for (request, seen) in [(own, "-"), (there.send(name_beside), beside)] {
            let response = request.await;
            assert_eq!((response.status().as_u16(), response.text()), (200, seen), "{what}");
            assert!(response.set_cookies().is_empty(), "{what}");
        }
        let told = after.events().concat();
        assert!(told.contains("is not in the key ring"), "{told}");
        assert_eq!(after.calls.writes(), 0);
        assert_eq!(browser.visit(name).await, "Ada", "{what}: it is read where its key is");
        let login = if is_right { there.send(join(2)) } else { there.send(log_in(2)) };
        assert_eq!(login.await.set_cookies().len(), 1, "{what}");
        assert_eq!(there.visit(name).await, "-", "{what}");
        assert_eq!(there.visit(card).await, "-", "{what}");
        let first = if is_right { "member" } else { "user" };
        assert!(before.stored(id, first).await.is_some(), "{what}");
        assert_eq!(old.visit(name).await, "-", "{what}");
    }
    // A changed value refuses the request, whichever view it takes.
    let browser = before.browser();
    browser.visit(join(1)).await;
    let id = record_of(&browser);
    let stored = before.stored(id, "member").await.expect("a value");
    let mut forged = stored.into_bytes();
    let last = forged.len() - 4;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let epoch = before.load(id, &[]).await.expect("the record").epoch;
    let forged = String::from_utf8(forged).expect("text");
    let commit = Commit::new(epoch, TIMEOUTS).with_delta(delta(&[("member", Op::Put(json(&forged)))]));
    before.raw.commit(id, commit).await.expect("an answer");
    assert_eq!(browser.send(note).await.status(), 500);
    assert_eq!(browser.send(name_beside).await.status(), 500);
}

/// Asserts that a read of the card is refused, shows nothing of it, and leaves the cookie.
async fn refuses(browser: &Client, what: &str) {
    let response = browser.send(card).await;
    assert_eq!(response.status(), 500, "{what}");
    assert!(!response.text().contains("4111"), "{what}");
    assert!(response.header("set-cookie").is_none(), "{what}");
}

/// Asserts that a request is answered, and sees of the record only what a logout would leave.
async fn withholds(browser: &Client, what: &str) {
    for handler in [case(card), case(name), case(pin)] {
        let response = browser.send(handler).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "{what}");
        assert!(response.header("set-cookie").is_none(), "{what}");
    }
}

/// Returns a browser with a token for a record of this id, into which an attacker has put this card.
async fn planted(app: &TestApp, id: RecordId, card: &str) -> Client {
    let token = Token::new(id, Secret::from_bytes([7; 32]));
    let hash = TokenHasher::new(COOKIE).hash(&id, token.secret());
    let fields = [(FieldName::from_static("card"), json(card))].into_iter().collect();
    app.raw.destroy(id).await.expect("destroyed");
    let record = NewRecord::new(Authority::new(hash).credentials(), TIMEOUTS).with_fields(fields);
    app.raw.create(id, record).await.expect("created");
    let browser = app.browser();
    browser.set_cookie_raw(COOKIE, &token.expose());
    browser
}

/// Returns the record id of the browser's only cookie.
fn named_record(browser: &Client) -> RecordId {
    let [cookie] = &browser.cookies()[..] else { panic!("one cookie") };
    Token::parse(cookie.value.as_bytes()).expect("a token").id()
}
