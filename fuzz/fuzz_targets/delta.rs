//! Any operations on a record: putting them together and applying them once is applying them one by one, and what
//! fails changes nothing.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sessions::{
    FieldName, Timeouts,
    store::{Add, Commit, CommitOutcome, Credentials, Delta, Fields, NewRecord, Op, Record},
};
use sessions_fuzz::NOW;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    loaded: [Option<Value<'a>>; FIELDS],
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Do(u8, Operation<'a>),
    Retain([bool; FIELDS], bool),
    /// Removes all entries.
    Empty,
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Small(i8),
    Large(i64),
    Bytes(&'a [u8]),
}

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Put(Value<'a>),
    PutIfAbsent(Value<'a>),
    Remove,
    RemoveIf(Value<'a>),
    Add(i64),
    AddLittle(i8),
    AddWithin(i8, i64, [i64; 2]),
    Max(i64),
    Min(i64),
    ReplaceIf(Option<Value<'a>>, Option<Value<'a>>),
}

const FIELDS: usize = 4;

/// A field counts within the bounds of its type, and from its default. Two are entries of one collection.
const KINDS: [(&str, i64, i64, i64); FIELDS] = [
    ("byte", 3, 0, 255),
    ("signed[]", -1, -128, 127),
    ("counts[unsigned]", 0, 0, i64::MAX),
    ("counts[wide]", 0, i64::MIN, i64::MAX),
];

/// The prefix name of the collection.
const COUNTS: FieldName = FieldName::from_static("counts[");

impl Value<'_> {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Small(number) => number.to_string().into(),
            Self::Large(number) => number.to_string().into(),
            Self::Bytes(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

impl Operation<'_> {
    fn op(&self, field: usize) -> Op {
        let (_, start, min, max) = KINDS[field];
        let add = |by| Op::Add(Add { by, start, min, max });
        match self {
            Self::Put(value) => Op::Put(value.bytes()),
            Self::PutIfAbsent(value) => Op::PutIfAbsent(value.bytes()),
            Self::Remove => Op::Remove,
            Self::RemoveIf(value) => Op::RemoveIf(value.bytes()),
            Self::Add(by) => add(*by),
            Self::AddLittle(by) => add(i64::from(*by)),
            Self::AddWithin(by, start, [min, max]) => {
                Op::Add(Add { by: i64::from(*by), start: *start, min: *min, max: *max })
            }
            Self::Max(bound) => Op::Max(*bound),
            Self::Min(bound) => Op::Min(*bound),
            Self::ReplaceIf(expected, value) => Op::ReplaceIf {
                expected: expected.as_ref().map(Value::bytes),
                value: value.as_ref().map(Value::bytes),
            },
        }
    }
}

/// The operations one by one.
struct Sequence {
    fields: Fields,
    failed: bool,
}

impl Sequence {
    fn apply(&mut self, name: &FieldName, op: &Op) {
        let Ok(after) = op.apply(self.fields.get(name.as_str())) else {
            self.failed = true;
            return;
        };
        match after {
            Some(value) => self.fields.insert(name.clone(), value),
            None => self.fields.remove(name.as_str()),
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let names = KINDS.map(|(name, ..)| FieldName::from_static(name));
    let values = input.loaded.iter().zip(&names);
    let loaded: Fields =
        values.filter_map(|(value, name)| Some((name.clone(), value.as_ref()?.bytes()))).collect();
    let mut sequence = Sequence { fields: loaded.clone(), failed: false };
    let mut delta = Delta::new();
    for step in &input.steps {
        match step {
            Step::Do(field, operation) => {
                let field = usize::from(*field) % FIELDS;
                let (name, op) = (&names[field], operation.op(field));
                sequence.apply(name, &op);
                let before = delta.clone();
                if delta.push(name.clone(), op, loaded.get(name.as_str())).is_err() {
                    assert!(sequence.failed, "only the composition failed");
                    assert_eq!(delta, before, "what failed left a trace");
                }
            }
            Step::Retain(kept, keeps_counts) => {
                let kept = names.iter().zip(kept).filter(|(_, kept)| **kept).map(|(name, _)| name.clone());
                let kept: Vec<_> = kept.chain(keeps_counts.then_some(COUNTS)).collect();
                for name in names.iter().filter(|name| !kept.iter().any(|kept| kept.covers(name))) {
                    sequence.apply(name, &Op::Remove);
                }
                delta.retain(kept);
            }
            Step::Empty => {
                for name in names.iter().filter(|name| COUNTS.covers(name)) {
                    sequence.apply(name, &Op::Remove);
                }
                delta.push(COUNTS, Op::Remove, None).expect("a removal");
            }
        }
        for (index, (name, _)) in delta.ops().iter().enumerate() {
            assert!(delta.ops()[..index].iter().all(|(other, _)| other != name), "two operations on {name}");
        }
    }
    let mut together = loaded.clone();
    let applied = delta.apply(&mut together);
    if applied.is_err() {
        assert!(sequence.failed, "only the delta failed");
        assert_eq!(together, loaded, "what failed changed something");
    } else if !sequence.failed {
        assert_eq!(together, sequence.fields, "{delta:?}");
    }

    // The same as a commit.
    let (credentials, timeouts) = (Credentials::from_bytes(vec![1; 32]), Timeouts::default());
    let mut record = Record::new(NewRecord::new(credentials, timeouts).with_fields(loaded.clone()), NOW);
    let before = record.clone();
    let commit = Commit::new(0, timeouts).with_delta(delta).returning(names.to_vec());
    match record.commit(&commit, NOW) {
        CommitOutcome::Applied(values) => {
            assert!(applied.is_ok() && record.fields == together);
            let there = names.iter().map(|name| together.get(name.as_str()).cloned());
            assert_eq!(values, there.collect::<Vec<_>>());
        }
        refused @ (CommitOutcome::Invalid(_) | CommitOutcome::Conflict(_)) => {
            let failure = applied.expect_err("the delta fails as well");
            assert!(CommitOutcome::from(failure) == refused && record == before);
        }
        other => panic!("{other:?}"),
    }
});
