//! Telling whoever keeps a session open, such as a socket, that it is over.

use std::{
    collections::HashMap,
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{Arc, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    LayerContext, RequestFacts, Slot,
    state::{RecordState, RequestState},
};
use crate::{
    error::Error,
    sync::{Mutex, MutexGuard},
    value::RecordId,
};

/// How often the store is asked in the time within which an end is to be told: one answer may be late and
/// another one lost.
const CHECKS: u32 = 3;

/// The records of a layer whose end is waited for. One task asks the store for each, however many wait.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<HashMap<RecordId, Arc<watch::Sender<Seen>>>>);

/// The newest that is known of a watched record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// It is alive in this epoch, or a later one.
    Alive(u64),
    Over,
}

/// The record of a request, as it is known without the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// There is none that could end.
    Nothing,
    Record {
        id: RecordId,
        epoch: u64,
    },
    /// A commit of the request is on its way that begins an epoch.
    Changing,
    Over,
}

/// Action a request tells to those who wait for the end of its record.
#[derive(Debug)]
pub(super) struct Watched {
    own: watch::Sender<Own>,
    /// Kept so that who waits again and again, as `select!` in a loop does, does not begin anew each time.
    seen: Option<SeenOf>,
}

/// Action is known of this record.
type SeenOf = (RecordId, watch::Receiver<Seen>);

impl Slot {
    /// Waits until the record of this incarnation is over, or nobody can tell for too long.
    ///
    /// Action is returned keeps nothing of the request.
    pub(crate) fn ended(self: &Arc<Self>, incarnation: u32) -> impl Future<Output = ()> + Send + use<> {
        let context = Arc::clone(&self.context);
        let watched = self.watched(incarnation);
        async move {
            let Some((mut own, mut seen)) = watched else { return };
            loop {
                let now = *own.borrow_and_update();
                let (id, epoch) = match now {
                    Own::Over => return,
                    Own::Record { id, epoch } => (id, epoch),
                    Own::Nothing | Own::Changing => match own.changed().await {
                        Ok(()) => continue,
                        // Nothing is left that could begin a record.
                        Err(_) => return pending().await,
                    },
                };
                if seen.as_ref().is_none_or(|(of, _)| *of != id) {
                    seen = Some((id, context.watch(id, epoch)));
                }
                let Some((_, seen)) = &mut seen else { return };
                let is_over = *seen.borrow_and_update() > Seen::Alive(epoch);
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

    fn watched(&self, incarnation: u32) -> Option<(watch::Receiver<Own>, Option<SeenOf>)> {
        let mut state = self.lock();
        if state.incarnation != incarnation {
            return None;
        }
        let now = state.own();
        let watched = state.watched.get_or_insert_with(|| Watched { own: watch::channel(now).0, seen: None });
        if let Own::Record { id, epoch } = now
            && watched.seen.as_ref().is_none_or(|(of, _)| *of != id)
        {
            watched.seen = Some((id, self.context.watch(id, epoch)));
        }
        Some((watched.own.subscribe(), watched.seen.clone()))
    }

    /// Says that a commit may begin an epoch, until what is returned is dropped.
    pub(super) fn changing(&self) -> Changing<'_> {
        self.lock().publish(Own::Changing);
        Changing(self)
    }

    /// Whether the record is alive, and in which epoch.
    async fn epoch(&self, id: RecordId) -> Result<Option<u64>, Error> {
        let Some(loaded) = self.load(id, &[]).await? else { return Ok(None) };
        let Some(authority) = self.read(id, &loaded) else { return Ok(None) };
        Ok(self.is_alive(&loaded, &authority).then_some(loaded.epoch))
    }
}

/// Waits until one of them changes; says whether anybody can still tell of the record.
async fn either_changes(own: &mut watch::Receiver<Own>, seen: &mut watch::Receiver<Seen>) -> bool {
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
        let state = self.0.lock();
        state.publish(state.own());
    }
}

impl RequestState {
    fn own(&self) -> Own {
        match &self.record {
            RecordState::Live(live) => Own::Record { id: live.id, epoch: live.epoch },
            RecordState::Superseded(_) => Own::Over,
            RecordState::Absent | RecordState::Unloaded => Own::Nothing,
        }
    }

    fn publish(&self, own: Own) {
        if let Some(watched) = &self.watched {
            watched.own.send_if_modified(|known| std::mem::replace(known, own) != own);
        }
    }

    /// The request has another record, or the same in another epoch.
    pub(super) fn publish_record(&self) {
        self.publish(self.own());
    }

    /// This incarnation of the request is over.
    pub(super) fn publish_end(&mut self) {
        self.publish(Own::Over);
        self.watched = None;
    }
}

impl LayerContext {
    /// Action becomes of the record, which was seen in this epoch.
    fn watch(self: &Arc<Self>, id: RecordId, epoch: u64) -> watch::Receiver<Seen> {
        let mut watchers = self.watchers.lock();
        if let Some(tell) = watchers.get(&id).filter(|tell| *tell.borrow() != Seen::Over) {
            let told = tell.subscribe();
            advance(tell, Seen::Alive(epoch));
            return told;
        }
        let (tell, told) = watch::channel(Seen::Alive(epoch));
        let Some(runtime) = self.runtime() else {
            // Without a task that asks, nobody can tell.
            advance(&tell, Seen::Over);
            return told;
        };
        let tell = Arc::new(tell);
        watchers.insert(id, Arc::clone(&tell));
        let watching = Watching { context: Arc::clone(self), id, tell };
        drop(watchers);
        runtime.spawn(watching.watch());
        told
    }
}

impl Watchers {
    /// Tells all in this process that wait for this record's end.
    pub(super) fn publish(&self, id: RecordId, seen: Seen) {
        if let Some(tell) = self.lock().get(&id) {
            advance(tell, seen);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordId, Arc<watch::Sender<Seen>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn advance(tell: &watch::Sender<Seen>, seen: Seen) {
    tell.send_if_modified(|known| {
        let is_news = *known < seen;
        *known = seen.max(*known);
        is_news
    });
}

/// The task that asks for one record.
struct Watching {
    context: Arc<LayerContext>,
    id: RecordId,
    tell: Arc<watch::Sender<Seen>>,
}

impl Watching {
    async fn watch(self) {
        let within = self.context.ended_within;
        let slot = Slot::new(Arc::clone(&self.context), RequestFacts::default());
        let mut known = Instant::now();
        loop {
            // Asked first: who waits may be as old as its request.
            let asked = Instant::now();
            let seen = match timeout_at(known + within, slot.epoch(self.id)).await {
                Ok(Ok(Some(epoch))) => {
                    known = asked;
                    Seen::Alive(epoch)
                }
                Ok(Err(_)) if Instant::now() < known + within => *self.tell.borrow(),
                // It is over, or nobody could tell for so long.
                Ok(Ok(None) | Err(_)) | Err(_) => Seen::Over,
            };
            advance(&self.tell, seen);
            if *self.tell.borrow() == Seen::Over {
                return;
            }
            let next = next_check(asked, known, within);
            if timeout_at(next, self.tell.closed()).await.is_ok() && self.is_left() {
                return;
            }
        }
    }

    /// Whether nobody waits any more; nobody can join then.
    fn is_left(&self) -> bool {
        let mut watchers = self.context.watchers.lock();
        let is_left = self.tell.receiver_count() == 0;
        if is_left {
            self.remove_from(&mut watchers);
        }
        is_left
    }

    fn remove_from(&self, watchers: &mut HashMap<RecordId, Arc<watch::Sender<Seen>>>) {
        // Another one may have begun after this one has told of the end.
        if watchers.get(&self.id).is_some_and(|tell| Arc::ptr_eq(tell, &self.tell)) {
            watchers.remove(&self.id);
        }
    }
}

impl Drop for Watching {
    /// However it ends: those who wait would wait for ever.
    fn drop(&mut self) {
        self.remove_from(&mut self.context.watchers.lock());
    }
}

/// When the store is asked again that was asked at one moment and last answered what it was asked at another.
fn next_check(asked: Instant, known: Instant, within: Duration) -> Instant {
    (asked + within / CHECKS).min(known + within)
}
