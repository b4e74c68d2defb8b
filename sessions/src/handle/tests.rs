//! Handles that outlive their response, as sockets do.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, routing::get};

use super::Handle;
use crate::{
    __private::FromRequestParts,
    Session, SessionLayer, TypedSession,
    rejection::SessionRejection,
    store::MemoryStore,
    testing::{Client, FaultStore, Faults, Operation},
};

#[derive(Session)]
struct Page {
    name: Option<String>,
    #[session(merge = "last")]
    tags: Vec<String>,
    #[session(merge = "add")]
    hits: u64,
    #[flash]
    notice: Option<String>,
}

type Socket = TypedSession<Page>;

/// Two handles of a request whose response head has left, with what is around them.
struct Lent<H> {
    one: H,
    other: H,
    /// The events of the layer since then.
    events: Arc<Mutex<Vec<String>>>,
    faults: Faults,
    browser: Client,
}

/// Lends the handles of a session that the route `/begin` begins.
async fn lent<H>(routes: Router) -> Lent<H>
where
    H: FromRequestParts<(), Rejection = SessionRejection> + Send + 'static,
{
    let held = Arc::<Mutex<Option<(H, H)>>>::default();
    let keeps = Arc::clone(&held);
    let open = async move |one: H, other: H| {
        *keeps.lock().unwrap_or_else(PoisonError::into_inner) = Some((one, other));
    };
    let events = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&events);
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::new(store).with_event_hook(move |event| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}"));
    });
    let browser = Client::new(routes.route("/open", get(open)).layer(layer));
    browser.get("/begin").await;
    browser.get("/open").await;
    let (one, other) = held.lock().unwrap_or_else(PoisonError::into_inner).take().expect("two handles");
    events.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Lent { one, other, events, faults, browser }
}

async fn sockets() -> (Socket, Socket, Arc<Mutex<Vec<String>>>, Faults) {
    let begin = async |mut session: Socket| session.set_name("Ada");
    let Lent { one, other, events, faults, .. } = lent(Router::new().route("/begin", get(begin))).await;
    (one, other, events, faults)
}

fn length(handle: &Handle) -> usize {
    handle.first.length()
}

/// A socket that clears, saves, discards, reads and ends for each message of its client, a million times in
/// all, takes no more room than for the first, and goes when it is dropped.
#[tokio::test]
async fn a_socket_of_a_million_calls_stays_small() {
    let (socket, _other, _events, _faults) = sockets().await;
    socket.clear();
    socket.save().await.expect("a save");
    for round in 0..300_000 {
        socket.clear();
        socket.discard_changes();
        if round % 10 == 0 {
            socket.save().await.expect("a save");
        }
        assert!(socket.name().is_none() && socket.tags().is_empty());
    }
    assert!(length(&socket) <= 2, "{}", length(&socket));
    assert!(socket.slot.size() <= 20, "{}", socket.slot.size());
    for _ in 0..300_000 {
        socket.destroy();
        assert_eq!(socket.hits(), 0);
    }
    assert!(length(&socket) <= 2, "{}", length(&socket));
    assert!(socket.slot.size() <= 20, "{}", socket.slot.size());
    let socket = &mut { socket };
    socket.set_name("Bea");
    assert_eq!((socket.name(), length(socket)), (Some("Bea"), 1));
}

/// As above, where each message changes something and the saves fail.
#[tokio::test]
async fn a_socket_whose_saves_fail_stays_small() {
    let (mut socket, _other, _events, faults) = sockets().await;
    faults.fail(Operation::Commit, 1000);
    for round in 0..1000 {
        socket.set_name(round.to_string());
        assert_eq!(socket.tags(), [""; 0]);
        assert!(socket.save().await.is_err());
        assert_eq!(socket.name(), Some(round.to_string().as_str()));
    }
    assert!(length(&socket) <= 2, "{}", length(&socket));
    socket.save().await.expect("the store is back");
}

/// A hundred thousand failed saves of one handle leave no more than a few.
#[tokio::test]
async fn failed_saves_are_not_remembered_for_ever() {
    let (mut socket, _other, _events, faults) = sockets().await;
    for round in 0..100_000_i64 {
        faults.fail(Operation::Commit, 1);
        socket.set_name(round.to_string());
        socket.add_hits(1);
        assert!(socket.save().await.is_err());
        let size = socket.slot.size();
        assert!(size <= 20, "{size} after {round}");
    }
}

/// References that getters have lent out stay, whatever is saved, cleared and ended meanwhile.
#[tokio::test]
async fn what_was_lent_out_stays() {
    let (mut socket, _other, _events, _faults) = sockets().await;
    socket.set_tags(vec!["red".to_owned()]);
    let (name, tags) = (socket.name(), socket.tags());
    socket.save().await.expect("a save");
    socket.clear();
    let none = socket.tags();
    socket.discard_changes();
    let back = socket.tags();
    socket.destroy();
    assert_eq!((name, tags), (Some("Ada"), &["red".to_owned()][..]));
    assert_eq!((none, back), (&[][..], tags));
    assert!(socket.tags().is_empty() && socket.name().is_none());
}

/// A handle that is only read, while another one goes on changing what it shows, runs out of room: it then
/// shows nothing, says so once, and shows everything again when it is borrowed mutably.
#[tokio::test]
async fn a_handle_that_is_only_read_is_bounded() {
    let (mut socket, mut reader, events, _faults) = sockets().await;
    for round in 0..100 {
        socket.set_name(round.to_string());
        socket.save().await.expect("a save");
        reader.discard_changes();
        let is_shown = reader.name() == Some(round.to_string().as_str());
        assert_eq!(is_shown, round < 62, "{:?}", reader.name());
        assert!(is_shown || reader.name().is_none());
    }
    assert_eq!((reader.name(), length(&reader)), (None, 64));
    let closed = |event: &&String| event.contains("HandleClosed");
    assert_eq!(events.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(closed).count(), 1);
    reader.add_hits(1);
    assert_eq!((reader.name(), reader.hits(), length(&reader)), (Some("99"), 1, 1));
}

#[derive(Session)]
struct OldUser {
    #[session(identity)]
    id: Option<u64>,
}

#[derive(Session)]
struct Rights {
    #[session(identity)]
    id: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(privilege)]
    level: u32,
    note: Option<String>,
    #[session(merge = "add")]
    hits: u64,
}

async fn show(rights: TypedSession<Rights>) -> String {
    format!("{} {} {}", rights.id().unwrap_or("-"), rights.role().unwrap_or("-"), rights.level())
}

/// A login where the stored login cannot be read is complete after a save.
#[tokio::test]
async fn who_logs_in_over_what_cannot_be_read_is_logged_in_after_a_save() {
    let store = Arc::new(MemoryStore::new());
    let old = Router::new()
        .route("/old", get(async |mut user: TypedSession<OldUser>| user.set_id(7_u64)))
        .layer(SessionLayer::new(Arc::clone(&store)));
    let login = async |mut rights: TypedSession<Rights>| {
        rights.set_id("ada");
        rights.save().await.expect("a save");
        let is_proved = rights.authenticated_at().is_some();
        rights.set_role("admin");
        rights.save().await.expect("a save");
        format!("{is_proved} {} {}", rights.id().unwrap_or("-"), rights.role().unwrap_or("-"))
    };
    let new = Router::new()
        .route("/in", get(login))
        .route("/show", get(show))
        .layer(SessionLayer::new(Arc::clone(&store)));
    let browser = Client::new(old.merge(new));
    browser.get("/old").await;
    assert_eq!(browser.get("/show").await.text(), "- - 0");
    let text = browser.get("/in").await.text().to_owned();
    let shown = browser.get("/show").await.text().to_owned();
    assert_eq!((&*text, &*shown), ("true ada admin", "ada admin 0"));
}

async fn logged_in() -> Lent<TypedSession<Rights>> {
    let begin = async |mut rights: TypedSession<Rights>| {
        rights.set_id("ada");
        rights.set_role("admin");
        rights.set_level(3_u32);
    };
    lent(Router::new().route("/begin", get(begin)).route("/show", get(show))).await
}

/// A save that waits hears that another handle's save took its removal along and lost it.
#[tokio::test]
async fn a_save_hears_of_a_removal_that_another_handles_save_lost() {
    let Lent { mut one, mut other, events, faults, browser } = logged_in().await;
    other.set_note("first");
    let gate = faults.hold(Operation::Commit);
    faults.lose_request(Operation::Commit);
    let other = Arc::new(other);
    let spawn = |handle: &Arc<TypedSession<Rights>>| {
        let handle = Arc::clone(handle);
        tokio::spawn(async move { handle.save().await })
    };
    let first = spawn(&other);
    gate.arrived().await;
    let second = spawn(&other);
    tokio::task::yield_now().await;
    one.remove_role();
    let one = Arc::new(one);
    let removing = spawn(&one);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    gate.release();
    let (first, second) = (first.await.expect("no panic"), second.await.expect("no panic"));
    let removing = removing.await.expect("no panic");
    let shown = browser.get("/show").await.text().to_owned();
    assert_eq!(events.lock().unwrap_or_else(PoisonError::into_inner).len(), 1, "{events:?}");
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert!(removing.is_err() || shown == "ada - 3", "{shown}");
}

/// A right that is taken away again and again while the store is away takes no more room.
#[tokio::test]
async fn removals_that_fail_stay_small() {
    for clears in [false, true] {
        let Lent { mut one, other: _other, faults, browser: _browser, .. } = logged_in().await;
        let mut size = 0;
        for _ in 0..300 {
            faults.fail(Operation::Load, 1);
            if clears {
                one.set_note("a");
                one.clear();
            } else {
                one.remove_role();
                one.set_level(0_u32);
            }
            assert!(one.save().await.is_err());
            size = one.slot.size();
        }
        faults.clear();
        one.save().await.expect("the store is back");
        assert!(size <= 20, "{size} {clears}");
    }
}

/// A change that waits unsaved while another field is counted at once goes with a panic.
#[tokio::test]
async fn what_waits_beside_a_count_goes_with_a_panic() {
    let half = async |mut rights: TypedSession<Rights>| {
        let broken = tokio::spawn(async move {
            rights.set_id("ada");
            rights.fetch_add_hits(1).await.expect("a sum");
            assert!(rights.id().is_none(), "as the test wants it");
        });
        broken.await.expect_err("a panic");
        http::StatusCode::INTERNAL_SERVER_ERROR
    };
    let layer = SessionLayer::new(MemoryStore::new()).with_on_server_error(crate::OnServerError::Commit);
    let app = Router::new().route("/half", get(half)).route("/show", get(show));
    let browser = Client::new(app.layer(layer));
    let status = browser.get("/half").await.status();
    let shown = browser.get("/show").await.text().to_owned();
    assert_eq!((status.as_u16(), &*shown), (500, "- - 0"));
}

/// A change that no save was asked for is reported, though another field was counted at once meanwhile.
#[tokio::test]
async fn what_waits_beside_a_count_is_reported() {
    let Lent { mut one, other: _other, events, browser: _browser, .. } = logged_in().await;
    one.set_note("unsaved");
    one.reload().await.expect("a reload");
    one.fetch_add_hits(1).await.expect("a sum");
    drop(one);
    let events = events.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
    assert!(events.contains("UnsavedChanges"), "{events}");
}

/// A login that another request overtakes takes away what it took away.
#[tokio::test]
async fn a_login_that_is_overtaken_takes_away_what_it_took_away() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let begin = async |mut rights: TypedSession<Rights>| rights.set_role("guest");
    let raise = async |mut rights: TypedSession<Rights>| rights.set_level(2_u32);
    let login = async |mut rights: TypedSession<Rights>| {
        rights.remove_role();
        rights.set_id("ada");
    };
    let app = Router::new()
        .route("/begin", get(begin))
        .route("/raise", get(raise))
        .route("/in", get(login))
        .route("/show", get(show))
        .layer(SessionLayer::new(store));
    let browser = Client::new(app);
    browser.get("/begin").await;
    let (tab, other) = (browser.clone_jar(), browser.clone_jar());
    let gate = faults.hold(Operation::Commit);
    let slow = tokio::spawn(async move {
        let status = tab.get("/in").await.status();
        (tab.get("/show").await.text().to_owned(), status.as_u16())
    });
    gate.arrived().await;
    other.get("/raise").await;
    assert_eq!(other.get("/show").await.text(), "- guest 2");
    gate.release();
    assert_eq!(slow.await.expect("no panic"), ("ada - 0".to_owned(), 200));
    assert_eq!(other.get("/show").await.text(), "- - 2");
}

/// A session that is ended just when the last commit of its request is stopped is ended all the same.
#[tokio::test]
async fn an_end_beside_a_commit_that_is_stopped_is_not_lost() {
    let held = Arc::<Mutex<Option<Socket>>>::default();
    let keeps = Arc::clone(&held);
    let begin = async |mut session: Socket| session.set_name("Ada");
    let wait = async move |session: Socket| {
        *keeps.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        std::future::pending::<()>().await;
    };
    let read = async |session: Socket| session.name().unwrap_or("-").to_owned();
    let layer = SessionLayer::new(MemoryStore::new());
    let app = Router::new().route("/begin", get(begin)).route("/wait", get(wait)).route("/read", get(read));
    let browser = Client::new(app.layer(layer.clone()));
    browser.get("/begin").await;
    let (waiting, other) = (browser.clone_jar(), browser.clone_jar());
    let request = tokio::spawn(async move { waiting.get("/wait").await.status() });
    let socket = loop {
        if let Some(socket) = held.lock().unwrap_or_else(PoisonError::into_inner).take() {
            break socket;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(other.get("/read").await.text(), "Ada");
    // As when it comes after the commit was refused to go on, and before it is stopped.
    socket.destroy();
    socket.slot.end_without_response();
    layer.drain().await;
    assert_eq!(other.get("/read").await.text(), "-");
    request.abort();
}

#[cfg(feature = "keys")]
mod sealed {
    use super::*;
    use crate::{
        KeyRing,
        delta::Op,
        store::{Commit, Store},
    };

    #[derive(Session)]
    struct Vault {
        #[session(identity, secret)]
        id: Option<String>,
        #[session(privilege)]
        role: Option<String>,
    }

    #[derive(Session)]
    struct Roles {
        #[session(privilege)]
        role: Option<String>,
    }

    #[tokio::test]
    async fn a_second_view_is_refused_as_the_first_was() {
        let store = Arc::new(MemoryStore::new());
        let login = async |mut vault: TypedSession<Vault>| {
            vault.set_id("ada");
            vault.set_role("admin");
            vault.save().await.expect("a save");
            vault.record_id().expect("a record").to_string()
        };
        let both = async |first: Result<TypedSession<Roles>, crate::SessionRejection>,
                          second: Result<TypedSession<Roles>, crate::SessionRejection>| {
            let shown = |view: Result<TypedSession<Roles>, crate::SessionRejection>| match view {
                Ok(view) => view.role().unwrap_or("-").to_owned(),
                Err(_) => "refused".to_owned(),
            };
            format!("{} {}", shown(first), shown(second))
        };
        let keys = KeyRing::new(crate::Key::generate().expect("random bytes"));
        let layer = SessionLayer::new(Arc::clone(&store)).with_keys(keys);
        let app = Router::new().route("/in", get(login)).route("/both", get(both)).layer(layer);
        let (ada, bea) = (Client::new(app.clone()), Client::new(app));
        let (one, two) = (ada.get("/in").await.text().to_owned(), bea.get("/in").await.text().to_owned());
        let (one, two) = (one.parse().expect("an id"), two.parse().expect("an id"));
        let names = [crate::FieldName::from("id")];
        let foreign = store
            .load(two, &names)
            .await
            .expect("an answer")
            .expect("a record")
            .fields
            .get("id")
            .cloned()
            .expect("a field");
        let loaded = store.load(one, &[]).await.expect("an answer").expect("a record");
        let mut delta = crate::delta::Delta::new();
        delta.force("id".into(), Op::Put(foreign));
        let commit = Commit::new(loaded.epoch, crate::Timeouts::default()).with_delta(delta);
        store.commit(one, commit).await.expect("an answer");
        assert_eq!(ada.get("/both").await.text(), "refused refused");
    }
}
