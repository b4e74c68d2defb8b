//! The object-safe form of a store.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{Capabilities, Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store};
use crate::{
    error::Error,
    value::{FieldName, RecordId, Timeouts},
};

/// What a store is doing.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// [`Store`] with boxed futures, so that no store's type shows in a handler's signature.
pub(crate) trait DynStore: Send + Sync {
    fn capabilities(&self) -> Capabilities;
    fn load<'a>(&'a self, id: RecordId, names: &'a [FieldName]) -> Boxed<'a, Option<Loaded>>;
    fn create(&self, id: RecordId, new: NewRecord) -> Boxed<'_, CreateOutcome>;
    fn commit(&self, id: RecordId, commit: Commit) -> Boxed<'_, CommitOutcome>;
    fn destroy(&self, id: RecordId) -> Boxed<'_, ()>;
    fn purge(&self, timeouts: Timeouts, limit: usize) -> Boxed<'_, usize>;
    fn timeout(&self) -> Option<Duration>;
}

impl<S: Store> DynStore for S {
    fn capabilities(&self) -> Capabilities {
        S::CAPABILITIES
    }

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

    fn timeout(&self) -> Option<Duration> {
        Store::timeout(self)
    }
}

/// A store whose type was chosen at run time: what [`Store::erase`] returns.
///
/// It is no `Store` itself, since what it can do is known only when it runs;
/// [`SessionLayer::new`](crate::SessionLayer::new) takes either.
#[derive(Clone)]
pub struct AnyStore(Arc<dyn DynStore>);

impl AnyStore {
    pub(crate) fn new(store: impl Store) -> Self {
        Self(Arc::new(store))
    }

    /// What the store can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    pub(crate) fn into_inner(self) -> Arc<dyn DynStore> {
        self.0
    }
}

/// What [`SessionLayer::new`](crate::SessionLayer::new) takes: a [`Store`], or an [`AnyStore`] that was chosen at run
/// time.
///
/// Implemented for both, and not for `impl Into<AnyStore>`, so that the compiler says what is not a store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session store",
    label = "not a store",
    note = "open one: `MemoryStore::new()`, `SqliteStore::open(path).await?` with the feature `sqlite`, \
            `RedisStore::connect(url).await?` with `redis`, `WebdisStore::connect(url).await?` with `webdis`"
)]
pub trait IntoStore {
    #[doc(hidden)]
    fn into_any_store(self) -> AnyStore;
}

#[diagnostic::do_not_recommend]
impl<S: Store> IntoStore for S {
    fn into_any_store(self) -> AnyStore {
        AnyStore::new(self)
    }
}

impl IntoStore for AnyStore {
    fn into_any_store(self) -> AnyStore {
        self
    }
}

impl<S: Store> From<S> for AnyStore {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyStore")
    }
}
