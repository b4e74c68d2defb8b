// In a test, with the feature `test-util`: every scenario of the suite, on this store.
use std::sync::Arc;

use sessions::testing::{ManualClock, conformance::Harness};

/// One backend, which each instance of the application opens.
#[derive(Default)]
struct OneBackend(tokio::sync::OnceCell<Arc<OwnStore<ManualClock>>>);

impl Harness for OneBackend {
    type Store = Arc<OwnStore<ManualClock>>;

    async fn open(&self, clock: ManualClock) -> Self::Store {
        self.0.get_or_init(|| async { Arc::new(OwnStore::new(clock)) }).await.clone()
    }
}

sessions::testing::conformance!(own_store, OneBackend::default());
