//! Channels that tell of the end of a record: what the requests of this process do, and what the store says.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use tokio::sync::watch;

use crate::{
    sync::{Mutex, MutexGuard},
    value::RecordId,
};

/// The records of a layer whose end is waited for. One task asks the store for each, however many requests wait.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<WatchedRecords>);

pub(super) type WatchedRecords = HashMap<RecordId, Arc<watch::Sender<Sighting>>>;

/// The newest that is known of a watched record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sighting {
    /// It is alive in this epoch, or a later one.
    Alive(u64),
    /// It is over.
    Over,
}

/// The record of a request, as it is known without the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnRecord {
    /// There is none that could end.
    None,
    /// It is alive.
    Live {
        /// Its id.
        id: RecordId,
        /// The epoch that the request saw, or has begun.
        epoch: u64,
    },
    /// A commit of the request is on its way that may begin an epoch.
    Changing,
    /// It is over.
    Over,
}

/// The news of a request's record for the tasks that wait for its end.
#[derive(Debug)]
pub(super) struct WatchedRecord {
    own: watch::Sender<OwnRecord>,
    /// Kept, so that a handle that waits again and again, as in a loop with `select!`, does not start over each time.
    seen: Option<SightingsOf>,
}

/// A record, and the news of it from the store.
pub(super) type SightingsOf = (RecordId, watch::Receiver<Sighting>);

impl WatchedRecord {
    pub(super) fn new(own: OwnRecord) -> Self {
        Self { own: watch::channel(own).0, seen: None }
    }

    /// The receivers of what becomes of it. `watch` begins to watch a record that was not watched yet.
    pub(super) fn receivers(
        &mut self,
        now: OwnRecord,
        watch: impl FnOnce(RecordId, u64) -> watch::Receiver<Sighting>,
    ) -> (watch::Receiver<OwnRecord>, Option<SightingsOf>) {
        if let OwnRecord::Live { id, epoch } = now
            && self.seen.as_ref().is_none_or(|(of, _)| *of != id)
        {
            self.seen = Some((id, watch(id, epoch)));
        }
        (self.own.subscribe(), self.seen.clone())
    }

    pub(super) fn publish(&self, own: OwnRecord) {
        self.own.send_if_modified(|known| std::mem::replace(known, own) != own);
    }
}

impl Watchers {
    /// Tells all in this process that wait for this record's end.
    pub(super) fn publish(&self, id: RecordId, seen: Sighting) {
        if let Some(sender) = self.lock().get(&id) {
            advance(sender, seen);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, WatchedRecords> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells what was seen, unless something newer is known.
pub(super) fn advance(sender: &watch::Sender<Sighting>, seen: Sighting) {
    sender.send_if_modified(|known| {
        let is_news = *known < seen;
        *known = seen.max(*known);
        is_news
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_of_a_record_is_what_is_newer() {
        let (sender, mut receiver) = watch::channel(Sighting::Alive(2));
        for (seen, is_news, known) in [
            (Sighting::Alive(1), false, Sighting::Alive(2)),
            (Sighting::Alive(2), false, Sighting::Alive(2)),
            (Sighting::Alive(3), true, Sighting::Alive(3)),
            (Sighting::Over, true, Sighting::Over),
            (Sighting::Alive(4), false, Sighting::Over),
        ] {
            advance(&sender, seen);
            assert_eq!(receiver.has_changed().unwrap_or(false), is_news, "{seen:?}");
            assert_eq!(*receiver.borrow_and_update(), known, "{seen:?}");
        }
    }

    #[test]
    fn a_record_is_watched_once_and_the_next_one_anew() {
        let record = |byte, epoch| OwnRecord::Live { id: RecordId::from_bytes([byte; 16]), epoch };
        let mut watched = WatchedRecord::new(OwnRecord::Over);
        let mut begun = Vec::new();
        for own in [record(1, 1), record(1, 2), OwnRecord::Over, record(2, 1), record(2, 1)] {
            let (_, seen) = watched.receivers(own, |id, epoch| {
                begun.push((id.as_bytes()[0], epoch));
                watch::channel(Sighting::Alive(epoch)).1
            });
            assert!(seen.is_some());
        }
        assert_eq!(begun, [(1, 1), (2, 1)]);
    }
}
