//! The whole stack under axum: what a program would write around a session.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "stack/browsers.rs"]
mod browsers;
#[path = "stack/errors.rs"]
mod errors;
#[path = "stack/events.rs"]
mod events;
#[path = "stack/unreadable.rs"]
mod unreadable;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use http_body::Frame;
use sessions::{
    CookieConfig, Error, Event, OnServerError, RecentLogin, RecentLoginRejection, SameSite, Session,
    SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Client, FaultStore, Gate, ManualClock, Operation, RecordingStore},
};
use tower_http::catch_panic::CatchPanicLayer;

#[derive(Session)]
struct Account {
    name: Option<String>,
    #[session(merge = "add")]
    visits: u32,
    #[flash]
    notice: Option<String>,
}

#[derive(Session)]
#[session(namespace = "cart")]
struct Cart {
    items: Vec<String>,
}

#[derive(Session)]
struct User {
    #[session(identity)]
    id: Option<u64>,
}

async fn read(session: TypedSession<Account>) -> String {
    format!("{} {}", session.name().unwrap_or("-"), session.visits())
}

async fn sign_in(Path(name): Path<String>, mut session: TypedSession<Account>) -> Redirect {
    session.set_name(name);
    session.flash_notice("welcome");
    session.rotate();
    Redirect::to("/home")
}

async fn home(mut session: TypedSession<Account>) -> String {
    let name = session.name().unwrap_or("-").to_owned();
    format!("{name}: {}", session.take_notice().unwrap_or_else(|| "nothing new".to_owned()))
}

async fn sign_out(session: TypedSession<Account>) -> Redirect {
    session.destroy();
    Redirect::to("/home")
}

fn routes() -> Router {
    Router::new()
        .route("/read", get(read))
        .route("/in/{name}", get(sign_in))
        .route("/out", get(sign_out))
        .route("/home", get(home))
}

fn layer() -> SessionLayer {
    SessionLayer::new(MemoryStore::new())
}

fn body(response: &sessions::testing::Response) -> (u16, &str) {
    (response.status().as_u16(), response.text())
}

#[tokio::test]
async fn a_person_signs_in_and_out() {
    let browser = Client::new(routes().layer(layer()));
    assert_eq!(body(&browser.get("/read").await), (200, "- 0"));
    let response = browser.get("/in/Ada").await;
    assert_eq!(browser.follow(response).await.text(), "Ada: welcome");
    assert_eq!(browser.get("/home").await.text(), "Ada: nothing new");
    let thief = browser.clone_jar();
    let response = browser.get("/out").await;
    assert_eq!(browser.follow(response).await.text(), "-: nothing new");
    assert_eq!(thief.get("/read").await.text(), "- 0");
    assert!(browser.cookies().is_empty());
}

#[tokio::test]
async fn it_works_on_localhost_and_not_over_http() {
    let app = routes().layer(layer());
    let local = Client::new(app.clone()).with_origin("http://localhost:3000");
    local.get("/in/Ada").await;
    assert_eq!(local.get("/read").await.text(), "Ada 0");
    let plain = Client::new(app).with_origin("http://app.test");
    plain.get("/in/Ada").await;
    assert_eq!(plain.get("/read").await.text(), "- 0", "browsers take no `__Host-` cookie from there");
}

#[tokio::test]
async fn without_the_layer_the_answer_is_an_error_and_no_more() {
    let response = Client::new(routes()).get("/read").await;
    assert_eq!(response.status(), 500);
    assert!(!response.text().contains("SessionLayer"), "that is for the log: {}", response.text());
}

#[tokio::test]
async fn a_layer_inside_covers_its_routes_only() {
    let app = Router::new().route("/outside", get(read)).merge(routes().layer(layer()));
    let browser = Client::new(app);
    assert_eq!(browser.get("/read").await.status(), 200);
    assert_eq!(browser.get("/outside").await.status(), 500);
}

#[tokio::test]
async fn nested_routers_share_the_session() {
    let shop = Router::new().route(
        "/add/{item}",
        get(async |Path(item): Path<String>, mut cart: TypedSession<Cart>| {
            cart.items_mut().push(item);
            cart.items().join(",")
        }),
    );
    let app = routes().nest("/shop", Router::new().nest("/cart", shop)).layer(layer());
    let browser = Client::new(app);
    browser.get("/in/Ada").await;
    browser.get("/shop/cart/add/pen").await;
    assert_eq!(browser.get("/shop/cart/add/ink").await.text(), "pen,ink");
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
}

#[tokio::test]
async fn a_state_and_a_fallback_make_no_difference() {
    async fn missing(mut session: TypedSession<Account>) -> (StatusCode, String) {
        session.add_visits(1);
        (StatusCode::NOT_FOUND, session.visits().to_string())
    }
    let app: Router = Router::new()
        .route(
            "/",
            get(async |_: axum::extract::State<Arc<u8>>, session: TypedSession<Account>| {
                session.visits().to_string()
            }),
        )
        .with_state(Arc::new(1))
        .fallback(missing)
        .layer(layer());
    let browser = Client::new(app);
    for visit in ["1", "2"] {
        assert_eq!(body(&browser.get("/nowhere").await), (404, visit));
    }
    assert_eq!(browser.get("/").await.text(), "2");
}

#[tokio::test]
async fn option_is_none_without_a_live_session_and_an_error_if_the_store_fails() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let who = async |session: Option<TypedSession<Account>>| match session {
        Some(session) => session.name().unwrap_or("somebody").to_owned(),
        None => "nobody".to_owned(),
    };
    let browser = Client::new(routes().route("/who", get(who)).layer(SessionLayer::new(store)));
    assert_eq!(browser.get("/who").await.text(), "nobody");
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/who").await.text(), "Ada");
    faults.fail(Operation::Load, 1);
    assert_eq!(browser.get("/who").await.status(), 503);
    browser.get("/out").await;
    assert_eq!(browser.get("/who").await.text(), "nobody");
}

#[tokio::test]
async fn two_views_in_one_handler_are_one_commit() {
    let store = RecordingStore::new(MemoryStore::new());
    let recording = store.recording();
    let both = async |mut account: TypedSession<Account>, mut cart: TypedSession<Cart>| {
        account.add_visits(1);
        cart.items_mut().push("pen".to_owned());
        account.visits().to_string()
    };
    let browser = Client::new(Router::new().route("/", get(both)).layer(SessionLayer::new(store)));
    browser.get("/").await;
    recording.clear();
    assert_eq!(browser.get("/").await.text(), "2");
    assert_eq!(recording.writes(), 1);
    let calls = recording.calls();
    let commit = calls.iter().find(|call| call.operation() == Operation::Commit).expect("a commit");
    let names: Vec<_> = commit.changes().iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["cart.items", "visits"]);
}

#[tokio::test]
async fn a_middleware_uses_the_session_before_and_after_the_handler() {
    async fn count(mut session: TypedSession<Account>, request: Request, next: Next) -> Response {
        session.add_visits(1);
        // Staged here, so that the handler sees it.
        drop(session);
        next.run(request).await
    }
    async fn guard(session: Option<TypedSession<Account>>, request: Request, next: Next) -> Response {
        match session {
            Some(session) if session.has_name() => {
                drop(session);
                next.run(request).await
            }
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
    let private = Router::new().route("/private", get(read)).layer(from_fn(guard));
    let app = routes().merge(private).layer(from_fn(count)).layer(layer());
    let browser = Client::new(app);
    assert_eq!(browser.get("/private").await.status(), 401);
    assert_eq!(browser.get("/read").await.text(), "- 2", "a refused request was counted too");
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/private").await.text(), "Ada 4");
}

#[tokio::test]
async fn a_user_whom_a_middleware_logs_out_reaches_no_handler_that_asks_for_a_recent_login() {
    async fn ban(mut user: TypedSession<User>, request: Request, next: Next) -> Response {
        if request.uri().path() == "/change" {
            user.remove_id();
        }
        next.run(request).await
    }
    let change = async |_: RecentLogin<TypedSession<User>, 900>| "changed";
    let app = Router::new()
        .route("/in", get(async |mut user: TypedSession<User>| user.set_id(7_u64)))
        .route("/change", get(change))
        .route("/other", get(change))
        .layer(from_fn(ban))
        .layer(layer());
    let browser = Client::new(app);
    browser.get("/in").await;
    assert_eq!(browser.get("/other").await.text(), "changed");
    assert_eq!(browser.get("/change").await.status(), 403);
    assert_eq!(browser.get("/other").await.status(), 403, "and it was a logout");
}

#[tokio::test]
async fn a_middleware_may_hold_its_handle_over_the_handler() {
    async fn around(mut session: TypedSession<Account>, request: Request, next: Next) -> Response {
        let response = next.run(request).await;
        session.add_visits(1);
        response
    }
    let app = routes().layer(from_fn(around)).layer(layer());
    let browser = Client::new(app);
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/read").await.text(), "Ada 1");
    assert_eq!(browser.get("/read").await.text(), "Ada 2");
}

#[tokio::test]
async fn a_panic_caught_inside_the_layer_is_a_server_error() {
    async fn broken(mut session: TypedSession<Account>) -> String {
        session.set_name("half");
        panic!("as the test wants it");
    }
    for inside in [true, false] {
        let app = routes().route("/broken", get(broken));
        let app = if inside {
            app.layer(CatchPanicLayer::new()).layer(layer())
        } else {
            app.layer(layer()).layer(CatchPanicLayer::new())
        };
        let browser = Client::new(app);
        browser.get("/in/Ada").await;
        let response = browser.get("/broken").await;
        assert_eq!(response.status(), 500);
        assert!(response.set_cookies().is_empty());
        assert_eq!(browser.get("/read").await.text(), "Ada 0", "caught inside: {inside}");
    }
}

#[tokio::test]
async fn a_caught_panic_hands_nothing_over_even_if_errors_commit() {
    async fn broken(mut session: TypedSession<Account>) -> String {
        session.set_name("half");
        panic!("as the test wants it");
    }
    let layer = layer().with_on_server_error(OnServerError::Commit);
    let browser =
        Client::new(routes().route("/broken", get(broken)).layer(CatchPanicLayer::new()).layer(layer));
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/broken").await.status(), 500);
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
}

#[tokio::test]
async fn a_logout_before_a_caught_panic_happens() {
    async fn broken(session: TypedSession<Account>) -> String {
        session.destroy();
        panic!("as the test wants it");
    }
    let app = routes().route("/broken", get(broken)).layer(CatchPanicLayer::new()).layer(layer());
    let browser = Client::new(app);
    browser.get("/in/Ada").await;
    let thief = browser.clone_jar();
    assert_eq!(browser.get("/broken").await.set_cookies().len(), 1);
    assert_eq!(thief.get("/read").await.text(), "- 0");
}

/// A field's type may panic when it is written, which is after the handler: nothing is granted, and what was taken
/// away is gone.
#[tokio::test]
async fn a_right_that_was_taken_away_is_gone_though_another_field_cannot_be_written() {
    #[derive(Default)]
    struct Broken;

    impl serde::Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("as the test wants it")
        }
    }

    impl<'de> serde::Deserialize<'de> for Broken {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    #[derive(Session)]
    struct Staff {
        #[session(privilege)]
        role: Option<String>,
        #[session(privilege)]
        level: Option<u32>,
        broken: Option<Broken>,
    }

    let hire = async |mut staff: TypedSession<Staff>| staff.set_role("admin");
    let dismiss = async |mut staff: TypedSession<Staff>| {
        staff.remove_role();
        staff.set_level(2);
        staff.set_broken(Broken);
    };
    let show =
        async |staff: TypedSession<Staff>| format!("{} {:?}", staff.role().unwrap_or("-"), staff.level());
    let routes =
        Router::new().route("/hire", get(hire)).route("/dismiss", get(dismiss)).route("/show", get(show));
    let browser = Client::new(routes.layer(CatchPanicLayer::new()).layer(layer()));
    browser.get("/hire").await;
    let thief = browser.clone_jar();
    assert_eq!(browser.get("/dismiss").await.status(), 500);
    assert_eq!(browser.get("/show").await.text(), "- None");
    assert_eq!(thief.get("/show").await.text(), "- None");
}

/// A right that is taken away and then set to what is too large is gone, whether or not the view knows it for one.
#[tokio::test]
async fn a_right_that_was_taken_away_is_gone_though_its_next_value_is_too_large() {
    #[derive(Session)]
    struct Staff {
        #[session(privilege)]
        role: Option<String>,
    }

    #[derive(Session)]
    struct Careless {
        role: Option<String>,
    }

    let hire = async |mut staff: TypedSession<Staff>| staff.set_role("admin");
    let show = async |staff: TypedSession<Staff>| staff.role().unwrap_or("-").to_owned();
    let knowing = async |mut staff: TypedSession<Staff>| {
        staff.remove_role();
        staff.set_role("x".repeat(200));
    };
    let careless = async |mut staff: TypedSession<Careless>| {
        staff.remove_role();
        staff.set_role("x".repeat(200));
    };
    // An instance of the program that has not met the view which says that it is a right.
    let store = Arc::new(MemoryStore::new());
    let layer = || SessionLayer::new(Arc::clone(&store)).with_size_limits(100, 1000);
    let routes =
        Router::new().route("/hire", get(hire)).route("/show", get(show)).route("/knowing", get(knowing));
    let browser = Client::new(routes.layer(layer()));
    let other = Client::new(Router::new().route("/careless", get(careless)).layer(layer()));
    for (path, there) in [("/knowing", browser.clone()), ("/careless", browser.at(&other))] {
        browser.get("/hire").await;
        let thief = browser.clone_jar();
        assert_eq!(browser.get("/show").await.text(), "admin");
        assert_eq!(there.get(path).await.status(), 500, "{path}");
        assert_eq!(browser.get("/show").await.text(), "-", "{path}");
        assert_eq!(thief.get("/show").await.text(), "-", "{path}");
    }
}

/// A handle of a session that another one has ended shows nothing of the next session.
#[tokio::test]
async fn a_count_on_an_ended_session_shows_nothing_of_the_next() {
    let end = async |mut first: TypedSession<Account>, mut second: TypedSession<Account>| {
        second.destroy();
        second.add_visits(5);
        drop(second);
        let refused = first.fetch_add_visits(1).await.is_err();
        format!("{refused} {}", first.visits())
    };
    let browser = Client::new(routes().route("/end", get(end)).layer(layer()));
    browser.get("/in/Ada").await;
    assert_eq!(browser.get("/end").await.text(), "true 0");
    assert_eq!(browser.get("/read").await.text(), "- 5");
}

#[tokio::test]
async fn a_streams_handle_saves_while_the_body_is_sent() {
    type Work = std::pin::Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

    struct Stream(Option<Work>);

    impl http_body::Body for Stream {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Error>>> {
            let Some(work) = &mut self.0 else { return std::task::Poll::Ready(None) };
            let output = std::task::ready!(work.as_mut().poll(context));
            self.0 = None;
            std::task::Poll::Ready(Some(output.map(Frame::data)))
        }
    }

    let gate = Gate::new();
    let inside = gate.clone();
    let stream = move |mut session: TypedSession<Account>| {
        let gate = inside.clone();
        async move {
            Body::new(Stream(Some(Box::pin(async move {
                gate.pass().await;
                session.add_visits(10);
                session.save().await?;
                Ok(Bytes::from(session.visits().to_string()))
            }))))
        }
    };
    let browser = Client::new(routes().route("/stream", get(stream)).layer(layer()));
    browser.get("/in/Ada").await;
    let tab = browser.fork();
    let streaming = tokio::spawn(async move { tab.get("/stream").await.text().to_owned() });
    gate.arrived().await;
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
    gate.release();
    assert_eq!(streaming.await.expect("a body"), "10");
    assert_eq!(browser.get("/read").await.text(), "Ada 10");
}

#[tokio::test]
async fn a_task_that_forgets_to_save_is_reported() {
    let (gate, done) = (Gate::new(), Gate::new());
    let (open, over) = (gate.clone(), done.clone());
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let start = move |mut session: TypedSession<Account>| {
        let (open, over) = (open.clone(), over.clone());
        async move {
            tokio::spawn(async move {
                open.pass().await;
                session.set_name("late");
                drop(session);
                over.pass().await;
            });
        }
    };
    let layer =
        layer().with_event_hook(move |event| heard.lock().expect("no panic").push(format!("{event:?}")));
    let browser = Client::new(routes().route("/start", get(start)).layer(layer));
    browser.get("/in/Ada").await;
    browser.get("/start").await;
    gate.release();
    done.arrived().await;
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
    let events = events.lock().expect("no panic").clone();
    assert!(matches!(&events[..], [_created, event] if event.contains("UnsavedChanges")), "{events:?}");
}

/// Two layers have one cookie name for now: two of them would commit past each other, and the loser's
/// refusal would take the winner's cookie with it.
#[tokio::test]
async fn the_outer_of_two_layers_is_the_session() {
    let inner = RecordingStore::new(MemoryStore::new());
    let outer = RecordingStore::new(MemoryStore::new());
    let (inside, outside) = (inner.recording(), outer.recording());
    let app = routes().layer(SessionLayer::new(inner)).layer(SessionLayer::new(outer));
    let browser = Client::new(app);
    let response = browser.get("/in/Ada").await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
    assert!(outside.writes() > 0);
    assert_eq!(inside.calls(), []);
}

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

fn with_cookie(store: &Arc<MemoryStore>, cookie: CookieConfig) -> SessionLayer {
    SessionLayer::new(Arc::clone(store)).with_cookie(cookie).expect("a cookie that browsers take")
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

#[tokio::test]
async fn insecure_cookies_work_over_plain_http() {
    let layer = || SessionLayer::new(MemoryStore::new());
    for (layer, name) in [(layer(), "-"), (layer().with_insecure_cookies(), "Ada")] {
        let browser = Client::new(routes().layer(layer)).with_origin("http://intranet.example");
        browser.get("/in/Ada").await;
        assert_eq!(browser.get("/read").await.text(), format!("{name} 0"));
    }
}

/// What an outer layer refuses takes nothing away from an inner one, whose session has a new secret by then.
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
    assert_eq!(response.status(), 503);
    assert_eq!(browser.get("/read").await.text(), "Ada 0");
    // And again when there are two tokens to lose.
    faults.fail(Operation::Commit, 1);
    let response = browser.get("/in/Bob").await;
    assert_eq!(response.status(), 503);
    assert_eq!(browser.get("/read").await.text(), "Bob 0");
}

#[tokio::test]
async fn what_needs_a_recent_login_asks_for_one() {
    async fn log_in(mut user: TypedSession<User>) {
        user.set_id(7);
    }
    async fn change(RecentLogin(user): RecentLogin<TypedSession<User>, 900>) -> String {
        format!("{:?}", user.id())
    }
    async fn lead(
        user: Result<RecentLogin<TypedSession<User>, 900>, RecentLoginRejection>,
    ) -> Result<String, Redirect> {
        match user {
            Ok(RecentLogin(user)) => Ok(format!("{:?}", user.id())),
            Err(RecentLoginRejection::TooOld(_)) => Err(Redirect::to("/in")),
            Err(other) => panic!("{other}"),
        }
    }
    let clock = ManualClock::new();
    let store = FaultStore::new(MemoryStore::new().with_clock(clock.clone()));
    let faults = store.faults();
    let store = RecordingStore::new(store);
    let calls = store.recording();
    let routes =
        Router::new().route("/in", get(log_in)).route("/change", get(change)).route("/lead", get(lead));
    let browser = Client::new(routes.layer(SessionLayer::new(store))).with_clock(clock.clone());

    let refused = browser.get("/change").await;
    assert_eq!(body(&refused), (403, "This needs a recent login; please log in again."));
    assert_eq!(calls.calls(), []);
    browser.get("/in").await;
    clock.advance(Duration::from_mins(15));
    calls.clear();
    assert_eq!(body(&browser.get("/change").await), (200, "Some(7)"));
    assert_eq!(calls.count(Operation::Load), 1, "with the fields of the session");
    clock.advance(Duration::from_secs(1));
    assert_eq!(browser.get("/change").await.status(), 403);
    let led = browser.get("/lead").await;
    assert_eq!((led.status().as_u16(), led.header("location")), (303, Some("/in")));
    browser.get("/in").await;
    assert_eq!(body(&browser.get("/lead").await), (200, "Some(7)"));
    faults.fail(Operation::Load, 1);
    assert_eq!(browser.get("/change").await.status(), 503, "a store that is away is no old login");
}

/// A tenth of what the store may take is slow, and told; what is faster is not.
#[tokio::test(start_paused = true)]
async fn a_slow_store_is_reported() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let layer =
        SessionLayer::new(store).with_store_timeout(Duration::from_secs(10)).with_event_hook(move |event| {
            if let Event::StoreSlow { took } = event {
                heard.lock().expect("no panic here").push(*took);
            }
        });
    let browser = Client::new(routes().layer(layer));
    browser.get("/in/Ada").await;
    for seconds in [1, 2] {
        let held = faults.hold(Operation::Load);
        let tab = browser.fork();
        let request = tokio::spawn(async move { tab.get("/read").await.status() });
        held.arrived().await;
        tokio::time::advance(Duration::from_secs(seconds)).await;
        held.release();
        assert_eq!(request.await.expect("an answer"), 200);
    }
    assert_eq!(*told.lock().expect("no panic here"), [Duration::from_secs(2)]);
}
