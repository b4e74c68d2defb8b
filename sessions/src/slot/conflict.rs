//! A write in which a field was not any more what it had to be: what becomes of the changes that it had taken along.

use super::{Slot, pending_change::PendingChange, planned_write::TakenChanges};
use crate::{error::Error, value::FieldName};

/// The changes of a failed write, by the handles that are to blame for it.
pub(super) struct Blame {
    /// The changes of those handles, which are lost.
    pub(super) lost: TakenChanges,
    /// Those handles.
    pub(super) handles: Vec<u64>,
}

impl Slot {
    /// Puts back the changes of handles that did not ask for the field to be as it was. Nothing of the write was
    /// written, so those can still be.
    pub(super) fn put_back_blameless(
        &self,
        field: &FieldName,
        error: &Error,
        incarnation: u32,
        taken: TakenChanges,
    ) -> Blame {
        let mut state = self.lock();
        let handles = blamed(field, &taken.changes);
        if state.incarnation != incarnation || handles.is_empty() {
            return Blame { lost: taken, handles };
        }
        let TakenChanges { changes, resets, rotation_requested, saves } = taken;
        let (lost, kept) = changes.into_iter().partition(|change| handles.contains(&change.by));
        let (lost_saves, kept_saves) = saves.into_iter().partition(|save| handles.contains(&save.handle()));
        let kept = TakenChanges { changes: kept, resets: Vec::new(), rotation_requested, saves: kept_saves };
        state.put_back(kept, error, &self.context().rules);
        Blame { lost: TakenChanges { changes: lost, resets, rotation_requested, saves: lost_saves }, handles }
    }
}

/// The handles that asked for the field to be as it was.
fn blamed(field: &FieldName, changes: &[PendingChange]) -> Vec<u64> {
    let is_condition = |change: &&PendingChange| {
        change
            .field()
            .is_some_and(|changed| changed.op.is_conditional() && changed.names().any(|name| name == *field))
    };
    let mut handles: Vec<u64> = changes.iter().filter(is_condition).map(|change| change.by).collect();
    handles.sort_unstable();
    handles.dedup();
    handles
}
