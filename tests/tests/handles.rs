//! Handles of one request: what they leave when they save, discard, clear, end and disagree.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "handles/collections.rs"]
mod collections;
#[path = "handles/merges.rs"]
mod merges;
#[path = "handles/rights.rs"]
mod rights;

use std::{
    collections::HashMap,
    future::poll_fn,
    hash::{BuildHasher, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use sessions::{
    Error, FieldName, Session, SessionLayer, TypedSession,
    store::{Loaded, MemoryStore},
    testing::{Client, FaultStore, Gate, HookedStore, Hooks, Operation, RecordingStore},
};

const COOKIE: &str = "__Host-sid";

#[derive(Session)]
struct Account {
    name: Option<String>,
    role: Option<String>,
    admin: bool,
    #[session(merge = "add")]
    visits: u64,
    #[session(merge = "last")]
    samples: Vec<f64>,
}

type Visit = TypedSession<Account>;

async fn read(session: Visit) -> String {
    let (name, role) = (session.name().unwrap_or("-"), session.role().unwrap_or("-"));
    format!("{name} {role} {} {} {:?}", session.admin(), session.visits(), session.samples())
}

async fn sign_in(mut session: Visit) {
    session.set_name("Ada");
    session.set_role("user");
    session.add_visits(40);
}

const SIGNED_IN: &str = "Ada user false 40 []";

fn routes() -> Router {
    Router::new().route("/read", get(read)).route("/in", get(sign_in))
}

fn layer() -> SessionLayer {
    SessionLayer::new(MemoryStore::new())
}

/// A browser that is signed in.
async fn signed_in(routes: Router) -> Client {
    let browser = Client::new(routes.layer(layer()));
    assert_eq!(browser.get("/in").await.status(), 200);
    browser
}

/// What is set after a save that had nothing to write is committed.
#[tokio::test]
async fn a_change_after_an_empty_save_is_kept() {
    let handler = async |mut session: Visit| {
        session.save().await?;
        session.set_name("Bob");
        Ok::<_, Error>(())
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "Bob user false 40 []");
}

/// Saving twice loses nothing that is added afterwards, and adds nothing twice.
#[tokio::test]
async fn additions_around_two_saves_count_once() {
    let handler = async |mut session: Visit| {
        session.add_visits(1);
        session.save().await?;
        session.save().await?;
        session.add_visits(1);
        session.save().await?;
        Ok::<_, Error>(session.visits().to_string())
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.text(), "42");
    assert_eq!(browser.get("/read").await.text(), "Ada user false 42 []");
}

/// What is set after changes were discarded is committed, without them.
#[tokio::test]
async fn a_change_after_a_discard_is_kept() {
    let handler = async |mut session: Visit| {
        session.set_name("Bob");
        session.discard_changes();
        session.set_role("guest");
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "Ada guest false 40 []");
}

/// `fetch_add_…` does not write what was added and then discarded.
#[tokio::test]
async fn a_discarded_addition_is_not_fetched() {
    let handler = async |mut session: Visit| {
        session.add_visits(5);
        session.discard_changes();
        session.fetch_add_visits(1).await.map(|visits| visits.to_string())
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.text(), "41");
    assert_eq!(browser.get("/read").await.text(), "Ada user false 41 []");
}

/// `fetch_add_…` after `clear` counts from nothing, as the handle reads it.
#[tokio::test]
async fn a_cleared_counter_is_counted_from_nothing() {
    let handler = async |mut session: Visit| {
        session.clear();
        let before = session.visits();
        session.fetch_add_visits(1).await.map(|after| format!("{before} {after}"))
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.text(), "0 1");
    assert_eq!(browser.get("/read").await.text(), "- - false 1 []");
}

/// `fetch_add_…` of a handle whose session another handle ended is refused, and begins none.
#[tokio::test]
async fn a_counter_of_an_ended_session_is_not_counted() {
    let handler = async |one: Visit, mut other: Visit| {
        one.destroy();
        format!("{:?}", other.fetch_add_visits(1).await.map_err(|error| error.kind()))
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.text(), "Err(Conflict)");
    assert!(browser.cookie(COOKIE).is_none());
}

/// Setting a field to what was loaded undoes what another handle set before.
#[tokio::test]
async fn the_loaded_value_set_last_wins() {
    let handler = async |mut one: Visit, mut other: Visit| {
        other.set_role("admin");
        drop(other);
        one.set_role("user");
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    browser.get("/").await;
    assert_eq!(browser.get("/read").await.text(), SIGNED_IN);
}

/// Setting a field to what was loaded counts after another handle cleared the record.
#[tokio::test]
async fn the_loaded_value_set_after_a_clear_is_there() {
    let handler = async |mut one: Visit, other: Visit| {
        other.clear();
        drop(other);
        one.set_role("user");
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    browser.get("/").await;
    assert_eq!(browser.get("/read").await.text(), "- user false 0 []");
}

/// Removing a field that was absent when it was loaded undoes what another handle set before.
#[tokio::test]
async fn a_removal_after_another_handles_change_wins() {
    async fn begin(mut session: Visit) {
        session.set_name("Ada");
    }
    let handler = async |mut one: Visit, mut other: Visit| {
        other.set_role("admin");
        drop(other);
        one.remove_role();
    };
    let browser = Client::new(routes().route("/begin", get(begin)).route("/", get(handler)).layer(layer()));
    browser.get("/begin").await;
    browser.get("/").await;
    assert_eq!(browser.get("/read").await.text(), "Ada - false 0 []");
}

/// Setting a field to its default undoes what another handle set before.
#[tokio::test]
async fn the_default_set_last_wins() {
    let handler = async |mut one: Visit, mut other: Visit| {
        other.set_admin(true);
        drop(other);
        one.set_admin(false);
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    browser.get("/").await;
    assert_eq!(browser.get("/read").await.text(), SIGNED_IN);
}

/// A handle that is dropped last but was changed first does not undo a later change.
#[tokio::test]
async fn a_middlewares_earlier_change_does_not_undo_the_handlers() {
    async fn around(mut session: Visit, request: Request, next: Next) -> Response {
        if request.uri().path() == "/read" {
            return next.run(request).await;
        }
        session.set_name("middleware");
        session.set_role("guest");
        next.run(request).await
    }
    let handler = async |mut session: Visit| session.set_name("handler");
    let save = async |mut session: Visit| {
        session.set_name("saved");
        session.save().await
    };
    let routes = routes().route("/", get(handler)).route("/save", get(save)).layer(from_fn(around));
    let browser = signed_in(routes).await;
    browser.get("/").await;
    assert_eq!(browser.get("/read").await.text(), "handler guest false 40 []");
    assert_eq!(browser.get("/save").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "saved guest false 40 []");
}

/// A number that JSON does not have, even inside a list, is an error and no silent loss.
#[tokio::test]
async fn a_number_that_json_lacks_is_an_error_and_nothing_is_stored() {
    for bad in [f64::NAN, f64::INFINITY] {
        let handler = async move |mut session: Visit| {
            session.set_name("Bob");
            session.set_samples(vec![1.5, bad]);
        };
        let browser = signed_in(routes().route("/", get(handler))).await;
        assert_eq!(browser.get("/").await.status(), 500, "{bad}");
        assert_eq!(browser.get("/read").await.text(), SIGNED_IN, "{bad}");
    }
}

/// A counter set beyond what stores count to can still be added to.
#[tokio::test]
async fn the_largest_number_in_a_counter_stays_usable() {
    let largest = async |mut session: Visit| session.set_visits(u64::MAX);
    let add = async |mut session: Visit| session.add_visits(1);
    let browser = signed_in(routes().route("/largest", get(largest)).route("/add", get(add))).await;
    for path in ["/largest", "/add", "/add"] {
        assert_eq!(browser.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(browser.get("/read").await.text(), format!("Ada user false {} []", i64::MAX));
}

/// A middleware between two layers of one cookie and the handler share one session: a change and
/// a rotation are one commit.
#[tokio::test]
async fn a_layer_inside_another_rotates_with_it() {
    async fn count(mut session: Visit, request: Request, next: Next) -> Response {
        session.add_visits(1);
        next.run(request).await
    }
    let store = RecordingStore::new(MemoryStore::new());
    let recording = store.recording();
    let layer = SessionLayer::new(store);
    let rotate = async |session: Visit| session.rotate();
    let app = routes().route("/rotate", get(rotate)).layer(layer.clone()).layer(from_fn(count)).layer(layer);
    let browser = Client::new(app);
    browser.get("/in").await;
    recording.clear();
    let response = browser.get("/rotate").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!(recording.count(Operation::Commit), 1);
    assert_eq!(browser.get("/read").await.text(), "Ada user false 42 []");
}

/// A change that cannot be written fails the request, but does not keep the old secret alive.
#[tokio::test]
async fn a_rotation_beside_an_unwritable_field_happens() {
    let handler = async |mut session: Visit| {
        session.rotate();
        session.set_name("Bob");
        session.set_samples(vec![f64::NAN]);
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    let thief = browser.clone_jar();
    assert_eq!(browser.get("/").await.status(), 500);
    assert_eq!(thief.get("/read").await.text(), "- - false 0 []");
    assert_eq!(browser.get("/read").await.text(), SIGNED_IN);
}

/// Loads no more fields than it is asked for.
struct ByName;

impl Hooks for ByName {
    fn loaded(&self, names: &[FieldName], loaded: Loaded) -> Loaded {
        let mut fields = loaded.fields.clone();
        fields.retain(names);
        let is_complete = loaded.complete && fields.len() == loaded.fields.len();
        loaded.with_fields(fields, is_complete)
    }
}

/// A view's `reload` keeps its fields with a store that loads only what it is asked for.
#[tokio::test]
async fn a_reload_asks_for_all_fields_of_the_view() {
    let push = async |mut session: Visit| {
        session.reload().await?;
        session.samples_mut().push(0.5);
        Ok::<_, Error>(())
    };
    let layer = SessionLayer::new(HookedStore::with_hooks(MemoryStore::new(), ByName));
    let browser = Client::new(routes().route("/push", get(push)).layer(layer));
    browser.get("/in").await;
    for _ in 0..2 {
        assert_eq!(browser.get("/push").await.status(), 200);
    }
    assert_eq!(browser.get("/read").await.text(), "Ada user false 40 [0.5, 0.5]");
}

/// A field type that panics while it is read leaves the handle and the session whole.
#[tokio::test]
async fn a_panic_of_a_field_type_leaves_the_session_whole() {
    static PANICS: AtomicBool = AtomicBool::new(false);

    /// What a map is read with is its own: here it fails.
    #[derive(Clone, Debug)]
    struct Fragile;

    impl Default for Fragile {
        fn default() -> Self {
            assert!(!PANICS.load(Ordering::SeqCst), "as the test wants it");
            Self
        }
    }

    impl BuildHasher for Fragile {
        type Hasher = DefaultHasher;

        fn build_hasher(&self) -> DefaultHasher {
            DefaultHasher::new()
        }
    }

    #[derive(Session)]
    struct Odd {
        #[session(merge = "last")]
        map: HashMap<String, u32, Fragile>,
        name: Option<String>,
    }

    async fn set(mut session: TypedSession<Odd>) {
        session.map_mut().insert("a".to_owned(), 7);
    }

    async fn caught(session: TypedSession<Odd>) -> String {
        let mut session = session;
        session.set_name("caught");
        PANICS.store(true, Ordering::SeqCst);
        let session = Arc::new(std::sync::Mutex::new(session));
        let inside = Arc::clone(&session);
        let is_panic =
            tokio::task::spawn_blocking(move || inside.lock().expect("not poisoned yet").map().len())
                .await
                .is_err();
        PANICS.store(false, Ordering::SeqCst);
        let session = session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        format!("{is_panic} {:?}", session.map().get("a"))
    }

    async fn see(session: TypedSession<Odd>) -> String {
        format!("{:?} {:?}", session.map().get("a"), session.name())
    }

    let routes = Router::new().route("/set", get(set)).route("/caught", get(caught)).route("/see", get(see));
    let browser = Client::new(routes.layer(layer()));
    browser.get("/set").await;
    assert_eq!(browser.get("/caught").await.text(), "true Some(7)");
    assert_eq!(browser.get("/see").await.text(), "Some(7) Some(\"caught\")");
}

/// What is staged by `reload` or by a save that failed can still be taken back.
#[tokio::test]
async fn a_discard_takes_back_all_that_is_not_stored() {
    let reload = async |mut session: Visit| {
        session.set_name("Bob");
        session.set_samples(vec![f64::NAN]);
        session.reload().await.ok();
        session.discard_changes();
        (StatusCode::BAD_REQUEST, session.name().unwrap_or("-").to_owned())
    };
    let save = async |mut session: Visit| {
        session.set_name("Bob");
        let is_saved = session.save().await.is_ok();
        session.discard_changes();
        (StatusCode::BAD_REQUEST, if is_saved { "saved".to_owned() } else { "Ada".to_owned() })
    };
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let app = routes().route("/reload", get(reload)).route("/save", get(save));
    let browser = Client::new(app.layer(SessionLayer::new(store)));
    browser.get("/in").await;
    faults.fail(Operation::Commit, 1);
    for path in ["/save", "/reload"] {
        let response = browser.get(path).await;
        assert_eq!((response.status().as_u16(), response.text()), (400, "Ada"), "{path}");
        assert_eq!(browser.get("/read").await.text(), SIGNED_IN, "{path}");
    }
}

/// A clear removes every change made before it, whichever handle stages it and when.
#[tokio::test]
async fn a_clear_is_not_undone_by_what_was_changed_before_it() {
    async fn change(mut session: Visit, request: Request, next: Next) -> Response {
        session.set_name("Bob");
        let response = next.run(request).await;
        session.set_role("guest");
        response
    }
    let clear = async |session: Visit| session.clear();
    let app = routes().route("/", get(clear).layer(from_fn(change)));
    let browser = signed_in(app).await;
    assert_eq!(browser.get("/").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "- guest false 0 []");
}

/// The same if the clear was saved before it was staged.
#[tokio::test]
async fn a_saved_clear_is_not_undone_by_what_was_changed_before_it() {
    let handler = async |mut earlier: Visit, clearing: Visit| {
        earlier.set_name("Bob");
        earlier.add_visits(1);
        clearing.clear();
        clearing.save().await?;
        earlier.set_role("guest");
        drop(earlier);
        Ok::<_, Error>(())
    };
    let browser = signed_in(routes().route("/", get(handler))).await;
    assert_eq!(browser.get("/").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "- guest false 0 []");
}

/// A view that reads its own fields again leaves those of others as known as they were.
#[tokio::test]
async fn a_reload_forgets_nothing_of_other_views() {
    #[derive(Session)]
    struct Name {
        name: Option<String>,
    }
    let handler = async |mut name: TypedSession<Name>, mut session: Visit| {
        name.reload().await?;
        session.remove_role();
        drop(session);
        name.set_name("Bob");
        Ok::<_, Error>(())
    };
    let layer = SessionLayer::new(HookedStore::with_hooks(MemoryStore::new(), ByName));
    let browser = Client::new(routes().route("/", get(handler)).layer(layer));
    browser.get("/in").await;
    assert_eq!(browser.get("/").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "Bob - false 40 []");
}

/// Saves that wait together are written together, and each hears what became of its own.
#[tokio::test]
async fn a_save_that_was_taken_along_hears_that_it_was_lost() {
    let (gate, store) = (Gate::new(), FaultStore::new(MemoryStore::new()));
    let (faults, inside) = (store.faults(), gate.clone());
    let handler = async move |first: Visit, second: Visit, third: Visit| {
        let save = |mut session: Visit, name: &'static str| {
            session.set_name(name);
            Box::pin(async move { session.save().await.map_err(|error| error.kind()) })
        };
        let [mut first, mut second, mut third] =
            [save(first, "first"), save(second, "second"), save(third, "third")];
        // The first is at the store; the others have staged, and wait.
        poll_fn(|context| {
            assert!(
                [&mut first, &mut second, &mut third]
                    .map(|save| save.as_mut().poll(context))
                    .iter()
                    .all(Poll::is_pending)
            );
            Poll::Ready(())
        })
        .await;
        inside.release();
        format!("{:?} {:?} {:?}", first.await, second.await, third.await)
    };
    let app = routes().route("/", get(handler));
    let browser = Client::new(app.layer(SessionLayer::new(store)));
    browser.get("/in").await;
    let there = gate.clone();
    faults.after(Operation::Commit, || async move { there.pass().await });
    faults.lose_request(Operation::Commit);
    assert_eq!(browser.get("/").await.text(), "Ok(()) Err(OutcomeUnknown) Err(OutcomeUnknown)");
}
