//! The object-safe form of a store.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Commit, CommitOutcome, CreateOutcome, IndexStore, Loaded, NewRecord, Store};
use crate::{
    error::Error,
    value::{FieldName, RecordId, Timeouts},
};

/// An operation of a store under way.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// [`Store`] with boxed futures, so that no store's type shows in a handler's signature.
pub(crate) trait DynStore: Send + Sync {
    fn load<'a>(&'a self, id: RecordId, names: &'a [FieldName]) -> Boxed<'a, Option<Loaded>>;
    fn create(&self, id: RecordId, new: NewRecord) -> Boxed<'_, CreateOutcome>;
    fn commit(&self, id: RecordId, commit: Commit) -> Boxed<'_, CommitOutcome>;
    fn destroy(&self, id: RecordId) -> Boxed<'_, ()>;
    fn purge(&self, timeouts: Timeouts, limit: usize) -> Boxed<'_, usize>;
    fn expires_by_itself(&self) -> bool;
    fn timeout(&self) -> Option<Duration>;
    fn index(&self) -> Option<&dyn IndexStore>;
}

impl<S: Store> DynStore for S {
    fn load<'a>(&'a self, id: RecordId, names: &'a [FieldName]) -> Boxed<'a, Option<Loaded>> {
        Box::pin(Store::load(self, id, names))
    }

    fn create(&self, id: RecordId, new: NewRecord) -> Boxed<'_, CreateOutcome> {
        Box::pin(Store::create(self, id, new))
    }

    fn commit(&self, id: RecordId, commit: Commit) -> Boxed<'_, CommitOutcome> {
        Box::pin(Store::commit(self, id, commit))
    }

    fn destroy(&self, id: RecordId) -> Boxed<'_, ()> {
        Box::pin(Store::destroy(self, id))
    }

    fn purge(&self, timeouts: Timeouts, limit: usize) -> Boxed<'_, usize> {
        Box::pin(Store::purge(self, timeouts, limit))
    }

    fn expires_by_itself(&self) -> bool {
        Store::expires_by_itself(self)
    }

    fn timeout(&self) -> Option<Duration> {
        Store::timeout(self)
    }

    fn index(&self) -> Option<&dyn IndexStore> {
        Store::index(self)
    }
}

/// A store whose type is chosen at run time, made by [`Store::erase`].
///
/// ```
/// use sessions::store::{AnyStore, MemoryStore, Store};
///
/// let store: AnyStore = MemoryStore::new().erase();
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn DynStore>);

impl AnyStore {
    pub(super) fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    pub(crate) fn into_inner(self) -> Arc<dyn DynStore> {
        self.0
    }
}

impl Store for AnyStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        self.0.load(id, names).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        self.0.create(id, new).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        self.0.commit(id, commit).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.0.destroy(id).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        self.0.purge(timeouts, limit).await
    }

    fn expires_by_itself(&self) -> bool {
        self.0.expires_by_itself()
    }

    fn timeout(&self) -> Option<Duration> {
        self.0.timeout()
    }

    fn index(&self) -> Option<&dyn IndexStore> {
        self.0.index()
    }

    /// Returns the store itself, in no further box.
    fn erase(self) -> AnyStore {
        self
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyStore")
    }
}
