//! What the handles of a request did to its session, until it is written.

use super::state::Phase;
use crate::{
    delta::{Delta, Op},
    error::Error,
    value::FieldName,
};

/// What the handles of a request did, in the order in which they did it.
///
/// They hand it over when they are dropped, which says nothing about when they did what; so each
/// deed has a number of the request's own count. What becomes of the record is put together from
/// the deeds when it is needed, so that one of them can still be taken back.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    deeds: Vec<Deed>,
    /// When the fields that this request has written were changed.
    written: Vec<(FieldName, u64)>,
    /// When the record was cleared, if this request has written that.
    cleared: u64,
}

/// Something that a handle did.
#[derive(Debug)]
pub(super) struct Deed {
    by: u64,
    at: u64,
    /// Whether a save was asked to write it.
    is_to_be_saved: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Change(FieldChange),
    /// All fields are removed; these of them are rights.
    Clear(Vec<Right>),
    /// A change that cannot be stored: the commit fails with it.
    Failure(Error),
}

/// What was done to one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldChange {
    pub(crate) name: FieldName,
    pub(crate) op: Op,
    /// Older names, which go with every operation: the present one wins.
    pub(crate) aliases: &'static [&'static str],
    /// Whether a put is of the value that the field has anyway if nothing is stored.
    pub(crate) is_default: bool,
    /// Whether the field is a right, so that a new secret goes with the change.
    pub(crate) is_privilege: bool,
    /// Whether it was removed at some time, whatever came after that.
    pub(crate) was_removed: bool,
    /// When it was done, in the request's own count.
    pub(crate) at: u64,
}

/// A field that is a right, and its older names.
#[derive(Clone, Debug)]
pub(crate) struct Right {
    pub(crate) name: FieldName,
    pub(crate) aliases: &'static [&'static str],
}

impl FieldChange {
    /// All names under which the field may be stored.
    fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        names(&self.name, self.aliases)
    }

    fn aliases(&self) -> impl Iterator<Item = FieldName> + use<> {
        names(&self.name, self.aliases).skip(1)
    }

    /// What is left of it where nothing may be granted: the removal of a right.
    pub(super) fn into_removed_right(self) -> Option<Self> {
        let was_removed = self.is_privilege && (self.was_removed || self.op == Op::Remove);
        was_removed.then(|| Self { op: Op::Remove, is_default: false, was_removed: true, ..self })
    }
}

impl Ledger {
    pub(super) fn is_empty(&self) -> bool {
        self.deeds.is_empty()
    }

    /// Enters what a handle hands over.
    pub(super) fn enter(&mut self, by: u64, changes: Vec<FieldChange>, failure: Option<(u64, Error)>) {
        for change in changes {
            self.insert(Deed::new(by, change.at, What::Change(change)));
        }
        if let Some((at, error)) = failure {
            self.insert(Deed::new(by, at, What::Failure(error)));
        }
    }

    /// Enters that all fields are removed.
    pub(super) fn clear(&mut self, by: u64, at: u64, rights: Vec<Right>) {
        self.insert(Deed::new(by, at, What::Clear(rights)));
    }

    /// Notes that a save is to write what a handle did.
    pub(super) fn is_to_be_saved(&mut self, by: u64) {
        for deed in self.deeds.iter_mut().filter(|deed| deed.by == by) {
            deed.is_to_be_saved = true;
        }
    }

    fn insert(&mut self, deed: Deed) {
        let index = self.deeds.partition_point(|known| known.at <= deed.at);
        self.deeds.insert(index, deed);
    }

    /// Takes out all of it, to be written.
    pub(super) fn take(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    /// Takes out what was done to these fields, to be written by itself.
    pub(super) fn take_fields(&mut self, change: &FieldChange) -> Vec<Deed> {
        let names: Vec<_> = change.names().collect();
        let of_field = |deed: &mut Deed| match &deed.what {
            What::Change(change) => names.contains(&change.name),
            What::Clear(_) | What::Failure(_) => false,
        };
        self.deeds.extract_if(.., of_field).collect()
    }

    /// Takes back what a handle did.
    pub(super) fn take_back(&mut self, by: u64) {
        self.deeds.retain(|deed| deed.by != by);
    }

    /// Takes back what a handle did and no save is to write, and says whether there was anything.
    pub(super) fn take_back_unsaved(&mut self, by: u64) -> bool {
        let before = self.deeds.len();
        self.deeds.retain(|deed| deed.by != by || deed.is_to_be_saved);
        self.deeds.len() < before
    }

    /// Puts back what certainly was not written.
    pub(super) fn put_back(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            self.insert(deed);
        }
    }

    /// Notes that these are written: what other handles did before them comes too late.
    pub(super) fn note_written(&mut self, deeds: &[Deed]) {
        for deed in deeds {
            match &deed.what {
                What::Change(change) => {
                    match self.written.iter_mut().find(|(name, _)| *name == change.name) {
                        Some((_, at)) => *at = deed.at.max(*at),
                        None => self.written.push((change.name.clone(), deed.at)),
                    }
                }
                What::Clear(_) => self.cleared = self.cleared.max(deed.at),
                What::Failure(_) => {}
            }
        }
    }

    /// Forgets everything, for another record.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Leaves the removals of rights only: a failing request grants nothing and takes away.
    pub(super) fn keep_removed_rights(&mut self, record: &Phase) {
        let deeds = std::mem::take(&mut self.deeds);
        self.deeds = removed_rights(deeds, record);
    }

    /// Whether a right is changed, so that a new secret goes with it.
    pub(super) fn changes_a_right(&self, record: &Phase) -> bool {
        changes_a_right(&self.deeds, record)
    }

    /// Whether everything is removed, before or after other things.
    pub(super) fn clears(&self) -> bool {
        self.deeds.iter().any(|deed| matches!(deed.what, What::Clear(_)))
    }

    /// What becomes of the record.
    ///
    /// # Errors
    ///
    /// The first change that cannot be stored.
    pub(super) fn delta(&self, record: &Phase) -> Result<Delta, Error> {
        self.compose(&self.deeds, record).map_or_else(|(_, error)| Err(error), Ok)
    }

    /// The same of some deeds, which were taken out.
    pub(super) fn delta_of(&self, deeds: &[Deed], record: &Phase) -> Result<Delta, Error> {
        self.compose(deeds, record).map_or_else(|(_, error)| Err(error), Ok)
    }

    /// The same with a change after them.
    pub(super) fn delta_with(
        &self,
        deeds: &[Deed],
        change: &FieldChange,
        record: &Phase,
    ) -> Result<Delta, Error> {
        let mut delta = self.delta_of(deeds, record)?;
        push(&mut delta, change, record)?;
        Ok(delta)
    }

    /// The same, without what cannot be done.
    pub(super) fn visible_delta(&self, record: &Phase) -> Delta {
        self.compose(&self.deeds, record).unwrap_or_else(|(delta, _)| delta)
    }

    fn compose(&self, deeds: &[Deed], record: &Phase) -> Result<Delta, (Delta, Error)> {
        let (mut delta, mut failure) = (Delta::new(), None);
        for deed in deeds {
            match &deed.what {
                What::Clear(_) => {
                    delta = Delta::new();
                    if record.live().is_some() {
                        delta.retain(Vec::new());
                    }
                }
                What::Change(change) if self.comes_too_late(change) => {}
                What::Change(change) => {
                    if let Err(error) = push(&mut delta, change, record) {
                        failure = failure.or(Some(error));
                    }
                }
                What::Failure(error) => failure = failure.or_else(|| Some(error.duplicate())),
            }
        }
        match failure {
            Some(error) => Err((delta, error)),
            None => Ok(delta),
        }
    }

    /// Whether a later change of this request has been written already.
    fn comes_too_late(&self, change: &FieldChange) -> bool {
        let written = self.written.iter().find(|(name, _)| *name == change.name);
        change.at < self.cleared
            || (written.is_some_and(|(_, at)| change.at < *at) && !change.op.is_relative())
    }
}

impl Deed {
    const fn new(by: u64, at: u64, what: What) -> Self {
        Self { by, at, is_to_be_saved: false, what }
    }
}

/// Whether a right is among what these change.
pub(super) fn changes_a_right(deeds: &[Deed], record: &Phase) -> bool {
    deeds.iter().any(|deed| match &deed.what {
        What::Change(change) => change.is_privilege,
        What::Clear(rights) => rights.iter().any(|right| right.is_stored(record)),
        What::Failure(_) => false,
    })
}

/// The removals of rights among these.
pub(super) fn removed_rights(deeds: Vec<Deed>, record: &Phase) -> Vec<Deed> {
    let mut removed = Vec::new();
    for Deed { by, at, is_to_be_saved, what } in deeds {
        let mut keep = |change| {
            removed.push(Deed { by, at, is_to_be_saved, what: What::Change(change) });
        };
        match what {
            What::Change(change) => change.into_removed_right().into_iter().for_each(keep),
            What::Clear(rights) => {
                let rights = rights.into_iter().filter(|right| right.is_stored(record));
                rights.for_each(|right| keep(right.removal(at)));
            }
            What::Failure(_) => {}
        }
    }
    removed
}

impl Right {
    fn is_stored(&self, record: &Phase) -> bool {
        names(&self.name, self.aliases).any(|name| record.loaded(&name).is_some())
    }

    fn removal(self, at: u64) -> FieldChange {
        let Self { name, aliases } = self;
        let op = Op::Remove;
        FieldChange { name, op, aliases, is_default: false, is_privilege: true, was_removed: true, at }
    }
}

/// Adds a change to what was done before it.
fn push(delta: &mut Delta, change: &FieldChange, record: &Phase) -> Result<(), Error> {
    if is_none(delta, change, record) {
        return Ok(());
    }
    let name = &change.name;
    delta
        .push(name.clone(), change.op.clone(), record.loaded(name))
        .map_err(|_| Error::not_an_integer(name))?;
    for alias in change.aliases() {
        // A removal needs nothing of what was there.
        let _ = delta.push(alias.clone(), Op::Remove, record.loaded(&alias));
    }
    Ok(())
}

/// Whether a field is as the change would leave it, and nothing else is to be done to it.
fn is_none(delta: &Delta, change: &FieldChange, record: &Phase) -> bool {
    let FieldChange { name, op, is_default, .. } = change;
    if change.names().any(|name| delta.has(name.as_str())) {
        return false;
    }
    let stored = |name: &FieldName| record.loaded(name).filter(|_| !delta.drops(name));
    let is_absent = || change.names().all(|name| stored(&name).is_none());
    match op {
        Op::Put(value) => stored(name) == Some(value) || (*is_default && is_absent()),
        Op::Remove => is_absent(),
        _ => false,
    }
}

fn names(name: &FieldName, aliases: &'static [&'static str]) -> impl Iterator<Item = FieldName> + use<> {
    [name.clone()].into_iter().chain(aliases.iter().map(|alias| FieldName::from_static(alias)))
}
