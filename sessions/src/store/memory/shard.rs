//! The records of one shard, and the bytes that they take.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use super::eviction::EvictionOrder;
use crate::{
    error::Error,
    store::{Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Record, index::FieldCondition},
    value::{FieldName, Fields, RecordId, Timeouts, Timestamp},
};

/// The bytes that a record takes besides its fields, about: its credentials, its times, its places in map and order.
const RECORD_BYTES: usize = 512;

/// The bytes that a field takes besides its name and value, about.
const FIELD_BYTES: usize = 128;

/// The number of dead records that a create removes at most from the front of the order of eviction.
const SWEPT_PER_CREATE: usize = 2;

/// A number of records and of bytes: what a shard may hold, or what a record needs.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Some of the store's records, behind one lock.
#[derive(Default)]
pub(super) struct Shard {
    records: HashMap<RecordId, StoredRecord, BuildHasherDefault<IdHasher>>,
    /// The records in the order of eviction. It changes with a touch, not with a request.
    order: BTreeSet<EvictionOrder>,
    /// The bytes that the records take.
    bytes: usize,
}

/// A record with what the shard notes of it.
pub(super) struct StoredRecord {
    pub(super) record: Record,
    /// The bytes that it takes.
    pub(super) bytes: usize,
    /// True if it was loaded since its creation: a client has its token.
    pub(super) came_back: bool,
}

impl Shard {
    pub(super) fn create(
        &mut self,
        id: RecordId,
        new: NewRecord,
        limit: Room,
        now: Timestamp,
    ) -> Result<CreateOutcome, Error> {
        self.sweep(&new.timeouts, now, SWEPT_PER_CREATE);
        if let Some(StoredRecord { record: known, .. }) = self.records.get(&id) {
            let is_repeated = known.credentials == new.credentials && known.is_alive(&new.timeouts, now);
            let outcome =
                if is_repeated { CreateOutcome::Created(known.created) } else { CreateOutcome::IdTaken };
            return Ok(outcome);
        }
        let (timeouts, bytes) = (new.timeouts, size(&new.fields));
        self.make_room(limit, Room { records: 1, bytes }, id, &timeouts, now)?;
        let stored = StoredRecord { record: Record::new(new, now), bytes, came_back: false };
        self.order.insert(stored.eviction_order(id));
        self.records.insert(id, stored);
        self.bytes += bytes;
        Ok(CreateOutcome::Created(now))
    }

    pub(super) fn commit(
        &mut self,
        id: RecordId,
        commit: &Commit,
        limit: Room,
        now: Timestamp,
    ) -> Result<CommitOutcome, Error> {
        self.make_room_to_grow(limit, id, commit, now)?;
        let Some(stored) = self.records.get_mut(&id) else { return Ok(CommitOutcome::NotFound) };
        let before = stored.eviction_order(id);
        let outcome = stored.record.commit(commit, now);
        let after = stored.eviction_order(id);
        if after != before {
            self.order.remove(&before);
            self.order.insert(after);
        }
        if !commit.delta.is_empty() {
            self.bytes -= stored.bytes;
            stored.bytes = size(&stored.record.fields);
            self.bytes += stored.bytes;
        }
        Ok(outcome)
    }

    /// Notes that the record's token has come back, and returns the record, with its fields or without.
    pub(super) fn load(&mut self, id: RecordId, with_fields: bool, now: Timestamp) -> Option<Loaded> {
        let stored = self.records.get_mut(&id)?;
        if !stored.came_back {
            self.order.remove(&stored.eviction_order(id));
            stored.came_back = true;
            self.order.insert(stored.eviction_order(id));
        }
        let loaded = Loaded::new(&stored.record, now);
        Some(if with_fields { loaded } else { loaded.with_fields(Fields::new(), false) })
    }

    pub(super) fn remove(&mut self, id: RecordId) {
        if let Some(stored) = self.records.remove(&id) {
            self.order.remove(&stored.eviction_order(id));
            self.bytes -= stored.bytes;
        }
    }

    /// Removes a record that meets the condition. Returns true if it did.
    pub(super) fn remove_if(&mut self, id: RecordId, condition: &FieldCondition) -> bool {
        let is_met = self.records.get(&id).is_some_and(|stored| condition.is_met_by(&stored.record.fields));
        if is_met {
            self.remove(id);
        }
        is_met
    }

    /// Removes up to `limit` dead records, and returns how many it removed.
    pub(super) fn purge(&mut self, timeouts: &Timeouts, now: Timestamp, limit: usize) -> usize {
        let dead = |(id, stored): (&RecordId, &StoredRecord)| {
            stored.record.is_disposable(timeouts, now).then_some(*id)
        };
        let dead: Vec<_> = self.records.iter().filter_map(dead).take(limit).collect();
        for id in &dead {
            self.remove(*id);
        }
        dead.len()
    }

    pub(super) fn get(&self, id: RecordId) -> Option<&StoredRecord> {
        self.records.get(&id)
    }

    pub(super) fn in_order_of_eviction(&self) -> impl Iterator<Item = &EvictionOrder> {
        self.order.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for what a commit may add to its record.
    fn make_room_to_grow(
        &mut self,
        limit: Room,
        id: RecordId,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<(), Error> {
        let most: usize = commit.delta.ops().iter().map(|(name, op)| field_size(name, op.most_bytes())).sum();
        if self.bytes + most <= limit.bytes {
            return Ok(());
        }
        // A copy shows how large the record gets. A refused commit, or one that makes it smaller, needs no room.
        let Some(stored) = self.records.get(&id) else { return Ok(()) };
        let mut after = stored.record.clone();
        if !matches!(after.commit(commit, now), CommitOutcome::Applied(_)) {
            return Ok(());
        }
        let bytes = size(&after.fields).saturating_sub(stored.bytes);
        if bytes == 0 {
            return Ok(());
        }
        self.make_room(limit, Room { records: 0, bytes }, id, &commit.timeouts, now)
    }
}

/// Returns the bytes that a record with these fields takes.
fn size(fields: &Fields) -> usize {
    RECORD_BYTES + fields.iter().map(|(name, value)| field_size(name, value.len())).sum::<usize>()
}

fn field_size(name: &FieldName, value: usize) -> usize {
    FIELD_BYTES + name.as_str().len() + value
}

/// Takes the first eight bytes of a record id as its hash, since they are random already.
///
/// Clients cannot choose the ids of records, only of look-ups, so they cannot pile up collisions.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _length_prefix: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
impl Shard {
    /// Returns the ids of the records, after a check of the counts.
    pub(super) fn checked_ids(&self) -> impl Iterator<Item = RecordId> {
        let sum = self.records.values().map(|stored| size(&stored.record.fields)).sum::<usize>();
        assert_eq!(self.bytes, sum, "what is counted is what is there");
        assert_eq!(self.order.len(), self.records.len());
        self.records.keys().copied()
    }
}
