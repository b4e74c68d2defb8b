//! Any answer of Redis is understood or refused; what is sent has the layout that the scripts expect.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sessions::{
    FieldName, Timeouts, Timestamp,
    fuzzing::hash::{self, RawItem},
    store::{
        Add, Commit, CommitId, CommitOutcome, Credentials, CredentialsChange, Delta, Fields, NewRecord, Op,
    },
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    names: Vec<&'a str>,
    metadata: Option<[u8; 48]>,
    reply: Vec<Item<'a>>,
    now: i64,
    latest: Option<i64>,
    epoch: u32,
    idle: u64,
    absolute: u64,
    touch: bool,
    rotate: Option<[u8; 32]>,
    id: Option<[u8; 8]>,
    retain: Option<Vec<&'a str>>,
    ops: Vec<(&'a str, Operation<'a>)>,
    returning: Vec<&'a str>,
}

#[derive(Arbitrary, Debug)]
enum Item<'a> {
    None,
    Integer(i64),
    Status(i8),
    Bytes(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Put(&'a [u8]),
    PutIfAbsent(&'a [u8]),
    Remove,
    RemoveIf(&'a [u8]),
    Add(i64, i64, i64, i64),
    Max(i64),
    Min(i64),
    ReplaceIf(Option<&'a [u8]>, Option<&'a [u8]>),
}

impl Item<'_> {
    fn reply(&self) -> RawItem {
        match self {
            Self::None => RawItem::None,
            Self::Integer(integer) => RawItem::Integer(*integer),
            Self::Status(status) => RawItem::Integer((*status).into()),
            Self::Bytes(bytes) => RawItem::Bytes(Bytes::copy_from_slice(bytes)),
        }
    }
}

impl Operation<'_> {
    fn op(&self) -> Op {
        let bytes = |bytes: &&[u8]| Bytes::copy_from_slice(bytes);
        match self {
            Self::Put(value) => Op::Put(bytes(value)),
            Self::PutIfAbsent(value) => Op::PutIfAbsent(bytes(value)),
            Self::Remove => Op::Remove,
            Self::RemoveIf(value) => Op::RemoveIf(bytes(value)),
            // `Op::apply` panics on bounds in the wrong order, which no type has.
            Self::Add(by, start, one, other) => {
                Op::Add(Add { by: *by, start: *start, min: *one.min(other), max: *one.max(other) })
            }
            Self::Max(bound) => Op::Max(*bound),
            Self::Min(bound) => Op::Min(*bound),
            Self::ReplaceIf(expected, value) => {
                Op::ReplaceIf { expected: expected.as_ref().map(bytes), value: value.as_ref().map(bytes) }
            }
        }
    }
}

fn names(names: &[&str]) -> Vec<FieldName> {
    names.iter().map(|name| (*name).into()).collect()
}

/// No name is taken for metadata or for another name.
fn check_name(name: &str) {
    let key = hash::key_of(name);
    assert!(!key.starts_with(b"@") || key.starts_with(b"@@"), "{name:?} is metadata");
    assert_eq!(hash::name_of(std::str::from_utf8(&key).expect("text")), name);
}

fn check_loaded(input: &Input<'_>) {
    let (names, now) = (names(&input.names), Timestamp::from_millis(input.now));
    let mut reply: Vec<_> = input.reply.iter().map(Item::reply).collect();
    let Some(bytes) = input.metadata else {
        let first = reply.first().cloned();
        let is_whole = names.iter().any(FieldName::is_prefix);
        if let Ok(None) = hash::loaded(&names, now, reply) {
            assert!(is_whole || first == Some(RawItem::None), "a record was taken for none");
        }
        return;
    };
    reply.insert(0, RawItem::Bytes(Bytes::copy_from_slice(&bytes)));
    if names.iter().any(FieldName::is_prefix) {
        reply.insert(0, RawItem::Bytes(Bytes::from_static(b"@")));
        let Ok(Some(loaded)) = hash::loaded(&names, now, reply.clone()) else { return };
        assert!(loaded.complete);
        for (name, value) in loaded.fields.iter() {
            let key = RawItem::Bytes(hash::key_of(name.as_str()).into());
            let is_pair = |pair: &[RawItem]| *pair == [key.clone(), RawItem::Bytes(value.clone())];
            assert!(reply.chunks(2).any(is_pair), "a field from nowhere");
        }
        return;
    }
    let loaded = hash::loaded(&names, now, reply.clone()).expect("metadata").expect("a record");
    assert_eq!(loaded.credentials.as_bytes(), &bytes[16..]);
    assert_eq!(loaded.epoch.to_be_bytes()[4..], bytes[..4]);
    for (time, bytes) in [(loaded.created, &bytes[4..10]), (loaded.touched, &bytes[10..16])] {
        assert_eq!(time.as_millis().to_be_bytes()[2..], *bytes);
        assert!(time.as_millis() >= 0);
    }
    assert!(loaded.now >= loaded.touched && loaded.now >= now && !loaded.complete);
    for (name, value) in loaded.fields.iter() {
        let is_answer =
            |(asked, item): (&FieldName, &RawItem)| asked == name && *item == RawItem::Bytes(value.clone());
        assert!(names.iter().zip(&reply[1..]).any(is_answer), "a field from nowhere");
    }
}

fn check_answer(commit: &Commit, reply: Vec<RawItem>) {
    let _ = reply.first().cloned().map(hash::created);
    let _ = hash::remembers(commit, reply.clone());
    match hash::answer(commit, reply.clone()) {
        Ok(Some(CommitOutcome::Applied(values))) => {
            assert_eq!((values.len(), reply.len()), (commit.returning.len(), commit.returning.len() + 1));
        }
        Ok(Some(CommitOutcome::Invalid(_) | CommitOutcome::Conflict(_))) => assert!(reply.len() > 1),
        Ok(
            Some(CommitOutcome::NotFound | CommitOutcome::StaleEpoch | CommitOutcome::CredentialsChanged)
            | None,
        )
        | Err(()) => {}
        Ok(Some(other)) => panic!("{other:?} is none of the script's"),
    }
}

fn check_arguments(input: &Input<'_>, commit: &Commit) {
    let latest = input.latest.map(Timestamp::from_millis);
    let head = if latest.is_some_and(|latest| latest.as_millis() / 16 < 1 << 40) { 22 } else { 17 };
    let words = hash::commit_arguments(input.epoch, commit, latest);
    let retained = commit.delta.retained();
    let kept = retained.map_or(0, <[FieldName]>::len);
    assert_eq!(words.len(), 5 + 3 * commit.delta.ops().len() + kept + commit.returning.len());
    assert_eq!(words[0].len(), head);
    assert_eq!(words[0][..4], input.epoch.to_be_bytes());
    assert_eq!(words[0][16], u8::from(input.touch));
    assert_eq!(words[1], input.id.as_ref().map_or(&[][..], |id| id));
    assert_eq!(words[2].len(), if input.rotate.is_some() { 9 + 32 } else { 0 });
    assert_eq!(words[3], commit.delta.ops().len().to_string().as_bytes());
    assert_eq!(words[4], retained.map_or("-1".to_owned(), |kept| kept.len().to_string()).as_bytes());
    for ((name, op), words) in commit.delta.ops().iter().zip(words[5..].chunks(3)) {
        assert_eq!(words[1], hash::key_of(name.as_str()));
        let kind = match op {
            Op::Put(value) => (&b"P"[..], value.clone()),
            Op::PutIfAbsent(value) => (&b"F"[..], value.clone()),
            Op::Remove => (&b"R"[..], Bytes::new()),
            Op::RemoveIf(value) => (&b"U"[..], value.clone()),
            Op::Add(Add { by, start, min, max }) => (&b"A"[..], format!("{by} {start} {min} {max}").into()),
            Op::Max(bound) => (&b"G"[..], bound.to_string().into()),
            Op::Min(bound) => (&b"L"[..], bound.to_string().into()),
            Op::ReplaceIf { expected, value } => {
                let length = expected.as_ref().map_or("-".to_owned(), |expected| expected.len().to_string());
                let mut operand = format!("{length} {} ", if value.is_some() { '+' } else { '-' }).into_bytes();
                operand.extend(expected.iter().chain(value).flatten());
                (&b"C"[..], operand.into())
            }
            other => panic!("{other:?} is new"),
        };
        assert_eq!((&words[0][..], &words[2][..]), (kind.0, &kind.1[..]));
    }

    let pairs = input.reply.iter().zip(&input.names);
    let fields: Fields = pairs
        .filter_map(|(item, name)| match item {
            Item::Bytes(bytes) => Some(((*name).into(), Bytes::copy_from_slice(bytes))),
            _ => None,
        })
        .collect();
    let credentials = Credentials::from_bytes(input.rotate.unwrap_or_default().to_vec());
    let new = NewRecord::new(credentials.clone(), commit.timeouts).with_fields(fields.clone());
    let words = hash::create_arguments(&new, latest);
    assert_eq!(words.len(), 3 + 2 * fields.len());
    assert_eq!((words[0].len(), &words[1][..]), (head, credentials.as_bytes()));
}

fuzz_target!(|input: Input<'_>| {
    input.names.iter().for_each(|name| check_name(name));
    check_loaded(&input);
    let mut delta = Delta::new();
    if let Some(kept) = &input.retain {
        delta.retain(names(kept));
    }
    for (name, operation) in &input.ops {
        // Of operations that cannot be put together the first stays.
        let _ = delta.push((*name).into(), operation.op(), None);
    }
    let timeouts = Timeouts::new(
        std::time::Duration::from_millis(input.idle),
        std::time::Duration::from_millis(input.absolute),
    );
    let mut commit = Commit::new(input.epoch.into(), timeouts)
        .with_delta(delta)
        .with_touch(input.touch)
        .returning(names(&input.returning));
    if let Some(hash) = input.rotate {
        commit = commit
            .with_credentials_change(CredentialsChange::rotation(Credentials::from_bytes(hash.to_vec())));
    }
    if let Some(id) = input.id {
        commit = commit.with_id(CommitId::from_bytes(id));
    }
    check_answer(&commit, input.reply.iter().map(Item::reply).collect());
    check_arguments(&input, &commit);
});
