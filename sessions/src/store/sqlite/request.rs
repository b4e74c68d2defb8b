//! What callers ask of the database, and what they are told.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::recent::Seen;
use crate::{
    error::Error,
    store::{Commit, CommitOutcome, CreateOutcome, NewRecord, Record},
    value::{RecordId, Timeouts, Timestamp},
};

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Someone who waits for a record.
#[derive(Debug)]
pub(super) struct LoadRequest {
    pub(super) id: RecordId,
    /// Whether its fields are wanted, too.
    pub(super) with_fields: bool,
    pub(super) reply: Reply<Option<Found>>,
}

/// A record's row, not taken apart yet: that is for the caller's own task to do.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: Bytes,
    pub(super) now: Timestamp,
}

/// Someone who waits for a write.
#[derive(Debug)]
pub(super) struct WriteRequest {
    pub(super) write: Write,
    /// The same, ready to be written if the record is still as it was read.
    pub(super) swap: Option<Box<Swap>>,
    pub(super) reply: Reply<Verdict>,
}

/// A commit that was applied to a record as it was read.
#[derive(Debug)]
pub(super) struct Swap {
    pub(super) before: Seen,
    pub(super) after: Record,
    /// The fields of `after` as they are stored.
    pub(super) data: String,
    pub(super) answer: CommitOutcome,
}

/// One write.
#[derive(Debug)]
pub(super) enum Write {
    Create(RecordId, NewRecord),
    Commit(RecordId, Commit),
    Destroy(RecordId),
    Purge(Timeouts, usize),
}

impl Write {
    /// The record that it is about, unless it is about many.
    pub(super) const fn id(&self) -> Option<RecordId> {
        match self {
            Self::Create(id, _) | Self::Commit(id, _) | Self::Destroy(id) => Some(*id),
            Self::Purge(..) => None,
        }
    }
}

/// What became of a write that the database took or refused as it should.
#[derive(Debug)]
pub(super) enum Verdict {
    Created(CreateOutcome),
    Committed(CommitOutcome),
    Destroyed,
    Purged(usize),
}
