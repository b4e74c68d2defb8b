//! The index as a layer uses it: entries around commits, the limit on logins, and sessions found by a value.
//!
//! | file | what is in it |
//! |---|---|
//! | `steps` | from a commit to the entries that it needs: plain functions over plain values |
//! | `commit` | reserving, committing, confirming |
//! | `limit` | room for one more login, where there is a limit |
//! | `records` | the records of a value: listed and looked at |
//! | `ending` | ending them |
//!
//! # Design
//!
//! **The entry comes first.** A commit that puts an indexed value, or that lets a record with one live longer, adds the
//! entry before. A process that dies in between leaves an entry without a record, never the reverse.
//!
//! **Nothing is removed by guess.** The entry of a value that a commit has replaced stays. Another request may be about to
//! put the value back. A listing looks at each record, and removes the entry only if no request has touched it since.
//!
//! **A login counts once it is confirmed.** The sessions of a user are ended in this order: note the moment, list the
//! entries, delete the records. A login that began before the moment is refused when it reserves. One that has reserved
//! already is refused when it confirms, after its commit. Its record is deleted, and its secret was never sent.

mod commit;
mod ending;
mod limit;
mod records;
mod steps;

use std::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;

pub(crate) use self::{ending::EndedSessions, records::FoundRecord};
use super::LayerContext;
use crate::{
    error::{Error, ErrorKind},
    store::{
        IndexStore,
        index::{FieldCondition, IndexChange, IndexFuture, IndexOutcome},
    },
    value::{FieldName, IndexKey, RecordId},
};

/// The time for which a commit may be on its way after its reservation.
const HOLD_FOR: Duration = Duration::from_secs(5);

/// The time that an entry outlives its record at least: the commit comes after it, and clocks are read at different
/// moments.
const SLACK: Duration = Duration::from_mins(1);

/// The number of operations that are under way at a time for one listing.
const AT_ONCE: usize = 64;

/// A value of an indexed field, by which sessions are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexedValue {
    pub(crate) key: IndexKey,
    pub(crate) condition: FieldCondition,
    /// True if the field is a right: it counts only in a record whose credentials name it.
    pub(crate) is_right: bool,
}

impl IndexedValue {
    /// The value of this JSON in the field of these stored names, of which the first is the present one.
    pub(crate) fn new(purpose: &str, names: Vec<FieldName>, json: Bytes, is_right: bool) -> Self {
        let name = names.first().map_or("", |name| name.as_str());
        let key = IndexKey::new(purpose, name, &json);
        Self { key, condition: FieldCondition::new(names, json), is_right }
    }
}

impl LayerContext {
    /// The store's index, if any view needs it.
    pub(super) fn index(&self) -> Option<&dyn IndexStore> {
        if self.rules.has_index() { self.store.index() } else { None }
    }

    /// Changes a row of the index. An outcome that is not known counts as a failure: what it may have done does no
    /// harm.
    async fn change_index(&self, key: IndexKey, change: IndexChange) -> Result<IndexOutcome, Error> {
        let index = self.store.index().ok_or_else(Error::without_index)?;
        let changed = self.in_time(index.change_index(key, change)).await;
        changed.map_err(|error| match error.kind() {
            ErrorKind::OutcomeUnknown => Error::unavailable(error),
            _ => error,
        })
    }

    async fn destroy_if(&self, id: RecordId, condition: FieldCondition) -> Result<bool, Error> {
        let index = self.store.index().ok_or_else(Error::without_index)?;
        self.in_time(index.destroy_if(id, condition)).await
    }

    /// Waits for the store, but not for ever.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let answer = tokio::time::timeout(self.store_timeout, work).await;
        answer.unwrap_or_else(|_| Err(Error::outcome_unknown("the session store did not answer in time")))
    }
}

/// Runs operations at the same time, a bounded number of them at once. Returns their results in order.
async fn at_once<T>(mut operations: Vec<IndexFuture<'_, T>>) -> Vec<Result<T, Error>> {
    let mut results = Vec::with_capacity(operations.len());
    while !operations.is_empty() {
        let rest = operations.split_off(operations.len().min(AT_ONCE));
        let mut running: Vec<_> =
            std::mem::replace(&mut operations, rest).into_iter().map(|operation| (operation, None)).collect();
        poll_fn(|context| {
            let mut is_done = true;
            for (operation, result) in running.iter_mut().filter(|(_, result)| result.is_none()) {
                match operation.as_mut().poll(context) {
                    Poll::Ready(done) => *result = Some(done),
                    Poll::Pending => is_done = false,
                }
            }
            if is_done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        results.extend(running.into_iter().filter_map(|(_, result)| result));
    }
    results
}
