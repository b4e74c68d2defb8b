//! What is written when fields change, and that nothing else is.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{
    super::{Call, Operation, RecordedChange},
    environment::{TestApp, TestEnvironment, at_once, record_of, session},
    reply::text,
};
use crate::{Session, TypedSession, value::FieldName};

/// Twenty requests at once, each with a field of its own, through two instances: all survive.
pub async fn different_fields_at_once_all_survive(env: TestEnvironment) {
    let barrier = Arc::new(Barrier::new(20));
    let (one, other) = (wide(&env, &barrier).await, wide(&env, &barrier).await);
    let mut kept = 0;
    for round in 1..=100_u32 {
        let browser = one.browser();
        browser.get(&format!("/begin/0/{round}")).await;
        let tabs = (0..20).map(|field| {
            let app = if field % 2 == 0 { &one } else { &other };
            let tab = browser.at(&app.browser());
            async move { tab.get(&format!("/set/{field}/{round}")).await.status().as_u16() }
        });
        let statuses = at_once(tabs).await;
        assert_eq!(statuses, [200; 20], "round {round}");
        let stored = one.load(record_of(&browser), &NAMES).await.expect("the record");
        let expected = round.to_string();
        kept += NAMES
            .iter()
            .filter(|name| stored.fields.get(name).is_some_and(|value| *value == expected))
            .count();
    }
    assert_eq!(kept, 2000);
}

/// What is set and removed in one request is not sent; what is removed and set is one put.
pub async fn operations_of_one_request_fold(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    visitor.get("/remove-name").await;
    app.calls.clear();
    visitor.get("/set-and-remove-name/x").await;
    assert_eq!(app.calls.writes(), 0);
    visitor.get("/set-name/Ada").await;
    app.calls.clear();
    visitor.get("/remove-and-set-name/Bea").await;
    assert_eq!(only_commit(&app), [put("name", 5)]);
    app.calls.clear();
    visitor.get("/remove-and-set-name/Bea").await;
    assert_eq!(app.calls.writes(), 0, "it ends as it was loaded");
}

/// A removed field is not in the store any more, and `clear` leaves none.
pub async fn a_removed_field_leaves_the_store(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    visitor.get("/set-count/3").await;
    let id = record_of(&visitor);
    visitor.get("/remove-name").await;
    let names = ["name", "count"];
    let stored = app.load(id, &names).await.expect("the record");
    assert!(!stored.fields.contains("name") && stored.fields.contains("count"));
    visitor.get("/clear").await;
    let stored = app.load(id, &names).await.expect("a cleared session goes on");
    assert!(!stored.fields.contains("name") && !stored.fields.contains("count"));
    assert_eq!(visitor.get("/count").await.text(), "0");
}

/// A change deep inside a value is saved.
pub async fn a_nested_change_in_place_is_saved(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    visitor.get("/nest/first").await;
    visitor.get("/nest/second").await;
    assert_eq!(visitor.get("/lines").await.text(), "first,second");
    visitor.get("/push-tag/a").await;
    visitor.get("/push-tag/b").await;
    assert_eq!(visitor.get("/tags").await.text(), "a,b");
}

/// Lending a value out is no change, nor is an equal value.
pub async fn what_ends_equal_is_not_written(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    visitor.get("/set-count/3").await;
    visitor.get("/push-tag/a").await;
    app.calls.clear();
    for path in ["/tags-same", "/set-name/Ada", "/set-count/3", "/add-hits/0"] {
        visitor.get(path).await;
        assert_eq!(app.calls.writes(), 0, "{path}");
    }
}

/// Writing one field leaves the bytes of the others alone, those of other programs too.
pub async fn other_fields_keep_their_bytes(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    visitor.get("/push-tag/a").await;
    visitor.get("/nest/line").await;
    visitor.get("/flash/hello").await;
    let id = record_of(&visitor);
    let others = ["name", "tags", "profile", "notice", "hits"];
    let before = app.load(id, &others).await.expect("the record").fields;
    visitor.get("/set-count/9").await;
    let after = app.load(id, &others).await.expect("the record").fields;
    for name in others {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
}

/// A field changed costs a load and a commit that carries that field only.
pub async fn one_changed_field_costs_one_load_and_one_commit(env: TestEnvironment) {
    let app = env.kit().await;
    let visitor = app.visitor("Ada").await;
    visitor.get("/push-tag/a").await;
    let changes = [
        ("/set-count/12", "count", "put"),
        ("/count-up", "count", "put"),
        ("/add-hits/2", "hits", "add"),
        ("/hit", "hits", "add"),
        ("/set-best/4", "best", "max"),
        ("/set-least/4", "least", "min"),
        ("/set-origin/x", "origin", "put_if_absent"),
        ("/flash/x", "notice", "put"),
        ("/take-notice", "notice", "remove_if"),
        ("/remove-name", "name", "remove"),
    ];
    for (path, name, operation) in changes {
        app.calls.clear();
        assert_eq!(visitor.get(path).await.status(), 200, "{path}");
        assert_eq!(app.calls.count(Operation::Load), 1, "{path}");
        assert_eq!(app.calls.writes(), 1, "{path}");
        let written = only_commit(&app);
        let written: Vec<_> = written.iter().map(|change| (change.name.as_str(), change.operation)).collect();
        assert_eq!(written, [(name, operation)], "{path}");
    }
    app.calls.clear();
    visitor.get("/name").await;
    let [Call::Load { .. }] = app.calls()[..] else { panic!("{:?}", app.calls) };
}

/// A first change costs one create, which carries what was set and nothing else.
pub async fn a_new_session_costs_one_create(env: TestEnvironment) {
    let app = env.kit().await;
    app.browser().get("/set-name/Ada").await;
    let calls = app.calls();
    assert_eq!(calls[0].operation(), Operation::Create);
    assert_eq!(calls[0].changes(), [put("name", 5)]);
    assert_eq!((app.calls.count(Operation::Load), app.calls.writes()), (0, 1));
}

fn only_commit(app: &TestApp) -> Vec<RecordedChange> {
    let calls = app.calls();
    let mut commits = calls.iter().filter(|call| call.operation() == Operation::Commit);
    let commit = commits.next().expect("a commit");
    assert!(commits.next().is_none(), "one commit: {calls:?}");
    commit.changes().to_vec()
}

fn put(name: &'static str, bytes: usize) -> RecordedChange {
    RecordedChange { name: FieldName::from_static(name), operation: "put", bytes }
}

/// Twenty fields that twenty requests change at once.
macro_rules! wide {
    ($($field:ident $setter:ident)*) => {
        #[derive(Session)]
        struct Wide {
            $($field: u32,)*
        }

        const NAMES: [&str; 20] = [$(stringify!($field)),*];
        const SETTERS: [fn(&mut TypedSession<Wide>, u32); 20] = [$(|session, value| session.$setter(value)),*];
    };
}

wide! {
    f0 set_f0 f1 set_f1 f2 set_f2 f3 set_f3 f4 set_f4 f5 set_f5 f6 set_f6 f7 set_f7 f8 set_f8 f9 set_f9
    f10 set_f10 f11 set_f11 f12 set_f12 f13 set_f13 f14 set_f14 f15 set_f15 f16 set_f16 f17 set_f17
    f18 set_f18 f19 set_f19
}

/// `/set/<field>/<value>` meets nineteen others between load and commit, across instances.
async fn wide(env: &TestEnvironment, barrier: &Arc<Barrier>) -> TestApp {
    let barrier = Arc::clone(barrier);
    env.app_answering(move |mut parts| {
        let barrier = Arc::clone(&barrier);
        async move {
            let mut session: TypedSession<Wide> = session(&mut parts).await?;
            let mut path = parts.uri.path().split('/').skip(1);
            let command = path.next().unwrap_or_default();
            let mut number = || path.next().and_then(|text| text.parse::<u32>().ok()).expect("a number");
            let (field, value) = (number(), number());
            if command == "set" {
                barrier.wait().await;
            }
            SETTERS[field as usize](&mut session, value);
            text("done")
        }
    })
    .await
}
