//! The bounds of the store, and the order of eviction.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    delta::{Add, Delta, Op},
    error::ErrorKind,
    store::CredentialsChange,
    sync::atomic::{AtomicI64, Ordering},
    value::{Credentials, Timestamp},
};

const KIBIBYTE: usize = 1024;

#[derive(Clone, Default)]
struct Seconds(Arc<AtomicI64>);

impl Clock for Seconds {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst) * 1000)
    }
}

/// A store for so many KiB in one shard, whose clock goes on by a second with each step.
struct Site {
    store: MemoryStore,
    clock: Seconds,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn new(kibibytes: usize) -> Self {
        let clock = Seconds::default();
        let store = MemoryStore::new().with_max_bytes(kibibytes * KIBIBYTE).with_clock(clock.clone());
        assert_eq!(store.shards.len(), 1);
        Self { store, clock, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.clock.0.fetch_add(1, Ordering::SeqCst);
        let output = self.runtime.block_on(work);
        let shard = lock(&self.store.shards[0]);
        let _ = shard.checked_ids();
        assert!(shard.bytes() <= self.store.max_bytes, "the bound holds");
        output
    }

    fn create(&self, number: u8, credentials: Credentials, kibibytes: usize) -> Result<CreateOutcome, Error> {
        let fields = [("a".into(), value(kibibytes))].into_iter().collect();
        let new = NewRecord::new(credentials, Timeouts::default()).with_fields(fields).with_first_visit(true);
        self.run(self.store.create(id(number), new))
    }

    /// A record whose token has come back.
    fn visitor(&self, number: u8, kibibytes: usize) {
        assert!(matches!(self.create(number, visitors(), kibibytes), Ok(CreateOutcome::Created(_))));
        assert!(self.run(self.store.load(id(number), &["a".into()])).unwrap().is_some());
    }

    fn commit(&self, number: u8, op: Op) -> Result<CommitOutcome, Error> {
        let mut delta = Delta::new();
        delta.push("a".into(), op, None).unwrap();
        self.run(self.store.commit(id(number), Commit::new(0, Timeouts::default()).with_delta(delta)))
    }

    fn numbers(&self) -> Vec<u8> {
        let mut numbers: Vec<_> =
            lock(&self.store.shards[0]).checked_ids().map(|id| id.as_bytes()[0]).collect();
        numbers.sort_unstable();
        numbers
    }
}

fn id(number: u8) -> RecordId {
    RecordId::from_bytes([number; 16])
}

fn value(kibibytes: usize) -> Bytes {
    format!("\"{}\"", "x".repeat(kibibytes * KIBIBYTE)).into()
}

fn visitors() -> Credentials {
    Credentials::from_bytes(vec![1; 33])
}

fn users() -> Credentials {
    let mut bytes = vec![1; 33];
    bytes[32] |= 0x80;
    Credentials::from_bytes(bytes)
}

fn is_full<T: fmt::Debug>(result: Result<T, Error>) -> bool {
    let error = result.unwrap_err();
    error.kind() == ErrorKind::Unavailable
}

/// Few large records fill a store that has room for a million small ones.
#[test]
fn a_store_is_bounded_in_bytes_and_pushes_out_in_its_order() {
    let site = Site::new(100);
    for number in 1..=3 {
        site.visitor(number, 20);
    }
    site.create(4, visitors(), 20).unwrap();
    assert_eq!(site.numbers(), [1, 2, 3, 4]);
    // First the one whose token never came back, then the one that was unused for longest.
    site.visitor(5, 20);
    assert_eq!(site.numbers(), [1, 2, 3, 5]);
    site.visitor(6, 40);
    assert_eq!(site.numbers(), [3, 5, 6]);
    assert!(is_full(site.create(7, visitors(), 100)), "larger than the store");
    assert_eq!(site.numbers(), [3, 5, 6], "and no record goes for it");
}

#[test]
fn no_record_with_a_right_goes_for_the_bytes_of_another() {
    let site = Site::new(100);
    site.create(1, users(), 40).unwrap();
    site.create(2, users(), 40).unwrap();
    site.visitor(3, 10);
    assert!(is_full(site.create(4, users(), 40)), "a visitor's bytes are not enough");
    assert_eq!(site.numbers(), [1, 2, 3], "so the visitor stays");
    site.create(4, users(), 10).unwrap();
    assert_eq!(site.numbers(), [1, 2, 4]);
    assert!(is_full(site.create(5, visitors(), 10)));
    // Those that are over anyway go all the same.
    site.clock.0.fetch_add(100 * 24 * 3600, Ordering::SeqCst);
    site.create(5, visitors(), 95).unwrap();
    assert_eq!(site.numbers(), [5]);
}

#[test]
fn a_record_that_grows_pushes_out_others_and_never_itself() {
    let site = Site::new(100);
    site.create(1, visitors(), 20).unwrap();
    site.visitor(2, 20);
    site.visitor(3, 20);
    // It would be the first to go.
    assert!(matches!(site.commit(1, Op::Put(value(65))), Ok(CommitOutcome::Applied(_))));
    assert_eq!(site.numbers(), [1, 3]);
    assert!(matches!(site.commit(1, Op::Put(value(60))), Ok(CommitOutcome::Applied(_))));
    assert!(is_full(site.commit(1, Op::Put(value(100)))));
    let loaded = site.run(site.store.load(id(1), &["a".into()])).unwrap().unwrap();
    assert_eq!(loaded.fields.get("a"), Some(&value(60)), "nothing of it is written");
    assert_eq!(site.numbers(), [1, 3]);
}

/// Nothing keeps a user of a full store from logging out.
#[test]
fn a_full_store_takes_what_needs_no_room() {
    let site = Site::new(100);
    site.create(1, users(), 49).unwrap();
    site.create(2, users(), 49).unwrap();
    assert!(is_full(site.commit(1, Op::Put(value(50)))));
    let add = Add { by: 1, start: 0, min: 0, max: 9 };
    assert!(matches!(site.commit(1, Op::Add(add)), Ok(CommitOutcome::Invalid(_))), "a refusal is a refusal");
    assert!(matches!(site.commit(9, Op::Put(value(9))), Ok(CommitOutcome::NotFound)));
    let credentials_change = Commit::new(0, Timeouts::default())
        .with_touch(true)
        .with_credentials_change(CredentialsChange::rotation(users()));
    let answer = site.run(site.store.commit(id(1), credentials_change));
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))));
    assert!(
        matches!(site.commit(2, Op::Put(value(48))), Ok(CommitOutcome::Applied(_))),
        "smaller than before"
    );
    assert!(matches!(site.commit(2, Op::Remove), Ok(CommitOutcome::Applied(_))));
    site.run(site.store.destroy(id(2))).unwrap();
    site.run(site.store.purge(Timeouts::new(Duration::ZERO, Duration::ZERO), 9)).unwrap();
    assert_eq!(site.numbers(), [1]);
}

#[test]
fn options_do_not_depend_on_their_order() {
    for store in [
        MemoryStore::new().with_capacity(10).with_max_bytes(KIBIBYTE),
        MemoryStore::new().with_max_bytes(KIBIBYTE).with_capacity(10),
    ] {
        assert_eq!((store.shards.len(), store.capacity, store.max_bytes), (1, 10, KIBIBYTE));
    }
    assert_eq!(MemoryStore::new().shards.len(), SHARDS);
}
