//! One pending change, and the part of it that remains where nothing may be granted.

use super::{
    field_rules::{FieldClass, Rules},
    record::RecordState,
};
use crate::{
    delta::Op,
    error::Error,
    value::{
        FieldName,
        collection::{CollectionKind, entry_of},
    },
};

/// A change that a handle made and that is not written yet.
#[derive(Debug)]
pub(super) struct PendingChange {
    /// The number of the handle.
    pub(super) by: u64,
    /// The time of the change in the request's own count.
    pub(super) at: u64,
    pub(super) action: Action,
    /// True if a save of the handle is to write it. A handle that is dropped late, or in a panic, takes all its other
    /// changes with it.
    pub(super) is_for_save: bool,
    /// True if its handle waits for this very write, so that it is not tried again.
    pub(super) is_once: bool,
}

/// An action of a handle.
#[derive(Debug)]
pub(super) enum Action {
    /// It changed a field.
    Change(FieldChange),
    /// It removed all fields.
    Clear,
    /// It set a value that cannot be stored: the write fails with it.
    Invalid(Error),
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldChange {
    pub(crate) name: FieldName,
    pub(crate) op: Op,
    /// Older names, which are removed with every operation: the present name takes precedence. For an entry, the older
    /// names of its collection.
    pub(crate) aliases: &'static [&'static str],
    /// True if a put is of the value that the field has anyway if nothing is stored.
    pub(crate) is_default: bool,
    /// The field's class by all that is known: a change of a right brings a new secret.
    pub(crate) class: FieldClass,
    /// The class that the view says in which it was changed: only a view that declares a right can grant it.
    pub(crate) declared: FieldClass,
    /// True if the field is a flash.
    pub(crate) is_flash: bool,
    /// The kind of the collection of which it is an entry.
    pub(crate) collection: Option<CollectionKind>,
    /// True if it was removed at some time, whatever came after that.
    pub(crate) was_removed: bool,
    /// The time of the change in the request's own count.
    pub(crate) at: u64,
}

impl FieldChange {
    /// A change of a plain field.
    pub(crate) const fn new(name: FieldName, op: Op, at: u64) -> Self {
        Self {
            name,
            op,
            aliases: &[],
            is_default: false,
            class: FieldClass::Plain,
            declared: FieldClass::Plain,
            is_flash: false,
            collection: None,
            was_removed: false,
            at,
        }
    }

    /// All names under which the field may be stored.
    pub(super) fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        let name = self.name.clone();
        let entry = self.collection.and(entry_of(name.as_str())).map(str::to_owned);
        let aliases = self.aliases.iter().map(move |alias| match &entry {
            Some(entry) => format!("{alias}{entry}").into(),
            None => FieldName::from_static(alias),
        });
        [name].into_iter().chain(aliases)
    }

    /// All names under which an older program may have stored the collection whole.
    pub(super) fn whole_names(&self) -> impl Iterator<Item = FieldName> + use<> {
        let name = self.name.as_str();
        let name = entry_of(name).and_then(|entry| name.strip_suffix(entry)).map(FieldName::from);
        let aliases = self.aliases.iter().map(|alias| FieldName::from_static(alias));
        name.into_iter().chain(aliases)
    }

    /// True if it is a flash for the next page.
    pub(super) fn is_flashed(&self) -> bool {
        self.is_flash && matches!(self.op, Op::Put(_))
    }

    /// True if it grants a right.
    pub(super) fn is_grant(&self) -> bool {
        self.class.is_right() && self.op != Op::Remove
    }

    /// True if it removes a right and does nothing else.
    pub(super) fn is_removed_right(&self) -> bool {
        self.class.is_right() && self.op == Op::Remove
    }

    /// The part of it that remains where nothing may be granted: the removal of a right.
    pub(super) fn into_removed_right(self) -> Option<Self> {
        let was_removed = self.class.is_right() && (self.was_removed || self.op == Op::Remove);
        was_removed.then(|| Self { op: Op::Remove, is_default: false, was_removed: true, ..self })
    }
}

impl PendingChange {
    pub(super) const fn new(by: u64, at: u64, action: Action) -> Self {
        Self { by, at, action, is_for_save: false, is_once: false }
    }

    /// The change of one field, if it is that.
    pub(super) const fn field(&self) -> Option<&FieldChange> {
        match &self.action {
            Action::Change(change) => Some(change),
            Action::Clear | Action::Invalid(_) => None,
        }
    }

    /// True if it removes a right and does nothing else.
    pub(super) fn is_removed_right(&self) -> bool {
        self.field().is_some_and(FieldChange::is_removed_right)
    }

    /// A copy, for another write of a part of it.
    pub(super) fn again(&self) -> Self {
        let action = match &self.action {
            Action::Change(change) => Action::Change(change.clone()),
            Action::Clear => Action::Clear,
            Action::Invalid(error) => Action::Invalid(error.duplicate()),
        };
        Self { action, ..*self }
    }

    pub(super) fn into_removed_right(self) -> Option<Self> {
        match self.action {
            Action::Change(change) => {
                let removal = change.into_removed_right()?;
                Some(Self { action: Action::Change(removal), ..self })
            }
            Action::Clear | Action::Invalid(_) => None,
        }
    }

    /// True if the order of the two matters.
    pub(super) fn is_order_relevant(&self, earlier: &Self) -> bool {
        match (self.field(), earlier.field()) {
            (Some(this), Some(that)) if this.is_removed_right() && that.is_removed_right() => {
                this.name == that.name
            }
            (Some(this), Some(that)) => {
                this.name == that.name
                    || this.class.is_right()
                    || that.class.is_right()
                    || this.names().any(|name| that.names().any(|other| name == other))
            }
            _ => true,
        }
    }

    /// Takes in what the same handle did right before it, if that comes to the same. Returns true if it did.
    pub(super) fn absorbs(&mut self, earlier: &Self) -> bool {
        let of = |change: &Self| (change.by, change.is_for_save, change.is_once);
        if of(self) != of(earlier) {
            return false;
        }
        match (&mut self.action, &earlier.action) {
            (Action::Clear, Action::Clear) => true,
            // It removes that, too. What is flashed survives it, and a grant tells what the rights were.
            (Action::Clear, Action::Change(that)) => !that.is_flash && !that.is_grant(),
            (Action::Change(this), Action::Change(that))
                if this.is_removed_right() && that.is_removed_right() =>
            {
                this.was_removed |= that.was_removed;
                this.name == that.name
            }
            (Action::Change(this), Action::Change(that))
                if this.name == that.name && !this.class.is_right() && !that.class.is_right() =>
            {
                let Some(op) = together(&that.op, &this.op) else { return false };
                this.op = op;
                this.is_default &= that.is_default;
                this.was_removed |= that.was_removed;
                true
            }
            _ => false,
        }
    }
}

/// Two operations in a row as one, if that needs nothing of what was loaded.
fn together(first: &Op, second: &Op) -> Option<Op> {
    match (first, second) {
        (Op::ReplaceIf { expected, value }, next) => {
            let value = next.apply(value.as_ref()).ok()?;
            Some(Op::ReplaceIf { expected: expected.clone(), value })
        }
        (_, Op::Put(_) | Op::Remove) => Some(second.clone()),
        (Op::Add(first), Op::Add(second)) => first.then(*second).map(Op::Add),
        (Op::Max(first), Op::Max(second)) => Some(Op::Max(*first.max(second))),
        (Op::Min(first), Op::Min(second)) => Some(Op::Min(*first.min(second))),
        (Op::PutIfAbsent(_), Op::PutIfAbsent(_)) => Some(first.clone()),
        _ => None,
    }
}

/// The part of these changes that remains where nothing may be granted: the removals of rights.
///
/// A failing response, a handler that panics, a request without a response and a late handle all leave this.
pub(super) fn removed_rights(
    changes: Vec<PendingChange>,
    record: &RecordState,
    rules: &Rules,
) -> Vec<PendingChange> {
    let mut removed = Vec::new();
    for change in changes {
        if !matches!(change.action, Action::Clear) {
            removed.extend(change.into_removed_right());
            continue;
        }
        for name in record.rights().names {
            let class = record.class(&name, rules);
            let removal = FieldChange {
                class,
                declared: class,
                was_removed: true,
                ..FieldChange::new(name, Op::Remove, change.at)
            };
            removed.push(PendingChange { action: Action::Change(removal), ..change.again() });
        }
    }
    removed
}
