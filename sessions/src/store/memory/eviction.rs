//! The order in which records leave a shard that has no room left.

use super::shard::{Room, Shard, StoredRecord};
use crate::{
    error::Error,
    value::{RecordId, Timeouts, Timestamp},
};

/// The place of a record in the order of eviction: by its class, then the least recently used first.
pub(super) type EvictionOrder = (EvictionClass, Timestamp, RecordId);

/// The classes of records, of which the first is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionClass {
    /// The token never came back: visitors whose browser takes no cookie evict no record but each other's.
    Unclaimed,
    /// The token came back, and the record holds no right.
    Claimed,
    /// The record holds a right, such as who is logged in. It is never evicted.
    Privileged,
}

impl StoredRecord {
    /// Returns the record's place in the order of eviction.
    pub(super) fn eviction_order(&self, id: RecordId) -> EvictionOrder {
        let class = match (self.record.credentials.holds_rights(), self.came_back) {
            (true, _) => EvictionClass::Privileged,
            (false, true) => EvictionClass::Claimed,
            (false, false) => EvictionClass::Unclaimed,
        };
        (class, self.record.touched, id)
    }
}

impl Shard {
    /// Makes room for a new record, or for this one to grow. If the records that may be evicted are not enough, none is.
    pub(super) fn make_room(
        &mut self,
        limit: Room,
        wanted: Room,
        id: RecordId,
        timeouts: &Timeouts,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut evicted = self.to_evict(limit, wanted, id);
        // Else those go that are dead anyway.
        if evicted.is_none() && self.purge(timeouts, now, usize::MAX) > 0 {
            evicted = self.to_evict(limit, wanted, id);
        }
        let full = || {
            Error::unavailable(
                "the session store is full of sessions that hold rights, or a session is larger than the store; \
                 give it more capacity or more bytes",
            )
        };
        for id in evicted.ok_or_else(full)? {
            self.remove(id);
        }
        Ok(())
    }

    /// Returns the records to evict for the room that is wanted, in their order; `None` if they are not enough.
    fn to_evict(&self, limit: Room, wanted: Room, spared: RecordId) -> Option<Vec<RecordId>> {
        let (mut records, mut bytes) = (self.len() + wanted.records, self.bytes() + wanted.bytes);
        let mut evicted = Vec::new();
        let mut others = self.in_order_of_eviction().filter(|(.., id)| *id != spared);
        while records > limit.records || bytes > limit.bytes {
            let (class, _, id) = others.next()?;
            if *class == EvictionClass::Privileged {
                return None;
            }
            records -= 1;
            bytes -= self.get(*id).map_or(0, |stored| stored.bytes);
            evicted.push(*id);
        }
        Some(evicted)
    }

    /// Removes dead records from the front of the order, up to `limit`. One that has died of age while in use is
    /// found there too, once it has been unused for long enough.
    pub(super) fn sweep(&mut self, timeouts: &Timeouts, now: Timestamp, limit: usize) {
        for _ in 0..limit {
            let Some((.., id)) = self.in_order_of_eviction().next().copied() else { break };
            let is_dead = self.get(id).is_none_or(|stored| stored.record.is_disposable(timeouts, now));
            if !is_dead {
                break;
            }
            self.remove(id);
        }
    }
}
