//! Fields that are rights: who changes one gets a new secret, in the same commit.

use http::{StatusCode, request::Parts};

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    reply::{HandlerFailure, HandlerReply, status, text},
};
use crate::{ErrorKind, Session, TypedSession};

/// Who somebody is, and what they may do.
#[derive(Session)]
struct Person {
    name: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(privilege)]
    level: u32,
    #[session(privilege, alias = "old_rank")]
    rank: Option<String>,
    score: f64,
}

/// Somebody in an older program.
#[derive(Session)]
struct Former {
    #[session(privilege)]
    old_rank: Option<String>,
}

// One arm for each thing a handler can do.
#[allow(clippy::too_many_lines)]
async fn answer(mut parts: Parts, gate: Gate) -> Result<HandlerReply, HandlerFailure> {
    let path = parts.uri.path().to_owned();
    let mut person: TypedSession<Person> = session(&mut parts).await?;
    let path = match path.strip_prefix("/wait") {
        Some(path) => {
            gate.pass().await;
            path
        }
        None => &path,
    };
    match path {
        "/read" => {
            return text(format!(
                "{} {} {}",
                person.name().unwrap_or("-"),
                person.role().unwrap_or("-"),
                person.level()
            ));
        }
        "/name" => person.set_name("Ada"),
        "/grant" => person.set_role("admin"),
        "/grant-other" => person.set_role("editor"),
        "/edit" => {
            if let Some(role) = person.role_mut() {
                role.push('!');
            }
        }
        "/look" => {
            person.role_mut();
            *person.level_mut() += 0;
        }
        "/level" => *person.level_mut() += 1,
        "/same-level" => person.set_level(person.level()),
        "/reset-level" => person.reset_level(),
        "/revoke" => person.remove_role(),
        "/take" => drop(person.take_role()),
        "/clear" => person.clear(),
        "/grant-and-save-twice" => {
            person.set_role("admin");
            person.save().await?;
            person.set_name("Bea");
            person.save().await?;
        }
        "/grant-and-fail" => {
            person.set_name("Eve");
            person.set_role("admin");
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "/revoke-and-fail" => {
            person.set_name("Eve");
            person.remove_role();
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "/revoke-rank-and-fail" => {
            person.remove_rank();
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "/revoke-and-spoil" => {
            person.remove_role();
            person.set_score(f64::NAN);
        }
        "/revoke-then-grant-and-fail" => {
            person.remove_role();
            drop(person);
            let mut other: TypedSession<Person> = session(&mut parts).await?;
            other.set_role("viewer");
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "/revoke-and-grant-and-fail" => {
            person.remove_role();
            person.set_role("viewer");
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        }
        "/leave-behind-and-wait" => {
            let inside = gate.clone();
            tokio::spawn(async move {
                inside.pass().await;
                person.set_role("editor");
                let refused = person.save().await.map_err(|error| error.kind());
                assert_eq!(refused, Err(ErrorKind::HeadSent));
                inside.pass().await;
            });
            std::future::pending::<()>().await;
        }
        "/lower-and-fail" | "/lower-in-place-and-fail" | "/lower-and-refuse" => {
            person.set_name("Eve");
            lower(&mut person, path);
            let code = if path == "/lower-and-refuse" { 403 } else { 500 };
            return status(StatusCode::from_u16(code).expect("a status"));
        }
        "/lower-and-panic" | "/lower-in-place-and-panic" => {
            person.set_name("Eve");
            lower(&mut person, path);
            panic!("as the scenario wants it");
        }
        "/lower-and-wait" | "/lower-in-place-and-wait" => {
            person.set_name("Eve");
            lower(&mut person, path);
            gate.pass().await;
        }
        "/lower" => lower(&mut person, path),
        "/revoke-beside" => {
            person.remove_role();
            let other: TypedSession<Person> = session(&mut parts).await?;
            assert_eq!(other.role(), None, "what is taken from here on sees it");
        }
        "/grant-and-refuse" => {
            person.set_name("Eve");
            person.set_role("boss");
            person.set_score(1.5);
            return status(StatusCode::FORBIDDEN);
        }
        "/revoke-and-panic" => {
            person.set_name("Eve");
            person.remove_role();
            panic!("as the scenario wants it");
        }
        "/revoke-and-wait" => {
            person.set_name("Eve");
            person.remove_role();
            gate.pass().await;
        }
        "/late" | "/late-change" => {
            let is_change = path == "/late-change";
            tokio::spawn(async move {
                gate.pass().await;
                if is_change {
                    person.remove_role();
                }
                person.set_role("editor");
                person.set_name("Eve");
                let refused = person.save().await.map_err(|error| error.kind());
                person.set_name("late");
                let saved = person.save().await.is_ok();
                drop(person);
                assert_eq!((refused, saved), (Err(ErrorKind::HeadSent), true));
                gate.pass().await;
            });
        }
        other => panic!("there is no `{other}`"),
    }
    text("done")
}

/// Back to what the field has where nothing is stored.
fn lower(person: &mut TypedSession<Person>, path: &str) {
    if path.contains("in-place") {
        *person.level_mut() = 0;
    } else {
        person.set_level(0);
    }
}

async fn app(env: &TestEnvironment) -> (TestApp, Gate) {
    let gate = Gate::new();
    let inside = gate.clone();
    (env.app_answering(move |parts| answer(parts, inside.clone())).await, gate)
}

/// Somebody with a name and a right.
async fn admin(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.get("/name").await;
    browser.get("/grant").await;
    assert_eq!(browser.get("/read").await.text(), "Ada admin 0");
    app.calls.clear();
    browser
}

/// Granting, granting again, changing and taking away a right each bring a new secret, without being
/// asked for it, in one commit.
pub async fn a_right_changes_the_secret(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for (path, seen) in [
        ("/grant", "Ada admin 0"),
        ("/grant-other", "Ada editor 0"),
        ("/edit", "Ada admin! 0"),
        ("/level", "Ada admin 1"),
        ("/same-level", "Ada admin 0"),
        ("/reset-level", "Ada admin 0"),
        ("/revoke", "Ada - 0"),
        ("/take", "Ada - 0"),
        ("/clear", "- - 0"),
        ("/grant-and-save-twice", "Bea admin 0"),
    ] {
        let browser = admin(&app).await;
        let (id, stolen) = (record_of(&browser), browser.clone_jar());
        let before = app.load(id, &[]).await.expect("the record");
        let response = browser.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{path}");
        let commits = if path == "/grant-and-save-twice" { 2 } else { 1 };
        assert_eq!(app.calls.count(Operation::Commit), commits, "{path}");
        let after = app.load(id, &[]).await.expect("the record");
        assert_eq!(after.epoch, before.epoch + 1, "{path}");
        assert_eq!(record_of(&browser), id, "{path}");
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
        assert_eq!(stolen.get("/read").await.text(), "- - 0", "{path}");
    }
}

/// What changes no right leaves the secret alone.
pub async fn other_changes_leave_the_secret(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = admin(&app).await;
    for path in ["/read", "/look", "/name"] {
        assert!(browser.get(path).await.set_cookies().is_empty(), "{path}");
    }
    assert_eq!(app.calls.count(Operation::Commit), 0);
}

/// A new session has a new secret anyway, and a right that nobody has cannot be taken away.
pub async fn a_new_session_with_a_right_is_created_once(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = app.browser();
    for path in ["/revoke", "/take", "/clear"] {
        assert!(browser.get(path).await.set_cookies().is_empty(), "{path}");
    }
    let response = browser.get("/grant").await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!((app.calls.count(Operation::Create), app.calls.count(Operation::Commit)), (1, 0));
    assert_eq!(browser.get("/read").await.text(), "- admin 0");
}

/// Of many who change a right at once one wins; the others write nothing and get no cookie.
pub async fn of_many_grants_at_once_one_wins(env: TestEnvironment) {
    const TABS: usize = 8;
    let (app, gate) = app(&env).await;
    for _ in 0..10 {
        let browser = app.browser();
        browser.get("/name").await;
        let tabs: Vec<_> = (0..TABS)
            .map(|tab| {
                let (browser, path) =
                    (browser.fork(), if tab % 2 == 0 { "/wait/grant" } else { "/wait/level" });
                tokio::spawn(async move { browser.get(path).await })
            })
            .collect();
        for _ in 0..TABS {
            gate.arrived().await;
        }
        for _ in 0..TABS {
            gate.release();
        }
        let mut winners = 0;
        for tab in tabs {
            let response = tab.await.expect("an answer");
            let won = response.status() == 200;
            assert!(won || response.status() == 409, "{}", response.status());
            assert_eq!(response.set_cookies().len(), usize::from(won), "the loser replaces no cookie");
            winners += usize::from(won);
        }
        assert_eq!(winners, 1);
        let seen = browser.get("/read").await;
        assert!(["Ada admin 0", "Ada - 1"].contains(&seen.text()), "{}", seen.text());
        assert_eq!(app.load(record_of(&browser), &[]).await.expect("the record").epoch, 1);
    }
}

/// A request from before a right was granted has none of it, and writes nothing.
pub async fn a_request_from_before_a_grant_writes_nothing(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    for (path, status, seen) in [
        ("/wait/name", 409, "- admin 0"),
        ("/wait/level", 409, "- admin 0"),
        // But it takes away.
        ("/wait/revoke", 200, "- - 0"),
        ("/wait/clear", 409, "- - 0"),
    ] {
        let victim = app.browser();
        victim.get("/grant-other").await;
        let attacker = victim.clone_jar();
        let slow = tokio::spawn(async move { (attacker.get(path).await, attacker) });
        gate.arrived().await;
        victim.get("/grant").await;
        gate.release();
        let (response, attacker) = slow.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{path}");
        assert_eq!(attacker.get("/read").await.text(), "- - 0", "{path}");
        assert_eq!(victim.get("/read").await.text(), seen, "{path}");
    }
}

/// A request that fails grants nothing, and leaves the secret; but what it took away is gone.
pub async fn a_failing_request_grants_nothing_and_takes_away(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = app.browser();
    browser.get("/name").await;
    let cookie = browser.cookie(COOKIE);
    let response = browser.get("/grant-and-fail").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
    assert_eq!((browser.cookie(COOKIE), browser.get("/read").await.text()), (cookie, "Ada - 0"));
    let browser = admin(&app).await;
    let stolen = browser.clone_jar();
    let response = browser.get("/revoke-and-fail").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(browser.get("/read").await.text(), "Ada - 0");
    assert_eq!(stolen.get("/read").await.text(), "- - 0");
}

/// Setting a right to its default is its removal: it happens though the request fails, panics or goes away, and what is
/// stored then holds no right.
pub async fn a_right_that_is_set_to_its_default_is_taken_away(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    for path in [
        "/lower",
        "/lower-and-fail",
        "/lower-in-place-and-fail",
        "/lower-and-refuse",
        "/lower-and-panic",
        "/lower-in-place-and-panic",
        "/lower-and-wait",
        "/lower-in-place-and-wait",
    ] {
        let browser = app.browser();
        for path in ["/name", "/level"] {
            browser.get(path).await;
        }
        let (id, tab) = (record_of(&browser), browser.fork());
        assert!(app.load(id, &[]).await.expect("the record").credentials.holds_rights());
        let request = tokio::spawn(async move { tab.get(path).await });
        if path.ends_with("wait") {
            gate.arrived().await;
            request.abort();
        }
        let ended = request.await;
        let is_answered = !path.ends_with("wait") && !path.ends_with("panic");
        assert_eq!(
            ended.as_ref().map(|response| response.set_cookies().len()).ok(),
            is_answered.then_some(1),
            "{path}"
        );
        // The store is asked by a task that nobody can wait for any more.
        while app.stored(id, "level").await.is_some() {
            tokio::task::yield_now().await;
        }
        let loaded = app.load(id, &["name"]).await.expect("the record");
        assert!(!loaded.credentials.holds_rights(), "{path}");
        let name = if path == "/lower-and-refuse" { "\"Eve\"" } else { "\"Ada\"" };
        assert_eq!(loaded.fields.get("name").map(|json| &json[..]), Some(name.as_bytes()), "{path}");
    }
    // Nor is it one where none was.
    let browser = app.browser();
    browser.get("/name").await;
    browser.get("/lower").await;
    assert!(!app.load(record_of(&browser), &[]).await.expect("the record").credentials.holds_rights());
    let browser = admin(&app).await;
    assert_eq!(browser.get("/revoke-beside").await.status(), 200);
}

/// A request that is refused grants no right and brings no new secret; what else it changed is written.
pub async fn a_refused_request_grants_no_right(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    let browser = admin(&app).await;
    app.events();
    let response = browser.get("/grant-and-refuse").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (403, 0));
    assert_eq!(browser.get("/read").await.text(), "Eve admin 0");
    assert_eq!(app.stored(record_of(&browser), "score").await.as_deref(), Some("1.5"));
    let told = app.events().concat();
    assert!(told.contains("GrantDropped") && told.contains("role"), "{told}");
    let stranger = app.browser();
    stranger.get("/grant-and-refuse").await;
    assert_eq!(stranger.get("/read").await.text(), "Eve - 0");
}

/// What fails with it, an older name or a later grant do not bring back what was taken away.
pub async fn a_right_that_was_taken_away_stays_away(env: TestEnvironment) {
    let (app, _) = app(&env).await;
    for path in ["/revoke-and-spoil", "/revoke-then-grant-and-fail", "/revoke-and-grant-and-fail"] {
        let browser = admin(&app).await;
        let stolen = browser.clone_jar();
        let response = browser.get(path).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1), "{path}");
        assert_eq!(browser.get("/read").await.text(), "Ada - 0", "{path}");
        assert_eq!(stolen.get("/read").await.text(), "- - 0", "{path}");
    }
    let former = env
        .app_answering(|mut parts| async move {
            let mut former: TypedSession<Former> = session(&mut parts).await?;
            former.set_old_rank("boss");
            text("done")
        })
        .await;
    for path in ["/revoke-rank-and-fail", "/clear"] {
        let browser = former.browser();
        browser.get("/").await;
        let (browser, id) = (browser.at(&app.browser()), record_of(&browser));
        assert_eq!(browser.get(path).await.set_cookies().len(), 1, "{path}");
        assert_eq!(app.stored(id, "old_rank").await, None, "{path}");
    }
}

/// Once the head has left there is nobody to be given a new secret: a save with a right in it is refused
/// as a whole, and is not in the way of the next.
pub async fn a_late_right_is_refused(env: TestEnvironment) {
    // What it took away is gone.
    for (path, seen) in [("/late", "late admin 0"), ("/late-change", "late - 0")] {
        let (app, gate) = app(&env).await;
        let browser = admin(&app).await;
        browser.get(path).await;
        gate.arrived().await;
        gate.release();
        gate.arrived().await;
        gate.release();
        assert_eq!(browser.get("/read").await.text(), seen, "{path}");
    }
}

/// What a request leaves behind grants nothing after the browser has gone away.
pub async fn a_right_after_a_disconnect_is_refused(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    let browser = admin(&app).await;
    let tab = browser.fork();
    let request = tokio::spawn(async move { tab.get("/leave-behind-and-wait").await });
    gate.arrived().await;
    request.abort();
    assert!(request.await.is_err());
    gate.release();
    gate.arrived().await;
    gate.release();
    assert_eq!(app.calls.count(Operation::Commit), 0);
    assert_eq!(browser.get("/read").await.text(), "Ada admin 0");
}

/// A right that was taken away is gone, even if the handler panics after it or the browser goes away.
pub async fn a_right_that_was_taken_away_is_gone(env: TestEnvironment) {
    let (app, gate) = app(&env).await;
    for path in ["/revoke-and-panic", "/revoke-and-wait"] {
        let browser = admin(&app).await;
        let (id, tab) = (record_of(&browser), browser.fork());
        let request = tokio::spawn(async move { tab.get(path).await });
        if path == "/revoke-and-wait" {
            gate.arrived().await;
            request.abort();
        }
        assert!(request.await.is_err());
        // The store is asked by a task that nobody can wait for any more.
        while app.stored(id, "role").await.is_some() {
            tokio::task::yield_now().await;
        }
        let loaded = app.load(id, &["name"]).await.expect("the record");
        assert_eq!(loaded.fields.get("name").map(|json| &json[..]), Some(&b"\"Ada\""[..]), "{path}");
        assert_eq!(
            browser.get("/read").await.text(),
            "Ada - 0",
            "{path}: nobody was there to get another secret"
        );
    }
}
