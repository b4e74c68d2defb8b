//! The change from one user to the next: no data, right or late write of one reaches the other.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use http::{StatusCode, request::Parts};

use super::{
    super::{Client, Gate, Operation},
    contract::{TIMEOUTS, delta, json, random_credentials},
    environment::{TestApp, TestEnvironment, record_of, session},
    handler::{HandlerArguments, TestHandler},
    reply::{HandlerFailure, HandlerReply, IntoReply, text},
};
use crate::{
    Session, TypedSession,
    delta::Op,
    error::Error,
    store::{Commit, CredentialsChange},
};

/// A user and their data.
#[derive(Session)]
struct Possessions {
    #[session(identity)]
    user: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(drop_on_login)]
    #[session(merge = "last")]
    draft: Vec<String>,
    #[session(merge = "last")]
    history: Vec<String>,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "add")]
    visits: u32,
    note: Option<String>,
}

/// A view with another identity.
#[derive(Session)]
struct Staff {
    #[session(identity)]
    admin: Option<String>,
}

/// A view with a value that cannot be stored.
#[derive(Session)]
struct Sample {
    sample: f64,
}

/// A view that keeps the role on logout, and does not declare it a right.
#[derive(Session)]
struct Badge {
    #[session(keep_on_logout)]
    role: Option<String>,
}

/// A view of the user alone.
#[derive(Session)]
struct Leaving {
    #[session(identity)]
    user: Option<String>,
}

/// A view that keeps the theme on logout.
#[derive(Session)]
struct Kept {
    #[session(keep_on_logout)]
    theme: Option<String>,
}

/// A view that drops the theme on login.
#[derive(Session)]
struct Dropped {
    #[session(drop_on_login)]
    theme: Option<String>,
}

type Visit = TypedSession<Possessions>;

const ADA: &str = "ada - [] [home] Some(10) 40 hello";
const EMPTY: &str = "- - [] [] None 0 -";

async fn read(session: Visit) -> String {
    let (user, role) = (session.user().unwrap_or("-"), session.role().unwrap_or("-"));
    let (draft, history) = (session.draft().join(","), session.history().join(","));
    let (best, visits, note) = (session.best(), session.visits(), session.note().unwrap_or("-"));
    format!("{user} {role} [{draft}] [{history}] {best:?} {visits} {note}")
}

async fn fill(mut session: Visit) {
    session.draft_mut().push("letter".to_owned());
    session.history_mut().push("home".to_owned());
    session.set_best(10);
    session.add_visits(40);
    session.set_note("hello");
}

async fn log_in(mut session: Visit) {
    session.set_user("ada");
}

async fn log_out(mut session: Visit) {
    drop(session.take_user());
    assert!(session.note().is_none());
    session.history_mut().push("x".to_owned());
}

async fn grant(mut session: Visit) {
    session.set_role("admin");
}

/// Returns a browser in which Ada is logged in.
async fn ada(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.visit(fill).await;
    browser.visit(log_in).await;
    assert_eq!(browser.visit(read).await, ADA);
    app.calls.clear();
    browser
}

/// Asserts that a request of Ada's brings a new secret and leaves this in the session.
async fn leaves<A, H>(app: &TestApp, what: &str, handler: H, seen: &str)
where
    A: HandlerArguments,
    H: TestHandler<A, Output: IntoReply>,
{
    let browser = ada(app).await;
    let response = browser.send(handler).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what}");
    assert_eq!(browser.visit(read).await, seen, "{what}");
}

/// Starts a save, which then goes on by itself.
async fn begin<T>(work: impl Future<Output = T>) {
    let mut work = Box::pin(work);
    poll_fn(|context| {
        drop(work.as_mut().poll(context));
        Poll::Ready(())
    })
    .await;
}

/// After a change of users every handle shows and changes only what that change left.
pub async fn what_comes_after_a_change_of_users_begins_with_what_is_left(env: TestEnvironment) {
    let app = env.app().await;
    let log_in_bob = async |mut session: Visit| {
        session.set_user("bob");
        assert!(session.history().is_empty() && session.best().is_none() && session.note().is_none());
        session.history_mut().push("x".to_owned());
        session.set_best(5);
        session.add_visits(1);
    };
    leaves(&app, "another user", log_in_bob, "bob - [] [x] Some(5) 1 -").await;
    leaves(&app, "a logout", log_out, "- - [] [x] None 0 -").await;
    let log_in_staff = async |mut parts: Parts| {
        drop::<Visit>(session(&mut parts).await?);
        let mut staff: TypedSession<Staff> = session(&mut parts).await?;
        staff.set_admin("eve");
        text("done")
    };
    leaves(&app, "a user of another view", log_in_staff, EMPTY).await;
    for saves in [false, true] {
        let log_in_beside = async move |mut session: Visit, mut other: Visit| {
            assert_eq!(other.history(), ["home"]);
            session.set_user("bob");
            if saves {
                session.save().await?;
            }
            assert!(other.history().is_empty() && other.best().is_none());
            other.history_mut().push("x".to_owned());
            other.set_best(5);
            Ok::<_, Error>(())
        };
        let what = format!("a change beside another user, saved first: {saves}");
        leaves(&app, &what, log_in_beside, "bob - [] [x] Some(5) 0 -").await;
    }
    for (what, user, seen) in [
        ("a change before a saved logout", None, EMPTY),
        ("a change before another user is saved", Some("bob"), "bob - [] [] None 0 -"),
    ] {
        let change_and_save_user = async move |mut session: Visit, mut other: Visit| {
            other.set_note("ada's");
            other.set_role("admin");
            other.add_visits(1);
            match user {
                Some(user) => session.set_user(user),
                None => session.remove_user(),
            }
            session.save().await?;
            drop(other);
            Ok::<_, Error>(())
        };
        leaves(&app, what, change_and_save_user, seen).await;
    }
    let browser = app.browser();
    browser.visit(fill).await;
    let log_in_and_draft = async |mut session: Visit| {
        session.set_user("ada");
        assert!(session.draft().is_empty());
        session.draft_mut().push("mine".to_owned());
    };
    browser.visit(log_in_and_draft).await;
    assert_eq!(browser.visit(read).await, "ada - [mine] [home] Some(10) 40 hello");
}

/// After a clear every handle begins with an empty session.
pub async fn what_comes_after_a_clear_begins_with_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = ada(&app).await;
    let clear_beside = async |session: Visit, mut other: Visit| {
        assert_eq!(other.history(), ["home"]);
        session.clear();
        assert!(other.history().is_empty() && other.best().is_none());
        other.history_mut().push("x".to_owned());
        other.set_best(5);
    };
    browser.visit(clear_beside).await;
    assert_eq!(browser.visit(read).await, "- - [] [x] Some(5) 0 -");
}

/// A login that resets a field of the visitor's drops the values that came meanwhile, too.
pub async fn a_reset_beside_a_login_takes_what_came_meanwhile(env: TestEnvironment) {
    let app = env.app().await;
    let (browser, gate) = (app.browser(), Gate::new());
    browser.visit(log_in).await;
    browser.visit(log_out).await;
    let attacker = browser.clone_jar();
    let inside = gate.clone();
    let log_in_and_reset = async move |mut session: Visit| {
        session.set_user("ada");
        session.reset_draft();
        inside.pass().await;
    };
    let login = tokio::spawn(browser.visit(log_in_and_reset));
    gate.arrived().await;
    attacker.visit(fill).await;
    gate.release();
    login.await.expect("an answer");
    let seen = browser.visit(read).await;
    assert!(seen.starts_with("ada - [] "), "{seen}");
}

/// A value that cannot be stored undoes no removal beside it, and a failing request logs no user in.
pub async fn what_fails_beside_it_undoes_no_logout_and_no_login_is_made(env: TestEnvironment) {
    let app = env.app().await;
    for (what, logs_out, seen) in [("a logout", true, EMPTY), ("a removed right", false, ADA)] {
        let browser = ada(&app).await;
        browser.visit(grant).await;
        let stolen = browser.clone_jar();
        let remove_and_spoil = async move |mut session: Visit, mut other: TypedSession<Sample>| {
            other.set_sample(f64::NAN);
            if logs_out {
                session.remove_user();
            } else {
                session.remove_role();
            }
        };
        let response = browser.send(remove_and_spoil).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1), "{what}");
        assert_eq!(browser.visit(read).await, seen, "{what}");
        assert_eq!(stolen.visit(read).await, EMPTY, "{what}");
    }
    let browser = app.browser();
    browser.visit(fill).await;
    let log_in_and_count_and_fail = async |mut session: Visit| {
        session.set_user("ada");
        session.fetch_add_visits(1).await?;
        Ok::<_, Error>(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let response = browser.send(log_in_and_count_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
    assert_eq!(browser.visit(read).await, "- - [letter] [home] Some(10) 41 hello");
}

/// An acknowledged addition stays, and after a change of users it is the next user's.
pub async fn what_is_counted_after_a_change_of_users_is_the_next_ones(env: TestEnvironment) {
    let app = env.app().await;
    let browser = ada(&app).await;
    let log_in_and_count = async |mut session: Visit| {
        session.set_user("bob");
        session.fetch_add_visits(1).await
    };
    assert_eq!(browser.visit(log_in_and_count).await.expect("a sum"), 1);
    assert_eq!(browser.visit(read).await, "bob - [] [] None 1 -");
    let browser = ada(&app).await;
    let set_then_count = async |mut session: Visit, mut other: Visit| {
        other.set_visits(5);
        let sum = session.fetch_add_visits(1).await;
        drop(other);
        sum
    };
    assert_eq!(browser.visit(set_then_count).await.expect("a sum"), 41);
    assert!(browser.visit(read).await.contains(" 41 "));
}

/// A field that a view or the record calls a right is not kept on logout by another view.
pub async fn a_right_is_not_carried(env: TestEnvironment) {
    let app = env.app().await;
    let browser = ada(&app).await;
    browser.visit(grant).await;
    let take_badge = async |_session: Visit, _badge: TypedSession<Badge>| ();
    assert_eq!(browser.send(take_badge).await.status(), 500);
    assert!(app.events().concat().contains("Misconfigured"));
    // This instance has met no view that calls it a right.
    let other = env.app().await;
    let log_out_beside = async |mut parts: Parts| {
        drop::<TypedSession<Badge>>(session(&mut parts).await?);
        let mut leaving: TypedSession<Leaving> = session(&mut parts).await?;
        leaving.remove_user();
        text("done")
    };
    assert_eq!(browser.at(&other.browser()).send(log_out_beside).await.status(), 200);
    assert_eq!(app.stored(record_of(&browser), "role").await, None);
    assert_eq!(browser.visit(read).await, EMPTY);
}

/// If one view keeps a field and another drops it, the field is dropped, in either order.
pub async fn of_two_views_the_stricter_counts(env: TestEnvironment) {
    async fn keep(mut session: TypedSession<Kept>) {
        session.set_theme("dark");
    }
    async fn theme(session: TypedSession<Dropped>) -> String {
        session.theme().unwrap_or("-").to_owned()
    }
    let log_in = async |mut parts: Parts| {
        let mut leaving: TypedSession<Leaving> = session(&mut parts).await?;
        leaving.set_user("ada");
        let dropped: TypedSession<Dropped> = session(&mut parts).await?;
        text(dropped.theme().unwrap_or("-"))
    };
    let keep_and_drop = async |mut parts: Parts| {
        let mut kept: TypedSession<Kept> = session(&mut parts).await?;
        kept.set_theme("dark");
        let mut dropped: TypedSession<Dropped> = session(&mut parts).await?;
        dropped.set_theme("light");
        let mut leaving: TypedSession<Leaving> = session(&mut parts).await?;
        leaving.set_user("ada");
        let dropped: TypedSession<Dropped> = session(&mut parts).await?;
        text(dropped.theme().unwrap_or("-"))
    };
    let apps = [env.app().await, env.app().await, env.app().await];
    let [in_turn, at_once, dropped_first] = apps.each_ref().map(TestApp::browser);
    in_turn.visit(keep).await;
    in_turn.visit(theme).await;
    assert_eq!(in_turn.send(log_in).await.status(), 200);
    assert_eq!(at_once.send(keep_and_drop).await.status(), 200);
    dropped_first.visit(theme).await;
    assert_eq!(dropped_first.send(keep_and_drop).await.status(), 500);
    for (app, browser) in apps.iter().zip([in_turn, at_once, dropped_first]) {
        assert_eq!(browser.visit(theme).await, "-");
        app.events();
        assert_eq!(browser.send(keep).await.status(), 500);
        let told = app.events().concat();
        assert!(told.contains("Misconfigured") && told.contains("`theme`"), "{told}");
    }
}

/// A login that the same request clears is no login: it brings no new secret and no new session.
pub async fn a_login_that_was_cleared_is_none(env: TestEnvironment) {
    async fn log_in_and_clear(mut parts: Parts) -> Result<HandlerReply, HandlerFailure> {
        let mut first: Visit = session(&mut parts).await?;
        first.set_user("ada");
        drop(first);
        let mut second: Visit = session(&mut parts).await?;
        second.clear();
        second.set_note("fresh");
        text("done")
    }
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(fill).await;
    browser.visit(read).await;
    let id = record_of(&browser);
    assert!(browser.send(log_in_and_clear).await.set_cookies().is_empty());
    assert_eq!(browser.visit(read).await, "- - [] [] None 0 fresh");
    assert_eq!(app.load(id, &[]).await.expect("the record").epoch, 0);
    let old = browser.clone_jar();
    browser.visit(log_in).await;
    let response = old.send(log_in_and_clear).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (409, 0));
}

/// A right beside another write in a session's first request keeps the session past the first visit.
pub async fn a_right_granted_in_the_first_request_lasts(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let browser = app.browser();
    let count_and_grant = async |mut session: Visit| {
        session.fetch_add_visits(1).await?;
        session.set_role("member");
        Ok::<_, Error>(())
    };
    assert_eq!(browser.send(count_and_grant).await.status(), 200);
    env.clock.advance(Duration::from_mins(20));
    assert_eq!(browser.visit(read).await, "- member [] [] None 1 -");
}

/// A counter that cannot be written beside a removed right does not keep the right.
pub async fn a_right_that_was_taken_away_beside_what_cannot_be_stored(env: TestEnvironment) {
    let (app, gate) = (env.app().await, Gate::new());
    let browser = ada(&app).await;
    browser.visit(grant).await;
    let (id, stolen) = (record_of(&browser), browser.clone_jar());
    let inside = gate.clone();
    let revoke_and_add = async move |mut session: Visit| {
        session.remove_role();
        session.add_visits(1);
        inside.pass().await;
    };
    let slow = tokio::spawn(browser.send(revoke_and_add));
    gate.arrived().await;
    let epoch = app.load(id, &[]).await.expect("the record").epoch;
    let spoil = Commit::new(epoch, TIMEOUTS).with_delta(delta(&[("visits", Op::Put(json("\"x\"")))]));
    app.raw.commit(id, spoil).await.expect("an answer");
    gate.release();
    let response = slow.await.expect("an answer");
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(app.stored(id, "role").await, None);
    assert_eq!(stolen.visit(read).await, EMPTY);
}

/// A session that is destroyed while its login is saved stays destroyed, and no other one begins.
pub async fn a_login_that_was_ended_begins_nothing(env: TestEnvironment) {
    let (app, gate) = (env.app().await, Gate::new());
    let browser = app.browser();
    browser.visit(fill).await;
    browser.visit(read).await;
    let (id, raw) = (record_of(&browser), Arc::clone(&app.raw));
    let held = Gate::new();
    let there = held.clone();
    app.calls.clear();
    app.faults.before(Operation::Commit, move || async move {
        let rotation = Commit::new(0, TIMEOUTS)
            .with_credentials_change(CredentialsChange::rotation(random_credentials()));
        raw.commit(id, rotation).await.expect("an answer");
        there.pass().await;
    });
    let inside = gate.clone();
    let log_in_and_destroy = async move |mut session: Visit| {
        session.set_user("ada");
        begin(session.save()).await;
        inside.pass().await;
        session.destroy();
        inside.pass().await;
    };
    let request = tokio::spawn(browser.send(log_in_and_destroy));
    held.arrived().await;
    gate.arrived().await;
    gate.release();
    // The handler has destroyed the session, and the save that it began is still at the store.
    gate.arrived().await;
    held.release();
    gate.release();
    request.await.expect("an answer");
    assert_eq!(app.calls.count(Operation::Create), 0);
    assert_eq!(browser.visit(read).await, EMPTY);
}

/// A change that its handler discards while it is saved is not tried again when the save fails.
pub async fn what_was_taken_back_while_it_was_saved_is_not_tried_again(env: TestEnvironment) {
    let (app, gate) = (env.app().await, Gate::new());
    let browser = ada(&app).await;
    let held = app.faults.hold_and_fail(Operation::Commit);
    let inside = gate.clone();
    let write_and_discard = async move |mut session: Visit| {
        session.set_note("not this");
        begin(session.save()).await;
        inside.pass().await;
        session.discard_changes();
        inside.pass().await;
    };
    let request = tokio::spawn(browser.send(write_and_discard));
    held.arrived().await;
    gate.arrived().await;
    gate.release();
    gate.arrived().await;
    held.release();
    gate.release();
    request.await.expect("an answer");
    assert_eq!(browser.visit(read).await, ADA);
}
