//! Fields that are rights: a change of one brings a new secret, in the same commit.

use std::future::pending;

use http::{StatusCode, request::Parts};

use super::{
    super::{Client, Gate, Operation},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    handler::{case, gated},
    reply::{status, text},
};
use crate::{ErrorKind, Session, TypedSession};

/// A visitor and their rights.
#[derive(Session)]
struct RoleHolder {
    name: Option<String>,
    #[session(privilege)]
    role: Option<String>,
    #[session(privilege)]
    level: u32,
    #[session(privilege, alias = "old_rank")]
    rank: Option<String>,
    score: f64,
}

/// A view that does not say that the role is a right.
#[derive(Session)]
struct CarelessHolder {
    role: Option<String>,
}

/// A right in an older program.
#[derive(Session)]
struct FormerRank {
    #[session(privilege)]
    old_rank: Option<String>,
}

type Visit = TypedSession<RoleHolder>;

async fn read(session: Visit) -> String {
    let (name, role) = (session.name().unwrap_or("-"), session.role().unwrap_or("-"));
    format!("{name} {role} {}", session.level())
}

async fn set_name(mut session: Visit) {
    session.set_name("Ada");
}

async fn grant(mut session: Visit) {
    session.set_role("admin");
}

async fn grant_another(mut session: Visit) {
    session.set_role("editor");
}

async fn raise(mut session: Visit) {
    *session.level_mut() += 1;
}

async fn revoke(mut session: Visit) {
    session.remove_role();
}

async fn take(mut session: Visit) {
    session.take_role();
}

async fn clear(session: Visit) {
    session.clear();
}

/// Returns a browser whose session has a name and a right.
async fn admin(app: &TestApp) -> Client {
    let browser = app.browser();
    browser.visit(set_name).await;
    browser.visit(grant).await;
    assert_eq!(browser.visit(read).await, "Ada admin 0");
    app.calls.clear();
    browser
}

/// Every change of a right brings a new secret by itself, in the same commit.
pub async fn a_right_changes_the_secret(env: TestEnvironment) {
    let app = env.app().await;
    let edit = async |mut session: Visit| session.role_mut().expect("a role").push('!');
    let grant_and_save_twice = async |mut session: Visit| {
        session.set_role("admin");
        session.save().await?;
        session.set_name("Bea");
        session.save().await
    };
    for (what, handler, commits, seen) in [
        ("the same grant", case(grant), 1, "Ada admin 0"),
        ("another grant", case(grant_another), 1, "Ada editor 0"),
        ("a change in place", case(edit), 1, "Ada admin! 0"),
        ("another level", case(raise), 1, "Ada admin 1"),
        (
            "the same level",
            case(async |mut session: Visit| session.set_level(session.level())),
            1,
            "Ada admin 0",
        ),
        ("a reset", case(async |mut session: Visit| session.reset_level()), 1, "Ada admin 0"),
        ("a removal", case(revoke), 1, "Ada - 0"),
        ("a take", case(take), 1, "Ada - 0"),
        ("a clear", case(clear), 1, "- - 0"),
        ("a grant and two saves", case(grant_and_save_twice), 2, "Bea admin 0"),
    ] {
        let browser = admin(&app).await;
        let (id, stolen) = (record_of(&browser), browser.clone_jar());
        let before = app.load(id, &[]).await.expect("the record");
        let response = browser.send(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (200, 1), "{what}");
        assert_eq!(app.calls.count(Operation::Commit), commits, "{what}");
        let after = app.load(id, &[]).await.expect("the record");
        assert_eq!(after.epoch, before.epoch + 1, "{what}");
        assert_eq!(record_of(&browser), id, "{what}");
        assert_eq!(browser.visit(read).await, seen, "{what}");
        assert_eq!(stolen.visit(read).await, "- - 0", "{what}");
    }
}

/// A request that changes no right leaves the secret as it is.
pub async fn other_changes_leave_the_secret(env: TestEnvironment) {
    let app = env.app().await;
    let browser = admin(&app).await;
    let look = async |mut session: Visit| {
        session.role_mut();
        *session.level_mut() += 0;
    };
    for (what, handler) in [("a read", case(read)), ("a look", case(look)), ("a name", case(set_name))] {
        assert!(browser.send(handler).await.set_cookies().is_empty(), "{what}");
    }
    assert_eq!(app.calls.count(Operation::Commit), 0);
}

/// A first right creates the session once, and the removal of a missing right creates none.
pub async fn a_new_session_with_a_right_is_created_once(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    for (what, handler) in [("a removal", case(revoke)), ("a take", case(take)), ("a clear", case(clear))] {
        assert!(browser.send(handler).await.set_cookies().is_empty(), "{what}");
    }
    let response = browser.send(grant).await;
    assert_eq!(response.set_cookies().len(), 1);
    assert_eq!((app.calls.count(Operation::Create), app.calls.count(Operation::Commit)), (1, 0));
    assert_eq!(browser.visit(read).await, "- admin 0");
}

/// Of many changes of a right at once one succeeds, and the others write nothing and send no cookie.
pub async fn of_many_grants_at_once_one_wins(env: TestEnvironment) {
    const TABS: usize = 8;
    let app = env.app().await;
    for _ in 0..10 {
        let (browser, gate) = (app.browser(), Gate::new());
        browser.visit(set_name).await;
        let tabs: Vec<_> = (0..TABS)
            .map(|tab| if tab % 2 == 0 { case(grant) } else { case(raise) })
            .map(|handler| tokio::spawn(browser.send(gated(&gate, handler))))
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
        let seen = browser.visit(read).await;
        assert!(["Ada admin 0", "Ada - 1"].contains(&seen.as_str()), "{seen}");
        assert_eq!(app.load(record_of(&browser), &[]).await.expect("the record").epoch, 1);
    }
}

/// A request from before a grant has nothing of it and writes nothing, but can take rights away.
pub async fn a_request_from_before_a_grant_writes_nothing(env: TestEnvironment) {
    let app = env.app().await;
    for (what, handler, status, seen) in [
        ("a name", case(set_name), 409, "- admin 0"),
        ("a level", case(raise), 409, "- admin 0"),
        ("a removal", case(revoke), 200, "- - 0"),
        ("a clear", case(clear), 409, "- - 0"),
    ] {
        let (victim, gate) = (app.browser(), Gate::new());
        victim.visit(grant_another).await;
        let attacker = victim.clone_jar();
        let slow = tokio::spawn(attacker.send(gated(&gate, handler)));
        gate.arrived().await;
        victim.visit(grant).await;
        gate.release();
        let response = slow.await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (status, 0), "{what}");
        assert_eq!(attacker.visit(read).await, "- - 0", "{what}");
        assert_eq!(victim.visit(read).await, seen, "{what}");
    }
}

/// A failing request grants no right and leaves the secret, but takes a right away.
pub async fn a_failing_request_grants_nothing_and_takes_away(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(set_name).await;
    let cookie = browser.cookie(COOKIE);
    let grant_and_fail = async |mut session: Visit| {
        session.set_name("Eve");
        session.set_role("admin");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let response = browser.send(grant_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 0));
    assert_eq!(browser.cookie(COOKIE), cookie);
    assert_eq!(browser.visit(read).await, "Ada - 0");
    let browser = admin(&app).await;
    let stolen = browser.clone_jar();
    let revoke_and_fail = async |mut session: Visit| {
        session.set_name("Eve");
        session.remove_role();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let response = browser.send(revoke_and_fail).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1));
    assert_eq!(browser.visit(read).await, "Ada - 0");
    assert_eq!(stolen.visit(read).await, "- - 0");
}

/// A right that is set to its default is removed, even if the request fails, panics or is dropped.
pub async fn a_right_that_is_set_to_its_default_is_taken_away(env: TestEnvironment) {
    type Lower = fn(&mut Visit);
    #[derive(PartialEq)]
    enum RequestEnd {
        Answered,
        Panicked,
        Dropped,
    }
    let app = env.app().await;
    let ways: [(&str, Lower); 2] =
        [("set", |session| session.set_level(0)), ("in place", |session| *session.level_mut() = 0)];
    for (how, lower) in ways {
        let gate = Gate::new();
        let waiting = gate.clone();
        let lower_and_answer = |code: u16| {
            case(async move |mut session: Visit| {
                session.set_name("Eve");
                lower(&mut session);
                StatusCode::from_u16(code).expect("a status")
            })
        };
        let lower_and_panic = async move |mut session: Visit| -> StatusCode {
            session.set_name("Eve");
            lower(&mut session);
            panic!("as the scenario wants it");
        };
        let lower_and_wait = async move |mut session: Visit| {
            session.set_name("Eve");
            lower(&mut session);
            waiting.pass().await;
        };
        for (what, handler, end, name) in [
            (
                "alone",
                case(async move |mut session: Visit| lower(&mut session)),
                RequestEnd::Answered,
                "\"Ada\"",
            ),
            ("failed", lower_and_answer(500), RequestEnd::Answered, "\"Ada\""),
            ("refused", lower_and_answer(403), RequestEnd::Answered, "\"Eve\""),
            ("panicked", case(lower_and_panic), RequestEnd::Panicked, "\"Ada\""),
            ("dropped", case(lower_and_wait), RequestEnd::Dropped, "\"Ada\""),
        ] {
            let browser = app.browser();
            browser.visit(set_name).await;
            browser.visit(raise).await;
            let id = record_of(&browser);
            assert!(app.load(id, &[]).await.expect("the record").credentials.holds_rights());
            let request = tokio::spawn(browser.send(handler));
            if end == RequestEnd::Dropped {
                gate.arrived().await;
                request.abort();
            }
            let cookies = request.await.map(|response| response.set_cookies().len()).ok();
            assert_eq!(cookies, (end == RequestEnd::Answered).then_some(1), "{how}, {what}");
            // The write is the work of a task that the scenario cannot await.
            while app.stored(id, "level").await.is_some() {
                tokio::task::yield_now().await;
            }
            let loaded = app.load(id, &["name"]).await.expect("the record");
            assert!(!loaded.credentials.holds_rights(), "{how}, {what}");
            let stored = loaded.fields.get("name").map(|json| &json[..]);
            assert_eq!(stored, Some(name.as_bytes()), "{how}, {what}");
        }
    }
    // The default of a right that was never set is no right either.
    let browser = app.browser();
    browser.visit(set_name).await;
    browser.visit(async |mut session: Visit| session.set_level(0)).await;
    assert!(!app.load(record_of(&browser), &[]).await.expect("the record").credentials.holds_rights());
    // A view that is taken after a removal or such a default sees it.
    let browser = admin(&app).await;
    browser.visit(raise).await;
    let lower_beside = async |mut parts: Parts| {
        let mut first: Visit = session(&mut parts).await?;
        first.set_level(0);
        first.remove_role();
        let second: Visit = session(&mut parts).await?;
        text(format!("{} {}", second.role().unwrap_or("-"), second.level()))
    };
    let response = browser.send(lower_beside).await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "- 0"));
}

/// A refused request grants no right and brings no new secret, but its other changes are written.
pub async fn a_refused_request_grants_no_right(env: TestEnvironment) {
    async fn grant_and_refuse(mut session: Visit) -> StatusCode {
        session.set_name("Eve");
        session.set_role("boss");
        session.set_score(1.5);
        StatusCode::FORBIDDEN
    }
    let app = env.app().await;
    let browser = admin(&app).await;
    app.events();
    let response = browser.send(grant_and_refuse).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (403, 0));
    assert_eq!(browser.visit(read).await, "Eve admin 0");
    assert_eq!(app.stored(record_of(&browser), "score").await.as_deref(), Some("1.5"));
    let told = app.events().concat();
    assert!(told.contains("GrantDropped") && told.contains("role"), "{told}");
    let stranger = app.browser();
    stranger.send(grant_and_refuse).await;
    assert_eq!(stranger.visit(read).await, "Eve - 0");
}

/// A value that cannot be stored, a later grant or an older name does not bring a removed right back.
///
/// Nor does a next value of the right that is too large, even by an instance that has met no view that declares it.
pub async fn a_right_that_was_taken_away_stays_away(env: TestEnvironment) {
    let app = env.app().await;
    let revoke_and_spoil = async |mut parts: Parts| {
        let mut view: Visit = session(&mut parts).await?;
        view.remove_role();
        view.set_score(f64::NAN);
        text("done")
    };
    let revoke_then_grant = async |mut parts: Parts| {
        let mut first: Visit = session(&mut parts).await?;
        first.remove_role();
        drop(first);
        let mut second: Visit = session(&mut parts).await?;
        second.set_role("viewer");
        status(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let revoke_and_grant = async |mut parts: Parts| {
        let mut view: Visit = session(&mut parts).await?;
        view.remove_role();
        view.set_role("viewer");
        status(StatusCode::INTERNAL_SERVER_ERROR)
    };
    for (what, handler) in [
        ("beside a value that cannot be stored", case(revoke_and_spoil)),
        ("before a grant of another handle", case(revoke_then_grant)),
        ("before a grant", case(revoke_and_grant)),
    ] {
        let browser = admin(&app).await;
        let stolen = browser.clone_jar();
        let response = browser.send(handler).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1), "{what}");
        assert_eq!(browser.visit(read).await, "Ada - 0", "{what}");
        assert_eq!(stolen.visit(read).await, "- - 0", "{what}");
    }
    let former = env.app().await;
    let revoke_rank_and_fail = async |mut session: Visit| {
        session.remove_rank();
        StatusCode::INTERNAL_SERVER_ERROR
    };
    for (what, handler) in [("a removal that fails", case(revoke_rank_and_fail)), ("a clear", case(clear))] {
        let browser = former.browser();
        browser.visit(async |mut session: TypedSession<FormerRank>| session.set_old_rank("boss")).await;
        let (browser, id) = (browser.at(&app.browser()), record_of(&browser));
        assert_eq!(browser.send(handler).await.set_cookies().len(), 1, "{what}");
        assert_eq!(app.stored(id, "old_rank").await, None, "{what}");
    }
    let limited = || env.app_with(|layer| layer.with_size_limits(100, 1000));
    let revoke_and_grow = async |mut session: Visit| {
        session.remove_role();
        session.set_role("x".repeat(200));
    };
    let revoke_and_grow_carelessly = async |mut session: TypedSession<CarelessHolder>| {
        session.remove_role();
        session.set_role("x".repeat(200));
    };
    for is_declared in [true, false] {
        let (app, careless) = (limited().await, limited().await);
        let browser = admin(&app).await;
        let stolen = browser.clone_jar();
        let response = if is_declared {
            browser.send(revoke_and_grow).await
        } else {
            browser.at(&careless.browser()).send(revoke_and_grow_carelessly).await
        };
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (500, 1), "{is_declared}");
        assert_eq!(browser.visit(read).await, "Ada - 0", "{is_declared}");
        assert_eq!(stolen.visit(read).await, "- - 0", "{is_declared}");
    }
}

/// A save of a grant after the head is refused as a whole, and the next save succeeds.
pub async fn a_late_right_is_refused(env: TestEnvironment) {
    // A removal before the refused grant is written.
    for (removes, seen) in [(false, "late admin 0"), (true, "late - 0")] {
        let (app, gate) = (env.app().await, Gate::new());
        let browser = admin(&app).await;
        let inside = gate.clone();
        let grant_late = async move |mut session: Visit| {
            tokio::spawn(async move {
                inside.pass().await;
                if removes {
                    session.remove_role();
                }
                session.set_role("editor");
                session.set_name("Eve");
                let refused = session.save().await.map_err(|error| error.kind());
                session.set_name("late");
                let saved = session.save().await.is_ok();
                drop(session);
                assert_eq!((refused, saved), (Err(ErrorKind::HeadSent), true));
                inside.pass().await;
            });
        };
        browser.visit(grant_late).await;
        gate.arrived().await;
        gate.release();
        gate.arrived().await;
        gate.release();
        assert_eq!(browser.visit(read).await, seen, "with a removal: {removes}");
    }
}

/// A task that outlives its disconnected request grants no right.
pub async fn a_right_after_a_disconnect_is_refused(env: TestEnvironment) {
    let (app, gate) = (env.app().await, Gate::new());
    let browser = admin(&app).await;
    let inside = gate.clone();
    let leave_behind = async move |mut session: Visit| {
        tokio::spawn(async move {
            inside.pass().await;
            session.set_role("editor");
            let refused = session.save().await.map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::HeadSent));
            inside.pass().await;
        });
        pending::<()>().await;
    };
    let request = tokio::spawn(browser.send(leave_behind));
    gate.arrived().await;
    request.abort();
    assert!(request.await.is_err());
    gate.release();
    gate.arrived().await;
    gate.release();
    assert_eq!(app.calls.count(Operation::Commit), 0);
    assert_eq!(browser.visit(read).await, "Ada admin 0");
}

/// A right that was taken away is gone, even if the handler then panics or the browser disconnects.
pub async fn a_right_that_was_taken_away_is_gone(env: TestEnvironment) {
    let (app, gate) = (env.app().await, Gate::new());
    let inside = gate.clone();
    let revoke_and_panic = async |mut session: Visit| -> StatusCode {
        session.set_name("Eve");
        session.remove_role();
        panic!("as the scenario wants it");
    };
    let revoke_and_wait = async move |mut session: Visit| {
        session.set_name("Eve");
        session.remove_role();
        inside.pass().await;
    };
    for (what, handler, waits) in
        [("a panic", case(revoke_and_panic), false), ("a disconnect", case(revoke_and_wait), true)]
    {
        let browser = admin(&app).await;
        let id = record_of(&browser);
        let request = tokio::spawn(browser.send(handler));
        if waits {
            gate.arrived().await;
            request.abort();
        }
        assert!(request.await.is_err());
        // The write is the work of a task that the scenario cannot await.
        while app.stored(id, "role").await.is_some() {
            tokio::task::yield_now().await;
        }
        let loaded = app.load(id, &["name"]).await.expect("the record");
        assert_eq!(loaded.fields.get("name").map(|json| &json[..]), Some(&b"\"Ada\""[..]), "{what}");
        assert_eq!(browser.visit(read).await, "Ada - 0", "{what}: no response could bring another secret");
    }
}
