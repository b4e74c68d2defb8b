//! One operation on one field.

use bytes::Bytes;

/// The bytes of the longest integer of 64 bits, with its sign.
const LONGEST_INTEGER: usize = 20;

/// One operation on one field. Values are JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// The field becomes this value.
    Put(Bytes),
    /// The field becomes this value if the record has no such field.
    PutIfAbsent(Bytes),
    /// The field is removed.
    Remove,
    /// The field is removed if it still has exactly this value.
    RemoveIf(Bytes),
    /// The integer in the field changes by a difference.
    Add(Add),
    /// The integer in the field becomes this one if that is larger, or if there is none.
    Max(i64),
    /// The integer in the field becomes this one if that is smaller, or if there is none.
    Min(i64),
    /// The field becomes another value if it still is what it was. Otherwise the whole commit fails with
    /// [`CommitOutcome::Conflict`](crate::store::CommitOutcome::Conflict), and nothing is written.
    ReplaceIf {
        /// The value that must be there; `None` if there must be no such field.
        expected: Option<Bytes>,
        /// The new value; `None` to remove the field.
        value: Option<Bytes>,
    },
}

/// A difference to an integer field.
///
/// Any values are valid: if `min` is above `max`, the result is `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Public fields and no `non_exhaustive`: stores take it apart, the layer puts it together.
#[allow(clippy::exhaustive_structs)]
pub struct Add {
    /// The difference.
    pub by: i64,
    /// The value that an absent field counts as.
    pub start: i64,
    /// The least result.
    pub min: i64,
    /// The greatest result. Both bounds are those of the field's type, or narrower: several additions of a request, of
    /// which one may have stopped at a bound, are combined into one.
    pub max: i64,
}

/// The reason for which an operation cannot be applied to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpFailure {
    /// The operation needs an integer of 64 bits with sign in JSON's shortest form, and the field has something else.
    Invalid,
    /// The operation replaces one value, and the field has another.
    Changed,
}

impl Add {
    /// Combines this addition with the `next`; `None` if the sum takes more than 64 bits.
    ///
    /// The bounds that this one may stop at move with what `next` adds, and stop at those of `next`.
    pub(crate) fn then(self, next: Self) -> Option<Self> {
        let (min, max) = (next.applied_to(self.min.min(self.max)), next.applied_to(self.max));
        let by = self.by.saturating_add(next.by);
        // Where nothing is left between the bounds, the sum does not matter.
        let is_exact = min == max || self.by.checked_add(next.by).is_some();
        is_exact.then_some(Self { by, start: self.start, min, max })
    }

    /// Returns the sum within the bounds. Not by `clamp`, which panics if the bounds are in the wrong order.
    pub(crate) fn applied_to(self, value: i64) -> i64 {
        value.saturating_add(self.by).max(self.min).min(self.max)
    }
}

impl Op {
    /// Returns the length of the value that the operation brings, in bytes; zero if it brings none.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Put(value) | Self::PutIfAbsent(value) => value.len(),
            Self::ReplaceIf { value, .. } => value.as_ref().map_or(0, Bytes::len),
            Self::Remove | Self::RemoveIf(_) | Self::Add(_) | Self::Max(_) | Self::Min(_) => 0,
        }
    }

    /// Returns the most bytes that the operation may add to the record.
    pub(crate) fn most_bytes(&self) -> usize {
        match self {
            Self::Add(_) | Self::Max(_) | Self::Min(_) => LONGEST_INTEGER,
            _ => self.size(),
        }
    }

    /// Returns the field's value after this operation; `None` if there is then no field.
    ///
    /// # Errors
    ///
    /// [`OpFailure::Invalid`] if arithmetic meets something that is not an integer of 64 bits,
    /// [`OpFailure::Changed`] if the value to be replaced is not there.
    pub fn apply(&self, current: Option<&Bytes>) -> Result<Option<Bytes>, OpFailure> {
        Ok(match self {
            Self::Put(value) => Some(value.clone()),
            Self::PutIfAbsent(value) => Some(current.unwrap_or(value).clone()),
            Self::Remove => None,
            Self::RemoveIf(expected) => current.filter(|value| *value != expected).cloned(),
            Self::Add(add) => Some(text(add.applied_to(integer(current)?.unwrap_or(add.start)))),
            Self::Max(bound) => Some(text(integer(current)?.map_or(*bound, |value| value.max(*bound)))),
            Self::Min(bound) => Some(text(integer(current)?.map_or(*bound, |value| value.min(*bound)))),
            Self::ReplaceIf { expected, value } => {
                if current != expected.as_ref() {
                    return Err(OpFailure::Changed);
                }
                value.clone()
            }
        })
    }

    /// Returns true if the operation counts from the stored value, so that its place in time does not matter.
    pub(crate) const fn is_relative(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Max(_) | Self::Min(_))
    }

    /// Returns true if the whole commit fails unless the field is as it was.
    pub(crate) const fn is_conditional(&self) -> bool {
        matches!(self, Self::ReplaceIf { .. })
    }

    /// Returns true if the operation can fail: it needs an integer, or one value.
    pub(super) const fn can_fail(&self) -> bool {
        self.is_relative() || self.is_conditional()
    }

    /// Returns what the operation does where its condition is known to be met.
    pub(crate) fn unconditional(&self) -> Self {
        match self {
            Self::ReplaceIf { value: Some(value), .. } => Self::Put(value.clone()),
            Self::ReplaceIf { value: None, .. } => Self::Remove,
            other => other.clone(),
        }
    }

    /// Combines this operation with the `next`; `None` if the field then ends as it was loaded.
    ///
    /// A condition stays: what comes after it changes the value that it puts. A condition that comes after another
    /// operation is about what that one leaves. Where that depends on the store, it is compared with what this
    /// request saw.
    pub(super) fn then(&self, next: Self, loaded: Option<&Bytes>) -> Result<Option<Self>, OpFailure> {
        if let Self::ReplaceIf { expected, value } = self {
            let value = next.apply(value.as_ref())?;
            let is_unchanged = value == *expected && loaded == expected.as_ref();
            return Ok((!is_unchanged).then(|| Self::ReplaceIf { expected: expected.clone(), value }));
        }
        if let (Self::Add(first), Self::Add(second)) = (self, &next)
            && let Some(add) = first.then(*second)
        {
            return Ok(Some(Self::Add(add)));
        }
        let together = match (self, next) {
            (_, next @ (Self::Put(_) | Self::Remove)) => next,
            (Self::Max(first), Self::Max(second)) => Self::Max(second.max(*first)),
            (Self::Min(first), Self::Min(second)) => Self::Min(second.min(*first)),
            (Self::PutIfAbsent(value), Self::PutIfAbsent(_)) => Self::PutIfAbsent(value.clone()),
            // The request has put this value and removed it. The value that was loaded goes, if it is still there.
            (Self::Put(value), Self::RemoveIf(expected)) if *value == expected => match loaded {
                Some(loaded) => Self::RemoveIf(loaded.clone()),
                None => return Ok(None),
            },
            (Self::RemoveIf(first), Self::RemoveIf(second)) if *first == second => Self::RemoveIf(second),
            // Only where the field still is as it was loaded is it known what the first one leaves.
            (first, next) if next.is_conditional() && !matches!(first, Self::Put(_) | Self::Remove) => {
                let value = next.apply(first.apply(loaded)?.as_ref())?;
                Self::ReplaceIf { expected: loaded.cloned(), value }
            }
            (first, next) => {
                let seen = first.apply(loaded)?;
                match next.apply(seen.as_ref())? {
                    Some(value) => Self::Put(value),
                    None => Self::Remove,
                }
            }
        };
        let unchanged = match &together {
            Self::Put(value) => loaded == Some(value),
            Self::Remove => loaded.is_none(),
            _ => false,
        };
        Ok((!unchanged).then_some(together))
    }
}

/// Reads an integer in its one JSON spelling: no sign but `-`, no leading zero, no `-0`, no
/// fraction, no exponent. Redis' `HINCRBY` accepts the same.
fn integer(value: Option<&Bytes>) -> Result<Option<i64>, OpFailure> {
    let Some(value) = value else { return Ok(None) };
    let spelling = std::str::from_utf8(value).map_err(|_| OpFailure::Invalid)?;
    let number: i64 = spelling.parse().map_err(|_| OpFailure::Invalid)?;
    if number.to_string() == spelling { Ok(Some(number)) } else { Err(OpFailure::Invalid) }
}

fn text(number: i64) -> Bytes {
    number.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(by: i64, min: i64, max: i64) -> Op {
        Op::Add(Add { by, start: 10, min, max })
    }

    fn applied(op: &Op, current: &'static str) -> Result<Option<Bytes>, OpFailure> {
        op.apply(Some(&Bytes::from_static(current.as_bytes())))
    }

    #[allow(clippy::unnecessary_wraps)] // It is what `apply` returns.
    fn some(value: &'static str) -> Option<Bytes> {
        Some(Bytes::from_static(value.as_bytes()))
    }

    #[test]
    fn adds_start_at_the_default_and_stop_at_the_bounds() {
        assert_eq!(add(1, 0, 255).apply(None), Ok(some("11")));
        assert_eq!(applied(&add(1, 0, 255), "255"), Ok(some("255")));
        assert_eq!(applied(&add(-20, 0, 255), "7"), Ok(some("0")));
        assert_eq!(
            applied(&add(1, i64::MIN, i64::MAX), "9223372036854775807"),
            Ok(some("9223372036854775807"))
        );
    }

    /// The upper bound counts, whatever is there.
    #[test]
    fn bounds_in_the_wrong_order_do_not_panic() {
        for current in ["0", "3", "4", "9", "-9223372036854775808"] {
            for by in [-1, 0, 1, i64::MIN, i64::MAX] {
                assert_eq!(applied(&add(by, 5, 3), current), Ok(some("3")), "{by}");
            }
        }
        assert_eq!(add(0, 5, 3).apply(None), Ok(some("3")));
        assert_eq!(applied(&add(1, 5, 3), "null"), Err(OpFailure::Invalid));
    }

    #[test]
    fn integers_beyond_2_to_the_53_are_exact() {
        assert_eq!(applied(&add(1, 0, i64::MAX), "9007199254740992"), Ok(some("9007199254740993")));
        assert_eq!(
            applied(&Op::Max(9_007_199_254_740_993), "9007199254740992"),
            Ok(some("9007199254740993"))
        );
        assert_eq!(
            applied(&Op::Min(9_007_199_254_740_992), "9007199254740993"),
            Ok(some("9007199254740992"))
        );
    }

    #[test]
    fn only_the_one_spelling_of_an_integer_counts() {
        for bad in ["1.0", "1e3", "-0", " 1", "+1", "01", "\"1\"", "null", "", "9223372036854775808"] {
            assert_eq!(applied(&add(1, 0, 9), bad), Err(OpFailure::Invalid), "{bad}");
        }
    }

    #[test]
    fn a_value_that_changed_is_not_removed() {
        let op = Op::RemoveIf(Bytes::from_static(b"\"old\""));
        assert_eq!(applied(&op, "\"old\""), Ok(None));
        assert_eq!(applied(&op, "\"new\""), Ok(some("\"new\"")));
        assert_eq!(op.apply(None), Ok(None));
    }

    #[test]
    fn operations_tell_what_they_bring_and_what_they_need() {
        let value = || Bytes::from_static(b"123");
        for (op, size, counts) in [
            (Op::Put(value()), 3, false),
            (Op::PutIfAbsent(value()), 3, false),
            (Op::Remove, 0, false),
            (Op::RemoveIf(value()), 0, false),
            (add(1, 0, 9), 0, true),
            (Op::Max(1), 0, true),
            (Op::Min(1), 0, true),
        ] {
            assert_eq!((op.size(), op.is_relative(), op.can_fail()), (size, counts, counts), "{op:?}");
            assert_eq!((op.is_conditional(), op.unconditional()), (false, op));
        }
        for (value, size, then) in [(Some(value()), 3, Op::Put(value())), (None, 0, Op::Remove)] {
            let op = Op::ReplaceIf { expected: None, value };
            assert_eq!((op.size(), op.is_relative(), op.can_fail()), (size, false, true));
            assert_eq!((op.is_conditional(), op.unconditional()), (true, then));
        }
    }

    fn replacing(expected: Option<&'static str>, value: Option<&'static str>) -> Op {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        Op::ReplaceIf { expected: expected.map(bytes), value: value.map(bytes) }
    }

    #[test]
    fn a_value_is_replaced_only_while_it_is_there() {
        for (expected, found, is_met) in [
            (None, None, true),
            (None, Some("1"), false),
            (Some("1"), None, false),
            (Some("1"), Some("1"), true),
            (Some("1"), Some("1 "), false),
            (Some("1"), Some("2"), false),
        ] {
            for value in [None, Some("2")] {
                let applied = replacing(expected, value).apply(found.and_then(some).as_ref());
                let expected = if is_met { Ok(value.and_then(some)) } else { Err(OpFailure::Changed) };
                assert_eq!(applied, expected, "{found:?}");
            }
        }
    }

    /// What a request does to a field after a replacement is part of it, and the condition stays.
    #[test]
    fn a_condition_outlives_what_comes_after_it() {
        let loaded = some("1");
        let then = |first: &Op, next: Op| first.then(next, loaded.as_ref());
        let first = replacing(Some("1"), Some("2"));
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        for (next, together) in [
            (Op::Put(bytes("5")), replacing(Some("1"), Some("5"))),
            (Op::Remove, replacing(Some("1"), None)),
            (Op::RemoveIf(bytes("2")), replacing(Some("1"), None)),
            (Op::RemoveIf(bytes("1")), first.clone()),
            (Op::PutIfAbsent(bytes("7")), first.clone()),
            (add(3, 0, 99), replacing(Some("1"), Some("5"))),
            (Op::Max(9), replacing(Some("1"), Some("9"))),
            (replacing(Some("2"), Some("3")), replacing(Some("1"), Some("3"))),
        ] {
            assert_eq!(then(&first, next.clone()), Ok(Some(together)), "{next:?}");
        }
        assert_eq!(then(&first, replacing(Some("1"), Some("3"))), Err(OpFailure::Changed), "it is 2 by now");
        assert_eq!(then(&first, Op::Put(bytes("1"))), Ok(None), "it is as it was");
        assert_eq!(then(&replacing(None, Some("2")), Op::Remove), Ok(Some(replacing(None, None))));
    }

    /// A condition on what an earlier operation leaves is one on what was loaded, where that decides.
    #[test]
    fn a_condition_after_another_operation_is_about_what_that_leaves() {
        let loaded = some("1");
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        for (first, left, together) in [
            (Op::Put(bytes("5")), Some("5"), Op::Put(bytes("9"))),
            (Op::Remove, None, Op::Put(bytes("9"))),
            (Op::RemoveIf(bytes("1")), None, replacing(Some("1"), Some("9"))),
            (Op::RemoveIf(bytes("4")), Some("1"), replacing(Some("1"), Some("9"))),
            (Op::PutIfAbsent(bytes("7")), Some("1"), replacing(Some("1"), Some("9"))),
            (add(2, 0, 99), Some("3"), replacing(Some("1"), Some("9"))),
            (Op::Max(4), Some("4"), replacing(Some("1"), Some("9"))),
        ] {
            assert_eq!(
                first.then(replacing(left, Some("9")), loaded.as_ref()),
                Ok(Some(together)),
                "{first:?}"
            );
            let other = first.then(replacing(Some("0"), Some("9")), loaded.as_ref());
            assert_eq!(other, Err(OpFailure::Changed), "{first:?}");
        }
    }

    /// A flash that was put and taken in one request leaves the one that was loaded to be taken, if it is still there.
    #[test]
    fn a_conditional_removal_absorbs_only_what_it_is_about() {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        let put = Op::Put(bytes("new"));
        let loaded = bytes("old");
        let then =
            |first: &Op, next: &'static str, loaded| first.then(Op::RemoveIf(bytes(next)), loaded).unwrap();
        assert_eq!(then(&put, "new", Some(&loaded)), Some(Op::RemoveIf(loaded.clone())));
        assert_eq!(then(&put, "new", None), None);
        assert_eq!(then(&put, "other", None), Some(put.clone()));
        let removal = Op::RemoveIf(loaded.clone());
        assert_eq!(then(&removal, "old", Some(&loaded)), Some(removal.clone()));
        assert_eq!(then(&removal, "other", Some(&loaded)), Some(Op::Remove));
    }
}
