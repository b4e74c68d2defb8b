//! Layers around and inside each other.

use super::{browsers::Heard, *};

/// Two layers with one cookie would commit past each other: the outer one counts, and the log says so once.
#[tokio::test]
async fn a_layer_inside_another_with_its_cookie_is_told_once() {
    let heard = Heard::default();
    let store = Arc::new(MemoryStore::new());
    let outer = || SessionLayer::new(Arc::clone(&store));
    let stricter = || heard.by(outer().with_store_timeout(Duration::from_secs(1)));
    for (inner, told) in [
        (stricter(), 1),
        (heard.by(SessionLayer::new(MemoryStore::new())), 1),
        (heard.by(with_cookie(&store, CookieConfig::default().with_same_site(SameSite::Strict))), 1),
        (heard.by(with_cookie(&store, CookieConfig::new("__Host-other"))), 0),
    ] {
        let before = heard.of("Misconfigured").len();
        let browser = Client::new(routes().layer(inner).layer(outer()));
        for _ in 0..3 {
            browser.get("/in/Ada").await;
        }
        assert_eq!(browser.get("/read").await.text(), "Ada 0");
        assert_eq!(browser.cookies().len(), 1);
        let events = heard.of("Misconfigured");
        assert_eq!(events.len() - before, told);
        assert!(events.iter().all(|event| event.contains("`__Host-sid`")), "{events:?}");
    }
    // The same layer twice is one.
    let before = heard.of("Misconfigured").len();
    let layer = heard.by(outer());
    let browser = Client::new(routes().layer(layer.clone()).layer(layer));
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
    assert_eq!(heard.of("Misconfigured").len(), before);
}

/// The outer one of two layers has the session, with a third one in between too: two of them would commit past each
/// other, and the loser's refusal would take the winner's cookie with it.
#[tokio::test]
async fn a_layer_is_found_around_another_one() {
    for is_third_between in [false, true] {
        let heard = Heard::default();
        let (outer, inner) =
            (RecordingStore::new(MemoryStore::new()), RecordingStore::new(MemoryStore::new()));
        let (outside, inside) = (outer.recording(), inner.recording());
        let mut app = routes().layer(heard.by(SessionLayer::new(inner)));
        if is_third_between {
            app = app.layer(with_cookie(&Arc::default(), CookieConfig::new("__Host-other")));
        }
        let browser = Client::new(app.layer(SessionLayer::new(outer)));
        let response = browser.get("/in/Ada").await;
        assert_eq!(response.set_cookies().len(), 1);
        assert!(response.set_cookies()[0].starts_with("__Host-sid="));
        assert_eq!(browser.get("/read").await.text(), "Ada 0");
        assert!(outside.writes() > 0);
        assert_eq!(inside.calls(), []);
        assert_eq!(heard.of("Misconfigured").len(), 1);
    }
}

/// A middleware between two layers of one cookie and the handler share one session: a change and
/// a rotation are one commit.
#[tokio::test]
async fn a_layer_inside_another_rotates_with_it() {
    async fn count(mut session: TypedSession<Account>, request: Request, next: Next) -> Response {
        session.add_visits(1);
        next.run(request).await
    }
    let store = RecordingStore::new(MemoryStore::new());
    let recording = store.recording();
    let layer = SessionLayer::new(store);
    let enter = async |mut session: TypedSession<Account>| session.set_name("Ada");
    let rotate = async |session: TypedSession<Account>| session.rotate();
    let app = routes().route("/enter", get(enter)).route("/rotate", get(rotate));
    let app = app.layer(layer.clone()).layer(from_fn(count)).layer(layer);
    let browser = Client::new(app);
    browser.get("/enter").await;
    recording.clear();
    let response = browser.get("/rotate").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(recording.count(Operation::Commit), 1);
    // The middleware's own addition is not staged yet.
    assert_eq!(browser.get("/read").await.text(), "Ada 2");
}

/// What an outer layer refuses takes nothing away from an inner one, whose session has a new secret by then. No cache
/// keeps the error that stands in place of the response, with the inner one's cookie.
#[tokio::test]
async fn a_refusal_of_one_layer_keeps_the_cookie_of_another() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let outer = SessionLayer::new(store).with_cookie(CookieConfig::new("__Host-outer")).expect("a cookie");
    let write = async |mut session: TypedSession<Cart>, request: Request, next: Next| {
        session.items_mut().push("pen".to_owned());
        drop(session);
        next.run(request).await
    };
    let app = routes().layer(SessionLayer::new(MemoryStore::new())).layer(from_fn(write)).layer(outer);
    let browser = Client::new(app);
    faults.fail(Operation::Create, 1);
    let response = browser.get("/in/Ada").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 1));
    assert_eq!(response.header("cache-control"), Some("private, no-store"));
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
    // And again when there are two tokens to lose.
    faults.fail(Operation::Commit, 1);
    let response = browser.get("/in/Bob").await;
    assert_eq!(response.status(), 503);
    assert_eq!(browser.get("/read").await.text(), "Bob 0");
}
