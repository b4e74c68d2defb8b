//! A record as stores that run Rust inside their atomic operation keep it.

use bytes::Bytes;

use super::{Commit, CommitId, CommitOutcome, CredentialsChange, NewRecord};
use crate::value::{Credentials, Fields, Timeouts, Timestamp};

/// How many commits a record remembers.
const REMEMBERED_COMMITS: usize = 8;

/// What a store keeps for one session: metadata and named fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Who may use it.
    pub credentials: Credentials,
    /// How many rotations there were.
    pub epoch: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last used, to within the touch window; before it was created if its token never came
    /// back.
    pub touched: Timestamp,
    /// When it ends under the longest timeouts of those who created and touched it. Only for clearing up:
    /// two layers with different timeouts may share a store, and the shorter one's purge must not
    /// take what the longer one still uses.
    pub expires: Timestamp,
    /// The last commits that carried an id, oldest first.
    pub commits: Vec<CommitId>,
    /// The fields.
    pub fields: Fields,
}

impl Record {
    /// The record that a create at `now` makes.
    #[must_use]
    pub fn new(new: NewRecord, now: Timestamp) -> Self {
        let touched = new.touched(now);
        let NewRecord { credentials, fields, timeouts, .. } = new;
        let expires = timeouts.deadline(now, touched);
        Self { credentials, epoch: 0, created: now, touched, expires, commits: Vec::new(), fields }
    }

    /// Whether it is alive at `now`.
    #[must_use]
    pub fn is_alive(&self, timeouts: &Timeouts, now: Timestamp) -> bool {
        timeouts.is_alive(self.created, self.touched, now)
    }

    /// Whether it may be cleared up: dead under these timeouts, and under those of whoever used it.
    #[must_use]
    pub fn is_disposable(&self, timeouts: &Timeouts, now: Timestamp) -> bool {
        // Of a visitor who never came back nobody can use more.
        self.expires <= now
            && (self.touched < self.created || !self.is_alive(&timeouts.of(&self.credentials), now))
    }

    /// Applies all of a commit or nothing: the whole contract of `Store::commit` but for holding
    /// the record still meanwhile.
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
        if let Err(name) = commit.delta.apply(&mut self.fields) {
            return CommitOutcome::Invalid(name);
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
            if self.commits.len() == REMEMBERED_COMMITS {
                self.commits.remove(0);
            }
            self.commits.push(id);
        }
        CommitOutcome::Applied(self.values(commit))
    }

    fn values(&self, commit: &Commit) -> Vec<Option<Bytes>> {
        commit.returning.iter().map(|name| self.fields.get(name.as_str()).cloned()).collect()
    }
}
