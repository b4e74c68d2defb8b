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

mod commit;
mod create;
mod erased;
#[cfg(any(feature = "redis", feature = "webdis"))]
mod hash;
mod loaded;
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
    commit::{Commit, CommitId, CommitOutcome, CredentialsChange},
    create::{CreateOutcome, NewRecord},
    erased::AnyStore,
    loaded::Loaded,
    memory::MemoryStore,
    record::Record,
};
pub use crate::{
    delta::{Add, Delta, InvalidValue, Op},
    value::{Credentials, Fields},
};
use crate::{
    error::Error,
    value::{FieldName, RecordId, Timeouts},
};

/// A place where sessions are kept.
///
/// See the [module](self) for how to write one, with a complete example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session store",
    label = "not a store",
    note = "open one: `MemoryStore::new()`, `SqliteStore::open(path).await?` with the feature `sqlite`, \
            `RedisStore::connect(url).await?` with `redis`, `WebdisStore::connect(url).await?` with `webdis`"
)]
pub trait Store: Send + Sync + 'static {
    /// Reads a record: its metadata, at least the named fields, and the store's time, in one round trip.
    ///
    /// Returns `None` if there is no such record. A dead record may be returned: the caller judges it. Without names
    /// no field is read, however many there are, and [`Loaded::complete`] is false.
    ///
    /// # Errors
    ///
    /// [`Error::unavailable`] if the record could not be read; [`Error::unreadable`] if what is stored is no session.
    fn load(
        &self,
        id: RecordId,
        names: &[FieldName],
    ) -> impl Future<Output = Result<Option<Loaded>, Error>> + Send;

    /// Creates a record, unless the id exists. A repeated create that meets a living record with its own credentials
    /// is [`CreateOutcome::Created`].
    ///
    /// # Errors
    ///
    /// [`Error::unavailable`] if nothing was written; [`Error::outcome_unknown`] if the record may be there.
    fn create(
        &self,
        id: RecordId,
        new: NewRecord,
    ) -> impl Future<Output = Result<CreateOutcome, Error>> + Send;

    /// Applies all of a commit or nothing, only if the record is alive and has the epoch that the commit names.
    ///
    /// # Errors
    ///
    /// [`Error::unavailable`] if nothing was written; [`Error::outcome_unknown`] if all of it may have been;
    /// [`Error::unreadable`] if what is stored is no session.
    fn commit(
        &self,
        id: RecordId,
        commit: Commit,
    ) -> impl Future<Output = Result<CommitOutcome, Error>> + Send;

    /// Deletes a record, whatever its epoch. A record that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`Error::unavailable`] if the record is still there; [`Error::outcome_unknown`] if it may be.
    fn destroy(&self, id: RecordId) -> impl Future<Output = Result<(), Error>> + Send;

    /// Deletes up to `limit` records that are dead under `timeouts`, and returns how many it deleted.
    ///
    /// Each record has the times of its kind of session ([`Timeouts::of`]). This only frees room: a dead record is
    /// never used, purged or not.
    ///
    /// # Errors
    ///
    /// Any error, also if the store cannot clean up its own files. The layer reports it as
    /// [`Event::PurgeFailed`](crate::Event::PurgeFailed).
    fn purge(&self, timeouts: Timeouts, limit: usize) -> impl Future<Output = Result<usize, Error>> + Send;

    /// Returns true if dead records go by themselves, so that the layer never calls [`purge`](Self::purge).
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Returns the longest that an operation takes, if the store itself sees to that. The layer then sets no timer
    /// of its own where this is short enough, which saves as much as a tenth of a load.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Makes one type of stores that are chosen at run time.
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
