//! Writing: what a request has to do to its record, in one atomic operation each.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use bytes::Bytes;

use super::{
    LaterUse, Slot,
    conflict::Blame,
    entries::GrownCollection,
    in_flight::InFlight,
    pending_change::removed_rights,
    planned_write::{Plan, PlanFailure, PlannedWrite, Selection, TakenChanges, WritePart, WriteTarget},
    removal::RightsRemoval,
    rights::SecretChange,
    saves::PendingSave,
    survive::caught,
    whole::{MOST_REPETITIONS, names_to_read_again},
};
use crate::{
    delta::{Delta, Op},
    error::{Error, ErrorKind},
    event::Event,
    random,
    store::{Boxed, Commit, CommitId, CommitOutcome},
    value::{FieldName, RecordId},
};

impl Slot {
    /// Writes what is selected, for a handle that waits for it or for the response. Behind the gate only.
    pub(super) async fn flush(
        &self,
        selection: Selection<'_>,
        later: LaterUse,
        by: Option<u64>,
    ) -> Result<(), Error> {
        if matches!(selection, Selection::All) && !self.lock().destroy.is_empty() {
            Box::pin(self.destroy_ended()).await?;
        }
        if matches!(selection, Selection::All) && self.lock().is_blind() {
            Box::pin(self.flush_blind()).await?;
        }
        let (mut first, mut repetitions) = (None, 0);
        loop {
            let failure = match self.plan(selection, later) {
                Ok(None) => return first.map_or(Ok(()), Err),
                Ok(Some(plan)) => {
                    let is_part = plan.part == WritePart::Removals;
                    let is_others =
                        by.is_some_and(|by| plan.taken.changes.iter().all(|change| change.by != by));
                    let mut again = Vec::new();
                    if repetitions < MOST_REPETITIONS && plan.failure.is_none() {
                        again = names_to_read_again(&plan.write.delta, &plan.taken.changes);
                    }
                    match self.carry_out(plan, selection, later, by, !again.is_empty()).await {
                        Err(error) if !again.is_empty() && is_changed_field(&error) => {
                            // An older program has stored a collection whole meanwhile.
                            repetitions += 1;
                            Box::pin(self.load_anew(&again)).await?;
                            continue;
                        }
                        Ok(_) if is_part => continue,
                        // What was put back would only fail again. Of what is lost another handle's save hears.
                        Err(error) if is_part && is_others && error.kind() != ErrorKind::Unavailable => {
                            continue;
                        }
                        Ok(failure) => failure,
                        Err(error) => return Err(first.unwrap_or(error)),
                    }
                }
                Err(failure) => Some(Box::new(failure)),
            };
            let Some(failure) = failure else { return first.map_or(Ok(()), Err) };
            let PlanFailure { of, error, spares_response, stays_pending } = *failure;
            if error.kind() == ErrorKind::CrossSite {
                let is_login = !spares_response;
                self.context().events.report(&Event::CrossSite { is_login, error: &error });
            } else if !stays_pending && !is_reported_by_handle(&error, of, by) {
                self.report_failure(&error);
            }
            if by.is_none() && spares_response {
                return first.map_or(Ok(()), Err);
            }
            let mut state = self.lock();
            if of.is_none() || of == by {
                if let Some(of) = of {
                    state.saves.fail(of, &error);
                }
                return Err(error);
            }
            if by.is_none() {
                // The response fails with it, and what others did is dropped; but not what they took away.
                first.get_or_insert(error);
                state.discard(&self.context().rules);
            } else if let Some(of) = of {
                // It is another handle's, whose save hears of it, or else the response.
                state.saves.fail(of, &error);
                state.unreported = Some(error);
            }
        }
    }

    fn plan(&self, selection: Selection<'_>, later: LaterUse) -> Result<Option<Plan>, PlanFailure> {
        let mut state = self.lock();
        let planned = state.plan(selection, &self.context().rules);
        let is_last =
            planned.as_ref().is_ok_and(|plan| plan.as_ref().is_none_or(|plan| plan.failure.is_none()));
        if later == LaterUse::None && is_last {
            // Held here, they would make the store copy the record before it changes it.
            state.forget_fields(&self.context().rules.indexed());
        }
        planned
    }

    /// Writes a plan, and returns what fails of it all the same.
    async fn carry_out(
        &self,
        plan: Plan,
        selection: Selection<'_>,
        later: LaterUse,
        by: Option<u64>,
        is_repeated: bool,
    ) -> Result<Option<Box<PlanFailure>>, Error> {
        let Plan { write, taken, removal, part, lost, fallback, failure } = plan;
        let (target, incarnation, secret_change) = (write.target, write.incarnation, write.secret_change);
        let is_only_touch = write.is_only_touch() && matches!(selection, Selection::All);
        let in_flight = InFlight::begin(self, &write, removal.is_some(), taken);
        let (written, is_taken_away) = self.write_plan(write, removal.as_deref(), part, later).await;
        let mut taken = in_flight.end();
        if is_taken_away {
            taken.changes.retain(|change| !change.is_removed_right());
        }
        let Err(error) = written else {
            self.report_lost(target.id(), lost);
            if later == LaterUse::ByHandles {
                let mut state = self.lock();
                state.note_touched(target);
                state.log.note_written(&taken.changes, &taken.resets);
            }
            PendingSave::complete(taken.saves);
            return Ok(failure);
        };
        if is_repeated && is_changed_field(&error) {
            let mut state = self.lock();
            if state.incarnation == incarnation {
                state.put_back_for_repetition(taken);
            } else {
                PendingSave::refuse(taken.saves, &error);
            }
            return Err(error);
        }
        let is_alone = failure.is_none();
        if let Some(failure) = failure {
            let PlanFailure { of, error, .. } = *failure;
            // Nothing else will tell.
            self.report_failure(&error);
            let mut state = self.lock();
            if let Some(of) = of {
                state.saves.fail(of, &error);
            }
            state.unreported = Some(error);
        }
        if is_only_touch {
            // It fails no request, and the next one tries again.
            self.context().events.report_failure(target.id(), &error);
            PendingSave::complete(taken.saves);
            return Ok(None);
        }
        if is_alone && by.is_none() && self.lock().stands_without(&taken.changes, secret_change, &error) {
            // The page is worth more than what it counts.
            self.context().events.report_failure(target.id(), &error);
            self.lock().lose(taken, &error);
            return Ok(None);
        }
        if let Some(fallback) = fallback
            && error.is_of_field()
        {
            let written = Box::pin(self.fall_back(*fallback, removal.as_deref(), later, taken)).await;
            let Ok(written) = written else {
                self.report_failure(&error);
                return Err(error);
            };
            taken = written;
        }
        if let (Some(by), Some(field)) = (by, error.changed_field()) {
            return self.end_conflict(by, field, &error, incarnation, taken);
        }
        self.note_failed(target, &error, incarnation, taken);
        Err(error)
    }

    /// Ends a write for a handle's save in which a field was not any more what it had to be. The handles that asked for
    /// that lose their changes; the others' are written by the next write.
    fn end_conflict(
        &self,
        by: u64,
        field: &FieldName,
        error: &Error,
        incarnation: u32,
        taken: TakenChanges,
    ) -> Result<Option<Box<PlanFailure>>, Error> {
        let Blame { lost, handles } = self.put_back_blameless(field, error, incarnation, taken);
        self.put_back(error, incarnation, lost);
        let other = handles.iter().copied().find(|handle| *handle != by);
        if other.is_some() {
            self.lock().lost_beside_save = Some(error.duplicate());
        }
        match other {
            Some(_) if handles.contains(&by) => {
                // An update may succeed all the same.
                self.report_failure(error);
                Err(error.duplicate())
            }
            // What the waiting handle did is still to be written.
            Some(of) => Ok(Some(Box::new(PlanFailure { of: Some(of), ..error.duplicate().into() }))),
            // The save tells, and reports it.
            None => Err(error.duplicate()),
        }
    }

    /// Sends the write of a plan. Where another request has rotated, it takes the rights away all the same. Returns
    /// true beside the outcome if it did that and nothing else.
    async fn write_plan(
        &self,
        write: PlannedWrite,
        removal: Option<&RightsRemoval>,
        part: WritePart,
        later: LaterUse,
    ) -> (Result<(), Error>, bool) {
        let secret_change = write.secret_change;
        let kept = (later == LaterUse::ByHandles).then(|| write.delta.clone());
        let returning = kept.as_ref().map(|delta| self.merged(delta)).unwrap_or_default();
        let Some(removal) = removal else {
            return (self.write(write, &returning, kept.as_ref()).await, false);
        };
        if part == WritePart::Removals {
            return (Box::pin(self.take_away(removal)).await, false);
        }
        let mut written = self.write(write, &returning, kept.as_ref()).await;
        // Where only a field was not as it had to be, there is the fallback.
        let is_superseded = |error: &Error| error.kind() == ErrorKind::Conflict && !error.is_of_field();
        if written.as_ref().is_err_and(is_superseded) {
            match Box::pin(self.take_away(removal)).await {
                Ok(()) if part == WritePart::OnlyRemovals => written = Ok(()),
                Ok(()) => return (written, true),
                Err(error) => written = Err(error),
            }
        }
        let is_elsewhere = secret_change == SecretChange::Login
            && self.lock().live().is_none_or(|live| removal.id() != live.id);
        if written.is_ok() && is_elsewhere {
            // The login has a record of its own: what it took away goes from the one before, too.
            if let Err(error) = Box::pin(self.take_away(removal)).await {
                self.context().events.report_failure(Some(removal.id()), &error);
            }
        }
        (written, false)
    }

    /// Writes what is left of a plan in which something cannot be stored: it keeps neither the old secret valid nor a
    /// right that was taken away. Returns the changes that this has written.
    async fn fall_back(
        &self,
        fallback: PlannedWrite,
        removal: Option<&RightsRemoval>,
        later: LaterUse,
        taken: TakenChanges,
    ) -> Result<TakenChanges, ()> {
        let (target, incarnation) = (fallback.target, fallback.incarnation);
        let kept = (later == LaterUse::ByHandles).then(|| fallback.delta.clone());
        let in_flight = InFlight::begin(self, &fallback, removal.is_some(), taken);
        let mut written = self.write(fallback, &[], kept.as_ref()).await;
        if let (Err(refused), Some(removal)) = (&written, removal)
            && refused.kind() == ErrorKind::Conflict
        {
            written = self.take_away(removal).await;
        }
        let mut taken = in_flight.end();
        let mut state = self.lock();
        let changes = std::mem::take(&mut taken.changes);
        taken.changes = removed_rights(changes, &state.record, &self.context().rules);
        match written {
            Ok(()) => {
                state.log.note_written(&taken.changes, &taken.resets);
                Ok(taken)
            }
            Err(second) => {
                let saves = std::mem::take(&mut taken.saves);
                state.saves.lose(saves, &second);
                drop(state);
                self.note_failed(target, &second, incarnation, taken);
                Err(())
            }
        }
    }

    /// The fields of which the store alone knows what they become.
    fn merged(&self, delta: &Delta) -> Vec<FieldName> {
        let is_merged = |op: &Op| matches!(op, Op::PutIfAbsent(_) | Op::Add(_) | Op::Max(_) | Op::Min(_));
        // What is sealed for the store comes back sealed.
        let merged =
            delta.ops().iter().filter(|(name, op)| is_merged(op) && !self.context().rules.is_secret(name));
        merged.map(|(name, _)| name.clone()).collect()
    }

    /// Reports the reason for which something of this request is not written. Each error that becomes a response is
    /// reported once: where it arises, or here.
    pub(crate) fn report_failure(&self, error: &Error) {
        let record = self.lock().record_id();
        self.context().events.report_failure(record, error);
    }

    /// Reports a failed write, and puts back what can be tried again.
    fn note_failed(&self, target: WriteTarget, error: &Error, incarnation: u32, taken: TakenChanges) {
        self.context().events.report_failure(target.id(), error);
        self.put_back(error, incarnation, taken);
    }

    /// Puts back what certainly was not written, unless its session was ended since.
    pub(super) fn put_back(&self, error: &Error, incarnation: u32, taken: TakenChanges) {
        let mut state = self.lock();
        if state.incarnation != incarnation {
            return PendingSave::refuse(taken.saves, error);
        }
        if error.kind() == ErrorKind::Unavailable {
            if state.put_back(taken, error, &self.context().rules) {
                return;
            }
        } else {
            state.lose(taken, error);
        }
        state.unreported = Some(error.duplicate());
    }

    /// Sends one atomic operation to the store. A store that panics is one that fails. `kept` are the changes, for
    /// what is known after it.
    async fn write(
        &self,
        write: PlannedWrite,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        let mut writing = pin!(self.write_uncaught(write, returning, kept));
        poll_fn(|context| caught(|| writing.as_mut().poll(context))).await
    }

    async fn write_uncaught(
        &self,
        write: PlannedWrite,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        if write.grows_to > self.context().sizes.record {
            let largest = write.delta.ops().iter().max_by_key(|(_, op)| op.size());
            return Err(Error::record_too_large(self.context().sizes.record, largest.map(|(name, _)| name)));
        }
        if let Some(GrownCollection { name, entries }) = write.grown.as_deref()
            && *entries > self.context().sizes.entries
        {
            return Err(Error::too_many_entries(name, self.context().sizes.entries));
        }
        let WriteTarget::Record { id, epoch, touch } = write.target else {
            return Box::pin(self.create(write.delta, write.rights, write.incarnation)).await;
        };
        if write.secret_change != SecretChange::None {
            return Box::pin(self.change_secret((id, epoch, touch), write, returning, kept)).await;
        }
        let PlannedWrite { delta, is_kept_only, .. } = write;
        let kept_on_logout = (is_kept_only && !delta.is_empty()).then(|| delta.clone());
        let commit = self.commit((id, epoch, touch), delta, returning)?;
        let outcome = self.send(id, commit).await?;
        // Its times may have changed with its secret, so that what is over by the old ones may be alive.
        if let (CommitOutcome::StaleEpoch | CommitOutcome::NotFound, Some(delta)) = (&outcome, kept_on_logout)
        {
            return Box::pin(self.write_to_next_epoch((id, epoch, touch), delta, returning, kept)).await;
        }
        let values = self.applied(outcome)?;
        if kept.is_some() {
            self.update_local(id, kept, returning, &values, None);
        }
        Ok(())
    }

    /// The commit of a delta, without a new secret.
    pub(super) fn commit(
        &self,
        (id, epoch, touch): (RecordId, u64, bool),
        delta: Delta,
        returning: &[FieldName],
    ) -> Result<Commit, Error> {
        let timeouts = self.lock().live().map_or(self.context().timeouts, |live| live.timeouts);
        let is_once = delta.ops().iter().any(|(_, op)| matches!(op, Op::Add(_)) || op.is_conditional());
        let commit_id = is_once.then(random::bytes).transpose()?.map(CommitId::from_bytes);
        let delta = self.sealed_delta(id, delta)?;
        let (returning, credentials_change) = (returning.to_vec(), None);
        Ok(Commit {
            epoch,
            timeouts,
            delta,
            touch,
            credentials_change,
            id: commit_id,
            returning,
            presented: None,
        })
    }

    /// Sends a commit, with the entries that it needs in the index. A record that cannot be read any more is none.
    pub(super) fn send(
        &self,
        id: RecordId,
        commit: Commit,
    ) -> impl Future<Output = Result<CommitOutcome, Error>> + Send + '_ {
        // Begun outside, so that this future has no room for the commit as well.
        let is_indexed = self.context().rules.has_index();
        let work: Boxed<'_, CommitOutcome> = if is_indexed {
            Box::pin(self.send_indexed(id, commit))
        } else {
            self.context().store.commit(id, commit)
        };
        async move { if is_indexed { work.await } else { self.sent(id, work).await } }
    }

    /// Waits for the store's answer to a commit.
    pub(super) async fn sent(
        &self,
        id: RecordId,
        work: Boxed<'_, CommitOutcome>,
    ) -> Result<CommitOutcome, Error> {
        match self.with_timeout(work, Error::outcome_unknown).await {
            Err(error) if error.kind() == ErrorKind::Unreadable => {
                self.report_unreadable(id, &error);
                Ok(CommitOutcome::NotFound)
            }
            outcome => outcome,
        }
    }

    /// The values that were asked for, or the reason for which nothing was written.
    pub(super) fn applied(&self, outcome: CommitOutcome) -> Result<Vec<Option<Bytes>>, Error> {
        if matches!(outcome, CommitOutcome::NotFound | CommitOutcome::StaleEpoch) {
            self.lock().forget_renewal();
        }
        match outcome {
            CommitOutcome::Applied(values) => Ok(values),
            CommitOutcome::NotFound => Err(Error::ended_meanwhile()),
            CommitOutcome::StaleEpoch | CommitOutcome::CredentialsChanged => Err(Error::superseded()),
            CommitOutcome::Invalid(name) => Err(Error::not_an_integer(&name)),
            CommitOutcome::Conflict(name) => Err(Error::changed_meanwhile(&name)),
        }
    }
}

/// True if the handle that waits for a write reports itself what became of it: an update may make its change again.
fn is_reported_by_handle(error: &Error, of: Option<u64>, by: Option<u64>) -> bool {
    error.changed_field().is_some() && by.is_some_and(|by| of.is_none_or(|of| of == by))
}

/// True if the record is still the request's, and a field of it is not as it was loaded.
fn is_changed_field(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict && error.is_of_field()
}
