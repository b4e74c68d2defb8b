//! Ending the sessions of a value: one, all, or all but one.

use std::time::Duration;

use super::{
    super::{LayerContext, watch::Sighting},
    IndexedValue, at_once,
};
use crate::{
    error::Error,
    event::Event,
    store::index::{IndexChange, IndexFuture},
    value::{RecordId, Timestamp},
};

/// The wait until a request that begins after the end of all sessions is seen to do so: stores tell milliseconds.
const NEXT_MOMENT: Duration = Duration::from_millis(2);

/// The end of all sessions of a value, or of all but one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedSessions {
    /// The number of records that were deleted.
    pub(crate) count: usize,
    /// When it was noted, on the store's clock.
    pub(super) at: Timestamp,
    /// When that had been noted before.
    pub(super) not_before: Option<Timestamp>,
}

impl LayerContext {
    /// Ends all sessions of a value but this one. A login that began before it is refused.
    pub(crate) async fn end_sessions(
        &self,
        value: &IndexedValue,
        kept: Option<RecordId>,
    ) -> Result<EndedSessions, Error> {
        let noted = self.change_index(value.key, IndexChange::Forbid).await?;
        let others: Vec<_> = noted.entries.iter().filter(|entry| Some(entry.id) != kept).collect();
        let mut endings = Vec::<IndexFuture<'_, _>>::with_capacity(others.len());
        for entry in &others {
            endings.push(Box::pin(self.destroy_if(entry.id, value.condition.clone())));
        }
        let (mut count, mut left, mut failure) = (0, Vec::new(), None);
        for (entry, ended) in others.into_iter().zip(at_once(endings).await) {
            match ended {
                Ok(true) => {
                    self.report_revoked(entry.id);
                    count += 1;
                    left.push((entry.id, None));
                }
                // A login on its way is refused when it confirms.
                Ok(false) if entry.is_held(noted.now) => {}
                Ok(false) => left.push((entry.id, Some(entry.stamp))),
                Err(error) => failure = Some(error),
            }
        }
        if !left.is_empty() {
            // An entry without a record does no harm.
            let _ = self.change_index(value.key, IndexChange::Leave(left)).await;
        }
        tokio::time::sleep(NEXT_MOMENT).await;
        let at = noted.not_before.map_or(noted.now, |before| before.max(noted.now));
        failure.map_or(Ok(EndedSessions { count, at, not_before: noted.not_before }), Err)
    }

    /// Ends one session if it has the value. Returns true if it had.
    pub(crate) async fn end_session(&self, value: &IndexedValue, id: RecordId) -> Result<bool, Error> {
        if !self.destroy_if(id, value.condition.clone()).await? {
            return Ok(false);
        }
        self.report_revoked(id);
        // An entry without a record does no harm.
        let _ = self.change_index(value.key, IndexChange::Leave(vec![(id, None)])).await;
        Ok(true)
    }

    /// Ends a session of any user.
    pub(crate) async fn end_any_session(&self, id: RecordId) -> Result<(), Error> {
        self.in_time(self.store.destroy(id)).await?;
        self.report_revoked(id);
        Ok(())
    }

    fn report_revoked(&self, record: RecordId) {
        self.events.report(&Event::Revoked { record });
        self.watchers.publish(record, Sighting::Over);
    }
}
