//! What one session was told, against what its store holds.

use std::time::{Duration, Instant};

use sessions::RecordId;

/// At least as long as a commit may take; nothing happens later.
const TOO_LATE: Duration = Duration::from_secs(5);

/// What one session was told so far.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Its record.
    pub(super) record: Option<RecordId>,
    /// Additions acknowledged while the store promised to keep them.
    added: u64,
    /// Further additions that may have happened.
    maybe_added: u64,
    /// The last put acknowledged while the store promised to keep it; puts are numbered.
    put: u64,
    /// When that was.
    put_at: Option<Instant>,
    /// The last put that may have happened.
    maybe_put: u64,
    /// Puts of which nobody knows whether they happened, and since when: when a server that stood still goes
    /// on, each may be carried out for as long as it was given, and then be the last.
    unknown_puts: Vec<(u64, Instant)>,
    /// Requests answered with 200.
    pub acknowledged: u64,
    /// Requests answered with 503 of which nobody knows whether they happened.
    pub unknown: u64,
    /// Requests answered with 503 that certainly did not happen, or only read.
    pub refused: u64,
    /// New sessions that were answered with 503; each would have had a record anywhere.
    pub guests_refused: u64,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there and stays.
    Kept,
    /// It happened, but may be lost by what is done to the servers at the time.
    InDoubt,
    /// Nobody knows.
    Unknown,
    /// It did not happen.
    Refused,
}

/// What a session shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) record: RecordId,
    pub(super) added: u64,
    pub(super) left: u64,
    pub(super) right: u64,
}

impl Account {
    /// Both kinds of 503.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.unknown + self.refused
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Kept => self.added += 1,
            Outcome::InDoubt | Outcome::Unknown => self.maybe_added += 1,
            Outcome::Refused => {}
        }
        self.count(outcome);
    }

    pub(super) fn next_put(&self) -> u64 {
        self.maybe_put + 1
    }

    pub(super) fn put(&mut self, number: u64, outcome: Outcome) {
        // A number is used once, also if its put did not happen.
        self.maybe_put = number;
        match outcome {
            Outcome::Kept => (self.put, self.put_at) = (number, Some(Instant::now())),
            Outcome::Unknown => self.unknown_puts.push((number, Instant::now())),
            Outcome::InDoubt | Outcome::Refused => {}
        }
        self.count(outcome);
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Kept | Outcome::InDoubt => self.acknowledged += 1,
            Outcome::Unknown => self.unknown += 1,
            Outcome::Refused => self.refused += 1,
        }
    }

    /// Compares what the session shows with what it was told.
    pub(super) fn check(&self, shown: &Shown) {
        let Self { added, maybe_added, put, maybe_put, .. } = *self;
        assert_eq!(shown.left, shown.right, "half a commit: {shown:?} {self:?}");
        assert!(self.record.is_none_or(|record| record == shown.record), "another's: {shown:?} {self:?}");
        assert!(shown.added >= added, "additions were lost: {shown:?} {self:?}");
        assert!(shown.added <= added + maybe_added, "additions counted twice: {shown:?} {self:?}");
        let is_late = self.unknown_puts.iter().any(|(number, since)| {
            *number == shown.left && self.put_at.is_none_or(|put_at| put_at < *since + TOO_LATE)
        });
        assert!(shown.left >= put || is_late, "a put was lost or an older one came back: {shown:?} {self:?}");
        assert!(shown.left <= maybe_put, "a put that nobody sent: {shown:?} {self:?}");
    }
}
