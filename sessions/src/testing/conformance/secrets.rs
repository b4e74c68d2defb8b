//! Secret fields: what the store has of them, and what becomes of one that was tampered with (feature `keys`).

use super::{
    contract::{TIMEOUTS, delta, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of},
    handler::{TestHandler, case, gated},
    keys::{copy, flipped, key},
};
use crate::{
    Session, TypedSession,
    delta::Op,
    error::Error,
    keys::KeyRing,
    layer::{CookieConfig, SessionLayer},
    store::{Commit, CommitOutcome, NewRecord},
    testing::{Client, Gate, Operation},
    value::{Authority, FieldName, RecordId, Secret, Token, TokenHasher, base64url},
};

#[derive(Session)]
struct Vault {
    name: Option<String>,
    #[session(secret, alias = "old_card")]
    card: Option<String>,
    #[session(secret)]
    pin: Option<String>,
    #[session(secret, default = 7)]
    level: i64,
    #[flash]
    #[session(secret)]
    code: Option<String>,
    #[session(identity)]
    user: Option<u64>,
}

/// A view of the vault's fields that does not declare them secret.
#[derive(Session)]
struct PlainVault {
    card: Option<String>,
    #[session(merge = "add")]
    level: i64,
    #[session(merge = "first")]
    pin: Option<String>,
}

/// A view without secret fields.
#[derive(Session)]
struct BesideVault {
    theme: Option<String>,
    name: Option<String>,
}

/// A view with a right that is secret.
#[derive(Session)]
struct SecretMember {
    #[session(secret, privilege)]
    member: Option<u64>,
    note: Option<String>,
}

/// The vault of an older program.
#[derive(Session)]
struct FormerVault {
    #[session(secret)]
    old_card: Option<String>,
}

/// A view that resets a card that does not open.
#[derive(Session)]
struct LenientVault {
    #[session(secret, on_invalid = "reset")]
    card: Option<String>,
}

type Visit = TypedSession<Vault>;
type PlainVisit = TypedSession<PlainVault>;
type VisitBeside = TypedSession<BesideVault>;
type MemberVisit = TypedSession<SecretMember>;
type LenientVisit = TypedSession<LenientVault>;

const NEEDLE: &str = "411123581321345589";

async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

async fn card(session: Visit) -> String {
    session.card().unwrap_or("-").to_owned()
}

async fn pin(session: Visit) -> String {
    session.pin().unwrap_or("-").to_owned()
}

async fn level(session: Visit) -> i64 {
    session.level()
}

async fn take_code(mut session: Visit) -> Option<String> {
    session.take_code()
}

async fn rotate(session: Visit) {
    session.rotate();
}

fn set_name(name: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.set_name(name)
}

fn set_card(card: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.set_card(card)
}

fn push_card(rest: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.card_mut().expect("a card").push_str(rest)
}

fn set_level(level: i64) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.set_level(level)
}

fn flash_code(code: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.flash_code(code)
}

fn log_in(user: u64) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.set_user(user)
}

fn save_pin_twice(pin: &'static str) -> impl TestHandler<(Visit,), Output = Result<String, Error>> {
    async move |mut session: Visit| {
        session.set_pin(pin);
        session.save().await?;
        let saved = session.pin().unwrap_or("-").to_owned();
        session.pin_mut().expect("a pin").push('1');
        session.save().await?;
        session.reload().await?;
        let again = session.pin().unwrap_or("-").to_owned();
        session.set_pin(again.clone());
        Ok(format!("{saved} {again} {}", session.pin().unwrap_or("-")))
    }
}

async fn plain_card(session: PlainVisit) -> String {
    session.card().unwrap_or("-").to_owned()
}

fn set_plain_card(card: &'static str) -> impl TestHandler<(PlainVisit,), Output = ()> {
    async move |mut session: PlainVisit| session.set_card(card)
}

async fn add_level(mut session: PlainVisit) {
    session.add_level(1);
}

async fn name_beside(session: VisitBeside) -> String {
    session.name().unwrap_or("-").to_owned()
}

async fn note(session: MemberVisit) -> String {
    session.note().unwrap_or("-").to_owned()
}

fn join(member: u64) -> impl TestHandler<(MemberVisit,), Output = ()> {
    async move |mut session: MemberVisit| session.set_member(member)
}

fn set_lenient_card(card: &'static str) -> impl TestHandler<(LenientVisit,), Output = ()> {
    async move |mut session: LenientVisit| session.set_card(card)
}

/// No byte of a secret value is in the store, whichever call wrote it.
pub async fn no_secret_value_is_in_the_store(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    let names = ["card", "pin", "code", "level"];
    let digits: i64 = NEEDLE.parse().expect("a number");
    browser.visit(set_name("visible")).await;
    browser.visit(set_card(NEEDLE)).await;
    browser.visit(async |mut session: Visit| session.set_pin(NEEDLE)).await;
    browser.visit(flash_code(NEEDLE)).await;
    browser.visit(set_level(digits)).await;
    let id = record_of(&browser);
    assert_sealed(&app, id, &names).await;
    assert_hidden(&env).await;
    browser.visit(rotate).await;
    browser.visit(log_in(1)).await;
    browser.visit(push_card("1")).await;
    assert_eq!(browser.send(save_pin_twice(NEEDLE)).await.status(), 200);
    assert_eq!(browser.visit(card).await, format!("{NEEDLE}1"));
    browser.visit(set_plain_card(NEEDLE)).await;
    let begun = app.browser();
    let begin = async |mut session: Visit| {
        session.set_card(NEEDLE);
        session.flash_code(NEEDLE);
        session.save().await?;
        session.reload().await
    };
    assert_eq!(begun.send(begin).await.status(), 200);
    assert_sealed(&app, id, &names).await;
    assert_sealed(&app, record_of(&begun), &["card", "code"]).await;
    assert_hidden(&env).await;
    assert_eq!(browser.visit(card).await, NEEDLE);
    assert_eq!(browser.visit(level).await, digits);
    assert_eq!(begun.visit(take_code).await.as_deref(), Some(NEEDLE));
}

/// A secret value that another view of the request has loaded again is opened for its own view.
pub async fn a_secret_that_another_view_loads_is_opened(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let (browser, gate) = (app.browser(), Gate::new());
    browser.visit(set_name("Ada")).await;
    let reload = async |mut beside: VisitBeside, mut session: Visit| {
        beside.reload().await?;
        session.set_name("Bea");
        session.save().await?;
        Ok::<_, Error>(session.card().map(str::to_owned))
    };
    let slow = tokio::spawn(browser.visit(gated(&gate, reload)));
    gate.arrived().await;
    browser.visit(set_card(NEEDLE)).await;
    gate.release();
    let seen = slow.await.expect("an answer").expect("a reload and a save");
    assert_eq!(seen.as_deref(), Some(NEEDLE));
    assert_eq!(browser.visit(name).await, "Bea");
}

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

/// A secret field whose key is gone leaves a request what a logout would leave, and a login begins with that.
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

/// A field that one view declares secret is secret for all views.
pub async fn a_field_is_secret_for_every_view(env: TestEnvironment) {
    let fetch_add_level = async |mut session: PlainVisit| session.fetch_add_level(1).await.map(drop);
    let both = async |session: Visit, plain: PlainVisit| {
        [session.card(), plain.card()].map(|card| card.map(str::to_owned))
    };
    let plain_first = async |_plain: PlainVisit, session: Visit| session.card().map(str::to_owned);
    let keys = KeyRing::new(key());
    let app = sealing(&env, keys.clone()).await;
    let browser = app.browser();
    browser.visit(set_card("4111")).await;
    browser.visit(set_level(8)).await;
    let id = record_of(&browser);
    assert_eq!(browser.visit(plain_card).await, "4111", "not how it is stored");
    browser.visit(set_plain_card("4222")).await;
    browser.visit(async |mut session: PlainVisit| session.set_pin("12")).await;
    assert_sealed(&app, id, &["card", "pin", "level"]).await;
    assert_eq!(browser.visit(card).await, "4222");
    assert_eq!(browser.visit(pin).await, "12");
    let before = app.stored(id, "level").await;
    for request in [browser.send(add_level), browser.send(fetch_add_level)] {
        assert_eq!(request.await.status(), 500, "no store can count in it");
    }
    let stranger = app.browser();
    assert_eq!(stranger.send(add_level).await.status(), 500);
    assert!(stranger.cookies().is_empty());
    assert_eq!(app.stored(id, "level").await, before);
    assert_eq!(browser.visit(level).await, 8);
    // Both views of one request read it, in either order.
    assert_eq!(browser.visit(both).await.map(|card| card.as_deref() == Some("4222")), [true; 2]);
    // A process that has not met the secret view registers the field as soon as it does.
    let restarted = sealing(&env, keys).await;
    let browser = browser.at(&restarted.browser());
    assert_eq!(browser.visit(plain_first).await.as_deref(), Some("4222"));
}

/// A layer without keys writes no secret value, and reads no plain value as a secret one.
pub async fn without_keys_nothing_is_read_or_written(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    for (what, request) in [
        ("a read", browser.send(name)),
        ("a write", browser.send(set_card("4111"))),
        ("a write of a view that resets", browser.send(set_lenient_card("4111"))),
        ("a write of a view without secrets", browser.send(set_plain_card("4111"))),
    ] {
        assert_eq!(request.await.status(), 500, "{what}");
    }
    assert!(browser.cookies().is_empty());
    assert_eq!(app.calls(), []);
    let events = app.events();
    assert!(events.iter().any(|event| event.contains("Misconfigured") && event.contains(".with_keys(ring)")));

    let sealing = sealing(&env, KeyRing::new(key())).await;
    let browser = sealing.browser();
    browser.visit(set_card("4111")).await;
    let id = record_of(&browser);
    let stored = sealing.stored(id, "card").await;
    let browser = browser.at(&app.browser());
    assert_eq!(browser.visit(plain_card).await, "-");
    assert_eq!(browser.send(set_plain_card("4222")).await.status(), 500);
    assert_eq!(app.stored(id, "card").await, stored);
}

/// A secret field has the defaults, the saves, the aliases and the lifetime of any other field.
pub async fn a_secret_field_is_a_field_like_any_other(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    assert_eq!(browser.visit(level).await, 7);
    browser.visit(set_level(7)).await;
    assert!(browser.cookies().is_empty(), "the default with nothing stored is no change");
    browser.visit(set_card("4111")).await;
    let id = record_of(&browser);
    assert_eq!(browser.visit(card).await, "4111");
    app.calls.clear();
    browser.visit(set_card("4111")).await;
    browser.visit(push_card("")).await;
    browser.visit(card).await;
    assert_eq!(app.calls.writes(), 0, "an equal value is no write");
    browser.visit(push_card("2")).await;
    assert_eq!(browser.visit(card).await, "41112");
    assert_eq!(browser.send(save_pin_twice("9")).await.text(), "9 91 91");
    assert_eq!(browser.visit(pin).await, "91");
    for (what, request) in [("a rotation", browser.send(rotate)), ("a login", browser.send(log_in(1)))] {
        assert_eq!(request.await.status(), 200, "{what}");
        assert_eq!(browser.visit(card).await, "41112", "{what}");
    }
    browser.visit(async |mut session: Visit| session.remove_card()).await;
    assert_eq!(app.stored(id, "card").await, None);
    browser.visit(async |mut session: TypedSession<FormerVault>| session.set_old_card("4333")).await;
    assert_eq!(browser.visit(card).await, "4333", "by its older name");
    browser.visit(set_card("4444")).await;
    assert_eq!(app.stored(id, "old_card").await, None);
    assert_eq!(browser.visit(card).await, "4444");
    browser.visit(async |mut session: Visit| session.remove_user()).await;
    assert_eq!(browser.visit(pin).await, "-", "it goes with its user");
}

/// A secret flash is delivered once, and a newer one that came meanwhile is kept.
pub async fn a_secret_flash_is_delivered_once(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let (browser, gate) = (app.browser(), Gate::new());
    browser.visit(flash_code("one")).await;
    let id = record_of(&browser);
    assert_sealed(&app, id, &["code"]).await;
    let look = async |session: Visit| session.code().map(str::to_owned);
    assert_eq!(browser.visit(look).await.as_deref(), Some("one"), "looking does not take it");
    assert_eq!(browser.visit(take_code).await.as_deref(), Some("one"));
    assert_eq!(browser.visit(take_code).await, None);
    assert_eq!(app.stored(id, "code").await, None);

    browser.visit(flash_code("two")).await;
    let flash_and_take = async |mut session: Visit| {
        session.flash_code("three");
        session.take_code()
    };
    assert_eq!(browser.visit(flash_and_take).await.as_deref(), Some("three"));
    assert_eq!(app.stored(id, "code").await, None, "it took the place of the one before");
    let save_and_take = async |mut session: Visit| {
        session.flash_code("four");
        session.save().await?;
        Ok::<_, Error>(session.take_code())
    };
    assert_eq!(browser.visit(save_and_take).await.expect("a save").as_deref(), Some("four"));
    assert_eq!(app.stored(id, "code").await, None);
    browser.visit(flash_code("five")).await;
    let take_and_keep = async |mut session: Visit| {
        session.take_code();
        session.keep_code();
        session.code().map(str::to_owned)
    };
    assert_eq!(browser.visit(take_and_keep).await.as_deref(), Some("five"));

    let taken = tokio::spawn(browser.visit(gated(&gate, take_code)));
    gate.arrived().await;
    browser.visit(flash_code("six")).await;
    gate.release();
    assert_eq!(taken.await.expect("an answer").as_deref(), Some("five"));
    assert_eq!(browser.visit(take_code).await.as_deref(), Some("six"), "a newer one stays");
}

/// Events, responses and `Debug` show no secret value, neither opened nor sealed.
pub async fn events_and_answers_show_no_secret_value(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    browser.visit(set_card(NEEDLE)).await;
    let id = record_of(&browser);
    let stored = app.stored(id, "card").await.expect("a value");
    let mut shown = vec![browser.visit(async |session: Visit| format!("{session:?}")).await];
    app.faults.fail(Operation::Commit, 1);
    for (request, forged) in [
        (browser.send(push_card("0")), None),
        (browser.send(card), Some(format!("\"{NEEDLE}\""))),
        (browser.send(card), Some(stored.replacen("s1.", "s1.A", 1))),
        (browser.send(add_level), None),
    ] {
        if let Some(forged) = forged {
            put(&app, id, "card", &forged).await;
        }
        let response = request.await;
        shown.push(format!("{:?} {}", response.headers(), response.text()));
    }
    shown.extend(app.events());
    assert!(shown.len() > 6, "there is something to look at: {shown:?}");
    for text in shown {
        assert!(!text.contains(NEEDLE) && !text.contains(&stored[8..20]), "{text}");
    }
}

async fn sealing(env: &TestEnvironment, keys: KeyRing) -> TestApp {
    env.app_with(|layer| layer.with_keys(keys)).await
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

/// Writes a value to the store, past the library.
async fn put(app: &TestApp, id: RecordId, name: &'static str, value: &str) {
    write(app, id, name, Op::Put(json(value))).await;
}

async fn write(app: &TestApp, id: RecordId, name: &'static str, op: Op) {
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[(name, op)]));
    let answer = app.raw.commit(id, commit).await.expect("an answer");
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
}

/// Returns a browser with a token of the app for a record with this id, into which an attacker has put this card.
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

async fn assert_sealed(app: &TestApp, id: RecordId, names: &[&'static str]) {
    for name in names {
        let stored = app.stored(id, name).await.expect("a value");
        assert!(stored.starts_with("\"s1."), "{name}: {stored}");
    }
}

async fn assert_hidden(env: &TestEnvironment) {
    let Some(dump) = env.dump().await else { return };
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"visible"), "the dump shows what is stored");
    assert!(!holds(&NEEDLE.as_bytes()[..12]));
}
