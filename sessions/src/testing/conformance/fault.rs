//! Stores that fail, and records that another program wrote.

use super::{
    super::{Client, Faults, Gate, Operation},
    contract::{TIMEOUTS, delta, json},
    environment::{COOKIE, TestEnvironment, record_of, session},
    reply::text,
};
use crate::{Session, TypedSession, delta::Op, store::Commit};

/// A store that cannot be asked is 503, never an anonymous session in place of the real one.
pub async fn a_failed_load_is_503_and_changes_nothing(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let token = browser.cookie(COOKIE);
    for path in ["/name", "/set-name/x", "/rotate", "/end"] {
        app.faults.fail(Operation::Load, 1);
        let response = browser.get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert!(response.set_cookies().is_empty(), "{path}");
        assert!(app.events().iter().any(|event| event.contains("LoadFailed")), "{path}");
    }
    assert_eq!(app.calls.writes(), 0);
    assert_eq!(browser.cookie(COOKIE), token);
    assert_eq!(browser.get("/name").await.text(), "Ada");
    app.faults.fail(Operation::Load, 1);
    assert_eq!(browser.get("/nothing").await.status(), 200, "who takes no session needs no store");
    app.faults.clear();
}

/// What was not stored is not answered as if it were; the old data stay.
pub async fn a_failed_commit_is_an_error_and_keeps_the_old_data(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let (id, token) = (record_of(&browser), browser.cookie(COOKIE));
    let before = app.load(id, &["name", "count", "hits"]).await.expect("the record");
    for path in [
        "/change-some/x",
        "/hit",
        "/rotate-and-set-name/x",
        "/clear",
        "/set-name-and-redirect/x",
        "/fetch-hit",
    ] {
        app.faults.fail(Operation::Commit, 9);
        let response = browser.get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert!(response.set_cookies().is_empty() && response.header("location").is_none(), "{path}");
        assert!(app.events().iter().any(|event| event.contains("CommitFailed")), "{path} is reported");
        app.faults.clear();
    }
    let after = app.load(id, &["name", "count", "hits"]).await.expect("the record");
    assert_eq!(
        (after.credentials, after.epoch, after.fields),
        (before.credentials, before.epoch, before.fields)
    );
    assert_eq!(browser.cookie(COOKIE), token);
    assert_eq!(browser.get("/name").await.text(), "Ada");
}

/// A create that fails leaves no cookie, and a destroy that fails is not called a logout.
pub async fn a_failed_create_or_destroy_is_an_error(env: TestEnvironment) {
    let app = env.kit().await;
    app.faults.fail(Operation::Create, 1);
    let newcomer = app.browser();
    let response = newcomer.get("/set-name/Ada").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
    let browser = app.visitor("Ada").await;
    app.faults.fail(Operation::Destroy, 1);
    let response = browser.get("/end").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
    assert_eq!(browser.get("/name").await.text(), "Ada", "not ended, and not said to be");
    assert_eq!(browser.get("/end").await.status(), 200);
    assert_eq!(browser.get("/name").await.text(), "-");
}

/// A failed touch fails nobody's request.
pub async fn a_failed_touch_is_only_an_event(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    app.events();
    env.clock.advance(std::time::Duration::from_hours(2));
    app.faults.fail(Operation::Commit, 1);
    let response = browser.get("/name").await;
    assert_eq!((response.status().as_u16(), response.text()), (200, "Ada"));
    assert!(app.events().iter().any(|event| event.contains("CommitFailed")));
    browser.get("/name").await;
    assert_eq!(app.calls.count(Operation::Commit), 2, "the next request tries again");
}

/// An outcome that nobody knows is 503 without a cookie, whichever it was.
pub async fn an_unknown_outcome_is_reported(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let mut sum = 0;
    for lost in [true, false] {
        if lost {
            app.faults.lose_request(Operation::Commit);
        } else {
            app.faults.lose_answer(Operation::Commit);
            sum += 1;
        }
        let response = browser.get("/hit").await;
        assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
        assert!(app.events().iter().any(|event| event.contains("CommitFailed")));
        app.faults.clear();
        assert_eq!(browser.get("/hits").await.text(), sum.to_string(), "once, or not at all");
    }
    app.faults.lose_answer(Operation::Create);
    let response = app.browser().get("/set-name/x").await;
    assert_eq!((response.status().as_u16(), response.set_cookies().len()), (503, 0));
}

/// Every error that a layer answers with is one event, neither none nor two, that says what happened.
pub async fn each_error_answer_is_one_event(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let one = async |client: &Client, path: &str, status: u16, kind: &str| {
        app.events();
        let response = client.get(path).await;
        assert_eq!(response.status(), status, "{path}");
        let told = app.events();
        // What only says that a session is over is no report of an error, nor is the store's slowness.
        let is_error = |event: &&String| !event.starts_with("Superseded") && !event.starts_with("StoreSlow");
        let errors: Vec<_> = told.iter().filter(is_error).collect();
        assert!(errors.len() == 1 && errors[0].starts_with(kind), "{path} {status}: {told:?}");
        app.faults.clear();
    };
    app.faults.fail(Operation::Load, 1);
    one(&browser, "/set-name/x", 503, "LoadFailed").await;
    for path in ["/change-some/x", "/hit", "/rotate", "/fetch-hit", "/clear"] {
        app.faults.fail(Operation::Commit, 9);
        one(&browser, path, 503, "CommitFailed").await;
    }
    for lose in [Faults::lose_answer, Faults::lose_request] {
        lose(&app.faults, Operation::Commit);
        one(&browser, "/hit", 503, "CommitFailed").await;
    }
    app.faults.fail(Operation::Create, 1);
    one(&app.browser(), "/set-name/x", 503, "CommitFailed").await;
    app.faults.fail(Operation::Destroy, 1);
    one(&browser, "/end", 503, "CommitFailed").await;
    for (operation, path) in [(Operation::Commit, "/change-some/x"), (Operation::Destroy, "/end")] {
        app.faults.before(operation, || async { panic!("a store that panics") });
        one(&browser, path, 503, "CommitFailed").await;
    }
    let id = record_of(&browser);
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move {
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[("hits", Op::Put(json("\"x\"")))]));
        raw.commit(id, commit).await.expect("an answer");
    });
    one(&browser, "/add-hits/1", 500, "CommitFailed").await;
    one(&browser, "/fetch-hit", 500, "CommitFailed").await;
    browser.get("/set-hits/4").await;
    let old = browser.clone_jar();
    browser.get("/rotate").await;
    one(&old, "/set-name/x", 409, "Conflict").await;
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move { raw.destroy(id).await.expect("an answer") });
    one(&browser, "/change-some/x", 409, "Conflict").await;
}

/// So is one that comes with a second view, whose fields must be loaded.
pub async fn a_view_that_comes_too_late_is_one_event(env: TestEnvironment) {
    let gate = Gate::new();
    let inside = gate.clone();
    let app = env
        .app_answering(move |mut parts| {
            let gate = inside.clone();
            async move {
                let kit: TypedSession<super::kit::Kit> = session(&mut parts).await?;
                gate.pass().await;
                let other: TypedSession<super::kit::Other> = session(&mut parts).await?;
                text(format!("{:?} {:?}", kit.name(), other.theme()))
            }
        })
        .await;
    let kit = env.kit().await;
    let browser = kit.visitor("Ada").await;
    let tab = browser.at(&app.browser());
    let slow = tokio::spawn(async move { tab.get("/").await });
    gate.arrived().await;
    browser.get("/rotate").await;
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

/// The target of a redirect reads what was written before it.
pub async fn a_redirects_target_reads_the_write(env: TestEnvironment) {
    let (one, other) = (env.kit().await, env.kit().await);
    let browser = one.browser();
    for name in ["Ada", "Bea"] {
        let response = browser.get(&format!("/set-name-and-redirect/{name}")).await;
        assert_eq!(response.status(), 303);
        assert_eq!(browser.at(&other.browser()).follow(response).await.text(), name);
    }
}

/// A slow commit holds its response back: nobody reads the redirect before the data are there.
pub async fn the_head_waits_for_the_commit(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    let hold = app.faults.hold(Operation::Commit);
    let tab = browser.fork();
    let request = tokio::spawn(async move { tab.get("/set-name-and-redirect/Bea").await });
    hold.arrived().await;
    assert!(!request.is_finished());
    assert_eq!(browser.get("/name").await.text(), "Ada");
    hold.release();
    let response = request.await.expect("an answer");
    assert_eq!(browser.follow(response).await.text(), "Bea");
}

/// A value that does not decode is its field's default, with an event, and the others live.
pub async fn an_undecodable_value_resets_its_field_only(env: TestEnvironment) {
    let app = env.kit().await;
    let browser = app.visitor("Ada").await;
    browser.get("/set-count/3").await;
    let id = record_of(&browser);
    for bad in ["\"text\"", "null", "-1", "4294967296", "[3]", "3.5"] {
        write(&app, id, &[("count", Op::Put(json(bad)))]).await;
        app.events();
        assert_eq!(browser.get("/count").await.text(), "0", "{bad}");
        let events = app.events();
        assert!(events.iter().any(|event| event.contains("UndecodableField")), "{bad}: {events:?}");
        assert_eq!(browser.get("/name").await.text(), "Ada", "{bad}");
        browser.get("/set-name/Ada").await;
        assert_eq!(app.stored(id, "count").await.as_deref(), Some(bad), "it is not lost by looking");
    }
    browser.get("/set-count/8").await;
    assert_eq!(browser.get("/count").await.text(), "8");
}

/// A field declared so refuses the request instead, and stays as it is.
pub async fn an_undecodable_value_rejects_if_declared(env: TestEnvironment) {
    #[derive(Session)]
    struct Strict {
        #[session(on_invalid = "reject")]
        level: u32,
        name: Option<String>,
    }

    let app = env
        .app_answering(|mut parts| async move {
            let mut strict: TypedSession<Strict> = session(&mut parts).await?;
            if parts.uri.path() == "/set" {
                strict.set_level(3);
                strict.set_name("Ada");
            }
            text(strict.level().to_string())
        })
        .await;
    let browser = app.browser();
    browser.get("/set").await;
    assert_eq!(browser.get("/get").await.text(), "3");
    let id = record_of(&browser);
    write(&app, id, &[("level", Op::Put(json("\"admin\"")))]).await;
    for path in ["/get", "/set"] {
        let response = browser.get(path).await;
        assert_eq!(response.status(), 500, "{path}");
        assert!(!response.text().contains("admin"));
    }
    assert_eq!(app.stored(id, "level").await.as_deref(), Some("\"admin\""));
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
}

/// Records of an older program have fewer fields, those of a newer one more; both are kept.
pub async fn fields_of_other_programs_are_kept(env: TestEnvironment) {
    #[derive(Session)]
    struct Newer {
        name: Option<String>,
        #[session(default = 7)]
        level: u32,
        #[session(alias = "colour")]
        color: Option<String>,
    }

    let newer = env
        .app_answering(|mut parts| async move {
            let mut newer: TypedSession<Newer> = session(&mut parts).await?;
            if parts.uri.path() == "/paint" {
                newer.set_color("green");
            }
            text(format!("{:?} {} {:?}", newer.name(), newer.level(), newer.color()))
        })
        .await;
    let older = env.kit().await;
    let browser = older.visitor("Ada").await;
    let id = record_of(&browser);
    write(&older, id, &[("colour", Op::Put(json("\"red\""))), ("future", Op::Put(json("{\"a\":[1]}")))])
        .await;
    let there = browser.at(&newer.browser());
    assert_eq!(there.get("/").await.text(), "Some(\"Ada\") 7 Some(\"red\")");
    there.get("/paint").await;
    let fields = older.load(id, &["colour", "color", "future", "name"]).await.expect("the record").fields;
    assert_eq!(fields.get("color"), Some(&json("\"green\"")));
    assert!(!fields.contains("colour"), "a write takes the older name with it");
    browser.get("/set-name/Bea").await;
    let fields = older.load(id, &["color", "future"]).await.expect("the record").fields;
    assert_eq!(fields.get("future"), Some(&json("{\"a\":[1]}")));
    assert_eq!(there.get("/").await.text(), "Some(\"Bea\") 7 Some(\"green\")");
}

/// A counter that holds something else refuses to count: an error, and nothing else of the request
/// is written.
pub async fn a_bad_counter_fails_its_request_wholly(env: TestEnvironment) {
    let app = env
        .app_answering(|mut parts| async move {
            let mut kit: TypedSession<super::kit::Kit> = session(&mut parts).await?;
            kit.set_name("changed");
            kit.add_hits(1);
            text("done")
        })
        .await;
    let kit = env.kit().await;
    let browser = kit.visitor("Ada").await;
    let id = record_of(&browser);
    let raw = app.raw.clone();
    app.faults.before(Operation::Commit, move || async move {
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[("hits", Op::Put(json("\"x\"")))]));
        raw.commit(id, commit).await.expect("an answer");
    });
    assert_eq!(browser.at(&app.browser()).get("/").await.status(), 500);
    assert_eq!(app.stored(id, "name").await.as_deref(), Some("\"Ada\""));
    assert_eq!(app.stored(id, "hits").await.as_deref(), Some("\"x\""));
    browser.get("/set-hits/4").await;
    browser.get("/hit").await;
    assert_eq!(browser.get("/hits").await.text(), "5", "a set mends it");
}

async fn write(app: &super::environment::TestApp, id: crate::RecordId, ops: &[(&'static str, Op)]) {
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta(ops));
    let answer = app.raw.commit(id, commit).await.expect("an answer");
    assert!(matches!(answer, crate::store::CommitOutcome::Applied(_)), "{answer:?}");
}
