//! The session of one request: loaded at most once, changed through its handles, committed by the
//! layer.
//!
//! It knows no framework and no driver. Its state is guarded by a lock that is never held across
//! an await; loads and commits pass a gate one at a time.

mod changes;
mod commit;
mod ended;
mod examine;
mod load;
mod removal;
mod request;
mod rules;
mod secrets;
mod state;
mod survive;

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    future::poll_fn,
    sync::{Arc, OnceLock, PoisonError},
    task::Poll,
    time::Duration,
};

pub(crate) use self::{
    changes::FieldChange,
    ended::Watchers,
    request::RequestFacts,
    rules::{FieldClass, OnInvalid, Rule, Rules},
    secrets::UNOPENED,
    state::{CookieChange, StagedChanges},
    survive::Surviving,
};
use self::{
    changes::SecretChange,
    commit::InFlight,
    state::{RecordState, RequestState},
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

/// Action all requests of a layer share.
#[derive(Clone)]
pub(crate) struct LayerContext {
    pub(crate) store: Arc<dyn DynStore>,
    pub(crate) hasher: TokenHasher,
    /// Action secrets and sealed values belong to: the cookie's name.
    pub(crate) purpose: Cow<'static, str>,
    /// The keys of secret fields.
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) timeouts: Timeouts,
    /// Sessions that began before this are over.
    pub(crate) not_before: Timestamp,
    pub(crate) events: Events,
    /// Action the views say of fields.
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
    /// Action is left of the commits that may go on after their clients went away.
    pub(crate) detached: Arc<Semaphore>,
    /// Where requests of the layer run, for work that is left when one is dropped elsewhere.
    pub(crate) runtime: OnceLock<tokio::runtime::Handle>,
    /// Action the layer keeps for itself. It is here and not beside this, because each shared
    /// allocation that a request holds is a reference count that all cores fight for.
    pub(crate) http: Arc<dyn Any + Send + Sync>,
}

impl LayerContext {
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
    context: Arc<LayerContext>,
    gate: tokio::sync::Mutex<()>,
    state: Mutex<RequestState>,
    /// Counts the changes of the request, to tell which came first.
    changes: AtomicU64,
    /// Whether nobody waits for the response any more.
    is_detached: AtomicBool,
    /// Counts what ends fields: a handle that saw what was before it must look again.
    resets: AtomicU64,
    /// Action the layer has seen of the request, for the response.
    pub(crate) notes: AtomicU8,
}

/// The first two distinct well-formed tokens that a request presents.
pub(crate) type Presented = [Option<Token>; 2];

/// Action a handle starts from.
pub(crate) struct Snapshot {
    pub(crate) incarnation: u32,
    /// How many resets it is after.
    pub(crate) reset: u64,
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

/// Action to do with a handler's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteScope {
    All,
    /// All but the rights that were granted, and what a new user did.
    WithoutGrants,
    /// Only a logout and an explicit secret_change.
    RemovalsOnly,
}

/// Action a handler left behind.
#[derive(Debug)]
pub(crate) enum Closing {
    /// Nobody asked for the session.
    Untouched,
    /// Nothing is left to write.
    Done(Outcome),
    /// Something is.
    MustFlush,
}

/// Action became of work that was dropped.
const UNFINISHED: &str = "it was stopped before it was done: too many requests at once were given up by their \
    clients, or the runtime shut down";

/// How many commits of a layer may go on at a time after their clients went away: each keeps what its request has
/// loaded.
pub(crate) const MOST_DETACHED: usize = 256;

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

/// Action the layer does to the response.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) cookie: CookieChange,
    /// Whether somebody with a right was served.
    pub(crate) is_privileged: bool,
    pub(crate) error: Option<Error>,
}

impl Slot {
    pub(crate) fn new(context: Arc<LayerContext>, request: RequestFacts) -> Self {
        Self {
            context,
            gate: tokio::sync::Mutex::new(()),
            state: Mutex::new(RequestState::new(request)),
            changes: AtomicU64::new(0),
            is_detached: AtomicBool::new(false),
            resets: AtomicU64::new(0),
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

    pub(crate) fn context(&self) -> &LayerContext {
        &self.context
    }

    /// Whether it is of a layer that shares this, or of a clone of it.
    pub(crate) fn is_of(&self, context: &Arc<LayerContext>) -> bool {
        Arc::ptr_eq(&self.context, context)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.context.events
    }

    /// Makes sure that the record is loaded with these fields, and says whether there is one.
    /// `present` is called at most once per request.
    pub(crate) async fn open(
        self: &Arc<Self>,
        present: impl FnOnce() -> Presented,
        names: &'static [FieldName],
    ) -> Result<bool, Error> {
        let rules = &self.context.rules;
        if self.lock().covers(names, rules) {
            return Ok(self.facts().is_some());
        }
        let is_loaded = || !matches!(self.lock().record, RecordState::Unloaded);
        if is_loaded() {
            let slot = Arc::clone(self);
            return Surviving::reading(async move { slot.open_further(names).await }).await;
        }
        let gate = self.gate.lock().await;
        if is_loaded() {
            drop(gate);
            return Box::pin(self.open_further(names)).await;
        }
        self.context.note_runtime();
        let wanted = rules.with_rights(names);
        let presented = present();
        self.lock().has_token = presented[0].is_some();
        let mut found = self.find_live(presented, &wanted).await?;
        let (mut examined, mut is_withheld) = (Ok(()), false);
        if let RecordState::Live(live) = &mut found {
            examined = self.examine(live, names);
            is_withheld = live.is_withheld;
        }
        let is_live = found.live().is_some();
        let mut state = self.lock();
        state.record = found;
        state.was_privileged = state.was_privileged();
        if is_withheld {
            // Action is read of it changes nothing, and sets no cookie.
            state.forget_renewal();
        }
        examined.map(|()| is_live)
    }

    /// The same of a further view. Once begun it goes on by itself, as all that waits for the gate while handles
    /// are about: one who keeps the future and polls another one must not hold that up.
    async fn open_further(&self, names: &[FieldName]) -> Result<bool, Error> {
        let _gate = self.gate.lock().await;
        let wanted = self.context.rules.with_rights(names);
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
    pub(crate) fn reload(self: &Arc<Self>, names: &'static [FieldName]) -> Surviving<()> {
        let slot = Arc::clone(self);
        Surviving::reading(async move { slot.reload_behind_gate(names).await })
    }

    async fn reload_behind_gate(&self, names: &[FieldName]) -> Result<(), Error> {
        let _gate = self.gate.lock().await;
        let wanted = self.context.rules.with_rights(names);
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
        (live.loaded_at, live.since) = (loaded.now, self.context.stopwatch.start());
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
            incarnation: state.incarnation,
            reset: self.reset(),
            fields: state.visible(&self.context.rules),
            request_only: state.request_only.clone(),
        }
    }

    /// The same for whoever began in this incarnation: empty if that has ended since.
    pub(crate) fn snapshot_of(&self, incarnation: u32) -> Snapshot {
        let snapshot = self.snapshot();
        if snapshot.incarnation == incarnation {
            return snapshot;
        }
        Snapshot { incarnation, fields: Fields::new(), request_only: Fields::new(), ..snapshot }
    }

    /// How many times something ended fields in this request.
    pub(crate) fn reset(&self) -> u64 {
        self.resets.load(Ordering::Acquire)
    }

    /// Has handles that saw what was before look again.
    fn note_reset(&self) {
        self.resets.fetch_add(1, Ordering::AcqRel);
    }

    fn accept(&self, state: &mut RequestState, by: u64, mut staged: StagedChanges) {
        for change in &mut staged.changes {
            change.class = state.class(change, &self.context.rules);
        }
        let is_too_large = |change: &FieldChange| change.op.size() > self.context.sizes.field;
        if let Some(change) = staged.changes.iter().find(|change| is_too_large(change)) {
            staged.failure =
                Some((change.at, Error::field_too_large(&change.name, self.context.sizes.field)));
            // Action it was removed from before is removed.
            let without =
                |change| if is_too_large(&change) { change.into_removed_right() } else { Some(change) };
            staged.changes = staged.changes.into_iter().filter_map(without).collect();
        }
        if state.accept(by, staged) {
            self.note_reset();
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
        if state.ends_login(&self.context.rules) {
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
    pub(crate) fn stage(self: &Arc<Self>, by: u64, incarnation: u32, staged: StagedChanges) {
        let mut state = self.lock();
        if incarnation != state.incarnation {
            drop(state);
            // Of a session that the request has ended nothing is left, but what it says to the next page.
            let StagedChanges { changes, .. } = staged;
            let (flashes, others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.is_flash);
            let others = others.into_iter().map(|change| change.name).collect();
            self.stage_flashes(by, StagedChanges { changes: flashes, ..StagedChanges::default() }, others);
            return;
        }
        if !state.head_sent {
            self.accept(&mut state, by, staged);
            return;
        }
        if state.detached {
            drop(state);
            // Nobody waits for what it did, and nobody was told that it happened; but rights are gone.
            self.stage_removed_rights(by, incarnation, staged.changes);
            return;
        }
        let had_unsaved = state.log.has_unsaved(by);
        let record = state.live().map(|live| live.id);
        let is_removal = |change: &&FieldChange| {
            state.class(change, &self.context.rules).is_right() && change.op == Op::Remove
        };
        let is_silent =
            staged.changes.iter().all(|change| is_removal(&change)) && staged.request_only.is_empty();
        let unsaved = staged.changes.iter().filter(|change| !is_removal(change));
        let fields: Vec<_> = unsaved.map(|change| change.name.clone()).collect();
        drop(state);
        if let Some((_, error)) = &staged.failure {
            self.report_failure(error);
        }
        // Nobody saved it, but a right can always be taken away.
        self.stage_removed_rights(by, incarnation, staged.changes);
        if !is_silent || had_unsaved {
            self.context.events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    /// Reports what is lost with a handle whose task panics after the response head has left: before that, the
    /// request fails with it.
    pub(crate) fn report_given_up(&self, by: u64, incarnation: u32, mut fields: Vec<FieldName>) {
        let state = self.lock();
        if incarnation != state.incarnation || !state.head_sent || state.detached {
            return;
        }
        fields.extend(state.log.unsaved_fields(by));
        let record = state.live().map(|live| live.id);
        drop(state);
        if !fields.is_empty() {
            self.context.events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    /// Takes what a handle has flashed for whoever comes next, though its session is over. The others are lost.
    pub(crate) fn stage_flashes(&self, by: u64, staged: StagedChanges, mut lost: Vec<FieldName>) {
        let mut state = self.lock();
        if state.head_sent {
            lost.extend(staged.changes.into_iter().map(|change| change.name));
        } else {
            self.accept(&mut state, by, staged);
        }
        drop(state);
        self.report_lost(None, lost);
    }

    /// The number of the present record of the request.
    pub(crate) fn incarnation(&self) -> u32 {
        self.lock().incarnation
    }

    fn report_lost(&self, record: Option<RecordId>, fields: Vec<FieldName>) {
        if !fields.is_empty() {
            self.context.events.report(&Event::ChangesDropped { record, fields });
        }
    }

    /// Takes the removals of rights from among the changes of a handle that nobody waits for, or whose
    /// handler panics.
    pub(crate) fn stage_removed_rights(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        mut changes: Vec<FieldChange>,
    ) {
        let mut state = self.lock();
        if incarnation != state.incarnation {
            return;
        }
        state.keep_removed_rights_of(by, &self.context.rules);
        for change in &mut changes {
            change.class = state.class(change, &self.context.rules);
        }
        let changes: Vec<_> = changes.into_iter().filter_map(FieldChange::into_removed_right).collect();
        self.accept(&mut state, by, StagedChanges { changes, ..StagedChanges::default() });
        let must_flush = state.head_sent && state.log.has_removed_rights_of(by);
        drop(state);
        if must_flush {
            self.flush_in_background();
        }
    }

    /// Takes the changes of a handle that goes on, unless it is late: then they wait for a save.
    pub(crate) fn stage_early(
        &self,
        by: u64,
        incarnation: u32,
        stage: impl FnOnce() -> StagedChanges,
    ) -> bool {
        {
            let state = self.lock();
            if state.head_sent || incarnation != state.incarnation {
                return false;
            }
        }
        // Not under the lock: it runs code of the fields' types.
        let staged = stage();
        let mut state = self.lock();
        if incarnation == state.incarnation {
            self.accept(&mut state, by, staged);
        }
        true
    }

    /// Takes the changes of a handle that goes on, to be written whenever the next write comes.
    pub(crate) fn stage_for_later(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
    ) -> Result<(), Error> {
        self.stage_checked(by, incarnation, staged).map(drop)
    }

    /// Takes the changes of a handle that goes on, to be written by a save of all fields or of one, which gets a
    /// number.
    pub(crate) fn stage_for_save(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
        only: Option<&FieldName>,
    ) -> Result<u64, Error> {
        self.stage_checked(by, incarnation, staged).map(|mut state| state.next_save(by, only))
    }

    fn stage_checked(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        staged: StagedChanges,
    ) -> Result<MutexGuard<'_, RequestState>, Error> {
        let mut state = self.lock();
        if incarnation != state.incarnation && !staged.is_empty() {
            return Err(Error::session_ended());
        }
        let is_grant = |change: &FieldChange| {
            state.class(change, &self.context.rules).is_right() && change.op != Op::Remove
        };
        if state.head_sent && staged.changes.iter().any(is_grant) {
            drop(state);
            // Nobody is left to be given the new secret. Refused as a whole, so that half of it is not
            // in the way of what comes next; but what it took away is gone.
            self.stage_removed_rights(by, incarnation, staged.changes);
            return Err(Error::head_sent());
        }
        self.accept(&mut state, by, staged);
        Ok(state)
    }

    /// Takes back what a handle staged and what is not written yet.
    pub(crate) fn take_back(&self, by: u64) {
        let at = self.next_change();
        self.lock().take_back(by, at);
    }

    /// Ends the record of this incarnation, and returns the next one's; that of an earlier incarnation has no say.
    pub(crate) fn destroy(self: &Arc<Self>, incarnation: u32) -> u32 {
        let (next, must_flush, record, lost) = {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                return incarnation;
            }
            let record = state.live().map(|live| live.id);
            let (is_there, lost) = state.end();
            (state.incarnation, state.head_sent && is_there, record, lost)
        };
        self.report_lost(record, lost);
        if must_flush {
            self.flush_in_background();
        }
        next
    }

    pub(crate) fn clear(&self, by: u64, incarnation: u32) {
        let at = self.next_change();
        let mut state = self.lock();
        if state.incarnation == incarnation {
            state.clear(by, at);
            self.note_reset();
        }
    }

    pub(crate) fn rotate(&self) {
        let mut state = self.lock();
        if !state.head_sent {
            state.requested.rotation = true;
            return;
        }
        let record = state.live().map(|live| live.id);
        drop(state);
        self.context.events.report(&Event::CommitFailed { record, error: &Error::head_sent() });
    }

    pub(crate) fn renew(&self) {
        self.lock().requested.renewal = true;
    }

    pub(crate) fn without_touch(&self) {
        self.lock().requested.without_touch = true;
    }

    pub(crate) fn limit_lifetime(&self, lifetime: Lifetime) {
        self.lock().requested.options.lifetime = Some(lifetime);
    }

    pub(crate) fn remember(&self, is_remembered: bool) {
        self.lock().requested.options.is_remembered = Some(is_remembered);
    }

    /// Writes now what was staged for the save of this number.
    pub(crate) fn save(self: &Arc<Self>, by: u64, number: u64) -> Surviving<()> {
        let (slot, working) = (Arc::clone(self), self.working());
        Surviving::in_task(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            // Action waited here with it may have been taken along, and lost.
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
    pub(crate) fn commit_field(
        self: &Arc<Self>,
        by: u64,
        incarnation: u32,
        change: FieldChange,
    ) -> Surviving<()> {
        let (slot, working) = (Arc::clone(self), self.working());
        Surviving::in_task(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            let committed = slot.commit_field_behind_gate(by, incarnation, change).await;
            unfinished.finished();
            committed
        })
    }

    async fn commit_field_behind_gate(
        &self,
        by: u64,
        incarnation: u32,
        mut change: FieldChange,
    ) -> Result<(), Error> {
        let target = self.lock().target(SecretChange::None);
        if let Err(error) = &target
            && error.kind() == ErrorKind::CrossSite
        {
            self.context.events.report(&Event::CrossSite { is_login: false, error });
            return Err(error.duplicate());
        }
        if self.lock().ends(&change.name, &self.context.rules) {
            // Action was ended must be gone before it is counted from.
            self.flush(Afterwards::Handles, Some(by)).await?;
        }
        let (target, write, taken) = {
            let (mut state, rules) = (self.lock(), &self.context.rules);
            if state.incarnation != incarnation {
                return Err(Error::session_ended());
            }
            change.class = state.class(&change, rules);
            if change.class.is_right() && state.head_sent {
                return Err(Error::head_sent());
            }
            let target = state.target(SecretChange::None)?;
            let taken = state.take_fields(&change);
            let mut composed = state.log.compose_of(&taken.changes, &state.record, rules);
            let pushed = composed.push(&change, &state.record, rules);
            let failure = composed.failure.take().map(|(_, error)| error);
            let is_of_this = failure.is_none();
            if let Err(error) = failure.map_or(pushed, Err) {
                state.put_back(&mut { taken }, rules);
                drop(state);
                if is_of_this {
                    // Action was put back is reported when it is to be written again.
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
            self.failed(target, &error, incarnation, taken);
            // The change itself is not put back: whoever waited for it knows.
            self.lock().unreported = Some(error.duplicate());
            return Err(error);
        }
        let mut state = self.lock();
        state.note_touched(target);
        state.log.note_written(&taken.changes, &[]);
        state.log.note_change(&change);
        Ok(())
    }

    /// Whether the handler left anything to write or to tell the browser.
    ///
    /// After this, handles that are still around are late.
    pub(crate) fn close(&self, scope: WriteScope) -> Closing {
        let mut state = self.lock();
        if matches!(state.record, RecordState::Unloaded) {
            state.head_sent = true;
            return Closing::Untouched;
        }
        // A save that was begun and not awaited to its end may still bring a cookie, or fail.
        let gate = self.gate.try_lock();
        let is_busy = gate.is_err();
        if scope != WriteScope::All && !is_busy {
            drop(state);
            // The gate is kept meanwhile: a save that comes now must find that what it staged was dropped.
            self.drop_what_failed(scope);
            state = self.lock();
        }
        let idle = state.is_done() && state.unreported.is_none() && !state.needs_upkeep();
        if idle && !is_busy {
            state.head_sent = true;
            let (cookie, is_privileged) = (std::mem::take(&mut state.cookie), state.was_privileged());
            return Closing::Done(Outcome { cookie, is_privileged, error: None });
        }
        Closing::MustFlush
    }

    /// Writes what is left and closes the slot.
    pub(crate) fn finish(self: &Arc<Self>, scope: WriteScope) -> Surviving<Outcome> {
        let (slot, working) = (Arc::clone(self), self.working());
        Surviving::in_place(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            loop {
                // Also what a save that was under way has put back.
                slot.drop_what_failed(scope);
                let to_be_ended = slot.lock().destroy.clone();
                let error = slot.flush(slot.afterwards(), None).await.err();
                let mut state = slot.lock();
                // Handles may have been dropped meanwhile, or the session ended: then once more.
                if error.is_none() && !state.is_done() {
                    continue;
                }
                state.head_sent = true;
                let error = error.or(state.unreported.take());
                if let Some(error) = &error {
                    state.drop_rest(error);
                }
                // Action was ended while something else failed.
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
    fn drop_what_failed(&self, scope: WriteScope) {
        let (dropped, record) = {
            let mut state = self.lock();
            let dropped = match scope {
                WriteScope::All => Vec::new(),
                WriteScope::WithoutGrants => state.log.drop_grants(),
                WriteScope::RemovalsOnly => {
                    state.discard(&self.context.rules);
                    Vec::new()
                }
            };
            (dropped, state.live().map(|live| live.id))
        };
        if !dropped.is_empty() {
            self.context.events.report(&Event::GrantDropped { record, fields: dropped });
        }
    }

    /// Whoever asked for this save knows how it ended.
    pub(crate) fn note_heard(&self, by: u64, save: u64) {
        self.lock().note_heard(by, save);
    }

    /// Whoever saved has the error, and answers for it.
    pub(crate) fn failure_heard(&self) {
        self.lock().unreported = None;
    }

    /// Whether anybody else can still ask the slot: this work and the response are two that know it.
    fn afterwards(self: &Arc<Self>) -> Afterwards {
        let is_awaited = !self.is_detached.load(Ordering::Acquire);
        if is_awaited && Arc::strong_count(self) == 2 { Afterwards::Nobody } else { Afterwards::Handles }
    }

    /// The response future is gone: after its answer, or before.
    pub(crate) fn detach(self: &Arc<Self>, was_answered: bool) {
        self.is_detached.store(true, Ordering::Release);
        if was_answered {
            return;
        }
        // The request ends without a response: a logout and the removal of a right happen all the same.
        let must_flush = {
            let mut state = self.lock();
            state.discard(&self.context.rules);
            state.requested.rotation = false;
            state.head_sent = true;
            state.detached = true;
            !state.is_done()
        };
        if must_flush {
            self.flush_in_background();
        }
    }

    /// Whether a write goes on for which nobody waits any more.
    fn may_go_on(&self) -> GoesOn {
        if self.lock().takes_away(&self.context.rules) {
            return GoesOn::Always;
        }
        match Arc::clone(&self.context.detached).try_acquire_owned() {
            Ok(permit) => GoesOn::Counted(permit),
            Err(_) => GoesOn::No,
        }
    }

    /// The last commit of the request has been stopped, and nothing tells the browser of what comes.
    fn close_unanswered(&self) {
        let mut state = self.lock();
        state.discard(&self.context.rules);
        state.head_sent = true;
        state.detached = true;
    }

    /// To be kept by work that goes on when nobody waits for it: see `SessionLayer::drain`.
    fn working(&self) -> watch::Receiver<()> {
        self.context.in_flight.subscribe()
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
        match self.context.runtime() {
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
        self.context.events.report(&Event::CommitFailed { record, error: &error });
    }

    /// Waits for the store, but not for ever. No timer is set for an answer that is there at once, nor
    /// where the store has its own.
    async fn with_timeout<T>(
        &self,
        mut work: Boxed<'_, T>,
        late: fn(&'static str) -> Error,
    ) -> Result<T, Error> {
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = first {
            return answer;
        }
        let began = tokio::time::Instant::now();
        let answer = self.in_time(work, late).await;
        let took = began.elapsed();
        if took > self.context.store_timeout / 10 {
            self.context.events.report(&Event::StoreSlow { took });
        }
        answer
    }

    async fn in_time<T>(&self, work: Boxed<'_, T>, late: fn(&'static str) -> Error) -> Result<T, Error> {
        if self.context.store.timeout().is_some_and(|timeout| timeout <= self.context.store_timeout) {
            return work.await;
        }
        let answer = tokio::time::timeout(self.context.store_timeout, work).await;
        answer.unwrap_or_else(|_| Err(late("the session store did not answer in time")))
    }

    /// A panic elsewhere leaves the state whole: nothing above panics while it changes it.
    fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LayerContext {
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
