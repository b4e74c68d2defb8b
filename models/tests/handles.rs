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
enum HandlerStep {
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
enum HelperStep {
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

const STEPS: [HandlerStep; 9] = [
    HandlerStep::Nothing,
    HandlerStep::Note,
    HandlerStep::SaveNote,
    HandlerStep::Rotate,
    HandlerStep::Renew,
    HandlerStep::Revoke,
    HandlerStep::Destroy,
    HandlerStep::NoteAndFail,
    HandlerStep::RevokeAndFail,
];

const HELPER_STEPS: [HelperStep; 9] = [
    HelperStep::Set,
    HelperStep::Save,
    HelperStep::BeginToSave,
    HelperStep::SetAgain,
    HelperStep::Discard,
    HelperStep::SaveAndDiscard,
    HelperStep::Destroy,
    HelperStep::SetAndDestroy,
    HelperStep::Clear,
];

type Saved = Result<(), ErrorKind>;

/// What the tasks of a request observed.
#[derive(Clone, Debug, Default)]
struct Observed {
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

async fn assist(mut aside: TypedSession<Aside>, help: HelperStep, observed: Observed) {
    let note = |saved: Result<(), sessions::Error>| {
        *observed.saved.lock().unwrap() = Some(saved.map_err(|error| error.kind()));
    };
    if !matches!(help, HelperStep::Destroy | HelperStep::Clear) {
        aside.set_theme("dark");
    }
    match help {
        HelperStep::Set => {}
        HelperStep::Save => note(aside.save().await),
        HelperStep::BeginToSave => {
            if let Some(saved) = begin(aside.save()).await {
                note(saved);
            }
        }
        HelperStep::SetAgain => {
            let saved = begin(aside.save()).await;
            // Who has heard that the session is over and goes on begins another.
            if !matches!(saved, Some(Err(_))) {
                aside.set_theme("light");
            }
        }
        HelperStep::Discard => aside.discard_changes(),
        HelperStep::SaveAndDiscard => {
            note(aside.save().await);
            aside.discard_changes();
        }
        HelperStep::Destroy | HelperStep::SetAndDestroy => aside.destroy(),
        HelperStep::Clear => aside.clear(),
    }
}

fn handling(step: HandlerStep, help: HelperStep, observed: &Observed) -> Handler {
    let observed = observed.clone();
    Arc::new(move |mut parts| {
        let observed = observed.clone();
        Box::pin(async move {
            let account = TypedSession::<Account>::from_request_parts(&mut parts, &()).await;
            let aside = TypedSession::<Aside>::from_request_parts(&mut parts, &()).await;
            let (mut account, aside) = (account.expect("a session"), aside.expect("the same one"));
            assert!(account.record_id().is_some());
            tokio::spawn(assist(aside, help, observed.clone()));
            let mut status = StatusCode::OK;
            match step {
                HandlerStep::Nothing => {}
                HandlerStep::Note | HandlerStep::NoteAndFail => account.set_note("written"),
                HandlerStep::SaveNote => {
                    account.set_note("written");
                    if let Err(error) = account.save().await {
                        status = error.status();
                    }
                }
                HandlerStep::Rotate => account.rotate(),
                HandlerStep::Renew => account.renew(),
                HandlerStep::Revoke | HandlerStep::RevokeAndFail => account.remove_role(),
                HandlerStep::Destroy => account.destroy(),
            }
            observed.reached.set();
            drop(account);
            if matches!(step, HandlerStep::NoteAndFail | HandlerStep::RevokeAndFail) {
                status = StatusCode::INTERNAL_SERVER_ERROR;
            }
            let mut response = Response::new(String::new());
            *response.status_mut() = status;
            response
        })
    })
}

async fn check(step: HandlerStep, help: HelperStep, observed: &Observed, after: Aftermath) {
    let visited = observed.visited.lock().unwrap().clone();
    let saved = *observed.saved.lock().unwrap();
    let context = format!("{step:?}, {help:?}: {visited:?}, saved {saved:?}, unsaved {:?}", after.unsaved);
    let is_reached = observed.reached.is_set();
    let destroys = matches!(help, HelperStep::Destroy | HelperStep::SetAndDestroy);
    let is_destroyed = step == HandlerStep::Destroy && is_reached || destroys && is_reached;
    if destroys && !is_reached {
        // The client went away first. It is not noted if the other task came so far, too.
        return;
    }

    assert_eq!(
        after.is_there().await || help == HelperStep::Clear && after.stored("note").await.is_some(),
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
        if step == HandlerStep::Destroy && visited.is_some() {
            assert_eq!(given, &Given::Removal, "{context}");
        }
    } else {
        assert_ne!(given, &Given::Removal, "{context}");
    }

    let status = visited.as_ref().map(|visited| visited.status);
    let fails = matches!(step, HandlerStep::NoteAndFail | HandlerStep::RevokeAndFail);
    match status {
        Some(StatusCode::INTERNAL_SERVER_ERROR) => assert!(fails, "{context}"),
        Some(StatusCode::CONFLICT) => assert!(destroys, "{context}"),
        status => assert!(status.is_none_or(|status| status == StatusCode::OK), "{context}"),
    }
    let is_ok = status == Some(StatusCode::OK);

    if !is_destroyed {
        let note = after.stored("note").await.flatten();
        if matches!(step, HandlerStep::Note | HandlerStep::SaveNote) && is_ok && help != HelperStep::Clear {
            assert_eq!(note.as_deref(), Some(r#""written""#), "{context}");
        }
        // A save writes what other handles had staged by then, too.
        let saves = matches!(
            help,
            HelperStep::Save | HelperStep::BeginToSave | HelperStep::SetAgain | HelperStep::SaveAndDiscard
        );
        if step == HandlerStep::NoteAndFail && status.is_some() && !saves {
            assert_eq!(note, None, "{context}");
        }
        if matches!(step, HandlerStep::Revoke | HandlerStep::RevokeAndFail) && is_reached {
            assert_eq!(after.stored("role").await.flatten(), None, "{context}");
            assert!(old.is_none(), "a right on the old secret: {context}");
            assert!(status.is_none() || new.is_some(), "{context}");
        }
        if step == HandlerStep::Rotate && is_ok {
            assert!(old.is_none() && new.is_some(), "{context}");
        }
        if step == HandlerStep::Renew && is_ok && help != HelperStep::Clear {
            assert!(new.is_some(), "{context}");
        }
        let theme = after.stored("theme").await.flatten();
        let dark = Some(r#""dark""#);
        let is_reported = after.unsaved.iter().any(|field| field == "theme");
        match help {
            // Never dropped without a word.
            HelperStep::Set if is_ok => assert!((theme.as_deref() == dark) != is_reported, "{context}"),
            HelperStep::Set | HelperStep::BeginToSave | HelperStep::SetAgain | HelperStep::Clear => {}
            HelperStep::Save | HelperStep::SaveAndDiscard => {
                if is_reached {
                    let is_saved = saved.expect("it was awaited").is_ok();
                    assert_eq!(theme.as_deref() == dark, is_saved, "{context}");
                    assert!(is_saved || fails || status.is_none(), "{context}");
                }
            }
            HelperStep::Discard => assert!(theme.is_none() && !is_reported, "{context}"),
            HelperStep::Destroy | HelperStep::SetAndDestroy => {}
        }
        if help == HelperStep::BeginToSave && is_ok {
            assert_eq!(theme.as_deref(), dark, "begun, so finished: {context}");
        }
        if help == HelperStep::SetAgain && is_ok {
            let light = Some(r#""light""#);
            assert!(theme.as_deref() == light || theme.as_deref() == dark && is_reported, "{context}");
        }
    }
}

/// One request with these; its client may go away.
fn model(
    step: HandlerStep,
    help: HelperStep,
    distance: Distance,
    waits: Option<usize>,
) -> impl Fn() + Send + Sync + 'static {
    move || {
        block_on(async move {
            let site = Site::new(distance, Visitor::User).await;
            let observed = Observed::default();
            let (visit, visited) =
                (site.visit(handling(step, help, &observed)), Arc::clone(&observed.visited));
            tokio::spawn(async move {
                let answer = match waits {
                    Some(waits) => hung_up(visit, waits).await,
                    None => Some(visit.await),
                };
                *visited.lock().unwrap() = answer;
            });
            let after = site.close().await;
            check(step, help, &observed, after).await;
        });
    }
}

fn each() -> impl Iterator<Item = (HandlerStep, HelperStep)> {
    STEPS.into_iter().flat_map(|step| HELPER_STEPS.map(|help| (step, help)))
}

/// Two tasks that wait for the store in turn.
#[test]
fn two_handles_of_a_request() {
    for (step, help) in each() {
        checker::every(
            &format!("two_handles {step:?} {help:?}"),
            0,
            model(step, help, Distance::There, None),
        );
    }
}

/// Two threads that interrupt each other anywhere.
#[test]
fn two_handles_that_interrupt_each_other() {
    let most = if is_long() { 2 } else { 1 };
    for (step, help) in each() {
        checker::every(
            &format!("interrupted {step:?} {help:?}"),
            most,
            model(step, help, Distance::None, None),
        );
    }
}

/// The client goes away at any moment at which the request waits.
#[test]
fn a_client_that_goes_away() {
    for (step, help) in each() {
        for waits in 0..3 {
            let name = format!("gone {step:?} {help:?} {waits}");
            checker::every(&name, 0, model(step, help, Distance::There, Some(waits)));
        }
    }
}

/// All of it at random.
#[test]
fn two_handles_at_random() {
    checker::many("handles_at_random", || {
        let mut random = thread_rng();
        let (step, help) =
            (STEPS[random.gen_range(0..STEPS.len())], HELPER_STEPS[random.gen_range(0..HELPER_STEPS.len())]);
        let distance = [Distance::None, Distance::There, Distance::ThereAndBack][random.gen_range(0..3)];
        let waits = Some(random.gen_range(0..8)).filter(|waits| *waits < 4);
        model(step, help, distance, waits)();
    });
}
