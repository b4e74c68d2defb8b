//! The record of a request, as it was loaded.

use std::{fmt, time::Duration};

use bytes::Bytes;

use super::{
    cookie_change::{hours_needed, max_age},
    field_rules::{FieldClass, Rules},
    options::SessionOptions,
    rights::RecordRights,
};
use crate::{
    clock::Start,
    delta::Delta,
    value::{Authority, Covers, Credentials, FieldName, Fields, RecordId, Secret, Timeouts, Timestamp},
};

/// The record of a request, as far as it is known.
#[derive(Debug, Default)]
pub(super) enum RecordState {
    /// No handle has asked for the session yet.
    #[default]
    Unloaded,
    /// The request has no live record.
    Absent,
    /// The record's secret was replaced a moment ago. Another request has the new one, or is about to get it. A
    /// session that began here would take that one's place.
    Superseded {
        /// Its id.
        id: RecordId,
        /// The options that its credentials keep.
        options: SessionOptions,
    },
    /// The request has this record.
    Live(Box<LiveRecord>),
}

/// A record that the request has the rights to.
#[derive(Clone, Debug)]
pub(super) struct LiveRecord {
    pub(super) id: RecordId,
    pub(super) epoch: u64,
    pub(super) credentials: Credentials,
    /// The meaning of the credentials.
    pub(super) authority: Authority,
    /// The secret that the request came with, or got since.
    pub(super) secret: Secret,
    /// The secret that a renewal by another request leads to: each response to the old secret sends it.
    pub(super) renewed: Option<Secret>,
    /// True if the request came with the secret that a renewal has led to, for the first time.
    pub(super) ends_renewal: bool,
    /// The layer's timeouts for this kind of session, within the session's own lifetime.
    pub(super) timeouts: Timeouts,
    pub(super) created: Timestamp,
    pub(super) touched: Timestamp,
    pub(super) loaded_at: Timestamp,
    /// The time of the load by the clock of this process, which is never set.
    pub(super) since: Start,
    /// True if a login of this request restarted the record: `created` is then by the clock of this process.
    pub(super) began_here: bool,
    pub(super) fields: Fields,
    /// The names that were asked for, prefix names among them; `None` if all fields are here.
    pub(super) names: Option<Vec<FieldName>>,
    /// The secret fields that were opened.
    pub(super) opened: Vec<OpenedSecret>,
    /// The number of the rules by which its rights were examined last.
    pub(super) examined: usize,
    /// True if a right cannot be read. The request then sees the record as after a logout, and `fields` are what
    /// that leaves.
    pub(super) is_withheld: bool,
}

/// A secret field that the request knows in plain, and its stored form.
#[derive(Clone)]
pub(super) struct OpenedSecret {
    pub(super) name: FieldName,
    pub(super) value: Bytes,
    pub(super) stored: Bytes,
}

impl RecordState {
    pub(super) const fn live(&self) -> Option<&LiveRecord> {
        match self {
            Self::Live(live) => Some(live),
            Self::Unloaded | Self::Absent | Self::Superseded { .. } => None,
        }
    }

    /// The record of this id, if the request still has it.
    pub(super) fn live_mut(&mut self, id: RecordId) -> Option<&mut LiveRecord> {
        match self {
            Self::Live(live) if live.id == id => Some(live),
            _ => None,
        }
    }

    /// A field as it was loaded.
    pub(super) fn loaded(&self, name: &FieldName) -> Option<&Bytes> {
        self.live()?.fields.get(name.as_str())
    }

    /// A field as it was loaded, unless it is one of those that go.
    pub(super) fn left(&self, name: &FieldName, dropped: &[FieldName]) -> Option<&Bytes> {
        self.loaded(name).filter(|_| !dropped.covers(name))
    }

    /// The class of a field, by what the views say and what the record says of its rights.
    pub(super) fn class(&self, name: &FieldName, rules: &Rules) -> FieldClass {
        let noted = match self.live().map(|live| &live.authority) {
            Some(authority) if authority.identity.as_ref() == Some(name) => FieldClass::Identity,
            Some(authority) if authority.rights.contains(name) => FieldClass::Privilege,
            _ => FieldClass::Plain,
        };
        noted.strongest(rules.of(name))
    }

    /// The rights that the record holds.
    pub(super) fn rights(&self) -> RecordRights {
        self.live().map(|live| RecordRights::of(&live.authority)).unwrap_or_default()
    }

    /// The names of the fields that outlive a logout.
    pub(super) fn kept_on_logout(&self, rules: &Rules) -> Vec<FieldName> {
        self.live().map_or_else(|| rules.names(FieldClass::KeepOnLogout), |live| live.kept_on_logout(rules))
    }

    /// True if the request sees the record as after a logout, and the record is not.
    pub(super) fn is_withheld(&self) -> bool {
        self.live().is_some_and(|live| live.is_withheld)
    }
}

impl LiveRecord {
    /// The store's time now, or somewhat before it.
    pub(super) fn now(&self) -> Timestamp {
        self.loaded_at.saturating_add(self.since.elapsed())
    }

    /// Notes what is known of the fields after a commit that was applied: its changes, and the values that the store
    /// returned.
    pub(super) fn update_fields(
        &mut self,
        delta: Option<&Delta>,
        names: &[FieldName],
        values: &[Option<Bytes>],
        rules: &Rules,
    ) {
        // Applied to what was loaded. The store applied it to what was there, which may be newer.
        if let Some(delta) = delta {
            let _ = delta.unconditional().apply(&mut self.fields);
        }
        // Of a withheld record the request sees its own changes, and what outlives a logout.
        let shown = self.is_withheld.then(|| self.kept_on_logout(rules));
        let is_shown = |name: &FieldName| shown.as_ref().is_none_or(|shown| shown.covers(name));
        for (name, value) in names.iter().zip(values).filter(|(name, _)| is_shown(name)) {
            match value {
                Some(value) => self.fields.insert(name.clone(), value.clone()),
                None => self.fields.remove(name.as_str()),
            }
        }
    }

    pub(super) fn holds_rights(&self) -> bool {
        !self.authority.rights.is_empty()
    }

    /// True if the secret is at least this old and may be renewed: two renewals at once are one too many.
    pub(super) fn may_be_renewed(&self, age: Duration) -> bool {
        let since = self.authority.secret_since().unwrap_or(self.created);
        !self.is_withheld && !self.authority.is_renewing() && self.now().saturating_since(since) >= age
    }

    /// True if the browser may forget the cookie before the record ends.
    pub(super) fn outlives_cookie(&self) -> bool {
        let cookie_hours = self.authority.cookie_hours;
        if !self.authority.has_lasting_cookie()
            || self.timeouts.absolute() <= Duration::from_hours(cookie_hours.into())
        {
            return false;
        }
        let age = self.loaded_at.saturating_since(self.created);
        hours_needed(&self.timeouts, age) > cookie_hours
    }

    /// The names of the fields that outlive a logout. A field that one view keeps on logout and the record calls a
    /// right does not.
    pub(super) fn kept_on_logout(&self, rules: &Rules) -> Vec<FieldName> {
        kept_on_logout(&self.authority, rules)
    }

    /// The time for which the browser keeps a cookie; `None` until it is closed.
    pub(super) fn max_age(&self) -> Option<Duration> {
        let age = self.loaded_at.saturating_since(self.created);
        self.authority.has_lasting_cookie().then(|| max_age(&self.timeouts, age))
    }

    /// These names, and those of all fields that are here. Of collections these are the prefix names: entries may have
    /// come since.
    pub(super) fn with_names(&self, names: &[FieldName]) -> Vec<FieldName> {
        let mut all = self.names.clone().unwrap_or_else(|| {
            let collected = |name: &FieldName| name.prefix().map_or_else(|| name.clone(), FieldName::from);
            let mut here: Vec<_> = self.fields.iter().map(|(name, _)| collected(name)).collect();
            // The fields are sorted, so the entries of a collection follow each other.
            here.dedup();
            here
        });
        for name in names {
            if !all.covers(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// Those of these names that were not asked for.
    pub(super) fn missing(&self, names: &[FieldName]) -> Vec<FieldName> {
        match &self.names {
            None => Vec::new(),
            Some(known) => names.iter().filter(|name| !known.covers(name)).cloned().collect(),
        }
    }

    /// True if no secret field among these is still to be opened.
    pub(super) fn are_open(&self, names: &[FieldName], rules: &Rules) -> bool {
        let is_open = |name: &FieldName| self.opened.iter().any(|known| known.name == *name);
        !rules.has_secrets() || self.stored(names).all(|name| !rules.is_secret(name) || is_open(name))
    }

    /// The names of the fields here that these names cover: a prefix name stands for each entry of its collection.
    pub(super) fn stored(&self, names: &[FieldName]) -> impl Iterator<Item = &FieldName> {
        names.iter().flat_map(|name| {
            let beginning = self.fields.starting_with(name.as_str()).map(|(stored, _)| stored);
            // The names that begin with another one come after it.
            beginning.take_while(move |stored| name.covers(stored))
        })
    }
}

/// The names of the fields that outlive a logout of a record with these credentials.
pub(super) fn kept_on_logout(authority: &Authority, rules: &Rules) -> Vec<FieldName> {
    let mut kept = rules.names(FieldClass::KeepOnLogout);
    kept.retain(|name| !authority.rights.contains(name));
    kept
}

impl fmt::Debug for OpenedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenedSecret").field(&self.name).finish()
    }
}
