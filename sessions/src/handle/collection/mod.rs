//! Collections in a handle: maps, sets and lists whose entries are fields of their own in the store.
//!
//! A handle shows the plain collection. It is read from the entries, and compared with them when the handle is staged:
//! each entry that differs becomes an operation. What a whole collection in one field of an older program holds is
//! shown too. The slot makes entries of it with the first change.

mod compare;
mod content;
mod describe;

use super::table::Counter;
pub(super) use self::{
    compare::{Edit, Staging},
    content::{decode, is_unopened},
};
use crate::value::collection::CollectionKind;

/// The properties of a field that is a collection.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    pub(crate) kind: CollectionKind,
    entry: EntryMerge,
    /// The most items of a list that stay.
    keep_last: usize,
}

/// The result when two requests change one entry at once.
#[derive(Clone, Copy, Debug)]
enum EntryMerge {
    /// The last write stays.
    Last,
    /// Differences add up.
    Add(Counter),
    /// The largest stays.
    Max,
    /// The smallest stays.
    Min,
}
