//! What a store must do, and the stores of this library.
//!
//! A store deals in record ids, credentials, epochs, field names, bytes and durations. It knows neither
//! cookies nor serde nor views. Every write is "apply this delta if the record is still alive and
//! I still may", in one atomic operation: there is no upsert, so nothing can bring a destroyed
//! session back.
//!
//! To write a store of your own, implement [`Store`] and run `sessions::testing::conformance!` on
//! it. A store that can run Rust inside its atomic operation keeps a [`Record`] and calls
//! [`Record::commit`]; everything that may go wrong is then already taken care of.

mod erased;
#[cfg(any(feature = "redis", feature = "webdis"))]
mod hash;
mod memory;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "redis-tls", feature = "webdis-tls"))]
mod tls;
#[cfg(any(feature = "redis", feature = "webdis"))]
mod userinfo;
#[cfg(feature = "webdis")]
mod webdis;

use std::{future::Future, time::Duration};

use bytes::Bytes;

pub(crate) use self::erased::{Boxed, DynStore};
#[cfg(all(fuzzing, any(feature = "redis", feature = "webdis")))]
#[doc(hidden)]
pub use self::hash::fuzzing as fuzzing_hash;
#[cfg(feature = "redis")]
pub use self::redis::{RedisLogin, RedisStore, RedisStoreBuilder};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{Durability, SqliteStore, SqliteStoreBuilder};
#[cfg(all(fuzzing, feature = "webdis"))]
#[doc(hidden)]
pub use self::webdis::fuzzing as fuzzing_webdis;
#[cfg(feature = "webdis")]
pub use self::webdis::{WebdisStore, WebdisStoreBuilder};
pub use self::{
    erased::{AnyStore, IntoStore},
    memory::MemoryStore,
    record::{CommitId, Record},
};
pub use crate::{
    delta::{Add, Delta, InvalidValue, Op},
    value::{Credentials, Fields},
};
use crate::{
    error::Error,
    value::{FieldName, RecordId, Timeouts, Timestamp},
};

/// Where sessions are kept.
///
/// See the [module](self) for how to write one.
///
/// # Errors
///
/// Every operation: [`Error::unavailable`] if it certainly did not happen. Load and commit:
/// [`Error::unreadable`] if what is stored under the id is certainly no session.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session store",
    label = "not a store",
    note = "open one: `MemoryStore::new()`, `SqliteStore::open(path).await?` with the feature `sqlite`, \
            `RedisStore::connect(url).await?` with `redis`, `WebdisStore::connect(url).await?` with `webdis`"
)]
pub trait Store: Send + Sync + 'static {
    /// What the store cannot do. Never a silent no-op: what is not declared must work.
    const CAPABILITIES: Capabilities;

    /// Reads a record: its metadata, at least the named fields, and the store's time, in one round
    /// trip. `None` if there is no such record.
    ///
    /// Without names it is a look at the metadata: no field is read or returned, however many there are, and
    /// [`Loaded::complete`] is not said. Sockets that wait for the end of a session look every few seconds, each
    /// for itself.
    ///
    /// Whether the record is still alive and the caller may use it is for the caller to find out
    /// from what is returned: the store knows neither secrets nor today's timeouts.
    fn load(
        &self,
        id: RecordId,
        names: &[FieldName],
    ) -> impl Future<Output = Result<Option<Loaded>, Error>> + Send;

    /// Creates a record, unless the id exists. A repeated create that meets a living record with
    /// its own credentials is [`CreateOutcome::Created`].
    fn create(
        &self,
        id: RecordId,
        new: NewRecord,
    ) -> impl Future<Output = Result<CreateOutcome, Error>> + Send;

    /// Applies all of a commit or nothing, only if the record is alive and its epoch the one that
    /// the commit names.
    fn commit(
        &self,
        id: RecordId,
        commit: Commit,
    ) -> impl Future<Output = Result<CommitOutcome, Error>> + Send;

    /// Ends a record. Idempotent and not fenced by the epoch: ending a session always wins.
    fn destroy(&self, id: RecordId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deletes up to `limit` records that are dead under `timeouts`, and says how many it did.
    /// Only a clean-up: what is dead is never used, purged or not. Each record has the times of its kind,
    /// which its credentials tells: [`Timeouts::of`]. An error also where the store cannot clean up its own files; the
    /// layer reports it as [`Event::PurgeFailed`](crate::Event::PurgeFailed).
    fn purge(&self, timeouts: Timeouts, limit: usize) -> impl Future<Output = Result<usize, Error>> + Send;

    /// The longest that any of the above takes, if the store sees to that itself. A layer that is
    /// content with it sets no timer of its own, which costs as much as a tenth of a load.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// One type for stores chosen at run time.
    ///
    /// ```
    /// use sessions::store::{AnyStore, MemoryStore, Store};
    ///
    /// let store: AnyStore = MemoryStore::new().erase();
    /// # let _ = store;
    /// ```
    fn erase(self) -> AnyStore
    where
        Self: Sized,
    {
        AnyStore::new(self)
    }
}

/// What a store can do beyond the contract's minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Records end by themselves some time after their deadline; `purge` has nothing to do.
    pub expires_by_itself: bool,
    /// Records survive the end of the process.
    pub survives_restart: bool,
}

impl Capabilities {
    /// A store in the memory of one process, which must be purged.
    pub const IN_PROCESS: Self = Self { expires_by_itself: false, survives_restart: false };

    /// A store on disk or on a server, which must be purged.
    pub const DURABLE: Self = Self { expires_by_itself: false, survives_restart: true };
}

/// A record as loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// Who may use it.
    pub credentials: Credentials,
    /// How many rotations the record has seen.
    pub epoch: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last used, to within the touch window.
    pub touched: Timestamp,
    /// The store's time of this load.
    pub now: Timestamp,
    /// At least the fields asked for.
    pub fields: Fields,
    /// Whether `fields` are all that the record has, so that no other view needs a second load.
    pub complete: bool,
}

impl Loaded {
    /// What a store returns from [`Store::load`], with all of the record's fields.
    #[must_use]
    pub fn new(record: &Record, now: Timestamp) -> Self {
        Self {
            credentials: record.credentials.clone(),
            epoch: record.epoch,
            created: record.created,
            touched: record.touched,
            now,
            fields: record.fields.clone(),
            complete: true,
        }
    }

    /// The same with other fields, and whether these are all.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields, complete: bool) -> Self {
        self.fields = fields;
        self.complete = complete;
        self
    }
}

/// What [`Store::create`] writes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewRecord {
    /// Who may use it.
    pub credentials: Credentials,
    /// Whether it is to be noted that nobody has used it yet: [`Timeouts::first_visit`].
    pub is_first_visit: bool,
    /// Its fields.
    pub fields: Fields,
    /// How long it may live, for stores that set a deadline on what they keep.
    pub timeouts: Timeouts,
}

impl NewRecord {
    /// A record with this credentials and no fields.
    #[must_use]
    pub const fn new(credentials: Credentials, timeouts: Timeouts) -> Self {
        Self { credentials, is_first_visit: false, fields: Fields::new(), timeouts }
    }

    /// The same with these fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// The same for a visitor who may never come back.
    #[must_use]
    pub const fn with_first_visit(mut self, is_first_visit: bool) -> Self {
        self.is_first_visit = is_first_visit;
        self
    }

    /// When the record that is created `now` was last used: a moment before it was created, as long as its
    /// token never came back.
    #[must_use]
    pub fn touched(&self, now: Timestamp) -> Timestamp {
        if self.is_first_visit { Timestamp::from_millis(now.as_millis().saturating_sub(1)) } else { now }
    }
}

/// The answer to [`Store::create`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// A create that is neither is an error, so there is nothing to add.
#[allow(clippy::exhaustive_enums)]
pub enum CreateOutcome {
    /// The record is there, since this time.
    Created(Timestamp),
    /// The id belongs to another record.
    IdTaken,
}

/// What [`Store::commit`] applies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Commit {
    /// The epoch that the load saw.
    pub epoch: u64,
    /// How long a record may live, to tell whether this one is alive.
    pub timeouts: Timeouts,
    /// The changes.
    pub delta: Delta,
    /// Whether to note this moment as the last use.
    pub touch: bool,
    /// New credentials: the old one is dead in the same operation.
    pub credentials_change: Option<CredentialsChange>,
    /// Makes a repetition of this commit apply once.
    pub id: Option<CommitId>,
    /// The fields whose values after the commit are to be returned.
    pub returning: Vec<FieldName>,
}

impl Commit {
    /// A commit that changes nothing yet.
    #[must_use]
    pub const fn new(epoch: u64, timeouts: Timeouts) -> Self {
        Self {
            epoch,
            timeouts,
            delta: Delta::new(),
            touch: false,
            credentials_change: None,
            id: None,
            returning: Vec::new(),
        }
    }

    /// The same with these changes.
    #[must_use]
    pub fn with_delta(mut self, delta: Delta) -> Self {
        self.delta = delta;
        self
    }

    /// The same, noting this moment as the last use.
    #[must_use]
    pub const fn with_touch(mut self, touch: bool) -> Self {
        self.touch = touch;
        self
    }

    /// The same with new credentials.
    #[must_use]
    pub fn with_credentials_change(mut self, credentials_change: CredentialsChange) -> Self {
        self.credentials_change = Some(credentials_change);
        self
    }

    /// The same, applied once however often it is sent.
    #[must_use]
    pub const fn with_id(mut self, id: CommitId) -> Self {
        self.id = Some(id);
        self
    }

    /// Whether this moment is noted as the last use: with a touch, or if the record holds a right or has other
    /// times from now on.
    #[must_use]
    pub fn notes_use(&self) -> bool {
        let holds_rights = |credentials_change: &CredentialsChange| {
            credentials_change.is_login
                || (credentials_change.is_hard && credentials_change.to.holds_rights())
        };
        let notes = |credentials_change: &CredentialsChange| {
            credentials_change.timeouts.is_some() || holds_rights(credentials_change)
        };
        self.touch || self.credentials_change.as_ref().is_some_and(notes)
    }

    /// How long the record may live once this is applied.
    #[must_use]
    pub fn timeouts_after(&self) -> &Timeouts {
        self.credentials_change
            .as_ref()
            .and_then(|credentials_change| credentials_change.timeouts.as_deref())
            .unwrap_or(&self.timeouts)
    }

    /// The same, asking for values after the commit.
    #[must_use]
    pub fn returning(mut self, names: Vec<FieldName>) -> Self {
        self.returning = names;
        self
    }
}

/// New credentials for a record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CredentialsChange {
    /// The new one.
    pub to: Credentials,
    /// The only one whose place it takes. With another one of the same epoch, the answer is
    /// [`CommitOutcome::CredentialsChanged`].
    pub from: Option<Credentials>,
    /// Whether the epoch grows by one, so that who loaded the record before writes nothing any more.
    pub is_hard: bool,
    /// Whether the record's life begins anew: it was created and used now.
    pub is_login: bool,
    /// How long the record may live from now on, if that is another time than the commit's
    /// [`timeouts`](Commit::timeouts), by which it is still judged. This moment counts as its use.
    pub timeouts: Option<Box<Timeouts>>,
}

impl CredentialsChange {
    /// A rotation: the epoch grows.
    #[must_use]
    pub const fn rotation(to: Credentials) -> Self {
        Self { to, from: None, is_hard: true, is_login: false, timeouts: None }
    }

    /// A rotation with which the record's life begins anew.
    #[must_use]
    pub const fn login(to: Credentials) -> Self {
        Self { to, from: None, is_hard: true, is_login: true, timeouts: None }
    }

    /// A renewal: the epoch stays.
    #[must_use]
    pub const fn renewal(to: Credentials) -> Self {
        Self { to, from: None, is_hard: false, is_login: false, timeouts: None }
    }

    /// The same, in the place of this one only.
    #[must_use]
    pub fn in_place_of(mut self, from: Credentials) -> Self {
        self.from = Some(from);
        self
    }

    /// The same, with which the record gets other times.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(Box::new(timeouts));
        self
    }
}

/// The answer to [`Store::commit`].
#[derive(Debug)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// All of it is done; with the values asked for, in their order.
    Applied(Vec<Option<Bytes>>),
    /// There is no such record, or it is dead. Nothing was written.
    NotFound,
    /// The record has been rotated since the load. Nothing was written.
    StaleEpoch,
    /// The record has another credentials than the one to be replaced, in the same epoch. Nothing was written.
    CredentialsChanged,
    /// A field was not as the commit required. Nothing was written.
    Conflict,
    /// This field's value is not what its operation needs. Nothing was written.
    Invalid(FieldName),
    /// The store cannot tell whether all or nothing was written.
    Unknown(Error),
}
