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
impl IndexRows {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
