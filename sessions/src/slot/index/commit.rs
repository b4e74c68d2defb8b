//! A commit between its entries: reserved before, confirmed after.

use std::time::Duration;

use super::{
    super::{LayerContext, LoginLimit, Slot},
    EndedSessions, HOLD_FOR,
    steps::{self, IndexStep},
};
use crate::{
    error::{Error, ErrorKind},
    random,
    store::{
        Commit, CommitOutcome, CreateOutcome, CredentialsChange,
        index::{Confirmation, IndexChange, IndexStamp, IndexStatus, Reservation},
    },
    value::{Fields, IndexKey, RecordId, Timeouts, Timestamp},
};

/// A reservation that is to be confirmed, or released.
#[derive(Debug)]
pub(in crate::slot) struct Reserved {
    key: IndexKey,
    stamp: IndexStamp,
    /// True if the entry was not there before.
    was_added: bool,
    /// The latest time at which the request may have begun, on the store's clock.
    began: Timestamp,
    keep_for: Duration,
    /// True if the reservation must still be there.
    is_limited: bool,
}

impl Slot {
    /// Sends a commit, with the entries that it needs around it.
    pub(in crate::slot) async fn send_indexed(
        &self,
        id: RecordId,
        commit: Commit,
    ) -> Result<CommitOutcome, Error> {
        let steps = self.steps_of(id, &commit);
        if steps.is_empty() {
            return self.sent(id, self.context().store.commit(id, commit)).await;
        }
        let change = commit.credentials_change.as_ref();
        let timeouts = change.and_then(CredentialsChange::timeouts).unwrap_or(&commit.timeouts);
        let keep_for = steps::keep_for(timeouts);
        let reserved = self.reserve(id, &steps, keep_for).await?;
        let sent = self.sent(id, self.context().store.commit(id, commit)).await;
        match &sent {
            Ok(CommitOutcome::Applied(_)) => self.confirm(id, reserved).await?,
            // It may have happened: the entries stay.
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
            _ => self.release(id, reserved).await,
        }
        sent
    }

    /// Reserves the entries for a new record of these fields.
    pub(in crate::slot) async fn reserve_new(
        &self,
        id: RecordId,
        fields: &Fields,
        timeouts: &Timeouts,
    ) -> Result<Vec<Reserved>, Error> {
        let context = self.context();
        if context.index().is_none() {
            return Ok(Vec::new());
        }
        let steps = steps::of_fields(&context.rules.indexed(), &context.purpose, fields);
        self.reserve(id, &steps, steps::keep_for(timeouts)).await
    }

    /// Confirms or releases the entries of a new record.
    pub(in crate::slot) async fn settle_new(
        &self,
        id: RecordId,
        reserved: Vec<Reserved>,
        created: Result<CreateOutcome, Error>,
    ) -> Result<CreateOutcome, Error> {
        match &created {
            Ok(CreateOutcome::Created(_)) => self.confirm(id, reserved).await?,
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
            _ => self.release(id, reserved).await,
        }
        created
    }

    /// Removes the entries of a record that was destroyed. No request can use its id again.
    pub(in crate::slot) async fn leave(&self, id: RecordId, fields: &Fields) {
        let context = self.context();
        if context.index().is_none() {
            return;
        }
        for step in steps::of_fields(&context.rules.indexed(), &context.purpose, fields) {
            // An entry without a record does no harm.
            let _ = context.change_index(step.value.key, IndexChange::Leave(vec![(id, None)])).await;
        }
    }

    fn steps_of(&self, id: RecordId, commit: &Commit) -> Vec<IndexStep> {
        let context = self.context();
        if context.index().is_none() {
            return Vec::new();
        }
        let loaded = self.lock().live().filter(|live| live.id == id).map(|live| live.fields.clone());
        let loaded = loaded.unwrap_or_default();
        steps::of_commit(
            &context.rules.indexed(),
            &context.purpose,
            &commit.delta,
            &loaded,
            commit.notes_use(),
        )
    }

    /// Adds the entries before the commit. If one is refused, the others are released.
    async fn reserve(
        &self,
        id: RecordId,
        steps: &[IndexStep],
        keep_for: Duration,
    ) -> Result<Vec<Reserved>, Error> {
        let mut all = Vec::new();
        for step in steps {
            if !step.is_put {
                let found = IndexChange::Confirm(Self::confirmation(id, keep_for)?);
                self.context().change_index(step.value.key, found).await?;
                continue;
            }
            match self.reserve_one(id, step, keep_for).await {
                Ok(reserved) => all.push(reserved),
                Err(error) => {
                    self.release(id, all).await;
                    return Err(error);
                }
            }
        }
        Ok(all)
    }

    async fn reserve_one(
        &self,
        id: RecordId,
        step: &IndexStep,
        keep_for: Duration,
    ) -> Result<Reserved, Error> {
        let (context, key) = (self.context(), step.value.key);
        let limit = context.login_limit.filter(|_| step.is_identity);
        let until = tokio::time::Instant::now() + context.store_timeout;
        loop {
            let stamp = IndexStamp::from_bytes(random::bytes()?);
            let reservation = Reservation {
                id,
                stamp,
                keep_for,
                hold_for: HOLD_FOR,
                age: self.age(),
                most: limit.map(LoginLimit::most),
                own: self.own_ending(key),
            };
            let outcome = context.change_index(key, IndexChange::Reserve(reservation)).await?;
            match (outcome.status, limit) {
                (IndexStatus::Forbidden, _) => return Err(Error::revoked()),
                (IndexStatus::Full, Some(limit)) => {
                    self.make_room(&step.value, &outcome, limit, until).await?;
                }
                (status, _) => {
                    return Ok(Reserved {
                        key,
                        stamp,
                        was_added: status == IndexStatus::Added,
                        // By the age now: the store may have read its clock at any moment since it was asked.
                        began: outcome.now.saturating_sub(self.age()),
                        keep_for,
                        is_limited: limit.is_some(),
                    });
                }
            }
        }
    }

    /// Confirms the entries after the commit. If the user's sessions were ended meanwhile, so is this one.
    async fn confirm(&self, id: RecordId, reserved: Vec<Reserved>) -> Result<(), Error> {
        for Reserved { key, began, keep_for, is_limited, .. } in reserved {
            let confirmation = Confirmation {
                began: Some(began),
                own: self.own_ending(key),
                needs_entry: is_limited,
                ..Self::confirmation(id, keep_for)?
            };
            let confirmed = self.context().change_index(key, IndexChange::Confirm(confirmation)).await;
            let error = match confirmed.map(|outcome| outcome.status) {
                Ok(IndexStatus::Forbidden) => Error::revoked(),
                Ok(IndexStatus::Lapsed) => Error::conflict(
                    "the login took so long that its place among the user's sessions was given away, so it is none; \
                     log in again",
                ),
                Ok(_) => continue,
                // Whether the user's sessions were ended is not known, so this one is.
                Err(error) => Error::outcome_unknown(error),
            };
            self.context().end_record(id, key).await;
            return Err(error);
        }
        Ok(())
    }

    /// Removes what was reserved for a commit that did not happen, unless it was there before.
    async fn release(&self, id: RecordId, reserved: Vec<Reserved>) {
        for Reserved { key, stamp, was_added, .. } in reserved {
            if was_added {
                // An entry without a record does no harm.
                let left = IndexChange::Leave(vec![(id, Some(stamp))]);
                let _ = self.context().change_index(key, left).await;
            }
        }
    }

    fn confirmation(id: RecordId, keep_for: Duration) -> Result<Confirmation, Error> {
        let stamp = IndexStamp::from_bytes(random::bytes()?);
        Ok(Confirmation { id, stamp, keep_for, began: None, own: None, needs_entry: false })
    }

    /// The time at which this request has itself ended the other sessions of a value, unless another request had
    /// done so since it began.
    fn own_ending(&self, key: IndexKey) -> Option<Timestamp> {
        self.lock().own_endings.iter().rev().find(|(of, _)| *of == key).map(|(_, at)| *at)
    }

    /// Notes that this request has ended the other sessions of a value.
    pub(crate) fn note_own_ending(&self, key: IndexKey, ended: &EndedSessions) {
        let began = ended.at.saturating_sub(self.age());
        if ended.not_before.is_none_or(|before| before < began) {
            self.lock().own_endings.push((key, ended.at));
        }
    }
}

impl LayerContext {
    /// Deletes a record that must not be. Best effort: no client has its secret.
    async fn end_record(&self, id: RecordId, key: IndexKey) {
        if self.in_time(self.store.destroy(id)).await.is_ok() {
            let _ = self.change_index(key, IndexChange::Leave(vec![(id, None)])).await;
        }
    }
}
