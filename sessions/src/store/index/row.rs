//! A row of an index, and the rules by which it changes. Plain values, no I/O.

use std::time::Duration;

use crate::{
    error::Error,
    value::{RecordId, Timestamp},
};

/// The time for which a row remembers that its sessions were ended. A request that began longer ago logs nobody in.
const REMEMBERED_FOR: Duration = Duration::from_hours(24);

/// The version of the byte form.
const VERSION: u8 = 1;

/// The bytes before the entries, and those of an entry.
const HEAD_BYTES: usize = 9;
const ENTRY_BYTES: usize = 48;

/// The records that have one value of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexRow {
    /// The last time at which the sessions of this value were ended. A request that began before it puts the value into
    /// no record any more.
    pub not_before: Option<Timestamp>,
    /// The entries, in the order in which they were added.
    pub entries: Vec<IndexEntry>,
}

/// A record that may have the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexEntry {
    /// The record.
    pub id: RecordId,
    /// When the entry was added.
    pub since: Timestamp,
    /// When the entry ends, unless it is added again.
    pub until: Timestamp,
    /// The time until which a commit may be on its way that puts the value into the record.
    pub held_until: Timestamp,
    /// The last change of the entry.
    pub stamp: IndexStamp,
}

/// A name for one change of an entry: 64 random bits, by which a later change is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexStamp([u8; 8]);

/// A change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexChange {
    /// Changes nothing. The outcome lists the entries.
    List,
    /// Adds an entry before its record gets the value.
    Reserve(Reservation),
    /// Adds an entry whose record has the value, or confirms a reservation.
    Confirm(Confirmation),
    /// Removes entries, each only if it has this stamp, or whatever its stamp is.
    Leave(Vec<(RecordId, Option<IndexStamp>)>),
    /// Notes this moment as [`IndexRow::not_before`]. The outcome lists the entries.
    Forbid,
}

/// An entry that is added before its record gets the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// The record.
    pub id: RecordId,
    /// The stamp of this change.
    pub stamp: IndexStamp,
    /// The time for which the record may live.
    pub keep_for: Duration,
    /// The time for which the commit may be on its way.
    pub hold_for: Duration,
    /// The age of the request.
    pub age: Duration,
    /// The most entries that there may be, if there is a limit.
    pub most: Option<usize>,
    /// The `not_before` that the request has set itself, which does not forbid it.
    pub own: Option<Timestamp>,
}

/// An entry whose record has the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confirmation {
    /// The record.
    pub id: RecordId,
    /// The stamp of this change.
    pub stamp: IndexStamp,
    /// The time for which the record may live.
    pub keep_for: Duration,
    /// The time at which the request began that has put the value; `None` for one that found it.
    pub began: Option<Timestamp>,
    /// The `not_before` that the request has set itself, which does not forbid it.
    pub own: Option<Timestamp>,
    /// True if a reservation must be there: it may have lapsed, and another record may have its place under a limit.
    pub needs_entry: bool,
}

/// The answer to a change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexOutcome {
    /// The outcome.
    pub status: IndexStatus,
    /// The store's time of the change.
    pub now: Timestamp,
    /// The row's [`not_before`](IndexRow::not_before) as it was before the change.
    pub not_before: Option<Timestamp>,
    /// The entries, as far as the change asks for them: `List`, `Forbid`, and a `Reserve` that was refused by its
    /// limit.
    pub entries: Vec<IndexEntry>,
}

/// The outcome of a change of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexStatus {
    /// It is done.
    Done,
    /// It is done, and the entry was not there before.
    Added,
    /// Refused: the sessions of this value were ended since the request began.
    Forbidden,
    /// Refused: there are as many entries as the limit allows.
    Full,
    /// Refused: the reservation is not there any more.
    Lapsed,
}

impl IndexStamp {
    /// Makes a stamp of these bytes, which should come from a random number generator.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the 8 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl IndexEntry {
    /// Makes an entry of these parts, in the order of the fields.
    #[must_use]
    pub const fn from_parts(
        id: RecordId,
        since: Timestamp,
        until: Timestamp,
        held_until: Timestamp,
        stamp: IndexStamp,
    ) -> Self {
        Self { id, since, until, held_until, stamp }
    }

    /// Returns true if a commit may be on its way that puts the value into the record.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.held_until > now
    }
}

impl IndexOutcome {
    /// Makes an answer of these parts, in the order of the fields.
    #[must_use]
    pub const fn from_parts(
        status: IndexStatus,
        now: Timestamp,
        not_before: Option<Timestamp>,
        entries: Vec<IndexEntry>,
    ) -> Self {
        Self { status, now, not_before, entries }
    }
}

impl IndexRow {
    /// Applies a change at this time. This is the whole of
    /// [`IndexStore::change_index`](super::IndexStore::change_index), if the store lets no other operation at the row
    /// meanwhile.
    pub fn apply(&mut self, change: &IndexChange, now: Timestamp) -> IndexOutcome {
        let not_before = self.not_before;
        self.entries.retain(|entry| entry.until > now);
        let status = match change {
            IndexChange::List => IndexStatus::Done,
            IndexChange::Reserve(reservation) => self.reserve(reservation, now),
            IndexChange::Confirm(confirmation) => self.confirm(confirmation, now),
            IndexChange::Leave(left) => {
                let is_left = |entry: &IndexEntry| {
                    left.iter()
                        .any(|(id, stamp)| *id == entry.id && stamp.is_none_or(|stamp| stamp == entry.stamp))
                };
                self.entries.retain(|entry| !is_left(entry));
                IndexStatus::Done
            }
            IndexChange::Forbid => {
                self.not_before = Some(not_before.map_or(now, |before| before.max(now)));
                IndexStatus::Done
            }
        };
        let lists = matches!(change, IndexChange::List | IndexChange::Forbid) || status == IndexStatus::Full;
        let entries = if lists { self.entries.clone() } else { Vec::new() };
        IndexOutcome { status, now, not_before, entries }
    }

    /// Returns the time from which on the row says nothing any more, so that a store may delete it. `None` if that is
    /// so already.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let forgotten = self.not_before.map(|at| at.saturating_add(REMEMBERED_FOR));
        self.entries.iter().map(|entry| entry.until).chain(forgotten).max()
    }

    /// Returns the row as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + ENTRY_BYTES * self.entries.len());
        bytes.push(VERSION);
        // No moment of a store is the beginning of time.
        bytes.extend(self.not_before.map_or(i64::MIN, Timestamp::as_millis).to_be_bytes());
        for IndexEntry { id, since, until, held_until, stamp } in &self.entries {
            bytes.extend(id.as_bytes());
            for time in [since, until, held_until] {
                bytes.extend(time.as_millis().to_be_bytes());
            }
            bytes.extend(stamp.as_bytes());
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) has written.
    ///
    /// # Errors
    ///
    /// [`Error::unavailable`] if it is not that: the row stays as it is, and no login succeeds under it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let malformed =
            || Error::unavailable("an index row is of a later version of this library, or of none");
        let (head, entries) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(malformed)?;
        let [VERSION, not_before @ ..] = *head else { return Err(malformed()) };
        let not_before = Some(i64::from_be_bytes(not_before)).filter(|millis| *millis != i64::MIN);
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(malformed());
        }
        let entries = entries.iter().map(IndexEntry::from_bytes).collect();
        Ok(Self { not_before: not_before.map(Timestamp::from_millis), entries })
    }

    fn reserve(&mut self, reservation: &Reservation, now: Timestamp) -> IndexStatus {
        let Reservation { id, stamp, keep_for, hold_for, age, most, own } = reservation;
        if *age > REMEMBERED_FOR || self.forbids(now.saturating_sub(*age), *own) {
            return IndexStatus::Forbidden;
        }
        let others = self.entries.iter().filter(|entry| entry.id != *id).count();
        if most.is_some_and(|most| others >= most) {
            return IndexStatus::Full;
        }
        let (until, held_until) = (now.saturating_add(*keep_for), now.saturating_add(*hold_for));
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == *id) {
            entry.until = entry.until.max(until);
            entry.held_until = entry.held_until.max(held_until);
            entry.stamp = *stamp;
            return IndexStatus::Done;
        }
        self.entries.push(IndexEntry { id: *id, since: now, until, held_until, stamp: *stamp });
        IndexStatus::Added
    }

    fn confirm(&mut self, confirmation: &Confirmation, now: Timestamp) -> IndexStatus {
        let Confirmation { id, stamp, keep_for, began, own, needs_entry } = confirmation;
        if began.is_some_and(|began| self.forbids(began, *own)) {
            return IndexStatus::Forbidden;
        }
        let until = now.saturating_add(*keep_for);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == *id) {
            entry.until = entry.until.max(until);
            if began.is_some() {
                entry.held_until = now;
            }
            entry.stamp = *stamp;
            return IndexStatus::Done;
        }
        if *needs_entry {
            return IndexStatus::Lapsed;
        }
        self.entries.push(IndexEntry { id: *id, since: now, until, held_until: now, stamp: *stamp });
        IndexStatus::Added
    }

    /// A request that began in the same millisecond is taken for an earlier one.
    fn forbids(&self, began: Timestamp, own: Option<Timestamp>) -> bool {
        self.not_before.is_some_and(|not_before| began <= not_before && Some(not_before) != own)
    }
}

impl IndexEntry {
    fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let time = |index: usize| Timestamp::from_millis(i64::from_be_bytes(words[index]));
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        Self {
            id: RecordId::from_bytes(id),
            since: time(2),
            until: time(3),
            held_until: time(4),
            stamp: IndexStamp(words[5]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(5);
    const KEEP: Duration = Duration::from_hours(1);

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    fn stamp(byte: u8) -> IndexStamp {
        IndexStamp::from_bytes([byte; 8])
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + 1000 * seconds)
    }

    fn reserve(byte: u8, age: u64, most: Option<usize>) -> IndexChange {
        IndexChange::Reserve(Reservation {
            id: id(byte),
            stamp: stamp(byte),
            keep_for: KEEP,
            hold_for: HOLD,
            age: Duration::from_secs(age),
            most,
            own: None,
        })
    }

    fn confirm(byte: u8, began: Option<Timestamp>, needs_entry: bool) -> IndexChange {
        let (id, stamp) = (id(byte), stamp(100 + byte));
        IndexChange::Confirm(Confirmation { id, stamp, keep_for: KEEP, began, own: None, needs_entry })
    }

    fn ids(row: &IndexRow) -> Vec<RecordId> {
        row.entries.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn a_limit_counts_reservations_of_other_records() {
        let mut row = IndexRow::default();
        let mut status = |change: IndexChange| row.apply(&change, at(0)).status;
        assert_eq!(status(reserve(1, 0, Some(2))), IndexStatus::Added);
        assert_eq!(status(reserve(2, 0, Some(2))), IndexStatus::Added);
        assert_eq!(status(reserve(2, 0, Some(2))), IndexStatus::Done, "its own place");
        assert_eq!(status(reserve(3, 0, Some(2))), IndexStatus::Full);
        assert_eq!(status(reserve(3, 0, None)), IndexStatus::Added, "no limit");
        let full = row.apply(&reserve(4, 0, Some(2)), at(0));
        assert_eq!((full.status, full.entries.len()), (IndexStatus::Full, 3));
        assert_eq!(row.apply(&reserve(4, 0, Some(2)), at(3600)).status, IndexStatus::Added, "all have ended");
    }

    #[test]
    fn who_began_before_the_end_of_all_sessions_is_refused() {
        let mut row = IndexRow::default();
        row.apply(&reserve(1, 0, None), at(0));
        let forbidden = row.apply(&IndexChange::Forbid, at(10));
        assert_eq!((forbidden.not_before, forbidden.entries.len()), (None, 1));
        for (began, expected) in [
            (at(9), IndexStatus::Forbidden),
            (at(10), IndexStatus::Forbidden),
            (Timestamp::from_millis(at(10).as_millis() + 1), IndexStatus::Done),
        ] {
            assert_eq!(row.apply(&confirm(1, Some(began), true), at(11)).status, expected, "{began:?}");
        }
        assert_eq!(row.apply(&confirm(1, None, false), at(11)).status, IndexStatus::Done, "it has the value");
        assert_eq!(row.apply(&reserve(2, 2, None), at(12)).status, IndexStatus::Forbidden);
        assert_eq!(row.apply(&reserve(2, 1, None), at(12)).status, IndexStatus::Added);
        assert_eq!(
            row.apply(&reserve(3, 24 * 3600 + 1, None), at(12)).status,
            IndexStatus::Forbidden,
            "too old to tell"
        );
    }

    #[test]
    fn the_end_that_a_request_has_made_itself_does_not_refuse_it() {
        let mut row = IndexRow::default();
        row.apply(&IndexChange::Forbid, at(10));
        let own = |own: Timestamp| {
            let IndexChange::Reserve(reservation) = reserve(1, 5, None) else { unreachable!() };
            IndexChange::Reserve(Reservation { own: Some(own), ..reservation })
        };
        assert_eq!(row.apply(&own(at(10)), at(11)).status, IndexStatus::Added);
        row.apply(&IndexChange::Forbid, at(11));
        assert_eq!(row.apply(&own(at(10)), at(12)).status, IndexStatus::Forbidden, "another's came later");
    }

    #[test]
    fn a_reservation_that_has_lapsed_is_noticed_where_it_matters() {
        let mut row = IndexRow::default();
        assert_eq!(row.apply(&confirm(1, Some(at(0)), true), at(1)).status, IndexStatus::Lapsed);
        assert_eq!(row.apply(&confirm(1, Some(at(0)), false), at(1)).status, IndexStatus::Added);
        assert_eq!(ids(&row), [id(1)]);
    }

    #[test]
    fn an_entry_that_was_changed_since_stays() {
        let mut row = IndexRow::default();
        row.apply(&reserve(1, 0, None), at(0));
        assert!(row.entries[0].is_held(at(4)) && !row.entries[0].is_held(at(5)));
        row.apply(&confirm(1, Some(at(0)), true), at(1));
        assert!(!row.entries[0].is_held(at(1)));
        row.apply(&IndexChange::Leave(vec![(id(1), Some(stamp(1)))]), at(2));
        assert_eq!(ids(&row), [id(1)], "it was confirmed since");
        row.apply(&IndexChange::Leave(vec![(id(1), Some(stamp(101)))]), at(2));
        assert_eq!(ids(&row), []);
        row.apply(&reserve(1, 0, None), at(2));
        row.apply(&IndexChange::Leave(vec![(id(1), None)]), at(2));
        assert_eq!(ids(&row), []);
    }

    #[test]
    fn a_touch_keeps_an_entry_and_a_commit_on_its_way() {
        let mut row = IndexRow::default();
        row.apply(&reserve(1, 0, None), at(0));
        row.apply(&confirm(1, None, false), at(1));
        assert!(row.entries[0].is_held(at(2)), "it is another request's");
        assert_eq!(row.entries[0].until, at(3601));
        assert_eq!(row.deadline(), Some(at(3601)));
        row.apply(&IndexChange::Forbid, at(1));
        assert_eq!(row.deadline(), Some(at(1 + 24 * 3600)));
        assert_eq!(row.apply(&IndexChange::List, at(3601)).entries, []);
        assert_eq!(IndexRow::default().deadline(), None);
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let mut row = IndexRow::default();
        assert_eq!(IndexRow::from_bytes(&row.to_bytes()).unwrap(), row);
        row.apply(&reserve(1, 0, None), at(0));
        row.apply(&reserve(2, 0, None), at(7));
        row.apply(&IndexChange::Forbid, at(8));
        let bytes = row.to_bytes();
        assert_eq!(IndexRow::from_bytes(&bytes).unwrap(), row);
        for wrong in [&bytes[..bytes.len() - 1], &bytes[..5], &[2; 9], &[]] {
            assert!(IndexRow::from_bytes(wrong).is_err(), "{wrong:?}");
        }
    }
}
