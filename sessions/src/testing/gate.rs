//! A gate at which an operation waits until a test lets it go on.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A gate at which an operation waits until a test lets it go on. Clones are the same gate.
///
/// The order of the two does not matter: an arrival for which no test waits yet is remembered, and so is a release.
///
/// ```
/// use sessions::testing::Gate;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let gate = Gate::new();
/// let held = tokio::spawn({
///     let gate = gate.clone();
///     async move { gate.pass().await }
/// });
/// gate.arrived().await;
/// assert!(!held.is_finished());
/// gate.release();
/// held.await.unwrap();
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Gate {
    /// Makes a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self { arrived: Arc::new(Semaphore::new(0)), released: Arc::new(Semaphore::new(0)) }
    }

    /// Reports an arrival, then waits for a release.
    pub async fn pass(&self) {
        self.arrived.add_permits(1);
        take(&self.released).await;
    }

    /// Waits for an arrival. Each arrival is reported once.
    pub async fn arrived(&self) {
        take(&self.arrived).await;
    }

    /// Lets one operation through, now or when it arrives.
    pub fn release(&self) {
        self.released.add_permits(1);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

async fn take(permits: &Semaphore) {
    permits.acquire().await.expect("a gate's semaphores are never closed").forget();
}
