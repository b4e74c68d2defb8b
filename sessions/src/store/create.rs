//! The record that a create writes, and the outcome.

use crate::value::{Credentials, Fields, Timeouts, Timestamp};

/// The record that [`Store::create`](super::Store::create) writes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewRecord {
    /// The record's credentials.
    pub credentials: Credentials,
    /// True if the record's token has not come back yet, so that [`Timeouts::first_visit`] applies.
    pub is_first_visit: bool,
    /// The record's fields.
    pub fields: Fields,
    /// The times of the record, for stores that set a deadline on what they keep.
    pub timeouts: Timeouts,
}

impl NewRecord {
    /// Makes a record with these credentials and no fields.
    #[must_use]
    pub const fn new(credentials: Credentials, timeouts: Timeouts) -> Self {
        Self { credentials, is_first_visit: false, fields: Fields::new(), timeouts }
    }

    /// Sets the fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// Sets if the record is a visitor's who may never come back.
    #[must_use]
    pub const fn with_first_visit(mut self, is_first_visit: bool) -> Self {
        self.is_first_visit = is_first_visit;
        self
    }

    /// Returns the last use of the record that is created `now`: one millisecond earlier as long as its token has
    /// not come back.
    #[must_use]
    pub fn touched(&self, now: Timestamp) -> Timestamp {
        if self.is_first_visit { Timestamp::from_millis(now.as_millis().saturating_sub(1)) } else { now }
    }
}

/// The answer to [`Store::create`](super::Store::create).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// A create that is neither is an error, so there is nothing to add.
#[allow(clippy::exhaustive_enums)]
pub enum CreateOutcome {
    /// The record is there, since this time.
    Created(Timestamp),
    /// The id belongs to another record.
    IdTaken,
}
