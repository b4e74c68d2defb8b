//! What an attacker may try with ids, names, values, and with what the store and the logs show.

use super::{
    super::{Operation, Response},
    contract::{Direct, json},
    environment::{COOKIE, TestEnvironment, record_of},
};
use crate::{
    delta::Op,
    store::CommitOutcome,
    value::{RecordId, Secret, Token},
};

/// The store's bytes hold no token and no part of a secret.
pub async fn the_store_holds_no_token(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("needle-of-the-test").await;
    let first = browser.cookie(COOKIE).expect("a cookie");
    browser.get("/rotate").await;
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
    let app = env.kit().await;
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
            let response = forger.get_with("/name", "cookie", pair).await;
            assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "bit {bit} of {position}");
        }
    }
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.get("/name").await.text(), "Ada");
}

/// A token under another name is no token, and the first of several live ones is not believed.
pub async fn a_token_of_another_name_is_refused(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE).expect("a cookie");
    for name in ["sid", "__host-sid", "__HOST-SID", "__Secure-sid", "__Host-sid2", "Host-sid", "__Host-sid[]"]
    {
        let response = app.browser().get_with("/name", "cookie", format!("{name}={token}")).await;
        assert_eq!(response.text(), "-", "{name}");
    }
    let other = app.visitor("Bea").await.cookie(COOKIE).expect("a cookie");
    app.events();
    let both = format!("{COOKIE}={token}; {COOKIE}={other}");
    assert_eq!(app.browser().get_with("/name", "cookie", both).await.text(), "-");
    assert!(app.events().iter().any(|event| event.contains("TwoLiveTokens")));
    let dead = Token::new(RecordId::from_bytes([1; 16]), Secret::from_bytes([2; 32])).expose();
    for pair in [format!("{COOKIE}={dead}; {COOKIE}={token}"), format!("{COOKIE}={token}; {COOKIE}={dead}")] {
        assert_eq!(
            app.browser().get_with("/name", "cookie", pair).await.text(),
            "Ada",
            "a planted one is passed over"
        );
    }
}

/// Any id is 128 bits and nothing else, whatever its bytes spell.
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
        let new = super::contract::new_record(&[("n", json(&index.to_string()))]);
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

/// What users write is data: it is not run, and it ends no line.
pub async fn values_are_only_data(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.browser();
    let values = [
        "'; DROP TABLE sessions; --",
        "\"}; return redis.call('FLUSHALL')",
        "{\"$where\": \"1\"}",
        "%0d%0aSet-Cookie: a=b",
        "$(reboot)",
        "\u{0}",
        "../../../etc/passwd",
        "]]>",
        "\\\"",
    ];
    for value in values {
        let encoded = percent_encoded(value);
        let response = browser.get(&format!("/set-name/{encoded}")).await;
        assert_eq!(response.status(), 200, "{value}");
        assert_eq!(browser.get("/name").await.text(), encoded, "{value}");
    }
    assert!(app.load(record_of(&browser), &["name"]).await.is_some());
}

/// Events, answers and their headers show no token that was ever given out, no secret and no value.
pub async fn events_and_answers_show_no_secret(env: TestEnvironment) {
    let app = env.kit().await;
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
    for path in ["/set-name/confidential", "/id", "/rotate", "/end-and-begin/confidential", "/rotate"] {
        note(&browser.get(path).await);
    }
    for operation in [Operation::Load, Operation::Commit, Operation::Destroy] {
        app.faults.fail(operation, 1);
        let path = if operation == Operation::Destroy { "/end" } else { "/set-name/also-confidential" };
        let response = browser.get(path).await;
        assert_eq!(response.status(), 503, "{operation:?}");
        note(&response);
    }
    app.faults.fail(Operation::Commit, 1);
    note(&browser.get("/rotate-and-set-name/also-confidential").await);
    app.faults.lose_answer(Operation::Commit);
    note(&browser.get("/set-name/also-confidential").await);
    let old = browser.clone_jar();
    note(&browser.get("/rotate").await);
    note(&old.get("/set-name/also-confidential").await);
    let id = record_of(&browser);
    let epoch = app.load(id, &[]).await.expect("the record").epoch;
    let undecodable = crate::store::Commit::new(epoch, super::contract::TIMEOUTS)
        .with_delta(super::contract::delta(&[("count", Op::Put(json("\"confidential\"")))]));
    let answer = app.raw.commit(id, undecodable).await.expect("an answer");
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
    note(&browser.get("/count").await);
    let both = format!("{COOKIE}={}; {COOKIE}={}", tokens[0], tokens[3]);
    let response = app.browser().get_with("/set-name/also-confidential", "cookie", both).await;
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

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| ["%", &hexadecimal(&[byte])].concat()).collect()
}
