//! A write on its way, so that its outcome is known to be unknown if it is dropped.

use super::{
    Slot, UNFINISHED,
    planned_write::{PlannedWrite, TakenChanges, WriteTarget},
};
use crate::error::Error;

/// A write on its way. If it is dropped, its outcome is unknown.
pub(super) struct InFlight<'a> {
    slot: &'a Slot,
    target: WriteTarget,
    incarnation: u32,
    taken: Option<TakenChanges>,
}

impl<'a> InFlight<'a> {
    pub(super) fn begin(slot: &'a Slot, write: &PlannedWrite, takes_away: bool, taken: TakenChanges) -> Self {
        slot.lock().is_rotating = write.must_go_on(takes_away);
        Self { slot, target: write.target, incarnation: write.incarnation, taken: Some(taken) }
    }

    /// Ends it, and returns the changes that it was made of.
    pub(super) fn end(mut self) -> TakenChanges {
        self.taken.take().unwrap_or_default()
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.slot.lock().is_rotating = false;
        if let Some(taken) = self.taken.take() {
            let error = Error::outcome_unknown(UNFINISHED);
            if std::thread::panicking() {
                // Otherwise the work that it belongs to reports that it was stopped.
                self.slot.context().events.report_failure(self.target.id(), &error);
            }
            self.slot.put_back(&error, self.incarnation, taken);
        }
    }
}
