//! A store whose operations fail, wait or are interrupted as a test has it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Gate, Operation};
use crate::{
    error::Error,
    store::{Capabilities, Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store},
    value::{FieldName, RecordId, Timeouts},
};

type Hook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A store around another one, whose next operations go wrong as its [`Faults`] say.
///
/// ```
/// use sessions::{SessionLayer, store::MemoryStore, testing::{FaultStore, Operation}};
///
/// let store = FaultStore::new(MemoryStore::new());
/// let faults = store.faults();
/// let layer = SessionLayer::new(store);
/// faults.fail(Operation::Load, 1);
/// # let _ = layer;
/// ```
pub struct FaultStore<S> {
    inner: S,
    faults: Faults,
}

/// What is to go wrong. Clones script the same store.
///
/// Each operation has a queue of faults of its own; a call takes the first and does what it says.
/// A call that finds none goes through.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<Operation, VecDeque<Fault>>>>);

enum Fault {
    /// Refused before anything was done.
    Unavailable,
    /// The answer is lost; whether the request was, too.
    Unknown {
        applied: bool,
    },
    Stall,
    /// Refused after a while.
    Instead(Hook),
    Before(Hook),
    After(Hook),
}

impl<S> FaultStore<S> {
    /// A store that does what `inner` does until its faults say otherwise.
    pub fn new(inner: S) -> Self {
        Self { inner, faults: Faults::default() }
    }

    /// What is to go wrong.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    async fn run<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>> + Send,
        unknown: fn(Error) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.faults.next(operation) {
            None => work.await,
            Some(Fault::Unavailable) => Err(Error::unavailable("an injected fault")),
            Some(Fault::Unknown { applied }) => {
                if applied {
                    work.await?;
                }
                unknown(Error::outcome_unknown("an injected fault"))
            }
            Some(Fault::Stall) => pending().await,
            Some(Fault::Instead(hook)) => {
                hook().await;
                Err(Error::unavailable("an injected fault"))
            }
            Some(Fault::Before(hook)) => {
                hook().await;
                work.await
            }
            Some(Fault::After(hook)) => {
                let output = work.await;
                hook().await;
                output
            }
        }
    }
}

impl Faults {
    /// The next `times` calls do nothing and fail as unavailable.
    pub fn fail(&self, operation: Operation, times: usize) {
        for _ in 0..times {
            self.script(operation, Fault::Unavailable);
        }
    }

    /// The next call is carried out, and its answer is lost: the outcome is unknown.
    pub fn lose_answer(&self, operation: Operation) {
        self.script(operation, Fault::Unknown { applied: true });
    }

    /// The next call is lost on its way, and the outcome is unknown.
    pub fn lose_request(&self, operation: Operation) {
        self.script(operation, Fault::Unknown { applied: false });
    }

    /// The next call never ends.
    pub fn stall(&self, operation: Operation) {
        self.script(operation, Fault::Stall);
    }

    /// The next call waits at the gate before anything is done.
    #[must_use]
    pub fn hold(&self, operation: Operation) -> Gate {
        let gate = Gate::new();
        let there = gate.clone();
        self.before(operation, || async move { there.pass().await });
        gate
    }

    /// The next call waits at the gate, does nothing and fails as unavailable.
    #[must_use]
    pub fn hold_and_fail(&self, operation: Operation) -> Gate {
        let gate = Gate::new();
        let there = gate.clone();
        self.script(operation, Fault::Instead(Box::new(|| Box::pin(async move { there.pass().await }))));
        gate
    }

    /// The next call is carried out and waits at the gate with its answer.
    #[must_use]
    pub fn hold_answer(&self, operation: Operation) -> Gate {
        let gate = Gate::new();
        let there = gate.clone();
        self.after(operation, || async move { there.pass().await });
        gate
    }

    /// Does something before the next call is carried out.
    pub fn before<F>(&self, operation: Operation, hook: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.script(operation, Fault::Before(Box::new(|| Box::pin(hook()))));
    }

    /// Does something after the next call is carried out, before its answer is seen.
    pub fn after<F>(&self, operation: Operation, hook: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.script(operation, Fault::After(Box::new(|| Box::pin(hook()))));
    }

    /// Forgets what has not happened yet.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many faults have not happened yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().values().map(VecDeque::len).sum()
    }

    fn script(&self, operation: Operation, fault: Fault) {
        self.lock().entry(operation).or_default().push_back(fault);
    }

    fn next(&self, operation: Operation) -> Option<Fault> {
        self.lock().get_mut(&operation)?.pop_front()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Operation, VecDeque<Fault>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Store for FaultStore<S> {
    const CAPABILITIES: Capabilities = S::CAPABILITIES;

    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        self.run(Operation::Load, self.inner.load(id, names), Err).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        self.run(Operation::Create, self.inner.create(id, new), Err).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let unknown = |error| Ok(CommitOutcome::Unknown(error));
        self.run(Operation::Commit, self.inner.commit(id, commit), unknown).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.run(Operation::Destroy, self.inner.destroy(id), Err).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        self.run(Operation::Purge, self.inner.purge(timeouts, limit), Err).await
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore").field("inner", &self.inner).field("faults", &self.faults).finish()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faults({} pending)", self.pending())
    }
}
