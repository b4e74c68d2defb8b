//! Stores that fail, and records that another program wrote.

use std::time::Duration;

use http::request::Parts;

use super::{
    super::{Client, Faults, Gate, Operation},
    contract::{TIMEOUTS, delta, json},
    environment::{COOKIE, TestApp, TestEnvironment, record_of, session},
    handler::{Case, case},
    reply::redirect,
};
use crate::{
    Session, TypedSession,
    delta::Op,
    error::Error,
    rejection::SessionRejection,
    store::{Commit, CommitOutcome},
    value::RecordId,
};

#[derive(Session)]
struct Customer {
    name: Option<String>,
    count: u32,
    #[session(merge = "add")]
    hits: i64,
}

/// Another view of the same session.
#[derive(Session)]
struct ThemedCustomer {
    name: Option<String>,
    theme: Option<String>,
}

type Visit = TypedSession<Customer>;
type ThemedVisit = TypedSession<ThemedCustomer>;

/// Returns the name, or `-` without one.
async fn name(session: Visit) -> String {
    session.name().unwrap_or("-").to_owned()
}

async fn count(session: Visit) -> u32 {
    session.count()
}

async fn hits(session: Visit) -> i64 {
    session.hits()
}

async fn set_name(mut session: Visit) {
    session.set_name("x");
}

/// Changes two fields, so that a commit of one would show.
async fn change_two_fields(mut session: Visit) {
    session.set_name("x");
    session.set_count(session.count() + 1);
}

/// Returns a handler that sets the name and redirects to a page that shows it.
fn set_name_and_redirect(name: &'static str) -> Case<Visit> {
    case(async move |mut session: Visit| {
        session.set_name(name);
        redirect("/name")
    })
}

async fn hit(mut session: Visit) {
    *session.hits_mut() += 1;
}

async fn fetch_add(mut session: Visit) -> Result<String, Error> {
    session.fetch_add_hits(1).await.map(|hits| hits.to_string())
}

async fn rotate(session: Visit) {
    session.rotate();
}

async fn clear(session: Visit) {
    session.clear();
}

async fn destroy(session: Visit) {
    session.destroy();
}

/// A failed load is a 503, and never an anonymous session in place of the real one.
pub async fn a_failed_load_is_503_and_changes_nothing(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE);
    for (what, handler) in [
        ("a read", case(name)),
        ("a change", case(set_name)),
        ("a rotation", case(rotate)),
        ("a destroy", case(destroy)),
    ] {
        app.faults.fail(Operation::Load, 1);
        let response = browser.send(handler).await;
        assert_eq!(response.status(), 503, "{what}");
        assert!(response.set_cookies().is_empty(), "{what}");
        assert!(app.events().iter().any(|event| event.contains("LoadFailed")), "{what}");
    }
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.cookie(COOKIE), token);
    assert_eq!(browser.visit(name).await, "Ada");
    app.faults.fail(Operation::Load, 1);
    let without_session = browser.send(async || ()).await;
    assert_eq!(without_session.status(), 200, "a handler that takes no session needs no store");
    app.faults.clear();
}

/// A failed commit is an error response, and the old data stay.
pub async fn a_failed_commit_is_an_error_and_keeps_the_old_data(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let (id, token) = (record_of(&browser), browser.cookie(COOKIE));
    let before = app.load(id, &["name", "count", "hits"]).await.expect("the record");
    let rotate_and_set_name = async |mut session: Visit| {
        session.rotate();
        session.set_name("x");
    };
    for (what, handler) in [
        ("a change of two fields", case(change_two_fields)),
        ("an addition", case(hit)),
        ("a rotation and a change", case(rotate_and_set_name)),
        ("a clear", case(clear)),
        ("a change and a redirect", set_name_and_redirect("x")),
        ("a fetched addition", case(fetch_add)),
    ] {
        app.faults.fail(Operation::Commit, 9);
        let response = browser.send(handler).await;
        assert_eq!(response.status(), 503, "{what}");
        assert!(response.set_cookies().is_empty() && response.header("location").is_none(), "{what}");
        assert!(app.events().iter().any(|event| event.contains("CommitFailed")), "{what} is reported");
        app.faults.clear();
    }
    let after = app.load(id, &["name", "count", "hits"]).await.expect("the record");
    assert_eq!(
        (after.credentials, after.epoch, after.fields),
        (before.credentials, before.epoch, before.fields)
    );
    assert_eq!(browser.cookie(COOKIE), token);
    assert_eq!(browser.visit(name).await, "Ada");
}

/// A failed create leaves no cookie, and a failed destroy is not called a logout.
pub async fn a_failed_create_or_destroy_is_an_error(env: TestEnvironment) {
    let app = env.app().await;
    app.faults.fail(Operation::Create, 1);
    let newcomer = app.browser();
    let response = newcomer.send(set_name).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
    let browser = app.visitor("Ada").await;
    app.faults.fail(Operation::Destroy, 1);
    let response = browser.send(destroy).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
    assert_eq!(browser.visit(name).await, "Ada", "not ended, and not said to be");
    browser.visit(destroy).await;
    assert_eq!(browser.visit(name).await, "-");
}

/// A failed touch is an event, and fails no request.
pub async fn a_failed_touch_is_only_an_event(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    app.events();
    env.clock.advance(Duration::from_hours(2));
    app.faults.fail(Operation::Commit, 1);
    assert_eq!(browser.visit(name).await, "Ada");
    assert!(app.events().iter().any(|event| event.contains("CommitFailed")));
    browser.visit(name).await;
    assert_eq!(app.calls.count(Operation::Commit), 2, "the next request tries again");
}

/// A commit or create of unknown outcome is a 503 without a cookie, applied or not.
pub async fn an_unknown_outcome_is_reported(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let mut sum = 0;
    for is_request_lost in [true, false] {
        if is_request_lost {
            app.faults.lose_request(Operation::Commit);
        } else {
            app.faults.lose_answer(Operation::Commit);
            sum += 1;
        }
        let response = browser.send(hit).await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
        assert!(app.events().iter().any(|event| event.contains("CommitFailed")));
        app.faults.clear();
        assert_eq!(browser.visit(hits).await, sum, "once, or not at all");
    }
    app.faults.lose_answer(Operation::Create);
    let response = app.browser().send(set_name).await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
}

/// Every error response of a layer is one event that says what happened, neither none nor two.
pub async fn each_error_answer_is_one_event(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let one = async |client: &Client, what: &str, handler: Case<Visit>, status: u16, kind: &str| {
        app.events();
        let response = client.send(handler).await;
        assert_eq!(response.status(), status, "{what}");
        let told = app.events();
        // What only says that a session is over is no report of an error, nor is the store's slowness.
        let is_error = |event: &&String| !event.starts_with("Superseded") && !event.starts_with("StoreSlow");
        let errors: Vec<_> = told.iter().filter(is_error).collect();
        assert!(errors.len() == 1 && errors[0].starts_with(kind), "{what} {status}: {told:?}");
        app.faults.clear();
    };
    app.faults.fail(Operation::Load, 1);
    one(&browser, "a failed load", case(set_name), 503, "LoadFailed").await;
    for (what, handler) in [
        ("a change of two fields", case(change_two_fields)),
        ("an addition", case(hit)),
        ("a rotation", case(rotate)),
        ("a fetched addition", case(fetch_add)),
        ("a clear", case(clear)),
    ] {
        app.faults.fail(Operation::Commit, 9);
        one(&browser, what, handler, 503, "CommitFailed").await;
    }
    for lose in [Faults::lose_answer, Faults::lose_request] {
        lose(&app.faults, Operation::Commit);
        one(&browser, "an unknown outcome", case(hit), 503, "CommitFailed").await;
    }
    app.faults.fail(Operation::Create, 1);
    one(&app.browser(), "a failed create", case(set_name), 503, "CommitFailed").await;
    app.faults.fail(Operation::Destroy, 1);
    one(&browser, "a failed destroy", case(destroy), 503, "CommitFailed").await;
    for (operation, handler) in
        [(Operation::Commit, case(change_two_fields)), (Operation::Destroy, case(destroy))]
    {
        app.faults.before(operation, || async { panic!("a store that panics") });
        one(&browser, &format!("{operation:?} panics"), handler, 503, "CommitFailed").await;
        assert_eq!(browser.visit(name).await, "Ada", "{operation:?} panics");
    }
    let id = record_of(&browser);
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move {
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[("hits", Op::Put(json("\"x\"")))]));
        raw.commit(id, commit).await.expect("an answer");
    });
    let add = case(async |mut session: Visit| session.add_hits(1));
    one(&browser, "an addition to text", add, 500, "CommitFailed").await;
    one(&browser, "a fetched addition to text", case(fetch_add), 500, "CommitFailed").await;
    browser.visit(async |mut session: Visit| session.set_hits(4)).await;
    let old = browser.clone_jar();
    browser.visit(rotate).await;
    one(&old, "a change with an old secret", case(set_name), 409, "Conflict").await;
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move { raw.destroy(id).await.expect("an answer") });
    one(&browser, "a change after the end", case(change_two_fields), 409, "Conflict").await;
}

/// A second view whose load conflicts is one event too.
pub async fn a_view_that_comes_too_late_is_one_event(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    let browser = other.visitor("Ada").await;
    let gate = Gate::new();
    let between = gate.clone();
    let take_two_views = async move |mut parts: Parts| {
        let customer: Visit = session(&mut parts).await?;
        between.pass().await;
        let themed: ThemedVisit = session(&mut parts).await?;
        Ok::<_, SessionRejection>(format!("{:?} {:?}", customer.name(), themed.theme()))
    };
    let slow = tokio::spawn(browser.at(&app.browser()).send(take_two_views));
    gate.arrived().await;
    browser.visit(rotate).await;
    app.events();
    gate.release();
    let response = slow.await.expect("an answer");
    let events = app.events();
    match response.status().as_u16() {
        // A store that reads all fields at once has them.
        200 => assert!(events.is_empty(), "{events:?}"),
        status => {
            assert!(status == 409 && events.len() == 1 && events[0].starts_with("Conflict"), "{events:?}");
        }
    }
}

/// The target of a redirect reads what was written before it, at another instance too.
pub async fn a_redirects_target_reads_the_write(env: TestEnvironment) {
    let (one, other) = (env.app().await, env.app().await);
    let browser = one.browser();
    for written in ["Ada", "Bea"] {
        let response = browser.send(set_name_and_redirect(written)).await;
        assert_eq!((response.status().as_u16(), response.header("location")), (303, Some("/name")));
        assert_eq!(browser.at(&other.browser()).visit(name).await, written);
    }
}

/// A slow commit holds its response back: no browser follows the redirect before the data are there.
pub async fn the_head_waits_for_the_commit(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    let hold = app.faults.hold(Operation::Commit);
    let request = tokio::spawn(browser.send(set_name_and_redirect("Bea")));
    hold.arrived().await;
    assert!(!request.is_finished());
    assert_eq!(browser.visit(name).await, "Ada");
    hold.release();
    let response = request.await.expect("an answer");
    assert_eq!((response.status().as_u16(), response.header("location")), (303, Some("/name")));
    assert_eq!(browser.visit(name).await, "Bea");
}

/// A value that does not decode is its field's default, with an event, and the other fields stay.
pub async fn an_undecodable_value_resets_its_field_only(env: TestEnvironment) {
    let app = env.app().await;
    let browser = app.visitor("Ada").await;
    browser.visit(async |mut session: Visit| session.set_count(3)).await;
    let id = record_of(&browser);
    for bad in ["\"text\"", "null", "-1", "4294967296", "[3]", "3.5"] {
        write(&app, id, &[("count", Op::Put(json(bad)))]).await;
        app.events();
        assert_eq!(browser.visit(count).await, 0, "{bad}");
        let events = app.events();
        assert!(events.iter().any(|event| event.contains("UndecodableField")), "{bad}: {events:?}");
        assert_eq!(browser.visit(name).await, "Ada", "{bad}");
        browser.visit(async |mut session: Visit| session.set_name("Ada")).await;
        assert_eq!(app.stored(id, "count").await.as_deref(), Some(bad), "it is not lost by looking");
    }
    browser.visit(async |mut session: Visit| session.set_count(8)).await;
    assert_eq!(browser.visit(count).await, 8);
}

/// A field that is declared so refuses the request if its value does not decode, and the value stays.
pub async fn an_undecodable_value_rejects_if_declared(env: TestEnvironment) {
    #[derive(Session)]
    struct StrictCustomer {
        #[session(on_invalid = "reject")]
        level: u32,
        name: Option<String>,
    }

    async fn level(strict: TypedSession<StrictCustomer>) -> String {
        strict.level().to_string()
    }
    async fn set_both(mut strict: TypedSession<StrictCustomer>) {
        strict.set_level(3);
        strict.set_name("Ada");
    }
    let app = env.app().await;
    let browser = app.browser();
    browser.visit(set_both).await;
    assert_eq!(browser.visit(level).await, "3");
    let id = record_of(&browser);
    write(&app, id, &[("level", Op::Put(json("\"admin\"")))]).await;
    for (what, handler) in [("a read", case(level)), ("a change", case(set_both))] {
        let response = browser.send(handler).await;
        assert_eq!(response.status(), 500, "{what}");
        assert!(!response.text().contains("admin"));
    }
    assert_eq!(app.stored(id, "level").await.as_deref(), Some("\"admin\""));
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
}

/// A record of an older program lacks fields and one of a newer program has more; both are kept.
pub async fn fields_of_other_programs_are_kept(env: TestEnvironment) {
    #[derive(Session)]
    struct NewerCustomer {
        name: Option<String>,
        #[session(default = 7)]
        level: u32,
        #[session(alias = "colour")]
        color: Option<String>,
        #[session(merge = "max", alias = "best")]
        top: i64,
        #[session(merge = "first", alias = "word")]
        first_word: Option<String>,
    }

    async fn look(newer: TypedSession<NewerCustomer>) -> String {
        format!("{:?} {} {:?}", newer.name(), newer.level(), newer.color())
    }
    let (older, newer) = (env.app().await, env.app().await);
    let browser = older.visitor("Ada").await;
    let id = record_of(&browser);
    write(&older, id, &[("colour", Op::Put(json("\"red\""))), ("future", Op::Put(json("{\"a\":[1]}")))])
        .await;
    let there = browser.at(&newer.browser());
    assert_eq!(there.visit(look).await, "Some(\"Ada\") 7 Some(\"red\")");
    there.visit(async |mut newer: TypedSession<NewerCustomer>| newer.set_color("green")).await;
    let fields = older.load(id, &["colour", "color", "future", "name"]).await.expect("the record").fields;
    assert_eq!(fields.get("color"), Some(&json("\"green\"")));
    assert!(!fields.contains("colour"), "a write takes the older name with it");
    browser.visit(async |mut session: Visit| session.set_name("Bea")).await;
    let fields = older.load(id, &["color", "future"]).await.expect("the record").fields;
    assert_eq!(fields.get("future"), Some(&json("{\"a\":[1]}")));
    assert_eq!(there.visit(look).await, "Some(\"Bea\") 7 Some(\"green\")");
    // What is stored under an older name takes part in the field's merge.
    write(&older, id, &[("best", Op::Put(json("100"))), ("word", Op::Put(json("\"one\"")))]).await;
    let edit = async |mut newer: TypedSession<NewerCustomer>| {
        *newer.top_mut() = 50;
        "two".clone_into(newer.first_word_mut().expect("the older word"));
    };
    there.visit(edit).await;
    let merged =
        async |newer: TypedSession<NewerCustomer>| (newer.top(), newer.first_word().map(str::to_owned));
    assert_eq!(there.visit(merged).await, (100, Some("one".to_owned())));
}

/// A counter that holds another type refuses to count: its request fails and writes nothing.
pub async fn a_bad_counter_fails_its_request_wholly(env: TestEnvironment) {
    let (app, other) = (env.app().await, env.app().await);
    let browser = other.visitor("Ada").await;
    let id = record_of(&browser);
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move {
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[("hits", Op::Put(json("\"x\"")))]));
        raw.commit(id, commit).await.expect("an answer");
    });
    let change_and_count = async |mut session: Visit| {
        session.set_name("changed");
        session.add_hits(1);
    };
    assert_eq!(browser.at(&app.browser()).send(change_and_count).await.status(), 500);
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
    assert_eq!(app.stored(id, "hits").await.as_deref(), Some("\"x\""));
    browser.visit(async |mut session: Visit| session.set_hits(4)).await;
    browser.visit(hit).await;
    assert_eq!(browser.visit(hits).await, 5, "a set mends it");
}

async fn write(app: &TestApp, id: RecordId, ops: &[(&'static str, Op)]) {
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta(ops));
    let answer = app.raw.commit(id, commit).await.expect("an answer");
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
}
