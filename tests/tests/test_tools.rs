//! The tools for an application's own tests: `TestSession`, and what `Client` does beside sending requests.

// A test fails by panicking, and handlers are async.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unused_async)]

use std::time::Duration;

use axum::{
    Json, Router,
    extract::Query,
    http::{HeaderMap, Method, Request, StatusCode},
    response::Redirect,
    routing::{get, post},
};
use sessions::{
    CookieConfig, Error, ErrorKind, RecentLogin, SameSite, Session, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Client, Operation, TestSession},
};

#[derive(Session)]
struct Account {
    #[session(identity)]
    user_id: Option<u64>,
    #[session(keep_on_logout)]
    #[session(merge = "last")]
    cart: Vec<u32>,
    note: Option<String>,
    #[session(merge = "add")]
    hits: u32,
    #[flash]
    message: Option<String>,
}

type Visit = TypedSession<Account>;

async fn put_into_cart(mut account: Visit) -> Redirect {
    account.cart_mut().push(1);
    account.flash_message("it is in your cart");
    Redirect::to("/cart")
}

async fn show_message(mut account: Visit) -> String {
    account.take_message().unwrap_or_default()
}

async fn log_in(mut account: Visit) {
    account.set_user_id(7);
}

async fn log_out(mut account: Visit) {
    account.remove_user_id();
}

async fn count_and(mut account: Visit, status: StatusCode) -> StatusCode {
    account.add_hits(1);
    status
}

#[tokio::test]
async fn a_handler_begins_a_session_and_the_next_one_has_it() {
    let mut test = TestSession::<Account>::new();
    let outcome = test.call(show_message).await;
    assert!(!outcome.was_created() && outcome.wrote_nothing());
    assert!(outcome.changed().is_empty() && outcome.session().is_new());

    let outcome = test.call(put_into_cart).await;
    assert_eq!(
        (outcome.status(), outcome.response().redirects_to().as_deref()),
        (StatusCode::SEE_OTHER, Some("/cart"))
    );
    assert!(outcome.was_created() && !outcome.was_rotated() && !outcome.was_destroyed());
    assert_eq!(
        (outcome.changed(), outcome.flashed(), outcome.taken()),
        (vec!["cart"], vec!["message"], vec![])
    );
    assert_eq!(outcome.session().cart(), [1]);
    assert_eq!(outcome.session().message(), Some("it is in your cart"), "looking takes nothing");

    let outcome = test.call(show_message).await;
    assert_eq!(outcome.text(), "it is in your cart");
    assert_eq!((outcome.changed(), outcome.flashed(), outcome.taken()), (vec![], vec![], vec!["message"]));
    assert_eq!(test.call(show_message).await.text(), "");
}

#[tokio::test]
async fn a_session_is_given_and_a_look_at_it_writes_nothing() {
    let mut test = TestSession::<Account>::with(|account| {
        account.set_user_id(7);
        account.set_note("hello");
    })
    .await;
    let outcome =
        test.call(async |account: Visit| format!("{:?} {:?}", account.user_id(), account.note())).await;
    assert_eq!(outcome.text(), r#"Some(7) Some("hello")"#);
    assert!(outcome.is_logged_in() && outcome.wrote_nothing() && outcome.events().is_empty(), "{outcome:?}");
    assert_eq!(outcome.store_calls().len(), 1);
}

#[tokio::test]
async fn logins_logouts_and_ends_show() {
    let mut test = TestSession::<Account>::with(|account| {
        account.set_note("hello");
        account.cart_mut().push(1);
    })
    .await;
    let outcome = test.call(log_in).await;
    assert!(
        outcome.was_rotated() && outcome.is_logged_in() && !outcome.was_created() && !outcome.was_renewed()
    );
    assert_eq!(outcome.changed(), ["user_id"]);
    let outcome = test.call(log_out).await;
    assert!(outcome.was_rotated() && !outcome.is_logged_in() && !outcome.was_destroyed());
    assert_eq!(outcome.changed(), ["note", "user_id"]);
    assert_eq!(outcome.session().cart(), [1]);
    let outcome = test.call(async |account: Visit| account.rotate()).await;
    assert!(outcome.was_rotated() && outcome.changed().is_empty());
    let outcome = test.call(async |account: Visit| account.destroy()).await;
    assert!(outcome.was_destroyed() && !outcome.was_rotated());
    assert_eq!((outcome.changed(), outcome.session().is_new()), (vec!["cart"], true));
}

#[tokio::test]
async fn a_status_decides_what_is_written() {
    for (status, is_written) in [(200, true), (303, true), (404, true), (500, false), (503, false)] {
        let status = StatusCode::from_u16(status).unwrap();
        let mut test = TestSession::<Account>::with(|account| account.add_hits(1)).await;
        let outcome = test.call(|account| count_and(account, status)).await;
        assert_eq!(outcome.status(), status);
        assert_eq!(outcome.changed() == ["hits"], is_written, "{status}");
        assert_eq!(outcome.session().hits(), 1 + u32::from(is_written), "{status}");
    }
    let mut test = TestSession::<Account>::with(|account| account.add_hits(1)).await;
    let refused = async |mut account: Visit| {
        account.set_user_id(7);
        StatusCode::FORBIDDEN
    };
    let outcome = test.call(refused).await;
    assert!(!outcome.is_logged_in() && !outcome.was_rotated());
    assert!(
        outcome.events().iter().any(|event| event.contains("403") || event.contains("4xx")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn another_request_runs_between() {
    let mut test = TestSession::<Account>::with(|account| account.set_user_id(7)).await;
    test.request(Request::post("/note"));
    let mut account = test.session().await;
    test.meanwhile(AccountHandle::remove_user_id).await;
    account.set_note("late");
    drop(account);
    let outcome = test.finish("saved").await;
    assert_eq!((outcome.status(), outcome.error()), (StatusCode::CONFLICT, Some(ErrorKind::Conflict)));
    assert_eq!((outcome.session().note(), outcome.is_logged_in()), (None, false));
    // What a page counted is not worth the page.
    let account = test.session().await;
    test.meanwhile(|account| account.rotate()).await;
    let response = count_and(account, StatusCode::OK).await;
    let outcome = test.finish(response).await;
    assert_eq!((outcome.status(), outcome.session().hits()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn several_views_and_saves_are_one_request() {
    #[derive(Session)]
    struct Visitor {
        name: Option<String>,
    }
    async fn save(mut account: Visit, mut visitor: TypedSession<Visitor>) -> Result<(), Error> {
        account.add_hits(1);
        account.save().await?;
        visitor.set_name("Ada");
        account.add_hits(1);
        Ok(())
    }
    let mut test = TestSession::<Account>::with(|account| account.add_hits(1)).await;
    let (account, visitor) = (test.session().await, test.extract().await.unwrap());
    let response = save(account, visitor).await;
    let outcome = test.finish(response).await;
    assert_eq!((outcome.changed(), outcome.session().hits()), (vec!["hits", "name"], 3));
    let commits = outcome.store_calls().iter().filter(|call| call.operation() == Operation::Commit);
    assert_eq!(commits.count(), 2);
}

#[tokio::test]
async fn time_passes_when_the_test_says() {
    let change_password = async |_: RecentLogin<Visit, 900>| "changed";
    let mut test = TestSession::<Account>::with(|account| account.set_user_id(7)).await;
    assert_eq!(test.call(change_password).await.text(), "changed");
    test.clock().advance(Duration::from_mins(20));
    assert_eq!(test.call(change_password).await.status(), StatusCode::FORBIDDEN);
    test.clock().advance(Duration::from_hours(48));
    let outcome = test.call(log_in).await;
    assert!(outcome.was_created() && outcome.is_logged_in());
}

#[tokio::test]
async fn the_layer_has_the_options_that_a_view_needs() {
    #[derive(Session)]
    struct Vault {
        #[session(secret)]
        token: Option<String>,
    }
    let keys = sessions::KeyRing::new(sessions::Key::generate().unwrap());
    let mut test = TestSession::<Vault>::new()
        .with_layer(|layer| layer.with_keys(keys))
        .given(|vault| vault.set_token("abc"))
        .await;
    let read = async |vault: TypedSession<Vault>| vault.token().map(str::to_owned).unwrap_or_default();
    assert_eq!(test.call(read).await.text(), "abc");
}

#[tokio::test]
async fn a_dropped_test_is_a_client_that_goes_away() {
    let mut test = TestSession::<Account>::with(|account| account.set_user_id(7)).await;
    let mut account = test.session().await;
    account.set_note("late");
    drop(test);
    drop(account);
}

fn routes() -> Router {
    async fn whoami(account: Visit) -> String {
        format!("{:?} {}", account.user_id(), account.hits())
    }
    async fn double(Json(numbers): Json<Vec<u32>>) -> Json<Vec<u32>> {
        Json(numbers.into_iter().map(|number| 2 * number).collect())
    }
    async fn language(headers: HeaderMap) -> String {
        let all = headers.get_all("accept-language").iter();
        all.map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(",")
    }
    async fn go(Query(to): Query<Vec<(String, String)>>) -> Redirect {
        Redirect::to(&to[0].1)
    }
    Router::new()
        .route("/", get(whoami))
        .route("/hit", post(async |account: Visit| count_and(account, StatusCode::OK).await))
        .route("/double", post(double).put(double))
        .route("/language", get(language))
        .route("/a/go", get(go))
        .route("/a/there", get(async || "there"))
        .route("/again", post(async || Redirect::temporary("/double")))
}

fn client() -> Client {
    Client::new(routes().layer(SessionLayer::new(MemoryStore::new())))
}

#[tokio::test]
async fn a_client_speaks_json_and_sends_its_headers() {
    let client = client().with_header("accept-language", "de");
    assert_eq!(client.post_json("/double", &[1, 2]).await.json::<Vec<u32>>(), [2, 4]);
    assert_eq!(client.send_json(Method::PUT, "/double", &[3]).await.json::<Vec<u32>>(), [6]);
    assert_eq!(client.get("/language").await.text(), "de");
    assert_eq!(client.fork().get_with("/language", "accept-language", "fr").await.text(), "fr");
}

#[tokio::test]
async fn a_client_tells_where_a_redirect_leads_and_goes_there() {
    let client = client();
    let response = client.get("/a/go?to=there").await;
    assert_eq!(response.redirects_to().as_deref(), Some("/a/there"));
    assert_eq!(client.follow(response).await.text(), "there");
    assert_eq!(client.get("/a/there").await.redirects_to(), None);
}

#[tokio::test]
#[should_panic(expected = "a 307 asks for the POST once more: send it to /double")]
async fn a_client_repeats_no_form() {
    let client = client();
    let response = client.post("/again", "").await;
    client.follow(response).await;
}

#[tokio::test]
async fn a_client_logs_in_without_a_route() {
    let layer = SessionLayer::new(MemoryStore::new());
    let browser = Client::new(routes().layer(layer.clone()));
    browser.log_in::<Account>(&layer, |account| account.set_user_id(7)).await;
    assert_eq!(browser.get("/").await.text(), "Some(7) 0");
    assert_eq!(browser.stranger().get("/").await.text(), "None 0");
    // A session that is there goes on, with another secret.
    let visitor = browser.stranger();
    visitor.post("/hit", "").await;
    let stolen = visitor.clone_jar();
    visitor.log_in::<Account>(&layer, |account| account.set_user_id(8)).await;
    assert_eq!(visitor.get("/").await.text(), "Some(8) 1");
    assert_eq!(stolen.get("/").await.text(), "None 0");
    let session = visitor.session::<Account>(&layer).await;
    assert_eq!((session.user_id(), session.hits()), (Some(8), 1));
}

#[tokio::test]
async fn a_page_of_another_site_that_embeds_this_one_brings_no_lax_cookie() {
    for (same_site, from_link, embedded) in
        [(SameSite::Lax, "None 1", "None 0"), (SameSite::Strict, "None 0", "None 0")]
    {
        let cookie = CookieConfig::default().with_same_site(same_site);
        let layer = SessionLayer::new(MemoryStore::new()).with_cookie(cookie).unwrap();
        let browser = Client::new(routes().layer(layer));
        browser.post("/hit", "").await;
        assert_eq!(browser.from_another_site().get("/").await.text(), from_link, "{same_site:?}");
        assert_eq!(browser.embedded_in_another_site().get("/").await.text(), embedded, "{same_site:?}");
        assert_eq!(browser.get("/").await.text(), "None 1");
    }
}
