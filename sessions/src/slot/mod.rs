//! The session of one request: loaded at most once, changed through its handles, committed by the
//! layer.
//!
//! It knows no framework and no driver. Its state is guarded by a lock that is never held across
//! an await; loads and commits pass a gate one at a time.

mod commit;
mod detached;
mod ended;
mod examine;
mod ledger;
mod load;
mod removal;
mod request;
mod rules;
mod secrets;
mod state;

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    future::poll_fn,
    sync::{Arc, OnceLock, PoisonError},
    task::Poll,
    time::Duration,
};

use self::{
    commit::InFlight,
    ledger::Rotation,
    state::{Phase, State},
};
pub(crate) use self::{
    detached::Detached,
    ended::Watchers,
    ledger::FieldChange,
    request::RequestFacts,
    rules::{OnInvalid, Rule, Rules, Standing},
    secrets::UNOPENED,
    state::{CookieChange, Handed},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    clock::Stopwatch,
    delta::Op,
    error::{Error, ErrorKind},
    event::{Event, Events},
    keys::KeyRing,
    span::in_current_span,
    store::{Boxed, DynStore},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
    value::{
        Authority, FieldName, Fields, Lifetime, Proof, RecordId, Timeouts, Timestamp, Token, TokenHasher,
    },
};

/// What all requests of a layer share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn DynStore>,
    pub(crate) hasher: TokenHasher,
    /// What secrets and sealed values belong to: the cookie's name.
    pub(crate) purpose: Cow<'static, str>,
    /// The keys of secret fields.
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) timeouts: Timeouts,
    /// Sessions that began before this are over.
    pub(crate) not_before: Timestamp,
    pub(crate) events: Events,
    /// What the views say of fields.
    pub(crate) rules: Arc<Rules>,
    pub(crate) last_purge: Arc<AtomicI64>,
    /// How long the store may take for one operation.
    pub(crate) store_timeout: Duration,
    pub(crate) sizes: Sizes,
    /// How soon `Handle::ended` tells.
    pub(crate) ended_within: Duration,
    /// The records whose end is waited for.
    pub(crate) watchers: Arc<Watchers>,
    /// Tells how much time has passed in this process.
    pub(crate) stopwatch: Stopwatch,
    /// Heard by all work that goes on when nobody waits for it.
    pub(crate) in_flight: watch::Sender<()>,
    /// What is left of the commits that may go on after their clients went away.
    pub(crate) abandoned: Arc<Semaphore>,
    /// Where requests of the layer run, for work that is left when one is dropped elsewhere.
    pub(crate) runtime: OnceLock<tokio::runtime::Handle>,
    /// What the layer keeps for itself. It is here and not beside this, because each shared
    /// allocation that a request holds is a reference count that all cores fight for.
    pub(crate) frame: Arc<dyn Any + Send + Sync>,
}

impl Shared {
    /// How long a session lives: as long as the layer grants its kind, or as was said of it where that is less.
    fn timeouts_of(&self, authority: &Authority) -> Timeouts {
        self.timeouts.of_kind(authority.kind()).within(authority.lifetime)
    }
}

/// How many bytes there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// In the JSON text of one field.
    pub(crate) field: usize,
    /// In the names and texts of all fields of a record.
    pub(crate) record: usize,
}

/// The session of one request.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Counts the changes of the request, to tell which came first.
    changes: AtomicU64,
    /// Whether nobody waits for the response any more.
    is_orphaned: AtomicBool,
    /// Counts what ends fields: a handle that saw what was before it must look again.
    boundaries: AtomicU64,
    /// What the layer has seen of the request, for the response.
    pub(crate) notes: AtomicU8,
}

/// The first two distinct well-formed tokens that a request presents.
pub(crate) type Presented = [Option<Token>; 2];

/// What a handle starts from.
pub(crate) struct Snapshot {
    pub(crate) life: u32,
    /// How many boundaries it is after.
    pub(crate) boundary: u64,
    pub(crate) fields: Fields,
    pub(crate) request_only: Fields,
}

/// The public facts of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) id: RecordId,
    pub(crate) created: Timestamp,
    pub(crate) deadline: Timestamp,
}

/// What to do with a handler's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Commit,
    /// All but the rights that were granted, and what a new user did.
    GrantNothing,
    /// Only a logout and an explicit rotation.
    Discard,
}

/// What a handler left behind.
#[derive(Debug)]
pub(crate) enum Closing {
    /// Nobody asked for the session.
    Untouched,
    /// Nothing is left to write.
    Done(Outcome),
    /// Something is.
    MustFlush,
}

/// What became of work that was dropped.
const UNFINISHED: &str = "it was stopped before it was done: too many requests at once were given up by their \
    clients, or the runtime shut down";

/// How many commits of a layer may go on at a time after their clients went away: each keeps what its request has
/// loaded.
pub(crate) const MOST_ABANDONED: usize = 256;

/// Whether a write goes on for which nobody waits any more.
enum GoesOn {
    /// As one of so many.
    Counted(OwnedSemaphorePermit),
    /// It ends a session, takes a right away or changes a secret.
    Always,
    No,
}

/// Who may still use the slot after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Afterwards {
    Nobody,
    Handles,
}

/// What the layer does to the response.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) cookie: CookieChange,
    /// Whether somebody with a right was served.
    pub(crate) is_privileged: bool,
    pub(crate) error: Option<Error>,
}

impl Slot {
    pub(crate) fn new(shared: Arc<Shared>, request: RequestFacts) -> Self {
        Self {
            shared,
            gate: tokio::sync::Mutex::new(()),
            state: Mutex::new(State::new(request)),
            changes: AtomicU64::new(0),
            is_orphaned: AtomicBool::new(false),
            boundaries: AtomicU64::new(0),
            notes: AtomicU8::new(0),
        }
    }

    /// How much the slot remembers of what was done.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.lock().size()
    }

    /// The number of the next change.
    pub(crate) fn next_change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether it is of a layer that shares this, or of a clone of it.
    pub(crate) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.shared.events
    }

    /// Makes sure that the record is loaded with these fields, and says whether there is one.
    /// `present` is called at most once per request.
    pub(crate) async fn open(
        self: &Arc<Self>,
        present: impl FnOnce() -> Presented,
        names: &'static [FieldName],
    ) -> Result<bool, Error> {
        let rules = &self.shared.rules;
        if self.lock().covers(names, rules) {
            return Ok(self.facts().is_some());
        }
        let is_loaded = || !matches!(self.lock().record, Phase::Unloaded);
        if is_loaded() {
            let slot = Arc::clone(self);
            return Detached::reading(async move { slot.open_further(names).await }).await;
        }
        let gate = self.gate.lock().await;
        if is_loaded() {
            drop(gate);
            return Box::pin(self.open_further(names)).await;
        }
        self.shared.note_runtime();
        let wanted = rules.with_rights(names);
        let presented = present();
        self.lock().has_token = presented[0].is_some();
        let mut found = self.find_live(presented, &wanted).await?;
        let (mut examined, mut is_withheld) = (Ok(()), false);
        if let Phase::Live(live) = &mut found {
            examined = self.examine(live, names);
            is_withheld = live.is_withheld;
        }
        let is_live = found.live().is_some();
        let mut state = self.lock();
        state.record = found;
        state.was_privileged = state.was_privileged();
        if is_withheld {
            // What is read of it changes nothing, and sets no cookie.
            state.forget_renewal();
        }
        examined.map(|()| is_live)
    }

    /// The same of a further view. Once begun it goes on by itself, as all that waits for the gate while handles
    /// are about: one who keeps the future and polls another one must not hold that up.
    async fn open_further(&self, names: &[FieldName]) -> Result<bool, Error> {
        let _gate = self.gate.lock().await;
        let wanted = self.shared.rules.with_rights(names);
        let loaded = self.load_missing(&wanted, names).await;
        // A store that failed is reported where it did.
        if let Err(error) = &loaded
            && error.kind() == ErrorKind::Conflict
        {
            self.report_failure(error);
        }
        loaded
    }

    /// Reads the record again, with these fields and all that were loaded before.
    /// Goes on by itself, too.
    pub(crate) fn reload(self: &Arc<Self>, names: &'static [FieldName]) -> Detached<()> {
        let slot = Arc::clone(self);
        Detached::reading(async move { slot.reload_behind_gate(names).await })
    }

    async fn reload_behind_gate(&self, names: &[FieldName]) -> Result<(), Error> {
        let _gate = self.gate.lock().await;
        let wanted = self.shared.rules.with_rights(names);
        let known = self.lock().live().map(|live| (Box::new(live.clone()), live.with_names(&wanted)));
        let Some((mut live, names)) = known else { return Ok(()) };
        let (loaded, authority) = self.load_again(live.id, live.epoch, &names).await?;
        live.authority = authority;
        live.credentials = loaded.credentials;
        live.fields = loaded.fields;
        live.opened.clear();
        live.names = (!loaded.complete).then_some(names);
        live.touched = loaded.touched;
        (live.created, live.began_here) = (loaded.created, false);
        (live.loaded_at, live.since) = (loaded.now, self.shared.stopwatch.start());
        (live.examined, live.is_withheld) = (0, false);
        // Before others see it: they look at any time.
        let all: Vec<_> = live.fields.iter().map(|(name, _)| name.clone()).collect();
        let examined = self.examine(&mut live, &all);
        self.enter(live);
        examined
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            life: state.life,
            boundary: self.boundary(),
            fields: state.visible(&self.shared.rules),
            request_only: state.request_only.clone(),
        }
    }

    /// The same for whoever began in this life: empty if that has ended since.
    pub(crate) fn snapshot_of(&self, life: u32) -> Snapshot {
        let snapshot = self.snapshot();
        if snapshot.life == life {
            return snapshot;
        }
        Snapshot { life, fields: Fields::new(), request_only: Fields::new(), ..snapshot }
    }

    /// How many times something ended fields in this request.
    pub(crate) fn boundary(&self) -> u64 {
        self.boundaries.load(Ordering::Acquire)
    }

    /// Has handles that saw what was before look again.
    fn note_boundary(&self) {
        self.boundaries.fetch_add(1, Ordering::AcqRel);
    }

    fn accept(&self, state: &mut State, by: u64, mut handed: Handed) {
        for change in &mut handed.changes {
            change.standing = state.standing(change, &self.shared.rules);
        }
        let is_too_large = |change: &FieldChange| change.op.size() > self.shared.sizes.field;
        if let Some(change) = handed.changes.iter().find(|change| is_too_large(change)) {
            handed.failure = Some((change.at, Error::field_too_large(&change.name, self.shared.sizes.field)));
            // What it was removed from before is removed.
            let without =
                |change| if is_too_large(&change) { change.into_removed_right() } else { Some(change) };
            handed.changes = handed.changes.into_iter().filter_map(without).collect();
        }
        if state.accept(by, handed) {
            self.note_boundary();
        }
    }

    pub(crate) fn facts(&self) -> Option<Facts> {
        let state = self.lock();
        let live = state.live()?;
        let deadline = live.timeouts.deadline(live.created, live.touched);
        Some(Facts { id: live.id, created: live.created, deadline })
    }

    /// When the user last proved who it is, and the time now, on the store's clock.
    pub(crate) fn authenticated_at(&self) -> Option<(Timestamp, Timestamp)> {
        let state = self.lock();
        let live = state.live().filter(|live| !live.is_withheld)?;
        if state.ends_login(&self.shared.rules) {
            return None;
        }
        let at = match live.authority.proof {
            Proof::None => return None,
            Proof::AtCreation => live.created,
            Proof::At(at) => at,
        };
        Some((at, live.now()))
    }

    /// Takes a dropped handle's changes.
    pub(crate) fn hand_over(self: &Arc<Self>, by: u64, life: u32, handed: Handed) {
        let mut state = self.lock();
        if life != state.life {
            drop(state);
            // Of a session that the request has ended nothing is left, but what it says to the next page.
            let Handed { changes, .. } = handed;
            let (flashes, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.is_flash);
            let others = others.into_iter().map(|change| change.name).collect();
            self.hand_over_flashes(by, Handed { changes: flashes, ..Handed::default() }, others);
            return;
        }
        if !state.head_sent {
            self.accept(&mut state, by, handed);
            return;
        }
        if state.abandoned {
            drop(state);
            // Nobody waits for what it did, and nobody was told that it happened; but rights are gone.
            self.hand_over_removed_rights(by, life, handed.changes);
            return;
        }
        let had_unsaved = state.ledger.has_unsaved(by);
        let record = state.live().map(|live| live.id);
        let is_removal = |change: &&FieldChange| {
            state.standing(change, &self.shared.rules).is_right() && change.op == Op::Remove
        };
        let is_silent =
            handed.changes.iter().all(|change| is_removal(&change)) && handed.request_only.is_empty();
        let unsaved = handed.changes.iter().filter(|change| !is_removal(change));
        let fields: Vec<_> = unsaved.map(|change| change.name.clone()).collect();
        drop(state);
        if let Some((_, error)) = &handed.failure {
            self.report_failure(error);
        }
        // Nobody saved it, but a right can always be taken away.
        self.hand_over_removed_rights(by, life, handed.changes);
        if !is_silent || had_unsaved {
            self.shared.events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    /// Reports what is lost with a handle whose task panics after the response head has left: before that, the
    /// request fails with it.
    pub(crate) fn report_given_up(&self, by: u64, life: u32, mut fields: Vec<FieldName>) {
        let state = self.lock();
        if life != state.life || !state.head_sent || state.abandoned {
            return;
        }
        fields.extend(state.ledger.unsaved_fields(by));
        let record = state.live().map(|live| live.id);
        drop(state);
        if !fields.is_empty() {
            self.shared.events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    /// Takes what a handle has flashed for whoever comes next, though its session is over. The others are lost.
    pub(crate) fn hand_over_flashes(&self, by: u64, handed: Handed, mut lost: Vec<FieldName>) {
        let mut state = self.lock();
        if state.head_sent {
            lost.extend(handed.changes.into_iter().map(|change| change.name));
        } else {
            self.accept(&mut state, by, handed);
        }
        drop(state);
        self.report_lost(None, lost);
    }

    /// The number of the present record of the request.
    pub(crate) fn life(&self) -> u32 {
        self.lock().life
    }

    fn report_lost(&self, record: Option<RecordId>, fields: Vec<FieldName>) {
        if !fields.is_empty() {
            self.shared.events.report(&Event::ChangesDropped { record, fields });
        }
    }

    /// Takes the removals of rights from among the changes of a handle that nobody waits for, or whose
    /// handler panics.
    pub(crate) fn hand_over_removed_rights(
        self: &Arc<Self>,
        by: u64,
        life: u32,
        mut changes: Vec<FieldChange>,
    ) {
        let mut state = self.lock();
        if life != state.life {
            return;
        }
        state.keep_removed_rights_of(by, &self.shared.rules);
        for change in &mut changes {
            change.standing = state.standing(change, &self.shared.rules);
        }
        let changes: Vec<_> = changes.into_iter().filter_map(FieldChange::into_removed_right).collect();
        self.accept(&mut state, by, Handed { changes, ..Handed::default() });
        let must_flush = state.head_sent && state.ledger.has_removed_rights_of(by);
        drop(state);
        if must_flush {
            self.flush_in_background();
        }
    }

    /// Takes the changes of a handle that goes on, unless it is late: then they wait for a save.
    pub(crate) fn hand_over_early(&self, by: u64, life: u32, hand_over: impl FnOnce() -> Handed) -> bool {
        {
            let state = self.lock();
            if state.head_sent || life != state.life {
                return false;
            }
        }
        // Not under the lock: it runs code of the fields' types.
        let handed = hand_over();
        let mut state = self.lock();
        if life == state.life {
            self.accept(&mut state, by, handed);
        }
        true
    }

    /// Takes the changes of a handle that goes on, to be written whenever the next write comes.
    pub(crate) fn hand_over_meanwhile(
        self: &Arc<Self>,
        by: u64,
        life: u32,
        handed: Handed,
    ) -> Result<(), Error> {
        self.hand_over_checked(by, life, handed).map(drop)
    }

    /// Takes the changes of a handle that goes on, to be written by a save of all fields or of one, which gets a
    /// number.
    pub(crate) fn hand_over_for_save(
        self: &Arc<Self>,
        by: u64,
        life: u32,
        handed: Handed,
        only: Option<&FieldName>,
    ) -> Result<u64, Error> {
        self.hand_over_checked(by, life, handed).map(|mut state| state.next_save(by, only))
    }

    fn hand_over_checked(
        self: &Arc<Self>,
        by: u64,
        life: u32,
        handed: Handed,
    ) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.lock();
        if life != state.life && !handed.is_empty() {
            return Err(Error::session_ended());
        }
        let is_grant = |change: &FieldChange| {
            state.standing(change, &self.shared.rules).is_right() && change.op != Op::Remove
        };
        if state.head_sent && handed.changes.iter().any(is_grant) {
            drop(state);
            // Nobody is left to be given the new secret. Refused as a whole, so that half of it is not
            // in the way of what comes next; but what it took away is gone.
            self.hand_over_removed_rights(by, life, handed.changes);
            return Err(Error::head_sent());
        }
        self.accept(&mut state, by, handed);
        Ok(state)
    }

    /// Takes back what a handle handed over and what is not written yet.
    pub(crate) fn take_back(&self, by: u64) {
        let at = self.next_change();
        self.lock().take_back(by, at);
    }

    /// Ends the record of this life, and returns the next one's; that of an earlier life has no say.
    pub(crate) fn destroy(self: &Arc<Self>, life: u32) -> u32 {
        let (next, must_flush, record, lost) = {
            let mut state = self.lock();
            if state.life != life {
                return life;
            }
            let record = state.live().map(|live| live.id);
            let (is_there, lost) = state.end();
            (state.life, state.head_sent && is_there, record, lost)
        };
        self.report_lost(record, lost);
        if must_flush {
            self.flush_in_background();
        }
        next
    }

    pub(crate) fn clear(&self, by: u64, life: u32) {
        let at = self.next_change();
        let mut state = self.lock();
        if state.life == life {
            state.clear(by, at);
            self.note_boundary();
        }
    }

    pub(crate) fn rotate(&self) {
        let mut state = self.lock();
        if !state.head_sent {
            state.wishes.rotation = true;
            return;
        }
        let record = state.live().map(|live| live.id);
        drop(state);
        self.shared.events.report(&Event::CommitFailed { record, error: &Error::head_sent() });
    }

    pub(crate) fn renew(&self) {
        self.lock().wishes.renewal = true;
    }

    pub(crate) fn without_touch(&self) {
        self.lock().wishes.without_touch = true;
    }

    pub(crate) fn limit_lifetime(&self, lifetime: Lifetime) {
        self.lock().wishes.terms.lifetime = Some(lifetime);
    }

    pub(crate) fn remember(&self, is_remembered: bool) {
        self.lock().wishes.terms.is_remembered = Some(is_remembered);
    }

    /// Writes now what was handed over for the save of this number.
    pub(crate) fn save(self: &Arc<Self>, by: u64, number: u64) -> Detached<()> {
        let (slot, working) = (Arc::clone(self), self.working());
        Detached::in_task(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            // What waited here with it may have been taken along, and lost.
            let lost = slot.lock().loss_of(by, number);
            let saved = match lost {
                Some(error) => Err(error),
                None => slot.flush(Afterwards::Handles, Some(by)).await,
            };
            unfinished.finished();
            saved
        })
    }

    /// Writes now what there is to do to one field, and nothing else.
    pub(crate) fn commit_field(self: &Arc<Self>, by: u64, life: u32, change: FieldChange) -> Detached<()> {
        let (slot, working) = (Arc::clone(self), self.working());
        Detached::in_task(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            let committed = slot.commit_field_behind_gate(by, life, change).await;
            unfinished.finished();
            committed
        })
    }

    async fn commit_field_behind_gate(
        &self,
        by: u64,
        life: u32,
        mut change: FieldChange,
    ) -> Result<(), Error> {
        let target = self.lock().target(Rotation::None);
        if let Err(error) = &target
            && error.kind() == ErrorKind::CrossSite
        {
            self.shared.events.report(&Event::CrossSite { is_login: false, error });
            return Err(error.duplicate());
        }
        if self.lock().ends(&change.name, &self.shared.rules) {
            // What was ended must be gone before it is counted from.
            self.flush(Afterwards::Handles, Some(by)).await?;
        }
        let (target, write, taken) = {
            let (mut state, rules) = (self.lock(), &self.shared.rules);
            if state.life != life {
                return Err(Error::session_ended());
            }
            change.standing = state.standing(&change, rules);
            if change.standing.is_right() && state.head_sent {
                return Err(Error::head_sent());
            }
            let target = state.target(Rotation::None)?;
            let taken = state.take_fields(&change);
            let mut composed = state.ledger.compose_of(&taken.deeds, &state.record, rules);
            let pushed = composed.push(&change, &state.record, rules);
            let failure = composed.failure.take().map(|(_, error)| error);
            let is_of_this = failure.is_none();
            if let Err(error) = failure.map_or(pushed, Err) {
                state.put_back(&mut { taken }, rules);
                drop(state);
                if is_of_this {
                    // What was put back is reported when it is to be written again.
                    self.report_failure(&error);
                }
                return Err(error);
            }
            (target, state.write_of(composed, target), taken)
        };
        let (names, kept) = (std::slice::from_ref(&change.name), write.delta.clone());
        let in_flight = InFlight::begin(self, &write, false, taken);
        let written = self.write_caught(write, names, Some(&kept)).await;
        let taken = in_flight.end();
        if let Err(error) = written {
            self.failed(target, &error, life, taken);
            // The change itself is not put back: whoever waited for it knows.
            self.lock().unheard = Some(error.duplicate());
            return Err(error);
        }
        let mut state = self.lock();
        state.note_touched(target);
        state.ledger.note_written(&taken.deeds, &[]);
        state.ledger.note_change(&change);
        Ok(())
    }

    /// Whether the handler left anything to write or to tell the browser.
    ///
    /// After this, handles that are still around are late.
    pub(crate) fn close(&self, verdict: Verdict) -> Closing {
        let mut state = self.lock();
        if matches!(state.record, Phase::Unloaded) {
            state.head_sent = true;
            return Closing::Untouched;
        }
        // A save that was begun and not awaited to its end may still bring a cookie, or fail.
        let gate = self.gate.try_lock();
        let is_busy = gate.is_err();
        if verdict != Verdict::Commit && !is_busy {
            drop(state);
            // The gate is kept meanwhile: a save that comes now must find that what it staged was dropped.
            self.drop_what_failed(verdict);
            state = self.lock();
        }
        let idle = state.is_done() && state.unheard.is_none() && !state.needs_upkeep();
        if idle && !is_busy {
            state.head_sent = true;
            let (cookie, is_privileged) = (std::mem::take(&mut state.cookie), state.was_privileged());
            return Closing::Done(Outcome { cookie, is_privileged, error: None });
        }
        Closing::MustFlush
    }

    /// Writes what is left and closes the slot.
    pub(crate) fn finish(self: &Arc<Self>, verdict: Verdict) -> Detached<Outcome> {
        let (slot, working) = (Arc::clone(self), self.working());
        Detached::in_place(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            loop {
                // Also what a save that was under way has put back.
                slot.drop_what_failed(verdict);
                let to_be_ended = slot.lock().destroy.clone();
                let error = slot.flush(slot.afterwards(), None).await.err();
                let mut state = slot.lock();
                // Handles may have been dropped meanwhile, or the session ended: then once more.
                if error.is_none() && !state.is_done() {
                    continue;
                }
                state.head_sent = true;
                let error = error.or(state.unheard.take());
                if let Some(error) = &error {
                    state.drop_rest(error);
                }
                // What was ended while something else failed.
                let is_ended = state.destroy.iter().any(|id| !to_be_ended.contains(id));
                let (cookie, is_privileged) = (std::mem::take(&mut state.cookie), state.was_privileged());
                drop(state);
                if is_ended {
                    slot.flush_in_background();
                }
                unfinished.finished();
                return Ok(Outcome { cookie, is_privileged, error });
            }
        })
    }

    /// Drops what a request that has failed must not write.
    fn drop_what_failed(&self, verdict: Verdict) {
        let (dropped, record) = {
            let mut state = self.lock();
            let dropped = match verdict {
                Verdict::Commit => Vec::new(),
                Verdict::GrantNothing => state.ledger.drop_grants(),
                Verdict::Discard => {
                    state.discard(&self.shared.rules);
                    Vec::new()
                }
            };
            (dropped, state.live().map(|live| live.id))
        };
        if !dropped.is_empty() {
            self.shared.events.report(&Event::GrantDropped { record, fields: dropped });
        }
    }

    /// Whoever asked for this save knows how it ended.
    pub(crate) fn note_heard(&self, by: u64, save: u64) {
        self.lock().note_heard(by, save);
    }

    /// Whoever saved has the error, and answers for it.
    pub(crate) fn failure_heard(&self) {
        self.lock().unheard = None;
    }

    /// Whether anybody else can still ask the slot: this work and the response are two that know it.
    fn afterwards(self: &Arc<Self>) -> Afterwards {
        let is_awaited = !self.is_orphaned.load(Ordering::Acquire);
        if is_awaited && Arc::strong_count(self) == 2 { Afterwards::Nobody } else { Afterwards::Handles }
    }

    /// The response future is gone: after its answer, or before.
    pub(crate) fn orphan(self: &Arc<Self>, was_answered: bool) {
        self.is_orphaned.store(true, Ordering::Release);
        if was_answered {
            return;
        }
        // The request ends without a response: a logout and the removal of a right happen all the same.
        let must_flush = {
            let mut state = self.lock();
            state.discard(&self.shared.rules);
            state.wishes.rotation = false;
            state.head_sent = true;
            state.abandoned = true;
            !state.is_done()
        };
        if must_flush {
            self.flush_in_background();
        }
    }

    /// Whether a write goes on for which nobody waits any more.
    fn may_go_on(&self) -> GoesOn {
        if self.lock().takes_away(&self.shared.rules) {
            return GoesOn::Always;
        }
        match Arc::clone(&self.shared.abandoned).try_acquire_owned() {
            Ok(permit) => GoesOn::Counted(permit),
            Err(_) => GoesOn::No,
        }
    }

    /// The last commit of the request has been stopped, and nothing tells the browser of what comes.
    fn close_unanswered(&self) {
        let mut state = self.lock();
        state.discard(&self.shared.rules);
        state.head_sent = true;
        state.abandoned = true;
    }

    /// To be kept by work that goes on when nobody waits for it: see `SessionLayer::drain`.
    fn working(&self) -> watch::Receiver<()> {
        self.shared.in_flight.subscribe()
    }

    fn flush_in_background(self: &Arc<Self>) {
        let (slot, working) = (Arc::clone(self), self.working());
        let work = async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            // Reported where it fails; there is nobody left to tell.
            let _ = slot.flush(Afterwards::Handles, None).await;
            unfinished.finished();
        };
        match self.shared.runtime() {
            Some(runtime) => drop(runtime.spawn(in_current_span(work))),
            None => self.report_unfinished(),
        }
    }

    fn report_unfinished(&self) {
        let state = self.lock();
        let ended = state.destroy.first().copied();
        let record = ended.or_else(|| state.live().map(|live| live.id));
        drop(state);
        let error = Error::outcome_unknown(UNFINISHED);
        self.shared.events.report(&Event::CommitFailed { record, error: &error });
    }

    /// Waits for the store, but not for ever. No timer is set for an answer that is there at once, nor
    /// where the store has its own.
    async fn bounded<T>(&self, mut work: Boxed<'_, T>, late: fn(&'static str) -> Error) -> Result<T, Error> {
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = first {
            return answer;
        }
        let began = tokio::time::Instant::now();
        let answer = self.in_time(work, late).await;
        let took = began.elapsed();
        if took > self.shared.store_timeout / 10 {
            self.shared.events.report(&Event::StoreSlow { took });
        }
        answer
    }

    async fn in_time<T>(&self, work: Boxed<'_, T>, late: fn(&'static str) -> Error) -> Result<T, Error> {
        if self.shared.store.timeout().is_some_and(|timeout| timeout <= self.shared.store_timeout) {
            return work.await;
        }
        let answer = tokio::time::timeout(self.shared.store_timeout, work).await;
        answer.unwrap_or_else(|_| Err(late("the session store did not answer in time")))
    }

    /// A panic elsewhere leaves the state whole: nothing above panics while it changes it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn note_runtime(&self) {
        if self.runtime.get().is_none()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Another request may have been faster.
            let _ = self.runtime.set(runtime);
        }
    }

    /// The runtime of this thread, or the one that the first request of the layer ran in.
    fn runtime(&self) -> Option<tokio::runtime::Handle> {
        tokio::runtime::Handle::try_current().ok().or_else(|| self.runtime.get().cloned())
    }
}

/// Work of a slot that was begun: if it is dropped before its end, an event says so. If it panics, who waits for it
/// reports that.
struct Unfinished<'a>(Option<&'a Slot>);

impl Unfinished<'_> {
    fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take()
            && !std::thread::panicking()
        {
            slot.report_unfinished();
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("record", &self.facts()).finish_non_exhaustive()
    }
}
