//! A writer: it sets fields of the session without reading them.

use std::{any::Any, fmt, sync::Arc};

use bytes::Bytes;

use super::{
    check_view,
    decoded::ValueSource,
    encode::stored,
    merge::{change_of, start},
    table::{Field, Merge, Shape, Table},
};
use crate::{
    delta::Op,
    error::Error,
    slot::{FieldChange, Presented, Slot, StagedChanges},
    value::Fields,
};

/// The part of a writer that is the same for every view. Not public API.
///
/// It has one operation for each field that it changed. Values are encoded at once, so that dropping it runs no code
/// of the fields' types.
#[doc(hidden)]
pub struct FieldWriter {
    slot: Arc<Slot>,
    /// Tells its changes from those of handles of the request.
    number: u64,
    incarnation: u32,
    table: &'static Table,
    changes: Vec<FieldChange>,
    /// A value that cannot be stored, and the time at which it was set.
    failure: Option<(u64, Error)>,
}

impl FieldWriter {
    /// A writer of the request's session. `present` reads the request's tokens. It is called only if nothing has opened
    /// the session before.
    pub(crate) fn open(
        slot: Arc<Slot>,
        table: &'static Table,
        present: impl FnOnce() -> Presented,
    ) -> Result<Self, Error> {
        check_view(table, slot.context())?;
        slot.open_blind(present);
        let (number, incarnation) = (slot.next_change(), slot.incarnation());
        Ok(Self { slot, number, incarnation, table, changes: Vec::new(), failure: None })
    }

    #[doc(hidden)]
    #[inline]
    pub fn __write_set<T: Any>(&mut self, index: usize, value: T) {
        self.set_erased(index, &mut Some(value));
    }

    #[doc(hidden)]
    #[inline]
    pub fn __write_set_into<T: Any>(&mut self, index: usize, value: impl Into<T>) {
        self.__write_set::<T>(index, value.into());
    }

    #[doc(hidden)]
    pub fn __write_add(&mut self, index: usize, by: i64) {
        let field = &self.table.fields[index];
        let Some(counter) = &field.counter else { return };
        let start = start(field, &Fields::new(), ValueSource::Absent);
        self.push(field, Op::Add(counter.adding(by, start)));
    }

    #[doc(hidden)]
    pub fn __write_remove(&mut self, index: usize) {
        self.push(&self.table.fields[index], Op::Remove);
    }

    #[doc(hidden)]
    pub fn __without_touch(&self) {
        self.slot.without_touch();
    }

    fn set_erased(&mut self, index: usize, value: &mut dyn Any) {
        let field = &self.table.fields[index];
        let Some(value) = (field.boxed)(value) else { unreachable!("the derive names one type per field") };
        let number = field.counter.as_ref().map(|counter| (counter.get)(&*value));
        match stored(field, &value) {
            Ok(encoded) => self.push(field, setting(field, number, encoded)),
            Err(error) => self.failure = Some((self.slot.next_change(), error)),
        }
    }

    fn push(&mut self, field: &'static Field, op: Op) {
        let at = self.slot.next_change();
        let name = field.name();
        let earlier = self.changes.iter().position(|change| change.name == name);
        let together = match earlier.map(|index| self.changes.remove(index).op) {
            None => Some(op),
            Some(earlier) => combined(earlier, op),
        };
        let Some(op) = together else {
            self.failure = Some((at, Error::not_an_integer(&name)));
            return;
        };
        let default = || field.default.and_then(|default| stored(field, &default()).ok());
        let is_default =
            field.shape != Shape::Flash && matches!(&op, Op::Put(value) if default().as_ref() == Some(value));
        let (is_flash, was_removed) = (field.shape == Shape::Flash, op == Op::Remove);
        self.changes.push(FieldChange { is_default, is_flash, was_removed, ..change_of(field, op, at) });
    }
}

impl Drop for FieldWriter {
    fn drop(&mut self) {
        // The changes of a handler that panics are incomplete.
        if std::thread::panicking() {
            return;
        }
        let (changes, failure) = (std::mem::take(&mut self.changes), self.failure.take());
        let staged = StagedChanges { changes, failure, ..StagedChanges::default() };
        if !staged.is_empty() {
            self.slot.stage(self.number, self.incarnation, staged);
        }
    }
}

impl fmt::Debug for FieldWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWriter").field("fields", &self.table).finish_non_exhaustive()
    }
}

/// The operation that sets a field as its merge has it.
fn setting(field: &Field, number: Option<i64>, encoded: Bytes) -> Op {
    match (field.merge, number) {
        (Merge::Max, Some(number)) => Op::Max(number),
        (Merge::Min, Some(number)) => Op::Min(number),
        (Merge::First, _) => Op::PutIfAbsent(encoded),
        _ => Op::Put(encoded),
    }
}

/// Two operations on one field as one, whatever is stored. `None` if there is no such one.
fn combined(earlier: Op, later: Op) -> Option<Op> {
    let known = match &earlier {
        Op::Put(value) => Some(Some(value)),
        Op::Remove => Some(None),
        _ => None,
    };
    Some(match (known, later) {
        (_, later @ (Op::Put(_) | Op::Remove)) => later,
        (Some(value), later) => later.apply(value).ok()?.map_or(Op::Remove, Op::Put),
        (None, later) => match (earlier, later) {
            (Op::Add(first), Op::Add(second)) => Op::Add(first.then(second)?),
            (Op::Max(first), Op::Max(second)) => Op::Max(first.max(second)),
            (Op::Min(first), Op::Min(second)) => Op::Min(first.min(second)),
            (first @ Op::PutIfAbsent(_), Op::PutIfAbsent(_)) => first,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::Add;

    fn json(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn add(by: i64) -> Op {
        Op::Add(Add { by, start: 10, min: 0, max: 100 })
    }

    /// Whatever is stored, the combined operation does what the two do one after the other.
    #[test]
    fn two_operations_are_one() {
        let ops = [
            vec![Op::Put(json("5")), Op::Put(json("7")), Op::Remove, add(3), add(-4)],
            vec![Op::Put(json("5")), Op::Remove, Op::Max(4), Op::Max(6)],
            vec![Op::Put(json("5")), Op::Remove, Op::Min(4), Op::Min(6)],
            vec![Op::Put(json("5")), Op::Remove, Op::PutIfAbsent(json("4")), Op::PutIfAbsent(json("6"))],
        ];
        for ops in ops {
            for (first, second) in ops.iter().flat_map(|first| ops.iter().map(move |second| (first, second)))
            {
                let together = combined(first.clone(), second.clone()).unwrap();
                for stored in [None, Some(json("50")), Some(json("0"))] {
                    let seen = first.apply(stored.as_ref()).unwrap();
                    let expected = second.apply(seen.as_ref()).unwrap();
                    assert_eq!(
                        together.apply(stored.as_ref()),
                        Ok(expected),
                        "{first:?} {second:?} {stored:?}"
                    );
                }
            }
        }
    }
}
