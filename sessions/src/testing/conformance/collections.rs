//! Entries of collections in the store: fields of their own, which a prefix name stands for.

use bytes::Bytes;

use super::{
    contract::{Direct, TIMEOUTS, json, random_commit, random_credentials, random_id},
    environment::TestEnvironment,
};
use crate::{
    delta::{Add, Delta, Op},
    store::{Commit, CommitOutcome, CreateOutcome, CredentialsChange, Fields, Loaded, NewRecord},
    value::{Credentials, FieldName, RecordId},
};

/// Entries of the collection `cart`, with keys of any text. Handles escape keys; a store need not rely on that.
const ENTRIES: [&str; 14] = [
    "cart[42]",
    "cart[]",
    "cart[%2Ea%25]",
    "cart[100%]",
    "cart[_]",
    "cart[a[b]",
    "cart[a]b",
    "cart[\"it's\"]",
    "cart[back\\slash]",
    "cart[日本語 🦀]",
    "cart[@]",
    "cart[*?^-]",
    "cart[\u{0}]",
    "cart[\u{10ffff}]",
];

/// Fields that are no entries of `cart`, though they look alike.
const OTHERS: [&str; 16] = [
    "cart",
    "cart2[42]",
    "cart2",
    "Cart[42]",
    "CART[42]",
    "car",
    "art[42]",
    "c_rt[42]",
    "c%[42]",
    "cart%[42]",
    "cart\\[42]",
    "cart [42]",
    "@cart[42]",
    "@[42]",
    "[42]",
    "\u{1f6d2}[42]",
];

/// A load of a prefix name returns every field that begins with it, and the metadata as they are.
pub async fn a_prefix_name_loads_every_entry(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let long = format!("cart[{}]", "k".repeat(200));
    let mut all = fields();
    all.insert(long.as_str().into(), json("\"long\""));
    for length in [32, 39, 40, 41, 96, 97, 1000] {
        let credentials = credentials_of(length);
        let id = create(&direct, credentials.clone(), &all).await;
        for asked in [
            &["cart["][..],
            &["cart[", "cart"],
            &["cart2[", "cart["],
            &["cart[", "cart[42]", "absent", "absent["],
            &["@cart[", "@["],
            &["\u{1f6d2}[", "c%["],
            &["["],
            &["cart2["],
        ] {
            let loaded = load(&direct, id, asked).await;
            let asked: Vec<_> = asked.iter().map(|name| FieldName::from(*name)).collect();
            for (name, value) in all.iter() {
                let is_asked = asked.iter().any(|asked| asked.covers(name));
                if is_asked || loaded.complete {
                    assert_eq!(loaded.fields.get(name.as_str()), Some(value), "{asked:?} {}", name.as_str());
                }
            }
            let known = |(name, value): (&FieldName, &Bytes)| all.get(name.as_str()) == Some(value);
            assert!(loaded.fields.iter().all(known), "{asked:?}: a field from nowhere");
            assert_eq!((loaded.credentials, loaded.epoch), (credentials.clone(), 0), "{asked:?}");
        }
        let loaded = load(&direct, id, &["absent["]).await;
        assert_eq!(loaded.fields.starting_with("absent[").count(), 0);
    }
    let empty = create(&direct, random_credentials(), &Fields::new()).await;
    assert!(load(&direct, empty, &["cart["]).await.fields.is_empty());
    assert!(direct.load(random_id(), &["cart["]).await.is_none(), "no record");
}

/// An entry is a field as any other for operations on it alone.
pub async fn an_entry_is_changed_by_itself(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for name in ENTRIES {
        let id = create(&direct, random_credentials(), &fields()).await;
        let mut expected = fields();
        for op in [
            Op::Put(json("1")),
            direct.add(4),
            Op::Max(9),
            Op::RemoveIf(json("8")),
            Op::RemoveIf(json("9")),
            Op::PutIfAbsent(json("2")),
            Op::Remove,
        ] {
            expected.alter(&name.into(), |current| op.apply(current)).expect("integers");
            let returned = direct.apply(id, &[(name, op.clone())]).await;
            assert_eq!(returned, [expected.get(name).cloned()], "{name} {op:?}");
            is_stored(&direct, id, &expected).await;
        }
    }
}

/// A delta that retains a prefix name keeps every entry, those too that no request has seen.
pub async fn retain_keeps_the_entries_of_a_prefix_name(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let add = direct.add(5);
    for (kept, ops) in [
        (&["cart["][..], &[][..]),
        (&["cart[", "cart2["], &[]),
        (&["cart[", "cart", "cart[42]"], &[("cart[42]", Op::Remove), ("cart2[42]", Op::Put(json("1")))]),
        (&["cart[42]"], &[("cart[]", add.clone()), ("cart[42]", Op::PutIfAbsent(json("1")))]),
        (&["@["], &[]),
        (&["["], &[("[42]", Op::RemoveIf(json("1")))]),
        (&["absent["], &[]),
        (&["@cart[", "c%["], &[("cart[new]", Op::Put(json("1")))]),
    ] {
        let mut delta = Delta::new();
        delta.retain(kept.iter().map(|name| FieldName::from(*name)).collect());
        push(&mut delta, ops);
        agrees(&direct, delta).await;
    }
}

/// The removal of a prefix name takes every entry, and what is done to entries in the same delta comes after it.
pub async fn the_removal_of_a_prefix_name_takes_every_entry(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let add = Op::Add(Add { by: 5, start: 100, min: 0, max: 1000 });
    for ops in [
        &[("cart[", Op::Remove)][..],
        &[("cart[", Op::Remove), ("cart2[", Op::Remove), ("absent[", Op::Remove)],
        &[("cart[", Op::Remove), ("cart[42]", Op::Put(json("1"))), ("cart[new]", Op::Put(json("2")))],
        &[("cart[", Op::Remove), ("cart[42]", add.clone()), ("cart2[42]", Op::Max(9))],
        &[("cart[", Op::Remove), ("cart[42]", Op::PutIfAbsent(json("1"))), ("cart", Op::Remove)],
        &[("cart[", Op::Remove), ("cart[42]", Op::Remove), ("cart[]", Op::RemoveIf(json("1")))],
        &[("@[", Op::Remove)],
        &[("[", Op::Remove)],
        &[("@cart[", Op::Remove), ("@cart[42]", add)],
    ] {
        let mut delta = Delta::new();
        push(&mut delta, ops);
        agrees(&direct, delta.clone()).await;
        delta.retain(["cart[", "cart[42]", "[", "@["].map(FieldName::from).to_vec());
        agrees(&direct, delta).await;
    }
}

/// A delta that cannot be applied empties no collection and keeps every field.
pub async fn a_bad_operation_empties_no_collection(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = create(&direct, random_credentials(), &fields()).await;
    for bad in ["cart", "cart2[42]"] {
        direct.apply(id, &[(bad, Op::Put(json("\"text\"")))]).await;
        let mut delta = Delta::new();
        push(&mut delta, &[("cart[", Op::Remove), ("cart[42]", Op::Put(json("1"))), (bad, direct.add(1))]);
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta).with_touch(true);
        let outcome = direct.raw.commit(id, commit).await.expect("an answer");
        assert!(matches!(&outcome, CommitOutcome::Invalid(name) if name.as_str() == bad), "{outcome:?}");
        direct.apply(id, &[(bad, Op::Put(fields().get(bad).expect("a field").clone()))]).await;
        is_stored(&direct, id, &fields()).await;
    }
}

/// Neither retaining nor removing prefix names reaches metadata: credentials, epoch and remembered commits stay.
pub async fn prefix_names_reach_no_metadata(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for retains in [false, true] {
        let id = create(&direct, credentials_of(200), &fields()).await;
        let counted = |commit_id| {
            let mut delta = Delta::new();
            push(&mut delta, &[("n", Op::Add(Add { by: 1, start: 0, min: 0, max: 9 }))]);
            Commit::new(0, TIMEOUTS).with_delta(delta).with_id(commit_id)
        };
        let remembered = random_commit();
        applied(&direct, id, counted(remembered)).await;
        let before = load(&direct, id, &[]).await;
        let prefixes = ["@[", "[", "@c[", "@1[", "h[", "credentials["];
        let mut delta = Delta::new();
        if retains {
            delta.retain(vec!["n".into(), "@[".into()]);
        }
        push(&mut delta, &prefixes.map(|name| (name, Op::Remove)));
        applied(&direct, id, Commit::new(0, TIMEOUTS).with_delta(delta)).await;
        let after = load(&direct, id, &["n", "@["]).await;
        assert_eq!((after.credentials, after.epoch), (before.credentials.clone(), 0));
        assert_eq!((after.created, after.touched), (before.created, before.touched));
        applied(&direct, id, counted(remembered)).await;
        assert_eq!(load(&direct, id, &["n"]).await.fields.get("n"), Some(&json("1")), "remembered");
        let rotation = CredentialsChange::rotation(random_credentials()).in_place_of(before.credentials);
        applied(&direct, id, Commit::new(0, TIMEOUTS).with_credentials_change(rotation)).await;
    }
}

/// A collection of thousands of entries is loaded, kept and removed as a whole.
pub async fn a_large_collection_is_one_load_and_one_commit(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let large: Fields = (0..3000)
        .map(|number| (format!("cart[{number}]").into(), json(&number.to_string())))
        .chain([("name".into(), json("1"))])
        .collect();
    let id = create(&direct, random_credentials(), &large).await;
    assert_eq!(load(&direct, id, &["cart[", "name"]).await.fields, large);
    let mut kept = Delta::new();
    kept.retain(vec!["cart[".into()]);
    applied(&direct, id, Commit::new(0, TIMEOUTS).with_delta(kept)).await;
    let after = load(&direct, id, &["cart[", "name"]).await.fields;
    assert_eq!((after.len(), after.contains("name")), (3000, false));
    let mut removed = Delta::new();
    push(&mut removed, &[("cart[", Op::Remove), ("cart[7]", Op::Put(json("\"new\"")))]);
    applied(&direct, id, Commit::new(0, TIMEOUTS).with_delta(removed)).await;
    let after = load(&direct, id, &["cart[", "name"]).await.fields;
    assert_eq!((after.len(), after.get("cart[7]")), (1, Some(&json("\"new\""))));
}

/// Every entry and every other field, each with a number of its own.
fn fields() -> Fields {
    let names = ENTRIES.into_iter().chain(OTHERS);
    names.enumerate().map(|(number, name)| (name.into(), json(&number.to_string()))).collect()
}

/// Credentials of this length, with the flags of a record that holds rights.
fn credentials_of(length: usize) -> Credentials {
    let mut bytes: Vec<_> = (0..=255).cycle().take(length).collect();
    bytes.iter_mut().skip(32).take(1).for_each(|flags| *flags = 0x80);
    Credentials::from_bytes(bytes)
}

async fn create(direct: &Direct, credentials: Credentials, fields: &Fields) -> RecordId {
    let (id, new) = (random_id(), NewRecord::new(credentials, TIMEOUTS).with_fields(fields.clone()));
    let created = direct.raw.create(id, new).await.expect("an answer");
    assert!(matches!(created, CreateOutcome::Created(_)), "{created:?}");
    id
}

async fn load(direct: &Direct, id: RecordId, names: &[&'static str]) -> Loaded {
    direct.load(id, names).await.expect("the record")
}

fn push(delta: &mut Delta, ops: &[(&'static str, Op)]) {
    for (name, op) in ops {
        delta.push(FieldName::from_static(name), op.clone(), None).expect("one operation a field");
    }
}

async fn applied(direct: &Direct, id: RecordId, commit: Commit) {
    let outcome = direct.raw.commit(id, commit).await.expect("an answer");
    assert!(matches!(outcome, CommitOutcome::Applied(_)), "{outcome:?}");
}

/// A commit of this delta leaves what the library itself computes, and returns it.
async fn agrees(direct: &Direct, delta: Delta) {
    let id = create(direct, random_credentials(), &fields()).await;
    let mut expected = fields();
    delta.apply(&mut expected).expect("integers");
    let returning: Vec<FieldName> = ["cart[42]", "cart[]", "cart", "[42]"].map(FieldName::from).to_vec();
    let values: Vec<_> = returning.iter().map(|name| expected.get(name.as_str()).cloned()).collect();
    let shown = format!("{:?} {:?}", names_of(&delta), delta);
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta).returning(returning);
    let outcome = direct.raw.commit(id, commit).await.expect("an answer");
    assert_eq!(outcome, CommitOutcome::Applied(values), "{shown}");
    is_stored(direct, id, &expected).await;
}

/// The names in a delta, which its `Debug` shows without keys.
fn names_of(delta: &Delta) -> Vec<&str> {
    delta
        .retained()
        .into_iter()
        .flatten()
        .chain(delta.ops().iter().map(|(name, _)| name))
        .map(FieldName::as_str)
        .collect()
}

/// The record has exactly these of the fields that the scenarios know.
async fn is_stored(direct: &Direct, id: RecordId, expected: &Fields) {
    let mut names: Vec<_> = ENTRIES.into_iter().chain(OTHERS).chain(["cart[new]"]).collect();
    for prefix in [None, Some("cart[")] {
        names.extend(prefix);
        let stored = load(direct, id, &names).await.fields;
        let differs = names.iter().find(|name| stored.get(name) != expected.get(name));
        assert_eq!(differs, None, "{:?}", differs.map(|name| (stored.get(name), expected.get(name))));
    }
}
