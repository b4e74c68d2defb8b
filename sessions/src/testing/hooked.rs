//! A store that passes each operation on, with hooks around it.

use std::{fmt, future::Future, time::Duration};

use super::recording::Call;
use crate::{
    error::Error,
    store::{
        CanIndex, Commit, CommitOutcome, CreateOutcome, IndexStore, Loaded, NewRecord, Store,
        index::{FieldCondition, IndexChange, IndexFuture, IndexOutcome},
    },
    value::{FieldName, IndexKey, RecordId, Timeouts},
};

/// Hooks that a [`HookedStore`] runs around each operation of the store inside.
///
/// By default an operation is passed on as it is.
pub trait Hooks: Send + Sync + 'static {
    /// Carries out an operation by awaiting `work`: before it, after it, or never.
    ///
    /// # Errors
    ///
    /// Those of `work`, or an error of the hook's own in their place.
    fn around<T: Send>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        let _ = (self, call);
        work
    }

    /// Changes what a load returns. `names` are the fields that it asked for.
    fn loaded(&self, names: &[FieldName], loaded: Loaded) -> Loaded {
        let _ = (self, names);
        loaded
    }

    /// Returns the longest that an operation takes, hooks included, for [`Store::timeout`]. By default it is unknown.
    fn timeout(&self) -> Option<Duration> {
        None
    }
}

/// A store around another one that runs [`Hooks`] with each operation.
///
/// [`FaultStore`](super::FaultStore) and [`RecordingStore`](super::RecordingStore) are two of these. For a test of your
/// own:
///
/// ```
/// use sessions::{Error, store::MemoryStore, testing::{Call, HookedStore, Hooks, Operation}};
///
/// /// A store that takes no new sessions.
/// struct ReadOnly;
///
/// impl Hooks for ReadOnly {
///     async fn around<T: Send>(
///         &self,
///         call: Call,
///         work: impl Future<Output = Result<T, Error>> + Send,
///     ) -> Result<T, Error> {
///         match call.operation() {
///             Operation::Create => Err(Error::unavailable("read only")),
///             _ => work.await,
///         }
///     }
/// }
///
/// let store = HookedStore::with_hooks(MemoryStore::new(), ReadOnly);
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct HookedStore<S, H> {
    pub(super) inner: S,
    pub(super) hooks: H,
}

impl<S, H: Hooks> HookedStore<S, H> {
    /// Makes a store that runs `hooks` around each operation of `inner`.
    pub const fn with_hooks(inner: S, hooks: H) -> Self {
        Self { inner, hooks }
    }

    /// Returns the hooks.
    pub const fn hooks(&self) -> &H {
        &self.hooks
    }
}

impl<S: Store, H: Hooks> Store for HookedStore<S, H> {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let call = Call::Load { id, names: names.to_vec() };
        let loaded = self.hooks.around(call, self.inner.load(id, names)).await?;
        Ok(loaded.map(|loaded| self.hooks.loaded(names, loaded)))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        self.hooks.around(Call::create(id, &new), self.inner.create(id, new)).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        self.hooks.around(Call::commit(id, &commit), self.inner.commit(id, commit)).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.hooks.around(Call::Destroy { id }, self.inner.destroy(id)).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        self.hooks.around(Call::Purge { limit }, self.inner.purge(timeouts, limit)).await
    }

    fn expires_by_itself(&self) -> bool {
        self.inner.expires_by_itself()
    }

    fn timeout(&self) -> Option<Duration> {
        self.hooks.timeout()
    }

    fn index(&self) -> Option<&dyn IndexStore> {
        self.inner.index().map(|_| self as &dyn IndexStore)
    }
}

impl<S: CanIndex, H: Hooks> CanIndex for HookedStore<S, H> {}

impl<S: Store, H: Hooks> IndexStore for HookedStore<S, H> {
    fn change_index(&self, key: IndexKey, change: IndexChange) -> IndexFuture<'_, IndexOutcome> {
        let call = Call::change_index(&change);
        let work = async move {
            // The store is asked for its index before.
            let index =
                self.inner.index().ok_or_else(|| Error::unavailable("the store inside has no index"))?;
            index.change_index(key, change).await
        };
        Box::pin(self.hooks.around(call, work))
    }

    fn destroy_if(&self, id: RecordId, condition: FieldCondition) -> IndexFuture<'_, bool> {
        let work = async move {
            let index =
                self.inner.index().ok_or_else(|| Error::unavailable("the store inside has no index"))?;
            index.destroy_if(id, condition).await
        };
        Box::pin(self.hooks.around(Call::DestroyIf { id }, work))
    }
}

impl<S: fmt::Debug, H: fmt::Debug> fmt::Debug for HookedStore<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedStore").field("inner", &self.inner).field("hooks", &self.hooks).finish()
    }
}
