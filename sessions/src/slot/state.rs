//! What one request knows of its session and wants done: plain values, no I/O.

use std::time::Duration;

use bytes::Bytes;

use super::{
    ended::Watched,
    ledger::{Composed, Deed, End, FieldChange, Ledger, Rights, Rotation, removed_rights},
    removal::Removal,
    request::{Beginning, RequestFacts},
    rules::{Rules, Standing},
    secrets::Opened,
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
pub(super) struct State {
    pub(super) request: RequestFacts,
    /// The request came with a token of this layer's, whatever that is worth.
    pub(super) has_token: bool,
    pub(super) record: Phase,
    /// The record whose secret was replaced a moment ago, if the request came with one.
    pub(super) superseded: Option<RecordId>,
    /// Counts the records that this request has ended; a handle of an earlier one has no say.
    pub(super) life: u32,
    pub(super) ledger: Ledger,
    pub(super) wishes: Wishes,
    pub(super) destroy: Vec<RecordId>,
    /// What `flash_now_…` set: for this request only.
    pub(super) request_only: Fields,
    pub(super) cookie: CookieChange,
    /// A save failed, and whoever asked for it may not have waited to hear so.
    pub(super) unheard: Option<Error>,
    /// What failed of handles whose saves wait.
    pub(super) failures: Vec<(u64, Error)>,
    saves: Saves,
    /// Those who wait for the end of the record of this life, if there are any.
    pub(super) watched: Option<Watched>,
    /// Handles that have taken back what they did, and when.
    taken_back: Vec<(u64, u64)>,
    /// Whether a write is on its way that changes the secret.
    pub(super) is_rotating: bool,
    pub(super) head_sent: bool,
    /// The record held a right when it was loaded.
    pub(super) was_privileged: bool,
    /// The request ended without a response.
    pub(super) abandoned: bool,
}

/// The longest a browser keeps a cookie (RFC 6265bis section 5.5): 400 days.
const LONGEST_COOKIE: Duration = Duration::from_hours(400 * 24);

/// The least time between two renewals.
const SHORTEST: Duration = Duration::from_mins(1);

/// What handlers asked for, besides changes of fields.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// A new secret.
    pub(super) rotation: bool,
    /// One with the same powers.
    pub(super) renewal: bool,
    /// What is said of the session, from its next secret on.
    pub(super) terms: Terms,
    /// That the request be no use of the session.
    pub(super) without_touch: bool,
}

/// What became of the changes that were handed over to be saved: another save may have taken them along.
#[derive(Debug, Default)]
struct Saves {
    /// How many there were, and how many of those were taken to be written.
    handed: u64,
    taken: u64,
    /// Up to which of those taken it is known what became of them.
    resolved: u64,
    /// Those whose outcome nobody has heard yet: of which handle and life, and their numbers.
    unheard: Vec<(u64, u32, u64)>,
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
    /// Its secret was replaced a moment ago. Another request has the new one, or is about to; a session that
    /// began here would take that one's place.
    Superseded(Terms),
    /// It has this one.
    Live(Box<Live>),
}

/// What was said of a session, besides its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long it lives, if that is less than the layer grants.
    pub(super) lifetime: Option<Lifetime>,
    /// Whether its user asked to be remembered; or that the browser is to forget the cookie when it is closed.
    pub(super) is_remembered: Option<bool>,
}

impl Terms {
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
pub(super) struct Live {
    pub(super) id: RecordId,
    pub(super) epoch: u64,
    pub(super) credentials: Credentials,
    /// What the credentials says.
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
    /// A login of this request began its life, and what it says of `created` is by the clock of this process.
    pub(super) began_here: bool,
    pub(super) fields: Fields,
    /// The names that were asked for; `None` if all fields are here.
    pub(super) names: Option<Vec<FieldName>>,
    /// Those of the fields that were opened.
    pub(super) opened: Vec<Opened>,
    /// The number of the rules by which its rights were examined last.
    pub(super) examined: usize,
    /// A right cannot be read: the request sees the record as after a logout, and the fields are what that leaves.
    pub(super) is_withheld: bool,
}

/// What the response does to the browser's cookie.
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

/// What a flush writes, besides destroying.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) write: Write,
    pub(super) taken: Taken,
    /// The rights that it takes away, which it does though another request has rotated meanwhile.
    pub(super) removal: Option<Removal>,
    /// What of it is to be written.
    pub(super) part: Part,
    /// Fields that the request had changed, and that go with the user whose they were.
    pub(super) lost: Vec<FieldName>,
    /// What is left of it if something in it cannot be stored: neither the old secret stays alive, nor a right
    /// that was taken away.
    pub(super) rescue: Option<Write>,
    /// What fails all the same, once the rotation is done.
    pub(super) failure: Option<Failure>,
}

/// What of a plan is to be written.
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
pub(super) struct Failure {
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
    pub(super) rotation: Rotation,
    /// Whether nothing but fields that belong to the browser changes.
    pub(super) is_carry_only: bool,
    /// Which of the request's records it is for.
    pub(super) life: u32,
    /// The rights that the record holds after it.
    pub(super) rights: Rights,
    /// How many bytes of fields there will be, as far as the request knows them; 0 if no more than before.
    pub(super) grows_to: usize,
}

/// What a plan is made of, for when it fails.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) deeds: Vec<Deed>,
    pub(super) ends: Vec<End>,
    rotation_wanted: bool,
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

/// What a handle hands over.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub(crate) changes: Vec<FieldChange>,
    /// `flash_now_…` values; `None` for one that was taken.
    pub(crate) request_only: Vec<(FieldName, Option<Bytes>)>,
    /// A change that cannot be stored, and when it was made.
    pub(crate) failure: Option<(u64, Error)>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { of: None, error, spares_response: false }
    }
}

impl Taken {
    /// Leaves of it the removals of rights only.
    pub(super) fn keep_removed_rights(&mut self, record: &Phase, rules: &Rules) {
        self.deeds = removed_rights(std::mem::take(&mut self.deeds), record, rules);
    }
}

impl Taken {
    /// Leaves out the removals of rights, which are done.
    pub(super) fn drop_removed_rights(&mut self) {
        self.deeds.retain(|deed| !deed.is_removed_right());
    }
}

impl Write {
    /// Whether nothing changes but the time of the last use.
    pub(super) fn is_only_touch(&self) -> bool {
        self.delta.is_empty() && self.rotation <= Rotation::Renewal
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

impl Handed {
    pub(crate) const fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.request_only.is_empty() && self.failure.is_none()
    }
}

impl Phase {
    pub(super) const fn live(&self) -> Option<&Live> {
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

    /// What a field is, by what the views say and what the record says of its rights.
    pub(super) fn standing(&self, name: &FieldName, rules: &Rules) -> Standing {
        let noted = match self.live().map(|live| &live.authority) {
            Some(authority) if authority.identity.as_ref() == Some(name) => Standing::Identity,
            Some(authority) if authority.rights.contains(name) => Standing::Privilege,
            _ => Standing::Plain,
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
        self.live().map_or_else(|| rules.names(Standing::KeepOnLogout), |live| live.carried(rules))
    }

    /// Whether the request sees the record as after a logout, and it is not.
    pub(super) fn is_withheld(&self) -> bool {
        self.live().is_some_and(|live| live.is_withheld)
    }
}

impl State {
    pub(super) fn new(request: RequestFacts) -> Self {
        Self { request, ..Self::default() }
    }

    pub(super) const fn live(&self) -> Option<&Live> {
        self.record.live()
    }

    /// Whether a view of these fields can be served as it is.
    pub(super) fn covers(&self, names: &[FieldName], rules: &Rules) -> bool {
        match &self.record {
            Phase::Unloaded => false,
            Phase::Absent | Phase::Superseded(_) => true,
            Phase::Live(live) => {
                let is_examined = !rules.has_any() || live.examined == rules.number();
                is_examined && live.missing(names).is_empty() && live.are_open(names, rules)
            }
        }
    }

    /// Whether what is to be written ends the login that the record has.
    pub(super) fn ends_login(&self, rules: &Rules) -> bool {
        if self.ledger.is_empty() {
            return false;
        }
        let composed = self.ledger.compose(&self.record, rules);
        composed.rotation == Rotation::Logout || composed.rights.identity.is_none()
    }

    /// Whether the record held a right when it was loaded, or holds one now.
    pub(super) fn was_privileged(&self) -> bool {
        self.was_privileged || self.live().is_some_and(|live| !live.authority.rights.is_empty())
    }

    /// The fields as this request sees them: as loaded, with what was handed over since.
    pub(super) fn visible(&self, rules: &Rules) -> Fields {
        let mut fields = self.live().map(|live| live.fields.clone()).unwrap_or_default();
        if !self.ledger.is_empty() {
            // A field that cannot take its operation fails the commit, which tells the user.
            let _ = self.ledger.compose(&self.record, rules).delta.apply(&mut fields);
        }
        fields
    }

    /// Enters what a handle hands over; says whether fields end with it.
    pub(super) fn accept(&mut self, by: u64, handed: Handed) -> bool {
        for (name, value) in handed.request_only {
            match value {
                Some(value) => self.request_only.insert(name, value),
                None => self.request_only.remove(name.as_str()),
            }
        }
        let is_boundary = handed.changes.iter().any(|change| change.standing == Standing::Identity);
        self.ledger.enter(by, handed.changes, handed.failure);
        is_boundary
    }

    /// What a change's field is to whoever uses the session: its own view need not know.
    pub(super) fn standing(&self, change: &FieldChange, rules: &Rules) -> Standing {
        let known = change.names().map(|name| self.record.standing(&name, rules));
        known.fold(change.standing, Standing::strongest)
    }

    /// The number of a save that is to write what a handle did.
    pub(super) fn next_save(&mut self, by: u64, only: Option<&FieldName>) -> u64 {
        self.ledger.is_to_be_saved(by, only);
        self.saves.prune();
        self.saves.handed += 1;
        self.saves.unheard.push((by, self.life, self.saves.handed));
        self.saves.handed
    }

    /// A failure of a handle whose save waits, or is still to come.
    pub(super) fn fail(&mut self, of: u64, error: Error) {
        if self.failures.iter().all(|(known, _)| *known != of) {
            self.failures.push((of, error));
        }
    }

    /// Has the saves fail that were to write these, but for that of one handle, which knows.
    pub(super) fn fail_saves_of(&mut self, taken: &Taken, but: Option<u64>, error: &Error) {
        for by in taken.deeds.iter().filter_map(Deed::saved_by).filter(|by| but != Some(*by)) {
            self.fail(by, error.duplicate());
        }
    }

    /// How much the slot remembers of what was done.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.saves.size() + self.failures.len() + self.taken_back.len() + self.ledger.size()
    }

    /// Notes that whoever asked for this save knows how it ended, and those of the handle before it.
    pub(super) fn note_heard(&mut self, by: u64, save: u64) {
        self.saves.unheard.retain(|(of, _, number)| *of != by || *number > save);
    }

    /// Whether something that is to be written ends this field.
    pub(super) fn ends(&self, name: &FieldName, rules: &Rules) -> bool {
        !self.ledger.is_empty() && self.ledger.compose(&self.record, rules).ends(name)
    }

    /// Why what this save handed over was lost, if it was, or an earlier one of the handle's that was given up.
    pub(super) fn loss_of(&mut self, by: u64, save: u64) -> Option<Error> {
        if let Some(index) = self.failures.iter().position(|(of, _)| *of == by) {
            return Some(self.failures.swap_remove(index).1);
        }
        let Saves { unheard, lost, .. } = &self.saves;
        let loss = |save: u64| lost.iter().find(|(after, upto, _)| *after < save && save <= *upto);
        // What a session has lost that was ended since is nobody's any more.
        let counts = |life: u32, number: u64| number == save || (life == self.life && number < save);
        let mut own = unheard.iter().filter(|(of, life, number)| *of == by && counts(*life, *number));
        own.find_map(|(.., number)| loss(*number)).map(|(.., error)| error.duplicate())
    }

    /// Ends the record, and all that was to be done to it but what was flashed. What comes next begins a new one. Says
    /// whether there was a record, and what else had been changed.
    pub(super) fn end(&mut self) -> (bool, Vec<FieldName>) {
        let ended_login = self.record.rights().identity.is_some();
        let is_there = matches!(self.record, Phase::Live(_));
        let mut fields = Fields::new();
        if let Phase::Live(live) = &mut self.record {
            self.destroy.push(live.id);
            fields = std::mem::take(&mut live.fields);
            self.record = Phase::Absent;
        }
        self.life += 1;
        self.tell_of_end();
        self.failures.clear();
        self.lose_waiting(Error::session_ended);
        self.wishes = Wishes::default();
        self.request_only = Fields::new();
        let mut lost = self.ledger.begin_anew(ended_login, &fields);
        if self.head_sent {
            // No page is left to show it.
            lost.extend(self.ledger.take().iter().filter_map(Deed::change).map(|change| change.name.clone()));
        }
        (is_there, lost)
    }

    /// What was said of the record counts for the one that a login begins in its place, too.
    pub(super) fn keep_terms(&mut self) {
        let terms = match &self.record {
            Phase::Live(live) => Terms::of(&live.authority),
            Phase::Superseded(terms) => *terms,
            Phase::Absent | Phase::Unloaded => return,
        };
        // But to be remembered each login asks for itself: another one may have been somebody else's.
        let terms =
            Terms { is_remembered: terms.is_remembered.filter(|is_remembered| !is_remembered), ..terms };
        self.wishes.terms = terms.and(self.wishes.terms);
    }

    /// What was said of the session is noted in its credentials, unless something else was said since.
    pub(super) fn terms_noted(&mut self, said: Terms) {
        if self.wishes.terms == said {
            self.wishes.terms = Terms::default();
        }
    }

    /// Removes all fields.
    pub(super) fn clear(&mut self, by: u64, at: u64) {
        self.request_only = Fields::new();
        self.ledger.clear(by, at);
    }

    /// A failing response takes the changes with it, but never a logout, a rotation that was asked for or the
    /// removal of a right.
    pub(super) fn discard(&mut self, rules: &Rules) {
        self.lose_waiting(|| Error::conflict("the request failed before this was written"));
        self.ledger.keep_removed_rights(&self.record, rules);
        self.wishes.terms = Terms::default();
    }

    /// Whether there is anything to write but a touch.
    pub(super) fn is_done(&self) -> bool {
        self.ledger.is_empty() && self.destroy.is_empty() && !self.wishes.rotation
    }

    /// Whether something is to be done that must not be lost, whoever waits for it.
    pub(super) fn takes_away(&self, rules: &Rules) -> bool {
        let is_composed = || self.ledger.compose(&self.record, rules).rotation > Rotation::Renewal;
        self.is_rotating
            || self.wishes.rotation
            || !self.destroy.is_empty()
            || (!self.ledger.is_empty() && is_composed())
    }

    pub(super) fn forget_fields(&mut self) {
        if let Phase::Live(live) = &mut self.record {
            live.fields = Fields::new();
        }
    }

    /// Where a write of this request goes now.
    pub(super) fn target(&self, rotation: Rotation) -> Result<Target, Error> {
        // A late write comes at an unknown time after the load, so it always counts as a use.
        let touch = (self.head_sent && !self.wishes.without_touch) || self.needs_touch();
        match self.live() {
            Some(live) => Ok(Target::Record { id: live.id, epoch: live.epoch, touch }),
            None if self.head_sent => Err(Error::head_sent()),
            // Who logs in needs nothing of what the old secret stood for.
            None if matches!(self.record, Phase::Superseded(_)) && rotation != Rotation::Login => {
                Err(Error::superseded())
            }
            None => match self.request.beginning(self.has_token, rotation) {
                Beginning::Admitted => Ok(Target::New),
                Beginning::Dropped => Err(Error::cross_site()),
                Beginning::Refused => Err(Error::cross_site_login()),
            },
        }
    }

    /// Whether the secret is to be renewed, or its renewal to be ended.
    fn needs_renewal(&self) -> bool {
        let Some(live) = self.live() else { return false };
        let wanted = self.wishes.renewal.then_some(SHORTEST);
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
        let is_due = |live: &Live| live.timeouts.needs_touch(live.created, live.touched, live.now());
        !self.wishes.without_touch && self.live().is_some_and(is_due)
    }

    /// Notes that a write was a use of the record, if it was.
    pub(super) fn note_touched(&mut self, target: Target) {
        let Target::Record { id, touch: true, .. } = target else { return };
        if let Phase::Live(live) = &mut self.record
            && live.id == id
        {
            live.touched = live.touched.max(live.now());
        }
    }

    /// Takes out what is to be written now, `at` this moment of the request's own count.
    pub(super) fn plan(&mut self, rules: &Rules, at: u64) -> Result<Option<Plan>, Failure> {
        let saves = self.saves.take();
        if self.request.is_unseen {
            self.ledger.take_back_takes();
        }
        let planned = self.plan_of(rules, at, saves);
        if let Err(Failure { of: None, error, .. }) = &planned {
            self.saves.lose(saves, error);
        }
        planned
    }

    fn plan_of(&mut self, rules: &Rules, at: u64, saves: (u64, u64)) -> Result<Option<Plan>, Failure> {
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
            let own = removed_rights(self.ledger.take_of(by), &self.record, rules);
            others = self.ledger.take();
            // Those saves are still to come.
            self.saves.taken = saves.0;
            self.ledger.put_back(own);
            composed = self.compose(rules);
            if composed.rotation <= Rotation::Renewal || self.live().is_none() {
                self.ledger.take();
                self.ledger.put_back(others);
                return Err(Failure { of: Some(by), ..error.into() });
            }
            failure = Some(Failure { of: Some(by), ..error.into() });
        }
        let deeds = self.ledger.take();
        self.ledger.put_back(others);
        let rotation_wanted = std::mem::take(&mut self.wishes.rotation);
        let (delta, rotation) = (&composed.delta, composed.rotation);
        self.wishes.renewal = false;
        let is_nothing = delta.is_empty() && rotation == Rotation::None && !self.needs_touch();
        if is_nothing || (self.live().is_none() && !creates(delta)?) {
            return Ok(None);
        }
        // Nobody is left to be given the new secret.
        let is_hard = rotation > Rotation::Renewal;
        if is_hard && self.head_sent {
            return Err(failure.unwrap_or_else(|| Error::head_sent().into()));
        }
        let target = self.target(rotation).map_err(|error| {
            let spares_response = failure.is_none() && self.stands_without(&deeds, rotation, &error);
            Failure { of: None, error, spares_response }
        })?;
        let (mut rescue, mut removal, mut part) = (None, None, Part::All);
        if is_hard {
            let removed = removed_rights(deeds.iter().map(Deed::again).collect(), &self.record, rules);
            rescue = self.rescue(&removed, rotation_wanted, target, rules);
            removal = self.live().and_then(|live| Removal::of(&removed, live));
            if !rotation_wanted && deeds.iter().all(Deed::is_removed_right) {
                part = Part::OnlyRemoval;
            }
        }
        let ends = std::mem::take(&mut composed.ends);
        let lost = std::mem::take(&mut composed.lost);
        let taken = Taken { deeds, ends, rotation_wanted, at, saves };
        let write = self.write_of(composed, target);
        Ok(Some(Plan { write, taken, removal, part, lost, rescue, failure }))
    }

    /// Takes out the removals of rights, to be written by themselves: nobody is left to be given a new secret.
    fn plan_late_removal(&mut self, rules: &Rules, at: u64, saves: (u64, u64)) -> Option<Plan> {
        let deeds = self.ledger.take_removed_rights(&self.record, rules);
        let live = self.live()?;
        let removal = Some(Removal::of(&deeds, live)?);
        let mut composed = self.ledger.compose_of(&deeds, &self.record, rules);
        let ends = std::mem::take(&mut composed.ends);
        let target = Target::Record { id: live.id, epoch: live.epoch, touch: false };
        let write = self.write_of(composed, target);
        // Those saves are still to come.
        self.saves.taken = saves.0;
        let taken = Taken { deeds, ends, rotation_wanted: false, at, saves: (saves.0, saves.0) };
        let (part, lost) = (Part::Removal, Vec::new());
        Some(Plan { write, taken, removal, part, lost, rescue: None, failure: None })
    }

    /// One atomic operation, of what was put together.
    pub(super) fn write_of(&self, composed: Composed, target: Target) -> Write {
        let Composed { delta, rotation, is_carry_only, rights, .. } = composed;
        let grows_to = self.grows_to(&delta);
        Write { target, delta, rotation, is_carry_only, life: self.life, rights, grows_to }
    }

    /// What only removes is no growth, however long the names are that it mentions.
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
    pub(super) fn stands_without(&self, deeds: &[Deed], rotation: Rotation, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::CrossSite => self.request.beginning(self.has_token, rotation) == Beginning::Dropped,
            ErrorKind::Conflict => {
                let ops: Option<Vec<_>> = deeds.iter().map(Deed::op).collect();
                ops.is_some_and(|ops| self.request.stands_without(rotation, ops))
            }
            _ => false,
        }
    }

    fn compose(&self, rules: &Rules) -> Composed {
        let mut composed = self.ledger.compose(&self.record, rules);
        if self.wishes.rotation {
            composed.rotation.at_least_rotation();
        }
        if composed.rotation == Rotation::None && self.needs_renewal() {
            composed.rotation = Rotation::Renewal;
        }
        composed
    }

    /// What is left if something cannot be stored: the removals of rights.
    fn rescue(
        &self,
        removed: &[Deed],
        rotation_wanted: bool,
        target: Target,
        rules: &Rules,
    ) -> Option<Write> {
        let mut composed = self.ledger.compose_of(removed, &self.record, rules);
        if rotation_wanted {
            composed.rotation.at_least_rotation();
        }
        (composed.rotation > Rotation::Renewal).then(|| self.write_of(composed, target))
    }

    /// Takes out what is to be done to one field, to be written by itself.
    pub(super) fn take_fields(&mut self, change: &FieldChange) -> Taken {
        let deeds = self.ledger.take_fields(change);
        let Saves { taken, handed, .. } = self.saves;
        // If it is lost, nobody can say whose it was.
        let saves = if deeds.is_empty() { (handed, handed) } else { (taken, handed) };
        Taken { deeds, ends: Vec::new(), rotation_wanted: false, at: change.at, saves }
    }

    /// Puts back what certainly was not written, as far as it is still wanted; says whether that is all.
    pub(super) fn put_back(&mut self, taken: &mut Taken, rules: &Rules) -> bool {
        let mut deeds = std::mem::take(&mut taken.deeds);
        // A handle may have taken back meanwhile what it did until then.
        deeds.retain(|deed| !self.taken_back.iter().any(|(by, at)| deed.is_of(*by) && taken.at < *at));
        let before = deeds.len();
        if self.head_sent || self.abandoned {
            // It was answered with an error, or nobody waits for it.
            deeds = removed_rights(deeds, &self.record, rules);
        }
        let is_all = deeds.len() == before;
        self.ledger.put_back(deeds);
        self.wishes.rotation |= taken.rotation_wanted && !self.head_sent;
        if is_all {
            // They are to be taken along once more.
            self.saves.taken = self.saves.taken.min(taken.saves.0);
        }
        is_all
    }

    /// Leaves of what a handle did, and no save is to write, the removals of rights only: its handler panics,
    /// or nobody waits for it.
    pub(super) fn keep_removed_rights_of(&mut self, by: u64, rules: &Rules) {
        self.ledger.keep_removed_rights_of(by, &self.record, rules);
    }

    /// Drops what is left after the response has failed.
    pub(super) fn drop_rest(&mut self, error: &Error) {
        self.ledger.take();
        self.lose_waiting(|| error.duplicate());
    }

    /// Takes back what a handle did, at this moment of the request's own count.
    pub(super) fn take_back(&mut self, by: u64, at: u64) {
        self.ledger.take_back(by);
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
    /// Forgets what nobody will ask for: losses of which everybody has heard, and of the losses that a handle has
    /// not heard of all but the first, which says enough.
    fn prune(&mut self) {
        let Self { unheard, lost, resolved, .. } = self;
        let mut told = Vec::new();
        unheard.retain(|&(of, life, number)| {
            let is_lost = lost.iter().any(|(after, upto, _)| *after < number && number <= *upto);
            let is_first = !told.contains(&(of, life));
            if is_lost && is_first {
                told.push((of, life));
            }
            if is_lost { is_first } else { number > *resolved }
        });
        lost.retain(|(after, upto, _)| unheard.iter().any(|(_, _, number)| after < number && number <= upto));
    }

    /// Those that wait: after the first number and up to the second.
    const fn take(&mut self) -> (u64, u64) {
        // Writes take turns, so those before this one are over.
        self.resolved = self.taken;
        let after = std::mem::replace(&mut self.taken, self.handed);
        (after, self.handed)
    }

    /// How much is kept of saves that were.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.unheard.len() + self.lost.len()
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

impl Live {
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
        let mut carried = rules.names(Standing::KeepOnLogout);
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
        let terms = |is_remembered, lifetime| Terms { lifetime, is_remembered };
        for (before, said, after) in [
            ((None, None), (None, None), (None, None)),
            ((Some(false), Some(one)), (None, None), (Some(false), Some(one))),
            ((Some(false), Some(one)), (None, Some(two)), (Some(false), Some(two))),
            ((Some(true), Some(one)), (Some(false), None), (Some(false), Some(one))),
            ((Some(false), Some(one)), (Some(true), None), (Some(true), None)),
            ((Some(false), Some(one)), (Some(true), Some(two)), (Some(true), Some(two))),
        ] {
            let [before, said, after] = [before, said, after].map(|(kept, lifetime)| terms(kept, lifetime));
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
                    assert_eq!(cookie_hours(&timeouts, age), cookie, "a rotation moves no deadline");
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
