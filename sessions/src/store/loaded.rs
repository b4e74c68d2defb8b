//! The result of a load.

use super::Record;
use crate::value::{Credentials, Fields, Timestamp};

/// A record as [`Store::load`](super::Store::load) returns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The record's credentials.
    pub credentials: Credentials,
    /// The number of rotations that the record has seen: a fencing token for later commits.
    pub epoch: u64,
    /// When the record was created.
    pub created: Timestamp,
    /// When the record was last used, to within the [touch window](crate::Timeouts::touch_window).
    pub touched: Timestamp,
    /// The store's time of this load.
    pub now: Timestamp,
    /// At least the fields asked for, as far as the record has them. A prefix name asks for all fields that begin with it.
    pub fields: Fields,
    /// True if `fields` are all that the record has, so that no other view needs a second load.
    pub complete: bool,
}

impl Loaded {
    /// Makes the answer to a load, with all of the record's fields.
    #[must_use]
    pub fn new(record: &Record, now: Timestamp) -> Self {
        Self {
            credentials: record.credentials.clone(),
            epoch: record.epoch,
            created: record.created,
            touched: record.touched,
            now,
            fields: record.fields.clone(),
            complete: true,
        }
    }

    /// Sets the fields, and if these are all that the record has.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields, complete: bool) -> Self {
        self.fields = fields;
        self.complete = complete;
        self
    }
}
