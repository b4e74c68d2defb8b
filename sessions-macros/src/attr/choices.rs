//! The values that a field's attributes choose from.

use proc_macro2::TokenStream;

/// The value of a field that has none in the store.
pub(crate) enum DefaultValue {
    /// `Default::default()`.
    OfType,
    Expression(TokenStream),
    /// Code that panics: the field was refused, and its type asks for nothing more.
    Refused,
}

/// The relation of a field to the login. A field has at most one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FieldClass {
    Privilege,
    Identity,
    KeepOnLogout,
    DropOnLogin,
}

impl FieldClass {
    pub(crate) const ALL: [Self; 4] =
        [Self::Privilege, Self::Identity, Self::KeepOnLogout, Self::DropOnLogin];

    /// The key that stands for the class.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Privilege => "privilege",
            Self::Identity => "identity",
            Self::KeepOnLogout => "keep_on_logout",
            Self::DropOnLogin => "drop_on_login",
        }
    }

    /// True for what a user may be refused: a privilege, or the identity itself.
    pub(crate) const fn is_right(self) -> bool {
        matches!(self, Self::Privilege | Self::Identity)
    }

    /// The meaning of the class, as it reads behind its key.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Privilege => "is a right",
            Self::Identity => "is a right that also names the logged-in user",
            Self::KeepOnLogout => "outlives a logout",
            Self::DropOnLogin => "ends with a login",
        }
    }
}

/// The result when two requests change one field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merge {
    Last,
    Add,
    Max,
    Min,
    First,
    /// Each entry of a map or set by itself.
    Entries,
    /// Each item of a list by itself.
    Append,
}

impl Merge {
    pub(super) const ALL: [(&str, Self); 7] = [
        ("last", Self::Last),
        ("add", Self::Add),
        ("max", Self::Max),
        ("min", Self::Min),
        ("first", Self::First),
        ("entries", Self::Entries),
        ("append", Self::Append),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Add => "add",
            Self::Max => "max",
            Self::Min => "min",
            Self::First => "first",
            Self::Entries => "entries",
            Self::Append => "append",
        }
    }
}

/// The result when two requests change one entry of a map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EntryMerge {
    Last,
    Add,
    Max,
    Min,
}

impl EntryMerge {
    pub(super) const ALL: [(&str, Self); 4] =
        [("last", Self::Last), ("add", Self::Add), ("max", Self::Max), ("min", Self::Min)];
}

/// The treatment of a stored value that does not decode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnInvalid {
    Reset,
    Reject,
}

impl OnInvalid {
    pub(super) const ALL: [(&str, Self); 2] = [("reset", Self::Reset), ("reject", Self::Reject)];
}
