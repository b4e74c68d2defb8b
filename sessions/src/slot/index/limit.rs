//! Room for one more login of a user.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{
        Slot,
        login_limit::{LoginLimit, RoomPlan},
    },
    IndexedValue,
};
use crate::{
    error::Error,
    event::Event,
    store::index::{IndexChange, IndexEntry, IndexOutcome},
    value::RecordId,
};

/// The wait for logins that are on their way, before another look.
const PAUSE: Duration = Duration::from_millis(10);

impl Slot {
    /// Makes room in a row that is full, or refuses.
    pub(super) async fn make_room(
        &self,
        value: &IndexedValue,
        full: &IndexOutcome,
        limit: LoginLimit,
        until: Instant,
    ) -> Result<(), Error> {
        let context = self.context();
        let mut entries = full.entries.clone();
        entries.sort_by_key(|entry| entry.since);
        let known = context.look_at(&entries, full.now, value).await?;
        match limit.plan(&known) {
            RoomPlan::Leave(left) => {
                let left = left.into_iter().map(|index| &entries[index]);
                let left = left.map(|IndexEntry { id, stamp, .. }| (*id, Some(*stamp))).collect();
                context.change_index(value.key, IndexChange::Leave(left)).await.map(drop)
            }
            RoomPlan::Evict(index) => self.evict(value, entries[index].id).await,
            RoomPlan::Wait if Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
                Ok(())
            }
            RoomPlan::Wait | RoomPlan::Refuse => Err(Error::too_many_sessions(limit.most())),
        }
    }

    async fn evict(&self, value: &IndexedValue, id: RecordId) -> Result<(), Error> {
        let context = self.context();
        if context.destroy_if(id, value.condition.clone()).await? {
            context.events.report(&Event::Evicted { record: id });
        }
        context.change_index(value.key, IndexChange::Leave(vec![(id, None)])).await.map(drop)
    }
}
