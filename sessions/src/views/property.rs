//! The properties of a field on which all views of a record must agree, besides its type.

use crate::{
    handle::table::{Field, Merge, Shape},
    slot::FieldClass,
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
    /// The result when two requests change the field at once.
    Merge,
}

impl Property {
    pub(crate) const ALL: [Self; 4] = [Self::Kind, Self::Login, Self::Secrecy, Self::Merge];

    /// Returns the name of the property.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Login => "login",
            Self::Secrecy => "secrecy",
            Self::Merge => "merge",
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
            Self::Merge => match field.merge {
                Merge::Last => "",
                Merge::Add => "add",
                Merge::Max => "max",
                Merge::Min => "min",
                Merge::First => "first",
            },
        }
    }

    /// Returns what stands around a value in a message.
    pub(crate) const fn around(self) -> (&'static str, &'static str) {
        match self {
            Self::Merge => ("`merge = \"", "\"`"),
            _ => ("`", "`"),
        }
    }

    /// Returns true if a view that is not registered may have this value.
    pub(crate) const fn is_plain(self, field: &Field) -> bool {
        matches!(self, Self::Kind) || self.of(field).is_empty()
    }
}
