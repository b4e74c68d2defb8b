//! Planning: from the change log of a request to one write. Plain values, no I/O.

use std::time::Duration;

use bytes::Bytes;

use super::{
    changes::FieldReset,
    compose::{Composed, compose},
    delta_failure::failed_operation,
    entries::largest_grown,
    field_rules::Rules,
    pending_change::{FieldChange, PendingChange, removed_rights},
    planned_write::{Plan, PlanFailure, PlannedWrite, Selection, TakenChanges, WritePart, WriteTarget},
    record::RecordState,
    removal::RightsRemoval,
    request::Beginning,
    request_state::RequestState,
    rights::SecretChange,
    saves::PendingSave,
};
use crate::{
    delta::{Delta, Op},
    error::{Error, ErrorKind},
    value::{FieldName, Fields},
};

/// The least time between two renewals.
const SHORTEST: Duration = Duration::from_mins(1);

impl RequestState {
    /// Takes out what is to be written now.
    pub(super) fn plan(
        &mut self,
        selection: Selection<'_>,
        rules: &Rules,
    ) -> Result<Option<Plan>, PlanFailure> {
        self.discarded.clear();
        match selection {
            Selection::All => self.plan_all(rules),
            Selection::FieldOf(change) => self.plan_field(change, rules).map(Some),
        }
    }

    fn plan_all(&mut self, rules: &Rules) -> Result<Option<Plan>, PlanFailure> {
        if self.request.is_unseen {
            // A flash that no user sees is not taken.
            self.log
                .take_if(|change| change.field().is_some_and(|field| matches!(field.op, Op::RemoveIf(_))));
        }
        if self.head_sent
            && let Some(plan) = self.plan_late_removal(rules)
        {
            return Ok(Some(plan));
        }
        let mut composed = self.compose_all(rules);
        let (mut failure, mut others) = (None, Vec::new());
        if let Some(invalid) = composed.failure.take() {
            // It fails with what its own handle did; what others did is still to come. And what cannot be stored
            // keeps neither the old secret valid nor a right that was taken away.
            let own = self.log.take_if(|change| change.by == invalid.by);
            others = self.log.take();
            self.log.put_back(removed_rights(own, &self.record, rules));
            composed = self.compose_all(rules);
            if !composed.secret_change.is_rotation() || self.live().is_none() {
                self.log.take();
                self.log.put_back(others);
                return Err(invalid.into());
            }
            failure = Some(Box::new(PlanFailure::from(invalid)));
        }
        let saves = if failure.is_none() { self.saves.take() } else { Vec::new() };
        let changes = self.log.take();
        self.log.put_back(others);
        match self.plan_write(composed, changes, failure, rules) {
            Ok(Some(mut plan)) => {
                plan.taken.saves = saves;
                Ok(Some(plan))
            }
            Ok(None) => {
                PendingSave::complete(saves);
                Ok(None)
            }
            Err(failure) => {
                self.saves.lose(saves, &failure.error);
                Err(failure)
            }
        }
    }

    /// The plan of changes that were taken out.
    fn plan_write(
        &mut self,
        composed: Composed,
        changes: Vec<PendingChange>,
        failure: Option<Box<PlanFailure>>,
        rules: &Rules,
    ) -> Result<Option<Plan>, PlanFailure> {
        let rotation_requested = std::mem::take(&mut self.requested.rotation);
        self.requested.renewal = false;
        let (delta, secret_change) = (&composed.delta, composed.secret_change);
        let is_nothing = delta.is_empty() && secret_change == SecretChange::None && !self.needs_touch();
        if is_nothing || (self.live().is_none() && !creates(delta)?) {
            return Ok(None);
        }
        let is_rotation = secret_change.is_rotation();
        if is_rotation && self.head_sent {
            // No response is left to send the new secret.
            return Err(failure.map_or_else(|| Error::head_sent().into(), |failure| *failure));
        }
        let target = self.target(secret_change).map_err(|error| {
            let spares_response = failure.is_none() && self.stands_without(&changes, secret_change, &error);
            PlanFailure { spares_response, ..error.into() }
        })?;
        let (mut fallback, mut removal, mut part) = (None, None, WritePart::All);
        if is_rotation {
            let removed =
                removed_rights(changes.iter().map(PendingChange::again).collect(), &self.record, rules);
            fallback = self.fallback(&removed, rotation_requested, target, rules);
            removal = self.live().and_then(|live| RightsRemoval::of(&removed, live)).map(Box::new);
            if !rotation_requested && changes.iter().all(PendingChange::is_removed_right) {
                part = WritePart::OnlyRemovals;
            }
        }
        let (write, resets, lost) = self.write_of(composed, target);
        let taken = TakenChanges { changes, resets, rotation_requested, saves: Vec::new() };
        Ok(Some(Plan { write, taken, removal, part, lost, fallback, failure }))
    }

    /// The plan of the changes of one field, written by themselves.
    fn plan_field(&mut self, change: &FieldChange, rules: &Rules) -> Result<Plan, PlanFailure> {
        let names: Vec<_> = change.names().collect();
        let is_of_field =
            |pending: &PendingChange| pending.field().is_some_and(|field| names.contains(&field.name));
        let mut changes = self.log.take_if(is_of_field);
        changes.sort_by_key(|change| change.is_once);
        let mut composed = compose(&self.log, &changes, &self.record, rules);
        let target = match composed.failure.take() {
            Some(invalid) => {
                let stays_pending = invalid.at != change.at;
                Err(PlanFailure { stays_pending, ..invalid.error.into() })
            }
            None => self.target(composed.secret_change).map_err(|error| {
                let spares_response = self.stands_without(&changes, composed.secret_change, &error);
                PlanFailure { spares_response, ..error.into() }
            }),
        };
        let target = target.inspect_err(|_| {
            changes.retain(|change| !change.is_once);
            self.log.put_back(std::mem::take(&mut changes));
        })?;
        let (write, resets, lost) = self.write_of(composed, target);
        let taken = TakenChanges { changes, resets, ..TakenChanges::default() };
        let (part, removal, fallback, failure) = (WritePart::All, None, None, None);
        Ok(Plan { write, taken, removal, part, lost, fallback, failure })
    }

    /// The plan of the removals of rights, written by themselves: no response is left to send a new secret.
    fn plan_late_removal(&mut self, rules: &Rules) -> Option<Plan> {
        let changes = self.log.take_removed_rights(&self.record, rules);
        let live = self.live()?;
        let removal = Some(Box::new(RightsRemoval::of(&changes, live)?));
        let composed = compose(&self.log, &changes, &self.record, rules);
        let target = WriteTarget::Record { id: live.id, epoch: live.epoch, touch: false };
        let (write, resets, _) = self.write_of(composed, target);
        let taken = TakenChanges { changes, resets, ..TakenChanges::default() };
        let (part, lost, fallback, failure) = (WritePart::Removals, Vec::new(), None, None);
        Some(Plan { write, taken, removal, part, lost, fallback, failure })
    }

    /// Puts back what certainly was not written, as far as it is still wanted. Returns true if that is all of it; else
    /// the saves of the rest fail with this error.
    pub(super) fn put_back(&mut self, mut taken: TakenChanges, error: &Error, rules: &Rules) -> bool {
        let handles = taken.handles();
        let mut changes = std::mem::take(&mut taken.changes);
        // A handle may have discarded meanwhile what it did until then.
        changes.retain(|change| !self.discarded.contains(&change.by));
        let before = changes.len();
        changes.retain(|change| !change.is_once);
        if self.head_sent || self.is_detached {
            // It was answered with an error, or its request is over.
            changes = removed_rights(changes, &self.record, rules);
        }
        let is_all = changes.len() == before;
        self.log.put_back(changes);
        self.requested.rotation |= taken.rotation_requested && !self.head_sent;
        if is_all {
            self.saves.put_back(taken.saves);
        } else {
            self.lose_saves(taken.saves, &handles, error);
        }
        is_all
    }

    /// Puts back all of what was not written, since the record was changed under it: it is planned again at once.
    pub(super) fn put_back_for_repetition(&mut self, taken: TakenChanges) {
        let TakenChanges { mut changes, saves, rotation_requested, .. } = taken;
        changes.retain(|change| !self.discarded.contains(&change.by));
        self.log.put_back(changes);
        self.requested.rotation |= rotation_requested;
        self.saves.put_back(saves);
    }

    /// Tells the saves of what was taken that it is not written, or that the outcome is unknown.
    pub(super) fn lose(&mut self, taken: TakenChanges, error: &Error) {
        let handles = taken.handles();
        self.lose_saves(taken.saves, &handles, error);
    }

    fn lose_saves(&mut self, saves: Vec<PendingSave>, handles: &[u64], error: &Error) {
        self.saves.lose(saves, error);
        for handle in handles {
            // A flush of a part takes no save along: it would find nothing left to do.
            self.saves.fail(*handle, error);
        }
    }

    /// The target of a write of this request now.
    fn target(&self, secret_change: SecretChange) -> Result<WriteTarget, Error> {
        // A late write comes at an unknown time after the load, so it always counts as a use.
        let touch = (self.head_sent && !self.requested.without_touch) || self.needs_touch();
        match self.live() {
            Some(live) => Ok(WriteTarget::Record { id: live.id, epoch: live.epoch, touch }),
            None if self.head_sent => Err(Error::head_sent()),
            // A login needs nothing of what the old secret stood for.
            None if matches!(self.record, RecordState::Superseded { .. })
                && secret_change != SecretChange::Login =>
            {
                Err(Error::superseded())
            }
            None => match self.request.beginning(self.has_token, secret_change) {
                Beginning::Admitted => Ok(WriteTarget::New),
                Beginning::Dropped => Err(Error::cross_site()),
                Beginning::Refused => Err(Error::cross_site_login()),
            },
        }
    }

    /// The record by all changes and by what was requested besides.
    fn compose_all(&self, rules: &Rules) -> Composed {
        let mut composed = compose(&self.log, self.log.changes(), &self.record, rules);
        if self.requested.rotation {
            composed.secret_change.rotate();
        }
        if composed.secret_change == SecretChange::None && self.needs_renewal() {
            composed.secret_change = SecretChange::Renewal;
        }
        composed
    }

    /// The write that is left if something cannot be stored: the removals of rights.
    fn fallback(
        &self,
        removed: &[PendingChange],
        rotation_requested: bool,
        target: WriteTarget,
        rules: &Rules,
    ) -> Option<Box<PlannedWrite>> {
        let mut composed = compose(&self.log, removed, &self.record, rules);
        if rotation_requested {
            composed.secret_change.rotate();
        }
        composed.secret_change.is_rotation().then(|| Box::new(self.write_of(composed, target).0))
    }

    /// One atomic operation of what was composed, the resets in it, and the fields that are lost with it.
    fn write_of(
        &self,
        composed: Composed,
        target: WriteTarget,
    ) -> (PlannedWrite, Vec<FieldReset>, Vec<FieldName>) {
        let Composed { delta, secret_change, is_kept_only, rights, resets, lost, .. } = composed;
        let (incarnation, grows_to) = (self.incarnation, self.grows_to(&delta));
        let grown = largest_grown(self.live().map(|live| &live.fields), &delta).map(Box::new);
        let write =
            PlannedWrite { target, delta, secret_change, is_kept_only, incarnation, rights, grows_to, grown };
        (write, resets, lost)
    }

    /// The bytes of fields after a delta; 0 if there are no more than before. A delta that only removes is no growth,
    /// however long its names are.
    fn grows_to(&self, delta: &Delta) -> usize {
        let Some(fields) = self.live().map(|live| &live.fields) else {
            return delta.ops().iter().map(put_size).sum();
        };
        let size = |(name, value): (&FieldName, &Bytes)| name.as_str().len() + value.len();
        let before: usize = fields.iter().map(size).sum();
        let goes: usize = if delta.drops_any() {
            let goes = |name: &FieldName| delta.has(name.as_str()) || delta.drops(name);
            fields.iter().filter(|(name, _)| goes(name)).map(size).sum()
        } else {
            let changed = |(name, _): &(FieldName, Op)| Some(size((name, fields.get(name.as_str())?)));
            delta.ops().iter().filter_map(changed).sum()
        };
        let after = before - goes + delta.ops().iter().map(put_size).sum::<usize>();
        if after > before { after } else { 0 }
    }

    /// True if the response is true though these changes are refused with this error.
    pub(super) fn stands_without(
        &self,
        changes: &[PendingChange],
        secret_change: SecretChange,
        error: &Error,
    ) -> bool {
        match error.kind() {
            ErrorKind::CrossSite => {
                self.request.beginning(self.has_token, secret_change) == Beginning::Dropped
            }
            ErrorKind::Conflict => {
                let ops: Option<Vec<_>> =
                    changes.iter().map(|change| change.field().map(|field| &field.op)).collect();
                ops.is_some_and(|ops| self.request.stands_without(secret_change, ops))
            }
            _ => false,
        }
    }

    /// True if something is to be written even if nothing changed.
    pub(super) fn needs_upkeep(&self) -> bool {
        self.needs_touch() || self.needs_renewal()
    }

    /// True if this use must be recorded even if nothing else is written.
    fn needs_touch(&self) -> bool {
        // By the time now: a socket may go on for as long as it likes after the load.
        !self.requested.without_touch
            && self
                .live()
                .is_some_and(|live| live.timeouts.needs_touch(live.created, live.touched, live.now()))
    }

    /// True if the secret is to be renewed, or its renewal to be ended.
    fn needs_renewal(&self) -> bool {
        let Some(live) = self.live() else { return false };
        let requested = self.requested.renewal.then_some(SHORTEST);
        let age = requested.or_else(|| live.timeouts.renewal().map(|age| age.max(SHORTEST)));
        let is_due = |age| live.holds_rights() && live.may_be_renewed(age);
        let is_wanted =
            || age.is_some_and(is_due) || (live.outlives_cookie() && live.may_be_renewed(SHORTEST));
        live.ends_renewal || (!self.head_sent && is_wanted())
    }

    /// Notes that a write was a use of the record, if it was.
    pub(super) fn note_touched(&mut self, target: WriteTarget) {
        let WriteTarget::Record { id, touch: true, .. } = target else { return };
        if let Some(live) = self.record.live_mut(id) {
            live.touched = live.touched.max(live.now());
        }
    }
}

/// The bytes that an operation puts into a record, its name included; 0 if it brings no value.
fn put_size((name, op): &(FieldName, Op)) -> usize {
    match op.size() {
        0 => 0,
        size => name.as_str().len() + size,
    }
}

/// True if a new record would have anything in it: an empty one is never created.
fn creates(delta: &Delta) -> Result<bool, Error> {
    let mut fields = Fields::new();
    delta.apply(&mut fields).map_err(|failure| failed_operation(&failure))?;
    Ok(!fields.is_empty())
}

#[cfg(test)]
pub(super) mod tests;
