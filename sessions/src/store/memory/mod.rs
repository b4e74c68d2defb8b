//! Sessions in the memory of one process.

mod eviction;
mod index;
mod shard;
#[cfg(test)]
mod tests;

use std::{fmt, sync::PoisonError};

use self::{
    index::IndexRows,
    shard::{Room, Shard},
};
use super::{Commit, CommitOutcome, CreateOutcome, IndexStore, Loaded, NewRecord, Store};
use crate::{
    clock::{AnyClock, Clock, SystemClock},
    error::Error,
    sync::{Mutex, MutexGuard},
    value::{FieldName, RecordId, Timeouts},
};

/// The most shards: enough that two cores seldom meet. A power of two.
const SHARDS: usize = 64;

/// The fewest records of a shard: in smaller ones chance would fill one long before the others.
const SMALLEST_SHARD: usize = 1024;

/// The default limit on records.
const DEFAULT_CAPACITY: usize = 1_000_000;

/// The default limit on their bytes.
const DEFAULT_MAX_BYTES: usize = 1 << 30;

/// The fewest bytes of a shard: a smaller one would hold only a few records of the layer's default size limit.
const SMALLEST_SHARD_BYTES: usize = 4 << 20;

/// A store in the memory of one process: its sessions are gone when the process ends, and shared with no other.
///
/// The number of records is limited ([`with_capacity`](Self::with_capacity)), and so are their bytes
/// ([`with_max_bytes`](Self::with_max_bytes)). Each create removes a few expired records. If there is still no room for
/// a new record, or for one that grows, others are evicted: first those of visitors who never came back, then those
/// unused for longest. A record that holds a right, such as who is logged in, is never evicted. A store that is full
/// of such records takes no new session and lets none grow: the request is answered with 503.
///
/// Beside them, each session with an indexed field takes about 100 bytes in the index. They are not counted.
///
/// ```
/// use sessions::{SessionLayer, store::MemoryStore};
///
/// let layer = SessionLayer::new(MemoryStore::new());
/// # let _ = layer;
/// ```
///
/// ```
/// use sessions::store::MemoryStore;
///
/// let small = MemoryStore::new().with_capacity(10_000).with_max_bytes(64 << 20);
/// # let _ = small;
/// ```
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    index: Mutex<IndexRows>,
    capacity: usize,
    max_bytes: usize,
    clock: AnyClock,
}

impl MemoryStore {
    /// Makes an empty store for a million records and 1 GiB.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            index: Mutex::default(),
            capacity: DEFAULT_CAPACITY,
            max_bytes: DEFAULT_MAX_BYTES,
            clock: AnyClock::new(SystemClock),
        }
    }

    /// Limits the number of records, a million by default. The limit is kept per shard, so some records may be evicted
    /// a little before the store is full.
    #[must_use]
    pub fn with_capacity(mut self, records: usize) -> Self {
        self.capacity = records;
        self.with_shards()
    }

    /// Limits the bytes of all records together, 1 GiB by default. Counted are the names and values of fields, and an
    /// estimate of the store's own needs: 512 bytes for each record and 128 for each field. The limit is kept per
    /// shard, so some records may be evicted a little before the store is full.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self.with_shards()
    }

    fn with_shards(mut self) -> Self {
        let shards =
            (self.capacity / SMALLEST_SHARD).min(self.max_bytes / SMALLEST_SHARD_BYTES).clamp(1, SHARDS);
        self.shards = (0..shards).map(|_| Mutex::default()).collect();
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = AnyClock::new(clock);
        self
    }

    /// Returns how many records are held, dead ones that were not removed yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Returns the bytes that the records take, as [`with_max_bytes`](Self::with_max_bytes) counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes()).sum()
    }

    /// Returns true if no record is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: RecordId) -> MutexGuard<'_, Shard> {
        // The last byte: the map inside the shard uses the first eight.
        let index = usize::from(id.as_bytes()[15]) % self.shards.len();
        lock(&self.shards[index])
    }

    fn limit(&self) -> Room {
        let shards = self.shards.len();
        Room { records: self.capacity.div_ceil(shards).max(1), bytes: self.max_bytes.div_ceil(shards) }
    }
}

impl Store for MemoryStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let now = self.clock.now();
        Ok(self.shard(id).load(id, !names.is_empty(), now))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let now = self.clock.now();
        self.shard(id).create(id, new, self.limit(), now)
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let now = self.clock.now();
        self.shard(id).commit(id, &commit, self.limit(), now)
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.shard(id).remove(id);
        Ok(())
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        let now = self.clock.now();
        let mut purged = 0;
        for shard in &self.shards {
            purged += lock(shard).purge(&timeouts, now, limit - purged);
        }
        lock(&self.index).purge(now);
        Ok(purged)
    }

    fn index(&self) -> Option<&dyn IndexStore> {
        Some(self)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("capacity", &self.capacity)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// Locks a shard, or the index. A panic elsewhere leaves it whole: every change of it is made after all that can fail.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
