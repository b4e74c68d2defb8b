//! Sessions in the memory of one process.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::PoisonError,
};

use super::{Answer, Capabilities, Commit, Created, Loaded, NewRecord, Record, Store};
use crate::{
    clock::{AnyClock, Clock, SystemClock},
    error::Error,
    sync::{Mutex, MutexGuard},
    value::{FieldName, RecordId, Timeouts, Timestamp},
};

/// Enough that two cores seldom meet; a power of two.
const SHARDS: usize = 64;

/// In smaller shards chance would fill one long before the others.
const SMALLEST_SHARD: usize = 1024;

/// How many records a store holds unless told otherwise: about 1 GiB at 1 KiB each.
const DEFAULT_CAPACITY: usize = 1_000_000;

/// How many dead records a create clears out of its shard's front.
const SWEPT_PER_CREATE: usize = 2;

/// Sessions in the memory of one process: gone when it ends, and not shared with another.
///
/// It holds a bounded number of records ([`with_capacity`](Self::with_capacity)). Each create
/// clears out a few dead ones. When there is no room all the same, those go first whose visitors
/// never came back, then those that were unused for longest; but none that holds a right, such as who is
/// logged in: a store that is full of these takes no new session, and the request is answered with 503.
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
/// let at_most_ten_thousand = MemoryStore::new().with_capacity(10_000);
/// # let _ = at_most_ten_thousand;
/// ```
pub struct MemoryStore {
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
    clock: AnyClock,
}

#[derive(Default)]
struct Shard {
    records: HashMap<RecordId, Kept, BuildHasherDefault<IdHasher>>,
    /// The records in the order in which they go when there is no room. It changes with a touch,
    /// not with a request.
    order: BTreeSet<Turn>,
}

/// When a record goes: by its standing, then the least recently used first.
type Turn = (Standing, Timestamp, RecordId);

/// Whom others push out when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The token never came back: visitors who take no cookie push out nobody else.
    Unclaimed,
    Claimed,
    /// Somebody is logged in, or has another right: nobody pushes these out.
    Privileged,
}

struct Kept {
    record: Record,
    /// Whether it was loaded since its creation: somebody has its token.
    came_back: bool,
}

impl Kept {
    fn turn(&self, id: RecordId) -> Turn {
        let standing = match (self.record.seal.holds_rights(), self.came_back) {
            (true, _) => Standing::Privileged,
            (false, true) => Standing::Claimed,
            (false, false) => Standing::Unclaimed,
        };
        (standing, self.record.touched, id)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            capacity: DEFAULT_CAPACITY,
            clock: AnyClock::new(SystemClock),
        }
    }

    /// Holds about this many records, a million by default. The bound is kept per shard, so some
    /// records may go a little before the store is full.
    #[must_use]
    pub fn with_capacity(mut self, records: usize) -> Self {
        let shards = (records / SMALLEST_SHARD).clamp(1, SHARDS);
        self.shards = (0..shards).map(|_| Mutex::default()).collect();
        self.capacity = records;
        self
    }

    /// Reads the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = AnyClock::new(clock);
        self
    }

    /// How many records are held, dead ones that were not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).records.len()).sum()
    }

    /// Whether no record is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: RecordId) -> MutexGuard<'_, Shard> {
        // The last byte: the map inside the shard uses the first eight.
        let index = usize::from(id.as_bytes()[15]) % self.shards.len();
        lock(&self.shards[index])
    }
}

impl Store for MemoryStore {
    const CAPABILITIES: Capabilities = Capabilities::IN_PROCESS;

    async fn load(&self, id: RecordId, _names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let now = self.clock.now();
        let mut shard = self.shard(id);
        let Shard { records, order } = &mut *shard;
        Ok(records.get_mut(&id).map(|kept| {
            if !kept.came_back {
                order.remove(&kept.turn(id));
                kept.came_back = true;
                order.insert(kept.turn(id));
            }
            Loaded::new(&kept.record, now)
        }))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<Created, Error> {
        let now = self.clock.now();
        let capacity = self.capacity.div_ceil(self.shards.len()).max(1);
        let mut shard = self.shard(id);
        shard.sweep(&new.timeouts, now, SWEPT_PER_CREATE);
        if let Some(Kept { record: known, .. }) = shard.records.get(&id) {
            let repeated = known.seal == new.seal && known.is_alive(&new.timeouts, now);
            return Ok(if repeated { Created::At(known.created) } else { Created::Exists });
        }
        while shard.records.len() >= capacity {
            if !shard.evict(&new.timeouts, now) {
                return Err(Error::unavailable(
                    "the session store is full of sessions that hold rights; give it more capacity",
                ));
            }
        }
        let kept = Kept { record: Record::new(new, now), came_back: false };
        shard.order.insert(kept.turn(id));
        shard.records.insert(id, kept);
        Ok(Created::At(now))
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<Answer, Error> {
        let now = self.clock.now();
        let mut shard = self.shard(id);
        let Shard { records, order } = &mut *shard;
        let Some(kept) = records.get_mut(&id) else { return Ok(Answer::Gone) };
        let before = kept.turn(id);
        let answer = kept.record.commit(&commit, now);
        if kept.turn(id) != before {
            order.remove(&before);
            order.insert(kept.turn(id));
        }
        Ok(answer)
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
        Ok(purged)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Shard {
    fn remove(&mut self, id: RecordId) {
        if let Some(kept) = self.records.remove(&id) {
            self.order.remove(&kept.turn(id));
        }
    }

    /// Makes room for one record, if anybody may be pushed out.
    fn evict(&mut self, timeouts: &Timeouts, now: Timestamp) -> bool {
        if self.order.first().is_some_and(|(standing, ..)| *standing == Standing::Privileged) {
            // Those that are dead anyway.
            return self.purge(timeouts, now, usize::MAX) > 0;
        }
        self.remove_first();
        true
    }

    fn remove_first(&mut self) {
        if let Some((.., id)) = self.order.pop_first() {
            self.records.remove(&id);
        }
    }

    /// Removes dead records from the front. One that died of age while in use is found
    /// there too, once it has been unused for long enough.
    fn sweep(&mut self, timeouts: &Timeouts, now: Timestamp, limit: usize) {
        for _ in 0..limit {
            let Some((.., id)) = self.order.first() else { break };
            let dead = self.records.get(id).is_none_or(|kept| kept.record.is_disposable(timeouts, now));
            if !dead {
                break;
            }
            self.remove_first();
        }
    }

    fn purge(&mut self, timeouts: &Timeouts, now: Timestamp, limit: usize) -> usize {
        let dead = |(id, kept): (&RecordId, &Kept)| kept.record.is_disposable(timeouts, now).then_some(*id);
        let dead: Vec<_> = self.records.iter().filter_map(dead).take(limit).collect();
        for id in &dead {
            self.remove(*id);
        }
        dead.len()
    }
}

/// A record id is random already: its first eight bytes are its hash.
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

/// A panic elsewhere leaves a shard whole: every change above is made after all that can fail.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
