//! Merging: of two values the one that stays, and the operation that the store carries out.

use bytes::Bytes;

use super::{
    decoded::ValueSource,
    table::{Counter, Field, Merge, Value},
};
use crate::{
    delta::{Add, Op},
    slot::FieldChange,
    value::Fields,
};

/// True if the field's merge has the old value stay where another is set.
pub(super) fn stays(field: &Field, old: &Value, new: &Value) -> bool {
    let number = |value: &Value| field.counter.as_ref().map(|counter| (counter.get)(&**value));
    match field.merge {
        Merge::Max => number(old) >= number(new),
        Merge::Min => number(old) <= number(new),
        Merge::First => true,
        Merge::Last | Merge::Add | Merge::Cas => false,
    }
}

/// The operation that sets a field as its merge has it. A value that is stored under an older name takes part: it is
/// removed in the same commit.
pub(super) fn merged(
    field: &Field,
    fields: &Fields,
    source: ValueSource,
    value: Option<&Value>,
    encoded: Bytes,
) -> Op {
    let older = || field.aliases.iter().find_map(|alias| fields.get(alias));
    let older = if source == ValueSource::Alias { older() } else { None };
    let number = |value: &Value| field.counter.as_ref().map(|counter| (counter.get)(&**value));
    let older_number = || number(&(field.codec.decode)(older?).ok()?);
    match (field.merge, value.and_then(number)) {
        _ if source == ValueSource::Undecodable => Op::Put(encoded),
        (Merge::Max, Some(value)) => Op::Max(older_number().map_or(value, |older| older.max(value))),
        (Merge::Min, Some(value)) => Op::Min(older_number().map_or(value, |older| older.min(value))),
        (Merge::First, _) => Op::PutIfAbsent(older.cloned().unwrap_or(encoded)),
        (Merge::Last | Merge::Add | Merge::Max | Merge::Min | Merge::Cas, _) => Op::Put(encoded),
    }
}

/// The operation that changes a field only while it is as this handle saw it; `None` if that is no change.
pub(super) fn guarded(field: &Field, fields: &Fields, op: Op, is_default: bool) -> Option<Op> {
    let expected = fields.get(field.name).cloned();
    let value = match op {
        Op::Put(value) => Some(value),
        Op::Remove => None,
        other => return Some(other),
    };
    let is_under_alias = field.aliases.iter().any(|alias| fields.contains(alias));
    let is_unchanged = value == expected || (is_default && expected.is_none());
    (is_under_alias || !is_unchanged).then_some(Op::ReplaceIf { expected, value })
}

/// An addition and what was added in place since, as one, if there is such a one.
pub(super) fn counted(counter: &Counter, add: Add, seen: i64, current: i64) -> Option<Add> {
    add.then(counter.adding(current.checked_sub(seen)?, 0))
}

/// The change by which the store counts up by `by`.
pub(super) fn counting(field: &Field, fields: &Fields, by: i64, at: u64) -> Option<FieldChange> {
    let counter = field.counter.as_ref()?;
    let source = if fields.contains(field.name) { ValueSource::Stored } else { ValueSource::Alias };
    let start = start(field, fields, source);
    Some(change_of(field, Op::Add(counter.adding(by, start)), at))
}

/// The value from which a store counts that has no such field: its default, or the one under an older name.
pub(super) fn start(field: &Field, fields: &Fields, source: ValueSource) -> i64 {
    let Some(counter) = &field.counter else { return 0 };
    let older = || {
        let stored = field.aliases.iter().find_map(|alias| fields.get(alias))?;
        (field.codec.decode)(stored).ok()
    };
    let value = match source {
        ValueSource::Alias => older().or_else(|| field.default.map(|default| default())),
        _ => field.default.map(|default| default()),
    };
    value.map_or(0, |value| (counter.get)(&*value))
}

/// A change of a field with this operation.
pub(super) fn change_of(field: &Field, op: Op, at: u64) -> FieldChange {
    FieldChange {
        aliases: field.aliases,
        class: field.class,
        declared: field.class,
        ..FieldChange::new(field.name(), op, at)
    }
}
