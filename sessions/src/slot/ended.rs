//! Waiting for the end of a session, for what outlives its response, such as a socket.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Slot,
    context::LayerContext,
    request::RequestFacts,
    watch::{OwnRecord, Sighting, SightingsOf, WatchedRecords, advance},
};
use crate::{error::Error, value::RecordId};

/// The number of times that the store is asked in the time within which an end is told: one answer may be late and
/// another one lost.
const CHECKS: u32 = 3;

impl Slot {
    /// Waits until the record of this incarnation is over, or until the store has been silent for too long.
    ///
    /// The future keeps nothing of the request.
    pub(crate) fn ended(self: &Arc<Self>, incarnation: u32) -> impl Future<Output = ()> + Send + use<> {
        let context = Arc::clone(self.context());
        let watched = self.watched(incarnation);
        async move {
            let Some((mut own, mut seen)) = watched else { return };
            loop {
                let now = *own.borrow_and_update();
                let (id, epoch) = match now {
                    OwnRecord::Over => return,
                    OwnRecord::Live { id, epoch } => (id, epoch),
                    OwnRecord::None | OwnRecord::Changing => match own.changed().await {
                        Ok(()) => continue,
                        // Nothing is left that could begin a record.
                        Err(_) => return pending().await,
                    },
                };
                if seen.as_ref().is_none_or(|(of, _)| *of != id) {
                    seen = Some((id, context.watch(id, epoch)));
                }
                let Some((_, seen)) = &mut seen else { return };
                let is_over = *seen.borrow_and_update() > Sighting::Alive(epoch);
                // It may be a commit of the request itself, which says so before it begins.
                if is_over && !own.has_changed().unwrap_or(false) {
                    return;
                }
                if !is_over && !either_changes(&mut own, seen).await {
                    return;
                }
            }
        }
    }

    fn watched(&self, incarnation: u32) -> Option<(watch::Receiver<OwnRecord>, Option<SightingsOf>)> {
        let mut state = self.lock();
        if state.incarnation != incarnation {
            return None;
        }
        let (now, watched) = state.watch();
        Some(watched.receivers(now, |id, epoch| self.context().watch(id, epoch)))
    }

    /// Tells the watchers that a commit may begin an epoch, until what is returned is dropped.
    pub(super) fn changing(&self) -> Changing<'_> {
        self.lock().publish_change_under_way();
        Changing(self)
    }

    /// The epoch of the record, if it is alive.
    async fn epoch(&self, id: RecordId) -> Result<Option<u64>, Error> {
        let Some(loaded) = self.load(id, &[]).await? else { return Ok(None) };
        let Some(authority) = self.read(id, &loaded) else { return Ok(None) };
        Ok(self.is_alive(&loaded, &authority).then_some(loaded.epoch))
    }
}

/// Waits until one of them changes. Returns false if nothing is left that could tell of the record.
async fn either_changes(own: &mut watch::Receiver<OwnRecord>, seen: &mut watch::Receiver<Sighting>) -> bool {
    if own.has_changed().is_err() {
        // The request is over, and its record is what it was.
        return seen.changed().await.is_ok();
    }
    let (mut own, mut seen) = (pin!(own.changed()), pin!(seen.changed()));
    poll_fn(|context| match seen.as_mut().poll(context) {
        Poll::Ready(changed) => Poll::Ready(changed.is_ok()),
        Poll::Pending => own.as_mut().poll(context).map(|_| true),
    })
    .await
}

/// See [`Slot::changing`].
pub(super) struct Changing<'a>(&'a Slot);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.lock().publish_record();
    }
}

impl LayerContext {
    /// Tells what becomes of the record, which was seen in this epoch.
    fn watch(self: &Arc<Self>, id: RecordId, epoch: u64) -> watch::Receiver<Sighting> {
        let mut watchers = self.watchers.lock();
        if let Some(sender) = watchers.get(&id).filter(|sender| *sender.borrow() != Sighting::Over) {
            let receiver = sender.subscribe();
            advance(sender, Sighting::Alive(epoch));
            return receiver;
        }
        let (sender, receiver) = watch::channel(Sighting::Alive(epoch));
        let Some(runtime) = self.runtime() else {
            // Without a task that asks, nothing can tell.
            advance(&sender, Sighting::Over);
            return receiver;
        };
        let sender = Arc::new(sender);
        watchers.insert(id, Arc::clone(&sender));
        let watching = Watching { context: Arc::clone(self), id, sender };
        drop(watchers);
        runtime.spawn(watching.watch());
        receiver
    }
}

/// The task that asks for one record.
struct Watching {
    context: Arc<LayerContext>,
    id: RecordId,
    sender: Arc<watch::Sender<Sighting>>,
}

impl Watching {
    async fn watch(self) {
        let within = self.context.ended_within;
        let slot = Slot::new(Arc::clone(&self.context), RequestFacts::default());
        let slot: &Slot = &slot;
        let mut known = Instant::now();
        loop {
            // Asked first: the waiting request may be as old as its load.
            let asked = Instant::now();
            let seen = match timeout_at(known + within, slot.epoch(self.id)).await {
                Ok(Ok(Some(epoch))) => {
                    known = asked;
                    Sighting::Alive(epoch)
                }
                Ok(Err(_)) if Instant::now() < known + within => *self.sender.borrow(),
                // It is over, or the store has been silent for so long.
                Ok(Ok(None) | Err(_)) | Err(_) => Sighting::Over,
            };
            advance(&self.sender, seen);
            if *self.sender.borrow() == Sighting::Over {
                return;
            }
            let next = next_check(asked, known, within);
            if timeout_at(next, self.sender.closed()).await.is_ok() && self.is_left() {
                return;
            }
        }
    }

    /// True if no request waits any more; none can join then.
    fn is_left(&self) -> bool {
        let mut watchers = self.context.watchers.lock();
        let is_left = self.sender.receiver_count() == 0;
        if is_left {
            self.remove_from(&mut watchers);
        }
        is_left
    }

    fn remove_from(&self, watchers: &mut WatchedRecords) {
        // Another task may have begun after this one has told of the end.
        if watchers.get(&self.id).is_some_and(|sender| Arc::ptr_eq(sender, &self.sender)) {
            watchers.remove(&self.id);
        }
    }
}

impl Drop for Watching {
    /// However the task ends: the waiting requests would wait for ever.
    fn drop(&mut self) {
        self.remove_from(&mut self.context.watchers.lock());
    }
}

/// The time of the next question, after one that was asked at one moment and one that was last answered at another.
fn next_check(asked: Instant, known: Instant, within: Duration) -> Instant {
    (asked + within / CHECKS).min(known + within)
}
