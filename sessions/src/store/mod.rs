//! The contract of a store, and the stores of this library.
//!
//! A store keeps one record for each session: [`Record`]. It deals in record ids, credentials, epochs, field names,
//! bytes and durations, and knows neither cookies nor serde nor views.
//!
//! Every write is one atomic operation: apply this [`Delta`] if the record is alive and still has the epoch that the
//! request saw. The *epoch* is a fencing token: it grows with each login, logout and rotation, so a request that
//! loaded the record before writes nothing any more. There is no operation that writes a record if it is not there, so
//! nothing can bring a destroyed session back.
//!
//! # A store of your own
//!
//! Implement [`Store`]. A store that can run Rust inside its transactions needs no rule of its own: it keeps a
//! [`Record`], as bytes ([`Record::to_bytes`]) or in columns ([`Record::from_parts`]), and changes it by
//! [`Record::commit`]. This one is complete; with the feature `test-util`, its test follows:
//!
#![cfg_attr(not(feature = "test-util"), doc = concat!("```\n", include_str!("own_store.rs"), "```"))]
#![cfg_attr(
    feature = "test-util",
    doc = concat!("```\n", include_str!("own_store.rs"), "\n", include_str!("own_store_test.rs"), "# fn main() {}\n```")
)]
//!
//! The conformance suite (feature `test-util`) shows if a store keeps the contract: see
//! `sessions::testing::conformance`.
//!
//! - A store on a server should read the server's clock, so that all instances of an application agree.
//! - A store that is asked again after a lost connection should send each [`Commit`] with its
//!   [`id`](Commit::id), which the record remembers: a repetition is then applied once.
//! - A store that translates commits into another language finds the rules in [`Record::commit`],
//!   [`Delta::apply`] and [`Timeouts::cutoffs`].
//!
//! # Collections
//!
//! An entry of a collection is a field of its own, named `cart[42]`. A store need not know more of it, but that a name
//! ending in `[` stands for all fields that begin with it ([`FieldName::covers`]): among the names of a
//! [`load`](Store::load), in [`Delta::retained`], and in the removals among [`Delta::ops`]. [`Record::commit`] and
//! [`Fields`] know that. A store that returns all fields with each load does, too.
//!
//! # Errors
//!
//! [`Error::unavailable`] says that nothing was written, so that the request may try again. If that is not certain,
//! the store returns [`Error::outcome_unknown`]. Both keep the store's own error for logs.

mod commit;
mod create;
mod erased;
#[cfg(any(feature = "redis", feature = "webdis"))]
mod hash;
pub mod index;
mod loaded;
mod memory;
mod record;
mod record_format;
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
    index::{CanIndex, IndexStore},
    loaded::Loaded,
    memory::MemoryStore,
    record::Record,
};
pub use crate::{
    delta::{Add, Delta, DeltaFailure, Op, OpFailure},
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
    /// A prefix name ([`FieldName`]) asks for all fields that begin with it.
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
    /// Each record has the times of its kind of session ([`Timeouts::of`]). A dead record is never used, purged or not.
    ///
    /// # Errors
    ///
    /// Any error, also of a clean-up of the store's own files. The layer reports [`PurgeFailed`](crate::Event::PurgeFailed).
    fn purge(&self, timeouts: Timeouts, limit: usize) -> impl Future<Output = Result<usize, Error>> + Send;

    /// Returns true if dead records go by themselves, so that the layer never calls [`purge`](Self::purge).
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Returns the longest that an operation takes, if the store sees to that. If it is short enough, the layer saves its
    /// own timer, which costs as much as a tenth of a load.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Returns the store's index, if it has one: see [`index`]. A store with an index is [`CanIndex`], too.
    ///
    /// Without one, a view with a field marked `index` is refused, and the sessions of a user cannot be listed.
    fn index(&self) -> Option<&dyn IndexStore> {
        None
    }

    /// Makes one type of stores that are chosen at run time.
    fn erase(self) -> AnyStore
    where
        Self: Sized,
    {
        AnyStore::new(self)
    }
}
