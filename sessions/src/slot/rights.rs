//! The rights that a record holds, and the changes of its secret.

use crate::value::{Authority, FieldName};

/// The rights that a record holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RecordRights {
    /// Their stored names.
    pub(super) names: Vec<FieldName>,
    /// The one of them that says who is logged in.
    pub(super) identity: Option<FieldName>,
}

/// A change of the record's secret by a write, and its reason. Later variants include earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SecretChange {
    /// The secret stays.
    #[default]
    None,
    /// A new secret with the same powers, by time or on request. The old one stays valid for a moment.
    Renewal,
    /// A new secret, on request or because a right changes. From here on the old one is invalid at once.
    Rotation,
    /// The user who is logged in proves again who they are.
    Reauthentication,
    /// A visitor logs in.
    Login,
    /// A user logs out, or another user takes their place.
    Logout,
}

impl RecordRights {
    /// The rights that the credentials of a record name.
    pub(super) fn of(authority: &Authority) -> Self {
        Self { names: authority.rights.clone(), identity: authority.identity.clone() }
    }

    /// Puts them in the place of those that a record holds.
    pub(super) fn note_in(&self, authority: &mut Authority) {
        authority.rights.clone_from(&self.names);
        authority.identity.clone_from(&self.identity);
    }
}

impl SecretChange {
    /// Makes it at least a rotation.
    pub(super) fn rotate(&mut self) {
        *self = (*self).max(Self::Rotation);
    }

    /// True if the old secret is invalid at once, and the record's epoch goes up.
    pub(super) fn is_rotation(self) -> bool {
        self >= Self::Rotation
    }
}
