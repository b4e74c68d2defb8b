//! Records and commits for tests that call a store without a layer.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use sessions::{
    FieldName, RecordId, Timeouts,
    store::{Add, Commit, CommitId, Credentials, Delta, NewRecord, Op},
};

/// An idle timeout of a day, and an absolute one of thirty days.
pub const TIMEOUTS: Timeouts = Timeouts::new(Duration::from_hours(24), Duration::from_hours(30 * 24));

/// Returns an id that was not used before in this process.
#[must_use]
pub fn record_id() -> RecordId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&next());
    RecordId::from_bytes(bytes)
}

/// Returns a record without fields, with credentials that were not used before in this process.
#[must_use]
pub fn new_record() -> NewRecord {
    NewRecord::new(random_credentials(), TIMEOUTS)
}

/// Returns credentials that were not used before in this process.
#[must_use]
pub fn random_credentials() -> Credentials {
    let mut bytes = vec![0; 32];
    bytes[..8].copy_from_slice(&next());
    Credentials::from_bytes(bytes)
}

/// Returns a commit to a record of epoch 0 that changes one field.
#[must_use]
pub fn change(field: &'static str, op: Op) -> Commit {
    let mut delta = Delta::new();
    // A single operation cannot fail.
    let _ = delta.push(FieldName::from_static(field), op, None);
    Commit::new(0, TIMEOUTS).with_delta(delta)
}

/// Returns a commit to a record of epoch 0 that adds to a counter, as the layer would send it.
#[must_use]
pub fn add(field: &'static str, by: i64) -> Commit {
    change(field, Op::Add(Add { by, start: 0, min: i64::MIN, max: i64::MAX })).with_id(commit_id())
}

/// Returns a commit to a record of epoch 0 that puts a field.
#[must_use]
pub fn put(field: &'static str, json: &'static str) -> Commit {
    change(field, Op::Put(Bytes::from_static(json.as_bytes())))
}

/// Returns an id that was not used before in this process.
#[must_use]
pub fn commit_id() -> CommitId {
    CommitId::from_bytes(next())
}

fn next() -> [u8; 8] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}
