//! The index: which records have one value of one field, so that a user's sessions can be found and ended.
//!
//! It is a capability beside [`Store`], which a store declares by [`Store::index`]
//! and by the marker [`CanIndex`].
//!
//! # Design
//!
//! **One row for one value.** Its key is a hash ([`IndexKey`]), so each change is one atomic operation on one key, in
//! a cluster too. A row and the records it names are changed one after the other. The layer sees to the order: the
//! entry before the record on the way in, the record before the entry on the way out. So every living record has its
//! entry. An entry may have no record any more, so a listing looks at each record.
//!
//! **A store decides nothing.** [`IndexRow::apply`] is the whole contract as a pure function. A store that can run Rust
//! inside its transactions keeps the row as bytes and calls it.
//!
//! **A login is reserved, committed and confirmed.** The reservation counts towards a limit at once. The confirmation
//! finds out if the sessions of the user were ended meanwhile, so a login on its way does not escape.

mod row;

use std::{future::Future, pin::Pin};

use bytes::Bytes;

pub use self::row::{
    Confirmation, IndexChange, IndexEntry, IndexOutcome, IndexRow, IndexStamp, IndexStatus, Reservation,
};
use super::Store;
pub use crate::value::IndexKey;
use crate::{
    error::Error,
    value::{FieldName, Fields, RecordId},
};

/// An operation of an index under way. It is boxed, so that a store of any type can be asked for its index.
pub type IndexFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A store with an index: it can find and end the sessions that have one value of a field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot find sessions by a field",
    label = "has no index",
    note = "use a store that has one, as `MemoryStore`, `SqliteStore`, `RedisStore` and `WebdisStore` do, or remove \
            `index` from the field"
)]
pub trait CanIndex: Store {}

/// The operations of an index. Each is atomic.
pub trait IndexStore: Send + Sync {
    /// Changes one row as [`IndexRow::apply`] does, at the store's own time. A row that is not there is an empty one.
    ///
    /// An entry may be kept longer than it asks for, and never shorter. The same holds for a row's
    /// [deadline](IndexRow::deadline).
    ///
    /// The future's errors: [`Error::unavailable`] if nothing was written; [`Error::outcome_unknown`] if all of it may
    /// have been.
    fn change_index(&self, key: IndexKey, change: IndexChange) -> IndexFuture<'_, IndexOutcome>;

    /// Deletes a record if it meets the condition, and returns true if it did. Checking and deleting are one operation,
    /// so that no other user's session is ended.
    ///
    /// The future's errors: as those of [`Store::destroy`].
    fn destroy_if(&self, id: RecordId, condition: FieldCondition) -> IndexFuture<'_, bool>;
}

/// The condition that a field has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldCondition {
    /// The names under which the field may be stored. The first of them that the record has counts.
    pub names: Vec<FieldName>,
    /// The value's JSON.
    pub value: Bytes,
}

impl FieldCondition {
    /// Makes the condition that the first of these fields that a record has holds this value.
    #[must_use]
    pub const fn new(names: Vec<FieldName>, value: Bytes) -> Self {
        Self { names, value }
    }

    /// Returns true if a record with these fields meets it.
    #[must_use]
    pub fn is_met_by(&self, fields: &Fields) -> bool {
        let stored = self.names.iter().find_map(|name| fields.get(name.as_str()));
        stored.is_some_and(|value| *value == self.value)
    }
}
