//! Collections that an older program stored whole: the first change makes entries of them. Plain values, no I/O.

use bytes::Bytes;

use super::{
    pending_change::{FieldChange, PendingChange},
    secrets::UNOPENED,
};
use crate::{
    delta::{Delta, Op},
    value::{
        FieldName,
        collection::{entry_name, entry_of},
    },
};

/// The most times that a write is planned again, since a whole was stored meanwhile.
pub(super) const MOST_REPETITIONS: usize = 3;

/// The operations that come before a change of an entry, if its collection is stored whole: the entries are put, as far
/// as there are none, and the whole goes. If it is not as loaded by then, nothing is written: the record is read again, and
/// the write planned again.
///
/// `stored` returns a field as the request sees it so far.
pub(super) fn split_wholes(
    change: &FieldChange,
    stored: impl Fn(&FieldName) -> Option<Bytes>,
) -> Vec<(FieldName, Op)> {
    let mut ops = Vec::new();
    let Some(kind) = change.collection.filter(|_| entry_of(change.name.as_str()).is_some()) else {
        return ops;
    };
    let names: Vec<_> = change.whole_names().collect();
    for name in &names {
        let Some(whole) = stored(name).filter(|whole| **whole != *UNOPENED) else { continue };
        for entry in kind.split(&whole).unwrap_or_default() {
            let mut of_key = names.iter().map(|name| entry_name(name.as_str(), &entry.key));
            if of_key.clone().any(|name| stored(&name).is_some()) {
                continue;
            }
            // Another request may have put it meanwhile.
            let op = Op::PutIfAbsent(Bytes::copy_from_slice(&entry.value));
            ops.extend(of_key.next().map(|name| (name, op)));
        }
        ops.push((name.clone(), Op::ReplaceIf { expected: Some(whole), value: None }));
    }
    ops
}

/// The names to read again if a collection that becomes entries is not as it was loaded: all under which it may be
/// stored. Empty if a write makes entries of none.
pub(super) fn names_to_read_again(delta: &Delta, changes: &[PendingChange]) -> Vec<FieldName> {
    let mut names: Vec<FieldName> = Vec::new();
    if !delta.ops().iter().any(|(_, op)| op.is_conditional()) {
        return names;
    }
    let collections =
        changes.iter().filter_map(PendingChange::field).filter(|field| field.collection.is_some());
    for name in collections.flat_map(FieldChange::whole_names) {
        if !names.contains(&name) {
            names.push(FieldName::entries_of(name.as_str()));
            names.push(name);
        }
    }
    let is_whole = |(name, op): &(FieldName, Op)| op.is_conditional() && names.contains(name);
    if delta.ops().iter().any(is_whole) { names } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Fields, collection::CollectionKind};

    fn fields(pairs: &[(&str, &'static str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).into(), Bytes::from_static(value.as_bytes()))).collect()
    }

    fn change(name: &str, collection: Option<CollectionKind>) -> FieldChange {
        FieldChange {
            collection,
            aliases: &["basket"],
            ..FieldChange::new(name.into(), Op::Put(Bytes::from_static(b"9")), 0)
        }
    }

    fn ops(of: &FieldChange, stored: &[(&str, &'static str)]) -> Vec<String> {
        let fields = fields(stored);
        let ops = split_wholes(of, |name| fields.get(name.as_str()).cloned());
        let text = |(name, op): (FieldName, Op)| match op {
            Op::PutIfAbsent(value) => format!("{} = {}", name.as_str(), String::from_utf8_lossy(&value)),
            Op::ReplaceIf { value: None, .. } => format!("{} goes", name.as_str()),
            other => format!("{other:?}"),
        };
        ops.into_iter().map(text).collect()
    }

    #[test]
    fn a_whole_becomes_entries_but_for_those_that_are_there() {
        let map = change("cart[1]", Some(CollectionKind::Map));
        let stored = [("cart", r#"{"1":2,"a b":3,"5":6}"#), ("cart[5]", "7"), ("other", "{\"x\":1}")];
        assert_eq!(ops(&map, &stored), ["cart[1] = 2", "cart[a%20b] = 3", "cart goes"]);
        let stored = [("basket", r#"{"1":2,"5":6}"#), ("basket[5]", "7")];
        assert_eq!(ops(&map, &stored), ["cart[1] = 2", "basket goes"]);
        let set = change("cart[1]", Some(CollectionKind::Set));
        assert_eq!(ops(&set, &[("cart", "[1,2]")]), ["cart[1] = 1", "cart[2] = 1", "cart goes"]);
        assert_eq!(ops(&set, &[("cart[3]", "1")]), [""; 0]);
    }

    /// It counts as empty, as it does where it is shown.
    #[test]
    fn a_whole_of_another_type_goes_alone() {
        let map = change("cart[1]", Some(CollectionKind::Map));
        assert_eq!(ops(&map, &[("cart", "[1,2]")]), ["cart goes"]);
    }

    #[test]
    fn what_cannot_be_opened_and_what_is_no_entry_leave_it() {
        let map = change("cart[1]", Some(CollectionKind::Map));
        assert_eq!(ops(&map, &[("cart", "\0")]), [""; 0]);
        let whole = [("cart", r#"{"1":2}"#)];
        assert_eq!(ops(&change("cart", Some(CollectionKind::Map)), &whole), [""; 0]);
        assert_eq!(ops(&change("cart[1]", None), &whole), [""; 0]);
    }
}
