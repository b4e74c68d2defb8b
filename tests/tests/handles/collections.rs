//! Collections: what a handle shows of them is what the next request sees, whatever comes between the steps.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, http::StatusCode, routing::get};
use sessions::{Error, Event, Session, SessionLayer, TypedSession, store::MemoryStore, testing::Client};

use super::layer;

/// One field of each kind of collection.
#[derive(Session)]
struct Collected {
    #[session(merge = "entries")]
    cart: BTreeMap<u64, u32>,
    #[session(merge = "entries", entry = "add")]
    votes: BTreeMap<String, i64>,
    #[session(merge = "entries")]
    tags: BTreeSet<String>,
    #[session(merge = "append", keep_last = 5)]
    pages: Vec<u32>,
    #[flash]
    notices: Vec<String>,
    name: Option<String>,
}

type Visit = TypedSession<Collected>;

/// What a request does to a session.
type Step = fn(&mut Visit);

fn all(session: &Visit) -> String {
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}").replace(' ', "");
    [
        text(session.cart()),
        text(session.votes()),
        text(session.tags()),
        text(&session.pages()),
        text(&session.notices()),
    ]
    .join(" ")
}

/// Steps in one request, also with something between them: what the handle shows at last, which is what the next
/// request sees.
async fn shown(begin: Step, steps: &'static [Step]) -> String {
    let mut results = Vec::new();
    for between in ["nothing", "a save", "a reload", "another handle"] {
        let begin = async move |mut session: Visit| {
            session.set_name("Ada");
            begin(&mut session);
        };
        let work = async move |mut session: Visit, mut other: Visit| {
            for (index, step) in steps.iter().enumerate() {
                if between == "another handle" && index % 2 == 1 {
                    other.reload().await?;
                    step(&mut other);
                    other.save().await?;
                    session.reload().await?;
                    continue;
                }
                step(&mut session);
                match between {
                    "a save" | "another handle" => session.save().await?,
                    "a reload" => session.reload().await?,
                    _ => {}
                }
            }
            Ok::<_, Error>(all(&session))
        };
        let see = async |session: Visit| all(&session);
        let routes = Router::new().route("/begin", get(begin)).route("/work", get(work));
        let browser = Client::new(routes.route("/see", get(see)).layer(layer()));
        assert_eq!(browser.get("/begin").await.status(), 200);
        let shown = browser.get("/work").await.text().to_owned();
        assert_eq!(browser.get("/see").await.text(), shown, "with {between} between");
        results.push(shown);
    }
    for result in &results {
        assert_eq!(*result, results[0], "what comes between makes no difference");
    }
    results.swap_remove(0)
}

fn fill(session: &mut Visit) {
    session.set_cart(BTreeMap::from([(1, 1), (2, 2)]));
    session.votes_mut().insert("a".into(), 5);
    session.tags_mut().extend(["x".to_owned(), "y".to_owned()]);
    session.set_pages(vec![1, 2, 3]);
    session.flash_notices("one");
}

#[tokio::test]
async fn entries_are_stored_as_they_are_shown() {
    let steps: &[Step] = &[
        |session| {
            session.cart_mut().insert(3, 3);
        },
        |session| *session.cart_mut().entry(1).or_default() += 4,
        |session| {
            session.cart_mut().remove(&2);
        },
        |session| *session.votes_mut().entry("a".into()).or_default() -= 7,
        |session| *session.votes_mut().entry("b".into()).or_default() += 1,
        |session| {
            session.tags_mut().remove("x");
        },
        |session| session.tags_mut().retain(|tag| tag != "z"),
    ];
    let expected = r#"{1:5,3:3} {"a":-2,"b":1} {"y"} [1,2,3] ["one"]"#;
    assert_eq!(shown(fill, steps).await, expected);
}

#[tokio::test]
async fn collections_that_are_set_and_reset_are_stored_as_they_are_shown() {
    let steps: &[Step] = &[
        |session| session.set_cart(BTreeMap::from([(2, 9), (5, 5)])),
        |session| {
            session.cart_mut().insert(6, 6);
        },
        |session| {
            session.reset_tags();
        },
        |session| {
            session.tags_mut().insert("new".into());
        },
        |session| session.set_votes(BTreeMap::from([("a".into(), 1)])),
        |session| *session.votes_mut().entry("a".into()).or_default() += 1,
        |session| {
            session.reset_pages();
        },
        |session| session.pages_mut().push(7),
    ];
    assert_eq!(shown(fill, steps).await, r#"{2:9,5:5,6:6} {"a":2} {"new"} [7] ["one"]"#);
}

#[tokio::test]
async fn items_are_stored_as_they_are_shown() {
    let steps: &[Step] = &[
        |session| session.pages_mut().push(4),
        |session| session.pages_mut().retain(|page| *page != 2),
        |session| session.pages_mut().insert(0, 9),
        |session| session.pages_mut().sort_unstable(),
        |session| session.flash_notices("two"),
        |session| assert_eq!(session.take_notices().len(), 2),
        |session| session.flash_notices("three"),
    ];
    assert_eq!(shown(fill, steps).await, r#"{1:1,2:2} {"a":5} {"x","y"} [1,3,4,9] ["three"]"#);
}

/// A key that has no text, or one that another has, fails the request, and an event names the collection.
#[tokio::test]
async fn an_entry_that_cannot_be_stored_is_refused() {
    #[derive(Session)]
    struct Paired {
        #[session(merge = "entries")]
        secret_pairs: BTreeMap<(u8, u8), u8>,
        name: Option<String>,
    }
    let put = async |mut session: TypedSession<Paired>| {
        session.set_name("Ada");
        session.secret_pairs_mut().insert((41, 42), 1);
    };
    let see = async |session: TypedSession<Paired>| session.name().unwrap_or("-").to_owned();
    let (send, receive) = std::sync::mpsc::channel();
    let send = std::sync::Mutex::new(send);
    let layer = SessionLayer::new(MemoryStore::new()).with_event_hook(move |event| {
        if let Event::CommitFailed { error, .. } = event {
            let send = send.lock().expect("no panic");
            send.send(error.to_string()).expect("the test listens");
        }
    });
    let browser = Client::new(Router::new().route("/put", get(put)).route("/see", get(see)).layer(layer));
    assert_eq!(browser.get("/put").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let error = receive.try_recv().expect("an event");
    assert!(error.contains("`secret_pairs`") && !error.contains("41"), "{error}");
    assert_eq!(browser.get("/see").await.text(), "-");
}

/// What a handle discards, or a failing request leaves, is not stored.
#[tokio::test]
async fn discarded_entries_are_not_stored() {
    let begin = async |mut session: Visit| fill(&mut session);
    let discard = async |mut session: Visit| {
        session.cart_mut().clear();
        session.pages_mut().push(4);
        session.take_notices();
        session.discard_changes();
        all(&session)
    };
    let fail = async |mut session: Visit| {
        session.cart_mut().clear();
        session.reset_pages();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let see = async |session: Visit| all(&session);
    let routes = Router::new().route("/begin", get(begin)).route("/discard", get(discard));
    let routes = routes.route("/fail", get(fail)).route("/see", get(see));
    let browser = Client::new(routes.layer(layer()));
    browser.get("/begin").await;
    let before = r#"{1:1,2:2} {"a":5} {"x","y"} [1,2,3] ["one"]"#;
    assert_eq!(browser.get("/discard").await.text(), before);
    assert_eq!(browser.get("/fail").await.status(), 500);
    assert_eq!(browser.get("/see").await.text(), before);
}
