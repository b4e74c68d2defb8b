//! What one request knows of its session and wants done: plain values, no I/O.

use std::time::Duration;

use bytes::Bytes;

use super::ledger::{Deed, FieldChange, Ledger, Right, changes_a_right, removed_rights};
use crate::{
    delta::Delta,
    error::Error,
    value::{FieldName, Fields, RecordId, Timeouts, Timestamp, Token},
};

/// The session of one request.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) record: Phase,
    /// Counts the records that this request has ended; a handle of an earlier one has no say.
    pub(super) life: u32,
    pub(super) ledger: Ledger,
    /// Somebody asked for a new secret.
    pub(super) rotation_wanted: bool,
    pub(super) destroy: Vec<RecordId>,
    /// What `now_…` set: for this request only.
    pub(super) request_only: Fields,
    pub(super) cookie: CookieChange,
    /// A save failed, and whoever asked for it may not have waited to hear so.
    pub(super) unheard: Option<Error>,
    saves: Saves,
    pub(super) head_sent: bool,
    /// The request ended without a response.
    pub(super) abandoned: bool,
}

/// What became of the changes that were handed over to be saved: another save may have taken them along.
#[derive(Debug, Default)]
struct Saves {
    /// How many there were, and how many of those were taken to be written.
    handed: u64,
    taken: u64,
    /// Those that were taken and lost, after the first number and up to the second.
    lost: Vec<(u64, u64, Error)>,
}

/// What is known of the request's record.
#[derive(Debug, Default)]
pub(super) enum Phase {
    /// Nobody asked yet.
    #[default]
    Unloaded,
    /// The request has no live record.
    Absent,
    /// It has this one.
    Live(Live),
}

/// A record that the request has the rights to.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: RecordId,
    pub(super) epoch: u64,
    pub(super) created: Timestamp,
    pub(super) touched: Timestamp,
    pub(super) loaded_at: Timestamp,
    pub(super) fields: Fields,
    /// The names that were asked for; `None` if all fields are here.
    pub(super) names: Option<Vec<FieldName>>,
}

/// What the response does to the browser's cookie.
#[derive(Debug, Default)]
pub(crate) enum CookieChange {
    #[default]
    None,
    Set {
        token: Token,
        max_age: Duration,
    },
    Remove,
}

/// What a flush writes, besides destroying.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) delta: Delta,
    pub(super) rotate: bool,
    pub(super) taken: Taken,
    /// What fails all the same, once the rotation is done.
    pub(super) failure: Option<Error>,
}

/// What a plan is made of, for when it fails.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) deeds: Vec<Deed>,
    pub(super) rotation_wanted: bool,
    /// The saves that it takes along: after the first number and up to the second.
    saves: (u64, u64),
}

/// Where a write goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    New,
    Record { id: RecordId, epoch: u64, touch: bool },
}

/// What a handle hands over.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub(crate) changes: Vec<FieldChange>,
    /// `now_…` values; `None` for one that was taken.
    pub(crate) request_only: Vec<(FieldName, Option<Bytes>)>,
    /// A change that cannot be stored, and when it was made.
    pub(crate) failure: Option<(u64, Error)>,
}

impl Target {
    pub(super) const fn id(&self) -> Option<RecordId> {
        match self {
            Self::New => None,
            Self::Record { id, .. } => Some(*id),
        }
    }
}

impl Handed {
    pub(crate) const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.request_only.is_empty() && self.failure.is_none()
    }
}

impl Phase {
    pub(super) const fn live(&self) -> Option<&Live> {
        match self {
            Self::Live(live) => Some(live),
            Self::Unloaded | Self::Absent => None,
        }
    }

    /// A field as it was loaded.
    pub(super) fn loaded(&self, name: &FieldName) -> Option<&Bytes> {
        self.live()?.fields.get(name.as_str())
    }
}

impl State {
    pub(super) const fn live(&self) -> Option<&Live> {
        self.record.live()
    }

    /// Whether a view of these fields can be served without asking the store.
    pub(super) fn covers(&self, names: &[FieldName]) -> bool {
        match &self.record {
            Phase::Unloaded => false,
            Phase::Absent => true,
            Phase::Live(live) => live.missing(names).is_empty(),
        }
    }

    /// The fields as this request sees them: as loaded, with what was handed over since.
    pub(super) fn visible(&self) -> Fields {
        let mut fields = self.live().map(|live| live.fields.clone()).unwrap_or_default();
        if !self.ledger.is_empty() {
            // A field that cannot take its operation fails the commit, which tells the user.
            let _ = self.ledger.visible_delta(&self.record).apply(&mut fields);
        }
        fields
    }

    pub(super) fn accept(&mut self, by: u64, handed: Handed) {
        for (name, value) in handed.request_only {
            match value {
                Some(value) => self.request_only.insert(name, value),
                None => self.request_only.remove(name.as_str()),
            }
        }
        self.ledger.enter(by, handed.changes, handed.failure);
    }

    /// Takes what a save is to write, and gives the save a number.
    pub(super) fn accept_for_save(&mut self, by: u64, handed: Handed) -> u64 {
        self.accept(by, handed);
        self.ledger.is_to_be_saved(by);
        self.saves.handed += 1;
        self.saves.handed
    }

    /// Why what this save handed over was lost, if it was.
    pub(super) fn loss_of(&self, save: u64) -> Option<Error> {
        let lost = self.saves.lost.iter().find(|(after, upto, _)| *after < save && save <= *upto);
        lost.map(|(.., error)| error.duplicate())
    }

    /// Ends the record, and all that was to be done to it. What comes next begins a new one.
    pub(super) fn end(&mut self) {
        if let Phase::Live(live) = &self.record {
            self.destroy.push(live.id);
            self.record = Phase::Absent;
        }
        self.life += 1;
        self.lose_waiting(Error::session_ended);
        self.rotation_wanted = false;
        self.request_only = Fields::new();
        self.ledger.begin_anew();
    }

    /// Removes all fields; `rights` are those that the caller knows to be rights.
    pub(super) fn clear(&mut self, by: u64, at: u64, rights: Vec<Right>) {
        self.request_only = Fields::new();
        self.ledger.clear(by, at, rights);
    }

    /// A failing response takes the changes with it, but never a logout, a rotation that was asked for or the
    /// removal of a right.
    pub(super) fn discard(&mut self) {
        self.lose_waiting(|| Error::refused("the request failed before this was written"));
        self.ledger.keep_removed_rights(&self.record);
    }

    /// Whether there is anything to write but a touch.
    pub(super) fn is_done(&self) -> bool {
        self.ledger.is_empty() && self.destroy.is_empty() && !self.rotation_wanted
    }

    /// Whether the next commit brings a new secret.
    pub(super) fn rotates(&self) -> bool {
        self.live().is_some() && (self.rotation_wanted || self.ledger.changes_a_right(&self.record))
    }

    pub(super) fn forget_fields(&mut self) {
        if let Phase::Live(live) = &mut self.record {
            live.fields = Fields::new();
        }
    }

    /// Where a write of this request goes now.
    pub(super) fn target(&self, timeouts: &Timeouts) -> Result<Target, Error> {
        // A late write comes at an unknown time after the load, so it always counts as a use.
        let touch = self.head_sent || self.needs_touch(timeouts);
        match self.live() {
            Some(live) => Ok(Target::Record { id: live.id, epoch: live.epoch, touch }),
            None if self.head_sent => Err(Error::head_sent()),
            None => Ok(Target::New),
        }
    }

    /// Whether this use must be recorded even if nothing else is written.
    pub(super) fn needs_touch(&self, timeouts: &Timeouts) -> bool {
        self.live().is_some_and(|live| timeouts.needs_touch(live.touched, live.loaded_at))
    }

    /// Takes out what is to be written now.
    pub(super) fn plan(&mut self, timeouts: &Timeouts) -> Result<Option<Plan>, Error> {
        let saves = self.saves.take();
        let planned = self.plan_of(timeouts, saves);
        if let Err(error) = &planned {
            self.saves.lose(saves, error);
        }
        planned
    }

    fn plan_of(&mut self, timeouts: &Timeouts, saves: (u64, u64)) -> Result<Option<Plan>, Error> {
        let (delta, failure) = match self.ledger.delta(&self.record) {
            Ok(delta) => (delta, None),
            Err(error) => {
                // What cannot be stored keeps neither the old secret alive nor a right that was taken away.
                self.ledger.keep_removed_rights(&self.record);
                let rescued = self.ledger.delta(&self.record).ok().filter(|_| self.rotates());
                let Some(delta) = rescued else {
                    self.ledger.take();
                    return Err(error);
                };
                (delta, Some(error))
            }
        };
        let rotate = self.rotates();
        let deeds = self.ledger.take();
        let rotation_wanted = std::mem::take(&mut self.rotation_wanted);
        let is_nothing = delta.is_empty() && !rotate && !self.needs_touch(timeouts);
        if is_nothing || (self.live().is_none() && !creates(&delta)?) {
            return Ok(None);
        }
        // Nobody is left to be given the new secret; but a right that was taken away is gone.
        if rotate && self.head_sent && !self.abandoned {
            return Err(failure.unwrap_or_else(Error::head_sent));
        }
        let target = self.target(timeouts)?;
        let taken = Taken { deeds, rotation_wanted, saves };
        Ok(Some(Plan { target, delta, rotate, taken, failure }))
    }

    /// Takes out what is to be done to one field, to be written by itself.
    pub(super) fn take_fields(&mut self, change: &FieldChange) -> Taken {
        let deeds = self.ledger.take_fields(change);
        let Saves { taken, handed, .. } = self.saves;
        // If it is lost, nobody can say whose it was.
        let saves = if deeds.is_empty() { (handed, handed) } else { (taken, handed) };
        Taken { deeds, rotation_wanted: false, saves }
    }

    /// What is left of a plan that failed because of something in it that cannot be stored.
    pub(super) fn rescued(&self, taken: &mut Taken) -> Option<Delta> {
        taken.deeds = removed_rights(std::mem::take(&mut taken.deeds), &self.record);
        let rotates = taken.rotation_wanted || changes_a_right(&taken.deeds, &self.record);
        rotates.then(|| self.ledger.delta_of(&taken.deeds, &self.record).unwrap_or_default())
    }

    /// Puts back what certainly was not written.
    pub(super) fn put_back(&mut self, taken: Taken) {
        self.ledger.put_back(taken.deeds);
        self.rotation_wanted |= taken.rotation_wanted;
        // They are to be taken along once more.
        self.saves.taken = self.saves.taken.min(taken.saves.0);
    }

    /// Notes that what was taken is not done, or nobody knows.
    pub(super) fn lose(&mut self, taken: &Taken, error: &Error) {
        self.saves.lose(taken.saves, error);
    }

    fn lose_waiting(&mut self, error: impl FnOnce() -> Error) {
        let (after, upto) = self.saves.take();
        if after < upto {
            self.saves.lose((after, upto), &error());
        }
    }
}

impl Saves {
    /// Those that wait: after the first number and up to the second.
    const fn take(&mut self) -> (u64, u64) {
        let after = std::mem::replace(&mut self.taken, self.handed);
        (after, self.handed)
    }

    fn lose(&mut self, (after, upto): (u64, u64), error: &Error) {
        if after < upto {
            self.lost.push((after, upto, error.duplicate()));
        }
    }
}

/// Whether a new record would have anything in it: an empty one is never created.
fn creates(delta: &Delta) -> Result<bool, Error> {
    let mut fields = Fields::new();
    delta.apply(&mut fields).map_err(|name| Error::not_an_integer(&name))?;
    Ok(!fields.is_empty())
}

impl Live {
    /// These names, and those of all fields that are here.
    pub(super) fn with_names(&self, names: &[FieldName]) -> Vec<FieldName> {
        let known = self.names.clone();
        let mut all = known.unwrap_or_else(|| self.fields.iter().map(|(name, _)| name.clone()).collect());
        all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
        all
    }

    pub(super) fn missing(&self, names: &[FieldName]) -> Vec<FieldName> {
        match &self.names {
            None => Vec::new(),
            Some(known) => names.iter().filter(|name| !known.contains(name)).cloned().collect(),
        }
    }
}
