//! Values that are delivered once.

use super::{
    super::Operation,
    rig::{Rig, at_once, record_of},
};

/// A flash is seen by the next request that takes it, and by no later one.
pub async fn a_flash_is_seen_once(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    browser.get("/flash/saved").await;
    assert_eq!(browser.get("/notice").await.text(), "saved", "looking does not take it");
    assert_eq!(browser.get("/take-notice").await.text(), "saved");
    assert_eq!(browser.get("/take-notice").await.text(), "-");
    let id = record_of(&browser);
    assert!(!app.load(id, &["notice"]).await.expect("the record").fields.contains("notice"));
}

/// One for this request only is in no store, and leaves the stored one alone.
pub async fn one_for_now_is_never_stored(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.get("/now/here").await.text(), "here");
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.get("/notice").await.text(), "-");
    browser.get("/flash/later").await;
    assert_eq!(browser.get("/now/here").await.text(), "here", "it shadows");
    assert_eq!(browser.get("/take-notice").await.text(), "later", "and consumes nothing");
}

/// A take can be undone, and a flash can go undelivered.
pub async fn keep_and_discard(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    browser.get("/flash/saved").await;
    browser.get("/notice").await;
    app.calls.clear();
    browser.get("/keep-notice").await;
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.get("/notice").await.text(), "saved");
    browser.get("/discard-notice").await;
    assert_eq!(browser.get("/take-notice").await.text(), "-");
}

/// Requests that do not take it leave it where it is.
pub async fn an_unrelated_request_does_not_consume_it(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    browser.get("/flash/saved").await;
    for path in ["/nothing", "/name", "/set-name/Ada", "/hit", "/rotate", "/set-name-and-fail/x"] {
        browser.get(path).await;
    }
    assert_eq!(browser.get("/take-notice").await.text(), "saved");
}

/// It survives any number of redirects until it is taken.
pub async fn a_flash_survives_redirects(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    let response = browser.get("/flash-and-redirect/saved").await;
    assert_eq!(response.status(), 303);
    let response = browser.follow(response).await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "saved"));
    assert_eq!(browser.get("/take-notice").await.text(), "-");
}

/// A newer flash that comes while the older one is taken is not lost, nor is an equal one.
pub async fn a_newer_flash_is_not_lost(rig: Rig) {
    let app = rig.kit().await;
    for newer in ["newer", "older"] {
        let browser = app.browser();
        browser.get("/flash/older").await;
        let tab = browser.fork();
        let taking = tokio::spawn(async move { tab.get("/wait/take-notice").await });
        app.gate.arrived().await;
        browser.get(&format!("/flash/{newer}")).await;
        app.gate.release();
        assert_eq!(taking.await.expect("an answer").text(), "older");
        assert_eq!(browser.get("/take-notice").await.text(), newer);
    }
}

/// A flash taken and set again in one request is the new one for the next.
pub async fn take_and_set_again_is_the_new_one(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    browser.get("/flash/older").await;
    browser.get("/take-and-set-notice/newer").await;
    assert_eq!(browser.get("/take-notice").await.text(), "newer");
    browser.get("/flash/first").await;
    browser.get("/flash/second").await;
    assert_eq!(browser.get("/take-notice").await.text(), "second", "a second one replaces an unread one");
}

/// One that is set and taken in one request is nothing to store.
pub async fn set_and_taken_in_one_request_costs_nothing(rig: Rig) {
    let app = rig.kit().await;
    assert_eq!(app.browser().get("/flash-and-take/x").await.text(), "x");
    assert_eq!(app.calls(), []);
    let browser = app.visitor("Ada").await;
    assert_eq!(browser.get("/flash-and-take/x").await.text(), "x");
    assert_eq!(app.calls.writes(), 0);
}

/// A take whose commit fails shows the flash again: at least once, never not at all.
pub async fn a_failed_commit_shows_it_again(rig: Rig) {
    let app = rig.kit().await;
    let browser = app.browser();
    browser.get("/flash/saved").await;
    app.faults.fail(Operation::Commit, 1);
    assert_eq!(browser.get("/take-notice").await.status(), 503);
    assert_eq!(browser.get("/take-notice").await.text(), "saved");
}

/// Many takers at once: at least one sees it, and then it is gone.
pub async fn many_takers_leave_none(rig: Rig) {
    let app = rig.kit().await;
    for _ in 0..20 {
        let browser = app.browser();
        browser.get("/flash/saved").await;
        let tabs = (0..8).map(|_| {
            let tab = browser.fork();
            async move { tab.get("/take-notice").await.text().to_owned() }
        });
        assert!(at_once(tabs).await.contains(&"saved".to_owned()));
        assert_eq!(browser.get("/take-notice").await.text(), "-");
    }
}
