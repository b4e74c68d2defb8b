//! The limit on the sessions of one user, and which of them gives way. Plain values.

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

/// The way to room in a row that has none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RoomPlan {
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
    pub(super) fn plan(self, entries: &[Option<bool>]) -> RoomPlan {
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
