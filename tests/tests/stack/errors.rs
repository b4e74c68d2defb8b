//! What stands in place of an answer that is not true, and who is told what.

use axum::http::{HeaderMap, HeaderValue, Method, Response as HttpResponse, header, request::Parts};
use bytes::Bytes;
use sessions::{
    Clock, ErrorKind, LoginTooOld, MissingLayer, ParseRecordIdError, RecordId, SessionError,
    SessionRejection, SystemClock,
};

use super::*;

/// A store that fails, and an application around it in which a handler saves by itself at `/save`.
fn failing(configure: impl FnOnce(SessionLayer) -> SessionLayer) -> (Router, sessions::testing::Faults) {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let save = async |mut session: TypedSession<Account>| -> Result<&'static str, Error> {
        session.set_name("Bob");
        session.save().await?;
        Ok("saved")
    };
    let panics = async || -> &'static str { panic!("as the test wants it") };
    let routes = routes().route("/save", get(save)).route("/panic", get(panics));
    (routes.layer(configure(SessionLayer::new(store))), faults)
}

/// The three places where the store can fail a request: at its load, at a save, and after its answer.
const PLACES: [(&str, Operation); 3] =
    [("/read", Operation::Load), ("/save", Operation::Commit), ("/in/Bob", Operation::Commit)];

async fn ask(browser: &Client, path: &str, accept: &'static str) -> sessions::testing::Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    browser.request(Method::GET, path, &headers, Bytes::new()).await
}

#[tokio::test]
async fn an_error_has_a_content_type() {
    let (app, faults) = failing(|layer| layer);
    let browser = Client::new(app);
    browser.get("/in/Ada").await;
    for (path, operation) in PLACES {
        faults.fail(operation, 1);
        let response = browser.get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
        assert_eq!(response.text(), "The session store is unavailable; please try again later.", "{path}");
    }
}

/// A page for people, JSON for programs, wherever the error comes from.
#[tokio::test]
async fn an_application_makes_its_own_response_of_an_error() {
    let render = |error: &Error, request: &Parts| {
        let wants_json = request.headers.get(header::ACCEPT).is_some_and(|kind| kind == "application/json");
        let (kind, body) = if wants_json {
            ("application/json", format!("{{\"error\":\"{:?}\"}}", error.kind()))
        } else {
            ("text/html; charset=utf-8", format!("<h1>Sorry: {}</h1>", request.uri.path()))
        };
        let mut response = HttpResponse::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        response
    };
    let (app, faults) = failing(|layer| layer.with_error_response(render));
    let browser = Client::new(app);
    browser.get("/in/Ada").await;
    for (path, operation) in PLACES {
        faults.fail(operation, 1);
        let page = ask(&browser, path, "text/html").await;
        assert_eq!(
            body(&page),
            (503, &*format!("<h1>Sorry: {path}</h1>")),
            "a status of success is not kept"
        );
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(page.header("retry-after"), Some("5"), "{path}");
        assert!(page.header("content-length").is_none_or(|length| length == page.bytes().len().to_string()));
        faults.fail(operation, 1);
        let json = ask(&browser, path, "application/json").await;
        assert_eq!(body(&json), (503, "{\"error\":\"Unavailable\"}"), "{path}");
        assert_eq!(json.header("content-type"), Some("application/json"), "{path}");
        assert_eq!(json.headers().get_all("content-type").iter().count(), 1, "{path}");
    }
    assert_eq!(ask(&browser, "/in/Bob", "application/json").await.status(), 303, "no error, no hook");
}

#[tokio::test]
async fn an_applications_response_may_lead_elsewhere_and_may_fail() {
    let lead = |_: &Error, _: &Parts| {
        let mut response = HttpResponse::new(String::new());
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/sorry"));
        response
    };
    let panics = |_: &Error, _: &Parts| -> HttpResponse<String> { panic!("as the test wants it") };
    let (app, faults) = failing(|layer| layer.with_error_response(lead));
    faults.fail(Operation::Create, 1);
    let response = Client::new(app).get("/in/Ada").await;
    assert_eq!((response.status().as_u16(), response.header("location")), (303, Some("/sorry")));
    let (app, faults) = failing(|layer| layer.with_error_response(panics));
    faults.fail(Operation::Create, 1);
    let response = Client::new(app).get("/in/Ada").await;
    assert_eq!(body(&response), (503, "The session store is unavailable; please try again later."));
}

/// Layers outside tell the library's errors from the handler's own.
#[tokio::test]
async fn a_response_names_its_error() {
    async fn tell(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let kind = response.extensions().get::<SessionError>().map(|error| format!("{:?}", error.kind()));
        let kind = HeaderValue::try_from(kind.unwrap_or_else(|| "-".to_owned())).expect("a header's value");
        response.headers_mut().insert("x-error", kind);
        response
    }
    let (app, faults) = failing(|layer| layer);
    let conflict = async || StatusCode::CONFLICT;
    let app = app.route("/own", get(conflict)).layer(from_fn(tell));
    let browser = Client::new(app);
    assert_eq!(browser.get("/in/Ada").await.header("x-error"), Some("-"));
    for (path, operation) in PLACES {
        faults.fail(operation, 1);
        assert_eq!(browser.get(path).await.header("x-error"), Some("Unavailable"), "{path}");
    }
    let own = browser.get("/own").await;
    assert_eq!((own.status().as_u16(), own.header("x-error")), (409, Some("-")));
    let thief = browser.clone_jar();
    let hold = faults.hold(Operation::Commit);
    let slow = tokio::spawn(async move { thief.get("/in/Eve").await });
    hold.arrived().await;
    browser.get("/out").await;
    hold.release();
    let refused = slow.await.expect("an answer");
    assert_eq!((refused.status().as_u16(), refused.header("x-error")), (409, Some("Conflict")));
}

/// One framework sends the `Debug` of what a handler is refused with to the browser.
#[tokio::test]
async fn debug_of_a_rejection_and_an_error_shows_nothing_of_the_store() {
    let shown = async |session: Result<TypedSession<Account>, SessionRejection>| match session {
        Err(rejection) => format!("{rejection:?} {rejection:#?} {rejection}"),
        Ok(mut session) => {
            session.set_name("Bob");
            let saved = session.save().await.expect_err("the store fails");
            format!("{saved:?} {saved:#?}")
        }
    };
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let browser = Client::new(routes().route("/shown", get(shown)).layer(SessionLayer::new(store)));
    browser.get("/in/Ada").await;
    for operation in [Operation::Load, Operation::Commit] {
        let heard = {
            faults.fail(operation, 1);
            browser.get("/shown").await.text().to_owned()
        };
        assert!(heard.contains("Unavailable") && heard.contains("503"), "{heard}");
        assert!(
            !heard.contains("fault") && !heard.contains("source") && !heard.contains("message"),
            "{heard}"
        );
        browser.get("/in/Ada").await;
    }
}

/// What a test of an application needs to make by itself.
#[test]
fn a_test_can_make_what_handlers_are_refused_with() {
    let too_old = RecentLoginRejection::TooOld(LoginTooOld);
    assert_eq!(too_old.status(), 403);
    let missing = SessionRejection::MissingLayer(MissingLayer);
    assert_eq!(missing.into_response().status(), 500);
    let failed = SessionRejection::Failed(Error::unavailable("the test wants it").into());
    assert_eq!(failed.status(), 503);
    let SessionRejection::Failed(failed) = failed else { panic!("it failed") };
    assert_eq!(failed.error().kind(), ErrorKind::Unavailable);
    let clock: &dyn Clock = &SystemClock;
    assert!(clock.now() <= SystemClock.now());
    let _ = MemoryStore::new().with_clock(SystemClock);
    let id = RecordId::from_bytes([7; 16]);
    assert_eq!(id.to_string().parse::<RecordId>(), Ok(id));
    let refused: ParseRecordIdError = "no id".parse::<RecordId>().expect_err("no id");
    assert!(refused.to_string().contains("22 characters"));
}

/// In a path, a form and a session's field.
#[tokio::test]
async fn a_record_id_goes_through_serde() {
    #[derive(Session)]
    struct Devices {
        other: Option<RecordId>,
    }
    let keep = async |Path(id): Path<RecordId>, mut devices: TypedSession<Devices>| devices.set_other(id);
    let show = async |devices: TypedSession<Devices>| devices.other().expect("one").to_string();
    let browser = Client::new(Router::new().route("/{id}", get(keep)).route("/", get(show)).layer(layer()));
    let id = RecordId::from_bytes([0xfe; 16]).to_string();
    assert_eq!(browser.get(&format!("/{id}")).await.status(), 200);
    assert_eq!(browser.get("/").await.text(), id);
    assert_eq!(browser.get("/1").await.status(), 400);
}
