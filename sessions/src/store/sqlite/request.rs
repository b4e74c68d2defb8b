//! Requests to the workers, and their outcomes.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::row::DecodedRow;
use crate::{
    error::Error,
    store::{
        Commit, CommitOutcome, CreateOutcome, NewRecord, Record,
        index::{FieldCondition, IndexChange, IndexOutcome},
    },
    value::{IndexKey, RecordId, Timeouts, Timestamp},
};

/// The channel on which a request gets its answer.
pub(super) type ReplySender<T> = oneshot::Sender<Result<T, Error>>;

/// A caller that waits for a record.
#[derive(Debug)]
pub(super) struct LoadRequest {
    pub(super) id: RecordId,
    /// True if the record's fields are wanted, and not only its metadata.
    pub(super) with_fields: bool,
    pub(super) reply: ReplySender<Option<RowText>>,
}

/// A record's row as text, and the time of its load. The caller's own task decodes it.
#[derive(Debug)]
pub(super) struct RowText {
    pub(super) text: Bytes,
    pub(super) now: Timestamp,
}

/// A caller that waits for a write.
#[derive(Debug)]
pub(super) struct WriteRequest {
    pub(super) operation: WriteOperation,
    /// The operation's result for the record as it was read last, if that can be written without reading it again.
    pub(super) optimistic: Option<Box<OptimisticWrite>>,
    pub(super) reply: ReplySender<WriteOutcome>,
}

/// A commit that was applied to a record as it was read. It may be written if the row is still the same.
#[derive(Debug)]
pub(super) struct OptimisticWrite {
    pub(super) before: DecodedRow,
    pub(super) after: Record,
    /// The column `data` of `after`.
    pub(super) data: String,
    /// The commit's outcome if it is written.
    pub(super) outcome: CommitOutcome,
}

/// One write.
#[derive(Debug)]
pub(super) enum WriteOperation {
    Create(RecordId, NewRecord),
    Commit(RecordId, Commit),
    Destroy(RecordId),
    DestroyIf(RecordId, FieldCondition),
    ChangeIndex(IndexKey, IndexChange),
    Purge(Timeouts, usize),
}

impl WriteOperation {
    /// Returns the record that it is about. `None` for a purge, which is about many, and for a change of the index.
    pub(super) const fn id(&self) -> Option<RecordId> {
        match self {
            Self::Create(id, _) | Self::Commit(id, _) | Self::Destroy(id) | Self::DestroyIf(id, _) => {
                Some(*id)
            }
            Self::ChangeIndex(..) | Self::Purge(..) => None,
        }
    }

    /// Returns true if it is about the index.
    pub(super) const fn is_of_index(&self) -> bool {
        matches!(self, Self::ChangeIndex(..))
    }
}

/// The outcome of a write that the database took, or refused by the store's rules.
#[derive(Debug)]
pub(super) enum WriteOutcome {
    Created(CreateOutcome),
    Committed(CommitOutcome),
    /// True if there was a record that met the condition, if there was one.
    Destroyed(bool),
    IndexChanged(IndexOutcome),
    Purged(usize),
}
