//! The saves of a request's handles: each waits for the flush that takes its changes along.
//!
//! A save is staged with a cell for its result. Any flush may take it along: that of another handle's save, or the
//! response's. That flush sets the result. A handle whose save was given up by its handler hears of its failure with
//! its next save.

use std::sync::{Arc, OnceLock};

use crate::error::Error;

/// The result of a save, to come. Nothing waits for it: a save looks when it has passed the gate.
#[derive(Debug)]
pub(crate) struct SaveResult(SharedResult);

type SharedResult = Arc<OnceLock<Result<(), Error>>>;

/// The saves of a request that no flush has taken yet, and the failures that no handle has heard of.
#[derive(Debug, Default)]
pub(super) struct Saves {
    waiting: Vec<PendingSave>,
    /// For each handle the first failure that it has not acknowledged.
    failed: Vec<(u64, Error)>,
}

/// A save, with the cell for its result.
#[derive(Debug)]
pub(super) struct PendingSave {
    handle: u64,
    result: SharedResult,
}

impl SaveResult {
    /// The result, if a flush has taken the save along.
    pub(super) fn get(&self) -> Option<Result<(), Error>> {
        self.0.get().map(|result| result.as_ref().copied().map_err(Error::duplicate))
    }
}

impl Saves {
    /// Stages a save of a handle, and returns its result.
    pub(super) fn stage(&mut self, handle: u64) -> SaveResult {
        // What this handle has given up is in this save, too.
        self.waiting.retain(|save| save.handle != handle || Arc::strong_count(&save.result) > 1);
        let result = SharedResult::default();
        self.waiting.push(PendingSave { handle, result: Arc::clone(&result) });
        SaveResult(result)
    }

    /// Takes the waiting saves along with a flush of all changes.
    pub(super) fn take(&mut self) -> Vec<PendingSave> {
        std::mem::take(&mut self.waiting)
    }

    /// Puts back saves whose changes wait once more.
    pub(super) fn put_back(&mut self, mut saves: Vec<PendingSave>) {
        saves.append(&mut self.waiting);
        self.waiting = saves;
    }

    /// Sets the result of saves whose changes were lost, and notes it for their handles.
    pub(super) fn lose(&mut self, saves: Vec<PendingSave>, error: &Error) {
        for PendingSave { handle, result } in saves {
            self.note_failed(handle, error);
            // A handle that has given its save up hears of it with the next one.
            let _ = result.set(Err(error.duplicate()));
        }
    }

    /// Has the save of a handle fail that waits, or the handle's next one.
    pub(super) fn fail(&mut self, handle: u64, error: &Error) {
        let waiting = std::mem::take(&mut self.waiting);
        let (of_handle, others) = waiting.into_iter().partition(|save| save.handle == handle);
        self.waiting = others;
        self.note_failed(handle, error);
        self.lose(of_handle, error);
    }

    /// Ends the saves of a session that has ended. Later saves are of another session and hear of none of this.
    pub(super) fn end(&mut self) {
        PendingSave::refuse(self.take(), &Error::session_ended());
        self.failed.clear();
    }

    /// The failure that a handle has not heard of.
    pub(super) fn failure(&self, handle: u64) -> Option<Error> {
        self.failed.iter().find(|(of, _)| *of == handle).map(|(_, error)| error.duplicate())
    }

    /// Takes out the failure that a handle has not heard of.
    pub(super) fn take_failure(&mut self, handle: u64) -> Option<Error> {
        let index = self.failed.iter().position(|(of, _)| *of == handle)?;
        Some(self.failed.swap_remove(index).1)
    }

    /// Notes a failure that a handle has not heard of: the first says enough.
    pub(super) fn note_failed(&mut self, handle: u64, error: &Error) {
        if self.failed.iter().all(|(of, _)| *of != handle) {
            self.failed.push((handle, error.duplicate()));
        }
    }

    /// The number of saves and failures that are kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.waiting.len() + self.failed.len()
    }
}

impl PendingSave {
    /// The handle that waits for it.
    pub(super) const fn handle(&self) -> u64 {
        self.handle
    }

    /// Tells that the changes of these saves are written.
    pub(super) fn complete(saves: Vec<Self>) {
        for save in saves {
            let _ = save.result.set(Ok(()));
        }
    }

    /// Tells that the changes of these saves are not written, and their session has ended since.
    pub(super) fn refuse(saves: Vec<Self>, error: &Error) {
        for save in saves {
            let _ = save.result.set(Err(error.duplicate()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn lost() -> Error {
        Error::outcome_unknown("a lost answer")
    }

    fn kind(result: &SaveResult) -> Option<Result<(), ErrorKind>> {
        result.get().map(|result| result.map_err(|error| error.kind()))
    }

    #[test]
    fn a_flush_tells_every_save_that_it_took_along() {
        let mut saves = Saves::default();
        let (one, other) = (saves.stage(1), saves.stage(2));
        let taken = saves.take();
        let later = saves.stage(1);
        PendingSave::complete(taken);
        assert_eq!((kind(&one), kind(&other), kind(&later)), (Some(Ok(())), Some(Ok(())), None));
        assert!(saves.take_failure(1).is_none());
    }

    #[test]
    fn a_save_that_is_put_back_is_told_by_the_next_flush() {
        let mut saves = Saves::default();
        let one = saves.stage(1);
        let taken = saves.take();
        let other = saves.stage(2);
        saves.put_back(taken);
        assert_eq!((kind(&one), kind(&other)), (None, None));
        let taken = saves.take();
        saves.lose(taken, &lost());
        assert_eq!(kind(&one), Some(Err(ErrorKind::OutcomeUnknown)));
        assert_eq!(kind(&other), Some(Err(ErrorKind::OutcomeUnknown)));
    }

    #[test]
    fn a_handle_hears_with_its_next_save_of_one_that_it_gave_up() {
        let mut saves = Saves::default();
        drop(saves.stage(1));
        let other = saves.stage(2);
        let taken = saves.take();
        saves.lose(taken, &lost());
        assert_eq!(saves.take_failure(1).map(|error| error.kind()), Some(ErrorKind::OutcomeUnknown));
        assert!(saves.take_failure(1).is_none(), "once");
        assert!(kind(&other).is_some_and(|result| result.is_err()));
    }

    #[test]
    fn a_failure_of_one_handle_is_no_other_handles() {
        let mut saves = Saves::default();
        let (one, other) = (saves.stage(1), saves.stage(2));
        saves.fail(1, &lost());
        assert!(kind(&one).is_some_and(|result| result.is_err()));
        assert_eq!(kind(&other), None);
        assert_eq!(saves.take().len(), 1);
    }

    #[test]
    fn what_an_ended_session_lost_fails_no_later_save() {
        let mut saves = Saves::default();
        let waiting = saves.stage(1);
        saves.note_failed(2, &lost());
        saves.end();
        assert_eq!(kind(&waiting), Some(Err(ErrorKind::Conflict)));
        assert!(saves.take_failure(1).is_none() && saves.take_failure(2).is_none());
    }

    #[test]
    fn saves_that_are_given_up_take_no_more_room() {
        let mut saves = Saves::default();
        for _ in 0..1000 {
            drop(saves.stage(1));
            let taken = saves.take();
            saves.note_failed(1, &lost());
            saves.put_back(taken);
            assert!(saves.size() <= 2);
        }
    }
}
