//! What the requests of one layer share.

use std::{
    any::Any,
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
};

use super::{field_rules::Rules, watch::Watchers};
use crate::{
    clock::Stopwatch,
    event::Events,
    keys::KeyRing,
    store::DynStore,
    sync::atomic::AtomicI64,
    value::{Authority, Timeouts, Timestamp, TokenHasher},
};

/// The number of commits of a layer that may go on at a time after their clients went away: each keeps what its
/// request has loaded.
pub(crate) const MOST_DETACHED: usize = 256;

/// What the requests of one layer share.
#[derive(Clone)]
pub(crate) struct LayerContext {
    pub(crate) store: Arc<dyn DynStore>,
    pub(crate) hasher: TokenHasher,
    /// What secrets and sealed values belong to: the cookie's name.
    pub(crate) purpose: Cow<'static, str>,
    /// The keys of secret fields.
    pub(crate) keys: Option<Arc<KeyRing>>,
    pub(crate) timeouts: Timeouts,
    /// Sessions that began before this are over.
    pub(crate) not_before: Timestamp,
    pub(crate) events: Events,
    /// What the views say of fields.
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
    /// What the layer keeps for itself. It is here and not beside this, because each shared
    /// allocation that a request holds is a reference count that all cores fight for.
    pub(crate) http: Arc<dyn Any + Send + Sync>,
}

/// The most bytes that there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// In the JSON text of one field.
    pub(crate) field: usize,
    /// In the names and texts of all fields of a record.
    pub(crate) record: usize,
}

impl LayerContext {
    /// The timeouts of a session: the layer's for its kind, or its own where they are shorter.
    pub(super) fn timeouts_of(&self, authority: &Authority) -> Timeouts {
        self.timeouts.of_kind(authority.kind()).within(authority.lifetime)
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
}
