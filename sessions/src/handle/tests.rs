//! Handles that outlive their response, as sockets do.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, routing::get};

use super::Handle;
use crate::{
    Session, SessionLayer, TypedSession,
    store::MemoryStore,
    testing::{Client, FaultStore, Faults, Operation},
};

#[derive(Session)]
struct Page {
    name: Option<String>,
    tags: Vec<String>,
    #[session(merge = "add")]
    hits: u64,
    #[flash]
    notice: Option<String>,
}

type Socket = TypedSession<Page>;

/// Two handles of a request whose response head has left, its layer's events and its store's faults.
async fn sockets() -> (Socket, Socket, Arc<Mutex<Vec<String>>>, Faults) {
    let held = Arc::<Mutex<Option<(Socket, Socket)>>>::default();
    let keeps = Arc::clone(&held);
    let begin = async |mut session: Socket| session.set_name("Ada");
    let open = async move |one: Socket, other: Socket| {
        *keeps.lock().unwrap_or_else(PoisonError::into_inner) = Some((one, other));
    };
    let events = Arc::<Mutex<Vec<String>>>::default();
    let heard = Arc::clone(&events);
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let layer = SessionLayer::new(store).with_event_hook(move |event| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}"));
    });
    let browser =
        Client::new(Router::new().route("/begin", get(begin)).route("/open", get(open)).layer(layer));
    browser.get("/begin").await;
    browser.get("/open").await;
    let (one, other) = held.lock().unwrap_or_else(PoisonError::into_inner).take().expect("two handles");
    events.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
    for _ in 0..300_000 {
        socket.destroy();
        assert_eq!(socket.hits(), 0);
    }
    assert!(length(&socket) <= 2, "{}", length(&socket));
    let socket = &mut { socket };
    socket.set_name("Bea");
    assert_eq!((socket.name(), length(socket)), (Some("Bea"), 1));
}

/// The same where each message changes something and the saves fail.
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

/// What getters have lent out stays, whatever is saved, cleared and ended meanwhile.
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
