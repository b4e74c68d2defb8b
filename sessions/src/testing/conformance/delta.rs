//! The operations of a delta in the store; a delta is all or nothing.

use bytes::Bytes;

use super::{
    contract::{Direct, TIMEOUTS, delta, json},
    environment::{TestEnvironment, at_once},
};
use crate::{
    delta::{Add, Op},
    store::{Commit, CommitOutcome, CredentialsChange},
    value::FieldName,
};

/// Each operation on an absent field and on present ones.
pub async fn operations_have_these_results(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let counted = |by| Op::Add(Add { by, start: 10, min: 0, max: 255 });
    let crossed = |by| Op::Add(Add { by, start: 10, min: 5, max: 3 });
    let rows = [
        (Op::Put(json("1")), None, Some("1")),
        (Op::Put(json("1")), Some("2"), Some("1")),
        (Op::PutIfAbsent(json("1")), None, Some("1")),
        (Op::PutIfAbsent(json("1")), Some("2"), Some("2")),
        (Op::PutIfAbsent(json("1")), Some("null"), Some("null")),
        (Op::Remove, None, None),
        (Op::Remove, Some("2"), None),
        (Op::RemoveIf(json("2")), None, None),
        (Op::RemoveIf(json("2")), Some("2"), None),
        (Op::RemoveIf(json("2")), Some("3"), Some("3")),
        (Op::RemoveIf(json("2")), Some("\"2\""), Some("\"2\"")),
        (counted(5), None, Some("15")),
        (counted(-20), None, Some("0")),
        (counted(5), Some("253"), Some("255")),
        (counted(-5), Some("253"), Some("248")),
        (crossed(1), None, Some("3")),
        (crossed(1), Some("-9"), Some("3")),
        (crossed(-1), Some("4"), Some("3")),
        (crossed(i64::MAX), Some("9"), Some("3")),
        (direct.add(1), Some("9007199254740993"), Some("9007199254740994")),
        (direct.add(1), Some("9223372036854775807"), Some("9223372036854775807")),
        (direct.add(-1), Some("-9223372036854775808"), Some("-9223372036854775808")),
        (Op::Max(5), None, Some("5")),
        (Op::Max(5), Some("-7"), Some("5")),
        (Op::Max(5), Some("40"), Some("40")),
        (Op::Max(9_007_199_254_740_993), Some("9007199254740992"), Some("9007199254740993")),
        (Op::Min(5), None, Some("5")),
        (Op::Min(5), Some("40"), Some("5")),
        (Op::Min(5), Some("-7"), Some("-7")),
        (Op::Min(9_007_199_254_740_992), Some("9007199254740993"), Some("9007199254740992")),
        (replacing(None, Some("1")), None, Some("1")),
        (replacing(None, None), None, None),
        (replacing(Some("1"), Some("2")), Some("1"), Some("2")),
        (replacing(Some("1"), Some("1")), Some("1"), Some("1")),
        (replacing(Some("\"1 + -\""), None), Some("\"1 + -\""), None),
    ];
    for (op, before, after) in rows {
        let fields: Vec<_> = before.iter().map(|value| ("n", json(value))).collect();
        let id = direct.create(&fields).await;
        let expected = after.map(json);
        let returned = direct.apply(id, &[("n", op.clone())]).await;
        assert_eq!(returned, std::slice::from_ref(&expected), "{op:?} on {before:?}");
        let loaded = direct.load(id, &["n"]).await.expect("the record");
        assert_eq!(loaded.fields.get("n"), expected.as_ref(), "{op:?} on {before:?}");
    }
}

/// Every operation on every kind of value does what the library itself computes.
pub async fn every_operation_does_what_it_says(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let values = [
        None,
        Some("0"),
        Some("7"),
        Some("-3"),
        Some("255"),
        Some("9007199254740993"),
        Some("9223372036854775807"),
        Some("-9223372036854775808"),
        Some("\"7\""),
        Some("7.0"),
        Some("null"),
        Some("[]"),
        Some("18446744073709551615"),
        Some("true"),
        Some("1e2"),
        Some("-0"),
        Some("\"\""),
    ];
    let bounded = |by, start| Op::Add(Add { by, start, min: 0, max: 255 });
    let ops = [
        Op::Put(json("\"new\"")),
        Op::PutIfAbsent(json("\"new\"")),
        Op::Remove,
        Op::RemoveIf(json("7")),
        Op::RemoveIf(json("null")),
        direct.add(1),
        direct.add(-1),
        direct.add(i64::MAX),
        direct.add(i64::MIN),
        bounded(300, 10),
        bounded(-300, 10),
        bounded(3, 10),
        Op::Add(Add { by: 1, start: 0, min: 9, max: 5 }),
        Op::Max(7),
        Op::Max(-5),
        Op::Max(i64::MIN),
        Op::Max(9_007_199_254_740_992),
        Op::Min(7),
        Op::Min(-5),
        Op::Min(i64::MAX),
        Op::Min(9_007_199_254_740_994),
        replacing(None, Some("\"new\"")),
        replacing(Some("7"), Some("8")),
        replacing(Some("\"7\""), None),
        replacing(Some("null"), Some("\"\"")),
    ];
    for value in values {
        let stored = value.map(json);
        let fields: Vec<_> =
            stored.iter().map(|value| ("n", value.clone())).chain([("kept", json("1"))]).collect();
        for op in &ops {
            let id = direct.create(&fields).await;
            let commit = Commit::new(0, TIMEOUTS)
                .with_delta(delta(&[("n", op.clone()), ("kept", Op::Put(json("2")))]))
                .returning(names(&["n", "kept", "neither"]));
            let answer = direct.raw.commit(id, commit).await.expect("an answer");
            let after = direct.load(id, &["n", "kept"]).await.expect("the record").fields;
            let (left, kept) = (after.get("n"), after.get("kept"));
            if let Ok(expected) = op.apply(stored.as_ref()) {
                let CommitOutcome::Applied(values) = answer else {
                    panic!("{op:?} on {value:?}: {answer:?}")
                };
                assert_eq!(left, expected.as_ref(), "{op:?} on {value:?}");
                assert_eq!(values, [expected, Some(json("2")), None], "{op:?} on {value:?}");
                assert_eq!(kept, Some(&json("2")));
            } else {
                let expected = match op {
                    Op::ReplaceIf { .. } => CommitOutcome::Conflict("n".into()),
                    _ => CommitOutcome::Invalid("n".into()),
                };
                assert_eq!(answer, expected, "{op:?} on {value:?}");
                assert_eq!((left, kept), (stored.as_ref(), Some(&json("1"))), "{op:?} on {value:?}");
            }
        }
    }
}

/// Values come back in the order in which they were asked for, absent ones as such.
pub async fn returned_values_keep_their_order(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("a", json("1")), ("b", json("2")), ("c", json("3"))]).await;
    let commit = Commit::new(0, TIMEOUTS)
        .with_delta(delta(&[("b", Op::Remove), ("d", Op::Put(json("4")))]))
        .returning(names(&["d", "c", "none", "b", "a", "d"]));
    let Ok(CommitOutcome::Applied(values)) = direct.raw.commit(id, commit).await else { panic!("applied") };
    let expected = [Some("4"), Some("3"), None, None, Some("1"), Some("4")];
    assert_eq!(values, expected.map(|value| value.map(json)));
    let nothing = Commit::new(0, TIMEOUTS).returning(names(&["a"]));
    let Ok(CommitOutcome::Applied(values)) = direct.raw.commit(id, nothing).await else { panic!("applied") };
    assert_eq!(values, [Some(json("1"))]);
}

/// A delta that keeps some fields drops the others, unknown ones too, before its operations apply.
pub async fn retain_drops_all_others(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let all = ["cart", "user", "role", "of another program", "new"];
    let fields =
        [("cart", json("1")), ("user", json("2")), ("role", json("3")), ("of another program", json("4"))];
    let id = direct.create(&fields).await;
    let mut changes = delta(&[]);
    changes.retain(names(&["cart", "absent"]));
    let zero = json("0");
    changes.push("role".into(), direct.add(5), Some(&zero)).expect("an add");
    changes.push("new".into(), Op::Put(json("6")), None).expect("a put");
    let commit = Commit::new(0, TIMEOUTS).with_delta(changes).returning(names(&all));
    let Ok(CommitOutcome::Applied(values)) = direct.raw.commit(id, commit).await else { panic!("applied") };
    let expected = [Some("1"), None, Some("5"), None, Some("6")].map(|value| value.map(json));
    assert_eq!(values, expected, "an add to a dropped field begins again");
    let loaded = direct.load(id, &all).await.expect("the record");
    assert_eq!(all.map(|name| loaded.fields.get(name).cloned()), expected);
    let mut changes = delta(&[]);
    changes.retain(Vec::new());
    let commit = Commit::new(0, TIMEOUTS).with_delta(changes);
    assert!(matches!(direct.raw.commit(id, commit).await, Ok(CommitOutcome::Applied(_))));
    let loaded = direct.load(id, &all).await.expect("a record without fields");
    assert!(all.iter().all(|name| !loaded.fields.contains(name)));
}

/// A delta with one operation that cannot be writes nothing, wherever in it that stands: no field,
/// no touch, no rotation, and its id is not taken.
pub async fn a_delta_with_one_bad_operation_writes_nothing(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for bad in 0..3 {
        let id = direct.create(&[("text", json("\"x\"")), ("n", json("1"))]).await;
        let before = direct.load(id, &["text", "n", "new"]).await.expect("the record");
        let mut ops = vec![("n", direct.add(1)), ("new", Op::Put(json("2")))];
        ops.insert(bad, ("text", direct.add(1)));
        let commit_id = super::contract::random_commit();
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&ops)).with_touch(true).with_id(commit_id);
        let rotating = commit
            .clone()
            .with_credentials_change(CredentialsChange::rotation(super::contract::random_credentials()));
        for commit in [commit, rotating] {
            let answer = direct.raw.commit(id, commit).await.expect("an answer");
            assert!(matches!(&answer, CommitOutcome::Invalid(name) if name.as_str() == "text"), "{answer:?}");
        }
        let after = direct.load(id, &["text", "n", "new"]).await.expect("the record");
        assert_eq!((after.credentials, after.epoch, after.touched), (before.credentials, 0, before.touched));
        assert_eq!(after.fields, before.fields);
        let good = Commit::new(0, TIMEOUTS).with_delta(delta(&[("n", direct.add(1))])).with_id(commit_id);
        assert!(matches!(direct.raw.commit(id, good).await, Ok(CommitOutcome::Applied(_))));
        assert_eq!(direct.load(id, &["n"]).await.expect("the record").fields.get("n"), Some(&json("2")));
    }
}

/// A delta in which one value is not the one to be replaced writes nothing, wherever in it that stands: no field, no
/// touch, no rotation, and its id is not taken. A dropped field counts as absent.
pub async fn a_delta_whose_condition_fails_writes_nothing(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for place in 0..3 {
        let id = direct.create(&[("version", json("\"x\"")), ("n", json("1"))]).await;
        let before = direct.load(id, &["version", "n", "new"]).await.expect("the record");
        for unmet in [None, Some("\"w\""), Some("\"x\" "), Some("")] {
            let mut ops = vec![("n", direct.add(1)), ("new", Op::Put(json("2")))];
            ops.insert(place, ("version", replacing(unmet, Some("\"y\""))));
            let commit_id = super::contract::random_commit();
            let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&ops)).with_touch(true).with_id(commit_id);
            let change = CredentialsChange::rotation(super::contract::random_credentials());
            for commit in [commit.clone(), commit.with_credentials_change(change)] {
                let answer = direct.raw.commit(id, commit).await.expect("an answer");
                assert_eq!(answer, CommitOutcome::Conflict("version".into()), "{unmet:?}");
            }
            let after = direct.load(id, &["version", "n", "new"]).await.expect("the record");
            assert_eq!(
                (after.credentials, after.epoch, after.touched),
                (before.credentials.clone(), 0, before.touched)
            );
            assert_eq!(after.fields, before.fields);
        }
        let mut ops = vec![("n", direct.add(1)), ("new", Op::Put(json("2")))];
        ops.insert(place, ("version", replacing(Some("\"x\""), Some("\"y\""))));
        assert_eq!(direct.apply(id, &ops).await.len(), 3);
        let mut dropping = delta(&[]);
        dropping.retain(names(&["n"]));
        dropping.push("version".into(), replacing(None, Some("\"z\"")), None).expect("an operation");
        let commit = Commit::new(0, TIMEOUTS).with_delta(dropping).returning(names(&["version", "new"]));
        let Ok(CommitOutcome::Applied(values)) = direct.raw.commit(id, commit).await else {
            panic!("applied")
        };
        assert_eq!(values, [Some(json("\"z\"")), None]);
    }
}

/// Of many commits at once that replace one value, one does, each round; what the others bring is not written.
pub async fn of_many_replacements_at_once_one_wins(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("n", json("0"))]).await;
    let mut version: Option<Bytes> = None;
    for round in 1..=30 {
        let commits = (0..8).map(|writer| {
            let (raw, expected) = (direct.raw.clone(), version.clone());
            let value = Bytes::from(format!("\"{round} {writer}\""));
            let op = Op::ReplaceIf { expected, value: Some(value.clone()) };
            let commit = Commit::new(0, TIMEOUTS).with_delta(delta(&[("n", direct.add(1)), ("version", op)]));
            async move { (value, raw.commit(id, commit).await.expect("an answer")) }
        });
        let mut winners = Vec::new();
        for (value, answer) in at_once(commits).await {
            match answer {
                CommitOutcome::Applied(_) => winners.push(value),
                other => assert_eq!(other, CommitOutcome::Conflict("version".into()), "{round}"),
            }
        }
        assert_eq!(winners.len(), 1, "{round}");
        let loaded = direct.load(id, &["n", "version"]).await.expect("the record");
        assert_eq!(loaded.fields.get("version"), winners.first());
        assert_eq!(loaded.fields.get("n").map(number), Some(round));
        version = winners.pop();
    }
}

/// Of good and bad commits at once, on one record and on many, the bad ones alone fail.
pub async fn a_bad_commit_among_many_fails_alone(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for records in [1, 8] {
        let mut ids = Vec::new();
        for _ in 0..records {
            ids.push(direct.create(&[("text", json("\"x\"")), ("n", json("0"))]).await);
        }
        let commits = (0..160).map(|index| {
            let (raw, id) = (direct.raw.clone(), ids[index % records]);
            let bad = index % 5 == 3;
            let field = if bad { "text" } else { "n" };
            let commit = match index % 7 {
                6 => Commit::new(4, TIMEOUTS),
                _ => Commit::new(0, TIMEOUTS),
            };
            let commit = commit.with_delta(delta(&[("seen", Op::Put(json("1"))), (field, direct.add(1))]));
            async move { (index, raw.commit(id, commit).await.expect("an answer")) }
        });
        let mut applied = 0;
        for (index, answer) in at_once(commits).await {
            match (index % 7, index % 5) {
                (6, _) => assert!(matches!(answer, CommitOutcome::StaleEpoch), "{index}: {answer:?}"),
                (_, 3) => assert!(matches!(answer, CommitOutcome::Invalid(_)), "{index}: {answer:?}"),
                _ => {
                    assert!(matches!(answer, CommitOutcome::Applied(_)), "{index}: {answer:?}");
                    applied += 1;
                }
            }
        }
        let mut sum = 0;
        for id in ids {
            let loaded = direct.load(id, &["text", "n"]).await.expect("the record");
            assert_eq!(loaded.fields.get("text"), Some(&json("\"x\"")));
            sum += loaded.fields.get("n").map_or(0, number);
        }
        assert_eq!(sum, applied);
    }
}

fn replacing(expected: Option<&'static str>, value: Option<&'static str>) -> Op {
    Op::ReplaceIf { expected: expected.map(json), value: value.map(json) }
}

fn names(names: &[&'static str]) -> Vec<FieldName> {
    names.iter().map(|name| FieldName::from_static(name)).collect()
}

fn number(value: &Bytes) -> u32 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).expect("a number")
}
