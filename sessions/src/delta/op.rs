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

/// The error for a stored value that is not what an operation needs: an integer of 64 bits with sign in JSON's
/// shortest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct InvalidValue;

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
    /// [`InvalidValue`] if arithmetic meets something that is not an integer of 64 bits.
    pub fn apply(&self, current: Option<&Bytes>) -> Result<Option<Bytes>, InvalidValue> {
        Ok(match self {
            Self::Put(value) => Some(value.clone()),
            Self::PutIfAbsent(value) => Some(current.unwrap_or(value).clone()),
            Self::Remove => None,
            Self::RemoveIf(expected) => current.filter(|value| *value != expected).cloned(),
            Self::Add(add) => Some(text(add.applied_to(integer(current)?.unwrap_or(add.start)))),
            Self::Max(bound) => Some(text(integer(current)?.map_or(*bound, |value| value.max(*bound)))),
            Self::Min(bound) => Some(text(integer(current)?.map_or(*bound, |value| value.min(*bound)))),
        })
    }

    /// Returns true if the operation counts from the stored value, so that its place in time does not matter.
    pub(crate) const fn is_relative(&self) -> bool {
        self.can_fail()
    }

    /// Returns true if the operation needs the stored value to be an integer.
    pub(super) const fn can_fail(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Max(_) | Self::Min(_))
    }

    /// Combines this operation with the `next`; `None` if the field then ends as it was loaded.
    pub(super) fn then(&self, next: Self, loaded: Option<&Bytes>) -> Result<Option<Self>, InvalidValue> {
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
fn integer(value: Option<&Bytes>) -> Result<Option<i64>, InvalidValue> {
    let Some(value) = value else { return Ok(None) };
    let spelling = std::str::from_utf8(value).map_err(|_| InvalidValue)?;
    let number: i64 = spelling.parse().map_err(|_| InvalidValue)?;
    if number.to_string() == spelling { Ok(Some(number)) } else { Err(InvalidValue) }
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

    fn applied(op: &Op, current: &'static str) -> Result<Option<Bytes>, InvalidValue> {
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
        assert_eq!(applied(&add(1, 5, 3), "null"), Err(InvalidValue));
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
            assert_eq!(applied(&add(1, 0, 9), bad), Err(InvalidValue), "{bad}");
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
