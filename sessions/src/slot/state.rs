//! Action one request knows of its session and wants done: plain values, no I/O.

use std::time::Duration;

use bytes::Bytes;

use super::{
    changes::{ChangeLog, Composed, End, FieldChange, PendingChange, Rights, SecretChange, removed_rights},
    ended::Watched,
    removal::RightsRemoval,
    request::{Beginning, RequestFacts},
    rules::{FieldClass, Rules},
    secrets::OpenedSecret,
};
use crate::{
    clock::Start,
    delta::Delta,
    error::{Error, ErrorKind},
    value::{
        Authority, Credentials, DAY, FieldName, Fields, Lifetime, RecordId, Secret, Timeouts, Timestamp,
        Token, hours,
    },
};

/// The session of one request.
#[derive(Debug, Default)]
// Independent facts.
#[allow(clippy::struct_excessive_bools)]
pub(super) struct RequestState {
    pub(super) request: RequestFacts,
    /// The request came with a token of this layer's, whatever that is worth.
    pub(super) has_token: bool,
    pub(super) record: RecordState,
    /// The record whose secret was replaced a moment ago, if the request came with one.
    pub(super) superseded: Option<RecordId>,
    /// Counts the records that this request has ended; a handle of an earlier one has no say.
    pub(super) incarnation: u32,
    pub(super) log: ChangeLog,
    pub(super) requested: RequestedOptions,
    pub(super) destroy: Vec<RecordId>,
    /// Action `flash_now_…` set: for this request only.
    pub(super) request_only: Fields,
    pub(super) cookie: CookieChange,
    /// A save failed, and whoever asked for it may not have waited to hear so.
    pub(super) unreported: Option<Error>,
    /// Action failed of handles whose saves wait.
    pub(super) failures: Vec<(u64, Error)>,
    saves: Saves,
    /// Those who wait for the end of the record of this incarnation, if there are any.
    pub(super) watched: Option<Watched>,
    /// Handles that have taken back what they did, and when.
    taken_back: Vec<(u64, u64)>,
    /// Whether a write is on its way that changes the secret.
    pub(super) is_rotating: bool,
    pub(super) head_sent: bool,
    /// The record held a right when it was loaded.
    pub(super) was_privileged: bool,
    /// The request ended without a response.
    pub(super) detached: bool,
}

/// The longest a browser keeps a cookie (RFC 6265bis section 5.5): 400 days.
const LONGEST_COOKIE: Duration = Duration::from_hours(400 * 24);

/// The least time between two renewals.
const SHORTEST: Duration = Duration::from_mins(1);

/// Action handlers asked for, besides changes of fields.
#[derive(Debug, Default)]
pub(super) struct RequestedOptions {
    /// A new secret.
    pub(super) rotation: bool,
    /// One with the same powers.
    pub(super) renewal: bool,
    /// Action is said of the session, from its next secret on.
    pub(super) options: SessionOptions,
    /// That the request be no use of the session.
    pub(super) without_touch: bool,
}

/// Action became of the changes that were staged to be saved: another save may have taken them along.
#[derive(Debug, Default)]
struct Saves {
    /// How many there were, and how many of those were taken to be written.
    staged: u64,
    taken: u64,
    /// Up to which of those taken it is known what became of them.
    resolved: u64,
    /// Those whose outcome nobody has heard yet: of which handle and incarnation, and their numbers.
    unreported: Vec<(u64, u32, u64)>,
    /// Those that were taken and lost, after the first number and up to the second.
    lost: Vec<(u64, u64, Error)>,
}

/// Action is known of the request's record.
#[derive(Debug, Default)]
pub(super) enum RecordState {
    /// Nobody asked yet.
    #[default]
    Unloaded,
    /// The request has no live record.
    Absent,
    /// Its secret was replaced a moment ago. Another request has the new one, or is about to; a session that
    /// began here would take that one's place.
    Superseded(SessionOptions),
    /// It has this one.
    Live(Box<LiveRecord>),
}

/// Action was said of a session, besides its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionOptions {
    /// How long it lives, if that is less than the layer grants.
    pub(super) lifetime: Option<Lifetime>,
    /// Whether its user asked to be remembered; or that the browser is to forget the cookie when it is closed.
    pub(super) is_remembered: Option<bool>,
}

impl SessionOptions {
    pub(super) const fn of(authority: &Authority) -> Self {
        Self { lifetime: authority.lifetime, is_remembered: authority.is_remembered }
    }

    /// Notes them. The credentials keeps of a visitor's record that it is remembered no more than this request does, so
    /// that the next login is to ask for itself.
    pub(super) const fn note_in(self, authority: &mut Authority) {
        authority.is_remembered = self.is_remembered;
        authority.lifetime = self.lifetime;
    }

    /// The same after what a request says: to be remembered is to be so for as long as the layer grants, but
    /// for what is said beside it.
    pub(super) fn and(self, said: Self) -> Self {
        let lifetime = if said.is_remembered == Some(true) { None } else { self.lifetime };
        Self {
            lifetime: said.lifetime.or(lifetime),
            is_remembered: said.is_remembered.or(self.is_remembered),
        }
    }
}

/// A record that the request has the rights to.
#[derive(Clone, Debug)]
pub(super) struct LiveRecord {
    pub(super) id: RecordId,
    pub(super) epoch: u64,
    pub(super) credentials: Credentials,
    /// Action the credentials says.
    pub(super) authority: Authority,
    /// The secret that the request came with, or got since.
    pub(super) secret: Secret,
    /// The request came with the secret that a renewal has led to, for the first time.
    pub(super) ends_renewal: bool,
    /// The layer's for this kind of session, within the lifetime of its own.
    pub(super) timeouts: Timeouts,
    pub(super) created: Timestamp,
    pub(super) touched: Timestamp,
    pub(super) loaded_at: Timestamp,
    /// When that was by the clock of this process, which is never set.
    pub(super) since: Start,
    /// A login of this request began its incarnation, and what it says of `created` is by the clock of this process.
    pub(super) began_here: bool,
    pub(super) fields: Fields,
    /// The names that were asked for; `None` if all fields are here.
    pub(super) names: Option<Vec<FieldName>>,
    /// Those of the fields that were opened.
    pub(super) opened: Vec<OpenedSecret>,
    /// The number of the rules by which its rights were examined last.
    pub(super) examined: usize,
    /// A right cannot be read: the request sees the record as after a logout, and the fields are what that leaves.
    pub(super) is_withheld: bool,
}

/// Action the response does to the browser's cookie.
#[derive(Debug, Default)]
pub(crate) enum CookieChange {
    #[default]
    None,
    Set {
        token: Token,
        /// How long the browser keeps it; `None` until it is closed.
        max_age: Option<Duration>,
        /// Whether it has the powers of the one before.
        is_renewal: bool,
    },
    Remove,
}

/// Action a flush writes, besides destroying.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) write: Write,
    pub(super) taken: TakenChanges,
    /// The rights that it takes away, which it does though another request has rotated meanwhile.
    pub(super) removal: Option<RightsRemoval>,
    /// Action of it is to be written.
    pub(super) part: Part,
    /// Fields that the request had changed, and that go with the user whose they were.
    pub(super) lost: Vec<FieldName>,
    /// Action is left of it if something in it cannot be stored: neither the old secret stays alive, nor a right
    /// that was taken away.
    pub(super) fallback: Option<Write>,
    /// Action fails all the same, once the secret_change is done.
    pub(super) failure: Option<PlanFailure>,
}

/// Action of a plan is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    All,
    /// All, which is nothing but the removal of rights.
    OnlyRemoval,
    /// The removal of rights by itself, since no cookie can be sent. The rest is still to come.
    Removal,
}

/// Something that cannot be written.
#[derive(Debug)]
pub(super) struct PlanFailure {
    /// The handle that did it, if it is one's.
    pub(super) of: Option<u64>,
    pub(super) error: Error,
    /// The response is true all the same.
    pub(super) spares_response: bool,
}

/// One atomic operation.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) target: Target,
    pub(super) delta: Delta,
    pub(super) secret_change: SecretChange,
    /// Whether nothing but fields that belong to the browser changes.
    pub(super) is_carry_only: bool,
    /// Which of the request's records it is for.
    pub(super) incarnation: u32,
    /// The rights that the record holds after it.
    pub(super) rights: Rights,
    /// How many bytes of fields there will be, as far as the request knows them; 0 if no more than before.
    pub(super) grows_to: usize,
}

/// Action a plan is made of, for when it fails.
#[derive(Debug, Default)]
pub(super) struct TakenChanges {
    pub(super) changes: Vec<PendingChange>,
    pub(super) ends: Vec<End>,
    rotation_requested: bool,
    /// When it was taken, in the request's own count.
    at: u64,
    /// The saves that it takes along: after the first number and up to the second.
    saves: (u64, u64),
}

/// Where a write goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    New,
    Record { id: RecordId, epoch: u64, touch: bool },
}

/// Action a handle hands over.
#[derive(Debug, Default)]
pub(crate) struct StagedChanges {
    pub(crate) changes: Vec<FieldChange>,
    /// `flash_now_…` values; `None` for one that was taken.
    pub(crate) request_only: Vec<(FieldName, Option<Bytes>)>,
    /// A change that cannot be stored, and when it was made.
    pub(crate) failure: Option<(u64, Error)>,
}

impl From<Error> for PlanFailure {
    fn from(error: Error) -> Self {
        Self { of: None, error, spares_response: false }
    }
}

impl TakenChanges {
    /// Leaves of it the removals of rights only.
    pub(super) fn keep_removed_rights(&mut self, record: &RecordState, rules: &Rules) {
        self.changes = removed_rights(std::mem::take(&mut self.changes), record, rules);
    }
}

impl TakenChanges {
    /// Leaves out the removals of rights, which are done.
    pub(super) fn drop_removed_rights(&mut self) {
        self.changes.retain(|pending| !pending.is_removed_right());
    }
}

impl Write {
    /// Whether nothing changes but the time of the last use.
    pub(super) fn is_only_touch(&self) -> bool {
        self.delta.is_empty() && self.secret_change <= SecretChange::Renewal
    }
}

impl Target {
    pub(super) const fn id(&self) -> Option<RecordId> {
        match self {
            Self::New => None,
            Self::Record { id, .. } => Some(*id),
        }
    }
}

impl StagedChanges {
    pub(crate) const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.request_only.is_empty() && self.failure.is_none()
    }
}

impl RecordState {
    pub(super) const fn live(&self) -> Option<&LiveRecord> {
        match self {
            Self::Live(live) => Some(live),
            Self::Unloaded | Self::Absent | Self::Superseded(_) => None,
        }
    }

    /// A field as it was loaded.
    pub(super) fn loaded(&self, name: &FieldName) -> Option<&Bytes> {
        self.live()?.fields.get(name.as_str())
    }

    /// A field as it was loaded, unless it is one of those that go.
    pub(super) fn left(&self, name: &FieldName, dropped: &[FieldName]) -> Option<&Bytes> {
        self.loaded(name).filter(|_| !dropped.contains(name))
    }

    /// Action a field is, by what the views say and what the record says of its rights.
    pub(super) fn class(&self, name: &FieldName, rules: &Rules) -> FieldClass {
        let noted = match self.live().map(|live| &live.authority) {
            Some(authority) if authority.identity.as_ref() == Some(name) => FieldClass::Identity,
            Some(authority) if authority.rights.contains(name) => FieldClass::Privilege,
            _ => FieldClass::Plain,
        };
        noted.strongest(rules.of(name))
    }

    /// The rights that the record holds.
    pub(super) fn rights(&self) -> Rights {
        let authority = self.live().map(|live| &live.authority);
        authority.map_or_else(Rights::default, |Authority { rights, identity, .. }| Rights {
            names: rights.clone(),
            identity: identity.clone(),
        })
    }

    /// The names of the fields that outlive a logout.
    pub(super) fn carried(&self, rules: &Rules) -> Vec<FieldName> {
        self.live().map_or_else(|| rules.names(FieldClass::KeepOnLogout), |live| live.carried(rules))
    }

    /// Whether the request sees the record as after a logout, and it is not.
    pub(super) fn is_withheld(&self) -> bool {
        self.live().is_some_and(|live| live.is_withheld)
    }
}

impl RequestState {
    pub(super) fn new(request: RequestFacts) -> Self {
        Self { request, ..Self::default() }
    }

    pub(super) const fn live(&self) -> Option<&LiveRecord> {
        self.record.live()
    }

    /// Whether a view of these fields can be served as it is.
    pub(super) fn covers(&self, names: &[FieldName], rules: &Rules) -> bool {
        match &self.record {
            RecordState::Unloaded => false,
            RecordState::Absent | RecordState::Superseded(_) => true,
            RecordState::Live(live) => {
                let is_examined = !rules.has_any() || live.examined == rules.number();
                is_examined && live.missing(names).is_empty() && live.are_open(names, rules)
            }
        }
    }

    /// Whether what is to be written ends the login that the record has.
    pub(super) fn ends_login(&self, rules: &Rules) -> bool {
        if self.log.is_empty() {
            return false;
        }
        let composed = self.log.compose(&self.record, rules);
        composed.secret_change == SecretChange::Logout || composed.rights.identity.is_none()
    }

    /// Whether the record held a right when it was loaded, or holds one now.
    pub(super) fn was_privileged(&self) -> bool {
        self.was_privileged || self.live().is_some_and(|live| !live.authority.rights.is_empty())
    }

    /// The fields as this request sees them: as loaded, with what was staged since.
    pub(super) fn visible(&self, rules: &Rules) -> Fields {
        let mut fields = self.live().map(|live| live.fields.clone()).unwrap_or_default();
        if !self.log.is_empty() {
            // A field that cannot take its operation fails the commit, which tells the user.
            let _ = self.log.compose(&self.record, rules).delta.apply(&mut fields);
        }
        fields
    }

    /// Enters what a handle hands over; says whether fields end with it.
    pub(super) fn accept(&mut self, by: u64, staged: StagedChanges) -> bool {
        for (name, value) in staged.request_only {
            match value {
                Some(value) => self.request_only.insert(name, value),
                None => self.request_only.remove(name.as_str()),
            }
        }
        let is_boundary = staged.changes.iter().any(|change| change.class == FieldClass::Identity);
        self.log.enter(by, staged.changes, staged.failure);
        is_boundary
    }

    /// Action a change's field is to whoever uses the session: its own view need not know.
    pub(super) fn class(&self, change: &FieldChange, rules: &Rules) -> FieldClass {
        let known = change.names().map(|name| self.record.class(&name, rules));
        known.fold(change.class, FieldClass::strongest)
    }

    /// The number of a save that is to write what a handle did.
    pub(super) fn next_save(&mut self, by: u64, only: Option<&FieldName>) -> u64 {
        self.log.is_to_be_saved(by, only);
        self.saves.prune();
        self.saves.staged += 1;
        self.saves.unreported.push((by, self.incarnation, self.saves.staged));
        self.saves.staged
    }

    /// A failure of a handle whose save waits, or is still to come.
    pub(super) fn fail(&mut self, of: u64, error: Error) {
        if self.failures.iter().all(|(known, _)| *known != of) {
            self.failures.push((of, error));
        }
    }

    /// Has the saves fail that were to write these, but for that of one handle, which knows.
    pub(super) fn fail_saves_of(&mut self, taken: &TakenChanges, but: Option<u64>, error: &Error) {
        for by in taken.changes.iter().filter_map(PendingChange::saved_by).filter(|by| but != Some(*by)) {
            self.fail(by, error.duplicate());
        }
    }

    /// How much the slot remembers of what was done.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.saves.size() + self.failures.len() + self.taken_back.len() + self.log.size()
    }

    /// Notes that whoever asked for this save knows how it ended, and those of the handle before it.
    pub(super) fn note_heard(&mut self, by: u64, save: u64) {
        self.saves.unreported.retain(|(of, _, number)| *of != by || *number > save);
    }

    /// Whether something that is to be written ends this field.
    pub(super) fn ends(&self, name: &FieldName, rules: &Rules) -> bool {
        !self.log.is_empty() && self.log.compose(&self.record, rules).ends(name)
    }

    /// Why what this save staged was lost, if it was, or an earlier one of the handle's that was given up.
    pub(super) fn loss_of(&mut self, by: u64, save: u64) -> Option<Error> {
        if let Some(index) = self.failures.iter().position(|(of, _)| *of == by) {
            return Some(self.failures.swap_remove(index).1);
        }
        let Saves { unreported, lost, .. } = &self.saves;
        let loss = |save: u64| lost.iter().find(|(after, upto, _)| *after < save && save <= *upto);
        // Action a session has lost that was ended since is nobody's any more.
        let counts = |incarnation: u32, number: u64| {
            number == save || (incarnation == self.incarnation && number < save)
        };
        let mut own =
            unreported.iter().filter(|(of, incarnation, number)| *of == by && counts(*incarnation, *number));
        own.find_map(|(.., number)| loss(*number)).map(|(.., error)| error.duplicate())
    }

    /// Ends the record, and all that was to be done to it but what was flashed. Action comes next begins a new one. Says
    /// whether there was a record, and what else had been changed.
    pub(super) fn end(&mut self) -> (bool, Vec<FieldName>) {
        let ended_login = self.record.rights().identity.is_some();
        let is_there = matches!(self.record, RecordState::Live(_));
        let mut fields = Fields::new();
        if let RecordState::Live(live) = &mut self.record {
            self.destroy.push(live.id);
            fields = std::mem::take(&mut live.fields);
            self.record = RecordState::Absent;
        }
        self.incarnation += 1;
        self.publish_end();
        self.failures.clear();
        self.lose_waiting(Error::session_ended);
        self.requested = RequestedOptions::default();
        self.request_only = Fields::new();
        let mut lost = self.log.begin_anew(ended_login, &fields);
        if self.head_sent {
            // No page is left to show it.
            lost.extend(
                self.log.take().iter().filter_map(PendingChange::change).map(|change| change.name.clone()),
            );
        }
        (is_there, lost)
    }

    /// Action was said of the record counts for the one that a login begins in its place, too.
    pub(super) fn keep_terms(&mut self) {
        let options = match &self.record {
            RecordState::Live(live) => SessionOptions::of(&live.authority),
            RecordState::Superseded(options) => *options,
            RecordState::Absent | RecordState::Unloaded => return,
        };
        // But to be remembered each login asks for itself: another one may have been somebody else's.
        let options = SessionOptions {
            is_remembered: options.is_remembered.filter(|is_remembered| !is_remembered),
            ..options
        };
        self.requested.options = options.and(self.requested.options);
    }

    /// Action was said of the session is noted in its credentials, unless something else was said since.
    pub(super) fn terms_noted(&mut self, said: SessionOptions) {
        if self.requested.options == said {
            self.requested.options = SessionOptions::default();
        }
    }

    /// Removes all fields.
    pub(super) fn clear(&mut self, by: u64, at: u64) {
        self.request_only = Fields::new();
        self.log.clear(by, at);
    }

    /// A failing response takes the changes with it, but never a logout, a secret_change that was asked for or the
    /// removal of a right.
    pub(super) fn discard(&mut self, rules: &Rules) {
        self.lose_waiting(|| Error::conflict("the request failed before this was written"));
        self.log.keep_removed_rights(&self.record, rules);
        self.requested.options = SessionOptions::default();
    }

    /// Whether there is anything to write but a touch.
    pub(super) fn is_done(&self) -> bool {
        self.log.is_empty() && self.destroy.is_empty() && !self.requested.rotation
    }

    /// Whether something is to be done that must not be lost, whoever waits for it.
    pub(super) fn takes_away(&self, rules: &Rules) -> bool {
        let is_composed = || self.log.compose(&self.record, rules).secret_change > SecretChange::Renewal;
        self.is_rotating
            || self.requested.rotation
            || !self.destroy.is_empty()
            || (!self.log.is_empty() && is_composed())
    }

    pub(super) fn forget_fields(&mut self) {
        if let RecordState::Live(live) = &mut self.record {
            live.fields = Fields::new();
        }
    }

    /// Where a write of this request goes now.
    pub(super) fn target(&self, secret_change: SecretChange) -> Result<Target, Error> {
        // A late write comes at an unknown time after the load, so it always counts as a use.
        let touch = (self.head_sent && !self.requested.without_touch) || self.needs_touch();
        match self.live() {
            Some(live) => Ok(Target::Record { id: live.id, epoch: live.epoch, touch }),
            None if self.head_sent => Err(Error::head_sent()),
            // Who logs in needs nothing of what the old secret stood for.
            None if matches!(self.record, RecordState::Superseded(_))
                && secret_change != SecretChange::Login =>
            {
                Err(Error::superseded())
            }
            None => match self.request.beginning(self.has_token, secret_change) {
                Beginning::Admitted => Ok(Target::New),
                Beginning::Dropped => Err(Error::cross_site()),
                Beginning::Refused => Err(Error::cross_site_login()),
            },
        }
    }

    /// Whether the secret is to be renewed, or its renewal to be ended.
    fn needs_renewal(&self) -> bool {
        let Some(live) = self.live() else { return false };
        let wanted = self.requested.renewal.then_some(SHORTEST);
        let age = wanted.or_else(|| live.timeouts.renewal().map(|age| age.max(SHORTEST)));
        let is_due = |age| live.holds_rights() && live.may_be_renewed(age);
        let is_wanted =
            || age.is_some_and(is_due) || (live.outlives_cookie() && live.may_be_renewed(SHORTEST));
        live.ends_renewal || (!self.head_sent && is_wanted())
    }

    /// Whether something is to be written even if nothing changed.
    pub(super) fn needs_upkeep(&self) -> bool {
        self.needs_touch() || self.needs_renewal()
    }

    /// Whether this use must be recorded even if nothing else is written.
    pub(super) fn needs_touch(&self) -> bool {
        // By the time now: a socket may go on for as long as it likes after the load.
        let is_due = |live: &LiveRecord| live.timeouts.needs_touch(live.created, live.touched, live.now());
        !self.requested.without_touch && self.live().is_some_and(is_due)
    }

    /// Notes that a write was a use of the record, if it was.
    pub(super) fn note_touched(&mut self, target: Target) {
        let Target::Record { id, touch: true, .. } = target else { return };
        if let RecordState::Live(live) = &mut self.record
            && live.id == id
        {
            live.touched = live.touched.max(live.now());
        }
    }

    /// Takes out what is to be written now, `at` this moment of the request's own count.
    pub(super) fn plan(&mut self, rules: &Rules, at: u64) -> Result<Option<Plan>, PlanFailure> {
        let saves = self.saves.take();
        if self.request.is_unseen {
            self.log.take_back_takes();
        }
        let planned = self.plan_of(rules, at, saves);
        if let Err(PlanFailure { of: None, error, .. }) = &planned {
            self.saves.lose(saves, error);
        }
        planned
    }

    fn plan_of(&mut self, rules: &Rules, at: u64, saves: (u64, u64)) -> Result<Option<Plan>, PlanFailure> {
        if self.head_sent
            && let Some(plan) = self.plan_late_removal(rules, at, saves)
        {
            return Ok(Some(plan));
        }
        let mut composed = self.compose(rules);
        let (mut failure, mut others) = (None, Vec::new());
        if let Some((by, error)) = composed.failure.take() {
            // It fails with what its own handle did; the rest is none of its business. And what cannot be
            // stored keeps neither the old secret alive nor a right that was taken away.
            let own = removed_rights(self.log.take_of(by), &self.record, rules);
            others = self.log.take();
            // Those saves are still to come.
            self.saves.taken = saves.0;
            self.log.put_back(own);
            composed = self.compose(rules);
            if composed.secret_change <= SecretChange::Renewal || self.live().is_none() {
                self.log.take();
                self.log.put_back(others);
                return Err(PlanFailure { of: Some(by), ..error.into() });
            }
            failure = Some(PlanFailure { of: Some(by), ..error.into() });
        }
        let changes = self.log.take();
        self.log.put_back(others);
        let rotation_requested = std::mem::take(&mut self.requested.rotation);
        let (delta, secret_change) = (&composed.delta, composed.secret_change);
        self.requested.renewal = false;
        let is_nothing = delta.is_empty() && secret_change == SecretChange::None && !self.needs_touch();
        if is_nothing || (self.live().is_none() && !creates(delta)?) {
            return Ok(None);
        }
        // Nobody is left to be given the new secret.
        let is_hard = secret_change > SecretChange::Renewal;
        if is_hard && self.head_sent {
            return Err(failure.unwrap_or_else(|| Error::head_sent().into()));
        }
        let target = self.target(secret_change).map_err(|error| {
            let spares_response = failure.is_none() && self.stands_without(&changes, secret_change, &error);
            PlanFailure { of: None, error, spares_response }
        })?;
        let (mut fallback, mut removal, mut part) = (None, None, Part::All);
        if is_hard {
            let removed =
                removed_rights(changes.iter().map(PendingChange::again).collect(), &self.record, rules);
            fallback = self.fallback(&removed, rotation_requested, target, rules);
            removal = self.live().and_then(|live| RightsRemoval::of(&removed, live));
            if !rotation_requested && changes.iter().all(PendingChange::is_removed_right) {
                part = Part::OnlyRemoval;
            }
        }
        let ends = std::mem::take(&mut composed.ends);
        let lost = std::mem::take(&mut composed.lost);
        let taken = TakenChanges { changes, ends, rotation_requested, at, saves };
        let write = self.write_of(composed, target);
        Ok(Some(Plan { write, taken, removal, part, lost, fallback, failure }))
    }

    /// Takes out the removals of rights, to be written by themselves: nobody is left to be given a new secret.
    fn plan_late_removal(&mut self, rules: &Rules, at: u64, saves: (u64, u64)) -> Option<Plan> {
        let changes = self.log.take_removed_rights(&self.record, rules);
        let live = self.live()?;
        let removal = Some(RightsRemoval::of(&changes, live)?);
        let mut composed = self.log.compose_of(&changes, &self.record, rules);
        let ends = std::mem::take(&mut composed.ends);
        let target = Target::Record { id: live.id, epoch: live.epoch, touch: false };
        let write = self.write_of(composed, target);
        // Those saves are still to come.
        self.saves.taken = saves.0;
        let taken = TakenChanges { changes, ends, rotation_requested: false, at, saves: (saves.0, saves.0) };
        let (part, lost) = (Part::Removal, Vec::new());
        Some(Plan { write, taken, removal, part, lost, fallback: None, failure: None })
    }

    /// One atomic operation, of what was put together.
    pub(super) fn write_of(&self, composed: Composed, target: Target) -> Write {
        let Composed { delta, secret_change, is_carry_only, rights, .. } = composed;
        let grows_to = self.grows_to(&delta);
        Write { target, delta, secret_change, is_carry_only, incarnation: self.incarnation, rights, grows_to }
    }

    /// Action only removes is no growth, however long the names are that it mentions.
    fn grows_to(&self, delta: &Delta) -> usize {
        let loaded = self.live().map(|live| &live.fields);
        let goes = |name: &FieldName| delta.has(name.as_str()) || delta.drops(name);
        let (mut stays, mut before) = (0, 0);
        for (name, value) in loaded.iter().flat_map(|fields| fields.iter()) {
            let size = name.as_str().len() + value.len();
            before += size;
            stays += if goes(name) { 0 } else { size };
        }
        let puts = delta.ops().iter().filter(|(_, op)| op.size() > 0);
        let after = stays + puts.map(|(name, op)| name.as_str().len() + op.size()).sum::<usize>();
        if after > before { after } else { 0 }
    }

    /// Whether the response is true though these are refused with this error.
    pub(super) fn stands_without(
        &self,
        changes: &[PendingChange],
        secret_change: SecretChange,
        error: &Error,
    ) -> bool {
        match error.kind() {
            ErrorKind::CrossSite => {
                self.request.beginning(self.has_token, secret_change) == Beginning::Dropped
            }
            ErrorKind::Conflict => {
                let ops: Option<Vec<_>> = changes.iter().map(PendingChange::op).collect();
                ops.is_some_and(|ops| self.request.stands_without(secret_change, ops))
            }
            _ => false,
        }
    }

    fn compose(&self, rules: &Rules) -> Composed {
        let mut composed = self.log.compose(&self.record, rules);
        if self.requested.rotation {
            composed.secret_change.at_least_rotation();
        }
        if composed.secret_change == SecretChange::None && self.needs_renewal() {
            composed.secret_change = SecretChange::Renewal;
        }
        composed
    }

    /// Action is left if something cannot be stored: the removals of rights.
    fn fallback(
        &self,
        removed: &[PendingChange],
        rotation_requested: bool,
        target: Target,
        rules: &Rules,
    ) -> Option<Write> {
        let mut composed = self.log.compose_of(removed, &self.record, rules);
        if rotation_requested {
            composed.secret_change.at_least_rotation();
        }
        (composed.secret_change > SecretChange::Renewal).then(|| self.write_of(composed, target))
    }

    /// Takes out what is to be done to one field, to be written by itself.
    pub(super) fn take_fields(&mut self, change: &FieldChange) -> TakenChanges {
        let changes = self.log.take_fields(change);
        let Saves { taken, staged, .. } = self.saves;
        // If it is lost, nobody can say whose it was.
        let saves = if changes.is_empty() { (staged, staged) } else { (taken, staged) };
        TakenChanges { changes, ends: Vec::new(), rotation_requested: false, at: change.at, saves }
    }

    /// Puts back what certainly was not written, as far as it is still wanted; says whether that is all.
    pub(super) fn put_back(&mut self, taken: &mut TakenChanges, rules: &Rules) -> bool {
        let mut changes = std::mem::take(&mut taken.changes);
        // A handle may have taken back meanwhile what it did until then.
        changes
            .retain(|pending| !self.taken_back.iter().any(|(by, at)| pending.is_of(*by) && taken.at < *at));
        let before = changes.len();
        if self.head_sent || self.detached {
            // It was answered with an error, or nobody waits for it.
            changes = removed_rights(changes, &self.record, rules);
        }
        let is_all = changes.len() == before;
        self.log.put_back(changes);
        self.requested.rotation |= taken.rotation_requested && !self.head_sent;
        if is_all {
            // They are to be taken along once more.
            self.saves.taken = self.saves.taken.min(taken.saves.0);
        }
        is_all
    }

    /// Leaves of what a handle did, and no save is to write, the removals of rights only: its handler panics,
    /// or nobody waits for it.
    pub(super) fn keep_removed_rights_of(&mut self, by: u64, rules: &Rules) {
        self.log.keep_removed_rights_of(by, &self.record, rules);
    }

    /// Drops what is left after the response has failed.
    pub(super) fn drop_rest(&mut self, error: &Error) {
        self.log.take();
        self.lose_waiting(|| error.duplicate());
    }

    /// Takes back what a handle did, at this moment of the request's own count.
    pub(super) fn take_back(&mut self, by: u64, at: u64) {
        self.log.take_back(by);
        // The last time says all.
        self.taken_back.retain(|(of, _)| *of != by);
        self.taken_back.push((by, at));
    }

    /// The request has found that its secret was replaced, or that the record has ended: a cookie that a
    /// renewal led to is worth nothing any more.
    pub(super) fn forget_renewal(&mut self) {
        if matches!(self.cookie, CookieChange::Set { is_renewal: true, .. }) {
            self.cookie = CookieChange::None;
        }
    }

    /// Notes that what was taken is not done, or nobody knows.
    pub(super) fn lose(&mut self, taken: &TakenChanges, error: &Error) {
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
    /// Forgets what nobody will ask for: losses of which everybody has heard, and of the losses that a handle has
    /// not heard of all but the first, which says enough.
    fn prune(&mut self) {
        let Self { unreported, lost, resolved, .. } = self;
        let mut told = Vec::new();
        unreported.retain(|&(of, incarnation, number)| {
            let is_lost = lost.iter().any(|(after, upto, _)| *after < number && number <= *upto);
            let is_first = !told.contains(&(of, incarnation));
            if is_lost && is_first {
                told.push((of, incarnation));
            }
            if is_lost { is_first } else { number > *resolved }
        });
        lost.retain(|(after, upto, _)| {
            unreported.iter().any(|(_, _, number)| after < number && number <= upto)
        });
    }

    /// Those that wait: after the first number and up to the second.
    const fn take(&mut self) -> (u64, u64) {
        // Writes take turns, so those before this one are over.
        self.resolved = self.taken;
        let after = std::mem::replace(&mut self.taken, self.staged);
        (after, self.staged)
    }

    /// How much is kept of saves that were.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.unreported.len() + self.lost.len()
    }

    fn lose(&mut self, (after, upto): (u64, u64), error: &Error) {
        if after < upto {
            self.lost.push((after, upto, error.duplicate()));
        }
    }
}

/// How long the browser keeps the cookie of a record of this age.
fn max_age(timeouts: &Timeouts, age: Duration) -> Duration {
    timeouts.absolute().saturating_sub(age).min(LONGEST_COOKIE)
}

/// When the browser forgets a cookie that it is given at this age of the record, in hours of that age.
pub(super) fn cookie_hours(timeouts: &Timeouts, age: Duration) -> u32 {
    hours(age.saturating_add(max_age(timeouts, age)))
}

/// For how long a cookie is needed that is sent back at this age of the record, in hours of that age: until the
/// record ends, if this is its last use. That may be later than when the cookie ends where the layer's timeouts
/// are longer than when it was sent, or than browsers keep any.
fn hours_needed(timeouts: &Timeouts, age: Duration) -> u32 {
    let unused = age.saturating_add(timeouts.idle_and_window());
    // A new one lasts for no more than this; a day less, so that it is not due with each request.
    let most = age.saturating_add(LONGEST_COOKIE.saturating_sub(DAY));
    hours(unused.min(timeouts.absolute()).min(most))
}

/// Whether a new record would have anything in it: an empty one is never created.
fn creates(delta: &Delta) -> Result<bool, Error> {
    let mut fields = Fields::new();
    delta.apply(&mut fields).map_err(|name| Error::not_an_integer(&name))?;
    Ok(!fields.is_empty())
}

impl LiveRecord {
    /// The store's time now, or somewhat before it.
    pub(super) fn now(&self) -> Timestamp {
        self.loaded_at.saturating_add(self.since.elapsed())
    }

    pub(super) fn holds_rights(&self) -> bool {
        !self.authority.rights.is_empty()
    }

    /// Whether the secret may be renewed, if it is at least this old: two renewals at once are one too many.
    fn may_be_renewed(&self, age: Duration) -> bool {
        let since = self.authority.secret_since().unwrap_or(self.created);
        !self.is_withheld && !self.authority.is_renewing() && self.now().saturating_since(since) >= age
    }

    /// Whether the browser may forget the cookie before the record ends.
    fn outlives_cookie(&self) -> bool {
        let age = self.loaded_at.saturating_since(self.created);
        let hours = hours_needed(&self.timeouts, age);
        self.authority.has_lasting_cookie() && hours > self.authority.cookie_hours
    }

    /// The names of the fields that outlive a logout: what one view carries and the record calls a right does not.
    pub(super) fn carried(&self, rules: &Rules) -> Vec<FieldName> {
        let mut carried = rules.names(FieldClass::KeepOnLogout);
        carried.retain(|name| !self.authority.rights.contains(name));
        carried
    }

    /// How long the browser keeps a cookie; `None` until it is closed.
    pub(super) fn max_age(&self) -> Option<Duration> {
        let age = self.loaded_at.saturating_since(self.created);
        self.authority.has_lasting_cookie().then(|| max_age(&self.timeouts, age))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn what_a_request_says_comes_after_what_was_said() {
        let (one, two) = (Lifetime { idle: HOUR, absolute: HOUR }, Lifetime { idle: DAY, absolute: DAY });
        let options = |is_remembered, lifetime| SessionOptions { lifetime, is_remembered };
        for (before, said, after) in [
            ((None, None), (None, None), (None, None)),
            ((Some(false), Some(one)), (None, None), (Some(false), Some(one))),
            ((Some(false), Some(one)), (None, Some(two)), (Some(false), Some(two))),
            ((Some(true), Some(one)), (Some(false), None), (Some(false), Some(one))),
            ((Some(false), Some(one)), (Some(true), None), (Some(true), None)),
            ((Some(false), Some(one)), (Some(true), Some(two)), (Some(true), Some(two))),
        ] {
            let [before, said, after] = [before, said, after].map(|(kept, lifetime)| options(kept, lifetime));
            assert_eq!(before.and(said), after, "{before:?} {said:?}");
        }
    }

    #[test]
    fn a_cookie_of_the_same_times_is_never_too_short() {
        for idle in [Duration::ZERO, HOUR / 7, DAY, 30 * DAY, Duration::MAX] {
            for absolute in [Duration::ZERO, HOUR / 2, 61 * HOUR / 60, 30 * DAY, 400 * DAY] {
                let timeouts = Timeouts::new(idle, absolute);
                let cookie = cookie_hours(&timeouts, Duration::ZERO);
                for share in 0..=20 {
                    let age = absolute * share / 20;
                    assert!(hours_needed(&timeouts, age) <= cookie, "{idle:?} {absolute:?} {age:?}");
                    assert_eq!(cookie_hours(&timeouts, age), cookie, "a secret_change moves no deadline");
                }
            }
        }
    }

    #[test]
    fn a_cookie_is_too_short_once_its_session_might_outlive_it() {
        let (before, now) = (Timeouts::new(DAY, 30 * DAY), Timeouts::new(DAY, 90 * DAY));
        let cookie = cookie_hours(&before, 3 * DAY);
        assert_eq!(cookie, 30 * 24);
        // A day and an hour before its end, unused after that.
        assert!(hours_needed(&now, 28 * DAY + 23 * HOUR) <= cookie);
        assert!(hours_needed(&now, 29 * DAY) > cookie);
        assert!(hours_needed(&now, 89 * DAY) <= cookie_hours(&now, 29 * DAY));
        // Longer than browsers keep one: not with each request.
        let forever = Timeouts::new(Duration::MAX, Duration::MAX);
        let cookie = cookie_hours(&forever, DAY);
        assert_eq!(cookie, 401 * 24);
        assert!(hours_needed(&forever, DAY + 23 * HOUR) <= cookie);
        assert!(hours_needed(&forever, 2 * DAY + HOUR) > cookie);
    }
}
