//! The session of one request: loaded at most once, changed through its handles, committed by the layer.
//!
//! It knows no framework and no driver. Its state is guarded by a lock that is never held across an await. Loads and
//! commits pass a gate one at a time.
//!
//! | file | what is in it |
//! |---|---|
//! | `mod` | the slot with its lock and its gate, and what handles ask for |
//! | `context` | what the requests of one layer share |
//! | `field_rules`, `request` | the rules of views for fields; the facts of a request |
//! | `record`, `rights`, `options`, `cookie_change` | the loaded record, its rights and options, the cookie |
//! | `pending_change`, `changes`, `staging` | the changes of handles, the log of them, and how they enter it |
//! | `compose`, `entries`, `plan`, `planned_write` | from the log to one write: plain functions over plain values |
//! | `request_state`, `saves` | what a request knows and wants done; the saves that wait |
//! | `load`, `examine`, `secrets` | reading a record, its rights and its secret fields |
//! | `commit`, `in_flight`, `rotation`, `removal`, `create`, `purge` | writing: fields, secrets, removed rights, records |
//! | `blind` | writing without a load |
//! | `closing`, `survive` | the end of a request; work that goes on after it |
//! | `login_limit` | the most sessions of one user |
//! | `index/` | sessions found by a value: entries around commits, limits, listing, ending |
//! | `watch`, `ended` | telling that a session is over |

mod blind;
mod changes;
mod closing;
mod commit;
mod compose;
mod conflict;
mod context;
mod cookie_change;
mod create;
mod delta_failure;
mod ended;
mod entries;
mod examine;
mod field_rules;
mod in_flight;
mod index;
mod load;
mod login_limit;
mod options;
mod pending_change;
mod plan;
mod planned_write;
mod purge;
mod record;
mod removal;
mod request;
mod request_state;
mod rights;
mod rotation;
mod saves;
mod secrets;
mod staging;
mod survive;
mod watch;
mod whole;

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, OnceLock, PoisonError},
    task::Poll,
    time::Duration,
};

pub use self::login_limit::LoginLimit;
use self::{
    closing::Unfinished,
    pending_change::{Action, PendingChange},
    planned_write::Selection,
    request_state::RequestState,
};
pub(crate) use self::{
    closing::{Closing, ResponseOutcome, WriteScope},
    context::{LayerContext, OfLayer, Sizes},
    cookie_change::CookieChange,
    field_rules::{FieldClass, OnInvalid, Rule, Rules},
    index::{FoundRecord, IndexedValue},
    load::Presented,
    pending_change::FieldChange,
    request::RequestFacts,
    request_state::StagedChanges,
    saves::SaveResult,
    secrets::UNOPENED,
    survive::Surviving,
};
use crate::{
    clock::Start,
    error::Error,
    event::{Event, Events},
    store::Boxed,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    value::{Fields, Lifetime, Proof, RecordId, Timestamp},
};

/// The session of one request. `L` is the layer that it is of, of which the slot knows the context only.
pub(crate) struct Slot<L: ?Sized = dyn OfLayer> {
    gate: tokio::sync::Mutex<()>,
    state: Mutex<RequestState>,
    /// Counts the changes of the request, to tell which came first.
    changes: AtomicU64,
    /// True if the response future is gone.
    is_detached: AtomicBool,
    /// Counts what ends fields: a handle that saw what was before must look again.
    resets: AtomicU64,
    /// The time at which the request began, if a view has an indexed field.
    began: OnceLock<Start>,
    /// The layer's notes on the request, for the response.
    pub(crate) notes: AtomicU8,
    /// Last, so that a slot of any layer is a slot.
    layer: L,
}

/// The fields from which a handle starts.
pub(crate) struct Snapshot {
    pub(crate) incarnation: u32,
    /// The number of resets that it is after.
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

/// The use of the slot after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaterUse {
    /// No handle is left.
    None,
    /// Handles may look at the record.
    ByHandles,
}

/// The message for work that was dropped.
const UNFINISHED: &str = "it was stopped before it was done: too many requests at once were given up by their \
    clients, or the runtime shut down";

impl<L: OfLayer> Slot<L> {
    pub(crate) fn new(layer: L, request: RequestFacts) -> Self {
        let slot = Self {
            gate: tokio::sync::Mutex::new(()),
            state: Mutex::new(RequestState::new(request)),
            changes: AtomicU64::new(0),
            is_detached: AtomicBool::new(false),
            resets: AtomicU64::new(0),
            began: OnceLock::new(),
            notes: AtomicU8::new(0),
            layer,
        };
        slot.note_beginning();
        slot
    }

    pub(crate) fn layer(&self) -> &L {
        &self.layer
    }
}

impl<L: OfLayer + ?Sized> Slot<L> {
    pub(crate) fn context(&self) -> &Arc<LayerContext> {
        self.layer.context()
    }

    pub(crate) fn facts(&self) -> Option<Facts> {
        let state = self.lock();
        let live = state.live()?;
        let deadline = live.timeouts.deadline(live.created, live.touched);
        Some(Facts { id: live.id, created: live.created, deadline })
    }

    /// Notes the time at which the request began, unless that is noted or no view needs it. A request that came before
    /// any view with an indexed field was known begins when it is opened.
    fn note_beginning(&self) {
        if self.context().rules.has_index() {
            self.began.get_or_init(|| self.context().stopwatch.start());
        }
    }

    /// The time since the request began.
    fn age(&self) -> Duration {
        self.began.get().map(Start::elapsed).unwrap_or_default()
    }

    /// A panic elsewhere leaves the state whole: nothing above panics while it changes it.
    fn lock(&self) -> MutexGuard<'_, RequestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The number of the next change.
    pub(crate) fn next_change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.context().events
    }

    /// The store's time now, or somewhat before it; the epoch for a session that has no record yet.
    pub(crate) fn store_time(&self) -> Timestamp {
        self.lock().live().map_or(Timestamp::from_millis(0), record::LiveRecord::now)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            incarnation: state.incarnation,
            reset: self.resets(),
            fields: state.visible(&self.context().rules),
            request_only: state.request_only.clone(),
        }
    }

    /// The snapshot for a handle of this incarnation: empty if that has ended since.
    pub(crate) fn snapshot_of(&self, incarnation: u32) -> Snapshot {
        let snapshot = self.snapshot();
        if snapshot.incarnation == incarnation {
            return snapshot;
        }
        Snapshot { incarnation, fields: Fields::new(), request_only: Fields::new(), ..snapshot }
    }

    /// The number of times that something ended fields in this request.
    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::Acquire)
    }

    /// Has handles that saw what was before look again.
    fn note_reset(&self) {
        self.resets.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of the present record of the request.
    pub(crate) fn incarnation(&self) -> u32 {
        self.lock().incarnation
    }

    /// The time at which the user last proved who they are, and the time now, on the store's clock.
    pub(crate) fn authenticated_at(&self) -> Option<(Timestamp, Timestamp)> {
        let state = self.lock();
        let live = state.live().filter(|live| !live.is_withheld)?;
        if state.ends_login(&self.context().rules) {
            return None;
        }
        let at = match live.authority.proof {
            Proof::None => return None,
            Proof::AtCreation => live.created,
            Proof::At(at) => at,
        };
        Some((at, live.now()))
    }

    /// Takes back what a handle staged and what is not written yet.
    pub(crate) fn discard_changes_of(&self, by: u64) {
        self.lock().discard_changes_of(by);
    }

    /// Ends the record of this incarnation, and returns the next one's number. A handle of an earlier one ends nothing.
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
        self.context().events.report(&Event::CommitFailed { record, error: &Error::head_sent() });
    }

    pub(crate) fn renew(&self) {
        self.lock().requested.renewal = true;
    }

    pub(crate) fn without_touch(&self) {
        self.lock().requested.without_touch = true;
    }

    pub(crate) fn limit_lifetime(&self, lifetime: Lifetime) {
        self.lock().requested.session.lifetime = Some(lifetime);
    }

    pub(crate) fn remember(&self, is_remembered: bool) {
        self.lock().requested.session.is_remembered = Some(is_remembered);
    }

    /// Writes now what a handle has staged for a save with this result.
    pub(crate) fn save(self: &Arc<Self>, by: u64, result: SaveResult) -> Surviving<()> {
        let (slot, working) = (Arc::clone(self), self.working());
        Surviving::in_task(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            // Another flush may have taken it along.
            let saved = if let Some(saved) = result.get() {
                saved
            } else {
                let flushed = slot.flush(Selection::All, LaterUse::ByHandles, Some(by)).await;
                // Its session may have ended meanwhile.
                flushed.and_then(|()| result.get().unwrap_or(Ok(())))
            };
            // Changes that the handle saved before may be lost.
            let saved = saved.and_then(|()| slot.lock().saves.failure(by).map_or(Ok(()), Err));
            unfinished.finished();
            saved
        })
    }

    /// Writes now one change, together with those of the same field that are pending, and nothing else.
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
        if self.lock().ends(&change.name, &self.context().rules) {
            // What was ended must be gone before it is counted from.
            self.flush(Selection::All, LaterUse::ByHandles, Some(by)).await?;
        }
        {
            let mut state = self.lock();
            if state.incarnation != incarnation {
                return Err(Error::session_ended());
            }
            change.class = state.class(&change, &self.context().rules);
            if change.class.is_right() && state.head_sent {
                return Err(Error::head_sent());
            }
            let action = Action::Change(change.clone());
            let pending = PendingChange::new(by, change.at, action);
            state.log.insert(PendingChange { is_for_save: true, is_once: true, ..pending });
        }
        self.flush(Selection::FieldOf(&change), LaterUse::ByHandles, Some(by)).await
    }

    /// Notes that a handle knows how its saves ended. If one failed, it answers for it.
    pub(crate) fn acknowledge(&self, by: u64, has_failed: bool) {
        let mut state = self.lock();
        state.saves.take_failure(by);
        if has_failed {
            state.unreported = None;
        }
    }

    /// True if a handle has staged changes that no save is to write.
    pub(crate) fn has_unsaved(&self, by: u64) -> bool {
        self.lock().has_unsaved(by)
    }

    /// True if the answer to the request may never be seen.
    pub(crate) fn is_unseen(&self) -> bool {
        self.lock().request.is_unseen
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
        let has_own =
            self.context().store.timeout().is_some_and(|timeout| timeout <= self.context().store_timeout);
        let answer = if has_own {
            work.await
        } else {
            let answer = tokio::time::timeout(self.context().store_timeout, work).await;
            answer.unwrap_or_else(|_| Err(late("the session store did not answer in time")))
        };
        let took = began.elapsed();
        if took > self.context().store_timeout / 10 {
            self.context().events.report(&Event::StoreSlow { took });
        }
        answer
    }

    /// The number of entries that the slot keeps of what was done.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.lock().size()
    }
}

impl<L: OfLayer + ?Sized> fmt::Debug for Slot<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("record", &self.facts()).finish_non_exhaustive()
    }
}
