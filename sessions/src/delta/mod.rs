//! The changes of one request, and the rules by which they are combined and applied.
//!
//! Nothing here does I/O. Every store that can run Rust inside its atomic operation applies a delta with
//! [`Delta::apply`]; other stores translate it.

mod op;

use bytes::Bytes;

pub use self::op::{Add, Op, OpFailure};
use crate::value::{Covers, FieldName, Fields};

/// The changes of one request: at most one operation per field.
///
/// The removal of a prefix name ([`FieldName`]) is that of all stored fields which begin with it. It stands before all
/// other operations, so that an entry can be put into a collection that is emptied with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    retain: Option<Vec<FieldName>>,
    ops: Vec<(FieldName, Op)>,
}

/// An operation of a delta that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
// Public fields and no `non_exhaustive`: a store of another crate makes its answer of it.
#[allow(clippy::exhaustive_structs)]
pub struct DeltaFailure {
    /// The operation's field.
    pub field: FieldName,
    /// The reason.
    pub reason: OpFailure,
}

impl Delta {
    /// Makes a delta without changes.
    #[must_use]
    pub const fn new() -> Self {
        Self { retain: None, ops: Vec::new() }
    }

    /// Adds an operation after those that are there, which it may replace or undo.
    ///
    /// `loaded` is the field's value as the request loaded it. A field that ends as it was loaded is no change. Two
    /// operations of different kinds on one field become a put of the value that this request saw.
    ///
    /// # Errors
    ///
    /// [`OpFailure`] if the field's value is not what the operation needs, or if the operation on a prefix name is not
    /// [`Op::Remove`]. The delta is then as it was.
    pub fn push(&mut self, name: FieldName, op: Op, loaded: Option<&Bytes>) -> Result<(), OpFailure> {
        if name.is_prefix() {
            return match op {
                Op::Remove => {
                    self.force(name, op);
                    Ok(())
                }
                _ => Err(OpFailure::Invalid),
            };
        }
        let loaded = if self.drops(&name) { None } else { loaded };
        match self.ops.iter().position(|(known, _)| *known == name) {
            Some(index) => match self.ops[index].1.then(op, loaded)? {
                Some(op) => self.ops[index].1 = op,
                None => {
                    self.ops.swap_remove(index);
                }
            },
            None => self.ops.push((name, op)),
        }
        Ok(())
    }

    /// Puts an operation in the place of the field's other one, whatever was loaded. For a prefix name the operation is
    /// a removal.
    pub(crate) fn force(&mut self, name: FieldName, op: Op) {
        self.take_covered(&name);
        let index = if name.is_prefix() { 0 } else { self.ops.len() };
        self.ops.insert(index, (name, op));
    }

    /// Removes the operations on all fields that this name covers.
    pub(crate) fn take_covered(&mut self, name: &FieldName) {
        self.ops.retain(|(known, _)| !name.covers(known));
    }

    /// Returns true if there is an operation on this field.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.ops.iter().any(|(known, _)| known.as_str() == name)
    }

    /// Removes the operation on one field and returns it.
    pub fn take(&mut self, name: &str) -> Option<Op> {
        let index = self.ops.iter().position(|(known, _)| known.as_str() == name)?;
        let is_first = self.ops[index].0.is_prefix();
        Some(if is_first { self.ops.remove(index) } else { self.ops.swap_remove(index) }.1)
    }

    /// Replaces each operation by what `change` makes of it; `None` leaves it out.
    pub(crate) fn try_map<E>(
        self,
        mut change: impl FnMut(&FieldName, Op) -> Result<Option<Op>, E>,
    ) -> Result<Self, E> {
        let mut ops = Vec::with_capacity(self.ops.len());
        for (name, op) in self.ops {
            ops.extend(change(&name, op)?.map(|op| (name, op)));
        }
        Ok(Self { retain: self.retain, ops })
    }

    /// Drops every field of the record but the named ones, and every change so far of the others. A prefix name keeps
    /// all fields that begin with it.
    pub fn retain(&mut self, names: Vec<FieldName>) {
        // A collection that was emptied stays so, though some of its entries are kept.
        self.ops.retain(|(name, _)| name.is_prefix() || names.covers(name));
        self.retain = Some(match self.retain.take() {
            Some(kept) => in_both(&names, &kept),
            None => names,
        });
    }

    /// Returns the fields to keep, if all others are dropped before the operations apply.
    #[must_use]
    pub fn retained(&self) -> Option<&[FieldName]> {
        self.retain.as_deref()
    }

    /// Returns the operations, one per field. Removals of prefix names come first.
    #[must_use]
    pub fn ops(&self) -> &[(FieldName, Op)] {
        &self.ops
    }

    /// Returns true if nothing changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.retain.is_none() && self.ops.is_empty()
    }

    /// Applies everything or nothing.
    ///
    /// # Errors
    ///
    /// The first operation that cannot be applied, by its field; `fields` are then as they were.
    pub fn apply(&self, fields: &mut Fields) -> Result<(), DeltaFailure> {
        for (name, op) in self.ops.iter().filter(|(_, op)| op.can_fail()) {
            let current = if self.drops(name) { None } else { fields.get(name.as_str()) };
            op.apply(current).map_err(|reason| DeltaFailure { field: name.clone(), reason })?;
        }
        // Nothing below can fail: there is one operation per field, so none sees another's result.
        if let Some(names) = &self.retain {
            fields.retain(names);
        }
        for (name, op) in &self.ops {
            if name.is_prefix() {
                fields.remove_covered(name);
                continue;
            }
            fields
                .alter(name, |current| op.apply(current))
                .map_err(|reason| DeltaFailure { field: name.clone(), reason })?;
        }
        Ok(())
    }

    /// Returns true if fields may be dropped before the operations on single fields apply.
    pub(crate) fn drops_any(&self) -> bool {
        self.retain.is_some() || self.ops.first().is_some_and(|(name, _)| name.is_prefix())
    }

    /// Returns what the changes do where all their conditions are known to be met, as in a new record.
    pub(crate) fn unconditional(&self) -> Self {
        let ops = self.ops.iter().map(|(name, op)| (name.clone(), op.unconditional())).collect();
        Self { retain: self.retain.clone(), ops }
    }

    /// Returns true if this field is dropped before the operations on single fields apply.
    pub(crate) fn drops(&self, name: &FieldName) -> bool {
        let mut emptied = self.ops.iter().map(|(name, _)| name).take_while(|name| name.is_prefix());
        emptied.any(|prefix| prefix.covers(name))
            || self.retain.as_ref().is_some_and(|names| !names.covers(name))
    }
}

/// Returns the names that cover what names of both lists cover.
fn in_both(left: &[FieldName], right: &[FieldName]) -> Vec<FieldName> {
    let of_left = left.iter().filter(|name| right.covers(name));
    // What both have is there once.
    let of_right = right.iter().filter(|name| left.covers(name) && !left.contains(name));
    of_left.chain(of_right).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn fields(pairs: &[(&str, &'static str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).into(), json(value))).collect()
    }

    fn replacing(expected: Option<&'static str>, value: Option<&'static str>) -> Op {
        Op::ReplaceIf { expected: expected.map(json), value: value.map(json) }
    }

    fn add(by: i64) -> Op {
        Op::Add(Add { by, start: 0, min: i64::MIN, max: i64::MAX })
    }

    /// Pushing operations one by one and applying the delta is applying them one by one.
    #[test]
    fn composition_agrees_with_sequence() {
        let ops = [
            Op::Put(json("5")),
            Op::Put(json("9")),
            Op::PutIfAbsent(json("7")),
            Op::Remove,
            Op::RemoveIf(json("5")),
            add(3),
            add(-8),
            Op::Max(6),
            Op::Min(6),
            replacing(None, Some("9")),
            replacing(Some("5"), Some("9")),
            replacing(Some("5"), None),
            replacing(Some("9"), Some("5")),
        ];
        let in_sequence = |ops: &[&Op], start: Option<&Bytes>| {
            ops.iter().try_fold(start.cloned(), |value, op| op.apply(value.as_ref()))
        };
        let together = |delta: &Delta, start: Option<&Bytes>| {
            let mut fields: Fields = start.iter().map(|value| ("n".into(), (*value).clone())).collect();
            delta.apply(&mut fields).map(|()| fields.get("n").cloned()).map_err(|failure| failure.reason)
        };
        let stored = [None, Some("5"), Some("9"), Some("-2")].map(|value| value.map(json));
        for loaded in &stored {
            for first in &ops {
                for second in &ops {
                    for third in &ops {
                        let ops = [first, second, third];
                        let mut delta = Delta::new();
                        let pushed = ops
                            .iter()
                            .try_for_each(|op| delta.push("n".into(), (*op).clone(), loaded.as_ref()));
                        let applied = pushed.and_then(|()| together(&delta, loaded.as_ref()));
                        let expected = in_sequence(&ops, loaded.as_ref());
                        assert_eq!(applied, expected, "{loaded:?}: {ops:?} became {delta:?}");
                        // What another request has put there fails a condition, though the request saw it met.
                        let is_conditional = delta.ops().iter().any(|(_, op)| op.is_conditional());
                        for other in stored.iter().filter(|_| applied.is_ok() && is_conditional) {
                            if in_sequence(&ops, other.as_ref()).is_err() {
                                let refused = together(&delta, other.as_ref());
                                assert_eq!(refused, Err(OpFailure::Changed), "{other:?}: {ops:?}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn set_then_remove_of_a_new_field_is_nothing_to_send() {
        let mut delta = Delta::new();
        delta.push("n".into(), Op::Put(json("1")), None).unwrap();
        delta.push("n".into(), Op::Remove, None).unwrap();
        assert!(delta.is_empty());
    }

    #[test]
    fn set_and_set_back_is_nothing_to_send() {
        let mut delta = Delta::new();
        let loaded = json("1");
        delta.push("n".into(), Op::Put(json("2")), Some(&loaded)).unwrap();
        delta.push("n".into(), Op::Put(json("1")), Some(&loaded)).unwrap();
        assert!(delta.is_empty());
    }

    #[test]
    fn remove_then_set_is_one_put() {
        let mut delta = Delta::new();
        let loaded = json("1");
        delta.push("n".into(), Op::Remove, Some(&loaded)).unwrap();
        delta.push("n".into(), Op::Put(json("2")), Some(&loaded)).unwrap();
        assert_eq!(delta.ops(), [("n".into(), Op::Put(json("2")))]);
    }

    #[test]
    fn two_adds_stay_an_add() {
        let mut delta = Delta::new();
        delta.push("n".into(), add(2), Some(&json("40"))).unwrap();
        delta.push("n".into(), add(3), Some(&json("40"))).unwrap();
        let [(_, Op::Add(together))] = delta.ops() else { panic!("{delta:?}") };
        assert_eq!((together.by, together.start), (5, 0));
    }

    /// Pushing the operations on what was loaded does what they do one by one, and so does the
    /// delta, if it is still an addition, on whatever else is there by then.
    fn agrees(loaded: &'static str, ops: &[Op]) -> Delta {
        let start = fields(&[("n", loaded)]);
        let in_sequence = |value: Option<&Bytes>| {
            ops.iter().fold(value.cloned(), |value, op| op.apply(value.as_ref()).unwrap())
        };
        let mut delta = Delta::new();
        for op in ops {
            delta.push("n".into(), op.clone(), start.get("n")).unwrap();
        }
        let mut values = vec![Some(json(loaded))];
        if let [(_, Op::Add(_))] = delta.ops() {
            let edges = ["-9223372036854775808", "-1", "0", "1", "255", "9223372036854775807"];
            values.extend(edges.map(|value| Some(json(value))).into_iter().chain([None]));
        }
        for value in values {
            let mut together: Fields = value.iter().map(|value| ("n".into(), value.clone())).collect();
            delta.apply(&mut together).unwrap();
            let expected = in_sequence(value.as_ref());
            assert_eq!(together.get("n"), expected.as_ref(), "{ops:?} on {value:?} became {delta:?}");
        }
        delta
    }

    #[test]
    fn additions_that_stop_at_a_bound_on_the_way_are_one_addition() {
        let within = |by, min, max| Op::Add(Add { by, start: 7, min, max });
        let byte = |by| within(by, 0, 255);
        let delta = agrees("250", &[byte(10), byte(-10)]);
        let Op::Add(Add { by: 0, start: 7, min: 0, max: 245 }) = delta.ops()[0].1 else {
            panic!("{delta:?}")
        };
        let bounds = [(0, 255), (-128, 127), (0, i64::MAX), (i64::MIN, i64::MAX), (200, 300), (9, 5)];
        let ops: Vec<_> = [0, 1, -1, 10, -10, 300, i64::MIN, i64::MAX]
            .into_iter()
            .flat_map(|by| bounds.map(|(min, max)| within(by, min, max)))
            .collect();
        for loaded in ["250", "3", "-9223372036854775807"] {
            for first in &ops {
                for second in &ops {
                    agrees(loaded, &[first.clone(), second.clone()]);
                    agrees(loaded, &[first.clone(), second.clone(), byte(-3), first.clone()]);
                }
            }
        }
    }

    #[test]
    fn additions_whose_sum_has_more_than_64_bits_become_what_was_seen() {
        let half = 9_000_000_000_000_000_000;
        let delta = agrees("-9000000000000000000", &[add(half), add(half)]);
        assert_eq!(delta.ops(), [("n".into(), Op::Put(json("9000000000000000000")))]);
        agrees("9000000000000000000", &[add(-half), add(-half), add(half)]);
        agrees("-5", &[add(i64::MAX), add(1), add(i64::MIN)]);
        agrees("5", &[add(i64::MIN), add(i64::MIN)]);
    }

    #[test]
    fn an_invalid_operation_writes_nothing() {
        let mut record = fields(&[("a", "1"), ("text", "\"x\"")]);
        let mut delta = Delta::new();
        delta.push("a".into(), Op::Put(json("2")), None).unwrap();
        delta.push("text".into(), add(1), None).unwrap();
        let failure = DeltaFailure { field: "text".into(), reason: OpFailure::Invalid };
        assert_eq!(delta.apply(&mut record), Err(failure));
        assert_eq!(record, fields(&[("a", "1"), ("text", "\"x\"")]));
    }

    #[test]
    fn a_value_that_was_replaced_meanwhile_writes_nothing() {
        let mut record = fields(&[("a", "1"), ("version", "\"x\"")]);
        let mut delta = Delta::new();
        delta.push("a".into(), Op::Put(json("2")), None).unwrap();
        delta.push("version".into(), replacing(Some("\"w\""), Some("\"y\"")), None).unwrap();
        let failure = DeltaFailure { field: "version".into(), reason: OpFailure::Changed };
        assert_eq!(delta.apply(&mut record), Err(failure));
        assert_eq!(record, fields(&[("a", "1"), ("version", "\"x\"")]));
        delta.unconditional().apply(&mut record).unwrap();
        assert_eq!(record, fields(&[("a", "2"), ("version", "\"y\"")]));
    }

    /// A field that is dropped before is absent for a condition.
    #[test]
    fn a_condition_is_about_what_a_reset_leaves() {
        let mut delta = Delta::new();
        delta.retain(Vec::new());
        delta.push("n".into(), replacing(None, Some("1")), Some(&json("5"))).unwrap();
        let mut record = fields(&[("n", "5")]);
        delta.apply(&mut record).unwrap();
        assert_eq!(record, fields(&[("n", "1")]));
        let mut delta = Delta::new();
        delta.retain(Vec::new());
        delta.push("n".into(), replacing(Some("1"), Some("2")), None).unwrap();
        assert!(delta.apply(&mut record).is_err());
        assert_eq!(record, fields(&[("n", "1")]));
    }

    #[test]
    fn retain_drops_what_is_not_named_and_what_was_changed_of_it() {
        let mut record = fields(&[("cart", "1"), ("user", "2"), ("role", "3")]);
        let mut delta = Delta::new();
        delta.push("user".into(), Op::Put(json("9")), record.get("user")).unwrap();
        delta.push("cart".into(), Op::Put(json("8")), record.get("cart")).unwrap();
        delta.retain(vec!["cart".into()]);
        delta.push("role".into(), add(1), record.get("role")).unwrap();
        delta.apply(&mut record).unwrap();
        assert_eq!(record, fields(&[("cart", "8"), ("role", "1")]));
    }

    #[test]
    fn a_prefix_name_keeps_a_collection_whole() {
        let names = |names: &[&str]| names.iter().map(|name| FieldName::from(*name)).collect::<Vec<_>>();
        let all =
            fields(&[("cart", "0"), ("cart[a]", "1"), ("cart[b]", "2"), ("cart2[a]", "3"), ("user", "4")]);
        for (first, second, left) in [
            (names(&["cart["]), None, fields(&[("cart[a]", "1"), ("cart[b]", "2")])),
            (
                names(&["cart[", "user"]),
                Some(names(&["cart["])),
                fields(&[("cart[a]", "1"), ("cart[b]", "2")]),
            ),
            (names(&["cart["]), Some(names(&["cart[b]", "cart"])), fields(&[("cart[b]", "2")])),
            (names(&["cart[b]", "cart"]), Some(names(&["cart["])), fields(&[("cart[b]", "2")])),
            (names(&["cart["]), Some(names(&["cart2["])), Fields::new()),
        ] {
            let mut delta = Delta::new();
            delta.retain(first.clone());
            if let Some(second) = &second {
                delta.retain(second.clone());
            }
            for name in ["cart", "cart[a]", "cart[b]", "cart2[a]", "user"] {
                assert_eq!(delta.drops(&name.into()), !left.contains(name), "{first:?} {second:?} {name}");
            }
            let mut record = all.clone();
            delta.apply(&mut record).unwrap();
            assert_eq!(record, left, "{first:?} {second:?}");
        }
        let mut delta = Delta::new();
        delta.push("cart[a]".into(), Op::Put(json("9")), all.get("cart[a]")).unwrap();
        delta.push("cart2[a]".into(), Op::Put(json("9")), all.get("cart2[a]")).unwrap();
        delta.retain(names(&["cart[", "cart["]));
        let mut record = all.clone();
        delta.apply(&mut record).unwrap();
        assert_eq!(record, fields(&[("cart[a]", "9"), ("cart[b]", "2")]));
    }

    /// The removal of all entries agrees with the removal of each, whatever comes before and after it.
    #[test]
    fn an_emptied_collection_holds_what_comes_after() {
        let all = fields(&[("cart[a]", "1"), ("cart[b]", "2"), ("cart", "0"), ("cart2[a]", "3")]);
        let steps: [(&str, Op); 7] = [
            ("cart[", Op::Remove),
            ("cart[a]", Op::Put(json("7"))),
            ("cart[a]", add(5)),
            ("cart[new]", Op::PutIfAbsent(json("8"))),
            ("cart[b]", Op::Remove),
            ("cart", Op::Put(json("9"))),
            ("cart2[", Op::Remove),
        ];
        for first in &steps {
            for second in &steps {
                for third in &steps {
                    let (mut expected, mut delta) = (all.clone(), Delta::new());
                    for (name, op) in [first, second, third] {
                        let name = FieldName::from(*name);
                        if name.is_prefix() {
                            expected.remove_covered(&name);
                        } else {
                            expected.alter(&name, |current| op.apply(current)).unwrap();
                        }
                        delta.push(name.clone(), op.clone(), all.get(name.as_str())).unwrap();
                    }
                    let mut together = all.clone();
                    delta.apply(&mut together).unwrap();
                    assert_eq!(together, expected, "{first:?} {second:?} {third:?}: {delta:?}");
                }
            }
        }
        // An entry that is kept was removed before.
        let mut delta = Delta::new();
        delta.push("cart[".into(), Op::Remove, None).unwrap();
        delta.push("cart[b]".into(), add(1), all.get("cart[b]")).unwrap();
        delta.retain(vec!["cart[a]".into(), "cart[b]".into()]);
        let mut record = all;
        delta.apply(&mut record).unwrap();
        assert_eq!(record, fields(&[("cart[b]", "1")]));
    }

    #[test]
    fn nothing_but_a_removal_takes_a_prefix_name() {
        let mut delta = Delta::new();
        for op in
            [Op::Put(json("1")), Op::PutIfAbsent(json("1")), Op::RemoveIf(json("1")), add(1), Op::Max(1)]
        {
            assert_eq!(delta.push("cart[".into(), op, None), Err(OpFailure::Invalid));
        }
        assert!(delta.is_empty());
        delta.push("a".into(), Op::Put(json("1")), None).unwrap();
        delta.push("cart[".into(), Op::Remove, None).unwrap();
        delta.push("b[".into(), Op::Remove, None).unwrap();
        delta.push("cart[1]".into(), Op::Put(json("2")), None).unwrap();
        let names: Vec<_> = delta.ops().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b[", "cart[", "a", "cart[1]"]);
        assert_eq!(delta.take("b["), Some(Op::Remove));
        assert!(delta.drops(&"cart[1]".into()) && !delta.drops(&"b[1]".into()) && !delta.drops(&"a".into()));
        delta.take_covered(&"cart[".into());
        assert_eq!(delta.ops(), [("a".into(), Op::Put(json("1")))]);
    }

    #[test]
    fn what_a_delta_says_of_itself() {
        let mut delta = Delta::new();
        assert!(delta.is_empty() && delta.retained().is_none());
        delta.push("a".into(), Op::Put(json("1")), None).unwrap();
        assert!(delta.has("a") && !delta.has("b") && !delta.is_empty() && !delta.drops(&"b".into()));
        delta.retain(vec!["a".into()]);
        assert_eq!(delta.retained(), Some(&["a".into()][..]));
        assert!(delta.drops(&"b".into()) && !delta.drops(&"a".into()));
        assert_eq!(delta.take("b"), None);
        assert_eq!(delta.take("a"), Some(Op::Put(json("1"))));
        assert!(!delta.has("a"));
        assert!(!delta.is_empty(), "it still drops all but one");
    }

    #[test]
    fn a_forced_operation_is_the_only_one_of_its_field() {
        let mut delta = Delta::new();
        delta.push("a".into(), Op::Put(json("1")), None).unwrap();
        delta.push("b".into(), Op::Put(json("2")), None).unwrap();
        delta.force("a".into(), Op::Remove);
        assert_eq!(delta.ops(), [("b".into(), Op::Put(json("2"))), ("a".into(), Op::Remove)]);
    }

    #[test]
    fn operations_are_mapped_left_out_or_fail_as_one() {
        let mut delta = Delta::new();
        delta.push("a".into(), Op::Put(json("1")), None).unwrap();
        delta.push("b".into(), Op::Put(json("2")), None).unwrap();
        delta.retain(vec!["a".into(), "b".into()]);
        let mapped =
            delta.clone().try_map(|name, _| Ok::<_, ()>((name == &"b".into()).then_some(Op::Remove)));
        let mapped = mapped.unwrap();
        assert_eq!(mapped.ops(), [("b".into(), Op::Remove)]);
        assert_eq!(mapped.retained(), delta.retained());
        assert_eq!(
            delta.try_map(|name, op| if name == &"b".into() { Err("b") } else { Ok(Some(op)) }),
            Err("b")
        );
    }
}
