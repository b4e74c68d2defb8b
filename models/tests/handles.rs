//! Several handles of one request, on threads of their own, while its response is on its way.

mod checker;
mod site;

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use axum_core::extract::FromRequestParts;
use http::{Response, StatusCode};
use sessions::{ErrorKind, TypedSession};
use shuttle::{
    future::block_on,
    rand::{Rng, thread_rng},
};

use self::{
    checker::is_long,
    site::{Account, Aftermath, Aside, Distance, Given, Handler, Mark, Site, Visited, Visitor, hung_up},
};

/// What the handler does before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    Note,
    SaveNote,
    Rotate,
    Renew,
    Revoke,
    Destroy,
    /// With a server error.
    NoteAndFail,
    RevokeAndFail,
}

/// What another task of the same request does with a handle of its own meanwhile, and afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aid {
    /// Sets a field and drops the handle.
    Set,
    /// Sets it and saves.
    Save,
    /// Sets it, begins to save, gives that up, and drops the handle.
    BeginToSave,
    /// Sets it, begins to save, sets it again and drops the handle.
    SetAgain,
    /// Sets it and takes that back.
    Discard,
    /// Sets it, saves, and takes back what is not saved.
    SaveAndDiscard,
    Destroy,
    /// Sets it and ends the session.
    SetAndDestroy,
    Clear,
}

const DEEDS: [Deed; 9] = [
    Deed::Nothing,
    Deed::Note,
    Deed::SaveNote,
    Deed::Rotate,
    Deed::Renew,
    Deed::Revoke,
    Deed::Destroy,
    Deed::NoteAndFail,
    Deed::RevokeAndFail,
];

const AIDS: [Aid; 9] = [
    Aid::Set,
    Aid::Save,
    Aid::BeginToSave,
    Aid::SetAgain,
    Aid::Discard,
    Aid::SaveAndDiscard,
    Aid::Destroy,
    Aid::SetAndDestroy,
    Aid::Clear,
];

type Saved = Result<(), ErrorKind>;

/// What was told to whom.
#[derive(Clone, Debug, Default)]
struct Told {
    reached: Mark,
    /// What became of the other task's save, if it waited for it.
    saved: Arc<Mutex<Option<Saved>>>,
    visited: Arc<Mutex<Option<Visited>>>,
}

/// Polls a future once.
async fn begin<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    match first {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn help(mut aside: TypedSession<Aside>, aid: Aid, told: Told) {
    let note = |saved: Result<(), sessions::Error>| {
        *told.saved.lock().unwrap() = Some(saved.map_err(|error| error.kind()));
    };
    if !matches!(aid, Aid::Destroy | Aid::Clear) {
        aside.set_theme("dark");
    }
    match aid {
        Aid::Set => {}
        Aid::Save => note(aside.save().await),
        Aid::BeginToSave => {
            if let Some(saved) = begin(aside.save()).await {
                note(saved);
            }
        }
        Aid::SetAgain => {
            let saved = begin(aside.save()).await;
            // Who has heard that the session is over and goes on begins another.
            if !matches!(saved, Some(Err(_))) {
                aside.set_theme("light");
            }
        }
        Aid::Discard => aside.discard_changes(),
        Aid::SaveAndDiscard => {
            note(aside.save().await);
            aside.discard_changes();
        }
        Aid::Destroy | Aid::SetAndDestroy => aside.destroy(),
        Aid::Clear => aside.clear(),
    }
}

fn handling(deed: Deed, aid: Aid, told: &Told) -> Handler {
    let told = told.clone();
    Arc::new(move |mut parts| {
        let told = told.clone();
        Box::pin(async move {
            let account = TypedSession::<Account>::from_request_parts(&mut parts, &()).await;
            let aside = TypedSession::<Aside>::from_request_parts(&mut parts, &()).await;
            let (mut account, aside) = (account.expect("a session"), aside.expect("the same one"));
            assert!(account.record_id().is_some());
            tokio::spawn(help(aside, aid, told.clone()));
            let mut status = StatusCode::OK;
            match deed {
                Deed::Nothing => {}
                Deed::Note | Deed::NoteAndFail => account.set_note("written"),
                Deed::SaveNote => {
                    account.set_note("written");
                    if let Err(error) = account.save().await {
                        status = error.status();
                    }
                }
                Deed::Rotate => account.rotate(),
                Deed::Renew => account.renew(),
                Deed::Revoke | Deed::RevokeAndFail => account.remove_role(),
                Deed::Destroy => account.destroy(),
            }
            told.reached.set();
            drop(account);
            if matches!(deed, Deed::NoteAndFail | Deed::RevokeAndFail) {
                status = StatusCode::INTERNAL_SERVER_ERROR;
            }
            let mut response = Response::new(String::new());
            *response.status_mut() = status;
            response
        })
    })
}

async fn check(deed: Deed, aid: Aid, told: &Told, after: Aftermath) {
    let visited = told.visited.lock().unwrap().clone();
    let saved = *told.saved.lock().unwrap();
    let context = format!("{deed:?}, {aid:?}: {visited:?}, saved {saved:?}, unsaved {:?}", after.unsaved);
    let is_reached = told.reached.is_set();
    let destroys = matches!(aid, Aid::Destroy | Aid::SetAndDestroy);
    let is_destroyed = deed == Deed::Destroy && is_reached || destroys && is_reached;
    if destroys && !is_reached {
        // The client went away first. Whether the other task came so far, too, nobody has noted.
        return;
    }

    assert_eq!(
        after.is_there().await || aid == Aid::Clear && after.stored("note").await.is_some(),
        !is_destroyed,
        "{context}"
    );
    let old = after.look(&after.cookie).await;
    let given = visited.as_ref().map_or(&Given::Nothing, |visited| &visited.given);
    let new = match given {
        Given::Cookie(cookie) => after.look(cookie).await,
        Given::Nothing | Given::Removal => None,
    };
    if is_destroyed {
        assert!(old.is_none() && new.is_none(), "{context}");
        if deed == Deed::Destroy && visited.is_some() {
            assert_eq!(given, &Given::Removal, "{context}");
        }
    } else {
        assert_ne!(given, &Given::Removal, "{context}");
    }

    let status = visited.as_ref().map(|visited| visited.status);
    let fails = matches!(deed, Deed::NoteAndFail | Deed::RevokeAndFail);
    match status {
        Some(StatusCode::INTERNAL_SERVER_ERROR) => assert!(fails, "{context}"),
        Some(StatusCode::CONFLICT) => assert!(destroys, "{context}"),
        status => assert!(status.is_none_or(|status| status == StatusCode::OK), "{context}"),
    }
    let is_ok = status == Some(StatusCode::OK);

    if !is_destroyed {
        let note = after.stored("note").await.flatten();
        if matches!(deed, Deed::Note | Deed::SaveNote) && is_ok && aid != Aid::Clear {
            assert_eq!(note.as_deref(), Some(r#""written""#), "{context}");
        }
        // A save writes what other handles had staged by then, too.
        let saves = matches!(aid, Aid::Save | Aid::BeginToSave | Aid::SetAgain | Aid::SaveAndDiscard);
        if deed == Deed::NoteAndFail && status.is_some() && !saves {
            assert_eq!(note, None, "{context}");
        }
        if matches!(deed, Deed::Revoke | Deed::RevokeAndFail) && is_reached {
            assert_eq!(after.stored("role").await.flatten(), None, "{context}");
            assert!(old.is_none(), "a right on the old secret: {context}");
            assert!(status.is_none() || new.is_some(), "{context}");
        }
        if deed == Deed::Rotate && is_ok {
            assert!(old.is_none() && new.is_some(), "{context}");
        }
        if deed == Deed::Renew && is_ok && aid != Aid::Clear {
            assert!(new.is_some(), "{context}");
        }
        let theme = after.stored("theme").await.flatten();
        let dark = Some(r#""dark""#);
        let is_reported = after.unsaved.iter().any(|field| field == "theme");
        match aid {
            // Never dropped without a word.
            Aid::Set if is_ok => assert!((theme.as_deref() == dark) != is_reported, "{context}"),
            Aid::Set | Aid::BeginToSave | Aid::SetAgain | Aid::Clear => {}
            Aid::Save | Aid::SaveAndDiscard => {
                if is_reached {
                    let is_saved = saved.expect("it was awaited").is_ok();
                    assert_eq!(theme.as_deref() == dark, is_saved, "{context}");
                    assert!(is_saved || fails || status.is_none(), "{context}");
                }
            }
            Aid::Discard => assert!(theme.is_none() && !is_reported, "{context}"),
            Aid::Destroy | Aid::SetAndDestroy => {}
        }
        if aid == Aid::BeginToSave && is_ok {
            assert_eq!(theme.as_deref(), dark, "begun, so finished: {context}");
        }
        if aid == Aid::SetAgain && is_ok {
            let light = Some(r#""light""#);
            assert!(theme.as_deref() == light || theme.as_deref() == dark && is_reported, "{context}");
        }
    }
}

/// One request with these; its client may go away.
fn model(
    deed: Deed,
    aid: Aid,
    distance: Distance,
    waits: Option<usize>,
) -> impl Fn() + Send + Sync + 'static {
    move || {
        block_on(async move {
            let site = Site::new(distance, Visitor::User).await;
            let told = Told::default();
            let (visit, visited) = (site.visit(handling(deed, aid, &told)), Arc::clone(&told.visited));
            tokio::spawn(async move {
                let answer = match waits {
                    Some(waits) => hung_up(visit, waits).await,
                    None => Some(visit.await),
                };
                *visited.lock().unwrap() = answer;
            });
            let after = site.close().await;
            check(deed, aid, &told, after).await;
        });
    }
}

fn each() -> impl Iterator<Item = (Deed, Aid)> {
    DEEDS.into_iter().flat_map(|deed| AIDS.map(|aid| (deed, aid)))
}

/// Two tasks that wait for the store in turn.
#[test]
fn two_handles_of_a_request() {
    for (deed, aid) in each() {
        checker::every(&format!("two_handles {deed:?} {aid:?}"), 0, model(deed, aid, Distance::There, None));
    }
}

/// Two threads that interrupt each other anywhere.
#[test]
fn two_handles_that_interrupt_each_other() {
    let most = if is_long() { 2 } else { 1 };
    for (deed, aid) in each() {
        checker::every(
            &format!("interrupted {deed:?} {aid:?}"),
            most,
            model(deed, aid, Distance::None, None),
        );
    }
}

/// The client goes away at any moment at which the request waits.
#[test]
fn a_client_that_goes_away() {
    for (deed, aid) in each() {
        for waits in 0..3 {
            let name = format!("gone {deed:?} {aid:?} {waits}");
            checker::every(&name, 0, model(deed, aid, Distance::There, Some(waits)));
        }
    }
}

/// All of it at random.
#[test]
fn two_handles_at_random() {
    checker::many("handles_at_random", || {
        let mut random = thread_rng();
        let (deed, aid) = (DEEDS[random.gen_range(0..DEEDS.len())], AIDS[random.gen_range(0..AIDS.len())]);
        let distance = [Distance::None, Distance::There, Distance::ThereAndBack][random.gen_range(0..3)];
        let waits = Some(random.gen_range(0..8)).filter(|waits| *waits < 4);
        model(deed, aid, distance, waits)();
    });
}
