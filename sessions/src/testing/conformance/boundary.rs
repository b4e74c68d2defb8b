//! Where one user ends and the next begins: nothing crosses, whoever did what when, and in which view.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use http::{StatusCode, request::Parts};

use super::{
    super::{Client, Gate, Operation},
    contract::{TIMEOUTS, delta, json, random_credentials},
    environment::{TestApp, TestEnvironment, record_of, session},
    reply::{HandlerFailure, HandlerReply, status, text},
};
use crate::{
    Session, TypedSession,
    delta::Op,
    store::{Commit, CredentialsChange},
};

/// Somebody, with what they have.
#[derive(Session)]
struct Person {
    #[session(identity)]
    user: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(drop_on_login)]
    draft: Vec<String>,
    history: Vec<String>,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "add")]
    visits: u32,
    note: Option<String>,
}

/// Another idea of who is logged in.
#[derive(Session)]
struct Staff {
    #[session(identity)]
    admin: Option<String>,
}

/// A part that can fail.
#[derive(Session)]
struct Sample {
    sample: f64,
}

/// Another idea of what a role is.
#[derive(Session)]
struct Badge {
    #[session(keep_on_logout)]
    role: Option<String>,
}

/// Who leaves, with what cannot be seen of them here.
#[derive(Session)]
struct Leaving {
    #[session(identity)]
    user: Option<String>,
}

/// Two ideas of how long a theme lives.
#[derive(Session)]
struct Kept {
    #[session(keep_on_logout)]
    theme: Option<String>,
}

#[derive(Session)]
struct Dropped {
    #[session(drop_on_login)]
    theme: Option<String>,
}

// One arm for each thing a handler can do.
#[allow(clippy::too_many_lines)]
async fn answer(mut parts: Parts, gate: Gate) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let mut person: TypedSession<Person> = session(&mut parts).await?;
    match path.as_str() {
        "/read" => {
            let (user, role) = (person.user().unwrap_or("-"), person.role().unwrap_or("-"));
            let (draft, history) = (person.draft().join(","), person.history().join(","));
            let (best, visits, note) = (person.best(), person.visits(), person.note().unwrap_or("-"));
            return text(format!("{user} {role} [{draft}] [{history}] {best:?} {visits} {note}"));
        }
        "/visit" => {
            person.draft_mut().push("letter".to_owned());
            person.history_mut().push("home".to_owned());
            person.set_best(10);
            person.add_visits(40);
            person.set_note("hello");
        }
        "/ada" => person.set_user("ada"),
        "/ada-and-draft" => {
            person.set_user("ada");
            assert!(person.draft().is_empty());
            person.draft_mut().push("mine".to_owned());
        }
        "/bob" => {
            person.set_user("bob");
            assert!(person.history().is_empty() && person.best().is_none() && person.note().is_none());
            person.history_mut().push("x".to_owned());
            person.set_best(5);
            person.add_visits(1);
        }
        "/out" => {
            drop(person.take_user());
            assert!(person.note().is_none());
            person.history_mut().push("x".to_owned());
        }
        "/bob-and-fetch" => {
            person.set_user("bob");
            return text(person.fetch_add_visits(1).await?.to_string());
        }
        "/bob-beside" | "/bob-saved-beside" | "/clear-beside" => {
            let mut other: TypedSession<Person> = session(&mut parts).await?;
            assert_eq!(other.history(), ["home"]);
            if path == "/clear-beside" {
                person.clear();
            } else {
                person.set_user("bob");
            }
            if path == "/bob-saved-beside" {
                person.save().await?;
            }
            assert!(other.history().is_empty() && other.best().is_none());
            other.history_mut().push("x".to_owned());
            other.set_best(5);
        }
        "/ada-and-reset" => {
            person.set_user("ada");
            person.reset_draft();
            gate.pass().await;
        }
        "/out-beside-nan" | "/unrole-beside-nan" => {
            let mut other: TypedSession<Sample> = session(&mut parts).await?;
            other.set_sample(f64::NAN);
            if path == "/out-beside-nan" {
                person.remove_user();
            } else {
                person.remove_role();
            }
        }
        "/ada-and-count-and-fail" => {
            person.set_user("ada");
            person.fetch_add_visits(1).await?;
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "/older-and-saved-out" | "/older-and-saved-bob" => {
            let mut other: TypedSession<Person> = session(&mut parts).await?;
            other.set_note("ada's");
            other.set_role("admin");
            other.add_visits(1);
            if path == "/older-and-saved-out" {
                person.remove_user();
            } else {
                person.set_user("bob");
            }
            person.save().await?;
            drop(other);
        }
        "/set-then-fetch" => {
            let mut other: TypedSession<Person> = session(&mut parts).await?;
            other.set_visits(5);
            let sum = person.fetch_add_visits(1).await?;
            drop(other);
            return text(sum.to_string());
        }
        "/staff" => {
            drop(person);
            let mut staff: TypedSession<Staff> = session(&mut parts).await?;
            staff.set_admin("eve");
        }
        "/badge" => drop::<TypedSession<Badge>>(session(&mut parts).await?),
        "/ada-and-clear" => {
            person.set_user("ada");
            drop(person);
            let mut other: TypedSession<Person> = session(&mut parts).await?;
            other.clear();
            other.set_note("fresh");
        }
        "/fetch-and-role" => {
            person.fetch_add_visits(1).await?;
            person.set_role("member");
        }
        "/role" => person.set_role("admin"),
        "/wait-unrole-and-add" => {
            person.remove_role();
            person.add_visits(1);
            gate.pass().await;
        }
        "/ada-and-end" => {
            person.set_user("ada");
            begin(person.save()).await;
            gate.pass().await;
            person.destroy();
            gate.pass().await;
        }
        "/note-and-discard" => {
            person.set_note("not this");
            begin(person.save()).await;
            gate.pass().await;
            person.discard_changes();
            gate.pass().await;
        }
        "/fail" => {
            person.set_note("lost");
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        other => panic!("there is no `{other}`"),
    }
    text("done")
}

/// Polls once: what is begun goes on by itself.
async fn begin<T>(work: impl Future<Output = T>) {
    let mut work = Box::pin(work);
    poll_fn(|context| {
        drop(work.as_mut().poll(context));
        Poll::Ready(())
    })
    .await;
}

async fn app(env: &TestEnvironment) -> (TestApp, Gate) {
    let gate = Gate::new();
    let inside = gate.clone();
    (env.app_answering(move |parts| answer(parts, inside.clone())).await, gate)
}

const ADA: &str = "ada - [] [home] Some(10) 40 hello";

async fn ada(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.get("/visit").await;
    browser.get("/ada").await;
    assert_eq!(browser.get("/read").await.text(), ADA);
    app.calls.clear();
    browser
}

/// After a change of users a handle shows and changes what that left, and nothing of the one before.
pub async fn what_comes_after_a_change_of_users_begins_with_what_is_left(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for (path, seen) in [
        ("/bob", "bob - [] [x] Some(5) 1 -"),
        ("/out", "- - [] [x] None 0 -"),
        ("/staff", "- - [] [] None 0 -"),
        ("/bob-beside", "bob - [] [x] Some(5) 0 -"),
        ("/bob-saved-beside", "bob - [] [x] Some(5) 0 -"),
        ("/older-and-saved-out", "- - [] [] None 0 -"),
        ("/older-and-saved-bob", "bob - [] [] None 0 -"),
    ] {
        let browser = ada(&app).await;
        let response = browser.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{path}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
    }
    let browser = app.browser();
    browser.get("/visit").await;
    browser.get("/ada-and-draft").await;
    assert_eq!(browser.get("/read").await.text(), "ada - [mine] [home] Some(10) 40 hello");
}

/// So it is after a clear, for every handle.
pub async fn what_comes_after_a_clear_begins_with_nothing(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = ada(&app).await;
    assert_eq!(browser.get("/clear-beside").await.status(), 200);
    assert_eq!(browser.get("/read").await.text(), "- - [] [x] Some(5) 0 -");
}

/// What is the visitor's goes with a login, whatever the handler makes of what it saw of it.
pub async fn a_reset_beside_a_login_takes_what_came_meanwhile(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = app.browser();
    browser.get("/ada").await;
    browser.get("/out").await;
    let (tab, attacker) = (browser.fork(), browser.clone_jar());
    let login = tokio::spawn(async move { tab.get("/ada-and-reset").await });
    gate.arrived().await;
    assert_eq!(attacker.get("/visit").await.status(), 200);
    gate.release();
    assert_eq!(login.await.expect("an answer").status(), 200);
    let seen = browser.get("/read").await;
    assert!(seen.text().starts_with("ada - [] "), "{}", seen.text());
}

/// What one handle cannot store keeps nothing that another took away; nor does it, or a counter, let a failing
/// login through.
pub async fn what_fails_beside_it_undoes_no_logout_and_no_login_is_made(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for (path, seen) in [
        ("/out-beside-nan", "- - [] [] None 0 -"),
        ("/unrole-beside-nan", "ada - [] [home] Some(10) 40 hello"),
    ] {
        let browser = ada(&app).await;
        browser.get("/role").await;
        let stolen = browser.clone_jar();
        let response = browser.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1), "{path}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
        assert_eq!(stolen.get("/read").await.text(), "- - [] [] None 0 -", "{path}");
    }
    let browser = app.browser();
    browser.get("/visit").await;
    let response = browser.get("/ada-and-count-and-fail").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
    assert_eq!(browser.get("/read").await.text(), "- - [letter] [home] Some(10) 41 hello");
}

/// What was acknowledged stays, whatever else the request does.
pub async fn what_is_counted_after_a_change_of_users_is_the_next_ones(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = ada(&app).await;
    assert_eq!(browser.get("/bob-and-fetch").await.text(), "1");
    assert_eq!(browser.get("/read").await.text(), "bob - [] [] None 1 -");
    let browser = ada(&app).await;
    assert_eq!(browser.get("/set-then-fetch").await.text(), "41");
    assert!(browser.get("/read").await.text().contains(" 41 "));
}

/// What one view, or the record, calls a right is not carried by another.
pub async fn a_right_is_not_carried(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = ada(&app).await;
    browser.get("/role").await;
    assert_eq!(browser.get("/badge").await.status(), 500);
    assert!(app.events().concat().contains("Misconfigured"));
    // An instance that has met no view which calls it one.
    let other = env
        .app_answering(|mut parts| async move {
            drop::<TypedSession<Badge>>(session(&mut parts).await?);
            let mut leaving: TypedSession<Leaving> = session(&mut parts).await?;
            leaving.remove_user();
            text("done")
        })
        .await;
    assert_eq!(browser.at(&other.browser()).get("/").await.status(), 200);
    assert_eq!(app.stored(record_of(&browser), "role").await, None);
    assert_eq!(browser.get("/read").await.text(), "- - [] [] None 0 -");
}

/// Of two views of which one carries a field and the other has it end with a login, the stricter counts, and the other
/// is refused: whichever came first.
pub async fn of_two_views_the_stricter_counts(env: TestEnvironment) {
    let handler = |mut parts: Parts| async move {
        match parts.uri.path() {
            "/kept" => {
                let mut kept: TypedSession<Kept> = session(&mut parts).await?;
                kept.set_theme("dark");
                return text("done");
            }
            "/read" => {}
            "/login" => {
                let mut leaving: TypedSession<Leaving> = session(&mut parts).await?;
                leaving.set_user("ada");
            }
            "/both" => {
                let mut kept: TypedSession<Kept> = session(&mut parts).await?;
                kept.set_theme("dark");
                let mut dropped: TypedSession<Dropped> = session(&mut parts).await?;
                dropped.set_theme("light");
                let mut leaving: TypedSession<Leaving> = session(&mut parts).await?;
                leaving.set_user("ada");
            }
            other => panic!("there is no `{other}`"),
        }
        let dropped: TypedSession<Dropped> = session(&mut parts).await?;
        text(dropped.theme().unwrap_or("-"))
    };
    for steps in [
        &[("/kept", 200), ("/read", 200), ("/login", 200), ("/read", 200)][..],
        &[("/both", 200), ("/read", 200)],
        &[("/read", 200), ("/both", 500), ("/read", 200)],
    ] {
        let app = env.app_answering(handler).await;
        let browser = app.browser();
        let mut last = String::new();
        for (path, status) in steps {
            let response = browser.get(path).await;
            assert_eq!(response.status(), *status, "{path}");
            response.text().clone_into(&mut last);
        }
        assert_eq!(last, "-");
        app.events();
        assert_eq!(browser.get("/kept").await.status(), 500);
        let told = app.events().concat();
        assert!(told.contains("Misconfigured") && told.contains("`theme`"), "{told}");
    }
}

/// A login that the same request takes back is none: no new life, no new session, no cookie.
pub async fn a_login_that_was_cleared_is_none(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = app.browser();
    browser.get("/visit").await;
    browser.get("/read").await;
    let id = record_of(&browser);
    assert!(browser.get("/ada-and-clear").await.set_cookies().is_empty());
    assert_eq!(browser.get("/read").await.text(), "- - [] [] None 0 fresh");
    assert_eq!(app.load(id, &[]).await.expect("the record").epoch, 0);
    let old = browser.clone_jar();
    browser.get("/ada").await;
    let response = old.get("/ada-and-clear").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0));
}

/// A right that is granted beside something else in a session's first request is no first visit.
pub async fn a_right_granted_in_the_first_request_lasts(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let browser = app.browser();
    assert_eq!(browser.get("/fetch-and-role").await.status(), 200);
    env.clock.advance(Duration::from_mins(20));
    assert_eq!(browser.get("/read").await.text(), "- member [] [] None 1 -");
}

/// What cannot be stored beside it keeps no right that was taken away.
pub async fn a_right_that_was_taken_away_beside_what_cannot_be_stored(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = ada(&app).await;
    browser.get("/role").await;
    let (id, stolen, tab) = (record_of(&browser), browser.clone_jar(), browser.fork());
    let slow = tokio::spawn(async move { tab.get("/wait-unrole-and-add").await });
    gate.arrived().await;
    let epoch = app.load(id, &[]).await.expect("the record").epoch;
    let spoil = Commit::new(epoch, TIMEOUTS).with_delta(delta(&[("visits", Op::Put(json("\"x\"")))]));
    app.raw.commit(id, spoil).await.expect("an answer");
    gate.release();
    let response = slow.await.expect("an answer");
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(app.stored(id, "role").await, None);
    assert_eq!(stolen.get("/read").await.text(), "- - [] [] None 0 -");
}

/// A session that was ended while its login was on its way stays ended, though that login would have begun
/// another one.
pub async fn a_login_that_was_ended_begins_nothing(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = app.browser();
    browser.get("/visit").await;
    browser.get("/read").await;
    let (id, tab, raw) = (record_of(&browser), browser.fork(), Arc::clone(&app.raw));
    let held = Gate::new();
    let there = held.clone();
    app.calls.clear();
    app.faults.before(Operation::Commit, move || async move {
        let rotation = Commit::new(0, TIMEOUTS)
            .with_credentials_change(CredentialsChange::rotation(random_credentials()));
        raw.commit(id, rotation).await.expect("an answer");
        there.pass().await;
    });
    let request = tokio::spawn(async move { tab.get("/ada-and-end").await });
    held.arrived().await;
    gate.arrived().await;
    gate.release();
    // The handler has ended the session, and the save that it began is still at the store.
    gate.arrived().await;
    held.release();
    gate.release();
    request.await.expect("an answer");
    assert_eq!(app.calls.count(Operation::Create), 0);
    assert_eq!(browser.get("/read").await.text(), "- - [] [] None 0 -");
}

/// What a handler took back while it was being saved does not come back when that fails.
pub async fn what_was_taken_back_while_it_was_saved_is_not_tried_again(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = ada(&app).await;
    let tab = browser.fork();
    let held = app.faults.hold_and_fail(Operation::Commit);
    let request = tokio::spawn(async move { tab.get("/note-and-discard").await });
    held.arrived().await;
    gate.arrived().await;
    gate.release();
    gate.arrived().await;
    held.release();
    gate.release();
    request.await.expect("an answer");
    assert_eq!(browser.get("/read").await.text(), ADA);
}
