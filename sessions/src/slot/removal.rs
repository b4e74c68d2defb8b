//! The removal of rights where it cannot be part of a rotation: another request has rotated, or no response is left
//! to send a new secret.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};

use super::{
    Slot,
    field_rules::{FieldClass, Rules},
    options::SessionOptions,
    pending_change::PendingChange,
    record::{LiveRecord, kept_on_logout},
    rights::RecordRights,
    survive::caught,
    watch::Sighting,
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    event::Event,
    random,
    store::{Commit, CommitId, CommitOutcome, CredentialsChange, Loaded},
    value::{Authority, FieldName, Match, Proof, RecordId, Timestamp},
};

/// The number of times that it is tried against requests that change the record meanwhile.
const ATTEMPTS: usize = 16;

/// The most by which a record that this request restarted may be younger than the request thinks: the store says when.
const WITHIN: Duration = Duration::from_secs(10);

/// Rights that a request takes away, whatever the record's epoch is by then.
#[derive(Clone, Debug)]
pub(super) struct RightsRemoval {
    id: RecordId,
    /// Their stored names, older ones included.
    names: Vec<FieldName>,
    /// True if the login goes with them, and all that does not outlive it.
    ends_login: bool,
    /// The login that the request saw: a later one stays.
    of: SeenLogin,
}

/// A login, told from others of the same record.
#[derive(Clone, Copy, Debug)]
struct SeenLogin {
    epoch: u64,
    created: Timestamp,
    /// True if `created` is by the clock of this process.
    is_about: bool,
    proof: Proof,
}

impl RightsRemoval {
    /// The removal of the rights that these changes remove.
    pub(super) fn of<'a>(
        removed: impl IntoIterator<Item = &'a PendingChange>,
        live: &LiveRecord,
    ) -> Option<Self> {
        let (mut names, mut ends_login) = (Vec::new(), false);
        for change in removed.into_iter().filter_map(PendingChange::field) {
            names.extend(change.names());
            ends_login |= change.class == FieldClass::Identity;
        }
        let LiveRecord { id, epoch, created, began_here, authority, .. } = live;
        let of =
            SeenLogin { epoch: *epoch, created: *created, is_about: *began_here, proof: authority.proof };
        (!names.is_empty()).then_some(Self { id: *id, names, ends_login, of })
    }

    /// The record that it is about.
    pub(super) const fn id(&self) -> RecordId {
        self.id
    }

    /// Takes them out of the credentials of a record. Returns the fields that go with them.
    fn take_from(&self, authority: &mut Authority, rules: &Rules) -> Delta {
        let mut delta = Delta::new();
        if self.ends_login {
            delta.retain(kept_on_logout(authority, rules));
            RecordRights::default().note_in(authority);
            authority.proof = Proof::None;
        } else {
            authority.rights.retain(|name| !self.names.contains(name));
            for name in &self.names {
                delta.force(name.clone(), Op::Remove);
            }
        }
        if authority.rights.is_empty() {
            // The options of one user's login are not the next user's.
            SessionOptions::default().note_in(authority);
        }
        delta
    }
}

impl SeenLogin {
    /// True if a record is still in this login.
    fn is_still(&self, loaded: &Loaded, authority: &Authority) -> bool {
        let since = loaded.created.saturating_since(self.created);
        let began_then = loaded.created == self.created || (self.is_about && since < WITHIN);
        loaded.epoch == self.epoch || (authority.proof == self.proof && began_then)
    }
}

impl Slot {
    /// Takes rights away at the record's present epoch. Its secret stays, and from then on opens what is left. Behind
    /// the gate only.
    pub(super) async fn take_away(&self, removal: &RightsRemoval) -> Result<(), Error> {
        let mut removing = pin!(self.take_away_uncaught(removal));
        poll_fn(|context| caught(|| removing.as_mut().poll(context))).await
    }

    async fn take_away_uncaught(&self, removal: &RightsRemoval) -> Result<(), Error> {
        let id = removal.id;
        let _changing = self.changing();
        for _ in 0..ATTEMPTS {
            let Some(loaded) = self.load(id, &[]).await? else { return Ok(()) };
            let authority = self.read(id, &loaded).filter(|authority| self.is_alive(&loaded, authority));
            let Some(mut authority) = authority else { return Ok(()) };
            if !authority.rights.iter().any(|name| removal.names.contains(name)) {
                return Ok(());
            }
            if !removal.of.is_still(&loaded, &authority) {
                return Err(Error::later_login());
            }
            let before = self.context().timeouts_of(&authority);
            let delta = removal.take_from(&mut authority, &self.context().rules);
            let mut change =
                CredentialsChange::rotation(authority.credentials()).in_place_of(loaded.credentials.clone());
            if self.context().timeouts_of(&authority) != before {
                change = change.with_timeouts(self.context().timeouts.of_kind(authority.kind()));
            }
            let commit = Commit::new(loaded.epoch, before)
                .with_id(CommitId::from_bytes(random::bytes()?))
                .with_delta(delta.clone())
                .with_credentials_change(change);
            match self.send(id, commit).await? {
                CommitOutcome::StaleEpoch | CommitOutcome::CredentialsChanged => {}
                CommitOutcome::NotFound => return Ok(()),
                CommitOutcome::Applied(_) => {
                    self.note_taken_away(removal, &loaded, authority, &delta);
                    self.lock().publish_record();
                    self.context().watchers.publish(id, Sighting::Alive(loaded.epoch.wrapping_add(1)));
                    return Ok(());
                }
                other => return self.applied(other).map(drop),
            }
        }
        Err(Error::superseded())
    }

    fn note_taken_away(&self, removal: &RightsRemoval, loaded: &Loaded, authority: Authority, delta: &Delta) {
        let (record, fields) = (removal.id, removal.names.clone());
        self.context().events.report(&Event::RightsRemoved { record, fields });
        let mut state = self.lock();
        let Some(live) = state.record.live_mut(removal.id) else { return };
        // Nothing in it fails: it removes.
        let _ = delta.apply(&mut live.fields);
        live.is_withheld &= !removal.ends_login;
        let presented = self.context().hasher.hash(&live.id, &live.secret);
        let is_present =
            matches!(authority.compare(&presented, loaded.now), Match::Present | Match::Renewing(_));
        if is_present {
            live.credentials = authority.credentials();
            live.timeouts = self.context().timeouts_of(&authority);
            live.epoch = loaded.epoch.wrapping_add(1);
            live.authority = authority;
        } else {
            // Whatever else it does is refused, but it shows nothing of what is gone.
            (live.authority.rights, live.authority.identity) = (authority.rights, authority.identity);
            live.authority.proof = authority.proof;
        }
        drop(state);
        self.note_reset();
    }
}
