//! What is written when fields change, and that nothing else is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use super::{
    super::{Call, Operation, RecordedChange},
    environment::{TestApp, TestEnvironment, at_once, record_of},
    handler::case,
};
use crate::{Session, TypedSession, value::FieldName};

/// A session with a field of each kind.
#[derive(Session)]
struct AllKinds {
    name: Option<String>,
    count: u32,
    tags: Vec<String>,
    contact: Contact,
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
#[allow(unreachable_pub)]
pub struct Contact {
    address: PostalAddress,
}

/// A value within another.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[allow(unreachable_pub)]
pub struct PostalAddress {
    lines: Vec<String>,
}

type Visit = TypedSession<AllKinds>;

async fn count(session: Visit) -> u32 {
    session.count()
}

async fn set_ada(mut session: Visit) {
    session.set_name("Ada");
}

async fn remove_name(mut session: Visit) {
    session.remove_name();
}

async fn remove_and_set_name(mut session: Visit) {
    session.remove_name();
    session.set_name("Bea");
}

async fn set_count_to_3(mut session: Visit) {
    session.set_count(3);
}

async fn push_tag(mut session: Visit) {
    session.tags_mut().push("a".to_owned());
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

/// Of twenty requests at once, each with a field of its own, through two instances, all changes survive.
pub async fn different_fields_at_once_all_survive(env: TestEnvironment) {
    let barrier = Arc::new(Barrier::new(20));
    let (one, other) = (env.app().await, env.app().await);
    let mut kept = 0;
    for round in 1..=100_u32 {
        let browser = one.browser();
        browser.visit(async move |mut session: TypedSession<Wide>| SETTERS[0](&mut session, round)).await;
        let tabs = (0..20).map(|field| {
            let app = if field % 2 == 0 { &one } else { &other };
            let barrier = Arc::clone(&barrier);
            let meet_and_set = async move |mut session: TypedSession<Wide>| {
                barrier.wait().await;
                SETTERS[field](&mut session, round);
            };
            browser.at(&app.browser()).send(meet_and_set)
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

/// A field that is set and removed in one request is not sent; one that is removed and set is one put.
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
    visitor.visit(set_ada).await;
    app.calls.clear();
    visitor.visit(remove_and_set_name).await;
    assert_eq!(only_commit(&app), [put("name", 5)]);
    app.calls.clear();
    visitor.visit(remove_and_set_name).await;
    assert_eq!(app.calls.writes(), 0, "it ends as it was loaded");
}

/// A removed field is not in the store any more, and `clear` leaves none.
pub async fn a_removed_field_leaves_the_store(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(set_count_to_3).await;
    let id = record_of(&visitor);
    visitor.visit(remove_name).await;
    let names = ["name", "count"];
    let stored = app.load(id, &names).await.expect("the record");
    assert!(!stored.fields.contains("name") && stored.fields.contains("count"));
    visitor.visit(async |session: Visit| session.clear()).await;
    let stored = app.load(id, &names).await.expect("a cleared session goes on");
    assert!(!stored.fields.contains("name") && !stored.fields.contains("count"));
    assert_eq!(visitor.visit(count).await, 0);
}

/// A change deep inside a value is saved.
pub async fn a_nested_change_in_place_is_saved(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    for line in ["first", "second"] {
        let push = async move |mut session: Visit| session.contact_mut().address.lines.push(line.to_owned());
        visitor.visit(push).await;
    }
    let lines = async |session: Visit| session.contact().address.lines.clone();
    assert_eq!(visitor.visit(lines).await, ["first", "second"]);
    visitor.visit(push_tag).await;
    visitor.visit(async |mut session: Visit| session.tags_mut().push("b".to_owned())).await;
    assert_eq!(visitor.visit(async |session: Visit| session.tags().to_vec()).await, ["a", "b"]);
}

/// A mutable borrow that changes nothing writes nothing, and neither does an equal value.
pub async fn what_ends_equal_is_not_written(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(set_count_to_3).await;
    visitor.visit(push_tag).await;
    app.calls.clear();
    let set_all_as_they_are = async |mut session: Visit| {
        session.tags_mut();
        session.set_count(session.count());
        let name = session.name().map(str::to_owned);
        if let Some(name) = name {
            session.set_name(name);
        }
    };
    for (what, handler) in [
        ("the values that are there", case(set_all_as_they_are)),
        ("the name", case(set_ada)),
        ("the count", case(set_count_to_3)),
        ("an addition of zero", case(async |mut session: Visit| session.add_hits(0))),
    ] {
        assert_eq!(visitor.send(handler).await.status(), 200, "{what}");
        assert_eq!(app.calls.writes(), 0, "{what}");
    }
}

/// A write of one field leaves the bytes of the others alone.
pub async fn other_fields_keep_their_bytes(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(push_tag).await;
    visitor
        .visit(async |mut session: Visit| session.contact_mut().address.lines.push("line".to_owned()))
        .await;
    visitor.visit(async |mut session: Visit| session.flash_notice("hello")).await;
    let id = record_of(&visitor);
    let others = ["name", "tags", "contact", "notice", "hits"];
    let before = app.load(id, &others).await.expect("the record").fields;
    visitor.visit(async |mut session: Visit| session.set_count(9)).await;
    let after = app.load(id, &others).await.expect("the record").fields;
    for name in others {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
}

/// A changed field costs a load and a commit that carries that field only.
pub async fn one_changed_field_costs_one_load_and_one_commit(env: TestEnvironment) {
    let app = env.app().await;
    let visitor = app.visitor("Ada").await;
    visitor.visit(push_tag).await;
    for (what, handler, name, operation) in [
        ("a set", case(async |mut session: Visit| session.set_count(12)), "count", "put"),
        ("a change in place", case(async |mut session: Visit| *session.count_mut() += 1), "count", "put"),
        ("an addition", case(async |mut session: Visit| session.add_hits(2)), "hits", "add"),
        ("an addition in place", case(async |mut session: Visit| *session.hits_mut() += 1), "hits", "add"),
        ("a maximum", case(async |mut session: Visit| session.set_best(4)), "best", "max"),
        ("a minimum", case(async |mut session: Visit| session.set_least(4)), "least", "min"),
        (
            "a first value",
            case(async |mut session: Visit| session.set_origin("x")),
            "origin",
            "put_if_absent",
        ),
        ("a flash", case(async |mut session: Visit| session.flash_notice("x")), "notice", "put"),
        ("a take", case(async |mut session: Visit| drop(session.take_notice())), "notice", "remove_if"),
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

/// A first change costs one create, which carries what was set and nothing else.
pub async fn a_new_session_costs_one_create(env: TestEnvironment) {
    let app = env.app().await;
    app.browser().visit(set_ada).await;
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
