//! A store whose operations fail, wait or are interrupted as a test has it.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Call, Gate, HookedStore, Hooks, Operation};
use crate::error::Error;

type FaultHook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A store around another one, whose next operations fail, wait or are interrupted as its [`Faults`] say.
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
pub type FaultStore<S> = HookedStore<S, Faults>;

/// The faults that a [`FaultStore`] is to meet. Clones script the same store.
///
/// Each operation has a queue of faults of its own; a call takes the first and does what it says.
/// A call that finds none goes through.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<Operation, VecDeque<Fault>>>>);

enum Fault {
    /// Refused before anything was done.
    Unavailable,
    /// The answer is lost; the request too, unless it was applied.
    Unknown {
        applied: bool,
    },
    /// Never done.
    Stall,
    /// Refused after a while.
    Instead(FaultHook),
    Before(FaultHook),
    After(FaultHook),
}

impl<S> FaultStore<S> {
    /// Makes a store that does what `inner` does until its faults say otherwise.
    pub fn new(inner: S) -> Self {
        Self { inner, hooks: Faults::default() }
    }

    /// Returns the faults, to be scripted.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.hooks.clone()
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

    /// Runs a hook before the next call is carried out.
    pub fn before<F>(&self, operation: Operation, hook: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.script(operation, Fault::Before(Box::new(|| Box::pin(hook()))));
    }

    /// Runs a hook after the next call is carried out, before its answer is seen.
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

    /// Returns how many faults have not happened yet.
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

impl Hooks for Faults {
    async fn around<T: Send>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        match self.next(call.operation()) {
            None => work.await,
            Some(Fault::Unavailable) => Err(Error::unavailable("an injected fault")),
            Some(Fault::Unknown { applied }) => {
                if applied {
                    work.await?;
                }
                Err(Error::outcome_unknown("an injected fault"))
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

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faults({} pending)", self.pending())
    }
}
