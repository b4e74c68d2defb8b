//! Composition: what becomes of a record by pending changes. Plain values, no I/O.

use bytes::Bytes;

use super::{
    changes::{ChangeLog, FieldReset, ResetScope},
    delta_failure::failed_operation,
    field_rules::{FieldClass, Rules},
    pending_change::{Action, FieldChange, PendingChange},
    record::RecordState,
    rights::{RecordRights, SecretChange},
    whole::split_wholes,
};
use crate::{
    delta::{Delta, DeltaFailure, Op},
    error::Error,
    value::{Covers, FieldName},
};

/// The outcome of some changes for a record.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) delta: Delta,
    pub(super) secret_change: SecretChange,
    /// The rights that the record then holds.
    pub(super) rights: RecordRights,
    /// True if nothing but fields that outlive a logout changes.
    pub(super) is_kept_only: bool,
    pub(super) resets: Vec<FieldReset>,
    /// Fields that go whatever was loaded, unless they are set after that. A prefix name stands for all entries of a
    /// collection.
    dropped: Vec<FieldName>,
    /// True if the request has logged a user out before.
    follows_login: bool,
    /// The fields that it flashed and has written.
    flashed_before: Vec<FieldName>,
    /// The fields that these changes flash.
    flashed: Vec<FieldName>,
    /// Fields that the request had changed, and that go with the user whose they were.
    pub(super) lost: Vec<FieldName>,
    /// The first change that cannot be stored. It is not in the delta.
    pub(super) failure: Option<InvalidChange>,
}

/// A change that cannot be stored.
#[derive(Debug)]
pub(super) struct InvalidChange {
    /// The handle that made it.
    pub(super) by: u64,
    /// The time at which it was made.
    pub(super) at: u64,
    pub(super) error: Error,
}

/// Composes changes, of a log from which they may have been taken out.
pub(super) fn compose(
    log: &ChangeLog,
    changes: &[PendingChange],
    record: &RecordState,
    rules: &Rules,
) -> Composed {
    let mut composed = Composed {
        is_kept_only: true,
        rights: record.rights(),
        follows_login: log.follows_login(),
        flashed_before: log.flashed_before(),
        ..Composed::default()
    };
    for PendingChange { by, at, action, is_once, .. } in changes {
        let invalid = |error| InvalidChange { by: *by, at: *at, error };
        match action {
            Action::Clear => composed.clear(*at, record),
            Action::Change(change) if !is_once && log.is_reset_since(change) => {
                if change.op != Op::Remove {
                    composed.lost.push(change.name.clone());
                }
            }
            Action::Change(change) if !is_once && log.is_overwritten(change) => {}
            Action::Change(change) => {
                if let Err(error) = composed.push(change, record, rules) {
                    composed.failure.get_or_insert(invalid(error));
                }
            }
            Action::Invalid(error) => {
                composed.failure.get_or_insert_with(|| invalid(error.duplicate()));
            }
        }
    }
    composed
}

impl Composed {
    /// True if a reset ends this field.
    pub(super) fn ends(&self, name: &FieldName) -> bool {
        self.resets.iter().any(|reset| reset.scope.has(name, false))
    }

    /// Removes all fields but what the request flashed.
    fn clear(&mut self, at: u64, record: &RecordState) {
        let flashed = self.take_flashed();
        self.delta = Delta::new();
        self.dropped.clear();
        let rights = record.rights();
        let is_logout = rights.identity.is_some();
        self.note_reset(at, ResetScope::AllButFlashesAnd(self.flashed_before.clone()), is_logout);
        self.rights = RecordRights::default();
        if self.secret_change == SecretChange::Login {
            // The user who logged in is a visitor again.
            self.secret_change = SecretChange::None;
        }
        if record.live().is_some() {
            self.is_kept_only = false;
            self.delta.retain(self.flashed_before.clone());
        }
        self.put_flashed(flashed);
        if is_logout {
            self.secret_change = SecretChange::Logout;
        } else if !rights.names.is_empty() {
            self.secret_change.rotate();
        }
    }

    /// Adds a change to what was done before it.
    fn push(&mut self, change: &FieldChange, record: &RecordState, rules: &Rules) -> Result<(), Error> {
        if change.class.is_right() && record.is_withheld() && self.secret_change != SecretChange::Logout {
            // Nothing of a login that cannot be read is mixed with what comes.
            self.log_out(change.at, record, rules, true);
        }
        if change.class == FieldClass::Identity {
            self.change_identity(change, record, rules);
        } else if change.class.is_right() {
            self.secret_change.rotate();
        }
        self.note_right(change);
        if change.collection.is_some() {
            for (name, op) in split_wholes(change, |name| self.value(name, record)) {
                // Neither operation needs anything of what was there.
                let _ = self.delta.push(name.clone(), op, record.left(&name, &self.dropped));
            }
        }
        if self.is_no_change(change, record) {
            return Ok(());
        }
        self.is_kept_only &= change.class == FieldClass::KeepOnLogout;
        let name = &change.name;
        let dropped = &self.dropped;
        let pushed = self.delta.push(name.clone(), change.op.clone(), record.left(name, dropped));
        for alias in change.names().skip(1) {
            // A removal needs nothing of what was there.
            let _ = self.delta.push(alias.clone(), Op::Remove, record.left(&alias, dropped));
        }
        for name in change.names() {
            // To leave it as it was loaded is not enough: another request may have set it since. The entries of a
            // collection go by its prefix name.
            if dropped.contains(&name) && !self.delta.has(name.as_str()) {
                self.delta.force(name, Op::Remove);
            }
        }
        if change.is_flashed() && !self.flashed.contains(name) {
            self.flashed.push(name.clone());
        }
        pushed.map_err(|reason| failed_operation(&DeltaFailure { field: name.clone(), reason }))
    }

    /// True if a field is as the change would leave it, and nothing else is to be done to it.
    fn is_no_change(&self, change: &FieldChange, record: &RecordState) -> bool {
        let FieldChange { name, op, is_default, .. } = change;
        if change.names().any(|name| self.delta.has(name.as_str())) {
            return false;
        }
        let stored = |name: &FieldName| record.loaded(name).filter(|_| !self.delta.drops(name));
        let is_absent = || change.names().all(|name| stored(&name).is_none());
        match op {
            Op::Put(value) => stored(name) == Some(value) || (*is_default && is_absent()),
            Op::Remove => is_absent(),
            _ => false,
        }
    }

    /// Notes what a change makes of the rights: a view that declares a right grants it. A view that does not takes it
    /// away, since what it writes is no right.
    fn note_right(&mut self, change: &FieldChange) {
        for name in change.names() {
            self.rights.names.retain(|known| *known != name);
            self.rights.identity.take_if(|identity| *identity == name);
        }
        if change.declared.is_right() && matches!(change.op, Op::Put(_)) {
            self.rights.names.push(change.name.clone());
            if change.class == FieldClass::Identity {
                self.rights.identity = Some(change.name.clone());
            }
        }
    }

    /// Does what a change of who is logged in brings with it.
    fn change_identity(&mut self, change: &FieldChange, record: &RecordState, rules: &Rules) {
        let before = change.names().find_map(|name| self.value(&name, record));
        let after = change.op.apply(before.as_ref()).ok().flatten();
        // The user of another view, which knows them by another name.
        let other = record.live().and_then(|live| live.authority.identity.as_ref());
        let is_other =
            other.is_some_and(|other| !self.delta.drops(other) && change.names().all(|name| name != *other));
        match (before, after) {
            (None, None) if !is_other => self.secret_change.rotate(),
            (None, Some(_)) if !is_other => self.log_in(change.at, record, rules),
            (Some(before), Some(after))
                if before == after && !change.was_removed && change.declared.is_right() =>
            {
                self.secret_change = self.secret_change.max(SecretChange::Reauthentication);
            }
            (_, after) => self.log_out(change.at, record, rules, after.is_none()),
        }
    }

    /// Drops the fields that do not outlive a login.
    fn log_in(&mut self, at: u64, record: &RecordState, rules: &Rules) {
        // In the place of a user whom this request has logged out, it is no login of a visitor.
        if self.secret_change == SecretChange::Logout || self.follows_login {
            self.drop_flashed(at);
        }
        if self.secret_change != SecretChange::Logout {
            self.secret_change = SecretChange::Login;
        }
        let dropped = rules.names(FieldClass::DropOnLogin);
        for name in &dropped {
            self.delta.take_covered(name);
            if record.live().is_some() {
                // Whatever was loaded: another request of the visitor's may have set it since.
                self.delta.force(name.clone(), Op::Remove);
            }
        }
        self.rights.names.retain(|name| !dropped.contains(name));
        self.dropped.extend(dropped.iter().cloned());
        self.note_reset(at, ResetScope::These(dropped), false);
    }

    /// Drops all fields that do not outlive a logout. What the request flashed does, unless it would reach the next
    /// user.
    fn log_out(&mut self, at: u64, record: &RecordState, rules: &Rules, leaves_visitor: bool) {
        self.secret_change = SecretChange::Logout;
        self.rights = RecordRights::default();
        let mut kept = record.kept_on_logout(rules);
        self.dropped.clear();
        let flashed = self.take_flashed();
        let is_lost = |(name, op): &&(FieldName, Op)| {
            let is_change = !matches!(op, Op::Remove | Op::RemoveIf(_));
            is_change && !kept.covers(name) && !record.class(name, rules).is_right()
        };
        self.lost.extend(self.delta.ops().iter().filter(is_lost).map(|(name, _)| name.clone()));
        if leaves_visitor {
            kept.extend(self.flashed_before.iter().cloned());
        }
        self.delta.retain(kept.clone());
        if leaves_visitor {
            self.put_flashed(flashed);
            self.note_reset(at, ResetScope::AllButFlashesAnd(kept), true);
        } else {
            self.lost.extend(flashed.into_iter().map(|(name, _)| name));
            self.note_reset(at, ResetScope::AllBut(kept), true);
        }
    }

    /// Drops what the request flashed for the user before.
    fn drop_flashed(&mut self, at: u64) {
        let flashed = self.take_flashed();
        self.lost.extend(flashed.into_iter().map(|(name, _)| name));
        for name in std::mem::take(&mut self.flashed_before) {
            self.delta.force(name, Op::Remove);
        }
        self.note_reset(at, ResetScope::Flashes, false);
    }

    /// Takes out what the request flashed and no handle took.
    fn take_flashed(&mut self) -> Vec<(FieldName, Op)> {
        let names = std::mem::take(&mut self.flashed);
        let taken = names.into_iter().filter_map(|name| self.delta.take(name.as_str()).map(|op| (name, op)));
        taken.filter(|(_, op)| matches!(op, Op::Put(_))).collect()
    }

    fn put_flashed(&mut self, flashed: Vec<(FieldName, Op)>) {
        for (name, op) in flashed {
            self.flashed.push(name.clone());
            self.delta.force(name, op);
        }
    }

    fn note_reset(&mut self, at: u64, scope: ResetScope, is_logout: bool) {
        self.resets.push(FieldReset { at, scope, is_logout });
    }

    /// A field as this request sees it so far.
    fn value(&self, name: &FieldName, record: &RecordState) -> Option<Bytes> {
        let loaded = record.loaded(name).filter(|_| !self.delta.drops(name));
        match self.delta.ops().iter().find(|(known, _)| known == name) {
            Some((_, op)) => op.apply(loaded).ok().flatten(),
            None => loaded.cloned(),
        }
    }
}
