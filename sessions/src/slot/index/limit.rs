//! The limit on the sessions of one user, and room for one more.

use std::time::Duration;

use tokio::time::Instant;

use super::{super::Slot, IndexedValue};
use crate::{
    error::Error,
    event::Event,
    store::index::{IndexChange, IndexEntry, IndexOutcome},
    value::RecordId,
};

/// The wait for logins that are on their way, before another look.
const PAUSE: Duration = Duration::from_millis(10);

/// The most sessions in which one user may be logged in at a time, and what becomes of one more login (OWASP ASVS 5.0,
/// 7.1.2).
///
/// ```
/// use sessions::{LoginLimit, SessionLayer, store::MemoryStore};
///
/// let layer = SessionLayer::new(MemoryStore::new()).with_login_limit(LoginLimit::evict_oldest(3));
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimit {
    most: usize,
    evicts: bool,
}

impl LoginLimit {
    /// Refuses a login beyond so many sessions, at least one: with an error of the kind
    /// [`SessionLimit`](crate::ErrorKind::SessionLimit), which is 409.
    #[must_use]
    pub fn refuse(most: usize) -> Self {
        Self { most: most.max(1), evicts: false }
    }

    /// Ends the session whose login is the oldest, to make room for a login beyond so many sessions, at least one.
    #[must_use]
    pub fn evict_oldest(most: usize) -> Self {
        Self { most: most.max(1), evicts: true }
    }

    /// Returns the most sessions of one user.
    #[must_use]
    pub const fn most(self) -> usize {
        self.most
    }
}

/// What is to be done about a row without room. A plain value.
#[derive(Debug, PartialEq, Eq)]
enum RoomPlan {
    /// Remove entries whose records do not have the value.
    Leave(Vec<usize>),
    /// End the session of this entry.
    Evict(usize),
    /// Wait for logins that are on their way.
    Wait,
    Refuse,
}

impl LoginLimit {
    /// Decides by the entries, oldest first, each with what is known of its record: `None` while it is held, else true
    /// if it lives and has the value.
    fn plan(self, entries: &[Option<bool>]) -> RoomPlan {
        let left: Vec<_> = (0..entries.len()).filter(|index| entries[*index] == Some(false)).collect();
        if !left.is_empty() {
            return RoomPlan::Leave(left);
        }
        if !self.evicts {
            return RoomPlan::Refuse;
        }
        entries.iter().position(|entry| *entry == Some(true)).map_or(RoomPlan::Wait, RoomPlan::Evict)
    }
}

impl Slot {
    /// Makes room in a row that is full, or refuses.
    pub(super) async fn make_room(
        &self,
        value: &IndexedValue,
        full: &IndexOutcome,
        limit: LoginLimit,
        until: Instant,
    ) -> Result<(), Error> {
        let context = self.context();
        let mut entries = full.entries.clone();
        entries.sort_by_key(|entry| entry.since);
        let known = context.look_at(&entries, full.now, value).await?;
        match limit.plan(&known) {
            RoomPlan::Leave(left) => {
                let left = left.into_iter().map(|index| &entries[index]);
                let left = left.map(|IndexEntry { id, stamp, .. }| (*id, Some(*stamp))).collect();
                context.change_index(value.key, IndexChange::Leave(left)).await.map(drop)
            }
            RoomPlan::Evict(index) => self.evict(value, entries[index].id).await,
            RoomPlan::Wait if Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
                Ok(())
            }
            RoomPlan::Wait | RoomPlan::Refuse => Err(Error::too_many_sessions(limit.most)),
        }
    }

    async fn evict(&self, value: &IndexedValue, id: RecordId) -> Result<(), Error> {
        let context = self.context();
        if context.destroy_if(id, value.condition.clone()).await? {
            context.events.report(&Event::Evicted { record: id });
        }
        context.change_index(value.key, IndexChange::Leave(vec![(id, None)])).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_makes_room_before_anything_else() {
        for limit in [LoginLimit::refuse(1), LoginLimit::evict_oldest(1)] {
            assert_eq!(
                limit.plan(&[Some(true), Some(false), None, Some(false)]),
                RoomPlan::Leave(vec![1, 3])
            );
        }
    }

    #[test]
    fn the_oldest_login_gives_way_and_none_that_is_on_its_way() {
        let evict = LoginLimit::evict_oldest(2);
        assert_eq!(evict.plan(&[None, Some(true), Some(true)]), RoomPlan::Evict(1));
        assert_eq!(evict.plan(&[None, None]), RoomPlan::Wait);
        assert_eq!(LoginLimit::refuse(2).plan(&[None, Some(true)]), RoomPlan::Refuse);
    }

    #[test]
    fn one_session_is_always_allowed() {
        assert_eq!((LoginLimit::refuse(0).most(), LoginLimit::evict_oldest(0).most()), (1, 1));
    }
}
