//! Writing: what a request has to do to its record, in one atomic operation each.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    Afterwards, Slot, UNFINISHED,
    changes::{Rights, SecretChange},
    ended::Seen,
    removal::RightsRemoval,
    state::{
        CookieChange, LiveRecord, Part, Plan, PlanFailure, RecordState, RequestState, SessionOptions,
        TakenChanges, Target, Write, cookie_hours,
    },
    survive::caught,
};
use crate::{
    delta::{Delta, Op},
    error::{Error, ErrorKind},
    event::{Event, RotationCause},
    random,
    store::{Commit, CommitId, CommitOutcome, CreateOutcome, CredentialsChange, NewRecord},
    sync::atomic::Ordering,
    value::{
        Authority, Credentials, FieldName, Fields, Match, Proof, RecordId, Secret, Timeouts, Timestamp, Token,
    },
};

/// How often a layer has its store purged, on the store's clock, and how much at a time.
const PURGE_EVERY: Duration = Duration::from_mins(1);
const PURGE_JITTER: Duration = Duration::from_secs(15);
const PURGED_AT_ONCE: usize = 1000;

/// Action a commit puts in the place of a record's credentials.
struct NewCredentials {
    /// The secret that the browser is to have, if that is another one.
    secret: Option<Secret>,
    authority: Authority,
    credentials_change: CredentialsChange,
    /// How long the session lives then.
    timeouts: Timeouts,
    /// Whether the login ends that the record had.
    ends_login: bool,
    /// Action the request said of the session.
    said: SessionOptions,
    /// The store's time.
    now: Timestamp,
}

/// How often a secret_change is tried that finds the record's credentials renewed.
const CREDENTIALS_ATTEMPTS: usize = 3;

impl Slot {
    /// Does what there is to do, for a handle that saves or for all. Called behind the gate only.
    pub(super) async fn flush(&self, after: Afterwards, by: Option<u64>) -> Result<(), Error> {
        if !self.lock().destroy.is_empty() {
            Box::pin(self.destroy_ended()).await?;
        }
        let mut first = None;
        loop {
            let at = self.next_change();
            let planned = {
                let mut state = self.lock();
                let planned = state.plan(&self.context.rules, at);
                let is_last = planned
                    .as_ref()
                    .is_ok_and(|plan| plan.as_ref().is_none_or(|plan| plan.failure.is_none()));
                if after == Afterwards::Nobody && is_last {
                    // Held here, they would make the store copy the record before it changes it.
                    state.forget_fields();
                }
                planned
            };
            let failure = match planned {
                Ok(None) => return first.map_or(Ok(()), Err),
                Ok(Some(plan)) => {
                    let part = plan.part;
                    let is_others =
                        by.is_some_and(|by| plan.taken.changes.iter().all(|pending| !pending.is_of(by)));
                    match self.carry_out(plan, after, by).await {
                        Ok(_) if part == Part::Removal => continue,
                        // Action was put back would only fail again; of what is lost another handle's save hears.
                        Err(error)
                            if part == Part::Removal
                                && is_others
                                && error.kind() != ErrorKind::Unavailable =>
                        {
                            continue;
                        }
                        Ok(failure) => failure,
                        Err(error) => return Err(first.unwrap_or(error)),
                    }
                }
                Err(failure) => Some(failure),
            };
            let Some(PlanFailure { of, error, spares_response }) = failure else {
                return first.map_or(Ok(()), Err);
            };
            if error.kind() == ErrorKind::CrossSite {
                let is_login = !spares_response;
                self.context.events.report(&Event::CrossSite { is_login, error: &error });
            } else {
                self.report_failure(&error);
            }
            if by.is_none() && spares_response {
                return first.map_or(Ok(()), Err);
            }
            if of.is_none() || of == by {
                return Err(error);
            }
            let mut state = self.lock();
            if by.is_none() {
                // The response fails with it, and what others did is dropped; but not what they took away.
                first.get_or_insert(error);
                state.discard(&self.context.rules);
            } else {
                // Another handle's, whose save hears of it, or else the response.
                state.unreported = Some(error.duplicate());
                if let Some(of) = of {
                    state.fail(of, error);
                }
            }
        }
    }

    /// Writes a plan, and returns what fails of it all the same.
    async fn carry_out(
        &self,
        plan: Plan,
        after: Afterwards,
        by: Option<u64>,
    ) -> Result<Option<PlanFailure>, Error> {
        let Plan { write, taken, removal, part, lost, fallback, failure } = plan;
        let (target, incarnation, only_touch) = (write.target, write.incarnation, write.is_only_touch());
        let secret_change = write.secret_change;
        let in_flight = InFlight::begin(self, &write, removal.is_some(), taken);
        let kept = (after == Afterwards::Handles).then(|| write.delta.clone());
        let merged = kept.as_ref().map(|delta| self.merged(delta)).unwrap_or_default();
        let mut written = match (part, &removal) {
            (Part::Removal, Some(removal)) => self.take_away_caught(removal).await,
            _ => self.write_caught(write, &merged, kept.as_ref()).await,
        };
        let mut is_taken_away = false;
        if let (Err(refused), Some(removal)) = (&written, &removal)
            && refused.kind() == ErrorKind::Conflict
            && part != Part::Removal
        {
            // Another request has rotated: the rights go all the same, and nothing else is done.
            match self.take_away_caught(removal).await {
                Ok(()) if part == Part::OnlyRemoval => written = Ok(()),
                Ok(()) => is_taken_away = true,
                Err(error) => written = Err(error),
            }
        }
        let is_elsewhere = |removal: &&RightsRemoval| {
            secret_change == SecretChange::Login
                && self.lock().live().is_none_or(|live| !removal.is_of(live.id))
        };
        if let (Ok(()), Some(removal)) = (&written, removal.as_ref().filter(is_elsewhere)) {
            // The login has a record of its own: what it took away goes from the one before, too.
            if let Err(error) = self.take_away_caught(removal).await {
                self.context.events.report_failure(target.id(), &error);
            }
        }
        let mut taken = in_flight.end();
        if is_taken_away {
            taken.drop_removed_rights();
        }
        let Err(error) = written else {
            self.report_lost(target.id(), lost);
            if after == Afterwards::Handles {
                let mut state = self.lock();
                state.note_touched(target);
                state.log.note_written(&taken.changes, &taken.ends);
            }
            return Ok(failure);
        };
        let is_alone = failure.is_none();
        if let Some(PlanFailure { error, .. }) = failure {
            // Nobody else will tell.
            self.report_failure(&error);
            self.lock().unreported = Some(error);
        }
        if only_touch {
            // It fails nobody's request, and the next one tries again.
            self.context.events.report_failure(target.id(), &error);
            return Ok(None);
        }
        if is_alone && by.is_none() && self.lock().stands_without(&taken.changes, secret_change, &error) {
            // The page is worth more than what it counts.
            self.context.events.report_failure(target.id(), &error);
            self.lock().lose(&taken, &error);
            return Ok(None);
        }
        if let (ErrorKind::InvalidField, Some(write)) = (error.kind(), fallback) {
            // Action cannot be stored keeps neither the old secret alive nor a right that was taken away.
            let kept = (after == Afterwards::Handles).then(|| write.delta.clone());
            let in_flight = InFlight::begin(self, &write, removal.is_some(), taken);
            let mut fallen_back = Box::pin(self.write_caught(write, &[], kept.as_ref())).await;
            if let (Err(refused), Some(removal)) = (&fallen_back, &removal)
                && refused.kind() == ErrorKind::Conflict
            {
                fallen_back = self.take_away_caught(removal).await;
            }
            taken = in_flight.end();
            let mut state = self.lock();
            taken.keep_removed_rights(&state.record, &self.context.rules);
            match fallen_back {
                Ok(()) => state.log.note_written(&taken.changes, &taken.ends),
                Err(second) => {
                    drop(state);
                    self.failed(target, &second, incarnation, taken);
                    self.report_failure(&error);
                    return Err(error);
                }
            }
        }
        if part == Part::Removal && error.kind() != ErrorKind::Unavailable {
            // Those saves are still to come, and would find nothing left to do.
            self.lock().fail_saves_of(&taken, by, &error);
        }
        self.failed(target, &error, incarnation, taken);
        Err(error)
    }

    /// The fields of which the store alone knows what they become.
    fn merged(&self, delta: &Delta) -> Vec<FieldName> {
        let is_merged = |op: &Op| matches!(op, Op::PutIfAbsent(_) | Op::Add(_) | Op::Max(_) | Op::Min(_));
        // Action is sealed for the store comes back sealed.
        let merged =
            delta.ops().iter().filter(|(name, op)| is_merged(op) && !self.context.rules.is_secret(name));
        merged.map(|(name, _)| name.clone()).collect()
    }

    async fn take_away_caught(&self, removal: &RightsRemoval) -> Result<(), Error> {
        let mut removing = pin!(self.take_away(removal));
        poll_fn(|context| caught(|| removing.as_mut().poll(context))).await
    }

    /// Reports the reason for which something of this request is not written. Each error that becomes a response is
    /// reported once: where it arises, or here.
    pub(crate) fn report_failure(&self, error: &Error) {
        let record = match &*self.lock() {
            RequestState { record: RecordState::Live(live), .. } => Some(live.id),
            state => state.superseded,
        };
        self.context.events.report_failure(record, error);
    }

    /// Reports that something was not written, and notes it.
    pub(super) fn failed(&self, target: Target, error: &Error, incarnation: u32, taken: TakenChanges) {
        self.context.events.report_failure(target.id(), error);
        self.note_failed(error, incarnation, taken);
    }

    /// Puts back what certainly was not written, unless its session was ended since.
    fn note_failed(&self, error: &Error, incarnation: u32, mut taken: TakenChanges) {
        let mut state = self.lock();
        let is_to_be_tried = state.incarnation == incarnation && error.kind() == ErrorKind::Unavailable;
        if is_to_be_tried && state.put_back(&mut taken, &self.context.rules) {
            return;
        }
        state.lose(&taken, error);
        if state.incarnation == incarnation {
            state.unreported = Some(error.duplicate());
        }
    }

    /// A store that panics is one that fails.
    pub(super) async fn write_caught(
        &self,
        write: Write,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        let mut writing = pin!(self.write(write, returning, kept));
        poll_fn(|context| caught(|| writing.as_mut().poll(context))).await
    }

    /// One atomic operation of the store. `kept` are the changes, for what is known after it.
    async fn write(&self, write: Write, returning: &[FieldName], kept: Option<&Delta>) -> Result<(), Error> {
        if write.grows_to > self.context.sizes.record {
            let largest = write.delta.ops().iter().max_by_key(|(_, op)| op.size());
            return Err(Error::record_too_large(self.context.sizes.record, largest.map(|(name, _)| name)));
        }
        let Target::Record { id, epoch, touch } = write.target else {
            return Box::pin(self.create(write.delta, write.rights, write.incarnation)).await;
        };
        if write.secret_change != SecretChange::None {
            return Box::pin(self.rotate_record((id, epoch, touch), write, returning, kept)).await;
        }
        let Write { delta, is_carry_only, .. } = write;
        let carried = (is_carry_only && !delta.is_empty()).then(|| delta.clone());
        let commit = self.commit((id, epoch, touch), delta, returning)?;
        let answer = self.send(id, commit).await?;
        // Its times may have changed with its secret, so that what is over by the old ones may be alive.
        if let (CommitOutcome::StaleEpoch | CommitOutcome::NotFound, Some(delta)) = (&answer, carried) {
            return Box::pin(self.carry_over((id, epoch, touch), delta, returning, kept)).await;
        }
        let values = self.applied(answer)?;
        if kept.is_some() {
            self.update_local(id, kept, None, returning, &values);
        }
        Ok(())
    }

    /// Sends a commit. A record that cannot be read any more is none.
    pub(super) async fn send(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        match self.with_timeout(self.context.store.commit(id, commit), Error::outcome_unknown).await {
            Err(error) if error.kind() == ErrorKind::Unreadable => {
                self.report_unreadable(id, &error);
                Ok(CommitOutcome::NotFound)
            }
            answer => answer,
        }
    }

    /// The values that were asked for, or why nothing was written.
    pub(super) fn applied(&self, answer: CommitOutcome) -> Result<Vec<Option<Bytes>>, Error> {
        if matches!(answer, CommitOutcome::NotFound | CommitOutcome::StaleEpoch) {
            self.lock().forget_renewal();
        }
        match answer {
            CommitOutcome::Applied(values) => Ok(values),
            CommitOutcome::NotFound => Err(Error::ended_meanwhile()),
            CommitOutcome::StaleEpoch | CommitOutcome::CredentialsChanged => Err(Error::superseded()),
            CommitOutcome::Invalid(name) => Err(Error::not_an_integer(&name)),
        }
    }

    /// A commit with a new secret.
    async fn rotate_record(
        &self,
        target @ (id, epoch, _): (RecordId, u64, bool),
        write: Write,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        let Write { secret_change, is_carry_only, incarnation, .. } = write;
        let _changing = (secret_change > SecretChange::Renewal).then(|| self.changing());
        for _ in 0..CREDENTIALS_ATTEMPTS {
            let new_credentials = self.new_credentials(id, &write)?;
            let mut commit = self.commit(target, write.delta.clone(), returning)?;
            if let Some(new_credentials) = &new_credentials {
                let commit_id = CommitId::from_bytes(random::bytes()?);
                commit = commit
                    .with_id(commit_id)
                    .with_credentials_change(new_credentials.credentials_change.clone());
            }
            match self.send(id, commit).await? {
                // Another request renewed the secret: as long as the powers are the same, so is this.
                CommitOutcome::CredentialsChanged => self.reload_credentials(id, epoch).await?,
                CommitOutcome::NotFound | CommitOutcome::StaleEpoch
                    if secret_change == SecretChange::Login =>
                {
                    // Two logins at once, or a logout before this one: whoever has proved who it is needs
                    // nothing of what the old secret stood for.
                    return Box::pin(self.create(write.delta, write.rights, incarnation)).await;
                }
                CommitOutcome::StaleEpoch | CommitOutcome::NotFound
                    if secret_change == SecretChange::Renewal && is_carry_only && !write.delta.is_empty() =>
                {
                    return Box::pin(self.carry_over(target, write.delta, returning, kept)).await;
                }
                answer => {
                    let values = self.applied(answer)?;
                    self.report_rotation(id, secret_change, new_credentials.as_ref());
                    self.update_local(id, kept, new_credentials, returning, &values);
                    return Ok(());
                }
            }
        }
        Err(Error::superseded())
    }

    fn report_rotation(
        &self,
        record: RecordId,
        secret_change: SecretChange,
        new_credentials: Option<&NewCredentials>,
    ) {
        let Some(NewCredentials { secret, .. }) = new_credentials else { return };
        let cause = match secret_change {
            SecretChange::None | SecretChange::Renewal => {
                if secret.is_some() {
                    self.context.events.report(&Event::Renewed { record });
                }
                return;
            }
            SecretChange::Rotation => RotationCause::Other,
            SecretChange::Reauthentication => RotationCause::Reauthentication,
            SecretChange::Login => RotationCause::Login,
            SecretChange::Logout => RotationCause::Logout,
        };
        self.context.events.report(&Event::Rotated { record, cause });
    }

    /// Action is to take the place of the record's credentials; `None` if another request has done it already.
    fn new_credentials(&self, id: RecordId, write: &Write) -> Result<Option<NewCredentials>, Error> {
        let secret_change = write.secret_change;
        let (fresh, salt) = (Secret::from_bytes(random::bytes()?), random::bytes()?);
        let mut state = self.lock();
        let said = state.requested.options;
        let RequestState { record: RecordState::Live(live), cookie, .. } = &mut *state else {
            return Err(Error::session_ended());
        };
        if live.id != id {
            return Err(Error::session_ended());
        }
        let (mut authority, now) = (live.authority.clone(), live.now());
        let secret;
        if secret_change > SecretChange::Renewal {
            authority.replace(self.context.hasher.hash(&id, &fresh), now);
            secret = Some(fresh);
            note_rights(&mut authority, write, now);
            let is_over =
                secret_change == SecretChange::Logout || live.holds_rights() && authority.rights.is_empty();
            // Action was said at one user's login says nothing of the next one's.
            let before = if is_over { SessionOptions::default() } else { SessionOptions::of(&authority) };
            before.and(said).note_in(&mut authority);
        } else {
            let presented = self.context.hasher.hash(&id, &live.secret);
            match authority.compare(&presented, now) {
                Match::Renewed => {
                    authority.end_renewal(now);
                    secret = None;
                }
                Match::Present if !live.ends_renewal => {
                    let next = live.secret.renewed(&id, &salt);
                    authority.begin_renewal(salt, self.context.hasher.hash(&id, &next));
                    secret = Some(next);
                }
                found => {
                    live.ends_renewal = false;
                    if let Match::Renewing(salt) = found {
                        let token = Token::new(id, live.secret.renewed(&id, &salt));
                        let max_age = live.max_age();
                        *cookie = CookieChange::Set { token, max_age, is_renewal: true };
                    }
                    return Ok(None);
                }
            }
        }
        let timeouts = self.context.timeouts_of(&authority);
        if secret.is_some() {
            let created = if secret_change == SecretChange::Login { now } else { live.created };
            authority.cookie_hours = cookie_hours(&timeouts, now.saturating_since(created));
        }
        let mut credentials_change =
            secret_change.credentials_change(live.credentials.clone(), authority.credentials());
        if timeouts != live.timeouts {
            // For the store what the layer grants: the session's own time may be longer again one day.
            credentials_change =
                credentials_change.with_timeouts(self.context.timeouts.of_kind(authority.kind()));
        }
        let ends_login = secret_change == SecretChange::Logout;
        Ok(Some(NewCredentials { secret, authority, credentials_change, timeouts, ends_login, said, now }))
    }

    /// Action belongs to the browser is written all the same if the secret was replaced a moment ago.
    async fn carry_over(
        &self,
        (id, epoch, touch): (RecordId, u64, bool),
        delta: Delta,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        self.lock().forget_renewal();
        let Some(loaded) = self.load(id, &[]).await? else { return Err(Error::ended_meanwhile()) };
        let authority = self.read(id, &loaded).filter(|authority| self.is_alive(&loaded, authority));
        let Some(authority) = authority else { return Err(Error::ended_meanwhile()) };
        let was = self.lock().live().map(|live| live.authority.hash);
        let is_previous = loaded.epoch == epoch.wrapping_add(1)
            && was.is_some_and(|was| {
                // It is still the present one where rights were taken away without another.
                let found = authority.compare(&was, loaded.now);
                matches!(found, Match::Superseded | Match::Present | Match::Renewing(_))
            });
        if !is_previous {
            return Err(Error::superseded());
        }
        let mut commit = self.commit((id, loaded.epoch, touch), delta, returning)?;
        commit.timeouts = self.context.timeouts_of(&authority);
        let answer = self.send(id, commit).await?;
        let values = self.applied(answer)?;
        self.update_local(id, kept, None, returning, &values);
        Ok(())
    }

    /// Reads what another request has made of the credentials, in the same epoch.
    async fn reload_credentials(&self, id: RecordId, epoch: u64) -> Result<(), Error> {
        let (loaded, authority) = self.load_again(id, epoch, &[]).await?;
        if let RecordState::Live(live) = &mut self.lock().record
            && live.id == id
        {
            (live.credentials, live.authority) = (loaded.credentials, authority);
        }
        Ok(())
    }

    /// Action the store is to do, but for a new secret.
    fn commit(
        &self,
        (id, epoch, touch): (RecordId, u64, bool),
        delta: Delta,
        returning: &[FieldName],
    ) -> Result<Commit, Error> {
        let timeouts = self.lock().live().map_or(self.context.timeouts, |live| live.timeouts);
        let mut commit = Commit::new(epoch, timeouts).with_touch(touch).returning(returning.to_vec());
        if delta.ops().iter().any(|(_, op)| matches!(op, Op::Add(_))) {
            commit = commit.with_id(CommitId::from_bytes(random::bytes()?));
        }
        Ok(commit.with_delta(self.sealed_delta(id, delta)?))
    }

    async fn destroy_ended(&self) -> Result<(), Error> {
        loop {
            let Some(id) = self.lock().destroy.last().copied() else { return Ok(()) };
            if let Err(error) =
                self.with_timeout(self.context.store.destroy(id), Error::outcome_unknown).await
            {
                self.context.events.report_failure(Some(id), &error);
                return Err(error);
            }
            self.context.events.report(&Event::Destroyed { record: id });
            self.context.watchers.publish(id, Seen::Over);
            let mut state = self.lock();
            state.destroy.retain(|ended| *ended != id);
            // A session that began after it keeps its cookie.
            let began_after = matches!(&state.cookie, CookieChange::Set { token, .. } if token.id() != id);
            if !began_after {
                state.cookie = CookieChange::Remove;
            }
        }
    }

    async fn create(&self, delta: Delta, rights: Rights, incarnation: u32) -> Result<(), Error> {
        let mut fields = Fields::new();
        delta.apply(&mut fields).map_err(|name| Error::not_an_integer(&name))?;
        if fields.is_empty() {
            return Ok(());
        }
        {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                return Err(Error::session_ended());
            }
            state.keep_terms();
        }
        let id = RecordId::from_bytes(random::bytes()?);
        let secret = Secret::from_bytes(random::bytes()?);
        let mut authority = Authority::new(self.context.hasher.hash(&id, &secret));
        authority.rights = rights.names;
        authority.rights.retain(|name| fields.contains(name.as_str()));
        authority.identity = rights.identity.filter(|name| fields.contains(name.as_str()));
        if authority.identity.is_some() {
            authority.proof = Proof::AtCreation;
        }
        let said = self.lock().requested.options;
        said.note_in(&mut authority);
        let timeouts = self.context.timeouts_of(&authority);
        authority.cookie_hours = cookie_hours(&timeouts, Duration::ZERO);
        let credentials = authority.credentials();
        let (is_first_visit, is_login) = (authority.rights.is_empty(), authority.identity.is_some());
        let (stored, opened) = self.sealed_fields(id, delta, &fields)?;
        let new = NewRecord::new(credentials.clone(), self.context.timeouts.of_kind(authority.kind()))
            .with_fields(stored)
            .with_first_visit(is_first_visit);
        let creating = self.context.store.create(id, new);
        let created = match self.with_timeout(creating, Error::outcome_unknown).await? {
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
            ends_renewal: false,
            created,
            // This request is its first use.
            touched: created,
            loaded_at: created,
            since: self.context.stopwatch.start(),
            began_here: false,
            fields,
            names: None,
            opened,
            examined: self.context.rules.number(),
            is_withheld: false,
        });
        {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                // Ended before it was there: it must not be there for anybody.
                state.destroy.push(id);
                return Err(Error::session_ended());
            }
            let max_age = record.max_age();
            let token = Token::new(id, secret);
            state.cookie = CookieChange::Set { token, max_age, is_renewal: false };
            state.record = RecordState::Live(record);
            state.terms_noted(said);
            state.publish_record();
        }
        self.context.events.report(&Event::Created { record: id, is_login });
        self.purge_now_and_then(created);
        Ok(())
    }

    /// Action is known after a commit that went through.
    fn update_local(
        &self,
        id: RecordId,
        delta: Option<&Delta>,
        new_credentials: Option<NewCredentials>,
        names: &[FieldName],
        values: &[Option<Bytes>],
    ) {
        let mut state = self.lock();
        if let Some(NewCredentials { said, credentials_change, .. }) = &new_credentials
            && credentials_change.changes_epoch()
        {
            state.terms_noted(*said);
        }
        let RequestState { record, cookie, .. } = &mut *state;
        let RecordState::Live(live) = record else { return };
        if live.id != id {
            return;
        }
        // Applied to what was loaded; the store applied it to what was there, which may be newer.
        if let Some(delta) = delta {
            let _ = delta.apply(&mut live.fields);
        }
        // Of a record that it sees as after a logout, a request knows what it did itself, and what outlives a logout.
        let shown = live.is_withheld.then(|| live.carried(&self.context.rules));
        let is_shown = |name: &FieldName| shown.as_ref().is_none_or(|shown| shown.contains(name));
        for (name, value) in names.iter().zip(values).filter(|(name, _)| is_shown(name)) {
            match value {
                Some(value) => live.fields.insert(name.clone(), value.clone()),
                None => live.fields.remove(name.as_str()),
            }
        }
        let Some(NewCredentials { secret, authority, credentials_change, timeouts, ends_login, now, .. }) =
            new_credentials
        else {
            return;
        };
        live.timeouts = timeouts;
        let rights_before = std::mem::take(&mut live.authority.rights);
        (live.credentials, live.authority) = (credentials_change.credentials().clone(), authority);
        live.epoch = live.epoch.wrapping_add(credentials_change.changes_epoch().into());
        live.ends_renewal = false;
        // A change of rights has ended what cannot be read, also where the rights after it have the same names.
        live.is_withheld &= !ends_login && live.authority.rights == rights_before;
        if credentials_change.is_login() {
            (live.created, live.touched) = (now, now);
            live.began_here = true;
        }
        if let Some(secret) = secret {
            if credentials_change.changes_epoch() {
                live.secret = secret.clone();
            }
            let token = Token::new(id, secret);
            let max_age = live.max_age();
            *cookie = CookieChange::Set { token, max_age, is_renewal: !credentials_change.changes_epoch() };
        }
        if credentials_change.changes_epoch() {
            let epoch = live.epoch;
            state.publish_record();
            drop(state);
            self.context.watchers.publish(id, Seen::Alive(epoch));
        }
    }

    /// Has the store clean up, once a minute, after a create: what fills a store also empties it.
    fn purge_now_and_then(&self, now: Timestamp) {
        let context = &self.context;
        let last = context.last_purge.load(Ordering::Relaxed);
        if now.saturating_since(Timestamp::from_millis(last)) < PURGE_EVERY {
            return;
        }
        // Instances that were started at once are not to purge at once for ever.
        let [jitter] = random::bytes().unwrap_or_default();
        let counted = now.saturating_add(PURGE_JITTER * jitter.into() / 256).as_millis();
        let swapped =
            context.last_purge.compare_exchange(last, counted, Ordering::Relaxed, Ordering::Relaxed);
        let mine = swapped.is_ok();
        if !mine || context.store.expires_by_itself() {
            return;
        }
        let context = Arc::clone(context);
        tokio::spawn(async move {
            loop {
                match context.store.purge(context.timeouts, PURGED_AT_ONCE).await {
                    // There may be more; but others are to have their turn.
                    Ok(purged) if purged >= PURGED_AT_ONCE => tokio::task::yield_now().await,
                    Ok(_) => return,
                    Err(error) => return context.events.report(&Event::PurgeFailed { error: &error }),
                }
            }
        });
    }
}

/// A write on its way. If it is dropped, nobody knows what became of it.
pub(super) struct InFlight<'a> {
    slot: &'a Slot,
    target: Target,
    incarnation: u32,
    taken: Option<TakenChanges>,
}

impl<'a> InFlight<'a> {
    pub(super) fn begin(slot: &'a Slot, write: &Write, takes_away: bool, taken: TakenChanges) -> Self {
        slot.lock().is_rotating = takes_away || write.secret_change > SecretChange::Renewal;
        Self { slot, target: write.target, incarnation: write.incarnation, taken: Some(taken) }
    }

    /// Action it was made of, for when it has failed.
    pub(super) fn end(mut self) -> TakenChanges {
        self.taken.take().unwrap_or_default()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.slot.lock().is_rotating = false;
        if let Some(taken) = self.taken.take() {
            let error = Error::outcome_unknown(UNFINISHED);
            if std::thread::panicking() {
                // Otherwise the work that it belongs to reports that it was stopped.
                self.slot.context.events.report_failure(self.target.id(), &error);
            }
            self.slot.note_failed(&error, self.incarnation, taken);
        }
    }
}

/// Notes which rights there are after a write, and whether somebody has proved who it is.
fn note_rights(authority: &mut Authority, write: &Write, now: Timestamp) {
    let Write { rights, secret_change, .. } = write;
    rights.note_in(authority);
    authority.proof = match secret_change {
        SecretChange::None | SecretChange::Renewal | SecretChange::Rotation => authority.proof,
        SecretChange::Login => Proof::AtCreation,
        SecretChange::Reauthentication | SecretChange::Logout if authority.identity.is_some() => {
            Proof::At(now)
        }
        SecretChange::Reauthentication | SecretChange::Logout => Proof::None,
    };
}

impl SecretChange {
    fn credentials_change(self, from: Credentials, to: Credentials) -> CredentialsChange {
        match self {
            Self::Login => CredentialsChange::login(to).in_place_of(from),
            Self::Renewal => CredentialsChange::renewal(from, to),
            _ => CredentialsChange::rotation(to).in_place_of(from),
        }
    }
}
