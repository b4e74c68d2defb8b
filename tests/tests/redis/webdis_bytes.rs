//! Values and names of all kinds of bytes, written through Webdis and read from Redis, and the other way round.

use bytes::Bytes;
use sessions::{
    FieldName, RecordId,
    store::{
        Add, Commit, CommitOutcome, CreateOutcome, Delta, Fields, NewRecord, Op, RedisStore, Store,
        WebdisStore,
    },
};
use tests::{
    Keys,
    records::{TIMEOUTS, commit_id, random_credentials, record_id},
    servers::{RedisServer, WebdisServer},
};

/// Texts that URLs, Redis, Lua, JSON or the layout of a record could misread.
const NAMES: [&str; 36] = [
    "",
    "@",
    "@c",
    "@@",
    "@@c",
    "@@@",
    "a@",
    "/",
    "a/b",
    ".json",
    "a.json",
    "a.raw",
    ".raw",
    "a.png",
    "?",
    "#",
    "+",
    "%",
    "%2F",
    "%00",
    "a b",
    " ",
    "\0",
    "a\0b",
    "\r\n",
    "\"",
    "'",
    "\\",
    "日本語",
    "🦀",
    "e\u{301}",
    "\u{7f}",
    "-",
    "1",
    "GET",
    "KEYS[1]",
];

const VALUES: [&str; 24] = [
    "null",
    "true",
    "0",
    "-0.0",
    "1e300",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551615",
    "[]",
    "{\"a\": [1, {\"b\":null}]}",
    " \t\r\n1 ",
    "\"\"",
    r#""\u0000""#,
    r#""a\u0000b\"c\\d\/e\n\r\t\b\f""#,
    r#""\ud83e\udd80""#,
    "\"/ ? # + % & = ; , : %00 %2F %2e%2e\"",
    "\"../../FLUSHALL\"",
    "\"x.raw\"",
    "\"x.json",
    "x.raw",
    ".txt",
    "\"日本語 🦀 e\u{301} \u{feff} \u{2028} \u{7f}\"",
    "- -1 $-1\r\n*1\r\n",
    "!5:Error",
];

/// Returns all of these texts, and values that are no text in a program.
fn values() -> Vec<Bytes> {
    let mut values = VALUES.map(|text| Bytes::from_static(text.as_bytes())).to_vec();
    // Strings of one character, plain and escaped.
    for code in 0..=0xff_u32 {
        let character = char::from_u32(code).expect("a character");
        if code >= 0x20 && !['"', '\\'].contains(&character) {
            values.push(format!("\"{character}\"").into());
        }
        values.push(format!("\"\\u{code:04x}\"").into());
    }
    // Bytes that are no JSON: each alone, all at once, none.
    values.extend((0..=0xff).map(|byte| Bytes::from(vec![byte])));
    values.push((0..=0xff).collect());
    values.push(Bytes::new());
    // Lengths around round numbers.
    let large: String = ["\"", &"a/b%c\u{e9}\\u0000".repeat(81_000), "\""].concat();
    assert!(large.len() > 1 << 20);
    values.push(large.into());
    values
}

async fn stores() -> (RedisStore, WebdisStore) {
    let keys = Keys::new();
    let redis = RedisStore::builder(RedisServer::shared().url()).with_prefix(keys.prefix());
    let webdis = WebdisStore::builder(WebdisServer::shared().url()).with_prefix(keys.prefix());
    let redis = redis.expect("a prefix").connect().await.expect("a server that answers");
    (redis, webdis.expect("a prefix").connect().await.expect("a server that answers"))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_written_through_webdis_are_read_from_redis() {
    let (redis, webdis) = stores().await;
    exchange_values(&webdis, &redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_written_to_redis_are_read_through_webdis() {
    let (redis, webdis) = stores().await;
    exchange_values(&redis, &webdis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_written_through_webdis_are_read_from_redis() {
    let (redis, webdis) = stores().await;
    exchange_names(&webdis, &redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_written_to_redis_are_read_through_webdis() {
    let (redis, webdis) = stores().await;
    exchange_names(&redis, &webdis).await;
}

/// Both stores count alike at the limits of integers, and name a field that is no number.
#[tokio::test(flavor = "multi_thread")]
async fn both_stores_count_alike() {
    let (redis, webdis) = stores().await;
    count(&redis, &webdis).await;
    count(&webdis, &redis).await;
}

async fn exchange_values(writer: &impl Store, reader: &impl Store) {
    let fields: Vec<_> =
        values().into_iter().enumerate().map(|(i, value)| (format!("f{i}"), value)).collect();
    exchange(writer, reader, &fields).await;
}

async fn exchange_names(writer: &impl Store, reader: &impl Store) {
    let value = |index: usize| Bytes::from(format!("\"{index}\""));
    let fields: Vec<_> =
        NAMES.iter().enumerate().map(|(index, name)| ((*name).to_owned(), value(index))).collect();
    let id = exchange(writer, reader, &fields).await;
    // Each name is a field of its own: without one, all others are there.
    for (index, (name, _)) in fields.iter().enumerate() {
        let mut delta = Delta::new();
        delta.push(name.as_str().into(), Op::Remove, None).expect("one operation");
        applied(writer, id, Commit::new(0, TIMEOUTS).with_delta(delta)).await;
        check(reader, id, &fields[index + 1..]).await;
        assert_eq!(load(reader, id, &fields[..=index]).await.len(), 0, "{name:?}");
    }
}

/// Writes fields with a new record, then by a commit to another one, which also returns them. Returns the latter.
async fn exchange(writer: &impl Store, reader: &impl Store, fields: &[(String, Bytes)]) -> RecordId {
    let mut new = Fields::new();
    let mut delta = Delta::new();
    for (name, value) in fields {
        new.insert(name.as_str().into(), value.clone());
        delta.push(name.as_str().into(), Op::Put(value.clone()), None).expect("one operation a field");
    }
    let created = record_id();
    create(writer, created, new).await;
    check(reader, created, fields).await;
    check(writer, created, fields).await;
    let changed = record_id();
    create(writer, changed, Fields::new()).await;
    let names = fields.iter().map(|(name, _)| name.as_str().into()).collect();
    let told = applied(
        writer,
        changed,
        Commit::new(0, TIMEOUTS).with_delta(delta).with_id(commit_id()).returning(names),
    )
    .await;
    for ((name, value), told) in fields.iter().zip(told) {
        assert!(told.as_ref() == Some(value), "{name:?}: {}", short(value));
    }
    check(reader, changed, fields).await;
    check(writer, changed, fields).await;
    changed
}

async fn count(one: &impl Store, other: &impl Store) {
    let id = record_id();
    let mut fields = Fields::new();
    fields.insert("@c".into(), Bytes::from_static(b"\"text\""));
    create(one, id, fields).await;
    let add = |name: &str, by: i64| {
        let mut delta = Delta::new();
        let add = Add { by, start: 0, min: i64::MIN, max: i64::MAX };
        delta.push(name.into(), Op::Add(add), None).expect("one operation");
        Commit::new(0, TIMEOUTS).with_delta(delta).with_id(commit_id()).returning(vec![name.into()])
    };
    let steps = [
        ("up", i64::MAX - 1, "9223372036854775806"),
        ("up", 1, "9223372036854775807"),
        ("up", 1, "9223372036854775807"),
        ("down", i64::MIN + 1, "-9223372036854775807"),
        ("down", -1, "-9223372036854775808"),
        ("down", -1, "-9223372036854775808"),
        ("down", i64::MAX, "-1"),
        ("@@", (1 << 53) + 1, "9007199254740993"),
    ];
    for (name, by, expected) in steps {
        let told = applied(one, id, add(name, by)).await;
        assert_eq!(told, [Some(Bytes::from_static(expected.as_bytes()))], "{name} {by}");
        check(other, id, &[(name.to_owned(), Bytes::from_static(expected.as_bytes()))]).await;
    }
    match other.commit(id, add("@c", 1)).await {
        Ok(CommitOutcome::Invalid(name)) => assert_eq!(name.as_str(), "@c"),
        answer => panic!("{answer:?}"),
    }
}

async fn create(store: &impl Store, id: RecordId, fields: Fields) {
    let new = NewRecord::new(random_credentials(), TIMEOUTS).with_fields(fields);
    assert!(matches!(store.create(id, new).await, Ok(CreateOutcome::Created(_))));
}

async fn applied(store: &impl Store, id: RecordId, commit: Commit) -> Vec<Option<Bytes>> {
    match store.commit(id, commit).await {
        Ok(CommitOutcome::Applied(values)) => values,
        answer => panic!("{answer:?}"),
    }
}

async fn load(store: &impl Store, id: RecordId, fields: &[(String, Bytes)]) -> Fields {
    let names: Vec<FieldName> = fields.iter().map(|(name, _)| name.as_str().into()).collect();
    store.load(id, &names).await.expect("an answer").expect("the record").fields
}

async fn check(store: &impl Store, id: RecordId, fields: &[(String, Bytes)]) {
    let loaded = load(store, id, fields).await;
    for (name, value) in fields {
        assert!(loaded.get(name) == Some(value), "{name:?}: {}", short(value));
    }
}

/// Returns the beginning of a value, for messages.
fn short(value: &Bytes) -> String {
    value[..value.len().min(100)].escape_ascii().to_string()
}
