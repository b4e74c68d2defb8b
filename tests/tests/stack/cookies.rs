//! The headers of a response: cookies, their names and attributes, and caching.

use super::*;

#[tokio::test]
async fn what_the_handler_says_of_caching_stays() {
    let kept = async |session: TypedSession<Account>| {
        ([("cache-control", "public, max-age=60"), ("vary", "Accept")], session.visits().to_string())
    };
    let app = routes().route("/kept", get(kept)).route("/free", get(async || "free")).layer(layer());
    let browser = Client::new(app);
    let response = browser.get("/kept").await;
    assert_eq!(response.header("cache-control"), Some("public, max-age=60"));
    let response = browser.get("/read").await;
    assert_eq!(response.header("cache-control"), Some("private, no-cache"));
    assert_eq!(response.header("vary"), Some("Cookie"));
    assert_eq!(browser.get("/in/Ada").await.header("cache-control"), Some("private, no-store"));
    assert!(browser.get("/free").await.header("cache-control").is_none());
}

/// A page for a session with a right is kept by no cache; a logout may have the browser forget the rest.
#[tokio::test]
async fn what_a_user_sees_is_not_stored_and_what_is_left_is_cleared() {
    #[derive(Session)]
    struct User {
        #[session(identity)]
        user: Option<String>,
    }
    let read = async |user: TypedSession<User>| user.user().unwrap_or("-").to_owned();
    let enter = async |mut user: TypedSession<User>| user.set_user("Ada");
    let leave = async |user: TypedSession<User>| user.destroy();
    let app = Router::new().route("/", get(read)).route("/in", get(enter)).route("/out", get(leave));
    for clears in [false, true] {
        let browser = Client::new(app.clone().layer(layer().with_clear_site_data(clears)));
        assert_eq!(browser.get("/").await.header("cache-control"), Some("private, no-cache"));
        let response = browser.get("/in").await;
        assert_eq!(response.header("cache-control"), Some("private, no-store"));
        assert!(response.header("clear-site-data").is_none());
        assert_eq!(browser.get("/").await.header("cache-control"), Some("no-store"));
        let response = browser.get("/out").await;
        assert_eq!(response.header("cache-control"), Some("private, no-store"));
        let expected = clears.then_some("\"storage\"");
        assert_eq!(response.header("clear-site-data"), expected);
    }
}

#[tokio::test]
async fn a_handlers_own_cookies_are_sent_beside_the_sessions() {
    let both = async |mut session: TypedSession<Account>| {
        session.set_name("Ada");
        ([("set-cookie", "theme=dark; Path=/")], "done")
    };
    let browser = Client::new(routes().route("/both", get(both)).layer(layer()));
    assert_eq!(browser.get("/both").await.set_cookies().len(), 2);
    assert_eq!(browser.cookie("theme").as_deref(), Some("dark"));
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
}

#[tokio::test]
async fn a_cookie_has_the_name_and_attributes_that_were_asked_for() {
    let cookie = CookieConfig::new("__Secure-shop").with_path("/in").with_same_site(SameSite::Strict);
    let app = routes().layer(with_cookie(&Arc::default(), cookie));
    let browser = Client::new(app);
    let response = browser.get("/in/Ada").await;
    let [set] = &response.set_cookies()[..] else { panic!("one cookie: {response:?}") };
    assert!(set.starts_with("__Secure-shop="), "{set}");
    assert!(set.contains("; HttpOnly; SameSite=Strict; Secure; Path=/in; Max-Age="), "{set}");
    assert_eq!(browser.get("/read").await.text(), "- 0", "the path is another");
}

/// The same store and the same token: it opens nothing under another name.
#[tokio::test]
async fn a_token_is_worth_nothing_in_a_layer_of_another_cookie() {
    let store = Arc::new(MemoryStore::new());
    let shop = Client::new(routes().layer(SessionLayer::new(Arc::clone(&store))));
    let admin = Client::new(routes().layer(with_cookie(&store, CookieConfig::new("__Host-admin"))));
    shop.get("/in/Ada").await;
    let token = shop.cookie("__Host-sid").expect("a session");
    admin.set_cookie_raw("__Host-admin", &token);
    assert_eq!(admin.get("/read").await.text(), "- 0");
    shop.set_cookie_raw("__Host-sid", &token);
    assert_eq!(shop.get("/read").await.text(), "Ada 0");
}
