//! A store that notes what it is asked to do.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{HookedStore, Hooks, Operation};
use crate::{
    delta::Op,
    error::Error,
    store::{Commit, NewRecord, index::IndexChange},
    value::{FieldName, RecordId},
};

/// A store around another one that notes each call before it passes it on.
///
/// ```
/// use sessions::{SessionLayer, store::MemoryStore, testing::RecordingStore};
///
/// let store = RecordingStore::new(MemoryStore::new());
/// let recording = store.recording();
/// let layer = SessionLayer::new(store);
/// assert_eq!(recording.calls(), []);
/// # let _ = layer;
/// ```
pub type RecordingStore<S> = HookedStore<S, Recording>;

/// The calls of a [`RecordingStore`], in their order. Clones share them.
#[derive(Clone, Default)]
pub struct Recording(Arc<Mutex<Vec<Call>>>);

/// One call of a store. It shows names and sizes, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// `load`
    Load {
        /// The record.
        id: RecordId,
        /// The fields asked for.
        names: Vec<FieldName>,
    },
    /// `create`
    Create {
        /// The record.
        id: RecordId,
        /// Its fields, as puts.
        changes: Vec<RecordedChange>,
    },
    /// `commit`
    Commit {
        /// The record.
        id: RecordId,
        /// The changes.
        changes: Vec<RecordedChange>,
        /// The fields to keep, if all others are dropped.
        retains: Option<Vec<FieldName>>,
        /// True if the use is noted.
        touches: bool,
        /// True if the credentials change.
        rotates: bool,
        /// True if a repetition would be recognised.
        has_id: bool,
        /// The fields whose values are asked for.
        returning: Vec<FieldName>,
    },
    /// `destroy`
    Destroy {
        /// The record.
        id: RecordId,
    },
    /// `purge`
    Purge {
        /// The largest number of records to delete.
        limit: usize,
    },
    /// `change_index`
    ChangeIndex {
        /// The kind of change: `list`, `reserve`, `confirm`, `leave` or `forbid`.
        change: &'static str,
    },
    /// `destroy_if`
    DestroyIf {
        /// The record.
        id: RecordId,
    },
}

/// An operation of a call on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedChange {
    /// The field.
    pub name: FieldName,
    /// `put`, `put_if_absent`, `remove`, `remove_if`, `add`, `max` or `min`.
    pub operation: &'static str,
    /// The length of the value that goes with it, in bytes.
    pub bytes: usize,
}

impl<S> RecordingStore<S> {
    /// Makes a store that notes each call before `inner` gets it.
    pub fn new(inner: S) -> Self {
        Self { inner, hooks: Recording::default() }
    }

    /// Returns the calls so far and from now on.
    #[must_use]
    pub fn recording(&self) -> Recording {
        self.hooks.clone()
    }
}

impl Recording {
    /// Returns all calls since the beginning or the last [`clear`](Self::clear), in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// Forgets all calls so far.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the calls so far and forgets them.
    #[must_use]
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.lock())
    }

    /// Returns how many calls of this operation there were.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.lock().iter().filter(|call| call.operation() == operation).count()
    }

    /// Returns how many calls there were that may change a record: creates, commits and destroys.
    #[must_use]
    pub fn writes(&self) -> usize {
        [Operation::Create, Operation::Commit, Operation::Destroy]
            .map(|operation| self.count(operation))
            .iter()
            .sum()
    }

    fn note(&self, call: Call) {
        self.lock().push(call);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    pub(super) fn create(id: RecordId, new: &NewRecord) -> Self {
        let put =
            |(name, value): (&FieldName, &bytes::Bytes)| RecordedChange::new(name, &Op::Put(value.clone()));
        Self::Create { id, changes: new.fields.iter().map(put).collect() }
    }

    pub(super) fn commit(id: RecordId, commit: &Commit) -> Self {
        let ops = commit.delta.ops().iter();
        let mut changes: Vec<_> = ops.map(|(name, op)| RecordedChange::new(name, op)).collect();
        changes.sort_by(|left, right| left.name.cmp(&right.name));
        Self::Commit {
            id,
            changes,
            retains: commit.delta.retained().map(<[FieldName]>::to_vec),
            touches: commit.touch,
            rotates: commit.credentials_change.is_some(),
            has_id: commit.id.is_some(),
            returning: commit.returning.clone(),
        }
    }

    pub(super) const fn change_index(change: &IndexChange) -> Self {
        let change = match change {
            IndexChange::List => "list",
            IndexChange::Reserve(_) => "reserve",
            IndexChange::Confirm(_) => "confirm",
            IndexChange::Leave(_) => "leave",
            IndexChange::Forbid => "forbid",
        };
        Self::ChangeIndex { change }
    }

    /// Returns the operation.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Load { .. } => Operation::Load,
            Self::Create { .. } => Operation::Create,
            Self::Commit { .. } => Operation::Commit,
            Self::Destroy { .. } => Operation::Destroy,
            Self::Purge { .. } => Operation::Purge,
            Self::ChangeIndex { .. } => Operation::ChangeIndex,
            Self::DestroyIf { .. } => Operation::DestroyIf,
        }
    }

    /// Returns the changes to fields, sorted by name; none for other calls than creates and commits.
    #[must_use]
    pub fn changes(&self) -> &[RecordedChange] {
        match self {
            Self::Create { changes, .. } | Self::Commit { changes, .. } => changes,
            Self::Load { .. }
            | Self::Destroy { .. }
            | Self::Purge { .. }
            | Self::ChangeIndex { .. }
            | Self::DestroyIf { .. } => &[],
        }
    }
}

impl RecordedChange {
    fn new(name: &FieldName, op: &Op) -> Self {
        let (operation, bytes) = match op {
            Op::Put(value) => ("put", value.len()),
            Op::PutIfAbsent(value) => ("put_if_absent", value.len()),
            Op::Remove => ("remove", 0),
            Op::RemoveIf(value) => ("remove_if", value.len()),
            Op::Add(add) => ("add", add.by.to_string().len()),
            Op::Max(bound) => ("max", bound.to_string().len()),
            Op::Min(bound) => ("min", bound.to_string().len()),
            Op::ReplaceIf { value, .. } => ("replace_if", value.as_ref().map_or(0, Bytes::len)),
        };
        Self { name: name.clone(), operation, bytes }
    }
}

impl Hooks for Recording {
    fn around<T: Send>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.note(call);
        work
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.lock()).finish()
    }
}
