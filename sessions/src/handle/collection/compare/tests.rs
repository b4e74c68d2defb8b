//! Collections as plain values: what was loaded, what was done, and the operations that come of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{super::content::decode, *};
use crate::{__private::plain, handle::decoded::ValueSource};

/// A collection, and what is stored.
struct Case {
    field: Field,
    fields: Fields,
}

impl Case {
    fn new(field: Field, stored: &[(&'static str, &'static str)]) -> Self {
        let fields = stored.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { field: field.aliases(&["old"]), fields }
    }

    fn map(stored: &[(&'static str, &'static str)]) -> Self {
        Self::new(plain::<BTreeMap<String, i64>>("c").merge_entries::<BTreeMap<String, i64>>(), stored)
    }

    fn list(keep_last: usize, stored: &[(&'static str, &'static str)]) -> Self {
        Self::new(plain::<Vec<String>>("c").merge_append::<Vec<String>>(keep_last), stored)
    }

    fn decoded(&self) -> Decoded {
        decode(&self.field, self.field.collection.expect("a collection").kind, &self.fields, &|_, _| {})
    }

    fn shown<T: Clone + 'static>(&self) -> T {
        self.decoded().value.and_then(|value| value.downcast_ref::<T>().cloned()).expect("a collection")
    }

    /// What is staged after an edit in place.
    fn edited<T: 'static>(&self, edit: impl FnOnce(&mut T)) -> Staged {
        let mut decoded = self.decoded();
        let value = decoded.value.as_mut().expect("a collection");
        let before = stored(&self.field, value).expect("JSON");
        edit(value.downcast_mut().expect("of this type"));
        self.staged(Edit::Edited(&before), &decoded)
    }

    fn set<T: Send + Sync + 'static>(&self, value: T) -> Staged {
        self.staged(Edit::Set, &Decoded::of(Some(Box::new(value)), ValueSource::Unread))
    }

    fn removed(&self) -> Staged {
        self.staged(Edit::Removed, &self.decoded())
    }

    fn staged(&self, edit: Edit<'_>, decoded: &Decoded) -> Staged {
        let mut staged = StagedChanges::default();
        let collection = self.field.collection.as_ref().expect("a collection");
        let now = || Timestamp::from_millis(0x1000);
        let (field, fields) = (&self.field, &self.fields);
        let staging = Staging { field, collection, fields, decoded, at: 7, now: &now };
        let result = staging.stage(edit, &mut staged);
        Staged(result.map(|()| staged))
    }
}

struct Staged(Result<StagedChanges, Error>);

impl Staged {
    /// The operations as text. Of the keys of pushed items only the time.
    fn ops(self) -> Vec<String> {
        let changes = self.0.expect("it can be stored").changes;
        let text = |change: FieldChange| {
            let name = change.name.as_str();
            let name = if name.len() == 27 { format!("{}…", &name[..18]) } else { name.to_owned() };
            let value = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
            match &change.op {
                Op::Put(new) => format!("{name} = {}", value(new)),
                Op::Remove => format!("{name} goes"),
                Op::RemoveIf(of) => format!("{name} goes if {}", value(of)),
                Op::Add(add) => format!("{name} + {} in {}..={}", add.by, add.min, add.max),
                Op::Max(bound) => format!("{name} >= {bound}"),
                Op::Min(bound) => format!("{name} <= {bound}"),
                other => format!("{name} {other:?}"),
            }
        };
        changes.into_iter().map(text).collect()
    }
}

type Map = BTreeMap<String, i64>;

const STORED: [(&str, &str); 4] = [("c[a]", "1"), ("c[b]", "2"), ("c2[x]", "3"), ("other", "4")];

#[test]
fn each_entry_that_differs_is_an_operation() {
    let case = Case::map(&STORED);
    assert_eq!(case.shown::<Map>(), Map::from([("a".into(), 1), ("b".into(), 2)]));
    let ops = case.edited(|map: &mut Map| {
        map.insert("a".into(), 1);
        map.insert("c d".into(), 9);
        map.remove("b");
    });
    assert_eq!(ops.ops(), ["c[c%20d] = 9", "c[b] goes"]);
    assert_eq!(case.edited(|_: &mut Map| ()).ops(), [""; 0]);
    assert_eq!(
        case.set(Map::from([("a".into(), 1), ("x".into(), 5)])).ops(),
        ["c[a] = 1", "c[x] = 5", "c[b] goes"]
    );
    assert_eq!(case.set(Map::new()).ops(), ["c[a] goes", "c[b] goes"]);
    assert_eq!(case.removed().ops(), ["c[a] goes", "c[b] goes"]);
}

#[test]
fn an_entry_that_does_not_decode_hides_no_other_and_stays() {
    let case = Case::map(&[("c[a]", "1"), ("c[b]", "\"text\""), ("c[%zz]", "1")]);
    assert_eq!(case.shown::<Map>(), Map::from([("a".into(), 1)]));
    assert_eq!(case.decoded().source, ValueSource::Undecodable);
    assert_eq!(case.edited(Map::clear).ops(), ["c[a] goes"]);
    let removed = case.removed().ops();
    assert_eq!(removed, ["c[a] goes", "c[b] goes", "c[%zz] goes"], "a reset leaves nothing of it");
}

#[test]
fn the_present_name_of_an_entry_counts_and_then_the_whole() {
    let case = Case::map(&[
        ("c", r#"{"a":1,"b":1,"d":1}"#),
        ("c[a]", "3"),
        ("old", r#"{"d":0,"e":0}"#),
        ("old[a]", "2"),
        ("old[b]", "2"),
    ]);
    let expected = [("a", 3), ("b", 2), ("d", 1), ("e", 0)].map(|(key, value)| (key.to_owned(), value));
    assert_eq!(case.shown::<Map>(), Map::from(expected));
    let mut change = case.edited(|map: &mut Map| map.retain(|key, _| key != "b")).0.expect("stored").changes;
    let change = change.pop().expect("a change");
    assert_eq!(change.collection, Some(CollectionKind::Map));
    let case = Case::map(&[("c", "[1]")]);
    assert_eq!(case.shown::<Map>(), Map::new());
    assert_eq!(case.removed().ops(), ["c goes"]);
}

#[test]
fn numbers_of_entries_merge() {
    type Small = HashMap<String, u8>;
    type Wide = BTreeMap<u8, u64>;
    let field = || plain::<Small>("c").merge_entries::<Small>();
    let stored = [("c[a]", "5"), ("c[b]", "6")];
    let edit = |map: &mut Small| {
        *map.entry("a".into()).or_default() -= 2;
        *map.entry("new".into()).or_default() += 3;
        map.remove("b");
    };
    let sorted = |staged: Staged| {
        let mut ops = staged.ops();
        ops.sort();
        ops
    };
    let add = Case::new(field().entry_add::<Small>(), &stored);
    let expected = ["c[a] + -2 in 0..=255", "c[b] goes", "c[new] + 3 in 0..=255"];
    assert_eq!(sorted(add.edited(edit)), expected);
    assert_eq!(sorted(add.set(Small::from([("a".into(), 5)]))), ["c[a] = 5", "c[b] goes"], "absolute");
    let max = Case::new(field().entry_max::<Small>(), &stored);
    assert_eq!(sorted(max.edited(edit)), ["c[a] >= 3", "c[b] goes", "c[new] >= 3"]);
    let min = Case::new(field().entry_min::<Small>(), &stored);
    assert_eq!(sorted(min.edited(edit)), ["c[a] <= 3", "c[b] goes", "c[new] <= 3"]);
    let wide = Case::new(plain::<Wide>("c").merge_entries::<Wide>().entry_add::<Wide>(), &[]);
    let most = "c[1] + 9223372036854775807 in 0..=9223372036854775807";
    let edit = |map: &mut Wide| {
        map.insert(1, u64::MAX);
    };
    assert_eq!(wide.edited(edit).ops(), [most]);
    assert_eq!(wide.set(Wide::from([(1, u64::MAX)])).ops(), ["c[1] = 9223372036854775807"]);
}

#[test]
fn elements_of_a_set_are_keys() {
    type Set = HashSet<(u8, String)>;
    let case = Case::new(plain::<Set>("c").merge_entries::<Set>(), &[("c[%5B1%2C%22a%22%5D]", "1")]);
    assert_eq!(case.shown::<Set>(), Set::from([(1, "a".to_owned())]));
    let ops = case.edited(|set: &mut Set| {
        set.clear();
        set.insert((2, "b".into()));
    });
    assert_eq!(ops.ops(), ["c[%5B2%2C%22b%22%5D] = 1", "c[%5B1%2C%22a%22%5D] goes"]);
}

#[test]
fn keys_without_a_text_of_their_own_are_refused() {
    #[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
    struct Key(u8);
    impl serde::Serialize for Key {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(if self.0 == 0 { "zero" } else { "more" })
        }
    }
    impl<'de> serde::Deserialize<'de> for Key {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(u8::from(String::deserialize(deserializer)? == "more")))
        }
    }
    type Keyed = BTreeMap<Key, u8>;
    type Paired = BTreeMap<(u8, u8), u8>;
    let case = Case::new(plain::<Keyed>("c").merge_entries::<Keyed>(), &[]);
    let two = case.set(Keyed::from([(Key(0), 1), (Key(1), 2)]));
    assert_eq!(two.ops().len(), 2);
    let same = case.set(Keyed::from([(Key(1), 1), (Key(2), 2)]));
    let error = same.0.expect_err("one text").to_string();
    assert!(error.contains("`c`") && !error.contains("more"), "{error}");
    let paired = Case::new(plain::<Paired>("c").merge_entries::<Paired>(), &[]);
    assert!(paired.set(Paired::from([((1, 2), 3)])).0.is_err());
}

const LIST: [(&str, &str); 4] = [
    ("c[000000000000000100000000]", "\"a\""),
    ("c[000000000000000200000000]", "\"b\""),
    ("c[000000000000000200000001]", "\"b\""),
    ("c[000000000000200000000000]", "\"c\""),
];

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn items_are_pushed_behind_all_that_was_seen() {
    let case = Case::list(100, &LIST);
    assert_eq!(case.shown::<Vec<String>>(), list(&["a", "b", "b", "c"]));
    let ops = case.edited(|all: &mut Vec<String>| all.extend(list(&["x", "y"])));
    assert_eq!(ops.ops(), ["c[0000000000002001… = \"x\"", "c[0000000000002002… = \"y\""]);
    let first = Case::list(100, &[]).edited(|all: &mut Vec<String>| all.push("x".into()));
    assert_eq!(first.ops(), ["c[0000000000001000… = \"x\""], "the store's time");
}

#[test]
fn items_that_stay_are_not_written_again() {
    let case = Case::list(100, &LIST);
    let ops = case.edited(|all: &mut Vec<String>| drop(all.remove(1)));
    assert_eq!(ops.ops(), ["c[0000000000000002… goes"]);
    let ops = case.edited(|all: &mut Vec<String>| all[1] = "B".into());
    let gone = ["c[0000000000000002… goes", "c[0000000000000002… goes", "c[0000000000002000… goes"];
    let put = ["c[0000000000002001… = \"B\"", "c[0000000000002002… = \"b\"", "c[0000000000002003… = \"c\""];
    assert_eq!(ops.ops(), [gone, put].concat());
    assert_eq!(case.set(list(&["a", "b", "b", "c"])).ops(), [""; 0]);
    assert_eq!(case.set(list(&["a"])).ops().len(), 3);
    assert_eq!(case.removed().ops().len(), 4);
}

#[test]
fn only_the_last_items_stay() {
    let trimmed = |staged: Staged| {
        let trimmed = staged.0.as_ref().map(|staged| staged.trimmed.clone()).unwrap_or_default();
        (staged.ops(), trimmed.into_iter().map(|(_, count)| count).collect::<Vec<_>>())
    };
    let case = Case::list(4, &LIST);
    let (ops, counts) = trimmed(case.edited(|all: &mut Vec<String>| all.extend(list(&["x", "y"]))));
    let gone = ["c[0000000000000001… goes", "c[0000000000000002… goes"];
    assert_eq!(ops, [&gone[..], &["c[0000000000002001… = \"x\"", "c[0000000000002002… = \"y\""]].concat());
    assert_eq!(counts, [2]);
    let case = Case::list(1, &LIST);
    let (ops, counts) = trimmed(case.edited(|all: &mut Vec<String>| all.extend(list(&["x", "y"]))));
    assert_eq!((ops.len(), counts), (5, vec![5]));
    assert_eq!(ops[4], "c[0000000000002001… = \"y\"");
    let (ops, counts) = trimmed(case.edited(|all: &mut Vec<String>| drop(all.remove(0))));
    assert_eq!((ops.len(), counts), (1, Vec::new()), "a removal trims nothing");
}

#[test]
fn items_that_do_not_decode_leave_the_places_of_the_others() {
    let mut stored = LIST;
    stored[1].1 = "7";
    let case = Case::list(100, &stored);
    assert_eq!(case.shown::<Vec<String>>(), list(&["a", "b", "c"]));
    assert_eq!(case.edited(|all: &mut Vec<String>| all.truncate(2)).ops(), ["c[0000000000002000… goes"]);
}

#[test]
fn what_was_delivered_goes_and_what_is_flashed_comes() {
    let case = Case::new(plain::<Vec<String>>("c").flash_list::<Vec<String>>(100), &LIST[..2]);
    let mut decoded = case.decoded();
    decoded.value = Some(Box::new(list(&["x"])));
    let ops = case.staged(Edit::Delivered, &decoded).ops();
    let gone = ["c[0000000000000001… goes if \"a\"", "c[0000000000000002… goes if \"b\""];
    assert_eq!(ops, [&gone[..], &["c[0000000000001000… = \"x\""]].concat());
}
