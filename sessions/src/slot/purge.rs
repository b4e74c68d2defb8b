//! The purge: the layer has its store delete dead records now and then.

use std::{sync::Arc, time::Duration};

use super::Slot;
use crate::{event::Event, random, sync::atomic::Ordering, value::Timestamp};

/// The time between two purges of a layer, on the store's clock.
const EVERY: Duration = Duration::from_mins(1);

/// The most that is added to it, so that instances that were started at once do not purge at once for ever.
const JITTER: Duration = Duration::from_secs(15);

/// The number of records that one call of the store deletes.
const AT_ONCE: usize = 1000;

impl Slot {
    /// Has the store clean up, once a minute, after a create: what fills a store also empties it.
    pub(super) fn purge_now_and_then(&self, now: Timestamp) {
        let context = &self.context;
        let last = context.last_purge.load(Ordering::Relaxed);
        if now.saturating_since(Timestamp::from_millis(last)) < EVERY {
            return;
        }
        let [jitter] = random::bytes().unwrap_or_default();
        let counted = now.saturating_add(JITTER * jitter.into() / 256).as_millis();
        let swapped =
            context.last_purge.compare_exchange(last, counted, Ordering::Relaxed, Ordering::Relaxed);
        if swapped.is_err() || context.store.expires_by_itself() {
            return;
        }
        let context = Arc::clone(context);
        tokio::spawn(async move {
            loop {
                match context.store.purge(context.timeouts, AT_ONCE).await {
                    // There may be more; but others are to have their turn.
                    Ok(purged) if purged >= AT_ONCE => tokio::task::yield_now().await,
                    Ok(_) => return,
                    Err(error) => return context.events.report(&Event::PurgeFailed { error: &error }),
                }
            }
        });
    }
}
