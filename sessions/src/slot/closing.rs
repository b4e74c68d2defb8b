//! The end of a request: its last write, with a response or without one.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    LaterUse, Slot, UNFINISHED,
    cookie_change::CookieChange,
    planned_write::Selection,
    record::RecordState,
    survive::{Survival, Surviving},
};
use crate::{error::Error, event::Event, span::in_current_span, sync::atomic::Ordering};

/// The part of a handler's changes that is written with its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteScope {
    /// All.
    All,
    /// All but the rights that were granted, and what a new user did.
    WithoutGrants,
    /// A logout, an explicit rotation and the removal of rights.
    RemovalsOnly,
}

/// The state of a request's session when its handler has answered.
#[derive(Debug)]
pub(crate) enum Closing {
    /// No handle has asked for the session.
    Untouched,
    /// Nothing is left to write.
    Done(ResponseOutcome),
    /// Something is.
    MustFlush,
}

/// The part of the session in the response: its cookie, or an error in place of the answer.
#[derive(Debug)]
pub(crate) struct ResponseOutcome {
    pub(crate) cookie: CookieChange,
    /// True if the response was made for a session with a right.
    pub(crate) is_privileged: bool,
    pub(crate) error: Option<Error>,
}

impl Slot {
    /// Closes the slot if nothing is left to write.
    ///
    /// After this, handles that are still around are late.
    pub(crate) fn close(&self, scope: WriteScope) -> Closing {
        let mut state = self.lock();
        if matches!(state.record, RecordState::Unloaded) && !state.is_blind() {
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
        let is_idle = state.is_done()
            && state.unreported.is_none()
            && state.lost_beside_save.is_none()
            && !state.needs_upkeep();
        if is_idle && !is_busy {
            state.head_sent = true;
            let (cookie, is_privileged) = (std::mem::take(&mut state.cookie), state.was_privileged());
            return Closing::Done(ResponseOutcome { cookie, is_privileged, error: None });
        }
        Closing::MustFlush
    }

    /// Writes what is left and closes the slot.
    pub(crate) fn finish(self: &Arc<Self>, scope: WriteScope) -> Surviving<ResponseOutcome> {
        let (slot, working) = (Arc::clone(self), self.working());
        Surviving::in_place(self, async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            loop {
                // Also what a save that was under way has put back.
                slot.drop_what_failed(scope);
                let to_be_ended = slot.lock().destroy.clone();
                let error = slot.flush(Selection::All, slot.later_use(), None).await.err();
                let mut state = slot.lock();
                // Handles may have been dropped meanwhile, or the session ended: then once more.
                if error.is_none() && !state.is_done() {
                    continue;
                }
                state.head_sent = true;
                let error = error.or(state.unreported.take()).or(state.lost_beside_save.take());
                if let Some(error) = &error {
                    state.drop_rest(error);
                }
                // A record that was ended while something else failed.
                let is_ended = state.destroy.iter().any(|id| !to_be_ended.contains(id));
                let (cookie, is_privileged) = (std::mem::take(&mut state.cookie), state.was_privileged());
                drop(state);
                if is_ended {
                    slot.flush_in_background();
                }
                unfinished.finished();
                return Ok(ResponseOutcome { cookie, is_privileged, error });
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
                    state.discard(&self.context().rules);
                    Vec::new()
                }
            };
            (dropped, state.live().map(|live| live.id))
        };
        if !dropped.is_empty() {
            self.context().events.report(&Event::GrantDropped { record, fields: dropped });
        }
    }

    /// The use of the slot after its last write: this work and the response are two that know it.
    fn later_use(self: &Arc<Self>) -> LaterUse {
        let is_awaited = !self.is_detached.load(Ordering::Acquire);
        if is_awaited && Arc::strong_count(self) == 2 { LaterUse::None } else { LaterUse::ByHandles }
    }

    /// Notes that the response future is gone: after its answer, or before.
    pub(crate) fn detach(self: &Arc<Self>, was_answered: bool) {
        self.is_detached.store(true, Ordering::Release);
        if !was_answered {
            self.end_without_response();
        }
    }

    /// Ends a request that has no response: its changes are dropped, but a logout and the removal of a right happen
    /// all the same.
    pub(crate) fn end_without_response(self: &Arc<Self>) {
        let must_flush = {
            let mut state = self.lock();
            state.discard(&self.context().rules);
            state.requested.rotation = false;
            state.head_sent = true;
            state.is_detached = true;
            !state.is_done()
        };
        if must_flush {
            self.flush_in_background();
        }
    }

    /// Decides if a write goes on after its request.
    pub(super) fn survival(&self) -> Survival {
        if self.lock().takes_away(&self.context().rules) {
            return Survival::Always;
        }
        match Arc::clone(&self.context().detached).try_acquire_owned() {
            Ok(permit) => Survival::Counted(permit),
            Err(_) => Survival::No,
        }
    }

    /// A receiver for work that goes on after its request: see `SessionLayer::drain`.
    pub(super) fn working(&self) -> watch::Receiver<()> {
        self.context().in_flight.subscribe()
    }

    /// Writes what is left in a task of its own.
    pub(super) fn flush_in_background(self: &Arc<Self>) {
        let (slot, working) = (Arc::clone(self), self.working());
        let work = async move {
            let (_working, unfinished) = (working, Unfinished(Some(&slot)));
            let _gate = slot.gate.lock().await;
            // Reported where it fails; no response is left to tell.
            let _ = slot.flush(Selection::All, LaterUse::ByHandles, None).await;
            unfinished.finished();
        };
        match self.context().runtime() {
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
        self.context().events.report(&Event::CommitFailed { record, error: &error });
    }
}

/// Work of a slot that was begun. If it is dropped before its end, an event says so. If it panics, its caller reports
/// that.
pub(super) struct Unfinished<'a>(pub(super) Option<&'a Slot>);

impl Unfinished<'_> {
    pub(super) fn finished(mut self) {
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
