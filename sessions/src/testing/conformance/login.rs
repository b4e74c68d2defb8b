//! Logins and logouts one after the other: what they keep, what they prove, and how long they last.

use std::time::Duration;

use http::StatusCode;

use super::{
    super::{Gate, Operation},
    environment::{TestEnvironment, record_of},
    handler::{Case, case, gated},
    reply::redirect,
    shopper::{
        ShopperStep, Visit, browse, destroy, is_user, login, login_forgotten, logout, logout_and_login, note,
        note_and_login, read, rotate, user, visitor,
    },
};
use crate::{Session, Timeouts, TypedSession};

/// A view of the same session that declares no rights.
#[derive(Session)]
struct RightlessShopper {
    user: Option<String>,
    role: Option<String>,
    note: Option<String>,
}

type RightlessVisit = TypedSession<RightlessShopper>;

/// Each step of a session's life is an event, which names the record and nothing else.
pub async fn the_life_of_a_session_is_told(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    app.events();
    browser.visit(browse).await;
    let id = record_of(&browser).to_string();
    let steps = |steps: &[&str]| {
        let told = app.events();
        assert_eq!(told.len(), steps.len(), "{told:?}");
        for (told, step) in told.iter().zip(steps) {
            assert!(told.starts_with(step) && told.contains(&id), "{told} is no {step}");
        }
        told.concat()
    };
    steps(&["Created"]);
    browser.visit(read).await;
    steps(&[]);
    browser.send(login("Ada")).await;
    assert!(steps(&["Rotated"]).contains("cause: Login"));
    browser.visit(rotate).await;
    assert!(steps(&["Rotated"]).contains("cause: Other"));
    let gate = Gate::new();
    let slow = tokio::spawn(browser.send(gated(&gate, note)));
    gate.arrived().await;
    browser.visit(logout).await;
    assert!(steps(&["Rotated"]).contains("cause: Logout"));
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    steps(&["Conflict"]);
    browser.visit(destroy).await;
    steps(&["Destroyed"]);
    let newcomer = app.browser();
    newcomer.send(login("Ada")).await;
    let told = app.events().concat();
    assert!(told.starts_with("Created") && told.contains("is_login: true"), "{told}");
}

/// A login drops only what is marked, and a logout keeps only what is marked, each with a new secret in one commit.
pub async fn a_login_and_a_logout_keep_what_they_should(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    let (id, visitors) = (record_of(&browser), browser.clone_jar());
    assert_eq!(browser.send(login("ada")).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, "ada - pen - hello");
    assert_eq!(visitors.visit(read).await, "- -  - -");
    assert_eq!(app.stored(id, "draft").await, None);
    let users = browser.clone_jar();
    assert_eq!(browser.send(logout).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, "- - pen - -");
    assert_eq!(users.visit(read).await, "- -  - -");
    assert_eq!((app.stored(id, "note").await, app.stored(id, "user").await), (None, None));
    assert_eq!((record_of(&browser), app.calls.count(Operation::Commit)), (id, 2));
}

/// A second user gets nothing of the first one's session, except what belongs to the browser.
pub async fn a_change_of_users_leaves_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let login_and_note = async |mut shopper: Visit| {
        shopper.set_user("bob");
        shopper.set_note("after");
    };
    for (what, handler, seen) in [
        ("a login", login("bob"), "bob - pen - -"),
        ("a note and a login", note_and_login("bob"), "bob - pen - -"),
        ("a login and a note", case(login_and_note), "bob - pen - after"),
        ("a logout and a login", logout_and_login("bob"), "bob - pen - -"),
        ("a logout and a login of one user", logout_and_login("ada"), "ada - pen - -"),
    ] {
        let browser = user(&app, "ada").await;
        let users = browser.clone_jar();
        assert_eq!(browser.send(handler).await.set_cookies().len(), 1, "{what}");
        assert_eq!(browser.visit(read).await, seen, "{what}");
        assert_eq!(users.visit(read).await, "- -  - -", "{what}");
    }
}

/// A second login of one user changes the secret, and keeps everything.
pub async fn a_second_login_of_one_user_keeps_everything(env: TestEnvironment) {
    let app = env.app().await;
    let browser = user(&app, "ada").await;
    let users = browser.clone_jar();
    assert_eq!(browser.send(login("ada")).await.set_cookies().len(), 1);
    assert_eq!(browser.visit(read).await, "ada admin pen new hello");
    assert_eq!(users.visit(read).await, "- -  - -");
}

/// A refused request drops its login and what followed it, and keeps earlier changes, logouts and saves.
pub async fn a_refused_login_is_none(env: TestEnvironment) {
    fn refuse(user: &'static str) -> Case<Visit> {
        case(async move |mut shopper: Visit| {
            shopper.set_note("before");
            shopper.set_user(user);
            shopper.set_note("after");
            shopper.cart_mut().push("ink".to_owned());
            StatusCode::FORBIDDEN
        })
    }
    fn login_logout_and_refuse(user: &'static str) -> Case<Visit> {
        case(async move |mut shopper: Visit| {
            shopper.set_user(user);
            shopper.set_note("after");
            shopper.remove_user();
            StatusCode::NOT_FOUND
        })
    }
    let app = env.app().await;
    let browser = visitor(&app).await;
    app.events();
    let response = browser.send(refuse("ada")).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (403, 0));
    assert_eq!(browser.visit(read).await, "- - pen letter before");
    let told = app.events().concat();
    assert!(told.contains("GrantDropped") && told.contains("user"), "{told}");
    let logout_login_and_refuse = async |mut shopper: Visit| {
        shopper.remove_user();
        shopper.cart_mut().push("ink".to_owned());
        shopper.set_user("bob");
        shopper.cart_mut().push("axe".to_owned());
        StatusCode::CONFLICT
    };
    let save_and_refuse = async |mut shopper: Visit| {
        shopper.set_user("bob");
        shopper.save().await.map(|()| StatusCode::FORBIDDEN)
    };
    let login_and_redirect = async |mut shopper: Visit| {
        shopper.set_user("bob");
        redirect("/read")
    };
    for (what, handler, seen, cookies) in [
        ("another user", refuse("bob"), "ada admin pen new before", 0),
        ("the same user", refuse("ada"), "ada admin pen new before", 0),
        ("a logout and a login", case(logout_login_and_refuse), "- - pen,ink - -", 1),
        ("a login and a logout", login_logout_and_refuse("bob"), "- - pen - -", 1),
        ("a saved login", case(save_and_refuse), "bob - pen - -", 1),
        ("a redirect", case(login_and_redirect), "bob - pen - -", 1),
    ] {
        let browser = user(&app, "ada").await;
        assert_eq!(browser.send(handler).await.set_cookies().len(), cookies, "{what}");
        assert_eq!(browser.visit(read).await, seen, "{what}");
    }
    let stranger = app.browser();
    assert_eq!(stranger.send(refuse("ada")).await.set_cookies().len(), 1);
    assert_eq!(stranger.visit(read).await, "- -  - before");
    assert_eq!(app.browser().send(login_logout_and_refuse("ada")).await.set_cookies().len(), 0);
}

/// A login that the request has ended or replaced is no longer a recent one, for each handle of the request.
pub async fn a_login_that_the_request_has_ended_proves_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let changes: [(&str, ShopperStep); 5] = [
        ("remove", |shopper| shopper.remove_user()),
        ("take", |shopper| drop(shopper.take_user())),
        ("switch", |shopper| shopper.set_user("eve")),
        ("clear", |shopper| shopper.clear()),
        ("destroy", |shopper| shopper.destroy()),
    ];
    for (what, change) in changes {
        let browser = user(&app, "ada").await;
        let change_beside = async move |mut shopper: Visit, mut other: Visit| {
            assert!(other.was_authenticated_within(Duration::from_hours(1)));
            change(&mut shopper);
            assert!(!other.was_authenticated_within(Duration::from_hours(1)), "{what}");
            other.cart_mut();
        };
        browser.visit(change_beside).await;
    }
}

/// A view that declares no rights changes none, once another view or the record says that they are rights.
pub async fn a_view_that_knows_no_rights_changes_none_by_accident(env: TestEnvironment) {
    async fn set_role(mut shopper: RightlessVisit) {
        shopper.set_role("admin");
    }
    async fn clear(shopper: RightlessVisit) {
        shopper.clear();
    }
    let app = env.app().await;
    let browser = user(&app, "ada").await;
    for (what, handler) in [("a right", case(set_role)), ("a clear", case(clear))] {
        assert_eq!(browser.send(handler).await.status(), 500, "{what}");
    }
    assert_eq!(browser.visit(read).await, "ada admin pen new hello");
    // Another instance has met no other view yet: what the record says of its rights counts.
    for (what, handler, seen) in
        [("a right", case(set_role), "ada - pen new hello"), ("a clear", case(clear), "- -  - -")]
    {
        let browser = user(&app, "ada").await;
        let (users, other) = (browser.clone_jar(), env.app().await);
        assert_eq!(browser.at(&other.browser()).send(handler).await.set_cookies().len(), 1, "{what}");
        assert_eq!(users.visit(read).await, "- -  - -", "{what}");
        assert_eq!(browser.visit(read).await, seen, "{what}");
    }
}

/// A login restarts the absolute time of a session; no other rotation does.
pub async fn a_login_restarts_the_absolute_clock(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let hour = Duration::from_hours(1);
    let app = env.app_with(|layer| layer.with_timeouts(Timeouts::new(2 * hour, 3 * hour))).await;
    let browser = visitor(&app).await;
    env.clock.advance(2 * hour);
    browser.visit(rotate).await;
    assert_eq!(browser.send(login("ada")).await.set_cookies().len(), 1);
    for _ in 0..2 {
        env.clock.advance(hour + hour / 4);
        assert!(is_user(&browser, "ada").await);
        // Neither a second proof nor a rotation restarts it.
        browser.send(login("ada")).await;
        browser.visit(rotate).await;
    }
    env.clock.advance(hour / 2);
    assert_eq!(browser.visit(read).await, "- -  - -");
}

/// The time of the last login is known, and only a login renews it.
pub async fn a_proof_is_as_old_as_it_is(env: TestEnvironment) {
    /// Returns true if a login is known, and true if it is at most a minute old.
    async fn proof(shopper: Visit) -> (bool, bool) {
        let is_known = shopper.authenticated_at().is_some();
        (is_known, shopper.was_authenticated_within(Duration::from_mins(1)))
    }
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let browser = visitor(&app).await;
    assert_eq!(browser.visit(proof).await, (false, false));
    browser.send(login("ada")).await;
    env.clock.advance(Duration::from_secs(50));
    assert_eq!(browser.visit(proof).await, (true, true));
    browser.visit(rotate).await;
    env.clock.advance(Duration::from_secs(50));
    assert_eq!(browser.visit(proof).await, (true, false), "a rotation proves nothing");
    browser.send(login("ada")).await;
    assert_eq!(browser.visit(proof).await, (true, true));
    env.clock.advance(Duration::from_secs(70));
    assert_eq!(browser.visit(proof).await, (true, false));
    browser.visit(logout).await;
    assert_eq!(browser.visit(proof).await, (false, false));
}

/// A cookie that the browser is not to keep ends with it, and so do the cookies that replace it.
pub async fn who_is_not_remembered_is_forgotten_with_the_browser(env: TestEnvironment) {
    let app = env.app().await;
    let browser = visitor(&app).await;
    assert!(browser.send(rotate).await.set_cookies()[0].contains("Max-Age="), "by default it is kept");
    for (what, handler) in
        [("a login", login_forgotten("ada")), ("a rotation", case(rotate)), ("a second login", login("ada"))]
    {
        let cookies = browser.send(handler).await.set_cookies();
        assert!(!cookies[0].contains("Max-Age") && !cookies[0].contains("Expires"), "{what}: {cookies:?}");
    }
    assert!(is_user(&browser, "ada").await);
    browser.restart();
    assert!(is_user(&browser, "-").await);
}

/// A visitor has an hour to come back, and one who has come back or has a right has longer.
pub async fn a_visitor_who_never_comes_back_is_forgotten(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let (gone, back, known) = (app.browser(), app.browser(), app.browser());
    gone.visit(browse).await;
    back.visit(browse).await;
    known.send(login("ada")).await;
    env.clock.advance(Duration::from_mins(45));
    assert_eq!(back.visit(read).await, "- - pen letter hello", "a sign-in elsewhere takes that long");
    let writes = app.calls.writes();
    back.visit(read).await;
    assert_eq!(app.calls.writes(), writes, "it is noted once");
    env.clock.advance(Duration::from_mins(16));
    assert_eq!(gone.visit(read).await, "- -  - -");
    assert_eq!(back.visit(read).await, "- - pen letter hello");
    assert!(is_user(&known, "ada").await);
    app.raw.purge(Timeouts::default(), 100).await.expect("a number");
    assert_eq!(back.visit(read).await, "- - pen letter hello");
    assert!(is_user(&known, "ada").await);
}
