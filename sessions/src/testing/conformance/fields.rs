//! The writes of changed fields, and that a request writes nothing else.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use super::{
    super::{Call, Operation, RecordedChange},
    environment::{TestApp, TestEnvironment, at_once, record_of},
    handler::case,
};
use crate::{Session, TypedSession, value::FieldName};

/// One field of each kind.
#[derive(Session)]
struct FieldKinds {
    name: Option<String>,
    count: u32,
    #[session(merge = "last")]
    tags: Vec<String>,
    profile: NestedProfile,
    #[session(merge = "add")]
    hits: i64,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "min")]
    least: Option<i64>,
    #[session(merge = "first")]
    origin: Option<String>,
    #[flash]
    notice: Option<String>,
}

/// A value with a value in it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct NestedProfile {
    address: NestedAddress,
}

/// A value inside a value.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct NestedAddress {
    lines: Vec<String>,
}

type Visit = TypedSession<FieldKinds>;

async fn remove_name(mut session: Visit) {
    session.remove_name();
}

async fn set_name(mut session: Visit) {
    session.set_name("Ada");
}

async fn remove_and_set_name(mut session: Visit) {
    session.remove_name();
    session.set_name("Bea");
}

async fn set_count(mut session: Visit) {
    session.set_count(3);
}

async fn push_tag(mut session: Visit) {
    session.tags_mut().push("a".to_owned());
}

/// Twenty requests at once change a field each through two instances, and all changes survive.
pub async fn different_fields_at_once_all_survive(env: TestEnvironment) {
    let (one, other) = (env.app().await, env.app().await);
    let mut kept = 0;
    for round in 1..=100_u32 {
        let (browser, barrier) = (one.browser(), Arc::new(Barrier::new(20)));
        browser.visit(async move |mut session: TypedSession<Wide>| session.set_f0(round)).await;
        let tabs = (0..20).zip(SETTERS).map(|(index, set)| {
            let app = if index % 2 == 0 { &one } else { &other };
            let barrier = Arc::clone(&barrier);
            browser.at(&app.browser()).send(async move |mut session: TypedSession<Wide>| {
                barrier.wait().await;
                set(&mut session, round);
            })
        });
        let statuses: Vec<_> =
            at_once(tabs).await.iter().map(|response| response.status().as_u16()).collect();
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

/// A set and a removal in one request are not sent, and a removal and a set are one put.
pub async fn operations_of_one_request_fold(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(remove_name).await;
    app.calls.clear();
    let set_and_remove_name = async |mut session: Visit| {
        session.set_name("x");
        session.remove_name();
    };
    visitor.visit(set_and_remove_name).await;
    assert_eq!(app.calls.writes(), 0);
    visitor.visit(set_name).await;
    app.calls.clear();
    visitor.visit(remove_and_set_name).await;
    assert_eq!(only_commit(&app), [put("name", 5)]);
    app.calls.clear();
    visitor.visit(remove_and_set_name).await;
    assert_eq!(app.calls.writes(), 0, "it ends as it was loaded");
}

/// A removed field leaves the store, and a `clear` removes all fields.
pub async fn a_removed_field_leaves_the_store(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(set_count).await;
    let id = record_of(&visitor);
    visitor.visit(remove_name).await;
    let names = ["name", "count"];
    let stored = app.load(id, &names).await.expect("the record");
    assert!(!stored.fields.contains("name") && stored.fields.contains("count"));
    visitor.visit(async |session: Visit| session.clear()).await;
    let stored = app.load(id, &names).await.expect("a cleared session goes on");
    assert!(!stored.fields.contains("name") && !stored.fields.contains("count"));
    assert_eq!(visitor.visit(async |session: Visit| session.count()).await, 0);
}

/// A change deep inside a value is saved.
pub async fn a_nested_change_in_place_is_saved(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    for line in ["first", "second"] {
        let nest = async move |mut session: Visit| session.profile_mut().address.lines.push(line.to_owned());
        visitor.visit(nest).await;
    }
    let lines = async |session: Visit| session.profile().address.lines.join(",");
    assert_eq!(visitor.visit(lines).await, "first,second");
    visitor.visit(push_tag).await;
    visitor.visit(async |mut session: Visit| session.tags_mut().push("b".to_owned())).await;
    assert_eq!(visitor.visit(async |session: Visit| session.tags().join(",")).await, "a,b");
}

/// A mutable borrow without a change writes nothing, and neither does an equal value.
pub async fn what_ends_equal_is_not_written(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(set_count).await;
    visitor.visit(push_tag).await;
    let borrow_and_set_again = async |mut session: Visit| {
        session.tags_mut();
        session.set_count(session.count());
        let name = session.name().map(str::to_owned);
        session.set_name(name.expect("a name"));
    };
    app.calls.clear();
    for (what, handler) in [
        ("a borrow and equal values", case(borrow_and_set_again)),
        ("an equal name", case(set_name)),
        ("an equal count", case(set_count)),
        ("an addition of zero", case(async |mut session: Visit| session.add_hits(0))),
    ] {
        assert_eq!(visitor.send(handler).await.status(), 200, "{what}");
        assert_eq!(app.calls.writes(), 0, "{what}");
    }
}

/// A write of one field leaves the bytes of the others alone, those of other programs too.
pub async fn other_fields_keep_their_bytes(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    let fill = async |mut session: Visit| {
        session.tags_mut().push("a".to_owned());
        session.profile_mut().address.lines.push("line".to_owned());
        session.flash_notice("hello");
    };
    visitor.visit(fill).await;
    let id = record_of(&visitor);
    let others = ["name", "tags", "profile", "notice", "hits"];
    let before = app.load(id, &others).await.expect("the record").fields;
    visitor.visit(async |mut session: Visit| session.set_count(9)).await;
    let after = app.load(id, &others).await.expect("the record").fields;
    for name in others {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
}

/// A request that changes one field costs one load and one commit with that field only.
pub async fn one_changed_field_costs_one_load_and_one_commit(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(push_tag).await;
    let take_notice = async |mut session: Visit| session.take_notice().unwrap_or_else(|| "-".to_owned());
    for (what, handler, name, operation) in [
        ("a set", case(async |mut session: Visit| session.set_count(12)), "count", "put"),
        ("a count in place", case(async |mut session: Visit| *session.count_mut() += 1), "count", "put"),
        ("an addition", case(async |mut session: Visit| session.add_hits(2)), "hits", "add"),
        ("an addition in place", case(async |mut session: Visit| *session.hits_mut() += 1), "hits", "add"),
        ("a largest value", case(async |mut session: Visit| session.set_best(4)), "best", "max"),
        ("a smallest value", case(async |mut session: Visit| session.set_least(4)), "least", "min"),
        (
            "a first value",
            case(async |mut session: Visit| session.set_origin("x")),
            "origin",
            "put_if_absent",
        ),
        ("a flash", case(async |mut session: Visit| session.flash_notice("x")), "notice", "put"),
        ("a take", case(take_notice), "notice", "remove_if"),
        ("a removal", case(remove_name), "name", "remove"),
    ] {
        app.calls.clear();
        assert_eq!(visitor.send(handler).await.status(), 200, "{what}");
        assert_eq!(app.calls.count(Operation::Load), 1, "{what}");
        assert_eq!(app.calls.writes(), 1, "{what}");
        let written = only_commit(&app);
        let written: Vec<_> = written.iter().map(|change| (change.name.as_str(), change.operation)).collect();
        assert_eq!(written, [(name, operation)], "{what}");
    }
    app.calls.clear();
    visitor.visit(async |session: Visit| session.name().map(str::to_owned)).await;
    let [Call::Load { .. }] = app.calls()[..] else { panic!("{:?}", app.calls) };
}

/// A first change costs one create, with the fields that were set and no others.
pub async fn a_new_session_costs_one_create(env: TestEnvironment) {
    let app = env.app().await;
    app.browser().visit(set_name).await;
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
