//! The rules of a layer's views for fields: which are rights, which outlive what, and which are secret.

use std::{
    any::Any,
    borrow::Cow,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;

use crate::{
    error::Error,
    sync::{
        RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    value::{FieldName, Fields},
};

/// The rules of fields by their stored names, from every view that the layer has met.
///
/// Several views may show one field, and not all say what it is. So one says it for all. A view that does not know a
/// field for a right cannot change it by accident without a new secret, nor write a secret field in plain.
#[derive(Debug)]
pub(crate) struct Rules {
    /// The number of these rules: each state has its own, also among several layers.
    number: AtomicUsize,
    has_any: AtomicBool,
    has_rights: AtomicBool,
    has_secrets: AtomicBool,
    has_index: AtomicBool,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    all: Vec<Rule>,
    /// Those of them that are about rights, which each request needs that opens a record.
    rights: Arc<[Rule]>,
    /// Those about fields by which sessions are found.
    indexed: Arc<[Rule]>,
}

/// The rule of one view for one field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) class: FieldClass,
    pub(crate) is_secret: bool,
    /// True if sessions can be found by the field.
    pub(crate) is_indexed: bool,
    /// True if each entry is a stored field of its own, to which the rule applies too.
    pub(crate) is_collection: bool,
    pub(crate) on_invalid: OnInvalid,
    pub(crate) decode: DecodeValue,
}

/// Reads a stored value.
type DecodeValue = fn(&[u8]) -> Result<Box<dyn Any + Send + Sync>, serde_json::Error>;

/// The treatment of a stored value that does not decode, or does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnInvalid {
    /// It counts as absent.
    Reset,
    /// The request is refused.
    Reject,
    /// The request sees its record as after a logout: if a right does not decode, or the key of a secret field
    /// is not there. Of a secret field that does not open all the same the request is refused, and one that
    /// opens and does not decode counts as absent.
    Withhold,
}

/// The class of a field: what login, logout and rotation make of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldClass {
    /// It ends with a login's end.
    #[default]
    Plain,
    /// A right: a new secret goes with every change.
    Privilege,
    /// The right that says who is logged in.
    Identity,
    /// It belongs to the browser, and outlives a logout.
    KeepOnLogout,
    /// It is the visitor's, and does not outlive a login.
    DropOnLogin,
}

impl FieldClass {
    /// The class that counts where several views, or the record, say different things.
    pub(super) fn strongest(self, other: Self) -> Self {
        let strength = |class: Self| match class {
            Self::Identity => 4,
            Self::Privilege => 3,
            Self::DropOnLogin => 2,
            Self::KeepOnLogout => 1,
            Self::Plain => 0,
        };
        if strength(other) > strength(self) { other } else { self }
    }

    pub(crate) const fn is_right(self) -> bool {
        matches!(self, Self::Privilege | Self::Identity)
    }
}

impl Rule {
    /// All names under which the field may be stored: its name and its aliases, and of a collection the prefix names of
    /// these.
    pub(crate) fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        let entries = self.declared_names().take(if self.is_collection { usize::MAX } else { 0 });
        self.declared_names().map(FieldName::from_static).chain(entries.map(FieldName::entries_of))
    }

    /// The name and the aliases.
    fn declared_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let Self { name, aliases, .. } = *self;
        [name].into_iter().chain(aliases.iter().copied())
    }

    /// True if it is the rule of this field, or of the collection of this entry.
    fn is_about(&self, name: &FieldName) -> bool {
        let is_entry_of = |collection: &str| {
            name.as_str().strip_prefix(collection).is_some_and(|rest| rest.starts_with('['))
        };
        self.declared_names()
            .any(|known| known == name.as_str() || (self.is_collection && is_entry_of(known)))
    }

    /// The value that is the field's among these, and its name: the present name wins.
    pub(super) fn stored<'a>(&self, fields: &'a Fields) -> Option<(FieldName, &'a Bytes)> {
        self.names().find_map(|name| fields.get(name.as_str()).map(|value| (name, value)))
    }

    fn is_as(&self, other: &Self) -> bool {
        (self.name, self.aliases, self.class) == (other.name, other.aliases, other.class)
            && (self.is_secret, self.is_collection) == (other.is_secret, other.is_collection)
            && (self.is_indexed, self.on_invalid) == (other.is_indexed, other.on_invalid)
            && std::ptr::fn_addr_eq(self.decode, other.decode)
    }
}

impl Rules {
    /// The number of these rules. It changes with what they say, and no others of the process have the same.
    pub(crate) fn number(&self) -> usize {
        self.number.load(Ordering::Acquire)
    }

    /// Adds the rules of a view.
    pub(crate) fn add(&self, rules: impl Iterator<Item = Rule>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.all.len();
        for rule in rules.filter(|rule| rule.class != FieldClass::Plain || rule.is_secret || rule.is_indexed)
        {
            if !known.all.iter().any(|other| other.is_as(&rule)) {
                known.all.push(rule);
            }
        }
        if known.all.len() == before {
            return;
        }
        known.rights = known.all.iter().filter(|rule| rule.class.is_right()).copied().collect();
        known.indexed = known.all.iter().filter(|rule| rule.is_indexed).copied().collect();
        self.has_any.store(true, Ordering::Release);
        self.has_index.store(!known.indexed.is_empty(), Ordering::Release);
        self.has_rights.store(!known.rights.is_empty(), Ordering::Release);
        self.has_secrets.store(known.all.iter().any(|rule| rule.is_secret), Ordering::Release);
        self.number.store(next_number(), Ordering::Release);
    }

    /// Checks the class that a view gives to a field: another view may say that it is a right, or that it does not
    /// outlive a login.
    ///
    /// # Errors
    ///
    /// A contradiction between the two.
    pub(crate) fn check(
        &self,
        names: impl Iterator<Item = FieldName>,
        says: FieldClass,
    ) -> Result<(), Error> {
        for name in names {
            match self.of(&name) {
                right if right.is_right() && !says.is_right() => {
                    return Err(Error::undeclared_right(&name));
                }
                FieldClass::DropOnLogin if says == FieldClass::KeepOnLogout => {
                    return Err(Error::contradicting_views(&name));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// True if any view has a rule that counts.
    pub(super) fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Acquire)
    }

    /// The rules of rights.
    pub(super) fn rights(&self) -> Arc<[Rule]> {
        if self.has_rights.load(Ordering::Acquire) {
            return Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).rights);
        }
        Arc::default()
    }

    /// True if any view has a field by which sessions are found.
    pub(super) fn has_index(&self) -> bool {
        self.has_index.load(Ordering::Acquire)
    }

    /// The rules of fields by which sessions are found.
    pub(super) fn indexed(&self) -> Arc<[Rule]> {
        if self.has_index() {
            return Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).indexed);
        }
        Arc::default()
    }

    /// These names, and those of all rights and indexed fields: each request finds out if rights can be read, and a use
    /// of the record keeps its entries.
    pub(super) fn with_rights<'a>(&self, names: &'a [FieldName]) -> Cow<'a, [FieldName]> {
        let mut all = Cow::Borrowed(names);
        for name in self.rights().iter().chain(self.indexed().iter()).flat_map(Rule::names) {
            if !all.contains(&name) {
                all.to_mut().push(name);
            }
        }
        all
    }

    /// The treatment of a secret field whose key is not there: the strictest of any view.
    pub(super) fn on_missing_key(&self, name: &FieldName) -> OnInvalid {
        let mut strictest = OnInvalid::Reset;
        self.each(|rule| {
            if rule.is_secret && rule.is_about(name) {
                strictest = match (strictest, rule.on_invalid) {
                    (OnInvalid::Reject, _) | (_, OnInvalid::Reject) => OnInvalid::Reject,
                    (OnInvalid::Withhold, _) | (_, OnInvalid::Withhold) => OnInvalid::Withhold,
                    _ => OnInvalid::Reset,
                };
            }
        });
        strictest
    }

    /// True if any view has a secret field.
    pub(super) fn has_secrets(&self) -> bool {
        self.has_secrets.load(Ordering::Acquire)
    }

    /// True if any view says that the field is secret.
    pub(super) fn is_secret(&self, name: &FieldName) -> bool {
        let mut is_secret = false;
        self.each(|rule| is_secret |= rule.is_secret && rule.is_about(name));
        is_secret
    }

    /// The class of a field, by all views. One that says that it is a right has the last word.
    pub(super) fn of(&self, name: &FieldName) -> FieldClass {
        let mut class = FieldClass::Plain;
        self.each(|rule| {
            if rule.is_about(name) {
                class = class.strongest(rule.class);
            }
        });
        class
    }

    /// The names of the fields of this class, of which no view says otherwise.
    pub(super) fn names(&self, class: FieldClass) -> Vec<FieldName> {
        let rules = self.all(|known| known == class);
        rules.iter().flat_map(Rule::names).filter(|name| self.of(name) == class).collect()
    }

    /// The rules of this class.
    pub(super) fn all(&self, is_wanted: impl Fn(FieldClass) -> bool) -> Vec<Rule> {
        let mut all = Vec::new();
        self.each(|rule| {
            if is_wanted(rule.class) {
                all.push(*rule);
            }
        });
        all
    }

    fn each(&self, mut visit: impl FnMut(&Rule)) {
        if self.has_any.load(Ordering::Acquire) {
            self.known.read().unwrap_or_else(PoisonError::into_inner).all.iter().for_each(&mut visit);
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            number: AtomicUsize::new(next_number()),
            has_any: AtomicBool::new(false),
            has_rights: AtomicBool::new(false),
            has_secrets: AtomicBool::new(false),
            has_index: AtomicBool::new(false),
            known: RwLock::default(),
        }
    }
}

fn next_number() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &'static str, aliases: &'static [&'static str], class: FieldClass) -> Rule {
        Rule {
            name,
            aliases,
            class,
            is_secret: false,
            is_indexed: false,
            is_collection: true,
            on_invalid: OnInvalid::Reset,
            decode: |json| {
                serde_json::from_slice::<serde_json::Value>(json).map(|value| Box::new(value) as _)
            },
        }
    }

    fn names(names: impl IntoIterator<Item = FieldName>) -> Vec<String> {
        names.into_iter().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn the_rule_of_a_collection_is_that_of_its_entries() {
        let rules = Rules::default();
        let secret = Rule { is_secret: true, ..rule("keys", &[], FieldClass::Plain) };
        let plain = Rule { is_collection: false, ..rule("list", &["lists"], FieldClass::DropOnLogin) };
        let cart = rule("cart", &["basket"], FieldClass::KeepOnLogout);
        assert_eq!(names(cart.names()), ["cart", "basket", "cart[", "basket["]);
        assert_eq!(names(plain.names()), ["list", "lists"]);
        rules.add([cart, secret, plain].into_iter());
        for (name, class, is_secret) in [
            ("cart", FieldClass::KeepOnLogout, false),
            ("cart[42]", FieldClass::KeepOnLogout, false),
            ("cart[", FieldClass::KeepOnLogout, false),
            ("basket[42]", FieldClass::KeepOnLogout, false),
            ("cart2[42]", FieldClass::Plain, false),
            ("cart2", FieldClass::Plain, false),
            ("car", FieldClass::Plain, false),
            ("list", FieldClass::DropOnLogin, false),
            ("list[42]", FieldClass::Plain, false),
            ("keys[a]", FieldClass::Plain, true),
            ("keys", FieldClass::Plain, true),
            ("keys2[a]", FieldClass::Plain, false),
        ] {
            let name = FieldName::from(name);
            assert_eq!((rules.of(&name), rules.is_secret(&name)), (class, is_secret), "{}", name.as_str());
        }
        assert_eq!(names(rules.names(FieldClass::KeepOnLogout)), ["cart", "basket", "cart[", "basket["]);
        assert_eq!(rules.on_missing_key(&"keys[a]".into()), OnInvalid::Reset);
    }

    #[test]
    fn another_view_may_not_contradict_the_rule_of_a_collection() {
        let rules = Rules::default();
        rules.add([rule("draft", &[], FieldClass::DropOnLogin)].into_iter());
        let other = rule("draft", &[], FieldClass::KeepOnLogout);
        assert!(rules.check(other.names(), FieldClass::KeepOnLogout).is_err());
        assert!(rules.check(other.names(), FieldClass::DropOnLogin).is_ok());
        // The same field as a collection and as a whole.
        let before = rules.number();
        rules.add([Rule { is_collection: false, ..rule("draft", &[], FieldClass::DropOnLogin) }].into_iter());
        assert_ne!(rules.number(), before);
    }
}
