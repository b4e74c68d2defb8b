//! Keys that sign tokens, so that no other process can make one up (feature `keys`).

use http::Request;

use super::{
    environment::{COOKIE, TestApp, TestEnvironment},
    handler::case,
};
use crate::{
    Session, TypedSession,
    keys::{Key, KeyRing},
    layer::{CookieConfig, SessionLayer},
    testing::{Client, Response},
    value::{KeyId, RecordId, Secret, SignedToken, Token, base64url},
};

#[derive(Session)]
struct SignedVisitor {
    name: Option<String>,
}

type Visit = TypedSession<SignedVisitor>;

async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

async fn rotate(session: Visit) {
    session.rotate();
}

/// A signed token that was changed or cut in any place is not a token, and reaches no store.
pub async fn every_bit_and_every_byte_of_a_signed_token_counts(env: TestEnvironment) {
    let app = signing(&env, &key()).await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE).expect("a cookie");
    let bytes = base64url::decode_vec(token.as_bytes()).expect("base64url");
    let mut forged: Vec<Vec<u8>> = (0..bytes.len() * 8)
        .map(|bit| base64url::encode(&flipped(&bytes, bit)).into_bytes())
        .chain((0..token.len() * 8).map(|bit| flipped(token.as_bytes(), bit)))
        .filter(|value| value.iter().all(|byte| (0x20..0x7f).contains(byte)))
        .collect();
    for length in 0..token.len() {
        forged.push(token.as_bytes()[..length].to_vec());
        forged.push(token.as_bytes()[token.len() - length..].to_vec());
    }
    forged.extend((0..bytes.len()).map(|length| base64url::encode(&bytes[..length]).into_bytes()));
    forged.push([token.as_bytes(), b"A"].concat());
    for value in forged {
        refuses(&app, &value).await;
    }
    assert_eq!(browser.visit(name).await, "Ada");
}

/// A token that another layer has set, with other keys, cookie name or signing, is refused without a store call.
pub async fn a_token_of_another_layer_is_refused_without_a_store_call(env: TestEnvironment) {
    const OTHER: &str = "__Host-admin";
    let (here, elsewhere) = (key(), key());
    let app = signing(&env, &here).await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE).expect("a cookie");
    let production = signing(&env, &elsewhere).await;
    refuses(&production, token.as_bytes()).await;
    let reported = format!("its key {} is not in the key ring", here.id());
    assert!(
        production.events().iter().any(|event| event.contains(&reported)),
        "the event names the key that the ring lacks"
    );
    let unsigned = env.app().await;
    refuses(&unsigned, token.as_bytes()).await;
    let bare = unsigned.visitor("Bea").await.cookie(COOKIE).expect("a cookie");
    refuses(&app, bare.as_bytes()).await;
    // The cookie's name counts in both orders of the configuration.
    for keys_first in [true, false] {
        let cookie = || CookieConfig::new(OTHER);
        let named = |layer: SessionLayer| layer.with_cookie(cookie()).expect("a good cookie");
        let keys = KeyRing::new(copy(&here));
        let admin = if keys_first {
            env.app_with(|layer| named(layer.with_signed_tokens(keys))).await
        } else {
            env.app_with(|layer| named(layer).with_signed_tokens(keys)).await
        };
        let response = show_name_with(&admin, format!("{OTHER}={token}").as_bytes()).await;
        assert_eq!(response.text(), "-");
        assert_eq!(admin.calls(), []);
        let administrator = admin.visitor("Cleo").await;
        refuses(&app, administrator.cookie(OTHER).expect("a cookie").as_bytes()).await;
        assert_eq!(administrator.visit(name).await, "Cleo");
    }
    assert_eq!(browser.visit(name).await, "Ada");
}

/// Planted cookies take no place among the cookies that the layer reads, however many they are.
pub async fn planted_cookies_do_not_crowd_out_the_signed_one(env: TestEnvironment) {
    let app = signing(&env, &key()).await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE).expect("a cookie");
    let stranger = KeyRing::new(key());
    let made_up = |byte: u8| Token::new(RecordId::from_bytes([byte; 16]), Secret::from_bytes([byte; 32]));
    let planted = (0..20).flat_map(|byte| {
        let token = made_up(byte);
        [token.expose(), stranger.token_text(COOKIE, token)]
    });
    let pairs: Vec<_> = planted.chain([token]).map(|value| format!("{COOKIE}={value}")).collect();
    let response = show_name_with(&app, pairs.join("; ").as_bytes()).await;
    assert_eq!(response.text(), "Ada");
    assert_eq!(app.calls().len(), 1, "the one load of the one token");
}

/// A change of keys logs no browser out until the old key is revoked, and then its tokens are refused.
pub async fn a_token_is_worth_as_much_as_its_key(env: TestEnvironment) {
    let (old, new) = (key(), key());
    let keys = || KeyRing::new(copy(&old));
    let first = with_ring(&env, keys()).await;
    let prepared = with_ring(&env, keys().add_created(copy(&new)).expect("another key")).await;
    let switched = with_ring(&env, keys().add_active(copy(&new)).expect("another key")).await;
    let ada = first.visitor("Ada").await;
    let bea = switched.visitor("Bea").await;
    assert_eq!((signed_by(&ada), signed_by(&bea)), (old.id(), new.id()), "the newest active key signs");
    for (app, browser, seen) in [(&prepared, &ada, "Ada"), (&switched, &ada, "Ada"), (&prepared, &bea, "Bea")]
    {
        assert_eq!(browser.at(&app.browser()).visit(name).await, seen);
    }
    assert_eq!(signed_by(&ada), old.id(), "a cookie stays as it was signed");
    ada.at(&switched.browser()).visit(rotate).await;
    assert_eq!(signed_by(&ada), new.id(), "until its secret is another one");
    assert_eq!(ada.at(&switched.browser()).visit(name).await, "Ada");
    refuses(&first, ada.cookie(COOKIE).expect("a cookie").as_bytes()).await;

    let cleo = first.visitor("Cleo").await;
    let stolen = cleo.cookie(COOKIE).expect("a cookie");
    let after = KeyRing::new(copy(&new)).add_revoked(old.id()).expect("another key");
    let after = with_ring(&env, after).await;
    refuses(&after, stolen.as_bytes()).await;
    assert!(after.events().iter().any(|event| event.contains(&format!("its key {} is revoked", old.id()))));
    assert_eq!(bea.at(&after.browser()).visit(name).await, "Bea");
}

/// Every cookie that a signing layer sets is signed, for a new session as after a rotation.
pub async fn every_new_token_is_signed(env: TestEnvironment) {
    let key = key();
    let app = signing(&env, &key).await;
    let browser = app.visitor("Ada").await;
    let mut seen = Vec::new();
    let rotate_and_write = async |mut session: Visit| {
        session.rotate();
        session.set_name("Ada");
    };
    let end_and_begin = async |mut session: Visit| {
        session.destroy();
        session.set_name("Ada");
    };
    for (what, handler) in [
        ("a read", case(name)),
        ("a rotation", case(rotate)),
        ("a rotation and a change", case(rotate_and_write)),
        ("an end and a beginning", case(end_and_begin)),
    ] {
        assert_eq!(browser.send(handler).await.status(), 200, "{what}");
        assert_eq!(signed_by(&browser), key.id(), "{what}");
        seen.push(browser.cookie(COOKIE));
        assert_eq!(browser.visit(name).await, "Ada");
    }
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

pub(super) fn key() -> Key {
    Key::generate().expect("random bytes")
}

pub(super) fn copy(key: &Key) -> Key {
    Key::from_base64(&key.expose_base64()).expect("a key")
}

async fn signing(env: &TestEnvironment, key: &Key) -> TestApp {
    with_ring(env, KeyRing::new(copy(key))).await
}

async fn with_ring(env: &TestEnvironment, keys: KeyRing) -> TestApp {
    env.app_with(|layer| layer.with_signed_tokens(keys)).await
}

/// Sends a request with these cookies, and returns the response, which shows the name.
async fn show_name_with(app: &TestApp, cookies: &[u8]) -> Response {
    app.browser().send_as(Request::get("/").header("cookie", cookies), name).await
}

/// Asserts that a request with this cookie has no session, and calls no store.
async fn refuses(app: &TestApp, value: &[u8]) {
    app.calls.clear();
    let pair = [COOKIE.as_bytes(), b"=", value].concat();
    let response = show_name_with(app, &pair).await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "-"), "{}", pair.escape_ascii());
    assert_eq!(app.calls(), [], "{}", pair.escape_ascii());
    assert!(response.header("set-cookie").is_none());
}

fn signed_by(browser: &Client) -> KeyId {
    let cookie = browser.cookie(COOKIE).expect("the browser has a session cookie");
    SignedToken::parse(cookie.as_bytes()).expect("the cookie holds a signed token").key()
}

pub(super) fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}
