//! A record, and the rules by which a commit changes it.

use bytes::Bytes;

use super::{Commit, CommitId, CommitOutcome, CredentialsChange, NewRecord};
use crate::value::{Credentials, Fields, Timeouts, Timestamp};

/// The number of commits that a record remembers.
const REMEMBERED_COMMITS: usize = 8;

/// A session as a store keeps it: metadata and named fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The record's credentials.
    pub credentials: Credentials,
    /// The number of rotations that the record has seen: the fencing token that a commit must name.
    pub epoch: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last used, to within the touch window. Before it was created, if its token has never come back.
    pub touched: Timestamp,
    /// When it ends under the longest timeouts of the layers that created and touched it. Only for a purge: two layers
    /// with different timeouts may share a store, and the purge of one must not take what the other still uses.
    pub expires: Timestamp,
    /// The last commits that carried an id, oldest first.
    pub commits: Vec<CommitId>,
    /// The fields.
    pub fields: Fields,
}

impl Record {
    /// Makes the record that a create at `now` writes.
    #[must_use]
    pub fn new(new: NewRecord, now: Timestamp) -> Self {
        let touched = new.touched(now);
        let NewRecord { credentials, fields, timeouts, .. } = new;
        let expires = timeouts.deadline(now, touched);
        Self { credentials, epoch: 0, created: now, touched, expires, commits: Vec::new(), fields }
    }

    /// Makes the record of which a store has kept these parts, in the order of the fields. For a store that keeps
    /// each part in a column of its own; [`from_bytes`](Self::from_bytes) is for those that keep the whole.
    #[must_use]
    pub const fn from_parts(
        credentials: Credentials,
        epoch: u64,
        created: Timestamp,
        touched: Timestamp,
        expires: Timestamp,
        commits: Vec<CommitId>,
        fields: Fields,
    ) -> Self {
        Self { credentials, epoch, created, touched, expires, commits, fields }
    }

    /// Returns true if the record is alive at `now`.
    #[must_use]
    pub fn is_alive(&self, timeouts: &Timeouts, now: Timestamp) -> bool {
        timeouts.is_alive(self.created, self.touched, now)
    }

    /// Returns true if a purge may delete the record: it is dead under these timeouts, and under those of every layer
    /// that used it.
    #[must_use]
    pub fn is_disposable(&self, timeouts: &Timeouts, now: Timestamp) -> bool {
        self.expires <= now && !self.is_alive(&timeouts.of(&self.credentials), now)
    }

    /// Applies all of a commit or nothing. This is the whole of [`Store::commit`](super::Store::commit), if the store
    /// lets no other operation at the record meanwhile.
    ///
    /// The fields that the delta does not retain go first, then those whose prefix names it removes. Then come the
    /// operations on single fields.
    pub fn commit(&mut self, commit: &Commit, now: Timestamp) -> CommitOutcome {
        if !self.is_alive(&commit.timeouts, now) {
            return CommitOutcome::NotFound;
        }
        // Before the epoch: the repetition of a rotation would otherwise find itself superseded.
        if commit.id.is_some_and(|id| self.commits.contains(&id)) {
            return CommitOutcome::Applied(self.values(commit));
        }
        if self.epoch != commit.epoch {
            return CommitOutcome::StaleEpoch;
        }
        let change = commit.credentials_change.as_ref();
        let replaced = change.and_then(CredentialsChange::replaces);
        if replaced.is_some_and(|replaced| *replaced != self.credentials) {
            return CommitOutcome::CredentialsChanged;
        }
        if let Err(failure) = commit.delta.apply(&mut self.fields) {
            return failure.into();
        }
        // Nothing below can fail.
        if change.is_some_and(CredentialsChange::is_login) {
            self.created = self.created.max(now);
        }
        if commit.notes_use() {
            self.touched = self.touched.max(now);
            self.expires = self.expires.max(commit.timeouts_after().deadline(self.created, self.touched));
        }
        if let Some(change) = change {
            self.credentials = change.credentials().clone();
            // Compared for equality only, so that the last one may be followed by the first.
            self.epoch = self.epoch.wrapping_add(change.changes_epoch().into());
        }
        if let Some(id) = commit.id {
            // A store may have kept more.
            let surplus = (self.commits.len() + 1).saturating_sub(REMEMBERED_COMMITS);
            self.commits.drain(..surplus);
            self.commits.push(id);
        }
        CommitOutcome::Applied(self.values(commit))
    }

    fn values(&self, commit: &Commit) -> Vec<Option<Bytes>> {
        commit.returning.iter().map(|name| self.fields.get(name.as_str()).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A purge by another layer than the one that created the record: the longer times count.
    #[test]
    fn a_record_is_disposable_once_no_layer_may_use_it() {
        let hours = |hours| Duration::from_hours(hours);
        let short = Timeouts::new(hours(2), hours(2)).with_first_visit(hours(1));
        let long = Timeouts::new(hours(8), hours(8)).with_first_visit(hours(4));
        for (is_first_visit, ends) in [(false, [2, 8]), (true, [1, 4])] {
            let new = |timeouts| {
                let credentials = Credentials::from_bytes(vec![9; 32]);
                NewRecord::new(credentials, timeouts).with_first_visit(is_first_visit)
            };
            let created = Timestamp::from_millis(1_800_000_000_000);
            let by_short = Record::new(new(short), created);
            let by_long = Record::new(new(long), created);
            for (record, purge, ends) in [
                (&by_short, short, ends[0]),
                (&by_short, long, ends[1]),
                (&by_long, short, ends[1]),
                (&by_long, long, ends[1]),
            ] {
                let end = created.saturating_add(hours(ends));
                let before = Timestamp::from_millis(end.as_millis() - 1);
                assert!(!record.is_disposable(&purge, before), "{is_first_visit} {ends}");
                assert!(record.is_disposable(&purge, end), "{is_first_visit} {ends}");
            }
        }
    }
}
