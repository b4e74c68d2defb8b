//! Field names that look like something else.

use super::{
    contract::{Direct, json},
    environment::{TestEnvironment, record_of},
};
use crate::{Session, TypedSession, delta::Op, value::FieldName};

/// A view whose fields are named as metadata of a store, or need quotes in its queries.
#[derive(Session)]
struct MetadataNames {
    hash: Option<String>,
    epoch: u64,
    id: Option<u32>,
    #[session(rename = "created.at")]
    created: i64,
    #[session(rename = "it's \"touched\"")]
    touched: bool,
}

type Visit = TypedSession<MetadataNames>;

/// Names that are metadata of some store, part of its syntax, or hard to spell.
const NAMES: [&str; 34] = [
    "hash",
    "epoch",
    "id",
    "data",
    "created",
    "touched",
    "expires",
    "commits",
    "fields",
    "version",
    "_id",
    "h",
    "e",
    "c",
    "t",
    "m",
    "rowid",
    "select",
    "null",
    "a.b",
    "a.b.c",
    "$set",
    "$where",
    "a$b",
    "it's",
    "say \"x\"",
    "back\\slash",
    "naïve",
    "日本語",
    "🦀",
    "with space",
    "a/b?c#d+e%20",
    "[0]",
    "-- ; DROP TABLE sessions",
];

/// A field of any name is stored, changed and removed by that name, and the metadata stay as they were.
pub async fn names_that_look_like_metadata_are_fields(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let fields: Vec<_> = NAMES.iter().map(|name| (*name, json(&format!("\"{}\"", NAMES.len())))).collect();
    let id = direct.create(&fields).await;
    let before = direct.load(id, &NAMES).await.expect("the record");
    for (name, value) in &fields {
        assert_eq!(before.fields.get(name), Some(value), "{name}");
    }
    for name in NAMES {
        direct.apply(id, &[(name, Op::Put(json("1")))]).await;
        let after = direct.load(id, &NAMES).await.expect("the record");
        assert_eq!(after.fields.get(name), Some(&json("1")), "{name}");
        direct.apply(id, &[(name, direct.add(4))]).await;
        let after = direct.load(id, &NAMES).await.expect("the record");
        assert_eq!(after.fields.get(name), Some(&json("5")), "{name}");
        assert_eq!(after.credentials, before.credentials, "{name}");
        assert_eq!((after.epoch, after.created), (before.epoch, before.created), "{name}");
    }
    for (index, name) in NAMES.iter().enumerate() {
        direct.apply(id, &[(name, Op::Remove)]).await;
        let after = direct.load(id, &NAMES).await.expect("the record");
        assert!(!after.fields.contains(name), "{name}");
        let left = NAMES.iter().filter(|name| after.fields.contains(name)).count();
        assert_eq!(left, NAMES.len() - index - 1, "{name}");
    }
}

/// Names that differ in case, in a trailing space or in how a letter is composed are different.
pub async fn names_that_look_alike_are_different(env: TestEnvironment) {
    let names = [
        "name",
        "Name",
        "NAME",
        "name ",
        " name",
        "n\u{e4}me",
        "na\u{308}me",
        "name\u{200b}",
        "name.",
        ".name",
    ];
    let direct = Direct::new(&env).await;
    let values: Vec<_> = (0..names.len()).map(|index| json(&index.to_string())).collect();
    let fields: Vec<_> = names.iter().copied().zip(values.iter().cloned()).collect();
    let id = direct.create(&fields).await;
    direct.apply(id, &[("name", Op::Put(json("\"changed\"")))]).await;
    let loaded = direct.load(id, &names).await.expect("the record");
    for (name, value) in &fields[1..] {
        assert_eq!(loaded.fields.get(name), Some(value), "{name:?}");
    }
    let one =
        direct.raw.load(id, &[FieldName::from_static("Name")]).await.expect("an answer").expect("the record");
    assert_eq!(one.fields.get("Name"), Some(&values[1]));
}

/// A view may name its fields as a store names its metadata.
pub async fn views_may_use_such_names(env: TestEnvironment) {
    async fn show(view: Visit) -> String {
        format!("{:?}", (view.hash(), view.epoch(), view.id(), view.created(), view.touched()))
    }
    let app = env.app().await;
    let browser = app.browser();
    let set = async |mut view: Visit| {
        view.set_hash("\u{1f980}");
        view.set_epoch(u64::MAX);
        view.set_id(7);
        view.set_created(-1);
        view.set_touched(true);
        show(view).await
    };
    let set = browser.visit(set).await;
    let id = record_of(&browser);
    assert_eq!(browser.visit(show).await, set);
    assert_eq!(set, format!("(Some(\"\u{1f980}\"), {}, Some(7), -1, true)", u64::MAX));
    assert_eq!(app.load(id, &["epoch"]).await.expect("the record").epoch, 0);
}
