//! The responses that one session got, compared with the contents of its store.

use std::time::{Duration, Instant};

use sessions::RecordId;

/// The longest time of a commit. Nothing of it happens later.
const TOO_LATE: Duration = Duration::from_secs(5);

/// The responses that one session got so far.
#[derive(Clone, Debug, Default)]
pub struct LoadAccount {
    /// The id of its record.
    pub(super) record: Option<RecordId>,
    /// Additions acknowledged while the store promised to keep them.
    added: u64,
    /// Further additions that may have happened.
    maybe_added: u64,
    /// The last put acknowledged while the store promised to keep it; puts are numbered.
    put: u64,
    /// The moment of that put.
    put_at: Option<Instant>,
    /// The last put that may have happened.
    maybe_put: u64,
    /// Puts of unknown outcome, and since when. When a server that stood still goes on, each may be carried out until
    /// its time is over, and then be the last one.
    unknown_puts: Vec<(u64, Instant)>,
    /// Requests answered with 200.
    pub acknowledged: u64,
    /// Requests of unknown outcome that were answered with 503.
    pub unknown: u64,
    /// Requests answered with 503 that certainly did not happen, or only read.
    pub refused: u64,
    /// New sessions that were answered with 503. The record of each could be on any node.
    pub guests_refused: u64,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeOutcome {
    /// It happened, and stays.
    Kept,
    /// It happened, but a fault of the servers at the time may lose it.
    InDoubt,
    /// It may have happened.
    Unknown,
    /// It did not happen.
    Refused,
}

/// The contents of a session, as `/show` returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) record: RecordId,
    pub(super) added: u64,
    pub(super) left: u64,
    pub(super) right: u64,
}

impl LoadAccount {
    /// Returns the number of requests answered with 503, of both kinds.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.unknown + self.refused
    }

    pub(super) fn add(&mut self, outcome: ChangeOutcome) {
        match outcome {
            ChangeOutcome::Kept => self.added += 1,
            ChangeOutcome::InDoubt | ChangeOutcome::Unknown => self.maybe_added += 1,
            ChangeOutcome::Refused => {}
        }
        self.count(outcome);
    }

    pub(super) fn next_put(&self) -> u64 {
        self.maybe_put + 1
    }

    pub(super) fn put(&mut self, number: u64, outcome: ChangeOutcome) {
        // A number is used once, also if its put did not happen.
        self.maybe_put = number;
        match outcome {
            ChangeOutcome::Kept => (self.put, self.put_at) = (number, Some(Instant::now())),
            ChangeOutcome::Unknown => self.unknown_puts.push((number, Instant::now())),
            ChangeOutcome::InDoubt | ChangeOutcome::Refused => {}
        }
        self.count(outcome);
    }

    pub(super) fn count(&mut self, outcome: ChangeOutcome) {
        match outcome {
            ChangeOutcome::Kept | ChangeOutcome::InDoubt => self.acknowledged += 1,
            ChangeOutcome::Unknown => self.unknown += 1,
            ChangeOutcome::Refused => self.refused += 1,
        }
    }

    /// Compares the contents of the session with the responses that it got.
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
        assert!(shown.left <= maybe_put, "a put that no request sent: {shown:?} {self:?}");
    }
}
