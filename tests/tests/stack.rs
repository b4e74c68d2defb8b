//! The whole stack under axum: what a program would write around a session.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "stack/browsers.rs"]
mod browsers;
#[path = "stack/cookies.rs"]
mod cookies;
#[path = "stack/errors.rs"]
mod errors;
#[path = "stack/events.rs"]
mod events;
#[path = "stack/failures.rs"]
mod failures;
#[path = "stack/unreadable.rs"]
mod unreadable;
#[path = "stack/views.rs"]
mod views;

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
    #[session(merge = "last")]
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

fn with_cookie(store: &Arc<MemoryStore>, cookie: CookieConfig) -> SessionLayer {
    SessionLayer::new(Arc::clone(store)).with_cookie(cookie).expect("a cookie that browsers take")
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
