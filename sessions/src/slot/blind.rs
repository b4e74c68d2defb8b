//! Writing without a load: one commit that names the presented secret in the place of an epoch.
//!
//! The store applies it if the record has this very secret. In any other case the request loads its record after all,
//! and goes on as if a handle had opened it. But it begins no session in the place of one that is over: what it does
//! not know is whether that ended while the request ran.

use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use super::{
    Slot,
    compose::compose,
    field_rules::Rules,
    load::Presented,
    pending_change::{Action, FieldChange, PendingChange},
    record::RecordState,
    request_state::RequestState,
    rights::SecretChange,
    survive::caught,
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    random,
    store::{Commit, CommitId, CommitOutcome, PresentedSecret},
    value::{FieldName, RecordId, Timestamp, Token},
};

/// The way in which the changes of writers are written.
#[derive(Debug)]
enum BlindPlan {
    /// By one commit.
    Commit { token: Token, delta: Delta, changes: Vec<PendingChange>, touch: bool },
    /// After a load.
    Load,
    /// They cannot be stored, and the response fails.
    Invalid,
}

impl RequestState {
    /// True if writers have changes of a record that is not loaded.
    pub(super) fn is_blind(&self) -> bool {
        let is_unloaded = matches!(self.record, RecordState::Unloaded);
        is_unloaded && self.presented.is_some() && !self.log.is_empty()
    }

    /// Takes out the changes of writers, if they can be written without knowing the record.
    fn plan_blind(&mut self, rules: &Rules) -> BlindPlan {
        let composed = compose(&self.log, self.log.changes(), &self.record, rules);
        if composed.failure.is_some() {
            return BlindPlan::Invalid;
        }
        let mut names: Vec<_> =
            self.log.changes().iter().filter_map(|change| Some(&change.field()?.name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        // What becomes of two changes of one field depends on the value that is stored.
        let are_alone = names.len() == all && all == self.log.changes().len();
        let changes_rights = composed.secret_change != SecretChange::None || self.requested.rotation;
        let token = match self.presented.as_deref() {
            Some([Some(token), None]) if are_alone && !changes_rights => token.clone(),
            // Of two tokens at most one is that of a session.
            _ => return BlindPlan::Load,
        };
        let touch = !self.requested.without_touch;
        BlindPlan::Commit { token, delta: composed.delta, changes: self.log.take(), touch }
    }

    /// Classifies the pending changes by a record that was not known when they were made.
    pub(super) fn classify_again(&mut self, rules: &Rules) {
        let mut changes = self.log.take();
        for change in &mut changes {
            if let Action::Change(field) = &mut change.action {
                field.class = self.class(field, rules);
            }
        }
        self.log.put_back(changes);
    }

    /// All names of the fields that are to be changed.
    fn changed_names(&self) -> Vec<FieldName> {
        self.log.changes().iter().filter_map(PendingChange::field).flat_map(FieldChange::names).collect()
    }
}

impl Slot {
    /// Notes the tokens of a request for a writer, which loads nothing. `present` reads them.
    pub(crate) fn open_blind(&self, present: impl FnOnce() -> Presented) {
        {
            let state = self.lock();
            if state.presented.is_some() || !matches!(state.record, RecordState::Unloaded) {
                return;
            }
        }
        let presented = present();
        self.context().note_runtime();
        let mut state = self.lock();
        if !matches!(state.record, RecordState::Unloaded) {
            return;
        }
        state.has_token = presented[0].is_some();
        if state.has_token {
            state.presented = Some(Box::new(presented));
        } else {
            state.record = RecordState::Absent;
        }
    }

    /// Writes the changes of writers, or loads the record that they are for. Behind the gate only.
    pub(super) async fn flush_blind(&self) -> Result<(), Error> {
        if self.context().not_before > Timestamp::from_millis(i64::MIN) {
            // Only a load shows when the record began.
            return self.load_for_writers().await;
        }
        let planned = self.lock().plan_blind(&self.context().rules);
        let (token, delta, changes, touch) = match planned {
            BlindPlan::Invalid => return Ok(()),
            BlindPlan::Load => return self.load_for_writers().await,
            BlindPlan::Commit { token, delta, changes, touch } => (token, delta, changes, touch),
        };
        let id = token.id();
        let mut sending = pin!(self.commit_blind(&token, delta, touch));
        let outcome = poll_fn(|context| caught(|| sending.as_mut().poll(context))).await;
        let error = match outcome {
            Ok(CommitOutcome::Applied(_)) => return Ok(()),
            Ok(CommitOutcome::CredentialsChanged | CommitOutcome::StaleEpoch) => {
                // It may be one that a renewal leads from or to, or that was replaced a moment ago.
                self.lock().log.put_back(changes);
                return self.load_for_writers().await;
            }
            Ok(CommitOutcome::NotFound) => Error::ended_meanwhile(),
            Ok(CommitOutcome::Conflict(name)) => Error::changed_meanwhile(&name),
            Ok(CommitOutcome::Invalid(name)) => Error::not_an_integer(&name),
            Err(error) => error,
        };
        self.refuse_writers(id, &changes, error)
    }

    async fn commit_blind(&self, token: &Token, delta: Delta, touch: bool) -> Result<CommitOutcome, Error> {
        let id = token.id();
        let presented = PresentedSecret::new(self.context().hasher.hash(&id, token.secret()));
        let mut commit = Commit::blind(presented, self.context().timeouts).with_touch(touch);
        if delta.ops().iter().any(|(_, op)| matches!(op, Op::Add(_))) {
            commit = commit.with_id(CommitId::from_bytes(random::bytes()?));
        }
        let commit = commit.with_delta(self.sealed_delta(id, delta)?);
        self.send(id, commit).await
    }

    /// Loads the record, so that the changes of writers are planned like those of handles.
    async fn load_for_writers(&self) -> Result<(), Error> {
        let (names, presented) = {
            let state = self.lock();
            (state.changed_names(), state.presented.clone())
        };
        let Some(presented) = presented else { return Ok(()) };
        let first = presented[0].as_ref().map(Token::id);
        self.open_presented(*presented, &names).await?;
        let changes = {
            let mut state = self.lock();
            if !matches!(state.record, RecordState::Absent) {
                return Ok(());
            }
            state.log.take()
        };
        match first {
            Some(id) => self.refuse_writers(id, &changes, Error::ended_meanwhile()),
            None => Ok(()),
        }
    }

    /// Reports that the changes of writers are not written. A page that only counts something is shown all the same.
    fn refuse_writers(&self, id: RecordId, changes: &[PendingChange], error: Error) -> Result<(), Error> {
        self.context().events.report_failure(Some(id), &error);
        let is_light = self.lock().stands_without(changes, SecretChange::None, &error);
        if is_light { Ok(()) } else { Err(error) }
    }
}
