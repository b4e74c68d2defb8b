//! Who is logged in: what a login keeps, what a logout leaves, and two of them at once.

use std::{sync::Arc, time::Duration};

use http::{StatusCode, request::Parts};
use tokio::sync::Barrier;

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestApp, TestEnvironment, at_once, record_of, session},
    reply::{HandlerFailure, HandlerReply, redirect, status, text},
};
use crate::{ErrorKind, Session, SessionLayer, Timeouts, TypedSession};

/// Somebody, or nobody.
#[derive(Session)]
struct Shopper {
    #[session(identity)]
    user: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(keep_on_logout)]
    cart: Vec<String>,
    #[session(drop_on_login)]
    draft: Option<String>,
    note: Option<String>,
    #[flash]
    bye: Option<String>,
}

/// A part of the program that knows of no rights.
#[derive(Session)]
struct Guest {
    user: Option<String>,
    role: Option<String>,
    note: Option<String>,
}

// One arm for each thing a handler can do.
#[allow(clippy::too_many_lines)]
async fn answer(mut parts: Parts, gate: Gate, barrier: Arc<Barrier>) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    if let Some(path) = path.strip_prefix("/guest") {
        let mut guest: TypedSession<Guest> = session(&mut parts).await?;
        match path {
            "/role" => guest.set_role("admin"),
            "/clear" => guest.clear(),
            other => panic!("there is no `{other}`"),
        }
        return text("done");
    }
    let mut shopper: TypedSession<Shopper> = session(&mut parts).await?;
    let path = match (path.strip_prefix("/wait"), path.strip_prefix("/meet")) {
        (Some(path), _) => {
            gate.pass().await;
            path
        }
        (_, Some(path)) => {
            barrier.wait().await;
            path
        }
        _ => &path,
    };
    let (command, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    match command {
        "read" => {
            let user = shopper.user().unwrap_or("-").to_owned();
            let role = shopper.role().unwrap_or("-");
            let (cart, draft) = (shopper.cart().join(","), shopper.draft().unwrap_or("-"));
            return text(format!("{user} {role} {cart} {draft} {}", shopper.note().unwrap_or("-")));
        }
        "visit" => {
            shopper.cart_mut().push("pen".to_owned());
            shopper.set_draft("letter");
            shopper.set_note("hello");
        }
        "visit-for-an-hour" => {
            stay_for_an_hour(&shopper);
            shopper.set_note("hello");
        }
        "visit-ticked-and-save" | "ticked-save-and-login" => {
            shopper.remember(true);
            shopper.set_note("hello");
            shopper.save().await?;
            if command == "ticked-save-and-login" {
                shopper.set_user(argument);
            }
        }
        "visit-ticked" => {
            shopper.remember(true);
            shopper.set_note("hello");
        }
        "login" => shopper.set_user(argument),
        "login-with-role" => {
            shopper.set_user(argument);
            shopper.set_role("admin");
            shopper.set_draft("new");
        }
        "login-and-fail" => {
            shopper.set_user(argument);
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "switch" => {
            shopper.set_note("before");
            shopper.set_user(argument);
        }
        "switch-and-note" => {
            shopper.set_user(argument);
            shopper.set_note("after");
        }
        "out-and-in" => {
            shopper.remove_user();
            shopper.set_user(argument);
        }
        "refuse" => {
            shopper.set_note("before");
            shopper.set_user(argument);
            shopper.set_note("after");
            shopper.cart_mut().push("ink".to_owned());
            return status(StatusCode::FORBIDDEN);
        }
        "out-in-and-refuse" => {
            shopper.remove_user();
            shopper.cart_mut().push("ink".to_owned());
            shopper.set_user(argument);
            shopper.cart_mut().push("axe".to_owned());
            return status(StatusCode::CONFLICT);
        }
        "in-out-and-refuse" => {
            shopper.set_user(argument);
            shopper.set_note("after");
            shopper.remove_user();
            return status(StatusCode::NOT_FOUND);
        }
        "save-and-refuse" => {
            shopper.set_user(argument);
            shopper.save().await?;
            return status(StatusCode::FORBIDDEN);
        }
        "redirect" => {
            shopper.set_user(argument);
            return redirect("/read");
        }
        "out-beside" => {
            let mut other: TypedSession<Shopper> = session(&mut parts).await?;
            assert!(other.was_authenticated_within(Duration::from_hours(1)));
            match argument {
                "remove" => shopper.remove_user(),
                "take" => drop(shopper.take_user()),
                "switch" => shopper.set_user("eve"),
                "clear" => shopper.clear(),
                _ => shopper.destroy(),
            }
            assert!(!other.was_authenticated_within(Duration::from_hours(1)), "{argument}");
            other.cart_mut();
        }
        "logout" => shopper.remove_user(),
        "logout-and-fail" => {
            shopper.remove_user();
            shopper.set_note("lost");
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "flash" => shopper.flash_bye(argument),
        "take" => return text(shopper.take_bye().unwrap_or_else(|| "-".to_owned())),
        "say" => return say(shopper, session(&mut parts).await?, argument).await,
        "logout-and-note" => {
            shopper.remove_user();
            shopper.set_note("lost");
        }
        "clear" => shopper.clear(),
        "socket" => {
            let argument = argument.to_owned();
            tokio::spawn(async move {
                gate.pass().await;
                socket(shopper, &argument).await;
                gate.pass().await;
            });
        }
        "logout-and-wait" => {
            shopper.remove_user();
            gate.pass().await;
        }
        "buy" => shopper.cart_mut().push(argument.to_owned()),
        "buy-and-note" => {
            shopper.cart_mut().push(argument.to_owned());
            shopper.set_note("noted");
        }
        "note" => shopper.set_note(argument),
        "rotate" => shopper.rotate(),
        "end" => shopper.destroy(),
        "listen" => {
            tokio::spawn(async move {
                shopper.ended().await;
                gate.pass().await;
            });
        }
        "proof" => {
            let age = Duration::from_secs(argument.parse().expect("a number"));
            let is_known = shopper.authenticated_at().is_some();
            return text(format!("{is_known} {}", shopper.was_authenticated_within(age)));
        }
        "forget" => {
            shopper.remember(false);
            shopper.set_user(argument);
        }
        // "Stay logged in" is ticked, and is not.
        "login-ticked" => {
            shopper.remember(true);
            shopper.set_user(argument);
        }
        "login-unticked" => {
            stay_for_an_hour(&shopper);
            shopper.set_user(argument);
        }
        "login-unticked-and-out" => {
            stay_for_an_hour(&shopper);
            shopper.set_user(argument);
            shopper.save().await?;
            shopper.remove_user();
        }
        "switch-ticked-and-fail" => {
            shopper.remove_user();
            shopper.remember(true);
            shopper.set_user(argument);
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "switch-unticked-and-fail" => {
            shopper.remove_user();
            stay_for_an_hour(&shopper);
            shopper.set_user(argument);
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "grant" => shopper.set_role("admin"),
        "grant-unticked" => {
            stay_for_an_hour(&shopper);
            shopper.set_role("admin");
        }
        "ungrant" => shopper.remove_role(),
        other => panic!("there is no `{other}`"),
    }
    text("done")
}

fn stay_for_an_hour(session: &crate::Handle) {
    let hour = Duration::from_hours(1);
    session.limit_lifetime(hour, hour);
    session.remember(false);
}

/// Flashes something around a logout or the end, by one of two handles.
async fn say(
    mut shopper: TypedSession<Shopper>,
    mut other: TypedSession<Shopper>,
    how: &str,
) -> Result<HandlerReply, HandlerFailure> {
    let (what, when) = how.split_once('-').expect("what and when");
    if when == "saved" {
        other.flash_bye("Bye");
        shopper.remove_user();
        shopper.save().await?;
    }
    match when {
        "before" | "before-and-fail" => shopper.flash_bye("Bye"),
        "before-by-other" => other.flash_bye("Bye"),
        "before-and-dropped" => {
            other.flash_bye("Bye");
            drop(other);
            leave(&mut shopper, what);
            return text("done");
        }
        "before-and-saved" => {
            shopper.flash_bye("Bye");
            shopper.save().await?;
        }
        "noted" => shopper.set_note("lost"),
        "noted-by-other" => other.set_note("lost"),
        _ => {}
    }
    leave(&mut shopper, what);
    match when {
        "after" => shopper.flash_bye("Bye"),
        "after-by-other" => other.flash_bye("Bye"),
        "before-and-fail" => return status(StatusCode::INTERNAL_SERVER_ERROR),
        _ => {}
    }
    text("done")
}

fn leave(shopper: &mut TypedSession<Shopper>, what: &str) {
    match what {
        "out" => shopper.remove_user(),
        "end" => shopper.destroy(),
        "clear" => shopper.clear(),
        "switch" => shopper.set_user("bob"),
        "in" => {
            if shopper.has_user() {
                shopper.remove_user();
            }
            shopper.set_user("bob");
        }
        "begin" => {
            shopper.destroy();
            shopper.set_user("bob");
        }
        other => panic!("there is no `{other}`"),
    }
}

/// What goes on after its response.
async fn socket(mut shopper: TypedSession<Shopper>, how: &str) {
    match how {
        "save" => {
            shopper.remove_user();
            shopper.save().await.expect("taken away");
            assert_eq!((shopper.user(), shopper.note(), shopper.cart().len()), (None, None, 1));
        }
        "save-and-go-on" => {
            shopper.remove_user();
            shopper.save().await.expect("taken away");
            shopper.set_note("after");
            shopper.save().await.expect("it goes on");
        }
        "save-with-others" => {
            shopper.set_draft("lost");
            shopper.remove_user();
            shopper.set_note("after");
            shopper.save().await.expect("both");
        }
        "drop" | "drop-late" => shopper.remove_user(),
        "drop-with-others" => {
            shopper.remove_user();
            shopper.set_note("lost");
        }
        "panic" => {
            shopper.remove_user();
            panic!("as the scenario wants it");
        }
        "clear-and-drop" => shopper.clear(),
        "clear" => {
            shopper.clear();
            shopper.save().await.expect("cleared");
        }
        "switch" => {
            shopper.remove_user();
            shopper.set_user("eve");
            let refused = shopper.save().await.map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::HeadSent));
        }
        "refused" => {
            shopper.remove_user();
            let refused = shopper.save().await.map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::Conflict));
        }
        other => panic!("there is no `{other}`"),
    }
}

/// How many requests meet.
const TABS: usize = 16;

pub(super) async fn app(env: &TestEnvironment) -> (TestApp, Gate) {
    app_with(env, |layer| layer).await
}

pub(super) async fn app_with(
    env: &TestEnvironment,
    configure: impl FnOnce(SessionLayer) -> SessionLayer,
) -> (TestApp, Gate) {
    let (gate, barrier) = (Gate::new(), Arc::new(Barrier::new(TABS)));
    let inside = gate.clone();
    let handler = move |parts| answer(parts, inside.clone(), Arc::clone(&barrier));
    (env.app_answering_with(configure, handler).await, gate)
}

/// A visitor who has come back.
pub(super) async fn visitor(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.get("/visit").await;
    assert_eq!(browser.get("/read").await.text(), "- - pen letter hello");
    app.calls.clear();
    browser
}

/// Each step of a session's life is an event, which names the record and nothing else.
pub async fn the_life_of_a_session_is_told(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = app.browser();
    app.events();
    browser.get("/visit").await;
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
    browser.get("/read").await;
    steps(&[]);
    browser.get("/login/Ada").await;
    assert!(steps(&["Rotated"]).contains("cause: Login"));
    browser.get("/rotate").await;
    assert!(steps(&["Rotated"]).contains("cause: Other"));
    let tab = browser.fork();
    let slow = tokio::spawn(async move { tab.get("/wait/note/slow").await });
    gate.arrived().await;
    browser.get("/logout").await;
    assert!(steps(&["Rotated"]).contains("cause: Logout"));
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    steps(&["Conflict"]);
    browser.get("/end").await;
    steps(&["Destroyed"]);
    let newcomer = app.browser();
    newcomer.get("/login/Ada").await;
    let told = app.events().concat();
    assert!(told.starts_with("Created") && told.contains("is_login: true"), "{told}");
}

async fn user(app: &TestApp, name: &str) -> Client {
    let browser = visitor(app).await;
    assert_eq!(browser.get(&format!("/login-with-role/{name}")).await.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), format!("{name} admin pen new hello"));
    app.calls.clear();
    browser
}

/// A login keeps all but what is marked, a logout leaves only what is marked; each with a new secret in one
/// commit.
pub async fn a_login_and_a_logout_keep_what_they_should(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = visitor(&app).await;
    let (id, visitors) = (record_of(&browser), browser.clone_jar());
    assert_eq!(browser.get("/login/ada").await.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), "ada - pen - hello");
    assert_eq!(visitors.get("/read").await.text(), "- -  - -");
    assert_eq!(app.stored(id, "draft").await, None);
    let users = browser.clone_jar();
    assert_eq!(browser.get("/logout").await.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), "- - pen - -");
    assert_eq!(users.get("/read").await.text(), "- -  - -");
    assert_eq!((app.stored(id, "note").await, app.stored(id, "user").await), (None, None));
    assert_eq!((record_of(&browser), app.calls.count(Operation::Commit)), (id, 2));
}

/// What is the visitor's does not outlive a login, though it was set while the login was on its way.
pub async fn a_draft_beside_a_login_does_not_outlive_it(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = app.browser();
    browser.get("/note/hello").await;
    let (id, tab, attacker) = (record_of(&browser), browser.fork(), browser.clone_jar());
    let login = tokio::spawn(async move { tab.get("/wait/login/ada").await });
    gate.arrived().await;
    assert_eq!(attacker.get("/visit").await.status(), 200);
    gate.release();
    assert_eq!(login.await.expect("an answer").status(), 200);
    assert_eq!(browser.get("/read").await.text(), "ada - pen - hello");
    assert_eq!(app.stored(id, "draft").await, None);
}

/// Another user gets nothing of the one before, but for what belongs to the browser.
pub async fn a_change_of_users_leaves_nothing(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for (path, seen) in [
        ("/login/bob", "bob - pen - -"),
        ("/switch/bob", "bob - pen - -"),
        ("/switch-and-note/bob", "bob - pen - after"),
        ("/out-and-in/bob", "bob - pen - -"),
        ("/out-and-in/ada", "ada - pen - -"),
    ] {
        let browser = user(&app, "ada").await;
        let users = browser.clone_jar();
        assert_eq!(browser.get(path).await.set_cookies().len(), 1, "{path}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
        assert_eq!(users.get("/read").await.text(), "- -  - -", "{path}");
    }
}

/// Who proves again who it is gets a new secret, and keeps everything.
pub async fn a_second_login_of_one_user_keeps_everything(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = user(&app, "ada").await;
    let users = browser.clone_jar();
    assert_eq!(browser.get("/login/ada").await.set_cookies().len(), 1);
    assert_eq!(browser.get("/read").await.text(), "ada admin pen new hello");
    assert_eq!(users.get("/read").await.text(), "- -  - -");
}

/// A login that fails logs nobody in; a logout that fails logs out, and leaves the cart.
pub async fn a_failing_login_is_none_and_a_failing_logout_is_one(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = visitor(&app).await;
    let response = browser.get("/login-and-fail/ada").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
    assert_eq!(browser.get("/read").await.text(), "- - pen letter hello");
    let browser = user(&app, "ada").await;
    let response = browser.get("/logout-and-fail").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(browser.get("/read").await.text(), "- - pen - -");
    let browser = user(&app, "ada").await;
    let (id, tab) = (record_of(&browser), browser.fork());
    let request = tokio::spawn(async move { tab.get("/logout-and-wait").await });
    gate.arrived().await;
    request.abort();
    assert!(request.await.is_err());
    // The store is asked by a task that nobody can wait for any more.
    while app.stored(id, "user").await.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.stored(id, "note").await, None);
    assert_eq!(browser.get("/read").await.text(), "- - pen - -", "its cookie opens what is left");
}

/// What outlives its response takes the login away as any other: it is gone at once, the browser's cookie opens what a
/// logout leaves, and the next login replaces it.
pub async fn a_late_logout_is_one(env: TestEnvironment) {
    for (how, seen) in [
        ("save", "- - pen - -"),
        ("save-and-go-on", "- - pen - after"),
        ("save-with-others", "- - pen - after"),
        ("drop", "- - pen - -"),
        ("drop-with-others", "- - pen - -"),
        ("panic", "- - pen - -"),
        ("clear", "- -  - -"),
        ("clear-and-drop", "- - pen - -"),
        ("switch", "- - pen - -"),
    ] {
        let ((app, gate), (elsewhere, there)) = (app(&env).await, app(&env).await);
        let browser = user(&app, "ada").await;
        let (id, tab) = (record_of(&browser), browser.clone_jar());
        browser.get(&format!("/socket/{how}")).await;
        let before = browser.cookie(COOKIE);
        gate.arrived().await;
        let (other, at) = (tab.at(&elsewhere.browser()), there.clone());
        let slow = tokio::spawn(async move { other.get("/wait/buy/ink").await });
        at.arrived().await;
        app.events();
        gate.release();
        while app.stored(id, "user").await.is_some() {
            tokio::task::yield_now().await;
        }
        if how != "panic" {
            gate.arrived().await;
        }
        let mut told = String::new();
        while !told.contains("RightsRemoved") {
            told.push_str(&app.events().concat());
            tokio::task::yield_now().await;
        }
        assert!(told.contains("user"), "{how}: {told}");
        assert!(!app.load(id, &[]).await.expect("the record").credentials.holds_rights(), "{how}");
        let response = tab.get("/read").await;
        assert_eq!((response.text(), response.set_cookies().len()), (seen, 0), "{how}");
        assert_eq!(browser.cookie(COOKIE), before, "{how}");
        // What belongs to the browser crosses it.
        at.release();
        if how != "panic" {
            gate.release();
        }
        assert_eq!(slow.await.expect("an answer").status(), 200, "{how}");
        assert!(tab.get("/read").await.text().contains("ink"), "{how}");
        assert_eq!(browser.get("/login/bob").await.set_cookies().len(), 1, "{how}");
        assert!(browser.get("/read").await.text().starts_with("bob - "), "{how}");
        assert!(tab.get("/read").await.text().starts_with("- - "), "{how}");
    }
}

/// A late logout ends the login that its request saw, and no later one.
pub async fn a_later_login_stays(env: TestEnvironment) {
    for (path, next) in [
        ("/socket/refused", "ada"),
        ("/socket/refused", "bob"),
        ("/socket/drop-late", "bob"),
        ("/wait/logout", "ada"),
        ("/wait/logout", "bob"),
    ] {
        let (app, gate) = app(&env).await;
        let browser = user(&app, "ada").await;
        let (id, tab) = (record_of(&browser), browser.clone_jar());
        let mut slow = tokio::spawn(async move { tab.get(path).await });
        let mut answered = None;
        if path.starts_with("/socket") {
            answered = Some((&mut slow).await.expect("an answer"));
        }
        gate.arrived().await;
        let created = app.load(id, &[]).await.expect("the record").created;
        // Two lives of one record do not begin in the same millisecond.
        env.clock.advance(Duration::from_secs(1));
        loop {
            browser.get("/logout").await;
            browser.get(&format!("/login-with-role/{next}")).await;
            if app.load(id, &[]).await.expect("the record").created != created {
                break;
            }
        }
        app.events();
        gate.release();
        if path.starts_with("/socket") {
            gate.arrived().await;
            gate.release();
        }
        let response = match answered {
            Some(response) => response,
            None => slow.await.expect("an answer"),
        };
        let status = if path.starts_with("/wait") { 409 } else { 200 };
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{path} {next}");
        let told = loop {
            let told = app.events().concat();
            if told.contains("Conflict") {
                break told;
            }
            tokio::task::yield_now().await;
        };
        assert!(told.contains("logged in since"), "{told}");
        assert_eq!(browser.get("/read").await.text(), format!("{next} admin pen new -"), "{path} {next}");
    }
    // Nor does the same user's, who has proved it again meanwhile.
    let (app, gate) = app(&env).await;
    let browser = user(&app, "ada").await;
    let tab = browser.clone_jar();
    let slow = tokio::spawn(async move { tab.get("/wait/logout").await });
    gate.arrived().await;
    browser.get("/login/ada").await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    assert!(browser.get("/read").await.text().starts_with("ada admin"));
}

/// A logout, or the removal of another right, beside a rotation of another tab is one: the other's new cookie opens
/// what is left.
pub async fn a_logout_beside_a_rotation_is_one(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    for (path, change, status, seen) in [
        ("/wait/logout", "/rotate", 200, "- - pen - -"),
        ("/wait/logout-and-note", "/rotate", 409, "- - pen - -"),
        ("/wait/logout-and-fail", "/rotate", 500, "- - pen - -"),
        ("/wait/logout", "/ungrant", 200, "- - pen - -"),
        ("/wait/ungrant", "/rotate", 200, "ada - pen new hello"),
        ("/wait/logout", "/logout", 200, "- - pen - -"),
        ("/wait/logout", "/end", 200, "- -  - -"),
        ("/wait/switch/bob", "/rotate", 409, "ada admin pen new hello"),
    ] {
        let browser = user(&app, "ada").await;
        let tab = browser.clone_jar();
        let slow = tokio::spawn(async move { (tab.get(path).await, tab) });
        gate.arrived().await;
        assert_eq!(browser.get(change).await.status(), 200);
        let cookie = browser.cookie(COOKIE);
        app.events();
        gate.release();
        let (response, tab) = slow.await.expect("an answer");
        assert_eq!(
            (response.status().as_u16(), response.set_cookies().len()),
            (status, 0),
            "{path} {change}"
        );
        let told = app.events().concat();
        let is_told = path.contains("logout") || path.contains("ungrant");
        let was_there = !matches!(change, "/logout" | "/end");
        assert_eq!(told.contains("RightsRemoved"), is_told && was_there, "{path} {change}: {told}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path} {change}");
        assert_eq!(browser.cookie(COOKIE), cookie, "{path} {change}");
        assert_eq!(
            tab.get("/read").await.text(),
            "- -  - -",
            "{path} {change}: the old secret opens nothing"
        );
    }
}

/// A request that is refused logs nobody in, and drops what the new user did; what came before stands, and so does a
/// logout and what was saved.
pub async fn a_refused_login_is_none(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = visitor(&app).await;
    app.events();
    let response = browser.get("/refuse/ada").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (403, 0));
    assert_eq!(browser.get("/read").await.text(), "- - pen letter before");
    let told = app.events().concat();
    assert!(told.contains("GrantDropped") && told.contains("user"), "{told}");
    for (path, seen, cookies) in [
        ("/refuse/bob", "ada admin pen new before", 0),
        ("/refuse/ada", "ada admin pen new before", 0),
        ("/out-in-and-refuse/bob", "- - pen,ink - -", 1),
        ("/in-out-and-refuse/bob", "- - pen - -", 1),
        ("/save-and-refuse/bob", "bob - pen - -", 1),
        ("/redirect/bob", "bob - pen - -", 1),
    ] {
        let browser = user(&app, "ada").await;
        assert_eq!(browser.get(path).await.set_cookies().len(), cookies, "{path}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
    }
    let stranger = app.browser();
    assert_eq!(stranger.get("/refuse/ada").await.set_cookies().len(), 1);
    assert_eq!(stranger.get("/read").await.text(), "- -  - before");
    assert_eq!(app.browser().get("/in-out-and-refuse/ada").await.set_cookies().len(), 0);
}

/// Where a request has ended the login, or another one has taken its place, what asks for a recent one is refused at
/// once.
pub async fn a_login_that_the_request_has_ended_proves_nothing(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for how in ["remove", "take", "switch", "clear", "destroy"] {
        let browser = user(&app, "ada").await;
        assert_eq!(browser.get(&format!("/out-beside/{how}")).await.status(), 200, "{how}");
    }
}

/// What a request flashes reaches the next page, whichever handle did it and whether before or after, though the same
/// request logs out or ends the session. What else it changed goes, which an event says.
pub async fn a_flash_reaches_the_page_after_a_logout(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for what in ["out", "end", "clear"] {
        for when in
            ["before", "before-by-other", "before-and-dropped", "before-and-saved", "after", "after-by-other"]
        {
            let browser = user(&app, "ada").await;
            let id = record_of(&browser);
            browser.get("/flash/old").await;
            let response = browser.get(&format!("/say/{what}-{when}")).await;
            assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what} {when}");
            assert_eq!(record_of(&browser) == id, what != "end", "{what} {when}");
            assert!(browser.get("/read").await.text().starts_with("- - "), "{what} {when}");
            assert_eq!(browser.get("/take").await.text(), "Bye", "{what} {when}");
            assert_eq!(browser.get("/take").await.text(), "-", "{what} {when}");
        }
    }
    for (path, seen) in
        [("/logout", "-"), ("/say/out-before-and-fail", "-"), ("/say/end-before-and-fail", "-")]
    {
        let browser = user(&app, "ada").await;
        browser.get("/flash/old").await;
        browser.get(path).await;
        assert_eq!(browser.get("/take").await.text(), seen, "{path}: what was not read, or failed, is gone");
    }
    for path in ["/say/out-noted", "/say/out-noted-by-other", "/say/end-noted", "/say/end-noted-by-other"] {
        let browser = user(&app, "ada").await;
        app.events();
        browser.get(path).await;
        let told = app.events().concat();
        assert!(told.contains("ChangesDropped") && told.contains("note"), "{path}: {told}");
        assert!(browser.get("/read").await.text().ends_with(" -"), "{path}");
    }
}

/// Nothing that was flashed for one user is the next one's, where one request logs the one out and the other in; but
/// what it flashes for the new one is.
pub async fn a_flash_is_not_the_next_users(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for what in ["switch", "in", "begin"] {
        for (when, seen) in [
            ("before", "-"),
            ("before-by-other", "-"),
            ("before-and-dropped", "-"),
            ("before-and-saved", "-"),
            ("saved", "-"),
            ("after", "Bye"),
            ("after-by-other", "Bye"),
        ] {
            let browser = user(&app, "ada").await;
            browser.get("/flash/old").await;
            let response = browser.get(&format!("/say/{what}-{when}")).await;
            assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what} {when}");
            assert!(browser.get("/read").await.text().starts_with("bob - "), "{what} {when}");
            assert_eq!(browser.get("/take").await.text(), seen, "{what} {when}");
        }
    }
    // A visitor's are the user's, as all that the visitor has.
    let browser = visitor(&app).await;
    browser.get("/say/switch-before").await;
    assert_eq!(browser.get("/take").await.text(), "Bye");
}

/// Of two logins at once both succeed: the loser begins a session of its own. Whichever answer comes last, the
/// user is logged in.
pub async fn two_logins_at_once_both_log_in(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    for order in [[0, 1], [1, 0]] {
        let browser = visitor(&app).await;
        let requests: Vec<_> = (0..2)
            .map(|_| {
                let tab = browser.clone_jar();
                tokio::spawn(async move { (tab.get("/wait/login/ada").await.status(), tab) })
            })
            .collect();
        for _ in 0..2 {
            gate.arrived().await;
        }
        for _ in 0..2 {
            gate.release();
        }
        let mut tabs = Vec::new();
        for request in requests {
            let (status, tab) = request.await.expect("an answer");
            assert_eq!(status, 200);
            assert!(tab.get("/read").await.text().starts_with("ada"));
            tabs.push(tab);
        }
        for index in order {
            let cookie = tabs[index].cookie(COOKIE).expect("each has a cookie");
            browser.set_cookie_raw(COOKIE, &cookie);
        }
        assert!(browser.get("/read").await.text().starts_with("ada"));
    }
}

/// What was said of the visitor's session counts for each of two logins at once: how long it lives, and that the
/// browser forgets it when it is closed.
pub async fn two_logins_at_once_keep_what_was_said_of_the_session(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = app.browser();
    browser.get("/visit-for-an-hour").await;
    browser.get("/read").await;
    let late = browser.clone_jar();
    let tabs = [browser.clone_jar(), browser.clone_jar()];
    let logins = tabs.clone().map(|tab| tokio::spawn(async move { tab.get("/wait/login/ada").await }));
    for _ in &tabs {
        gate.arrived().await;
    }
    for _ in &tabs {
        gate.release();
    }
    for login in logins {
        let cookies = login.await.expect("an answer").set_cookies();
        assert!(matches!(&cookies[..], [cookie] if !cookie.contains("Max-Age")), "{cookies:?}");
    }
    // One that comes with the secret from before both.
    let cookies = late.get("/login/ada").await.set_cookies();
    assert!(matches!(&cookies[..], [cookie] if !cookie.contains("Max-Age")), "{cookies:?}");
    let tabs = [tabs[0].clone(), tabs[1].clone(), late];
    if env.can_move_time() {
        for tab in &tabs {
            assert!(tab.get("/read").await.text().starts_with("ada"));
        }
        env.clock.advance(Duration::from_hours(1));
        for tab in &tabs {
            assert!(tab.get("/read").await.text().starts_with('-'));
        }
    }
}

/// Sixteen requests at once, one of them a login, their answers in any order: the user ends up logged in with
/// one usable secret, nothing that was acknowledged is lost, and the old secret has no rights.
pub async fn requests_around_a_login_in_any_order(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for round in 0..100 {
        let browser = visitor(&app).await;
        let (id, old) = (record_of(&browser), browser.clone_jar());
        let tabs = (0..TABS).map(|index| {
            let tab = browser.clone_jar();
            async move {
                let path = match index {
                    0 => "/meet/login/ada".to_owned(),
                    _ if index % 3 == 0 => "/meet/note/x".to_owned(),
                    _ if index % 3 == 1 => "/meet/read".to_owned(),
                    _ => format!("/meet/buy/{index}"),
                };
                let response = tab.get(&path).await;
                (response.status().as_u16(), response.set_cookies().len(), path, tab)
            }
        });
        let mut answers = at_once(tabs).await;
        answers.rotate_left(round % TABS);
        for (status, cookies, path, tab) in answers {
            let is_login = path.contains("login");
            assert!(status == 200 || (status == 409 && path.contains("note")), "{path}: {status}");
            assert_eq!(cookies, usize::from(is_login), "{path}");
            if is_login {
                let cookie = tab.cookie(COOKIE).expect("a cookie");
                browser.set_cookie_raw(COOKIE, &cookie);
            }
        }
        let seen = browser.get("/read").await;
        assert!(seen.text().starts_with("ada - "), "round {round}: {}", seen.text());
        assert_eq!(record_of(&browser), id, "round {round}");
        for path in ["/read", "/note/y", "/rotate"] {
            let response = old.get(path).await;
            assert!(response.set_cookies().is_empty() && !response.text().contains("ada"), "{path}");
        }
    }
}

/// A login whose answer was lost is repeated with the old cookie.
pub async fn a_login_whose_answer_was_lost_is_repeated(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = visitor(&app).await;
    let lost = browser.clone_jar();
    assert_eq!(lost.get("/login/ada").await.status(), 200);
    let response = browser.get("/login/ada").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert!(browser.get("/read").await.text().starts_with("ada"));
    assert!(lost.get("/read").await.text().starts_with("ada"));
}

/// A login that finds its session ended meanwhile begins another.
pub async fn a_login_after_the_end_begins_anew(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = visitor(&app).await;
    let (id, tab) = (record_of(&browser), browser.fork());
    let login = tokio::spawn(async move { tab.get("/wait/login/ada").await });
    gate.arrived().await;
    app.raw.destroy(id).await.expect("destroyed");
    gate.release();
    let response = login.await.expect("an answer");
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1));
    assert_eq!(browser.get("/read").await.text(), "ada -  - -");
    assert_ne!(record_of(&browser), id);
}

/// What belongs to the browser may still be written by a request from before a login or logout; anything
/// beside it may not, nor may it across two of them or a minute later.
pub async fn what_is_carried_crosses_a_login(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    for (path, change, carried) in [
        ("/wait/buy/ink", "/login/ada", true),
        ("/wait/buy-and-note/ink", "/login/ada", false),
        ("/wait/note/x", "/login/ada", false),
        ("/wait/buy/ink", "/logout", true),
    ] {
        let browser = if change == "/logout" { user(&app, "ada").await } else { visitor(&app).await };
        let tab = browser.clone_jar();
        let slow = tokio::spawn(async move { tab.get(path).await });
        gate.arrived().await;
        assert_eq!(browser.get(change).await.status(), 200);
        gate.release();
        let response = slow.await.expect("an answer");
        let status = if carried { 200 } else { 409 };
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{path}");
        let cart = browser.get("/read").await.text().contains("pen,ink");
        assert_eq!(cart, carried, "{path} {change}");
    }
    // Not across two.
    let browser = visitor(&app).await;
    let tab = browser.clone_jar();
    let slow = tokio::spawn(async move { tab.get("/wait/buy/ink").await });
    gate.arrived().await;
    browser.get("/login/ada").await;
    browser.get("/rotate").await;
    gate.release();
    assert_eq!(slow.await.expect("an answer").status(), 409);
    if env.can_move_time() {
        let browser = visitor(&app).await;
        let tab = browser.clone_jar();
        let slow = tokio::spawn(async move { tab.get("/wait/buy/ink").await });
        gate.arrived().await;
        browser.get("/login/ada").await;
        env.clock.advance(Duration::from_mins(1));
        gate.release();
        assert_eq!(slow.await.expect("an answer").status(), 409);
    }
}

/// A right is one for all views, whether they know or not.
pub async fn a_view_that_knows_no_rights_changes_none_by_accident(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = user(&app, "ada").await;
    for path in ["/guest/role", "/guest/clear"] {
        assert_eq!(browser.get(path).await.status(), 500, "{path}");
    }
    assert_eq!(browser.get("/read").await.text(), "ada admin pen new hello");
    // Another instance has met no other view yet: what the record says of its rights counts.
    for (path, seen) in [("/guest/role", "ada - pen new hello"), ("/guest/clear", "- -  - -")] {
        let browser = user(&app, "ada").await;
        let (users, (other, _)) = (browser.clone_jar(), self::app(&env).await);
        assert_eq!(browser.at(&other.browser()).get(path).await.set_cookies().len(), 1, "{path}");
        assert_eq!(users.get("/read").await.text(), "- -  - -", "{path}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
    }
}

/// A superseded secret is known for a minute: it reads nothing, writes nothing, begins nothing and gets no
/// cookie, so that it cannot take the place of the new one. After that its browser is a stranger's.
pub async fn a_superseded_secret_begins_nothing(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = visitor(&app).await;
    let old = browser.clone_jar();
    browser.get("/login/ada").await;
    app.events();
    for path in ["/note/x", "/buy/x", "/rotate", "/read"] {
        let response = old.get(path).await;
        let status = if matches!(path, "/rotate" | "/read") { 200 } else { 409 };
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{path}");
    }
    assert_eq!(app.calls.count(Operation::Create), 0);
    let events = app.events();
    assert!(events.iter().all(|event| event.starts_with("Superseded") || event.starts_with("Conflict")));
    let record = record_of(&browser).to_string();
    let conflicts: Vec<_> = events.iter().filter(|event| event.starts_with("Conflict")).collect();
    assert!(conflicts.len() == 2 && conflicts.iter().all(|event| event.contains(&record)), "{events:?}");
    assert_eq!(browser.get("/read").await.text(), "ada - pen - hello");
    if env.can_move_time() {
        env.clock.advance(Duration::from_secs(61));
        assert_eq!(old.get("/read").await.text(), "- -  - -");
        assert!(app.events().iter().any(|event| event.contains("Stale")));
        assert_eq!(old.get("/note/x").await.set_cookies().len(), 1);
        assert_eq!(browser.get("/read").await.text(), "ada - pen - hello");
    }
}

/// A login begins the session's life anew; no other rotation does.
pub async fn a_login_restarts_the_absolute_clock(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let hour = Duration::from_hours(1);
    let (gate, barrier) = (Gate::new(), Arc::new(Barrier::new(TABS)));
    let timeouts = Timeouts::new(2 * hour, 3 * hour);
    let app = env
        .app_answering_with(
            |layer| layer.with_timeouts(timeouts),
            move |parts| answer(parts, gate.clone(), Arc::clone(&barrier)),
        )
        .await;
    let browser = visitor(&app).await;
    env.clock.advance(2 * hour);
    browser.get("/rotate").await;
    assert_eq!(browser.get("/login/ada").await.set_cookies().len(), 1);
    for _ in 0..2 {
        env.clock.advance(hour + hour / 4);
        assert!(browser.get("/read").await.text().starts_with("ada"));
        // Not anew by proving it again, nor by a rotation.
        browser.get("/login/ada").await;
        browser.get("/rotate").await;
    }
    env.clock.advance(hour / 2);
    assert_eq!(browser.get("/read").await.text(), "- -  - -");
}

/// When somebody proved who it is: by a login, or again, and by nothing else.
pub async fn a_proof_is_as_old_as_it_is(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let browser = visitor(&app).await;
    assert_eq!(browser.get("/proof/60").await.text(), "false false");
    browser.get("/login/ada").await;
    env.clock.advance(Duration::from_secs(50));
    assert_eq!(browser.get("/proof/60").await.text(), "true true");
    browser.get("/rotate").await;
    env.clock.advance(Duration::from_secs(50));
    assert_eq!(browser.get("/proof/60").await.text(), "true false", "a rotation proves nothing");
    browser.get("/login/ada").await;
    assert_eq!(browser.get("/proof/60").await.text(), "true true");
    env.clock.advance(Duration::from_secs(70));
    assert_eq!(browser.get("/proof/60").await.text(), "true false");
    browser.get("/logout").await;
    assert_eq!(browser.get("/proof/60").await.text(), "false false");
}

/// A cookie that is not to be remembered ends with the browser, and so do those that follow it.
pub async fn who_is_not_remembered_is_forgotten_with_the_browser(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = visitor(&app).await;
    assert!(browser.get("/rotate").await.set_cookies()[0].contains("Max-Age="), "by default it is kept");
    for path in ["/forget/ada", "/rotate", "/login/ada"] {
        let cookies = browser.get(path).await.set_cookies();
        assert!(!cookies[0].contains("Max-Age") && !cookies[0].contains("Expires"), "{path}: {cookies:?}");
    }
    assert!(browser.get("/read").await.text().starts_with("ada"));
    browser.restart();
    assert!(browser.get("/read").await.text().starts_with('-'));
}

/// A visitor has an hour to come back; who has come back, or has a right, has longer.
pub async fn a_visitor_who_never_comes_back_is_forgotten(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (app, _) = app(&env).await;
    let minutes = |minutes| Duration::from_mins(minutes);
    let (gone, back, known) = (app.browser(), app.browser(), app.browser());
    gone.get("/visit").await;
    back.get("/visit").await;
    known.get("/login/ada").await;
    env.clock.advance(minutes(45));
    assert_eq!(back.get("/read").await.text(), "- - pen letter hello", "a sign-in elsewhere takes that long");
    let writes = app.calls.writes();
    back.get("/read").await;
    assert_eq!(app.calls.writes(), writes, "it is noted once");
    env.clock.advance(minutes(16));
    assert_eq!(gone.get("/read").await.text(), "- -  - -");
    assert_eq!(back.get("/read").await.text(), "- - pen letter hello");
    assert!(known.get("/read").await.text().starts_with("ada"));
    app.raw.purge(Timeouts::default(), 100).await.expect("a number");
    assert_eq!(back.get("/read").await.text(), "- - pen letter hello");
    assert!(known.get("/read").await.text().starts_with("ada"));
}
