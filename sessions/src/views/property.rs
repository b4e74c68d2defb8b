//! The properties of a field on which all views of a record must agree, besides its type.

use crate::{
    handle::table::{Collection, EntryMerge, Field, Merge, Shape},
    slot::FieldClass,
    value::collection::CollectionKind,
};

/// A property of a field. Its values are words; the default is the empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    /// Delivered once.
    Kind,
    /// The relation to the login.
    Login,
    /// Sealed or not.
    Secrecy,
    /// Findable by its value or not.
    Index,
    /// The result when two requests change the field at once.
    Merge,
    /// The fields with which it changes together, by the stored name of their version.
    Group,
}

impl Property {
    pub(crate) const ALL: [Self; 6] =
        [Self::Kind, Self::Login, Self::Secrecy, Self::Index, Self::Merge, Self::Group];

    /// Returns the name of the property.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Login => "login",
            Self::Secrecy => "secrecy",
            Self::Index => "index",
            Self::Merge => "merge",
            Self::Group => "group",
        }
    }

    /// Returns the property's value of a field: the word that the derive knows, or the empty one.
    pub(crate) const fn of(self, field: &Field) -> &'static str {
        match self {
            Self::Kind => match field.shape {
                Shape::Flash => "flash",
                Shape::Stored | Shape::Skipped => "",
            },
            Self::Login => match field.class {
                FieldClass::Plain => "",
                FieldClass::Privilege => "privilege",
                FieldClass::Identity => "identity",
                FieldClass::KeepOnLogout => "keep_on_logout",
                FieldClass::DropOnLogin => "drop_on_login",
            },
            Self::Secrecy => {
                if field.is_secret {
                    "secret"
                } else {
                    ""
                }
            }
            Self::Index => {
                if field.is_indexed {
                    "index"
                } else {
                    ""
                }
            }
            Self::Group => match field.version {
                Some(version) => version,
                None => "",
            },
            Self::Merge => match (&field.collection, field.merge) {
                (Some(collection), _) => of_collection(collection),
                (None, Merge::Last) => "",
                (None, Merge::Add) => "add",
                (None, Merge::Max) => "max",
                (None, Merge::Min) => "min",
                (None, Merge::First) => "first",
                (None, Merge::Cas) => "cas",
            },
        }
    }

    /// Returns what stands around a value in a message.
    pub(crate) const fn around(self) -> (&'static str, &'static str) {
        match self {
            Self::Merge => ("`merge = \"", "\"`"),
            Self::Group => ("in the group of `", "`"),
            _ => ("`", "`"),
        }
    }

    /// Returns true if a view that is not registered may have this value.
    pub(crate) const fn is_plain(self, field: &Field) -> bool {
        matches!(self, Self::Kind) || self.of(field).is_empty()
    }
}

/// Returns the merge of a collection, and behind `+` that of its entries.
const fn of_collection(collection: &Collection) -> &'static str {
    match (collection.kind, collection.entry) {
        (CollectionKind::List | CollectionKind::Flashes, _) => "append",
        (CollectionKind::Map | CollectionKind::Set, EntryMerge::Last) => "entries",
        (CollectionKind::Map | CollectionKind::Set, EntryMerge::Add(_)) => "entries+add",
        (CollectionKind::Map | CollectionKind::Set, EntryMerge::Max) => "entries+max",
        (CollectionKind::Map | CollectionKind::Set, EntryMerge::Min) => "entries+min",
    }
}
