//! Sessions in the memory of one process.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::PoisonError,
};

use super::{Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Record, Store};
use crate::{
    clock::{AnyClock, Clock, SystemClock},
    error::Error,
    sync::{Mutex, MutexGuard},
    value::{FieldName, Fields, RecordId, Timeouts, Timestamp},
};

/// Enough that two cores seldom meet; a power of two.
const SHARDS: usize = 64;

/// In smaller shards chance would fill one long before the others.
const SMALLEST_SHARD: usize = 1024;

/// The default limit on records.
const DEFAULT_CAPACITY: usize = 1_000_000;

/// The default limit on their bytes.
const DEFAULT_MAX_BYTES: usize = 1 << 30;

/// A smaller shard would hold only a few records of the layer's default size limit.
const SMALLEST_SHARD_BYTES: usize = 4 << 20;

/// About what a record takes besides its fields: its credentials, its times, and its places in the map and the order.
const RECORD_BYTES: usize = 512;

/// About what a field takes besides its name and value.
const FIELD_BYTES: usize = 128;

/// How many dead records a create clears out of its shard's front.
const SWEPT_PER_CREATE: usize = 2;

/// Sessions in the memory of one process: gone when it ends, and not shared with another.
///
/// It holds a bounded number of records ([`with_capacity`](Self::with_capacity)) in a bounded number of bytes
/// ([`with_max_bytes`](Self::with_max_bytes)). Each create clears out a few expired ones. If there is still no room
/// for a new record, or for one that grows, others are evicted. First go the records of visitors who never came
/// back, then those unused for longest. A record that holds a right, such as who is logged in, is never
/// evicted. A store that is full of these takes no new session and lets none grow: the request is answered
/// with 503.
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
    capacity: usize,
    max_bytes: usize,
    clock: AnyClock,
}

/// How much a shard may hold.
#[derive(Clone, Copy)]
struct Room {
    records: usize,
    bytes: usize,
}

#[derive(Default)]
struct Shard {
    records: HashMap<RecordId, Kept, BuildHasherDefault<IdHasher>>,
    /// The records in the order in which they go when there is no room. It changes with a touch,
    /// not with a request.
    order: BTreeSet<Turn>,
    /// How many bytes the records take.
    bytes: usize,
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
    /// How many it takes.
    bytes: usize,
    /// Whether it was loaded since its creation: somebody has its token.
    came_back: bool,
}

impl Kept {
    fn turn(&self, id: RecordId) -> Turn {
        let standing = match (self.record.credentials.holds_rights(), self.came_back) {
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
            max_bytes: DEFAULT_MAX_BYTES,
            clock: AnyClock::new(SystemClock),
        }
    }

    /// Holds about this many records, a million by default. The bound is kept per shard, so some
    /// records may go a little before the store is full.
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

    /// How many records are held, dead ones that were not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).records.len()).sum()
    }

    /// The bytes that the records take, as [`with_max_bytes`](Self::with_max_bytes) counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
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

    fn room(&self) -> Room {
        let shards = self.shards.len();
        Room { records: self.capacity.div_ceil(shards).max(1), bytes: self.max_bytes.div_ceil(shards) }
    }
}

impl Store for MemoryStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let now = self.clock.now();
        let mut shard = self.shard(id);
        let Shard { records, order, .. } = &mut *shard;
        Ok(records.get_mut(&id).map(|kept| {
            if !kept.came_back {
                order.remove(&kept.turn(id));
                kept.came_back = true;
                order.insert(kept.turn(id));
            }
            let loaded = Loaded::new(&kept.record, now);
            if names.is_empty() { loaded.with_fields(Fields::new(), false) } else { loaded }
        }))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let now = self.clock.now();
        let mut shard = self.shard(id);
        shard.sweep(&new.timeouts, now, SWEPT_PER_CREATE);
        if let Some(Kept { record: known, .. }) = shard.records.get(&id) {
            let repeated = known.credentials == new.credentials && known.is_alive(&new.timeouts, now);
            return Ok(if repeated { CreateOutcome::Created(known.created) } else { CreateOutcome::IdTaken });
        }
        let (timeouts, bytes) = (new.timeouts, size(&new.fields));
        let wanted = Room { records: 1, bytes };
        shard.make_room(self.room(), wanted, id, &timeouts, now)?;
        let kept = Kept { record: Record::new(new, now), bytes, came_back: false };
        shard.order.insert(kept.turn(id));
        shard.records.insert(id, kept);
        shard.bytes += bytes;
        Ok(CreateOutcome::Created(now))
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let now = self.clock.now();
        let mut shard = self.shard(id);
        shard.make_room_to_grow(self.room(), id, &commit, now)?;
        let Shard { records, order, bytes } = &mut *shard;
        let Some(kept) = records.get_mut(&id) else { return Ok(CommitOutcome::NotFound) };
        let before = kept.turn(id);
        let answer = kept.record.commit(&commit, now);
        if kept.turn(id) != before {
            order.remove(&before);
            order.insert(kept.turn(id));
        }
        if !commit.delta.is_empty() {
            *bytes -= kept.bytes;
            kept.bytes = size(&kept.record.fields);
            *bytes += kept.bytes;
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
        f.debug_struct("MemoryStore")
            .field("capacity", &self.capacity)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

impl Shard {
    fn remove(&mut self, id: RecordId) {
        if let Some(kept) = self.records.remove(&id) {
            self.order.remove(&kept.turn(id));
            self.bytes -= kept.bytes;
        }
    }

    /// Makes room for what a commit may add to its record.
    fn make_room_to_grow(
        &mut self,
        room: Room,
        id: RecordId,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<(), Error> {
        let most: usize = commit.delta.ops().iter().map(|(name, op)| field_size(name, op.most_bytes())).sum();
        if self.bytes + most <= room.bytes {
            return Ok(());
        }
        // What it comes to is seen on a copy; a refused commit, or one that only makes it smaller, needs none.
        let Some(kept) = self.records.get(&id) else { return Ok(()) };
        let mut after = kept.record.clone();
        if !matches!(after.commit(commit, now), CommitOutcome::Applied(_)) {
            return Ok(());
        }
        let bytes = size(&after.fields).saturating_sub(kept.bytes);
        if bytes == 0 {
            return Ok(());
        }
        self.make_room(room, Room { records: 0, bytes }, id, &commit.timeouts, now)
    }

    /// Makes room for a new record, or for this one to grow. If not enough others may be evicted, none is.
    fn make_room(
        &mut self,
        room: Room,
        wanted: Room,
        id: RecordId,
        timeouts: &Timeouts,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut leaving = self.to_push_out(room, wanted, id);
        // Else those go that are dead anyway.
        if leaving.is_none() && self.purge(timeouts, now, usize::MAX) > 0 {
            leaving = self.to_push_out(room, wanted, id);
        }
        let full = || {
            Error::unavailable(
                "the session store is full of sessions that hold rights, or a session is larger than the store; \
                 give it more capacity or more bytes",
            )
        };
        for id in leaving.ok_or_else(full)? {
            self.remove(id);
        }
        Ok(())
    }

    /// The records to evict for the room that is wanted, in their order; `None` if that is not enough.
    fn to_push_out(&self, room: Room, wanted: Room, spared: RecordId) -> Option<Vec<RecordId>> {
        let (mut records, mut bytes) = (self.records.len() + wanted.records, self.bytes + wanted.bytes);
        let mut leaving = Vec::new();
        let mut others = self.order.iter().filter(|(.., id)| *id != spared);
        while records > room.records || bytes > room.bytes {
            let (standing, _, id) = others.next()?;
            if *standing == Standing::Privileged {
                return None;
            }
            records -= 1;
            bytes -= self.records.get(id).map_or(0, |kept| kept.bytes);
            leaving.push(*id);
        }
        Some(leaving)
    }

    fn remove_first(&mut self) {
        if let Some((.., id)) = self.order.first() {
            self.remove(*id);
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

/// How many bytes a record with these fields takes.
fn size(fields: &Fields) -> usize {
    RECORD_BYTES + fields.iter().map(|(name, value)| field_size(name, value.len())).sum::<usize>()
}

fn field_size(name: &FieldName, value: usize) -> usize {
    FIELD_BYTES + name.as_str().len() + value
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use bytes::Bytes;

    use super::*;
    use crate::{
        delta::{Add, Delta, Op},
        error::ErrorKind,
        store::CredentialsChange,
        sync::atomic::{AtomicI64, Ordering},
        value::Credentials,
    };

    const KIBIBYTE: usize = 1024;

    #[derive(Clone, Default)]
    struct Seconds(Arc<AtomicI64>);

    impl Clock for Seconds {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst) * 1000)
        }
    }

    /// A store for so many KiB in one shard, whose clock goes on by a second with each step.
    struct Site {
        store: MemoryStore,
        clock: Seconds,
        runtime: tokio::runtime::Runtime,
    }

    impl Site {
        fn new(kibibytes: usize) -> Self {
            let clock = Seconds::default();
            let store = MemoryStore::new().with_max_bytes(kibibytes * KIBIBYTE).with_clock(clock.clone());
            assert_eq!(store.shards.len(), 1);
            Self { store, clock, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
        }

        fn run<T>(&self, work: impl Future<Output = T>) -> T {
            self.clock.0.fetch_add(1, Ordering::SeqCst);
            let output = self.runtime.block_on(work);
            let shard = lock(&self.store.shards[0]);
            let sum = shard.records.values().map(|kept| size(&kept.record.fields)).sum::<usize>();
            assert_eq!(shard.bytes, sum, "what is counted is what is there");
            assert_eq!(shard.order.len(), shard.records.len());
            assert!(sum <= self.store.max_bytes, "the bound holds");
            output
        }

        fn create(
            &self,
            number: u8,
            credentials: Credentials,
            kibibytes: usize,
        ) -> Result<CreateOutcome, Error> {
            let fields = [("a".into(), value(kibibytes))].into_iter().collect();
            let new =
                NewRecord::new(credentials, Timeouts::default()).with_fields(fields).with_first_visit(true);
            self.run(self.store.create(id(number), new))
        }

        /// A record whose token has come back.
        fn visitor(&self, number: u8, kibibytes: usize) {
            assert!(matches!(self.create(number, visitors(), kibibytes), Ok(CreateOutcome::Created(_))));
            assert!(self.run(self.store.load(id(number), &["a".into()])).unwrap().is_some());
        }

        fn commit(&self, number: u8, op: Op) -> Result<CommitOutcome, Error> {
            let mut delta = Delta::new();
            delta.push("a".into(), op, None).unwrap();
            self.run(self.store.commit(id(number), Commit::new(0, Timeouts::default()).with_delta(delta)))
        }

        fn numbers(&self) -> Vec<u8> {
            let mut numbers: Vec<_> =
                lock(&self.store.shards[0]).records.keys().map(|id| id.as_bytes()[0]).collect();
            numbers.sort_unstable();
            numbers
        }
    }

    fn id(number: u8) -> RecordId {
        RecordId::from_bytes([number; 16])
    }

    fn value(kibibytes: usize) -> Bytes {
        format!("\"{}\"", "x".repeat(kibibytes * KIBIBYTE)).into()
    }

    fn visitors() -> Credentials {
        Credentials::from_bytes(vec![1; 33])
    }

    fn users() -> Credentials {
        let mut bytes = vec![1; 33];
        bytes[32] |= 0x80;
        Credentials::from_bytes(bytes)
    }

    fn is_full<T: fmt::Debug>(result: Result<T, Error>) -> bool {
        let error = result.unwrap_err();
        error.kind() == ErrorKind::Unavailable
    }

    /// Few large records fill a store that has room for a million small ones.
    #[test]
    fn a_store_is_bounded_in_bytes_and_pushes_out_in_its_order() {
        let site = Site::new(100);
        for number in 1..=3 {
            site.visitor(number, 20);
        }
        site.create(4, visitors(), 20).unwrap();
        assert_eq!(site.numbers(), [1, 2, 3, 4]);
        // First the one whose token never came back, then the one that was unused for longest.
        site.visitor(5, 20);
        assert_eq!(site.numbers(), [1, 2, 3, 5]);
        site.visitor(6, 40);
        assert_eq!(site.numbers(), [3, 5, 6]);
        assert!(is_full(site.create(7, visitors(), 100)), "larger than the store");
        assert_eq!(site.numbers(), [3, 5, 6], "and nobody goes for it");
    }

    #[test]
    fn no_record_with_a_right_goes_for_the_bytes_of_another() {
        let site = Site::new(100);
        site.create(1, users(), 40).unwrap();
        site.create(2, users(), 40).unwrap();
        site.visitor(3, 10);
        assert!(is_full(site.create(4, users(), 40)), "a visitor's bytes are not enough");
        assert_eq!(site.numbers(), [1, 2, 3], "so the visitor stays");
        site.create(4, users(), 10).unwrap();
        assert_eq!(site.numbers(), [1, 2, 4]);
        assert!(is_full(site.create(5, visitors(), 10)));
        // Those that are over anyway go all the same.
        site.clock.0.fetch_add(100 * 24 * 3600, Ordering::SeqCst);
        site.create(5, visitors(), 95).unwrap();
        assert_eq!(site.numbers(), [5]);
    }

    #[test]
    fn a_record_that_grows_pushes_out_others_and_never_itself() {
        let site = Site::new(100);
        site.create(1, visitors(), 20).unwrap();
        site.visitor(2, 20);
        site.visitor(3, 20);
        // It would be the first to go.
        assert!(matches!(site.commit(1, Op::Put(value(65))), Ok(CommitOutcome::Applied(_))));
        assert_eq!(site.numbers(), [1, 3]);
        assert!(matches!(site.commit(1, Op::Put(value(60))), Ok(CommitOutcome::Applied(_))));
        assert!(is_full(site.commit(1, Op::Put(value(100)))));
        let loaded = site.run(site.store.load(id(1), &["a".into()])).unwrap().unwrap();
        assert_eq!(loaded.fields.get("a"), Some(&value(60)), "nothing of it is written");
        assert_eq!(site.numbers(), [1, 3]);
    }

    /// Nothing keeps a user of a full store from logging out.
    #[test]
    fn a_full_store_takes_what_needs_no_room() {
        let site = Site::new(100);
        site.create(1, users(), 49).unwrap();
        site.create(2, users(), 49).unwrap();
        assert!(is_full(site.commit(1, Op::Put(value(50)))));
        let add = Add { by: 1, start: 0, min: 0, max: 9 };
        assert!(
            matches!(site.commit(1, Op::Add(add)), Ok(CommitOutcome::Invalid(_))),
            "a refusal is a refusal"
        );
        assert!(matches!(site.commit(9, Op::Put(value(9))), Ok(CommitOutcome::NotFound)));
        let credentials_change = Commit::new(0, Timeouts::default())
            .with_touch(true)
            .with_credentials_change(CredentialsChange::rotation(users()));
        let answer = site.run(site.store.commit(id(1), credentials_change));
        assert!(matches!(answer, Ok(CommitOutcome::Applied(_))));
        assert!(
            matches!(site.commit(2, Op::Put(value(48))), Ok(CommitOutcome::Applied(_))),
            "smaller than before"
        );
        assert!(matches!(site.commit(2, Op::Remove), Ok(CommitOutcome::Applied(_))));
        site.run(site.store.destroy(id(2))).unwrap();
        site.run(site.store.purge(Timeouts::new(Duration::ZERO, Duration::ZERO), 9)).unwrap();
        assert_eq!(site.numbers(), [1]);
    }

    #[test]
    fn options_do_not_depend_on_their_order() {
        for store in [
            MemoryStore::new().with_capacity(10).with_max_bytes(KIBIBYTE),
            MemoryStore::new().with_max_bytes(KIBIBYTE).with_capacity(10),
        ] {
            assert_eq!((store.shards.len(), store.capacity, store.max_bytes), (1, 10, KIBIBYTE));
        }
        assert_eq!(MemoryStore::new().shards.len(), SHARDS);
    }
}
