//! The record and the commit by which a store tries its permissions when it is opened. No request sees the record,
//! and it is destroyed at once.

use bytes::Bytes;

use crate::{
    delta::{Delta, Op},
    store::{Commit, NewRecord},
    value::{Credentials, FieldName, Timeouts},
};

const VALUE: Bytes = Bytes::from_static(b"1");

/// Returns the record, with a field that the commit drops.
pub(in crate::store) fn probe_record() -> NewRecord {
    let fields = [(FieldName::from_static("dropped"), VALUE)];
    NewRecord::new(Credentials::from_bytes(&[0; 32][..]), Timeouts::default())
        .with_fields(fields.into_iter().collect())
}

/// Returns a commit for which the script needs every command that it has.
pub(in crate::store) fn probe_commit() -> Commit {
    let mut delta = Delta::new();
    delta.retain(Vec::new());
    for (name, op) in [("put", Op::Put(VALUE)), ("compared", Op::RemoveIf(VALUE))] {
        // It cannot fail: nothing was loaded, and each field has one operation.
        let _ = delta.push(FieldName::from_static(name), op, None);
    }
    Commit::new(0, Timeouts::default()).with_delta(delta).with_touch(true)
}
