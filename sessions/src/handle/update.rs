//! Updates: a change that is made again where another request was faster.

use super::{Handle, table::BoxFuture};
use crate::error::Error;

/// The number of times that an update reads the record again.
const REPETITIONS: usize = 3;

#[doc(hidden)]
impl Handle {
    /// Saves what the handle did before an update: that is not made again.
    pub fn __begin_update(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let is_changed =
                !self.first.latest().changed(self.table).is_empty() || self.slot.has_unsaved(self.number);
            if is_changed { self.save().await } else { Ok(()) }
        })
    }

    /// Saves what an update did. Returns false if it is to be done again, on the record as it is now.
    pub fn __end_update(&mut self, repetitions: usize) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            let Err(error) = self.save_unreported().await else { return Ok(true) };
            if error.changed_field().is_some() && repetitions < REPETITIONS {
                self.__reload().await?;
                return Ok(false);
            }
            self.report_conflict(&error);
            // Its fields read as the request now sees them, without the change.
            self.begin_generation(self.first.latest().incarnation());
            Err(error)
        })
    }
}
