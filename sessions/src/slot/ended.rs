//! Telling whoever keeps a session open, such as a socket, that it is over.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    Slot,
    state::{Phase, State},
};
use crate::error::Error;

/// How often the store is asked in the time within which an end is to be told: one answer may be late and
/// another one lost.
const CHECKS: u32 = 3;

impl Slot {
    /// Waits until the record of this life is over, or nobody can tell for too long.
    pub(crate) async fn ended(self: Arc<Self>, life: u32) {
        let mut is_over = self.watched(life);
        // Without the task that watches, nobody can tell.
        let _ = is_over.wait_for(|is_over| *is_over).await;
    }

    /// Has a task watch the record: whoever waits may do it a little at a time, as `select!` in a loop does.
    fn watched(self: &Arc<Self>, life: u32) -> watch::Receiver<bool> {
        let mut state = self.lock();
        if let Some((watched, is_over)) = &state.watched
            && *watched == life
        {
            return is_over.clone();
        }
        let (tell, told) = watch::channel(false);
        state.watched = Some((life, told.clone()));
        tokio::spawn(watch_over(Arc::downgrade(self), life, self.shared.ended_within, tell));
        told
    }

    /// Whether the record is over that this life of the request is about.
    async fn is_over(&self, of: u32) -> Result<bool, Error> {
        loop {
            let (id, epoch) = match &*self.lock() {
                State { life, .. } if *life != of => return Ok(true),
                State { record: Phase::Live(live), .. } => (live.id, live.epoch),
                State { record: Phase::Superseded(_), .. } => return Ok(true),
                // There is nothing yet that could end.
                State { record: Phase::Absent | Phase::Unloaded, .. } => return Ok(false),
            };
            if self.refusal(id, epoch).await?.is_none() {
                return Ok(false);
            }
            // A commit of the request's own may have done it, or be about to settle.
            let _gate = self.gate.lock().await;
            if self.lock().live().is_some_and(|live| live.id == id && live.epoch == epoch) {
                return Ok(true);
            }
        }
    }
}

async fn watch_over(slot: Weak<Slot>, life: u32, within: Duration, tell: watch::Sender<bool>) {
    let mut known = Instant::now();
    loop {
        // Asked first: a handle may be as old as the request.
        let Some(slot) = slot.upgrade() else { return };
        let asked = Instant::now();
        let is_over = match timeout_at(known + within, slot.is_over(life)).await {
            Ok(Ok(is_over)) => {
                known = asked;
                is_over
            }
            // Nobody could tell for so long.
            Ok(Err(_)) => Instant::now() >= known + within,
            Err(_) => true,
        };
        drop(slot);
        if is_over {
            // Nobody listens any more: fine.
            let _ = tell.send(true);
            return;
        }
        let next = (asked + within / CHECKS).min(known + within);
        if timeout_at(next, tell.closed()).await.is_ok() {
            return;
        }
    }
}
