//! The state of one request's session: what it knows and wants done. Plain values, no I/O.

use bytes::Bytes;

use super::{
    changes::ChangeLog,
    compose::{Composed, compose},
    cookie_change::CookieChange,
    field_rules::{FieldClass, Rule, Rules},
    options::{RequestedOptions, SessionOptions},
    pending_change::{Action, FieldChange, PendingChange},
    record::{LiveRecord, RecordState},
    request::RequestFacts,
    rights::SecretChange,
    saves::Saves,
    watch::{OwnRecord, WatchedRecord},
};
use crate::{
    error::Error,
    value::{FieldName, Fields, IndexKey, RecordId, Secret, Timestamp, Token},
};

/// The session of one request.
#[derive(Debug, Default)]
// Independent facts.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct RequestState {
    pub(super) request: RequestFacts,
    /// True if the request came with a token of this layer's, whatever that is worth.
    pub(super) has_token: bool,
    pub(super) record: RecordState,
    /// Counts the records that this request has ended. The changes of a handle of an earlier one are ignored.
    pub(super) incarnation: u32,
    pub(super) log: ChangeLog,
    pub(super) requested: RequestedOptions,
    /// The records that are to be destroyed.
    pub(super) destroy: Vec<RecordId>,
    /// The fields of those, as far as they were loaded: their entries in the index go with them.
    pub(super) ended: Vec<(RecordId, Fields)>,
    /// The times, on the store's clock, at which this request has ended the sessions of a value.
    pub(super) own_endings: Vec<(IndexKey, Timestamp)>,
    /// The values of `flash_now_…`: for this request only.
    pub(super) request_only: Fields,
    pub(super) cookie: CookieChange,
    /// The error of a write of which no handle has heard: the response fails with it.
    pub(super) unreported: Option<Error>,
    pub(super) saves: Saves,
    /// The handles that have discarded their changes since the last plan: what a write that is under way has taken of
    /// them is not put back.
    pub(super) discarded: Vec<u64>,
    /// The watchers of the record of this incarnation, if there are any.
    pub(super) watched: Option<WatchedRecord>,
    /// True while a write is on its way that invalidates the secret.
    pub(super) is_rotating: bool,
    pub(super) head_sent: bool,
    /// True if the record held a right when it was loaded.
    pub(super) was_privileged: bool,
    /// True if the request ended without a response.
    pub(super) is_detached: bool,
}

/// The changes that a handle stages.
#[derive(Debug, Default)]
pub(crate) struct StagedChanges {
    pub(crate) changes: Vec<FieldChange>,
    /// The values of `flash_now_…`; `None` for one that was taken.
    pub(crate) request_only: Vec<(FieldName, Option<Bytes>)>,
    /// A value that cannot be stored, and the time at which it was set.
    pub(crate) failure: Option<(u64, Error)>,
    /// Lists from which the oldest items go, so that the newest have room, and their number.
    pub(crate) trimmed: Vec<(FieldName, usize)>,
}

impl StagedChanges {
    pub(crate) const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.request_only.is_empty() && self.failure.is_none()
    }
}

impl RequestState {
    pub(super) fn new(request: RequestFacts) -> Self {
        Self { request, ..Self::default() }
    }

    /// Enters what a handle stages. Returns true if fields end with it.
    pub(super) fn enter(&mut self, by: u64, staged: StagedChanges) -> bool {
        for (name, value) in staged.request_only {
            match value {
                Some(value) => self.request_only.insert(name, value),
                None => self.request_only.remove(name.as_str()),
            }
        }
        let is_reset = staged.changes.iter().any(|change| change.class == FieldClass::Identity);
        for change in staged.changes {
            self.log.insert(PendingChange::new(by, change.at, Action::Change(change)));
        }
        if let Some((at, error)) = staged.failure {
            self.log.insert(PendingChange::new(by, at, Action::Invalid(error)));
        }
        is_reset
    }

    /// Removes all fields.
    pub(super) fn clear(&mut self, by: u64, at: u64) {
        self.request_only = Fields::new();
        self.log.clear(by, at);
    }

    /// Takes back what a handle did and what is not written yet.
    pub(super) fn discard_changes_of(&mut self, by: u64) {
        self.log.take_if(|change| change.by == by);
        if !self.discarded.contains(&by) {
            self.discarded.push(by);
        }
    }

    /// Leaves of what a handle did, and no save is to write, the removals of rights: its handler panics, or its
    /// request is over.
    pub(super) fn keep_removed_rights_of(&mut self, by: u64, rules: &Rules) {
        self.log.keep_removed_rights(|change| change.by == by && !change.is_for_save, &self.record, rules);
    }

    /// Drops the changes of a request that fails, but never a logout, a rotation on request or the removal of a right.
    pub(super) fn discard(&mut self, rules: &Rules) {
        let saves = self.saves.take();
        if !saves.is_empty() {
            self.saves.lose(saves, &Error::conflict("the request failed before this was written"));
        }
        self.log.keep_removed_rights(|_| true, &self.record, rules);
        self.requested.session = SessionOptions::default();
    }

    /// Drops what is left after the response has failed.
    pub(super) fn drop_rest(&mut self, error: &Error) {
        self.log.take();
        let saves = self.saves.take();
        self.saves.lose(saves, error);
    }

    /// Ends the record, and all that was to be done to it but what was flashed. What comes next begins a new one.
    /// Returns true if there was a record, and what else had been changed.
    pub(super) fn end(&mut self) -> (bool, Vec<FieldName>) {
        let ended_login = self.record.rights().identity.is_some();
        let is_there = matches!(self.record, RecordState::Live(_));
        let mut fields = Fields::new();
        if let RecordState::Live(live) = &mut self.record {
            self.destroy.push(live.id);
            fields = std::mem::take(&mut live.fields);
            self.ended.push((live.id, fields.clone()));
            self.record = RecordState::Absent;
        }
        self.incarnation += 1;
        self.publish_end();
        self.saves.end();
        self.requested = RequestedOptions::default();
        self.request_only = Fields::new();
        let mut lost = self.log.restart(ended_login, &fields);
        if self.head_sent {
            // No page is left to show it.
            let flashed = self.log.take();
            lost.extend(flashed.iter().filter_map(PendingChange::field).map(|change| change.name.clone()));
        }
        (is_there, lost)
    }

    /// Notes that a record is destroyed: the browser is to forget its cookie.
    pub(super) fn note_destroyed(&mut self, id: RecordId) {
        self.destroy.retain(|ended| *ended != id);
        // A session that began after it keeps its cookie.
        let began_after = matches!(&self.cookie, CookieChange::Set { token, .. } if token.id() != id);
        if !began_after {
            self.cookie = CookieChange::Remove;
        }
    }

    /// Has the response send a new secret of the record. This is the one place that sets the cookie.
    pub(super) fn give_secret(&mut self, secret: Secret, is_renewal: bool) {
        let Some(live) = self.record.live() else { return };
        let (token, max_age) = (Token::new(live.id, secret), live.max_age());
        self.cookie = CookieChange::Set { token, max_age, is_renewal };
    }

    /// Forgets the cookie that a renewal led to: the secret was replaced since, or the record has ended.
    pub(super) fn forget_renewal(&mut self) {
        if matches!(self.cookie, CookieChange::Set { is_renewal: true, .. }) {
            self.cookie = CookieChange::None;
        }
    }

    /// Takes the options of the record over to the one that a login begins in its place.
    pub(super) fn keep_options(&mut self) {
        let options = match &self.record {
            RecordState::Live(live) => SessionOptions::of(&live.authority),
            RecordState::Superseded { options, .. } => *options,
            RecordState::Absent | RecordState::Unloaded => return,
        };
        self.requested.session = options.for_next_record().and(self.requested.session);
    }

    /// Notes that these options are in the credentials, unless others were asked for since.
    pub(super) fn note_options(&mut self, noted: SessionOptions) {
        if self.requested.session == noted {
            self.requested.session = SessionOptions::default();
        }
    }

    /// Forgets the loaded fields, which the store would have to copy before it changes them, but those by which
    /// sessions are found.
    pub(super) fn forget_fields(&mut self, indexed: &[Rule]) {
        if let RecordState::Live(live) = &mut self.record {
            let kept = indexed.iter().filter_map(|rule| rule.stored(&live.fields));
            live.fields = kept.map(|(name, value)| (name, value.clone())).collect();
        }
    }

    pub(super) const fn live(&self) -> Option<&LiveRecord> {
        self.record.live()
    }

    /// True if a view of these fields can be served as it is.
    pub(super) fn covers(&self, names: &[FieldName], rules: &Rules) -> bool {
        match &self.record {
            RecordState::Unloaded => false,
            RecordState::Absent | RecordState::Superseded { .. } => true,
            RecordState::Live(live) => {
                let is_examined = !rules.has_any() || live.examined == rules.number();
                is_examined && live.missing(names).is_empty() && live.are_open(names, rules)
            }
        }
    }

    /// The record by all changes that are to be written.
    fn composed(&self, rules: &Rules) -> Composed {
        compose(&self.log, self.log.changes(), &self.record, rules)
    }

    /// The fields as this request sees them: as loaded, with what was staged since.
    pub(super) fn visible(&self, rules: &Rules) -> Fields {
        let mut fields = self.live().map(|live| live.fields.clone()).unwrap_or_default();
        if !self.log.is_empty() {
            // A field that cannot take its operation fails the commit, and the response tells.
            let _ = self.composed(rules).delta.apply(&mut fields);
        }
        fields
    }

    /// The class of a changed field: its own view need not know it.
    pub(super) fn class(&self, change: &FieldChange, rules: &Rules) -> FieldClass {
        let known = change.names().map(|name| self.record.class(&name, rules));
        known.fold(change.class, FieldClass::strongest)
    }

    /// True if something that is to be written ends this field.
    pub(super) fn ends(&self, name: &FieldName, rules: &Rules) -> bool {
        !self.log.is_empty() && self.composed(rules).ends(name)
    }

    /// True if what is to be written ends the login that the record has.
    pub(super) fn ends_login(&self, rules: &Rules) -> bool {
        if self.log.is_empty() {
            return false;
        }
        let composed = self.composed(rules);
        composed.secret_change == SecretChange::Logout || composed.rights.identity.is_none()
    }

    /// True if something is to be done that must not be lost, whatever becomes of the request.
    pub(super) fn takes_away(&self, rules: &Rules) -> bool {
        self.is_rotating
            || self.requested.rotation
            || !self.destroy.is_empty()
            || (!self.log.is_empty() && self.composed(rules).secret_change.is_rotation())
    }

    /// True if a handle has changes that no save is to write, but for removals of rights.
    pub(super) fn has_unsaved(&self, by: u64) -> bool {
        let is_unsaved =
            |change: &PendingChange| change.by == by && !change.is_for_save && !change.is_removed_right();
        self.log.changes().iter().any(is_unsaved)
    }

    /// True if a handle has removed a right.
    pub(super) fn has_removed_rights_of(&self, by: u64) -> bool {
        self.log.changes().iter().any(|change| change.by == by && change.is_removed_right())
    }

    /// True if nothing is to be written but a touch.
    pub(super) fn is_done(&self) -> bool {
        self.log.is_empty() && self.destroy.is_empty() && !self.requested.rotation
    }

    /// True if the record held a right when it was loaded, or holds one now.
    pub(super) fn was_privileged(&self) -> bool {
        self.was_privileged || self.live().is_some_and(LiveRecord::holds_rights)
    }

    /// The id of the record that an event of this request is about.
    pub(super) fn record_id(&self) -> Option<RecordId> {
        match &self.record {
            RecordState::Live(live) => Some(live.id),
            RecordState::Superseded { id, .. } => Some(*id),
            RecordState::Absent | RecordState::Unloaded => None,
        }
    }

    fn own_record(&self) -> OwnRecord {
        match &self.record {
            RecordState::Live(live) => OwnRecord::Live { id: live.id, epoch: live.epoch },
            RecordState::Superseded { .. } => OwnRecord::Over,
            RecordState::Absent | RecordState::Unloaded => OwnRecord::None,
        }
    }

    /// The watchers of the record of this incarnation, which are told of what becomes of it.
    pub(super) fn watch(&mut self) -> (OwnRecord, &mut WatchedRecord) {
        let now = self.own_record();
        (now, self.watched.get_or_insert_with(|| WatchedRecord::new(now)))
    }

    /// Tells the watchers that a write is on its way that may begin an epoch.
    pub(super) fn publish_change_under_way(&self) {
        self.publish(OwnRecord::Changing);
    }

    /// Tells the watchers that the request has another record, or the same in another epoch.
    pub(super) fn publish_record(&self) {
        self.publish(self.own_record());
    }

    /// Tells the watchers that this incarnation is over.
    fn publish_end(&mut self) {
        self.publish(OwnRecord::Over);
        self.watched = None;
    }

    fn publish(&self, own: OwnRecord) {
        if let Some(watched) = &self.watched {
            watched.publish(own);
        }
    }

    /// The number of entries that are kept of what was done.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.saves.size() + self.discarded.len() + self.log.size()
    }
}

#[cfg(test)]
mod tests;
