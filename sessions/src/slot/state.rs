//! What one request knows of its session and wants done: plain values, no I/O.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    delta::{Delta, Op},
    error::Error,
    value::{FieldName, Fields, RecordId, Timeouts, Timestamp, Token},
};

/// The session of one request.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) record: Phase,
    /// Counts the records that this request has ended; a handle of an earlier one has no say.
    pub(super) life: u32,
    pub(super) pending: Delta,
    /// When each field was last changed, in the request's own count.
    changed_at: Vec<(FieldName, u64)>,
    pub(super) rotation: Rotation,
    pub(super) destroy: Vec<RecordId>,
    /// What `now_…` set: for this request only.
    pub(super) request_only: Fields,
    pub(super) cookie: CookieChange,
    /// A change that cannot be stored: the request's commit fails with it.
    pub(super) failure: Option<Error>,
    /// A save failed, and whoever asked for it may not have waited to hear so.
    pub(super) unheard: Option<Error>,
    pub(super) head_sent: bool,
    /// The request ended without a response.
    pub(super) abandoned: bool,
}

/// Why the next commit brings a new secret.
#[derive(Clone, Debug, Default)]
pub(super) struct Rotation {
    /// Somebody asked for it.
    pub(super) is_wanted: bool,
    /// The rights among what is to be changed.
    rights: Vec<Right>,
}

/// A field that is a right, and its older names.
#[derive(Clone, Debug)]
pub(crate) struct Right {
    pub(crate) name: FieldName,
    pub(crate) aliases: &'static [&'static str],
    /// Whether it was taken away, whatever came after that.
    pub(crate) is_removed: bool,
}

impl Right {
    /// All names under which it may be stored.
    fn names(&self) -> impl Iterator<Item = FieldName> + use<> {
        [self.name.clone()].into_iter().chain(aliases(self.aliases))
    }
}

impl Rotation {
    pub(super) fn is_due(&self) -> bool {
        self.is_wanted || !self.rights.is_empty()
    }

    fn add_right(&mut self, right: Right) {
        match self.rights.iter_mut().find(|known| known.name == right.name) {
            Some(known) => known.is_removed |= right.is_removed,
            None => self.rights.push(right),
        }
    }

    /// What remains of it, and of the changes, when these are dropped: a rotation that was asked for, and
    /// the removals of rights.
    pub(super) fn rescued(&self) -> (Self, Delta) {
        let (mut rescued, mut delta) = (Self { is_wanted: self.is_wanted, rights: Vec::new() }, Delta::new());
        for right in self.rights.iter().filter(|right| right.is_removed) {
            for name in right.names() {
                // A second removal of a field would cancel the first.
                if !delta.has(name.as_str()) {
                    let _ = delta.push(name, Op::Remove, None);
                }
            }
            rescued.rights.push(right.clone());
        }
        (rescued, delta)
    }
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
    pub(super) rotation: Rotation,
    /// What fails all the same, once the rotation is done.
    pub(super) failure: Option<Error>,
}

/// Where a write goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    New,
    Record { id: RecordId, epoch: u64, touch: bool },
}

impl Target {
    pub(super) const fn id(&self) -> Option<RecordId> {
        match self {
            Self::New => None,
            Self::Record { id, .. } => Some(*id),
        }
    }
}

/// What a handle hands over.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub(crate) changes: Vec<FieldChange>,
    /// `now_…` values; `None` for one that was taken.
    pub(crate) request_only: Vec<(FieldName, Option<Bytes>)>,
    pub(crate) failure: Option<Error>,
}

/// What was done to one field.
#[derive(Clone, Debug)]
pub(crate) struct FieldChange {
    pub(crate) name: FieldName,
    pub(crate) op: Op,
    /// Older names, which go with every operation: the present one wins.
    pub(crate) aliases: &'static [&'static str],
    /// Whether a put is of the value that the field has anyway if nothing is stored.
    pub(crate) is_default: bool,
    /// Whether the field is a right, so that a new secret goes with the change.
    pub(crate) is_privilege: bool,
    /// When it was done, in the request's own count.
    pub(crate) at: u64,
}

impl FieldChange {
    pub(super) fn takes_a_right_away(&self) -> bool {
        self.is_privilege && self.op == Op::Remove
    }

    pub(super) fn aliases(&self) -> impl Iterator<Item = FieldName> + use<> {
        aliases(self.aliases)
    }
}

impl Handed {
    pub(crate) const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.request_only.is_empty() && self.failure.is_none()
    }
}

impl State {
    pub(super) const fn live(&self) -> Option<&Live> {
        match &self.record {
            Phase::Live(live) => Some(live),
            Phase::Unloaded | Phase::Absent => None,
        }
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
        if !self.pending.is_empty() {
            // A field that cannot take its operation fails the commit, which tells the user.
            let _ = self.pending.apply(&mut fields);
        }
        fields
    }

    pub(super) fn accept(&mut self, handed: Handed) {
        for change in handed.changes {
            self.accept_change(change);
        }
        for (name, value) in handed.request_only {
            match value {
                Some(value) => self.request_only.insert(name, value),
                None => self.request_only.remove(name.as_str()),
            }
        }
        if handed.failure.is_some() {
            self.failure = handed.failure;
        }
    }

    /// Handles hand over when they are dropped, which says nothing about when they changed what.
    fn accept_change(&mut self, change: FieldChange) {
        // A right that is granted again is as new as one that was not there.
        if !change.is_privilege && self.is_none(&change) {
            return;
        }
        if change.is_privilege {
            self.rotation.add_right(Right {
                name: change.name.clone(),
                aliases: change.aliases,
                is_removed: change.op == Op::Remove,
            });
        }
        let FieldChange { name, op, at, .. } = &change;
        let position = self.changed_at.iter().position(|(known, _)| known == name);
        let is_older = position.is_some_and(|index| self.changed_at[index].1 > *at);
        if is_older && !op.is_relative() && !self.pending.has(name.as_str()) {
            // A later change of this request was saved already.
            return;
        }
        match position {
            Some(index) => self.changed_at[index].1 = self.changed_at[index].1.max(*at),
            None => self.changed_at.push((name.clone(), *at)),
        }
        let before = loaded(&self.record, name);
        let pushed = if is_older {
            self.pending.push_before(name.clone(), op.clone(), before)
        } else {
            self.pending.push(name.clone(), op.clone(), before)
        };
        if pushed.is_err() {
            self.failure = Some(Error::not_an_integer(name));
        }
        for alias in change.aliases() {
            // A removal needs nothing of what was there.
            let _ = self.pending.push(alias.clone(), Op::Remove, loaded(&self.record, &alias));
        }
    }

    /// Whether a field is as the change would leave it, and nothing else is to be done to it.
    fn is_none(&self, change: &FieldChange) -> bool {
        let FieldChange { name, op, is_default, .. } = change;
        if self.pending.has(name.as_str()) || change.aliases().any(|alias| self.pending.has(alias.as_str())) {
            return false;
        }
        let stored = |name: &FieldName| loaded(&self.record, name).filter(|_| !self.pending.drops(name));
        let is_absent = || stored(name).is_none() && change.aliases().all(|alias| stored(&alias).is_none());
        match op {
            Op::Put(value) => stored(name) == Some(value) || (*is_default && is_absent()),
            Op::Remove => is_absent(),
            _ => false,
        }
    }

    /// Takes out what is to be done to the field of a change.
    pub(super) fn take_pending(&mut self, change: &FieldChange) -> Delta {
        let mut taken = Delta::new();
        for name in [change.name.clone()].into_iter().chain(change.aliases()) {
            if let Some(op) = self.pending.take(name.as_str()) {
                // The first operation on a field meets nothing that it could disagree with.
                let _ = taken.push(name, op, None);
            }
        }
        taken
    }

    /// A change after what was to be done to its field.
    pub(super) fn after(&self, earlier: &Delta, change: &FieldChange) -> Result<Delta, Error> {
        let mut delta = earlier.clone();
        let name = &change.name;
        delta
            .push(name.clone(), change.op.clone(), loaded(&self.record, name))
            .map_err(|_| Error::not_an_integer(name))?;
        for alias in change.aliases() {
            // A removal needs nothing of what was there.
            let _ = delta.push(alias.clone(), Op::Remove, loaded(&self.record, &alias));
        }
        Ok(delta)
    }

    /// Ends the record, and all that was to be done to it. What comes next begins a new one.
    pub(super) fn end(&mut self) {
        if let Phase::Live(live) = &self.record {
            self.destroy.push(live.id);
            self.record = Phase::Absent;
        }
        self.life += 1;
        self.drop_changes();
    }

    /// Removes all fields; `rights` are those that the caller knows to be rights.
    pub(super) fn clear(&mut self, rights: impl Iterator<Item = Right>) {
        let earlier = std::mem::take(&mut self.rotation.rights);
        self.drop_changes();
        if self.live().is_some() {
            self.pending.retain(Vec::new());
            for right in earlier.into_iter().chain(rights) {
                if right.is_removed || right.names().any(|name| loaded(&self.record, &name).is_some()) {
                    self.rotation.add_right(Right { is_removed: true, ..right });
                }
            }
        }
    }

    /// Forgets all changes, and with them the rotation that they would have brought.
    pub(super) fn drop_changes(&mut self) {
        self.pending = Delta::new();
        self.rotation.rights = Vec::new();
        self.request_only = Fields::new();
        self.failure = None;
    }

    /// A failing response takes the changes with it, but never a logout, a rotation that was asked for or the
    /// removal of a right.
    pub(super) fn discard(&mut self) {
        let (rotation, delta) = self.rotation.rescued();
        self.drop_changes();
        (self.rotation, self.pending) = (rotation, delta);
    }

    /// Whether the next commit brings a new secret.
    pub(super) fn rotates(&self) -> bool {
        self.live().is_some() && self.rotation.is_due()
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
        let is_live = self.live().is_some();
        let failure = self.failure.take();
        if let Some(failure) = failure {
            self.discard();
            if !self.rotates() || self.head_sent {
                self.drop_changes();
                return Err(failure);
            }
            // What cannot be stored keeps neither the old secret alive nor a right that was taken away.
            let (delta, rotation) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.rotation));
            let target = self.target(timeouts)?;
            return Ok(Some(Plan { target, delta, rotation, failure: Some(failure) }));
        }
        if self.pending.is_empty() && !self.rotates() && !self.needs_touch(timeouts) {
            return Ok(None);
        }
        if !is_live && !self.pending_creates()? {
            return Ok(None);
        }
        // Nobody is left to be given the new secret; but a right that was taken away is gone.
        if self.rotates() && self.head_sent && !self.abandoned {
            // Refused as a whole, so that it is not in the way of what comes next.
            self.drop_changes();
            self.rotation.is_wanted = false;
            return Err(Error::head_sent());
        }
        let target = self.target(timeouts)?;
        let (delta, rotation) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.rotation));
        // A new record has a new secret anyway.
        let rotation = if is_live { rotation } else { Rotation::default() };
        Ok(Some(Plan { target, delta, rotation, failure: None }))
    }

    /// Whether a new record would have anything in it, or it cannot be told.
    pub(super) fn creates(&self) -> bool {
        self.pending_creates().unwrap_or(true)
    }

    /// Whether a new record would have anything in it: an empty one is never created.
    fn pending_creates(&self) -> Result<bool, Error> {
        let mut fields = Fields::new();
        self.pending.apply(&mut fields).map_err(|name| Error::not_an_integer(&name))?;
        Ok(!fields.is_empty())
    }

    /// Puts back what certainly was not written, under what came since.
    pub(super) fn restore(&mut self, delta: Delta, rotation: &Rotation) {
        let newer = std::mem::replace(&mut self.pending, delta);
        if let Some(names) = newer.retained() {
            self.pending.retain(names.to_vec());
        }
        for (name, op) in newer.ops() {
            if self.pending.push(name.clone(), op.clone(), loaded(&self.record, name)).is_err() {
                self.failure = Some(Error::not_an_integer(name));
            }
        }
        self.rotation.is_wanted |= rotation.is_wanted;
        for right in &rotation.rights {
            self.rotation.add_right(right.clone());
        }
    }
}

fn aliases(aliases: &'static [&'static str]) -> impl Iterator<Item = FieldName> + use<> {
    aliases.iter().map(|alias| FieldName::from_static(alias))
}

/// A field as it was loaded.
fn loaded<'a>(record: &'a Phase, name: &FieldName) -> Option<&'a Bytes> {
    match record {
        Phase::Live(live) => live.fields.get(name.as_str()),
        Phase::Unloaded | Phase::Absent => None,
    }
}

impl Live {
    pub(super) fn missing(&self, names: &[FieldName]) -> Vec<FieldName> {
        match &self.names {
            None => Vec::new(),
            Some(known) => names.iter().filter(|name| !known.contains(name)).cloned().collect(),
        }
    }
}
