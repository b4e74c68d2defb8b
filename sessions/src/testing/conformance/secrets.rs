//! Secret fields: what the store has of them, and what becomes of one that was tampered with (feature `keys`).

use http::request::Parts;

use super::{
    contract::{TIMEOUTS, delta, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    keys::{copy, flipped, key},
    reply::{HandlerFailure, HandlerReply, text},
};
use crate::{
    Session, TypedSession,
    delta::Op,
    keys::KeyRing,
    layer::CookieConfig,
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

/// The same fields, which nobody said are secret.
#[derive(Session)]
struct Careless {
    card: Option<String>,
    #[session(merge = "add")]
    level: i64,
    #[session(merge = "first")]
    pin: Option<String>,
}

/// A part of the program that has nothing to do with them.
#[derive(Session)]
struct Outside {
    theme: Option<String>,
    name: Option<String>,
}

/// Somebody whose very name is nobody's business.
#[derive(Session)]
struct Member {
    #[session(secret, privilege)]
    member: Option<u64>,
    note: Option<String>,
}

/// What the vault was in an older program.
#[derive(Session)]
struct Former {
    #[session(secret)]
    old_card: Option<String>,
}

/// One that goes on without what does not open.
#[derive(Session)]
struct Lenient {
    #[session(secret, on_invalid = "reset")]
    card: Option<String>,
}

const NEEDLE: &str = "411123581321345589";

/// No byte of a secret value is in the store, however it got there.
pub async fn no_secret_value_is_in_the_store(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    let names = ["card", "pin", "code", "level"];
    browser.get("/vault/set-name/visible").await;
    for command in ["set-card", "set-pin", "flash-code", "set-level"] {
        let response = browser.get(&format!("/vault/{command}/{NEEDLE}")).await;
        assert_eq!(response.status(), 200, "{command}");
    }
    let id = record_of(&browser);
    assert_sealed(&app, id, &names).await;
    assert_hidden(&env).await;
    for path in ["rotate", "set-user/1", "push-card/1", &format!("save-pin-twice/{NEEDLE}")] {
        assert_eq!(browser.get(&format!("/vault/{path}")).await.status(), 200, "{path}");
    }
    let changed = format!("{NEEDLE}1");
    assert_eq!(browser.get("/vault/card").await.text(), changed);
    browser.get(&format!("/careless/set-card/{NEEDLE}")).await;
    let begun = app.browser();
    begun.get(&format!("/vault/begin/{NEEDLE}")).await;
    assert_sealed(&app, id, &names).await;
    assert_sealed(&app, record_of(&begun), &["card", "code"]).await;
    assert_hidden(&env).await;
    assert_eq!(browser.get("/vault/card").await.text(), NEEDLE);
    assert_eq!(browser.get("/vault/level").await.text(), NEEDLE);
    assert_eq!(begun.get("/vault/take-code").await.text(), NEEDLE);
}

/// A value that another view has read again is as plain to its own view as ever.
pub async fn a_secret_that_another_view_loads_is_opened(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    browser.get("/vault/set-name/Ada").await;
    let tab = browser.fork();
    let slow = tokio::spawn(async move { tab.get("/reload/all/Bea").await.text().to_owned() });
    app.gate.arrived().await;
    browser.get(&format!("/vault/set-card/{NEEDLE}")).await;
    app.gate.release();
    assert_eq!(slow.await.expect("an answer"), NEEDLE);
    assert_eq!(browser.get("/vault/name").await.text(), "Bea");
}

/// A value that was changed or cut in any place is not read, and nothing is lost by it.
pub async fn every_bit_of_a_sealed_value_counts(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    browser.get("/vault/set-card/4111").await;
    browser.get("/vault/set-name/Ada").await;
    let id = record_of(&browser);
    let stored = app.stored(id, "card").await.expect("a value");
    let sealed = base64url::decode_vec(&stored.as_bytes()[4..stored.len() - 1]).expect("base64url");
    let text_of = |bytes: &[u8]| format!("\"s1.{}\"", base64url::encode(bytes));
    let bits = (0..sealed.len() * 8).map(|bit| text_of(&flipped(&sealed, bit)));
    let cuts = (0..sealed.len()).map(|length| text_of(&sealed[..length]));
    let others = ["\"4111\"", "\"\"", "null", "4111", "\"s1.\"", "[\"4111\"]"].map(str::to_owned);
    // The first 32 name a key, which then is none that is there.
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
    assert_eq!(browser.get("/vault/card").await.text(), "4111");
    assert_eq!(browser.get("/vault/name").await.text(), "Ada");
}

/// A value is good for its record, its field, its cookie's name and its keys only, by whatever name it was stored.
pub async fn a_sealed_value_opens_nowhere_else(env: TestEnvironment) {
    let key = key();
    let app = sealing(&env, KeyRing::new(copy(&key))).await;
    let [ada, bea] = [app.browser(), app.browser()];
    for (browser, card) in [(&ada, "4111"), (&bea, "4222")] {
        browser.get(&format!("/vault/set-card/{card}")).await;
        browser.get(&format!("/vault/set-pin/{card}")).await;
    }
    let (id, other) = (record_of(&ada), record_of(&bea));
    let card = app.stored(id, "card").await.expect("a value");
    let foreign = app.stored(other, "card").await.expect("a value");
    let pin = app.stored(id, "pin").await.expect("a value");
    for moved in [&foreign, &pin] {
        put(&app, id, "card", moved).await;
        refuses(&ada, moved).await;
    }
    write(&app, id, "card", Op::Remove).await;
    put(&app, id, "old_card", &card).await;
    refuses(&ada, "sealed under the present name").await;
    write(&app, id, "old_card", Op::Remove).await;
    put(&app, id, "card", &card).await;
    assert_eq!(ada.get("/vault/card").await.text(), "4111");

    // Of another layer on the same store, even for a record of the same id: by its cookie's name, by its keys.
    let named = |layer: crate::SessionLayer| {
        layer.with_cookie(CookieConfig::new("__Host-admin")).expect("a good cookie")
    };
    let keys = KeyRing::new(copy(&key));
    let admin = env
        .app_answering_with(|layer| named(layer.with_keys(keys)), |parts| answer(parts, Gate::new()))
        .await;
    let staging = sealing(&env, KeyRing::new(super::keys::key())).await;
    for (other, has_key) in [(admin, true), (staging, false)] {
        let browser = other.browser();
        browser.get("/vault/set-card/4333").await;
        let id = named_record(&browser);
        let stored = other.stored(id, "card").await.expect("a value");
        assert_eq!(browser.get("/vault/card").await.text(), "4333");
        let planted = planted(&app, id, &stored).await;
        if has_key {
            refuses(&planted, "of another layer").await;
        } else {
            withholds(&planted, "of other keys").await;
        }
    }
}

/// Through the steps of a change of keys all values open; what a revoked key sealed does not.
pub async fn a_sealed_value_is_worth_as_much_as_its_key(env: TestEnvironment) {
    let (old, new) = (key(), key());
    let keys = || KeyRing::new(copy(&old));
    let first = sealing(&env, keys()).await;
    let prepared = sealing(&env, keys().add_created(copy(&new)).expect("another key")).await;
    let switched = sealing(&env, keys().add_active(copy(&new)).expect("another key")).await;
    let after = KeyRing::new(copy(&new)).add_revoked(old.id()).expect("another key");
    let after = sealing(&env, after).await;
    let browser = first.browser();
    browser.get("/vault/set-card/4111").await;
    let id = record_of(&browser);
    let by_old = first.stored(id, "card").await.expect("a value");
    for app in [&prepared, &switched] {
        let browser = browser.at(&app.browser());
        assert_eq!(browser.get("/vault/card").await.text(), "4111");
        browser.get("/vault/set-card/4111").await;
        assert_eq!(app.stored(id, "card").await.as_ref(), Some(&by_old), "an equal value is no write");
    }
    let late = browser.at(&after.browser());
    withholds(&late, "of a revoked key").await;
    assert!(after.events().iter().any(|event| event.contains(&format!("its key {} is revoked", old.id()))));
    assert_eq!(late.get("/lenient/card").await.text(), "-");

    browser.at(&switched.browser()).get("/vault/set-card/4222").await;
    for app in [&prepared, &switched, &after] {
        assert_eq!(browser.at(&app.browser()).get("/vault/card").await.text(), "4222");
    }
    withholds(&browser, "of a key that is not known yet").await;
    put(&after, id, "card", &by_old).await;
    assert_eq!(late.get("/lenient/set-card/4333").await.status(), 200);
    assert_eq!(late.get("/vault/card").await.text(), "4333");
}

/// Of a record with a secret field whose key is not in the ring, a request sees what a logout would leave, and a login
/// begins with that: of a right as of any other field. What the key did seal is read where it is.
pub async fn a_secret_whose_key_is_gone_locks_nobody_out(env: TestEnvironment) {
    let (before, after) =
        (sealing(&env, KeyRing::new(key())).await, sealing(&env, KeyRing::new(key())).await);
    for (set, name) in [("/vault/set-card/4111", "/vault/name"), ("/member/join/1", "/member/note")] {
        let browser = before.browser();
        for path in ["/vault/set-name/Ada", "/vault/set-user/1", "/member/note/hello", set] {
            assert_eq!(browser.get(path).await.status(), 200, "{path}");
        }
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let there = browser.at(&after.browser());
        after.browser().get("/member/note").await;
        after.calls.clear();
        after.events();
        for path in [name, "/outside/read"] {
            let response = there.get(path).await;
            let seen = if path == "/outside/read" && set.starts_with("/vault") { "Ada" } else { "-" };
            assert_eq!((response.status().as_u16(), response.text()), (200, seen), "{set} {path}");
            assert!(response.set_cookies().is_empty(), "{set} {path}");
        }
        let told = after.events().concat();
        assert!(told.contains("is not in the key ring"), "{told}");
        assert_eq!(after.calls.writes(), 0);
        let seen = browser.get("/vault/name").await;
        assert_eq!(seen.text(), "Ada", "{set}: there it is read");
        let login = if set.starts_with("/vault") { "/vault/set-user/2" } else { "/member/join/2" };
        assert_eq!(there.get(login).await.set_cookies().len(), 1, "{set}");
        for path in ["/vault/name", "/vault/card"] {
            assert_eq!(there.get(path).await.text(), "-", "{set} {path}");
        }
        let first = if set.starts_with("/vault") { "user" } else { "member" };
        assert!(before.stored(id, first).await.is_some(), "{set}");
        assert_eq!(old.get("/vault/name").await.text(), "-", "{set}");
    }
    // One that was changed is another matter, whatever the request takes.
    let browser = before.browser();
    browser.get("/member/join/1").await;
    let id = record_of(&browser);
    let stored = before.stored(id, "member").await.expect("a value");
    let mut forged = stored.into_bytes();
    let last = forged.len() - 4;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let epoch = before.load(id, &[]).await.expect("the record").epoch;
    let forged = String::from_utf8(forged).expect("text");
    let commit = Commit::new(epoch, TIMEOUTS).with_delta(delta(&[("member", Op::Put(json(&forged)))]));
    before.raw.commit(id, commit).await.expect("an answer");
    for path in ["/member/note", "/outside/read"] {
        assert_eq!(browser.get(path).await.status(), 500, "{path}");
    }
}

/// Once a view has said that a field is secret, it is so for the others.
pub async fn a_field_is_secret_for_every_view(env: TestEnvironment) {
    let keys = KeyRing::new(key());
    let app = sealing(&env, keys.clone()).await;
    let browser = app.browser();
    browser.get("/vault/set-card/4111").await;
    browser.get("/vault/set-level/8").await;
    let id = record_of(&browser);
    assert_eq!(browser.get("/careless/card").await.text(), "4111", "not how it is stored");
    browser.get("/careless/set-card/4222").await;
    browser.get("/careless/set-pin/12").await;
    assert_sealed(&app, id, &["card", "pin", "level"]).await;
    assert_eq!(browser.get("/vault/card").await.text(), "4222");
    assert_eq!(browser.get("/vault/pin").await.text(), "12");
    let before = app.stored(id, "level").await;
    for path in ["/careless/add-level/1", "/careless/fetch-add-level/1"] {
        assert_eq!(browser.get(path).await.status(), 500, "no store can count in it");
    }
    let stranger = app.browser();
    assert_eq!(stranger.get("/careless/add-level/1").await.status(), 500);
    assert!(stranger.cookies().is_empty());
    assert_eq!(app.stored(id, "level").await, before);
    assert_eq!(browser.get("/vault/level").await.text(), "8");
    // Also within one request, whoever came first.
    assert_eq!(browser.get("/both/card").await.text(), "4222 4222");
    // In a process that has not met that view yet, it is found out as soon as it has.
    let restarted = sealing(&env, keys).await;
    let browser = browser.at(&restarted.browser());
    assert_eq!(browser.get("/both-careless-first/card").await.text(), "4222");
}

/// A value in plain is not taken for one that was sealed, and goes nowhere.
pub async fn without_keys_nothing_is_read_or_written(env: TestEnvironment) {
    let app = env.app_answering(|parts| answer(parts, Gate::new())).await;
    let browser = app.browser();
    for path in ["/vault/name", "/vault/set-card/4111", "/lenient/set-card/4111", "/careless/set-card/4111"] {
        assert_eq!(browser.get(path).await.status(), 500, "{path}");
    }
    assert!(browser.cookies().is_empty());
    assert_eq!(app.calls(), []);
    let events = app.events();
    assert!(events.iter().any(|event| event.contains("Misconfigured") && event.contains(".with_keys(ring)")));

    let sealing = sealing(&env, KeyRing::new(key())).await;
    let browser = sealing.browser();
    browser.get("/vault/set-card/4111").await;
    let id = record_of(&browser);
    let stored = sealing.stored(id, "card").await;
    let browser = browser.at(&app.browser());
    assert_eq!(browser.get("/careless/card").await.text(), "-");
    assert_eq!(browser.get("/careless/set-card/4222").await.status(), 500);
    assert_eq!(app.stored(id, "card").await, stored);
}

/// In all else a secret field is one like any other.
pub async fn a_secret_field_is_a_field_like_any_other(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    assert_eq!(browser.get("/vault/level").await.text(), "7");
    browser.get("/vault/set-level/7").await;
    assert!(browser.cookies().is_empty(), "the default with nothing stored is no change");
    browser.get("/vault/set-card/4111").await;
    let id = record_of(&browser);
    assert_eq!(browser.get("/vault/card").await.text(), "4111");
    app.calls.clear();
    for path in ["set-card/4111", "push-card/", "card"] {
        browser.get(&format!("/vault/{path}")).await;
    }
    assert_eq!(app.calls.writes(), 0, "an equal value is no write");
    browser.get("/vault/push-card/2").await;
    assert_eq!(browser.get("/vault/card").await.text(), "41112");
    assert_eq!(browser.get("/vault/save-pin-twice/9").await.text(), "9 91 91");
    assert_eq!(browser.get("/vault/pin").await.text(), "91");
    for path in ["rotate", "set-user/1"] {
        browser.get(&format!("/vault/{path}")).await;
        assert_eq!(browser.get("/vault/card").await.text(), "41112", "{path}");
    }
    browser.get("/vault/remove-card/").await;
    assert_eq!(app.stored(id, "card").await, None);
    browser.get("/former/set/4333").await;
    assert_eq!(browser.get("/vault/card").await.text(), "4333", "by its older name");
    browser.get("/vault/set-card/4444").await;
    assert_eq!(app.stored(id, "old_card").await, None);
    assert_eq!(browser.get("/vault/card").await.text(), "4444");
    browser.get("/vault/remove-user/").await;
    assert_eq!(browser.get("/vault/pin").await.text(), "-", "it goes with its user");
}

/// A secret flash is delivered once, and one that came meanwhile is not lost.
pub async fn a_secret_flash_is_delivered_once(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    browser.get("/vault/flash-code/one").await;
    let id = record_of(&browser);
    assert_sealed(&app, id, &["code"]).await;
    assert_eq!(browser.get("/vault/code").await.text(), "one", "looking does not take it");
    assert_eq!(browser.get("/vault/take-code").await.text(), "one");
    assert_eq!(browser.get("/vault/take-code").await.text(), "-");
    assert_eq!(app.stored(id, "code").await, None);

    browser.get("/vault/flash-code/two").await;
    assert_eq!(browser.get("/vault/flash-and-take-code/three").await.text(), "three");
    assert_eq!(app.stored(id, "code").await, None, "it took the place of the one before");
    assert_eq!(browser.get("/vault/save-code-and-take/four").await.text(), "four");
    assert_eq!(app.stored(id, "code").await, None);
    browser.get("/vault/flash-code/five").await;
    assert_eq!(browser.get("/vault/keep-code/").await.text(), "five");

    let taking = browser.fork();
    let taken = tokio::spawn(async move { taking.get("/vault/wait-and-take-code").await.text().to_owned() });
    app.gate.arrived().await;
    browser.get("/vault/flash-code/six").await;
    app.gate.release();
    assert_eq!(taken.await.expect("an answer"), "five");
    assert_eq!(browser.get("/vault/take-code").await.text(), "six", "a newer one stays");
}

/// Neither events nor answers nor `Debug` show a secret value, opened or not.
pub async fn events_and_answers_show_no_secret_value(env: TestEnvironment) {
    let app = sealing(&env, KeyRing::new(key())).await;
    let browser = app.browser();
    browser.get(&format!("/vault/set-card/{NEEDLE}")).await;
    let id = record_of(&browser);
    let stored = app.stored(id, "card").await.expect("a value");
    let mut shown = vec![browser.get("/vault/debug").await.text().to_owned()];
    app.faults.fail(Operation::Commit, 1);
    for (path, forged) in [
        (format!("/vault/set-card/{NEEDLE}0"), None),
        ("/vault/card".to_owned(), Some(format!("\"{NEEDLE}\""))),
        ("/vault/card".to_owned(), Some(stored.replacen("s1.", "s1.A", 1))),
        ("/careless/add-level/1".to_owned(), None),
    ] {
        if let Some(forged) = forged {
            put(&app, id, "card", &forged).await;
        }
        let response = browser.get(&path).await;
        shown.push(format!("{:?} {}", response.headers(), response.text()));
    }
    shown.extend(app.events());
    assert!(shown.len() > 6, "there is something to look at: {shown:?}");
    for text in shown {
        assert!(!text.contains(NEEDLE) && !text.contains(&stored[8..20]), "{text}");
    }
}

async fn sealing(env: &TestEnvironment, keys: KeyRing) -> TestApp {
    let gate = Gate::new();
    let inside = gate.clone();
    let mut app = env
        .app_answering_with(|layer| layer.with_keys(keys), move |parts| answer(parts, inside.clone()))
        .await;
    app.gate = gate;
    app
}

/// Answers `/<view>/<command>/<argument>`.
async fn answer(mut parts: Parts, gate: Gate) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let mut path = path[1..].splitn(3, '/');
    let mut next = || path.next().unwrap_or_default();
    let (view, command, argument) = (next(), next(), next());
    match view {
        "vault" => vault(session(&mut parts).await?, command, argument, gate).await,
        "careless" => careless(session(&mut parts).await?, command, argument).await,
        "lenient" => {
            let mut lenient: TypedSession<Lenient> = session(&mut parts).await?;
            if command == "set-card" {
                lenient.set_card(argument);
            }
            text(lenient.card().unwrap_or("-"))
        }
        "former" => {
            let mut former: TypedSession<Former> = session(&mut parts).await?;
            former.set_old_card(argument);
            text("done")
        }
        "outside" => {
            let outside: TypedSession<Outside> = session(&mut parts).await?;
            text(outside.name().unwrap_or("-"))
        }
        "member" => {
            let mut member: TypedSession<Member> = session(&mut parts).await?;
            match (command, argument) {
                ("join", id) => member.set_member(id.parse::<u64>().expect("a number")),
                ("note", "") => {}
                (_, note) => member.set_note(note),
            }
            text(member.note().unwrap_or("-"))
        }
        "both" => {
            let vault: TypedSession<Vault> = session(&mut parts).await?;
            let careless: TypedSession<Careless> = session(&mut parts).await?;
            text(format!("{} {}", vault.card().unwrap_or("-"), careless.card().unwrap_or("-")))
        }
        "reload" => {
            let mut outside: TypedSession<Outside> = session(&mut parts).await?;
            let mut vault: TypedSession<Vault> = session(&mut parts).await?;
            gate.pass().await;
            outside.reload().await?;
            vault.set_name(argument);
            vault.save().await?;
            text(vault.card().unwrap_or("-"))
        }
        _ => {
            let _careless: TypedSession<Careless> = session(&mut parts).await?;
            let vault: TypedSession<Vault> = session(&mut parts).await?;
            text(vault.card().unwrap_or("-"))
        }
    }
}

// One arm for each thing a handler can do.
#[allow(clippy::too_many_lines)]
async fn vault(
    mut vault: TypedSession<Vault>,
    command: &str,
    argument: &str,
    gate: Gate,
) -> Result<HandlerReply, HandlerFailure> {
    match command {
        "name" => return text(vault.name().unwrap_or("-")),
        "set-name" => vault.set_name(argument),
        "card" => return text(vault.card().unwrap_or("-")),
        "set-card" => vault.set_card(argument),
        "push-card" => vault.card_mut().expect("a card").push_str(argument),
        "remove-card" => vault.remove_card(),
        "pin" => return text(vault.pin().unwrap_or("-")),
        "set-pin" => vault.set_pin(argument),
        "save-pin-twice" => {
            vault.set_pin(argument);
            vault.save().await?;
            let saved = vault.pin().unwrap_or("-").to_owned();
            vault.pin_mut().expect("a pin").push('1');
            vault.save().await?;
            vault.reload().await?;
            let again = vault.pin().unwrap_or("-").to_owned();
            vault.set_pin(again.clone());
            return text(format!("{saved} {again} {}", vault.pin().unwrap_or("-")));
        }
        "level" => return text(vault.level().to_string()),
        "set-level" => vault.set_level(argument.parse().expect("a number")),
        "code" => return text(vault.code().unwrap_or("-")),
        "flash-code" => vault.flash_code(argument),
        "take-code" => return text(vault.take_code().unwrap_or_else(|| "-".to_owned())),
        "flash-and-take-code" => {
            vault.flash_code(argument);
            return text(vault.take_code().unwrap_or_default());
        }
        "save-code-and-take" => {
            vault.flash_code(argument);
            vault.save().await?;
            return text(vault.take_code().unwrap_or_default());
        }
        "keep-code" => {
            vault.take_code();
            vault.keep_code();
            return text(vault.code().unwrap_or("-"));
        }
        "wait-and-take-code" => {
            gate.pass().await;
            return text(vault.take_code().unwrap_or_default());
        }
        "begin" => {
            vault.set_card(argument);
            vault.flash_code(argument);
            vault.save().await?;
            vault.reload().await?;
            return text(vault.card().unwrap_or("-"));
        }
        "set-user" => vault.set_user(argument.parse::<u64>().expect("a number")),
        "remove-user" => vault.remove_user(),
        "rotate" => vault.rotate(),
        "debug" => return text(format!("{vault:?}")),
        other => panic!("the vault has no `{other}`"),
    }
    text("done")
}

async fn careless(
    mut careless: TypedSession<Careless>,
    command: &str,
    argument: &str,
) -> Result<HandlerReply, HandlerFailure> {
    match command {
        "card" => return text(careless.card().unwrap_or("-")),
        "set-card" => careless.set_card(argument),
        "set-pin" => careless.set_pin(argument),
        "add-level" => careless.add_level(1),
        _ => return text(careless.fetch_add_level(1).await?.to_string()),
    }
    text("done")
}

/// Whoever asks is refused, is told nothing, and keeps the cookie.
async fn refuses(browser: &Client, what: &str) {
    let response = browser.get("/vault/card").await;
    assert_eq!(response.status(), 500, "{what}");
    assert!(!response.text().contains("4111"), "{what}");
    assert!(response.header("set-cookie").is_none(), "{what}");
}

/// The value is not there to read, nor anything else that a logout would not leave; the request is answered.
async fn withholds(browser: &Client, what: &str) {
    for path in ["/vault/card", "/vault/name", "/vault/pin"] {
        let response = browser.get(path).await;
        assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "{what}");
        assert!(response.header("set-cookie").is_none(), "{what}");
    }
}

/// Writes past the library, as who can write to the store does.
async fn put(app: &TestApp, id: RecordId, name: &'static str, value: &str) {
    write(app, id, name, Op::Put(json(value))).await;
}

async fn write(app: &TestApp, id: RecordId, name: &'static str, op: Op) {
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[(name, op)]));
    let answer = app.raw.commit(id, commit).await.expect("an answer");
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
}

/// A browser with a token of the app's for a record of this id, in which who can write to the store put this card.
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

/// The record of the one cookie that the browser has.
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
