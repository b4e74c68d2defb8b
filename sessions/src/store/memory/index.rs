//! The index of a store in memory: its rows behind one lock, since only logins and the like need them.

use std::collections::HashMap;

use super::{MemoryStore, lock};
use crate::{
    store::{
        CanIndex, IndexStore,
        index::{FieldCondition, IndexChange, IndexFuture, IndexOutcome, IndexRow},
    },
    value::{IndexKey, RecordId, Timestamp},
};

/// The rows of the index by their keys.
#[derive(Debug, Default)]
pub(super) struct IndexRows(HashMap<IndexKey, IndexRow>);

impl IndexRows {
    fn apply(&mut self, key: IndexKey, change: &IndexChange, now: Timestamp) -> IndexOutcome {
        let row = self.0.entry(key).or_default();
        let outcome = row.apply(change, now);
        if row.deadline().is_none() {
            self.0.remove(&key);
        }
        outcome
    }

    /// Removes the rows that say nothing any more.
    pub(super) fn purge(&mut self, now: Timestamp) {
        self.0.retain(|_, row| row.deadline().is_some_and(|deadline| deadline > now));
    }
}

impl CanIndex for MemoryStore {}

impl IndexStore for MemoryStore {
    fn change_index(&self, key: IndexKey, change: IndexChange) -> IndexFuture<'_, IndexOutcome> {
        Box::pin(async move { Ok(lock(&self.index).apply(key, &change, self.clock.now())) })
    }

    fn destroy_if(&self, id: RecordId, condition: FieldCondition) -> IndexFuture<'_, bool> {
        Box::pin(async move { Ok(self.shard(id).remove_if(id, &condition)) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::index::{IndexStamp, Reservation};

    #[test]
    fn rows_that_say_nothing_take_no_memory() {
        let (key, mut rows, now) =
            (IndexKey::from_bytes([1; 32]), IndexRows::default(), Timestamp::from_millis(1_800_000_000_000));
        rows.apply(key, &IndexChange::List, now);
        assert_eq!(rows.0.len(), 0, "a look leaves nothing");
        let (id, keep_for) = (RecordId::from_bytes([2; 16]), Duration::from_mins(1));
        let reservation = Reservation {
            id,
            stamp: IndexStamp::from_bytes([3; 8]),
            keep_for,
            hold_for: Duration::ZERO,
            age: Duration::ZERO,
            most: None,
            own: None,
        };
        rows.apply(key, &IndexChange::Reserve(reservation.clone()), now);
        rows.apply(key, &IndexChange::Leave(vec![(id, None)]), now);
        assert_eq!(rows.0.len(), 0, "the last one has left");
        rows.apply(key, &IndexChange::Reserve(reservation), now);
        rows.purge(Timestamp::from_millis(now.as_millis() + 59_999));
        assert_eq!(rows.0.len(), 1);
        rows.purge(now.saturating_add(keep_for));
        assert_eq!(rows.0.len(), 0);
    }
}
