//! Staging: how the changes of handles enter the request's log.

use std::sync::Arc;

use super::{
    Slot,
    pending_change::FieldChange,
    request_state::{RequestState, StagedChanges},
    saves::SaveResult,
};
use crate::{
    delta::Op,
    error::Error,
    event::Event,
    sync::MutexGuard,
    value::{FieldName, RecordId, declared_fields},
};

impl Slot {
    /// Stages the changes of a handle that is dropped.
    pub(crate) fn stage(self: &Arc<Self>, by: u64, incarnation: u32, staged: StagedChanges) {
        let mut state = self.lock();
        if incarnation != state.incarnation {
            drop(state);
            // Of a session that the request has ended nothing is left, but the flashes for the next page.
            let (flashes, others): (Vec<_>, Vec<_>) =
                staged.changes.into_iter().partition(|change| change.is_flash);
            let others = others.into_iter().map(|change| change.name).collect();
            self.stage_flashes(by, StagedChanges { changes: flashes, ..StagedChanges::default() }, others);
            return;
        }
        if !state.head_sent {
            self.enter(&mut state, by, staged);
            return;
        }
        if state.is_detached {
            drop(state);
            // Its request is over, and no response said that it happened; but rights are gone.
            self.stage_removed_rights(by, incarnation, staged.changes);
            return;
        }
        let had_unsaved = state.has_unsaved(by);
        let record = state.live().map(|live| live.id);
        let is_removal = |change: &&FieldChange| {
            state.class(change, &self.context().rules).is_right() && change.op == Op::Remove
        };
        let is_silent =
            staged.changes.iter().all(|change| is_removal(&change)) && staged.request_only.is_empty();
        let unsaved = staged.changes.iter().filter(|change| !is_removal(change));
        let fields: Vec<_> = unsaved.map(|change| change.name.clone()).collect();
        drop(state);
        if let Some((_, error)) = &staged.failure {
            self.report_failure(error);
        }
        // No save asked for it, but a right can always be taken away.
        self.stage_removed_rights(by, incarnation, staged.changes);
        if !is_silent || had_unsaved {
            let fields = declared_fields(fields);
            self.context().events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    /// Stages the flashes of a handle for the next page, though its session is over. Its other changes are lost.
    pub(crate) fn stage_flashes(&self, by: u64, staged: StagedChanges, mut lost: Vec<FieldName>) {
        let mut state = self.lock();
        if state.head_sent {
            lost.extend(staged.changes.into_iter().map(|change| change.name));
        } else {
            self.enter(&mut state, by, staged);
        }
        drop(state);
        self.report_lost(None, lost);
    }

    /// Stages the removals of rights among the changes of a handle whose request is over or whose handler panics.
    pub(crate) fn stage_removed_rights(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        mut changes: Vec<FieldChange>,
    ) {
        let mut state = self.lock();
        if incarnation != state.incarnation {
            return;
        }
        state.keep_removed_rights_of(by, &self.context().rules);
        for change in &mut changes {
            change.class = state.class(change, &self.context().rules);
        }
        let changes = changes.into_iter().filter_map(FieldChange::into_removed_right).collect();
        self.enter(&mut state, by, StagedChanges { changes, ..StagedChanges::default() });
        let must_flush = state.head_sent && state.has_removed_rights_of(by);
        drop(state);
        if must_flush {
            self.flush_in_background();
        }
    }

    /// Stages the changes of a handle that goes on, unless it is late: then they wait for a save. Returns true if they
    /// are staged.
    pub(crate) fn stage_early(
        &self,
        by: u64,
        incarnation: u32,
        collect: impl FnOnce() -> StagedChanges,
    ) -> bool {
        {
            let state = self.lock();
            if state.head_sent || incarnation != state.incarnation {
                return false;
            }
        }
        // Not under the lock: it runs code of the fields' types.
        let staged = collect();
        let mut state = self.lock();
        if incarnation == state.incarnation {
            self.enter(&mut state, by, staged);
        }
        true
    }

    /// Stages the changes of a handle that goes on, to be written by whichever write comes next.
    pub(crate) fn stage_for_later(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
    ) -> Result<(), Error> {
        self.stage_checked(by, incarnation, staged).map(drop)
    }

    /// Stages the changes of a handle with a save of them, and returns the result of the save, to come.
    pub(crate) fn stage_for_save(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
    ) -> Result<SaveResult, Error> {
        let mut state = self.stage_checked(by, incarnation, staged)?;
        state.log.mark_for_save(by, None);
        Ok(state.saves.stage(by))
    }

    /// Stages the changes of a handle, of which those of one field are to be written at once.
    pub(crate) fn stage_for_field(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
        name: &FieldName,
    ) -> Result<(), Error> {
        self.stage_checked(by, incarnation, staged)?.log.mark_for_save(by, Some(name));
        Ok(())
    }

    fn stage_checked(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
    ) -> Result<MutexGuard<'_, RequestState>, Error> {
        let mut state = self.lock();
        if incarnation != state.incarnation && !staged.is_empty() {
            return Err(Error::session_ended());
        }
        let is_grant = |change: &FieldChange| {
            state.class(change, &self.context().rules).is_right() && change.op != Op::Remove
        };
        if state.head_sent && staged.changes.iter().any(is_grant) {
            drop(state);
            // No response is left to send the new secret. Refused as a whole, so that half of it is not
            // in the way of what comes next; but what it took away is gone.
            self.stage_removed_rights(by, incarnation, staged.changes);
            return Err(Error::head_sent());
        }
        self.enter(&mut state, by, staged);
        Ok(state)
    }

    fn enter(&self, state: &mut RequestState, by: u64, mut staged: StagedChanges) {
        for change in &mut staged.changes {
            change.class = state.class(change, &self.context().rules);
        }
        let is_too_large = |change: &FieldChange| change.op.size() > self.context().sizes.field;
        if let Some(change) = staged.changes.iter().find(|change| is_too_large(change)) {
            let error = Error::field_too_large(&change.name, self.context().sizes.field);
            staged.failure = Some((change.at, error));
            // A right that it was removed from before is removed.
            let without =
                |change| if is_too_large(&change) { change.into_removed_right() } else { Some(change) };
            staged.changes = staged.changes.into_iter().filter_map(without).collect();
        }
        if state.enter(by, staged) {
            self.note_reset();
        }
    }

    /// Reports the changes that are lost with a handle whose task panics after the response head has left: before
    /// that, the request fails with it.
    pub(crate) fn report_unsaved(&self, by: u64, incarnation: u32, mut fields: Vec<FieldName>) {
        let state = self.lock();
        if incarnation != state.incarnation || !state.head_sent || state.is_detached {
            return;
        }
        fields.extend(state.log.unsaved_fields(by));
        let record = state.live().map(|live| live.id);
        drop(state);
        if !fields.is_empty() {
            let fields = declared_fields(fields);
            self.context().events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    pub(super) fn report_lost(&self, record: Option<RecordId>, fields: Vec<FieldName>) {
        if !fields.is_empty() {
            let fields = declared_fields(fields);
            self.context().events.report(&Event::ChangesDropped { record, fields });
        }
    }
}
