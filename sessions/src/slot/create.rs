//! Creating a record, and destroying one.

use std::time::Duration;

use super::{
    Slot,
    cookie_change::cookie_hours,
    delta_failure::failed_operation,
    options::SessionOptions,
    record::{LiveRecord, RecordState},
    rights::RecordRights,
    watch::Sighting,
};
use crate::{
    delta::Delta,
    error::Error,
    event::Event,
    random,
    store::{CreateOutcome, NewRecord},
    value::{Authority, Fields, Proof, RecordId, Secret},
};

impl Slot {
    /// Creates a record of these fields, and gives the browser its secret.
    pub(super) async fn create(
        &self,
        delta: Delta,
        rights: RecordRights,
        incarnation: u32,
    ) -> Result<(), Error> {
        let mut fields = Fields::new();
        delta.apply(&mut fields).map_err(|failure| failed_operation(&failure))?;
        if fields.is_empty() {
            return Ok(());
        }
        let requested = self.take_over_options(incarnation)?;
        let id = RecordId::from_bytes(random::bytes()?);
        let secret = Secret::from_bytes(random::bytes()?);
        let mut authority = Authority::new(self.context().hasher.hash(&id, &secret));
        authority.rights = rights.names;
        authority.rights.retain(|name| fields.contains(name.as_str()));
        authority.identity = rights.identity.filter(|name| fields.contains(name.as_str()));
        if authority.identity.is_some() {
            authority.proof = Proof::AtCreation;
        }
        requested.note_in(&mut authority);
        let timeouts = self.context().timeouts_of(&authority);
        authority.cookie_hours = cookie_hours(&timeouts, Duration::ZERO);
        let credentials = authority.credentials();
        let (is_first_visit, is_login) = (authority.rights.is_empty(), authority.identity.is_some());
        let (stored, opened) = self.sealed_fields(id, delta, &fields)?;
        let new = NewRecord::new(credentials.clone(), self.context().timeouts.of_kind(authority.kind()))
            .with_fields(stored)
            .with_first_visit(is_first_visit);
        let reserved = Box::pin(self.reserve_new(id, &fields, &new.timeouts)).await?;
        let creating = self.context().store.create(id, new);
        let mut created = self.with_timeout(creating, Error::outcome_unknown).await;
        if !reserved.is_empty() {
            created = Box::pin(self.settle_new(id, reserved, created)).await;
        }
        let created = match created? {
            CreateOutcome::Created(created) => created,
            CreateOutcome::IdTaken => return Err(Error::unavailable("a new record's id was taken")),
        };
        let record = Box::new(LiveRecord {
            id,
            epoch: 0,
            credentials,
            timeouts,
            authority,
            secret: secret.clone(),
            renewed: None,
            ends_renewal: false,
            created,
            // This request is its first use.
            touched: created,
            loaded_at: created,
            since: self.context().stopwatch.start(),
            began_here: false,
            fields,
            names: None,
            opened,
            examined: self.context().rules.number(),
            is_withheld: false,
        });
        {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                // Ended before it was there: no request may find it.
                state.destroy.push(id);
                return Err(Error::session_ended());
            }
            state.record = RecordState::Live(record);
            state.give_secret(secret, false);
            state.note_options(requested);
            state.publish_record();
        }
        self.context().events.report(&Event::Created { record: id, is_login });
        self.purge_now_and_then(created);
        Ok(())
    }

    /// The options of a new record of this incarnation.
    fn take_over_options(&self, incarnation: u32) -> Result<SessionOptions, Error> {
        let mut state = self.lock();
        if state.incarnation != incarnation {
            return Err(Error::session_ended());
        }
        state.keep_options();
        Ok(state.requested.session)
    }

    /// Destroys the records that the request has ended.
    pub(super) async fn destroy_ended(&self) -> Result<(), Error> {
        loop {
            let Some(id) = self.lock().destroy.last().copied() else { return Ok(()) };
            let destroying = self.context().store.destroy(id);
            if let Err(error) = self.with_timeout(destroying, Error::outcome_unknown).await {
                self.context().events.report_failure(Some(id), &error);
                return Err(error);
            }
            self.context().events.report(&Event::Destroyed { record: id });
            self.context().watchers.publish(id, Sighting::Over);
            let ended = {
                let mut state = self.lock();
                state.note_destroyed(id);
                state.ended.extract_if(.., |(of, _)| *of == id).next()
            };
            if let Some((_, fields)) = ended {
                Box::pin(self.leave(id, &fields)).await;
            }
        }
    }
}
