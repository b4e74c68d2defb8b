//! The rule of life and death turned around, for stores that purge with a query of their own.

use super::{
    Timestamp,
    timeouts::{SessionKind, Timeouts},
};

/// The moments at which records of one kind of session have died: [`Timeouts::cutoffs`].
///
/// A record is dead if `created <= cutoff.created`. It is dead, too, if `touched <= cutoff.touched`; or, where
/// `touched < created` since its token has never come back, if `created <= cutoff.first_visit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cutoff {
    /// Records that were created then, or earlier, are dead of age.
    pub created: Timestamp,
    /// Records that were last used then, or earlier, are dead of disuse.
    pub touched: Timestamp,
    /// Records whose token has never come back are dead if they were created then, or earlier.
    pub first_visit: Timestamp,
}

impl Cutoff {
    /// Returns true if a record of these times is dead: what a query of a store's own says in its language.
    #[must_use]
    pub fn is_dead(&self, created: Timestamp, touched: Timestamp) -> bool {
        let is_unused = if touched < created { created <= self.first_visit } else { touched <= self.touched };
        created <= self.created || is_unused
    }
}

/// The cutoffs of each kind of session: [`Timeouts::cutoffs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cutoffs {
    /// Of sessions that hold no right.
    pub visitors: Cutoff,
    /// Of sessions that hold a right.
    pub users: Cutoff,
    /// Of sessions that hold a right and are to be remembered.
    pub remembered: Cutoff,
}

impl Timeouts {
    /// Returns the times of creation and of last use at or before which records are dead `now`, for a store that
    /// purges with a query of its own: see [`Cutoff`].
    ///
    /// This is the rule of [`is_alive`](Self::is_alive) for each kind of session. The 33rd byte of a record's
    /// [credentials](crate::store::Credentials) tells the kind: from `0xc0` on it is to be remembered, from `0x80` on it
    /// is a user's, else a visitor's. A query should also spare records that another layer lets live longer
    /// ([`Record::expires`](crate::store::Record::expires)).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sessions::{Timeouts, Timestamp};
    ///
    /// let timeouts = Timeouts::new(Duration::from_hours(24), Duration::from_hours(720));
    /// let now = Timestamp::from_millis(1_800_000_000_000);
    /// let users = timeouts.cutoffs(now).users;
    /// let dead = format!("created <= {} OR touched <= {}", users.created.as_millis(), users.touched.as_millis());
    /// assert_eq!(dead, "created <= 1797408000000 OR touched <= 1799910000000");
    /// ```
    #[must_use]
    pub fn cutoffs(&self, now: Timestamp) -> Cutoffs {
        let of = |kind| self.of_kind(kind).cutoff(now);
        Cutoffs {
            visitors: of(SessionKind::Visitor),
            users: of(SessionKind::User),
            remembered: of(SessionKind::Remembered),
        }
    }

    fn cutoff(&self, now: Timestamp) -> Cutoff {
        let idle = self.idle_and_window();
        Cutoff {
            created: now.saturating_sub(self.absolute()),
            touched: now.saturating_sub(idle),
            first_visit: now.saturating_sub(idle.min(self.first_visit())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Random times and timeouts, and those at which a record has just died or is about to.
    #[test]
    fn cutoffs_agree_with_the_deadline() {
        let mut random = Random(0x5eed);
        let mut deaths = 0;
        for _ in 0..20_000 {
            let time = |random: &mut Random| match random.below(8) {
                0 => Duration::ZERO,
                1 => Duration::MAX,
                _ => Duration::from_millis(random.below(1 << 27)),
            };
            let mut next = || time(&mut random);
            let timeouts = Timeouts::new(next(), next())
                .with_visitors(next(), next())
                .with_remembered(next(), next())
                .with_first_visit(next());
            let created = Timestamp::from_millis(1_800_000_000_000 + random.below(1 << 20).cast_signed());
            let used = Duration::from_millis(random.below(1 << 26));
            for touched in
                [created.saturating_sub(Duration::from_millis(1)), created, created.saturating_add(used)]
            {
                for (kind, of) in [
                    (SessionKind::Visitor, (|all: Cutoffs| all.visitors) as fn(Cutoffs) -> Cutoff),
                    (SessionKind::User, |all| all.users),
                    (SessionKind::Remembered, |all| all.remembered),
                ] {
                    let timeouts_of = timeouts.of_kind(kind);
                    let deadline = timeouts_of.deadline(created, touched);
                    let some_time = created.saturating_add(Duration::from_millis(random.below(1 << 28)));
                    let nearly = deadline.saturating_sub(Duration::from_millis(1));
                    // At the very end of time all is dead by the rule, since later deadlines cannot be said.
                    for now in [some_time, nearly, deadline.min(Timestamp::from_millis(i64::MAX - 1))] {
                        let is_dead = of(timeouts.cutoffs(now)).is_dead(created, touched);
                        assert_eq!(
                            is_dead,
                            !timeouts_of.is_alive(created, touched, now),
                            "{timeouts_of:?} {created:?} {touched:?} {now:?}"
                        );
                        deaths += u32::from(is_dead);
                    }
                }
            }
        }
        assert!(deaths > 100_000, "{deaths}");
    }

    /// `SplitMix64`: the same numbers in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % bound
        }
    }
}
