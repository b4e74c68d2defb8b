//! Helpers that the integration tests share.

use std::sync::Arc;

use sessions::{
    store::MemoryStore,
    testing::{ManualClock, conformance::Harness},
};
use tokio::sync::OnceCell;

pub mod instances;
#[cfg(feature = "redis")]
mod keys;
#[cfg(feature = "servers")]
pub mod load;
#[cfg(feature = "servers")]
pub mod proxy;
#[cfg(feature = "redis")]
pub mod records;
#[cfg(feature = "servers")]
pub mod servers;

#[cfg(feature = "redis")]
pub use self::keys::Keys;

/// One [`MemoryStore`], shared by the instances.
#[derive(Debug, Default)]
pub struct Memory(OnceCell<Arc<MemoryStore>>);

impl Harness for Memory {
    type Store = Arc<MemoryStore>;

    async fn open(&self, clock: ManualClock) -> Arc<MemoryStore> {
        self.0.get_or_init(|| async { Arc::new(MemoryStore::new().with_clock(clock)) }).await.clone()
    }
}
