//! The context that the requests of one layer share.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

use super::{field_rules::Rules, login_limit::LoginLimit, watch::Watchers};
use crate::{
    clock::Stopwatch,
    event::Events,
    keys::KeyRing,
    store::{DynStore, Loaded},
    sync::atomic::AtomicI64,
    value::{Authority, Timeouts, Timestamp, TokenHasher},
};

/// The number of commits of a layer that may go on at a time after their clients went away: each keeps what its
/// request has loaded.
pub(super) const MOST_DETACHED: usize = 256;

/// Longer than a database waits for a lock, so that the database's own error comes first.
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// The default limits, in bytes of JSON.
const LARGEST_FIELD: usize = 64 << 10;
const LARGEST_RECORD: usize = 256 << 10;

/// The default limit on the entries of a collection.
const MOST_ENTRIES: usize = 1000;

const DEFAULT_ENDED_WITHIN: Duration = Duration::from_secs(30);

/// The context that the requests of one layer share.
#[derive(Clone)]
pub(crate) struct LayerContext {
    pub(crate) store: Arc<dyn DynStore>,
    pub(crate) hasher: TokenHasher,
    /// The purpose to which secrets and sealed values are bound: the cookie's name.
    pub(crate) purpose: Cow<'static, str>,
    /// The keys of secret fields.
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) timeouts: Timeouts,
    /// Sessions that began before this are over.
    pub(crate) not_before: Timestamp,
    /// The most sessions of one user.
    pub(crate) login_limit: Option<LoginLimit>,
    pub(crate) events: Events,
    /// The rules of the views for fields.
    pub(crate) rules: Arc<Rules>,
    /// The time of the last purge, on the store's clock.
    pub(crate) last_purge: Arc<AtomicI64>,
    /// The time that the store has for one operation.
    pub(crate) store_timeout: Duration,
    pub(crate) sizes: Sizes,
    /// The time within which `Handle::ended` tells.
    pub(crate) ended_within: Duration,
    /// The records whose end is waited for.
    pub(crate) watchers: Arc<Watchers>,
    /// Tells the time that has passed in this process.
    pub(crate) stopwatch: Stopwatch,
    /// Has a receiver in all work that goes on after its request.
    pub(crate) in_flight: watch::Sender<()>,
    /// Permits of the commits that may go on after their clients went away.
    pub(crate) detached: Arc<Semaphore>,
    /// The runtime of the layer's requests, for work that is left when one is dropped elsewhere.
    pub(crate) runtime: OnceLock<Handle>,
}

/// A layer, of which a slot knows the context only.
///
/// The layer's own options are behind the same pointer: each further one that a request holds would be a reference
/// count on which all cores contend.
pub(crate) trait OfLayer: Send + Sync {
    /// The context that the requests of the layer share.
    fn context(&self) -> &Arc<LayerContext>;
}

impl OfLayer for Arc<LayerContext> {
    fn context(&self) -> &Arc<LayerContext> {
        self
    }
}

/// The most bytes and entries that there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// In the JSON text of one field.
    pub(crate) field: usize,
    /// In the names and texts of all fields of a record.
    pub(crate) record: usize,
    /// Entries in one collection.
    pub(crate) entries: usize,
}

impl LayerContext {
    /// A context with default options. `purpose` is the cookie's name.
    pub(crate) fn new(store: Arc<dyn DynStore>, purpose: Cow<'static, str>) -> Self {
        Self {
            store,
            hasher: TokenHasher::new(&purpose),
            purpose,
            keys: None,
            timeouts: Timeouts::default(),
            not_before: Timestamp::from_millis(i64::MIN),
            login_limit: None,
            events: Events::default(),
            rules: Arc::default(),
            last_purge: Arc::default(),
            store_timeout: DEFAULT_STORE_TIMEOUT,
            ended_within: DEFAULT_ENDED_WITHIN,
            sizes: Sizes { field: LARGEST_FIELD, record: LARGEST_RECORD, entries: MOST_ENTRIES },
            watchers: Arc::default(),
            stopwatch: Stopwatch::default(),
            in_flight: watch::channel(()).0,
            detached: Arc::new(Semaphore::new(MOST_DETACHED)),
            runtime: OnceLock::new(),
        }
    }

    /// The timeouts of a session: the layer's for its kind, or its own where they are shorter.
    pub(super) fn timeouts_of(&self, authority: &Authority) -> Timeouts {
        self.timeouts.of_kind(authority.kind()).within(authority.lifetime)
    }

    /// True if a record lives, by its own times and the layer's.
    pub(super) fn is_alive(&self, loaded: &Loaded, authority: &Authority) -> bool {
        let timeouts = self.timeouts_of(authority);
        loaded.created >= self.not_before && timeouts.is_alive(loaded.created, loaded.touched, loaded.now)
    }

    /// Notes the runtime of this thread, if it is the first.
    pub(super) fn note_runtime(&self) {
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // Another request may have been faster.
            let _ = self.runtime.set(runtime);
        }
    }

    /// The runtime of this thread, or the one that the first request of the layer ran in.
    pub(super) fn runtime(&self) -> Option<Handle> {
        Handle::try_current().ok().or_else(|| self.runtime.get().cloned())
    }

    /// A context around an empty store in memory.
    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        use crate::store::{MemoryStore, Store};

        Self::new(MemoryStore::new().erase().into_inner(), "sid".into())
    }
}
