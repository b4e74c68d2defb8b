//! The changes that the handles of a request made to its session, until they are written.

use super::{
    field_rules::{FieldClass, Rules},
    pending_change::{Action, FieldChange, PendingChange, removed_rights},
    record::RecordState,
};
use crate::{
    delta::Op,
    value::{Covers, FieldName, Fields, collection::CollectionKind},
};

/// The pending changes of a request, in the order in which its handles made them.
///
/// Handles stage their changes when they are dropped, which says nothing about when they made them. So each change
/// has a number of the request's own count. A write is composed from the changes when it is needed, so that a single
/// one can still be taken back.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    changes: Vec<PendingChange>,
    /// The fields that this request has written already: earlier changes by other handles come too late.
    written: Vec<WrittenField>,
    /// The resets that this request has written already.
    resets: Vec<FieldReset>,
    /// True if a login of this request's session was ended together with its record.
    follows_login: bool,
}

/// The time at which a field that was written was changed.
#[derive(Debug)]
struct WrittenField {
    name: FieldName,
    at: u64,
    /// The last time that it was set or removed, whatever was there.
    absolutely_at: u64,
    /// True if it was flashed.
    is_flashed: bool,
}

/// The end of fields, whatever was in them: by a logout, a login, or `clear()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldReset {
    pub(super) at: u64,
    pub(super) scope: ResetScope,
    /// True if a user was logged out.
    pub(super) is_logout: bool,
}

/// The fields that a reset ends. A prefix name stands for all entries of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResetScope {
    /// All but these.
    AllBut(Vec<FieldName>),
    /// All but these and what the request flashed.
    AllButFlashesAnd(Vec<FieldName>),
    /// These.
    These(Vec<FieldName>),
    /// The fields that the request flashed.
    Flashes,
}

impl ChangeLog {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn changes(&self) -> &[PendingChange] {
        &self.changes
    }

    /// True if a login of this request's session was ended together with its record.
    pub(super) fn follows_login(&self) -> bool {
        self.follows_login
    }

    /// The fields that the request flashed and has written.
    pub(super) fn flashed_before(&self) -> Vec<FieldName> {
        let flashed = self.written.iter().filter(|written| written.is_flashed);
        flashed.map(|written| written.name.clone()).collect()
    }

    /// Enters a change, in its place in time.
    pub(super) fn insert(&mut self, change: PendingChange) {
        let index = self.changes.partition_point(|known| known.at <= change.at);
        self.changes.insert(index, change);
    }

    /// Enters the removal of all fields.
    pub(super) fn clear(&mut self, by: u64, at: u64) {
        // Between two in a row by one handle there is nothing that the second does not remove.
        self.changes.pop_if(|last| {
            last.by == by && !last.is_for_save && last.at < at && matches!(last.action, Action::Clear)
        });
        self.insert(PendingChange::new(by, at, Action::Clear));
    }

    /// Notes that a save is to write the changes of a handle, those of all fields or of one.
    pub(super) fn mark_for_save(&mut self, by: u64, only: Option<&FieldName>) {
        let is_meant = |change: &PendingChange| match (only, change.field()) {
            (None, _) => true,
            (Some(name), field) => field.is_some_and(|field| field.name == *name),
        };
        for change in self.changes.iter_mut().filter(|change| change.by == by && is_meant(change)) {
            change.is_for_save = true;
        }
    }

    /// Takes out all changes.
    pub(super) fn take(&mut self) -> Vec<PendingChange> {
        std::mem::take(&mut self.changes)
    }

    /// Takes out the changes that are meant.
    pub(super) fn take_if(&mut self, is_meant: impl Fn(&PendingChange) -> bool) -> Vec<PendingChange> {
        self.changes.extract_if(.., |change| is_meant(change)).collect()
    }

    /// The fields that a handle changed and that no save is to write.
    pub(super) fn unsaved_fields(&self, by: u64) -> Vec<FieldName> {
        let unsaved = self.changes.iter().filter(|change| change.by == by && !change.is_for_save);
        unsaved.filter_map(PendingChange::field).map(|change| change.name.clone()).collect()
    }

    /// Puts back changes that certainly were not written.
    ///
    /// The changes of one handle to one field become one change: a handle that saves again and again while the store
    /// is away makes them again and again.
    pub(super) fn put_back(&mut self, changes: Vec<PendingChange>) {
        for change in changes {
            self.insert(change);
        }
        let mut folded: Vec<PendingChange> = Vec::with_capacity(self.changes.len());
        for mut change in self.take() {
            while let Some(earlier) = folded.iter().rposition(|earlier| change.is_order_relevant(earlier))
                && change.absorbs(&folded[earlier])
            {
                folded.remove(earlier);
            }
            folded.push(change);
        }
        self.changes = folded;
    }

    /// Leaves of the changes that are meant the removals of rights.
    pub(super) fn keep_removed_rights(
        &mut self,
        is_meant: impl Fn(&PendingChange) -> bool,
        record: &RecordState,
        rules: &Rules,
    ) {
        let changes = self.take_if(is_meant);
        self.put_back(removed_rights(changes, record, rules));
    }

    /// Takes out the removals of rights, of changes that are written in part only.
    pub(super) fn take_removed_rights(&mut self, record: &RecordState, rules: &Rules) -> Vec<PendingChange> {
        // What else a clear does is still to be done.
        let clears = self.changes.iter().filter(|change| matches!(change.action, Action::Clear));
        let mut taken: Vec<_> = clears.map(PendingChange::again).collect();
        taken.extend(self.take_if(|change| change.field().is_some_and(|field| field.class.is_right())));
        removed_rights(taken, record, rules)
    }

    /// Takes out the rights that are granted, and after a login all that is not the removal of a right: it is the new
    /// user's. Returns the names of the rights.
    pub(super) fn drop_grants(&mut self) -> Vec<FieldName> {
        let mut dropped = Vec::new();
        let mut is_after_login = false;
        for change in self.take() {
            let grant = change.field().filter(|field| field.is_grant());
            is_after_login |= grant.is_some_and(|grant| grant.class == FieldClass::Identity);
            dropped.extend(grant.map(|grant| grant.name.clone()));
            let is_dropped = grant.is_some() || (is_after_login && !matches!(change.action, Action::Clear));
            self.changes.extend(if is_dropped { change.into_removed_right() } else { Some(change) });
        }
        dropped
    }

    /// Notes that these are written: earlier changes of other handles come too late.
    pub(super) fn note_written(&mut self, changes: &[PendingChange], resets: &[FieldReset]) {
        for change in changes.iter().filter_map(PendingChange::field) {
            if change.collection == Some(CollectionKind::List) {
                // Each item has a name of its own, which no earlier change of the request is about.
                continue;
            }
            self.note_written_field(change);
        }
        for reset in resets {
            match self.resets.iter_mut().find(|known| known.scope == reset.scope) {
                Some(known) => known.at = known.at.max(reset.at),
                None => self.resets.push(reset.clone()),
            }
        }
        self.follows_login |= resets.iter().any(|reset| reset.is_logout);
    }

    fn note_written_field(&mut self, change: &FieldChange) {
        let absolutely_at = if change.op.is_relative() { 0 } else { change.at };
        if let Some(written) = self.written.iter_mut().find(|written| written.name == change.name) {
            written.at = change.at.max(written.at);
            written.is_flashed = change.is_flashed();
            written.absolutely_at = absolutely_at.max(written.absolutely_at);
        } else {
            let (name, at, is_flashed) = (change.name.clone(), change.at, change.is_flashed());
            self.written.push(WrittenField { name, at, absolutely_at, is_flashed });
        }
    }

    /// Forgets everything, for another record, but what the request flashed, which may be among the fields already.
    /// Returns the other fields that it had changed.
    pub(super) fn restart(&mut self, ended_login: bool, fields: &Fields) -> Vec<FieldName> {
        let is_login =
            |field: &FieldChange| field.class == FieldClass::Identity && matches!(field.op, Op::Put(_));
        let has_login = self.changes.iter().filter_map(PendingChange::field).any(is_login);
        let follows_login = self.follows_login || ended_login || has_login;
        let flashed = self.written.iter().filter(|written| written.is_flashed);
        let again = flashed.filter_map(|WrittenField { name, at, .. }| {
            let op = Op::Put(fields.get(name.as_str())?.clone());
            let change = FieldChange { is_flash: true, ..FieldChange::new(name.clone(), op, *at) };
            Some(PendingChange::new(0, *at, Action::Change(change)))
        });
        let mut kept: Vec<_> = again.collect();
        let mut lost = Vec::new();
        for PendingChange { by, at, action, .. } in self.take() {
            match action {
                Action::Change(change) if change.is_flash => {
                    kept.push(PendingChange::new(by, at, Action::Change(change)));
                }
                Action::Change(change) if change.op != Op::Remove => lost.push(change.name),
                Action::Change(_) | Action::Clear | Action::Invalid(_) => {}
            }
        }
        kept.sort_by_key(|change| change.at);
        *self = Self { changes: kept, follows_login, ..Self::default() };
        lost
    }

    /// True if something later of this request has ended the field already.
    pub(super) fn is_reset_since(&self, change: &FieldChange) -> bool {
        let has_ended = |reset: &FieldReset| reset.scope.has(&change.name, change.is_flashed());
        self.resets.iter().any(|reset| change.at < reset.at && has_ended(reset))
    }

    /// True if something later of this request has been written already.
    pub(super) fn is_overwritten(&self, change: &FieldChange) -> bool {
        let written = self.written.iter().find(|written| written.name == change.name);
        // One with a condition is never passed over: the condition may be about other fields, too.
        !change.op.is_conditional()
            && written.is_some_and(|written| {
                let at = if change.op.is_relative() { written.absolutely_at } else { written.at };
                change.at < at
            })
    }

    /// The number of entries that are kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.changes.len() + self.resets.len() + self.written.len()
    }
}

impl ResetScope {
    pub(super) fn has(&self, name: &FieldName, is_flashed: bool) -> bool {
        match self {
            Self::AllBut(names) => !names.covers(name),
            Self::AllButFlashesAnd(names) => !is_flashed && !names.covers(name),
            Self::These(names) => names.covers(name),
            Self::Flashes => is_flashed,
        }
    }
}

#[cfg(test)]
mod tests;
