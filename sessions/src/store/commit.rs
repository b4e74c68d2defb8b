//! A commit and its outcome.

use bytes::Bytes;

use crate::{
    delta::{Delta, DeltaFailure, OpFailure},
    value::{Credentials, FieldName, Timeouts},
};

/// The changes that [`Store::commit`](super::Store::commit) applies as one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Commit {
    /// The epoch that the load saw: a fencing token. The record must still have it.
    pub epoch: u64,
    /// The times by which the store judges if the record is alive.
    pub timeouts: Timeouts,
    /// The changes to fields.
    pub delta: Delta,
    /// True to note this moment as the record's last use.
    pub touch: bool,
    /// New credentials, if the record is to get some.
    pub credentials_change: Option<CredentialsChange>,
    /// Makes a repetition of this commit apply once.
    pub id: Option<CommitId>,
    /// The fields whose values after the commit are to be returned. There are no prefix names among them.
    pub returning: Vec<FieldName>,
}

impl Commit {
    /// Makes a commit that changes nothing yet.
    #[must_use]
    pub const fn new(epoch: u64, timeouts: Timeouts) -> Self {
        Self {
            epoch,
            timeouts,
            delta: Delta::new(),
            touch: false,
            credentials_change: None,
            id: None,
            returning: Vec::new(),
        }
    }

    /// Sets the changes to fields.
    #[must_use]
    pub fn with_delta(mut self, delta: Delta) -> Self {
        self.delta = delta;
        self
    }

    /// Notes this moment as the last use, or does not.
    #[must_use]
    pub const fn with_touch(mut self, touch: bool) -> Self {
        self.touch = touch;
        self
    }

    /// Gives the record new credentials.
    #[must_use]
    pub fn with_credentials_change(mut self, credentials_change: CredentialsChange) -> Self {
        self.credentials_change = Some(credentials_change);
        self
    }

    /// Makes the commit apply once, however often it is sent.
    #[must_use]
    pub const fn with_id(mut self, id: CommitId) -> Self {
        self.id = Some(id);
        self
    }

    /// Asks for the values that these fields have after the commit. A prefix name has no value.
    #[must_use]
    pub fn returning(mut self, names: Vec<FieldName>) -> Self {
        self.returning = names;
        self
    }

    /// Returns true if this moment is noted as the last use: with a touch, a login, other times, or a rotation of a
    /// record that then holds a right.
    #[must_use]
    pub fn notes_use(&self) -> bool {
        let notes = |change: &CredentialsChange| {
            let is_use = match change {
                CredentialsChange::Login { .. } => true,
                CredentialsChange::Rotation { to, .. } => to.holds_rights(),
                CredentialsChange::Renewal { .. } => false,
            };
            is_use || change.timeouts().is_some()
        };
        self.touch || self.credentials_change.as_ref().is_some_and(notes)
    }

    /// Returns the times of the record once this commit is applied.
    #[must_use]
    pub fn timeouts_after(&self) -> &Timeouts {
        let change = self.credentials_change.as_ref();
        change.and_then(CredentialsChange::timeouts).unwrap_or(&self.timeouts)
    }
}

/// A name for one commit, so that a repetition is recognised: 64 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitId([u8; 8]);

impl CommitId {
    /// Makes an id of these bytes, which should come from a random number generator.
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

/// New credentials for a record: by a login, a rotation or a renewal.
///
/// All three put `to` in the place of the record's credentials. If `from` is given, the record must have exactly
/// these; with others of the same epoch, the store answers [`CommitOutcome::CredentialsChanged`].
///
/// The record is judged by the commit's [`timeouts`](Commit::timeouts). If the change brings `timeouts` of its own, the
/// record lives by those from now on, and this moment counts as its use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialsChange {
    /// A login. The epoch grows by one, and the record counts as created and used now.
    Login {
        /// The only credentials that may be replaced.
        from: Option<Credentials>,
        /// The new credentials.
        to: Credentials,
        /// The record's times from now on, if they change.
        timeouts: Option<Box<Timeouts>>,
    },
    /// A rotation. The epoch grows by one, so that requests which loaded the record before write nothing any more.
    Rotation {
        /// The only credentials that may be replaced.
        from: Option<Credentials>,
        /// The new credentials.
        to: Credentials,
        /// The record's times from now on, if they change.
        timeouts: Option<Box<Timeouts>>,
    },
    /// A renewal: another secret with the same rights. The epoch stays.
    Renewal {
        /// The only credentials that may be replaced.
        from: Credentials,
        /// The new credentials.
        to: Credentials,
        /// The record's times from now on, if they change.
        timeouts: Option<Box<Timeouts>>,
    },
}

impl CredentialsChange {
    /// Makes a login with these new credentials.
    #[must_use]
    pub const fn login(to: Credentials) -> Self {
        Self::Login { from: None, to, timeouts: None }
    }

    /// Makes a rotation to these new credentials.
    #[must_use]
    pub const fn rotation(to: Credentials) -> Self {
        Self::Rotation { from: None, to, timeouts: None }
    }

    /// Makes a renewal that puts the second credentials in the place of the first.
    #[must_use]
    pub const fn renewal(from: Credentials, to: Credentials) -> Self {
        Self::Renewal { from, to, timeouts: None }
    }

    /// Lets the change replace these credentials only.
    #[must_use]
    pub fn in_place_of(mut self, credentials: Credentials) -> Self {
        match &mut self {
            Self::Login { from, .. } | Self::Rotation { from, .. } => *from = Some(credentials),
            Self::Renewal { from, .. } => *from = credentials,
        }
        self
    }

    /// Gives the record other times.
    #[must_use]
    pub fn with_timeouts(mut self, other: Timeouts) -> Self {
        let (Self::Login { timeouts, .. } | Self::Rotation { timeouts, .. } | Self::Renewal { timeouts, .. }) =
            &mut self;
        *timeouts = Some(Box::new(other));
        self
    }

    /// Returns the new credentials.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        let (Self::Login { to, .. } | Self::Rotation { to, .. } | Self::Renewal { to, .. }) = self;
        to
    }

    /// Returns the only credentials that may be replaced; `None` if any may.
    #[must_use]
    pub const fn replaces(&self) -> Option<&Credentials> {
        match self {
            Self::Login { from, .. } | Self::Rotation { from, .. } => from.as_ref(),
            Self::Renewal { from, .. } => Some(from),
        }
    }

    /// Returns the record's times from now on, if they change.
    #[must_use]
    pub fn timeouts(&self) -> Option<&Timeouts> {
        let (Self::Login { timeouts, .. } | Self::Rotation { timeouts, .. } | Self::Renewal { timeouts, .. }) =
            self;
        timeouts.as_deref()
    }

    /// Returns true if the epoch grows: by a login and by a rotation.
    #[must_use]
    pub const fn changes_epoch(&self) -> bool {
        !matches!(self, Self::Renewal { .. })
    }

    /// Returns true if the record counts as created now: by a login.
    #[must_use]
    pub const fn is_login(&self) -> bool {
        matches!(self, Self::Login { .. })
    }
}

/// The answer to [`Store::commit`](super::Store::commit).
///
/// A store that cannot tell if the commit was applied returns an error of kind
/// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// Everything was written. Holds the values of [`Commit::returning`], in its order.
    Applied(Vec<Option<Bytes>>),
    /// There is no such record, or it is dead. Nothing was written.
    NotFound,
    /// The record has another epoch than the commit names. Nothing was written.
    StaleEpoch,
    /// The record has other credentials than those to be replaced, in the same epoch. Nothing was written.
    CredentialsChanged,
    /// The value of this field is not what its operation needs. Nothing was written.
    Invalid(FieldName),
    /// This field is not any more what its operation was to replace. Nothing was written.
    Conflict(FieldName),
}

impl From<DeltaFailure> for CommitOutcome {
    fn from(DeltaFailure { field, reason }: DeltaFailure) -> Self {
        match reason {
            OpFailure::Invalid => Self::Invalid(field),
            OpFailure::Changed => Self::Conflict(field),
        }
    }
}
