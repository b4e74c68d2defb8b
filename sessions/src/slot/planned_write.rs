//! A planned write: one atomic operation, what it was made of, and what fails beside it.

use super::{
    changes::FieldReset,
    compose::InvalidChange,
    entries::GrownCollection,
    pending_change::{FieldChange, PendingChange},
    removal::RightsRemoval,
    rights::{RecordRights, SecretChange},
    saves::PendingSave,
};
use crate::{
    delta::Delta,
    error::Error,
    value::{FieldName, RecordId},
};

/// The changes that a flush writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Selection<'a> {
    /// All of them, and what was requested besides.
    All,
    /// Those of the field of a change that its handle waits for, that change among them.
    FieldOf(&'a FieldChange),
}

/// A write by a flush, which destroys besides. Boxed is what few writes have: a plan moves through several futures.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) write: PlannedWrite,
    pub(super) taken: TakenChanges,
    /// The rights that it takes away, which it does though another request has rotated meanwhile.
    pub(super) removal: Option<Box<RightsRemoval>>,
    pub(super) part: WritePart,
    /// Fields that the request had changed, and that go with the user whose they were.
    pub(super) lost: Vec<FieldName>,
    /// The write in its place if something in it cannot be stored: neither the old secret stays valid, nor a right
    /// that was taken away.
    pub(super) fallback: Option<Box<PlannedWrite>>,
    /// The failure that is left after the write.
    pub(super) failure: Option<Box<PlanFailure>>,
}

/// The part of the changes that a plan writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WritePart {
    /// All that were selected.
    All,
    /// All, which are nothing but removals of rights.
    OnlyRemovals,
    /// The removals of rights by themselves, since no cookie can be sent. The rest is still to come.
    Removals,
}

/// Something that cannot be written.
#[derive(Debug)]
pub(super) struct PlanFailure {
    /// The handle that did it, if it is one's.
    pub(super) of: Option<u64>,
    pub(super) error: Error,
    /// True if the response is true all the same.
    pub(super) spares_response: bool,
    /// True if it stays pending, and is reported when it is to be written again.
    pub(super) stays_pending: bool,
}

/// One atomic operation.
#[derive(Debug)]
pub(super) struct PlannedWrite {
    pub(super) target: WriteTarget,
    pub(super) delta: Delta,
    pub(super) secret_change: SecretChange,
    /// True if nothing but fields that outlive a logout changes.
    pub(super) is_kept_only: bool,
    /// The incarnation of the request's session that it is for.
    pub(super) incarnation: u32,
    /// The rights that the record holds after it.
    pub(super) rights: RecordRights,
    /// The bytes of fields that there will be, as far as the request knows them; 0 if no more than before.
    pub(super) grows_to: usize,
    /// The largest of the collections that get more entries.
    pub(super) grown: Option<Box<GrownCollection>>,
}

/// The target of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteTarget {
    /// A new record.
    New,
    /// The request's record, in the epoch that the request saw.
    Record {
        /// Its id.
        id: RecordId,
        /// The epoch.
        epoch: u64,
        /// True if the write is a use of the record.
        touch: bool,
    },
}

/// The changes that a plan has taken out of the log, for when it fails.
#[derive(Debug, Default)]
pub(super) struct TakenChanges {
    pub(super) changes: Vec<PendingChange>,
    pub(super) resets: Vec<FieldReset>,
    pub(super) rotation_requested: bool,
    /// The saves that it takes along.
    pub(super) saves: Vec<PendingSave>,
}

impl From<Error> for PlanFailure {
    fn from(error: Error) -> Self {
        Self { of: None, error, spares_response: false, stays_pending: false }
    }
}

impl From<InvalidChange> for PlanFailure {
    fn from(InvalidChange { by, error, .. }: InvalidChange) -> Self {
        Self { of: Some(by), ..error.into() }
    }
}

impl PlannedWrite {
    /// True if it goes on though its request is given up: it changes the secret, or takes rights away.
    pub(super) fn must_go_on(&self, takes_away: bool) -> bool {
        takes_away || self.secret_change.is_rotation()
    }

    /// True if nothing changes but the time of the last use.
    pub(super) fn is_only_touch(&self) -> bool {
        self.delta.is_empty() && !self.secret_change.is_rotation()
    }
}

impl WriteTarget {
    pub(super) const fn id(&self) -> Option<RecordId> {
        match self {
            Self::New => None,
            Self::Record { id, .. } => Some(*id),
        }
    }
}

impl TakenChanges {
    /// The handles whose saves were to write changes, but for one that waits for this very write.
    pub(super) fn handles(&self) -> Vec<u64> {
        let for_saves = self.changes.iter().filter(|change| change.is_for_save && !change.is_once);
        let mut handles: Vec<_> = for_saves.map(|change| change.by).collect();
        handles.dedup();
        handles
    }
}
