//! The description of a collection: what the derive calls, and the types that fit.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use crate::{
    handle::table::{Collection, EntryMerge, Field, Integer, List},
    value::collection::CollectionKind,
};

/// A map or set whose entries are merged one by one.
#[diagnostic::on_unimplemented(
    message = "`merge = \"entries\"` needs a map or a set of the standard library, not `{Self}`",
    label = "not a `HashMap`, `BTreeMap`, `HashSet` or `BTreeSet`",
    note = "write `merge = \"append\"` for a `Vec`, and `merge = \"last\"` for any other type"
)]
pub trait Entries: Any {
    /// The kind of its entries.
    const KIND: CollectionKind;
}

/// A map, whose entries have values of their own.
#[diagnostic::on_unimplemented(
    message = "`entry` and `secret` are about the values of a map, and `{Self}` has none",
    label = "not a `HashMap` or `BTreeMap`",
    note = "the keys of entries stay readable in the store; keep what is secret in the values of a map, or write `merge = \"last\"`"
)]
pub trait MapEntries: Entries {
    /// The type of the values.
    type Value;
}

macro_rules! collections {
    ($($Type:ident<$($T:ident),*> $kind:ident,)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($T: Any),*> Entries for $Type<$($T),*> {
            const KIND: CollectionKind = CollectionKind::$kind;
        }
    )*};
}

collections! {
    HashMap<K, V, S> Map,
    BTreeMap<K, V> Map,
    HashSet<T, S> Set,
    BTreeSet<T> Set,
}

#[diagnostic::do_not_recommend]
impl<K: Any, V: Any, S: Any> MapEntries for HashMap<K, V, S> {
    type Value = V;
}

#[diagnostic::do_not_recommend]
impl<K: Any, V: Any> MapEntries for BTreeMap<K, V> {
    type Value = V;
}

/// The changes that `merge = "entries"` and `merge = "append"` make.
impl Field {
    /// Makes each entry of the map or set a field of its own.
    #[must_use]
    pub const fn merge_entries<T: Entries>(self) -> Self {
        self.collected(T::KIND, EntryMerge::Last, usize::MAX)
    }

    /// Adds up the differences of overlapping requests, entry by entry.
    #[must_use]
    pub const fn entry_add<T: MapEntries<Value: Integer>>(self) -> Self {
        self.collected(T::KIND, EntryMerge::Add(<T::Value as Integer>::COUNTER), usize::MAX)
    }

    /// Keeps the largest value of overlapping requests, entry by entry.
    #[must_use]
    pub const fn entry_max<T: MapEntries<Value: Integer>>(self) -> Self {
        self.collected(T::KIND, EntryMerge::Max, usize::MAX)
    }

    /// Keeps the smallest value of overlapping requests, entry by entry.
    #[must_use]
    pub const fn entry_min<T: MapEntries<Value: Integer>>(self) -> Self {
        self.collected(T::KIND, EntryMerge::Min, usize::MAX)
    }

    /// Has the values of the entries sealed before they reach the store.
    #[must_use]
    pub const fn secret_entries<T: MapEntries>(self) -> Self {
        self.secret()
    }

    /// Makes each item of the list a field of its own, of which this many stay.
    #[must_use]
    pub const fn merge_append<T: List>(self, keep_last: usize) -> Self {
        self.collected(CollectionKind::List, EntryMerge::Last, keep_last)
    }

    /// Makes the list one of flashes, of which this many stay until they are delivered.
    #[must_use]
    pub const fn flash_list<T: List>(self, keep_last: usize) -> Self {
        self.flash().collected(CollectionKind::Flashes, EntryMerge::Last, keep_last)
    }

    const fn collected(self, kind: CollectionKind, entry: EntryMerge, keep_last: usize) -> Self {
        Self { collection: Some(Collection { kind, entry, keep_last }), ..self }
    }
}
