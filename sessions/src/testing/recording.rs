//! A store that notes what it is asked to do.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::Operation;
use crate::{
    delta::Op,
    error::Error,
    store::{Capabilities, Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store},
    value::{FieldName, RecordId, Timeouts},
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
pub struct RecordingStore<S> {
    inner: S,
    recording: Recording,
}

/// What a store was asked to do. Clones are the same record.
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
        changes: Vec<Change>,
    },
    /// `commit`
    Commit {
        /// The record.
        id: RecordId,
        /// The changes.
        changes: Vec<Change>,
        /// The fields to keep, if all others are dropped.
        retains: Option<Vec<FieldName>>,
        /// Whether the use is noted.
        touches: bool,
        /// Whether the secret changes.
        rotates: bool,
        /// Whether a repetition would be recognised.
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
        /// How many records at most.
        limit: usize,
    },
}

/// What a call does to one field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The field.
    pub name: FieldName,
    /// `put`, `put_if_absent`, `remove`, `remove_if`, `add`, `max` or `min`.
    pub operation: &'static str,
    /// The length of the value that goes with it, in bytes.
    pub bytes: usize,
}

impl<S> RecordingStore<S> {
    /// A store that notes what `inner` is asked to do.
    pub fn new(inner: S) -> Self {
        Self { inner, recording: Recording::default() }
    }

    /// What it was asked to do.
    #[must_use]
    pub fn recording(&self) -> Recording {
        self.recording.clone()
    }
}

impl Recording {
    /// All calls since the beginning or the last [`clear`](Self::clear), in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// Forgets them.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The calls, forgotten here.
    #[must_use]
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.lock())
    }

    /// How many calls of this operation there were.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.lock().iter().filter(|call| call.operation() == operation).count()
    }

    /// How many calls there were that may change a record: creates, commits and destroys.
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
    /// Which operation it is.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Load { .. } => Operation::Load,
            Self::Create { .. } => Operation::Create,
            Self::Commit { .. } => Operation::Commit,
            Self::Destroy { .. } => Operation::Destroy,
            Self::Purge { .. } => Operation::Purge,
        }
    }

    /// What it does to fields, sorted by name; nothing for other calls than creates and commits.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Create { changes, .. } | Self::Commit { changes, .. } => changes,
            Self::Load { .. } | Self::Destroy { .. } | Self::Purge { .. } => &[],
        }
    }
}

impl Change {
    fn new(name: &FieldName, op: &Op) -> Self {
        let (operation, bytes) = match op {
            Op::Put(value) => ("put", value.len()),
            Op::PutIfAbsent(value) => ("put_if_absent", value.len()),
            Op::Remove => ("remove", 0),
            Op::RemoveIf(value) => ("remove_if", value.len()),
            Op::Add(add) => ("add", add.by.to_string().len()),
            Op::Max(bound) => ("max", bound.to_string().len()),
            Op::Min(bound) => ("min", bound.to_string().len()),
        };
        Self { name: name.clone(), operation, bytes }
    }
}

impl<S: Store> Store for RecordingStore<S> {
    const CAPABILITIES: Capabilities = S::CAPABILITIES;

    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        self.recording.note(Call::Load { id, names: names.to_vec() });
        self.inner.load(id, names).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        let put = |(name, value): (&FieldName, &bytes::Bytes)| Change::new(name, &Op::Put(value.clone()));
        self.recording.note(Call::Create { id, changes: new.fields.iter().map(put).collect() });
        self.inner.create(id, new).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let ops = commit.delta.ops().iter();
        let mut changes: Vec<_> = ops.map(|(name, op)| Change::new(name, op)).collect();
        changes.sort_by(|left, right| left.name.cmp(&right.name));
        self.recording.note(Call::Commit {
            id,
            changes,
            retains: commit.delta.retained().map(<[FieldName]>::to_vec),
            touches: commit.touch,
            rotates: commit.credentials_change.is_some(),
            has_id: commit.id.is_some(),
            returning: commit.returning.clone(),
        });
        self.inner.commit(id, commit).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        self.recording.note(Call::Destroy { id });
        self.inner.destroy(id).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        self.recording.note(Call::Purge { limit });
        self.inner.purge(timeouts, limit).await
    }
}

impl<S: fmt::Debug> fmt::Debug for RecordingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.lock()).finish()
    }
}
