//! Values that are delivered once.

use http::StatusCode;

use super::{
    super::{Gate, Operation},
    environment::{TestEnvironment, at_once, record_of},
    handler::gated,
    reply::redirect,
};
use crate::{Session, TypedSession};

#[derive(Session)]
struct Notices {
    name: Option<String>,
    #[session(merge = "add")]
    hits: i64,
    #[flash]
    notice: Option<String>,
}

type Visit = TypedSession<Notices>;

async fn flash_saved(mut session: Visit) {
    session.flash_notice("saved");
}

async fn look(session: Visit) -> Option<String> {
    session.notice().map(str::to_owned)
}

async fn take(mut session: Visit) -> Option<String> {
    session.take_notice()
}

/// A flash is seen by the next request that takes it, and by no later one.
pub async fn a_flash_is_seen_once(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash_saved).await;
    assert_eq!(browser.visit(look).await.as_deref(), Some("saved"), "looking does not take it");
    assert_eq!(browser.visit(take).await.as_deref(), Some("saved"));
    assert_eq!(browser.visit(take).await, None);
    let id = record_of(&browser);
    assert!(!app.load(id, &["notice"]).await.expect("the record").fields.contains("notice"));
}

/// A flash of the visitor's session that follows on an ended one stays, though that is cleared.
pub async fn one_after_an_end_survives_a_clear(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let leave = async |mut session: Visit| {
        session.destroy();
        session.flash_notice("Bye");
        session.set_name("Bob");
        session.clear();
    };
    browser.visit(leave).await;
    assert_eq!(browser.visit(take).await.as_deref(), Some("Bye"));
    assert_eq!(browser.visit(async |session: Visit| session.name().map(str::to_owned)).await, None);
}

/// A flash for this request only is in no store, and leaves the stored one alone.
pub async fn one_for_now_is_never_stored(env: TestEnvironment) {
    async fn flash_here(mut session: Visit) -> Option<String> {
        session.flash_now_notice("here");
        session.notice().map(str::to_owned)
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.visit(flash_here).await.as_deref(), Some("here"));
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.visit(look).await, None);
    browser.visit(async |mut session: Visit| session.flash_notice("later")).await;
    assert_eq!(browser.visit(flash_here).await.as_deref(), Some("here"), "it shadows");
    assert_eq!(browser.visit(take).await.as_deref(), Some("later"), "and consumes nothing");
}

/// A request can undo its take, and can discard a flash undelivered.
pub async fn keep_and_discard(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash_saved).await;
    browser.visit(look).await;
    app.calls.clear();
    let take_and_keep = async |mut session: Visit| {
        session.take_notice();
        session.keep_notice();
    };
    browser.visit(take_and_keep).await;
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.visit(look).await.as_deref(), Some("saved"));
    browser.visit(async |mut session: Visit| session.discard_notice()).await;
    assert_eq!(browser.visit(take).await, None);
}

/// Requests that do not take a flash leave it where it is.
pub async fn an_unrelated_request_does_not_consume_it(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash_saved).await;
    browser.visit(async || ()).await;
    assert_eq!(browser.visit(async |session: Visit| session.name().map(str::to_owned)).await, None);
    browser.visit(async |mut session: Visit| session.set_name("Ada")).await;
    browser.visit(async |mut session: Visit| *session.hits_mut() += 1).await;
    browser.visit(async |session: Visit| session.rotate()).await;
    let fail = async |mut session: Visit| {
        session.set_name("x");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    assert_eq!(browser.send(fail).await.status(), 500);
    assert_eq!(browser.visit(take).await.as_deref(), Some("saved"));
}

/// A flash survives any number of redirects until a request takes it.
pub async fn a_flash_survives_redirects(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    let flash_and_redirect = async |mut session: Visit| {
        session.flash_notice("saved");
        redirect("/")
    };
    assert_eq!(browser.send(flash_and_redirect).await.status(), 303);
    assert_eq!(browser.send(async |_session: Visit| redirect("/")).await.status(), 303);
    assert_eq!(browser.visit(take).await.as_deref(), Some("saved"));
    assert_eq!(browser.visit(take).await, None);
}

/// A newer flash, even an equal one, survives a request that takes the older one meanwhile.
pub async fn a_newer_flash_is_not_lost(env: TestEnvironment) {
    let app = env.app().await;
    for newer in ["newer", "older"] {
        let (browser, gate) = (app.browser(), Gate::new());
        browser.visit(async |mut session: Visit| session.flash_notice("older")).await;
        let taking = tokio::spawn(browser.visit(gated(&gate, take)));
        gate.arrived().await;
        browser.visit(async move |mut session: Visit| session.flash_notice(newer)).await;
        gate.release();
        assert_eq!(taking.await.expect("an answer").as_deref(), Some("older"));
        assert_eq!(browser.visit(take).await.as_deref(), Some(newer));
    }
}

/// A flash that is taken and set again in one request is the new one for the next.
pub async fn take_and_set_again_is_the_new_one(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(async |mut session: Visit| session.flash_notice("older")).await;
    let take_and_set = async |mut session: Visit| {
        session.take_notice();
        session.flash_notice("newer");
    };
    browser.visit(take_and_set).await;
    assert_eq!(browser.visit(take).await.as_deref(), Some("newer"));
    browser.visit(async |mut session: Visit| session.flash_notice("first")).await;
    browser.visit(async |mut session: Visit| session.flash_notice("second")).await;
    assert_eq!(browser.visit(take).await.as_deref(), Some("second"), "a second one replaces an unread one");
}

/// A flash that is set and taken in one request is not stored.
pub async fn set_and_taken_in_one_request_costs_nothing(env: TestEnvironment) {
    async fn flash_and_take(mut session: Visit) -> Option<String> {
        session.flash_notice("x");
        session.take_notice()
    }
    let app = env.app().await;
    assert_eq!(app.browser().visit(flash_and_take).await.as_deref(), Some("x"));
    assert_eq!(app.calls(), []);
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.visit(flash_and_take).await.as_deref(), Some("x"));
    assert_eq!(app.calls.writes(), 0);
}

/// A take whose commit fails shows the flash again: delivery is at least once.
pub async fn a_failed_commit_shows_it_again(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(flash_saved).await;
    app.faults.fail(Operation::Commit, 1);
    assert_eq!(browser.send(async |mut session: Visit| drop(session.take_notice())).await.status(), 503);
    assert_eq!(browser.visit(take).await.as_deref(), Some("saved"));
}

/// Of many requests that take a flash at once, at least one sees it, and then it is gone.
pub async fn many_takers_leave_none(env: TestEnvironment) {
    let app = env.app().await;
    for _ in 0..20 {
        let browser = app.browser();
        browser.visit(flash_saved).await;
        let taken = at_once((0..8).map(|_| browser.visit(take))).await;
        assert!(taken.contains(&Some("saved".to_owned())));
        assert_eq!(browser.visit(take).await, None);
    }
}
