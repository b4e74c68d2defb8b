//! What a store does when it is opened, to find out whether it may do all that it will have to: on a
//! record that nobody gets to see, and that is destroyed at once.

use bytes::Bytes;

use crate::{
    delta::{Delta, Op},
    store::{Commit, NewRecord},
    value::{Credentials, FieldName, Timeouts},
};

const VALUE: Bytes = Bytes::from_static(b"1");

/// The record, with a field that the commit drops.
pub(in crate::store) fn probe_record() -> NewRecord {
    let fields = [(FieldName::from_static("dropped"), VALUE)];
    NewRecord::new(Credentials::from_bytes(&[0; 32][..]), Timeouts::default())
        .with_fields(fields.into_iter().collect())
}

/// A commit for which the script needs every command that it has.
pub(in crate::store) fn probe_commit() -> Commit {
    let mut delta = Delta::new();
    delta.retain(Vec::new());
    for (name, op) in [("put", Op::Put(VALUE)), ("compared", Op::RemoveIf(VALUE))] {
        // Cannot fail: nothing was loaded, and there is one operation a field.
        let _ = delta.push(FieldName::from_static(name), op, None);
    }
    Commit::new(0, Timeouts::default()).with_delta(delta).with_touch(true)
}
