//! The stored name of a field.

use std::{borrow::Borrow, fmt, sync::Arc};

/// The stored name of a field. It is cheap to clone: the names of a view's fields live in the program.
///
/// An entry of a collection is a stored field of its own, named `cart[42]`: the collection, and the key in brackets. No
/// declared name contains `[`.
///
/// A name that ends in `[` is a *prefix name*. It stands for all stored fields whose names begin with it. A load, the
/// fields that a [`Delta`](crate::store::Delta) retains and its [`Op::Remove`](crate::store::Op::Remove) take prefix
/// names, and nothing else does.
///
/// `Display` and `Debug` show the declared field only, since a key may be personal data: `cart` for `cart[42]`.
#[derive(Clone)]
pub struct FieldName(Repr);

/// The beginning of the name under which the version of a group of fields is stored. No declared name begins with `__`.
/// The derive writes it out.
const VERSION: &str = "__version.";

/// The byte between the name of a collection and the key of an entry.
const KEY_BEGINS: char = '[';

/// A list of names, some of which may be prefix names.
pub(crate) trait Covers {
    /// Returns true if one of the names covers this one.
    fn covers(&self, name: &FieldName) -> bool;
}

#[derive(Clone)]
enum Repr {
    Static(&'static str),
    Shared(Arc<str>),
}

impl FieldName {
    /// Makes a name that is known at compile time.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Repr::Static(name))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(name) => name,
            Repr::Shared(name) => name,
        }
    }

    /// Returns true if this is a prefix name, which stands for all stored fields whose names begin with it.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.as_str().ends_with(KEY_BEGINS)
    }

    /// Returns true if this name is the other one, or a prefix name that stands for it.
    #[must_use]
    pub fn covers(&self, name: &Self) -> bool {
        self == name || (self.is_prefix() && name.as_str().starts_with(self.as_str()))
    }

    /// Returns the name of the declared field: for an entry that of its collection, and else the whole name.
    #[must_use]
    pub fn declared(&self) -> Self {
        match self.declared_text().len() {
            end if end < self.as_str().len() => self.up_to(end),
            _ => self.clone(),
        }
    }

    /// Returns the group whose version is stored under this name; `None` for another field.
    pub(crate) fn group(&self) -> Option<&str> {
        self.as_str().strip_prefix(VERSION)
    }

    /// Returns the prefix name of all entries of a collection.
    pub(crate) fn entries_of(collection: &str) -> Self {
        [collection, "["].concat().into()
    }

    /// Returns the prefix name of the collection that an entry belongs to; `None` for another field.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.as_str().find(KEY_BEGINS).map(|end| &self.as_str()[..=end])
    }

    fn declared_text(&self) -> &str {
        self.as_str().split(KEY_BEGINS).next().unwrap_or_default()
    }

    fn up_to(&self, end: usize) -> Self {
        match &self.0 {
            Repr::Static(name) => Self(Repr::Static(&name[..end])),
            Repr::Shared(name) => name[..end].into(),
        }
    }
}

impl Covers for [FieldName] {
    fn covers(&self, name: &FieldName) -> bool {
        self.iter().any(|known| known.covers(name))
    }
}

/// Returns the declared fields of stored ones, each once, for events.
pub(crate) fn declared_fields(stored: Vec<FieldName>) -> Vec<FieldName> {
    let mut declared: Vec<FieldName> = Vec::with_capacity(stored.len());
    for name in stored {
        let name = name.declared();
        // The version of a group is no declared field, and changes together with one.
        if name.group().is_none() && !declared.contains(&name) {
            declared.push(name);
        }
    }
    declared
}

impl From<&str> for FieldName {
    fn from(name: &str) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<String> for FieldName {
    fn from(name: String) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for FieldName {}

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for FieldName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.declared_text())
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.declared_text(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_name_covers_what_begins_with_it() {
        for (name, covered) in [
            ("cart[", "cart[42]"),
            ("cart[", "cart["),
            ("cart[", "cart[]"),
            ("cart[", "cart[a[b]"),
            ("cart", "cart"),
            ("cart[42]", "cart[42]"),
        ] {
            assert!(FieldName::from(name).covers(&covered.into()), "{name} {covered}");
            assert!([FieldName::from("other"), name.into()].covers(&covered.into()), "{name} {covered}");
        }
        for (name, other) in [
            ("cart[", "cart"),
            ("cart[", "cart2[42]"),
            ("cart[", "Cart[42]"),
            ("cart", "cart[42]"),
            ("cart", "cart["),
            ("cart", "cart2"),
            ("cart[4", "cart[42]"),
            ("cart[42]", "cart["),
            ("", "cart"),
        ] {
            assert!(!FieldName::from(name).covers(&other.into()), "{name} {other}");
            assert!(![FieldName::from(name)].covers(&other.into()), "{name} {other}");
        }
        assert!(![].covers(&"cart".into()));
    }

    #[test]
    fn a_key_is_never_shown() {
        for name in [FieldName::from_static("cart[me@example.org]"), "cart[me@example.org]".into()] {
            assert_eq!(format!("{name} {name:?} {name:#?}"), "cart \"cart\" \"cart\"");
            assert_eq!(name.as_str(), "cart[me@example.org]");
            assert_eq!((name.declared().as_str(), name.is_prefix()), ("cart", false));
            assert_eq!(name.prefix(), Some("cart["));
        }
        assert_eq!(FieldName::entries_of("cart").to_string(), "cart");
        assert_eq!(FieldName::from("cart").prefix(), None);
        assert_eq!(format!("{:?}", FieldName::from("a\"b")), r#""a\"b""#);
        let fields = ["a[1]", "b", "a[2]", "a"].map(FieldName::from).to_vec();
        assert_eq!(declared_fields(fields), ["a".into(), "b".into()]);
    }
}
