//! Secret fields: sealed in the store, and in all else like other fields (feature `keys`).

use std::collections::BTreeMap;

use super::{
    contract::{TIMEOUTS, delta, json},
    environment::{TestApp, TestEnvironment, record_of},
    handler::{TestHandler, gated},
    keys::key,
};
use crate::{
    Session, TypedSession,
    delta::Op,
    error::Error,
    keys::KeyRing,
    store::{Commit, CommitOutcome},
    testing::{Gate, Operation},
    value::RecordId,
};

#[derive(Session)]
pub(super) struct Vault {
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

/// A view of collections whose values are secret.
#[derive(Session)]
struct SecretCollections {
    #[session(merge = "entries", secret)]
    tokens: BTreeMap<String, String>,
    #[session(merge = "append", secret)]
    codes: Vec<String>,
    #[flash]
    #[session(secret)]
    notices: Vec<String>,
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
pub(super) struct BesideVault {
    theme: Option<String>,
    name: Option<String>,
}

/// A view with a right that is secret.
#[derive(Session)]
pub(super) struct SecretMember {
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
pub(super) struct LenientVault {
    #[session(secret, on_invalid = "reset")]
    card: Option<String>,
}

pub(super) type Visit = TypedSession<Vault>;
type TokensVisit = TypedSession<SecretCollections>;
type PlainVisit = TypedSession<PlainVault>;
pub(super) type VisitBeside = TypedSession<BesideVault>;
pub(super) type MemberVisit = TypedSession<SecretMember>;
pub(super) type LenientVisit = TypedSession<LenientVault>;

const NEEDLE: &str = "411123581321345589";

pub(super) async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

pub(super) async fn card(session: Visit) -> String {
    session.card().unwrap_or("-").to_owned()
}

pub(super) async fn pin(session: Visit) -> String {
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

pub(super) fn set_name(name: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
    async move |mut session: Visit| session.set_name(name)
}

pub(super) fn set_card(card: &'static str) -> impl TestHandler<(Visit,), Output = ()> {
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

pub(super) fn log_in(user: u64) -> impl TestHandler<(Visit,), Output = ()> {
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

pub(super) async fn name_beside(session: VisitBeside) -> String {
    session.name().unwrap_or("-").to_owned()
}

pub(super) async fn note(session: MemberVisit) -> String {
    session.note().unwrap_or("-").to_owned()
}

pub(super) fn join(member: u64) -> impl TestHandler<(MemberVisit,), Output = ()> {
    async move |mut session: MemberVisit| session.set_member(member)
}

pub(super) fn set_lenient_card(card: &'static str) -> impl TestHandler<(LenientVisit,), Output = ()> {
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
    let other = app.browser();
    let write_and_reload = async |mut session: Visit| {
        session.set_card(NEEDLE);
        session.flash_code(NEEDLE);
        session.save().await?;
        session.reload().await
    };
    assert_eq!(other.send(write_and_reload).await.status(), 200);
    assert_sealed(&app, id, &names).await;
    assert_sealed(&app, record_of(&other), &["card", "code"]).await;
    assert_hidden(&env).await;
    assert_eq!(browser.visit(card).await, NEEDLE);
    assert_eq!(browser.visit(level).await, digits);
    assert_eq!(other.visit(take_code).await.as_deref(), Some(NEEDLE));
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

pub(super) async fn sealing(env: &TestEnvironment, keys: KeyRing) -> TestApp {
    env.app_with(|layer| layer.with_keys(keys)).await
}

/// Writes a value to the store, past the library.
pub(super) async fn put(app: &TestApp, id: RecordId, name: &'static str, value: &str) {
    write(app, id, name, Op::Put(json(value))).await;
}

pub(super) async fn write(app: &TestApp, id: RecordId, name: &'static str, op: Op) {
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[(name, op)]));
    let answer = app.raw.commit(id, commit).await.expect("an answer");
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
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

/// The values of entries are sealed one by one, each for its entry, and merge, move and go like others.
pub async fn values_of_secret_entries_are_sealed_one_by_one(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    let fill = async |mut session: TokensVisit| {
        session.tokens_mut().insert("mail".into(), format!("{NEEDLE} one"));
        session.tokens_mut().insert("disk".into(), format!("{NEEDLE} two"));
        session.codes_mut().push(NEEDLE.into());
        session.flash_notices(NEEDLE);
    };
    browser.visit(fill).await;
    let id = record_of(&browser);
    if let Some(dump) = env.dump().await {
        assert!(!dump.windows(NEEDLE.len()).any(|window| window == NEEDLE.as_bytes()));
    }
    let gate = Gate::new();
    let change = async |mut session: TokensVisit| {
        session.tokens_mut().remove("mail");
        session.tokens_mut().insert("chat".into(), "three".into());
        session.codes_mut().push("second".into());
        session.take_notices()
    };
    let slow = tokio::spawn(browser.visit(gated(&gate, change)));
    gate.arrived().await;
    browser.visit(async |mut session: TokensVisit| session.flash_notices("later")).await;
    gate.release();
    assert_eq!(slow.await.expect("an answer"), [NEEDLE]);
    let read = async |mut session: TokensVisit| {
        (session.tokens().clone(), session.codes().join(" "), session.take_notices().join(" "))
    };
    let (tokens, codes, notices) = browser.visit(read).await;
    let expected = [("chat", "three".to_owned()), ("disk", format!("{NEEDLE} two"))];
    assert_eq!(tokens, expected.map(|(key, value)| (key.to_owned(), value)).into());
    assert_eq!((codes, notices), (format!("{NEEDLE} second"), "later".to_owned()));
    // A value in the place of another one does not open there.
    let disk = app.stored(id, "tokens[disk]").await.expect("a value");
    put(&app, id, "tokens[chat]", &disk).await;
    assert_eq!(
        browser.send(async |session: TokensVisit| session.tokens().len().to_string()).await.status(),
        500
    );
}
