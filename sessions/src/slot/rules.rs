//! What the views of a layer say of fields: which are rights, which outlive what, and which are secret.

use std::sync::{PoisonError, atomic::AtomicUsize};

use crate::{
    sync::{
        RwLock,
        atomic::{AtomicBool, Ordering},
    },
    value::FieldName,
};

/// What is known of fields by their stored names, from every view that the layer has met.
///
/// Several views may show one field, and not all say what it is. So one says it for all: a view that does not
/// know a right for one cannot change it by accident without a new secret, nor write a secret field in plain.
#[derive(Debug)]
pub(crate) struct Rules {
    number: usize,
    has_any: AtomicBool,
    has_secrets: AtomicBool,
    known: RwLock<Vec<Rule>>,
}

/// What a view says of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) standing: Standing,
    pub(crate) is_secret: bool,
}

/// What a field is to whoever uses the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It ends with a login's end.
    #[default]
    Plain,
    /// A right: a new secret goes with every change.
    Privilege,
    /// The right to be somebody: who is logged in.
    Identity,
    /// It belongs to the browser, and outlives a logout.
    Carry,
    /// It is the visitor's, and does not outlive a login.
    DropOnLogin,
}

impl Standing {
    /// The one that counts where several views, or the record, say different things.
    pub(super) fn strongest(self, other: Self) -> Self {
        let strength = |standing: Self| match standing {
            Self::Identity => 3,
            Self::Privilege => 2,
            Self::Carry | Self::DropOnLogin => 1,
            Self::Plain => 0,
        };
        if strength(other) > strength(self) { other } else { self }
    }

    pub(crate) const fn is_right(self) -> bool {
        matches!(self, Self::Privilege | Self::Identity)
    }
}

impl Rule {
    /// All names under which the field may be stored.
    pub(super) fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        let Self { name, aliases, .. } = *self;
        [name].into_iter().chain(aliases.iter().copied()).map(FieldName::from_static)
    }

    fn is_about(&self, name: &FieldName) -> bool {
        self.name == name.as_str() || self.aliases.contains(&name.as_str())
    }
}

impl Rules {
    /// Which rules these are: no others of the process have the same number.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }

    /// Adds what a view says.
    pub(crate) fn add(&self, rules: impl Iterator<Item = Rule>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for rule in rules.filter(|rule| rule.standing != Standing::Plain || rule.is_secret) {
            if !known.contains(&rule) {
                known.push(rule);
            }
        }
        self.has_any.store(!known.is_empty(), Ordering::Release);
        self.has_secrets.store(known.iter().any(|rule| rule.is_secret), Ordering::Release);
    }

    /// Whether any view has a secret field.
    pub(super) fn has_secrets(&self) -> bool {
        self.has_secrets.load(Ordering::Acquire)
    }

    /// Whether any view says that the field is secret.
    pub(super) fn is_secret(&self, name: &FieldName) -> bool {
        let mut is_secret = false;
        self.each(|rule| is_secret |= rule.is_secret && rule.is_about(name));
        is_secret
    }

    /// What is said of a field. Who says that it is a right has the last word.
    pub(super) fn of(&self, name: &FieldName) -> Standing {
        let mut standing = Standing::Plain;
        self.each(|rule| {
            if rule.is_about(name) {
                standing = standing.strongest(rule.standing);
            }
        });
        standing
    }

    /// All names of the fields of this standing, of which no view says otherwise.
    pub(super) fn names(&self, standing: Standing) -> Vec<FieldName> {
        let rules = self.all(|known| known == standing);
        rules.iter().flat_map(Rule::names).filter(|name| self.of(name) == standing).collect()
    }

    /// The rules of this standing.
    pub(super) fn all(&self, is_wanted: impl Fn(Standing) -> bool) -> Vec<Rule> {
        let mut all = Vec::new();
        self.each(|rule| {
            if is_wanted(rule.standing) {
                all.push(*rule);
            }
        });
        all
    }

    fn each(&self, mut visit: impl FnMut(&Rule)) {
        if self.has_any.load(Ordering::Acquire) {
            self.known.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(&mut visit);
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            number,
            has_any: AtomicBool::new(false),
            has_secrets: AtomicBool::new(false),
            known: RwLock::default(),
        }
    }
}
