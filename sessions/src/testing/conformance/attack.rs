//! Attacks with ids, names and values, and with the bytes of the store and the logs.

use http::Request;

use super::{
    super::{Operation, Response},
    contract::{Direct, TIMEOUTS, delta, json, new_record},
    environment::{COOKIE, TestEnvironment, record_of},
    handler::{Case, case},
};
use crate::{
    Session, TypedSession,
    delta::Op,
    store::{Commit, CommitOutcome},
    value::{RecordId, Secret, Token},
};

#[derive(Session)]
struct Attacked {
    name: Option<String>,
    count: u32,
}

type Visit = TypedSession<Attacked>;

/// Returns the name, or `-` without one.
async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

/// Returns a handler that sets the name.
fn set_name(name: &'static str) -> Case<Visit> {
    case(async move |mut session: Visit| session.set_name(name))
}

async fn rotate(session: Visit) {
    session.rotate();
}

/// The store's bytes hold no token and no part of a secret.
pub async fn the_store_holds_no_token(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("needle-of-the-test").await;
    let first = browser.cookie(COOKIE).expect("a cookie");
    browser.visit(rotate).await;
    let second = browser.cookie(COOKIE).expect("a cookie");
    let Some(dump) = env.dump().await else { return };
    let holds = |needle: &[u8]| dump.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"needle-of-the-test"), "the dump shows what is stored");
    for token in [first, second] {
        assert!(!holds(token.as_bytes()));
        let token = Token::parse(token.as_bytes()).expect("a token");
        let secret = token.secret().as_bytes();
        let hexadecimal = hexadecimal(secret);
        for part in 0..3 {
            assert!(!holds(&secret[part * 8..part * 8 + 16]), "the secret's bytes");
            assert!(!holds(&hexadecimal.as_bytes()[part * 16..part * 16 + 32]), "the secret in hexadecimal");
        }
    }
}

/// Every single bit of a token counts.
pub async fn every_single_bit_of_a_token_counts(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE).expect("a cookie");
    let forger = app.browser();
    for position in 0..token.len() {
        for bit in 0..7 {
            let mut flipped = token.clone().into_bytes();
            flipped[position] ^= 1 << bit;
            let pair = [COOKIE.as_bytes(), b"=", &flipped].concat();
            if pair.iter().any(|byte| !(0x20..0x7f).contains(byte)) {
                continue;
            }
            let response = forger.send_as(Request::get("/").header("cookie", pair), name).await;
            assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "bit {bit} of {position}");
        }
    }
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.visit(name).await, "Ada");
}

/// A token under another name is ignored, and of two live tokens neither is used.
pub async fn a_token_of_another_name_is_refused(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE).expect("a cookie");
    let with_cookies = |cookies: String| Request::get("/").header("cookie", cookies);
    for other in
        ["sid", "__host-sid", "__HOST-SID", "__Secure-sid", "__Host-sid2", "Host-sid", "__Host-sid[]"]
    {
        let response = app.browser().send_as(with_cookies(format!("{other}={token}")), name).await;
        assert_eq!(response.text(), "-", "{other}");
    }
    let other = app.visitor("Bea").await.cookie(COOKIE).expect("a cookie");
    app.events();
    let both = with_cookies(format!("{COOKIE}={token}; {COOKIE}={other}"));
    assert_eq!(app.browser().send_as(both, name).await.text(), "-");
    assert!(app.events().iter().any(|event| event.contains("TwoLiveTokens")));
    let dead = Token::new(RecordId::from_bytes([1; 16]), Secret::from_bytes([2; 32])).expose();
    for pair in [format!("{COOKIE}={dead}; {COOKIE}={token}"), format!("{COOKIE}={token}; {COOKIE}={dead}")] {
        let response = app.browser().send_as(with_cookies(pair), name).await;
        assert_eq!(response.text(), "Ada", "a planted one is passed over");
    }
}

/// An id of any bytes is 128 bits and nothing else.
pub async fn ids_of_any_bytes_are_only_ids(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let bytes: [[u8; 16]; 8] = [
        [0; 16],
        [0xff; 16],
        *b"../../etc/passwd",
        *b"'; DROP TABLE s;",
        *b"{\"$gt\":\"\"}\0\0\0\0\0\0",
        *b"*\r\nFLUSHALL\r\n\r\n\n",
        *b"\x80\x80\x80\x80\xc0\xaf\xed\xa0\x80\xfe\xff0000\0",
        *b"%00%2e%2e/%5c..\\",
    ];
    for (index, bytes) in bytes.into_iter().enumerate() {
        let id = RecordId::from_bytes(bytes);
        let new = new_record(&[("n", json(&index.to_string()))]);
        direct.raw.create(id, new).await.expect("an answer");
    }
    for (index, bytes) in bytes.into_iter().enumerate() {
        let id = RecordId::from_bytes(bytes);
        let loaded = direct.load(id, &["n"]).await.expect("the record");
        assert_eq!(loaded.fields.get("n"), Some(&json(&index.to_string())), "{bytes:?}");
        direct.apply(id, &[("n", Op::Put(json("100")))]).await;
    }
    for (index, id) in bytes.into_iter().map(RecordId::from_bytes).enumerate() {
        direct.raw.destroy(id).await.expect("destroyed");
        for (other, id) in bytes.into_iter().map(RecordId::from_bytes).enumerate() {
            assert_eq!(direct.load(id, &["n"]).await.is_some(), other > index, "{other} after {index}");
        }
    }
}

/// A value of any text is data: no store runs it, and it ends no line.
pub async fn values_are_only_data(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let values = [
        "'; DROP TABLE sessions; --",
        "\"}; return redis.call('FLUSHALL')",
        "{\"$where\": \"1\"}",
        "%0d%0aSet-Cookie: a=b",
        "\r\nSet-Cookie: a=b",
        "$(reboot)",
        "\u{0}",
        "../../../etc/passwd",
        "]]>",
        "\\\"",
    ];
    for value in values {
        assert_eq!(browser.send(set_name(value)).await.status(), 200, "{value}");
        assert_eq!(browser.visit(name).await, value, "{value}");
    }
    assert!(app.load(record_of(&browser), &["name"]).await.is_some());
}

/// Events, responses and their headers show no secret, no value and no token that was ever given out.
pub async fn events_and_answers_show_no_secret(env: TestEnvironment) {
    async fn destroy(session: Visit) {
        session.destroy();
    }
    let app = env.app().await;
    let browser = app.browser();
    let (mut tokens, mut shown) = (Vec::new(), Vec::new());
    let mut note = |response: &Response| {
        shown.push(format!("{:?} {}", response.headers(), response.text()));
        let given = response.set_cookies().into_iter().filter_map(|line| {
            let value = line.strip_prefix(COOKIE)?.strip_prefix('=')?;
            Some(value.split(';').next()?.to_owned()).filter(|token| !token.is_empty())
        });
        tokens.extend(given);
    };
    let id = async |session: Visit| session.record_id().map(|id| id.to_string()).unwrap_or_default();
    let destroy_and_begin = async |mut session: Visit| {
        session.destroy();
        session.set_name("confidential");
    };
    for handler in [set_name("confidential"), case(id), case(rotate), case(destroy_and_begin), case(rotate)] {
        note(&browser.send(handler).await);
    }
    for (operation, handler) in [
        (Operation::Load, set_name("also-confidential")),
        (Operation::Commit, set_name("also-confidential")),
        (Operation::Destroy, case(destroy)),
    ] {
        app.faults.fail(operation, 1);
        let response = browser.send(handler).await;
        assert_eq!(response.status(), 503, "{operation:?}");
        note(&response);
    }
    app.faults.fail(Operation::Commit, 1);
    let rotate_and_set_name = async |mut session: Visit| {
        session.rotate();
        session.set_name("also-confidential");
    };
    note(&browser.send(rotate_and_set_name).await);
    app.faults.lose_answer(Operation::Commit);
    note(&browser.send(set_name("also-confidential")).await);
    let old = browser.clone_jar();
    note(&browser.send(rotate).await);
    note(&old.send(set_name("also-confidential")).await);
    let id = record_of(&browser);
    let epoch = app.load(id, &[]).await.expect("the record").epoch;
    let undecodable =
        Commit::new(epoch, TIMEOUTS).with_delta(delta(&[("count", Op::Put(json("\"confidential\"")))]));
    let answer = app.raw.commit(id, undecodable).await.expect("an answer");
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
    note(&browser.send(async |session: Visit| session.count().to_string()).await);
    let both = format!("{COOKIE}={}; {COOKIE}={}", tokens[0], tokens[3]);
    let request = Request::get("/").header("cookie", both);
    let response = app.browser().send_as(request, set_name("also-confidential")).await;
    shown.push(format!("{:?} {}", response.headers(), response.text()));
    let events = app.events();
    for name in ["Created", "Rotated", "LoadFailed", "CommitFailed", "Superseded", "UndecodableField"] {
        assert!(events.iter().any(|event| event.starts_with(name)), "`{name}` is looked at: {events:?}");
    }
    shown.extend(events);
    assert!(tokens.len() > 4, "there is something to look for: {tokens:?}");
    for text in shown {
        assert!(!text.contains("confidential"), "{text}");
        for token in &tokens {
            assert!(!text.contains(&token[24..]), "{text}");
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
