//! The number of entries that a write leaves in a collection, for the limit on them. Plain values, no I/O.

use crate::{
    delta::{Delta, Op},
    value::{FieldName, Fields},
};

/// A collection that has more entries after a write than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GrownCollection {
    /// The name of the collection.
    pub(super) name: FieldName,
    /// The entries that it then has, as far as the request knows them.
    pub(super) entries: usize,
}

/// The largest of the collections that a delta makes larger. Of one that is too large already, entries can be replaced
/// and removed.
pub(super) fn largest_grown(loaded: Option<&Fields>, delta: &Delta) -> Option<GrownCollection> {
    let mut prefixes: Vec<&str> = Vec::new();
    for (name, op) in delta.ops() {
        if let Some(prefix) = name.prefix().filter(|_| !is_removal(op))
            && !prefixes.contains(&prefix)
        {
            prefixes.push(prefix);
        }
    }
    let grown = prefixes.into_iter().filter_map(|prefix| {
        let entries = entries_after(prefix, loaded, delta)?;
        Some(GrownCollection { name: FieldName::from(prefix).declared(), entries })
    });
    grown.max_by_key(|grown| grown.entries)
}

/// The number of entries after a delta, if these are more than before.
fn entries_after(prefix: &str, loaded: Option<&Fields>, delta: &Delta) -> Option<usize> {
    let (mut before, mut left) = (0, 0);
    for (name, _) in loaded.iter().flat_map(|fields| fields.starting_with(prefix)) {
        before += 1;
        left += usize::from(!delta.drops(name));
    }
    let (mut added, mut removed) = (0, 0);
    for (name, op) in
        delta.ops().iter().filter(|(name, _)| !name.is_prefix() && name.prefix() == Some(prefix))
    {
        let current = loaded.and_then(|fields| fields.get(name.as_str())).filter(|_| !delta.drops(name));
        match (current, op.apply(current)) {
            (None, Ok(Some(_))) => added += 1,
            (Some(_), Ok(None)) => removed += 1,
            // What cannot be applied fails the write.
            _ => {}
        }
    }
    let after = left + added - removed;
    (after > before).then_some(after)
}

const fn is_removal(op: &Op) -> bool {
    matches!(op, Op::Remove | Op::RemoveIf(_))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ONE: Bytes = Bytes::from_static(b"1");

    fn loaded() -> Fields {
        let names = ["cart[a]", "cart[b]", "cart[c]", "list[1]", "cart", "name"];
        names.into_iter().map(|name| (FieldName::from_static(name), ONE)).collect()
    }

    fn grown(ops: &[(&'static str, Op)], kept: Option<&[&'static str]>) -> Option<(String, usize)> {
        let (loaded, mut delta) = (loaded(), Delta::new());
        if let Some(kept) = kept {
            delta.retain(kept.iter().map(|name| FieldName::from_static(name)).collect());
        }
        for (name, op) in ops {
            delta.push(FieldName::from_static(name), op.clone(), loaded.get(name)).unwrap();
        }
        largest_grown(Some(&loaded), &delta).map(|grown| (grown.name.as_str().to_owned(), grown.entries))
    }

    #[test]
    fn what_adds_entries_is_counted_with_those_that_are_left() {
        let put = || Op::Put(Bytes::from_static(b"2"));
        let some = |name: &str, entries| Some((name.to_owned(), entries));
        for (ops, kept, expected) in [
            (&[("cart[d]", put())][..], None, some("cart", 4)),
            (&[("cart[a]", put())], None, None),
            (&[("cart[d]", put()), ("cart[a]", Op::Remove)], None, None),
            (
                &[("cart[d]", put()), ("cart[e]", put()), ("cart[a]", Op::RemoveIf(ONE))],
                None,
                some("cart", 4),
            ),
            (&[("cart[d]", Op::PutIfAbsent(ONE)), ("cart[a]", Op::PutIfAbsent(ONE))], None, some("cart", 4)),
            (&[("cart[d]", Op::Max(3))], None, some("cart", 4)),
            (&[("list[2]", put()), ("cart[d]", put())], None, some("cart", 4)),
            (&[("list[2]", put())], None, some("list", 2)),
            (&[("new[]", put())], None, some("new", 1)),
            (&[("cart[a]", Op::Remove), ("cart[", Op::Remove)], None, None),
            (&[("cart[", Op::Remove), ("cart[d]", put()), ("cart[a]", put())], None, None),
            (&[("cart[d]", put())], Some(&[][..]), None),
            (&[("cart[d]", put())], Some(&["cart["]), some("cart", 4)),
            (&[("name", put()), ("other", put())], None, None),
        ] {
            assert_eq!(grown(ops, kept), expected, "{ops:?} {kept:?}");
        }
    }

    #[test]
    fn a_new_record_has_what_is_put_into_it() {
        let mut delta = Delta::new();
        assert_eq!(largest_grown(None, &delta), None);
        for name in ["cart[a]", "cart[b]", "name"] {
            delta.push(FieldName::from_static(name), Op::Put(ONE), None).unwrap();
        }
        let grown = GrownCollection { name: "cart".into(), entries: 2 };
        assert_eq!(largest_grown(None, &delta), Some(grown));
    }
}
