//! Rotation and renewal: commits that bring a new secret.

use bytes::Bytes;

use super::{
    Slot, cookie_change::cookie_hours, options::SessionOptions, planned_write::PlannedWrite,
    rights::SecretChange, watch::Sighting,
};
use crate::{
    delta::Delta,
    error::Error,
    event::{Event, RotationCause},
    random,
    store::{CommitId, CommitOutcome, CredentialsChange},
    value::{Authority, Credentials, FieldName, Match, Proof, RecordId, Secret, Timeouts, Timestamp},
};

/// The number of times that a rotation is tried which finds the record's credentials renewed.
const ATTEMPTS: usize = 3;

/// The credentials that a commit puts in the place of a record's.
pub(super) struct NewCredentials {
    /// The secret that the browser is to have, if that is another one.
    secret: Option<Secret>,
    authority: Authority,
    change: CredentialsChange,
    /// The session's timeouts after it.
    timeouts: Timeouts,
    /// True if the login ends that the record had.
    ends_login: bool,
    /// The options that the request asked for.
    requested: SessionOptions,
    /// The store's time.
    now: Timestamp,
}

impl Slot {
    /// Commits a write with a new secret.
    pub(super) async fn change_secret(
        &self,
        target @ (id, epoch, _): (RecordId, u64, bool),
        write: PlannedWrite,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        let PlannedWrite { secret_change, is_kept_only, incarnation, .. } = write;
        let _changing = secret_change.is_rotation().then(|| self.changing());
        for _ in 0..ATTEMPTS {
            let new = self.new_credentials(id, &write)?;
            let mut commit = self.commit(target, write.delta.clone(), returning)?;
            if let Some(new) = &new {
                let commit_id = CommitId::from_bytes(random::bytes()?);
                commit = commit.with_id(commit_id).with_credentials_change(new.change.clone());
            }
            match self.send(id, commit).await? {
                // Another request renewed the secret: as long as the powers are the same, so is this.
                CommitOutcome::CredentialsChanged => self.reload_credentials(id, epoch).await?,
                CommitOutcome::NotFound | CommitOutcome::StaleEpoch
                    if secret_change == SecretChange::Login =>
                {
                    // Two logins at once, or a logout before this one. A user who has proved who they are needs
                    // nothing of what the old secret stood for.
                    let delta = write.delta.unconditional();
                    return Box::pin(self.create(delta, write.rights, incarnation)).await;
                }
                CommitOutcome::StaleEpoch | CommitOutcome::NotFound
                    if secret_change == SecretChange::Renewal && is_kept_only && !write.delta.is_empty() =>
                {
                    return Box::pin(self.write_to_next_epoch(target, write.delta, returning, kept)).await;
                }
                outcome => {
                    let values = self.applied(outcome)?;
                    self.report_change(id, secret_change, new.as_ref());
                    self.update_local(id, kept, returning, &values, new);
                    return Ok(());
                }
            }
        }
        Err(Error::superseded())
    }

    fn report_change(&self, record: RecordId, secret_change: SecretChange, new: Option<&NewCredentials>) {
        let Some(NewCredentials { secret, .. }) = new else { return };
        let cause = match secret_change {
            SecretChange::None | SecretChange::Renewal => {
                if secret.is_some() {
                    self.context().events.report(&Event::Renewed { record });
                }
                return;
            }
            SecretChange::Rotation => RotationCause::Other,
            SecretChange::Reauthentication => RotationCause::Reauthentication,
            SecretChange::Login => RotationCause::Login,
            SecretChange::Logout => RotationCause::Logout,
        };
        self.context().events.report(&Event::Rotated { record, cause });
    }

    /// Makes the credentials that take the place of the record's; `None` if another request has done it already.
    fn new_credentials(&self, id: RecordId, write: &PlannedWrite) -> Result<Option<NewCredentials>, Error> {
        let secret_change = write.secret_change;
        let (fresh, salt) = (Secret::from_bytes(random::bytes()?), random::bytes()?);
        let mut state = self.lock();
        let requested = state.requested.session;
        let live = state.record.live_mut(id).ok_or_else(Error::session_ended)?;
        let (mut authority, now) = (live.authority.clone(), live.now());
        let secret;
        if secret_change.is_rotation() {
            authority.replace(self.context().hasher.hash(&id, &fresh), now);
            secret = Some(fresh);
            note_rights(&mut authority, write, now);
            let is_over =
                secret_change == SecretChange::Logout || live.holds_rights() && authority.rights.is_empty();
            // The options of one user's login are not the next user's.
            let before = if is_over { SessionOptions::default() } else { SessionOptions::of(&authority) };
            before.and(requested).note_in(&mut authority);
        } else {
            let presented = self.context().hasher.hash(&id, &live.secret);
            match authority.compare(&presented, now) {
                Match::Renewed => {
                    authority.end_renewal(now);
                    secret = None;
                }
                Match::Present if !live.ends_renewal => {
                    let next = live.secret.renewed(&id, &salt);
                    authority.begin_renewal(salt, self.context().hasher.hash(&id, &next));
                    secret = Some(next);
                }
                found => {
                    live.ends_renewal = false;
                    if let Match::Renewing(salt) = found {
                        let renewed = live.secret.renewed(&id, &salt);
                        state.give_secret(renewed, true);
                    }
                    return Ok(None);
                }
            }
        }
        let timeouts = self.context().timeouts_of(&authority);
        if secret.is_some() {
            let created = if secret_change == SecretChange::Login { now } else { live.created };
            authority.cookie_hours = cookie_hours(&timeouts, now.saturating_since(created));
        }
        let mut change = credentials_change(secret_change, live.credentials.clone(), authority.credentials());
        if timeouts != live.timeouts {
            // For the store what the layer grants: the session's own time may be longer again one day.
            change = change.with_timeouts(self.context().timeouts.of_kind(authority.kind()));
        }
        let ends_login = secret_change == SecretChange::Logout;
        Ok(Some(NewCredentials { secret, authority, change, timeouts, ends_login, requested, now }))
    }

    /// Notes what is known after a commit that was applied, and gives the browser a new secret.
    pub(super) fn update_local(
        &self,
        id: RecordId,
        delta: Option<&Delta>,
        names: &[FieldName],
        values: &[Option<Bytes>],
        new: Option<NewCredentials>,
    ) {
        let mut state = self.lock();
        if let Some(new) = &new
            && new.change.changes_epoch()
        {
            state.note_options(new.requested);
        }
        let Some(live) = state.record.live_mut(id) else { return };
        live.update_fields(delta, names, values, &self.context().rules);
        let Some(NewCredentials { secret, authority, change, timeouts, ends_login, now, .. }) = new else {
            return;
        };
        let (is_rotation, is_login) = (change.changes_epoch(), change.is_login());
        live.timeouts = timeouts;
        let rights_before = std::mem::take(&mut live.authority.rights);
        (live.credentials, live.authority) = (change.credentials().clone(), authority);
        live.epoch = live.epoch.wrapping_add(is_rotation.into());
        live.ends_renewal = false;
        // A change of rights has ended what cannot be read, also where the rights after it have the same names.
        live.is_withheld &= !ends_login && live.authority.rights == rights_before;
        if is_login {
            (live.created, live.touched) = (now, now);
            live.began_here = true;
        }
        let epoch = live.epoch;
        if let Some(secret) = secret {
            if is_rotation {
                live.secret = secret.clone();
            }
            state.give_secret(secret, !is_rotation);
        }
        if is_rotation {
            state.publish_record();
            drop(state);
            self.context().watchers.publish(id, Sighting::Alive(epoch));
        }
    }

    /// Reads what another request has made of the credentials, in the same epoch.
    async fn reload_credentials(&self, id: RecordId, epoch: u64) -> Result<(), Error> {
        let (loaded, authority) = self.load_again(id, epoch, &[]).await?;
        if let Some(live) = self.lock().record.live_mut(id) {
            (live.credentials, live.authority) = (loaded.credentials, authority);
        }
        Ok(())
    }

    /// Writes fields that outlive a logout, though the secret was replaced a moment ago.
    pub(super) async fn write_to_next_epoch(
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
        commit.timeouts = self.context().timeouts_of(&authority);
        let outcome = self.send(id, commit).await?;
        let values: Vec<Option<Bytes>> = self.applied(outcome)?;
        self.update_local(id, kept, returning, &values, None);
        Ok(())
    }
}

/// Notes which rights there are after a write, and when the user last proved who they are.
fn note_rights(authority: &mut Authority, write: &PlannedWrite, now: Timestamp) {
    let PlannedWrite { rights, secret_change, .. } = write;
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

fn credentials_change(secret_change: SecretChange, from: Credentials, to: Credentials) -> CredentialsChange {
    match secret_change {
        SecretChange::Login => CredentialsChange::login(to).in_place_of(from),
        SecretChange::Renewal => CredentialsChange::renewal(from, to),
        _ => CredentialsChange::rotation(to).in_place_of(from),
    }
}
