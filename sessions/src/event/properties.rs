//! The properties of an event: its name, its level, and what it is about.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Event, EventLevel, throttle::EventKey};
use crate::{error::Error, value::RecordId};

impl Event<'_> {
    /// Returns the name of the variant, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "Created",
            Self::Rotated { .. } => "Rotated",
            Self::Renewed { .. } => "Renewed",
            Self::RightsRemoved { .. } => "RightsRemoved",
            Self::Destroyed { .. } => "Destroyed",
            Self::Revoked { .. } => "Revoked",
            Self::Evicted { .. } => "Evicted",
            Self::SessionLimit { .. } => "SessionLimit",
            Self::UndecodableField { .. } => "UndecodableField",
            Self::UnnamedRight { .. } => "UnnamedRight",
            Self::GrantDropped { .. } => "GrantDropped",
            Self::ChangesDropped { .. } => "ChangesDropped",
            Self::UnsavedChanges { .. } => "UnsavedChanges",
            Self::ItemsTrimmed { .. } => "ItemsTrimmed",
            Self::HandleClosed { .. } => "HandleClosed",
            Self::TwoLiveTokens { .. } => "TwoLiveTokens",
            Self::Expired { .. } => "Expired",
            Self::Superseded { .. } => "Superseded",
            Self::Stale { .. } => "Stale",
            Self::Forged { .. } => "Forged",
            Self::BadSignature { .. } => "BadSignature",
            Self::Misconfigured { .. } => "Misconfigured",
            Self::UnregisteredView { .. } => "UnregisteredView",
            Self::UnreadableRecord { .. } => "UnreadableRecord",
            Self::LoadFailed { .. } => "LoadFailed",
            Self::Conflict { .. } => "Conflict",
            Self::CrossSite { .. } => "CrossSite",
            Self::InsecureCookies { .. } => "InsecureCookies",
            Self::CookieOverHttp { .. } => "CookieOverHttp",
            Self::CachingForbidden { .. } => "CachingForbidden",
            Self::StoreSlow { .. } => "StoreSlow",
            Self::CommitFailed { .. } => "CommitFailed",
            Self::PurgeFailed { .. } => "PurgeFailed",
            Self::Repeated { .. } => "Repeated",
        }
    }

    /// Returns the attention that the event needs.
    #[must_use]
    pub const fn level(&self) -> EventLevel {
        match self {
            Self::Created { is_login: false, .. }
            | Self::Renewed { .. }
            | Self::ItemsTrimmed { .. }
            | Self::Expired { .. }
            | Self::Superseded { .. } => EventLevel::Debug,
            Self::Created { is_login: true, .. }
            | Self::Rotated { .. }
            | Self::RightsRemoved { .. }
            | Self::ChangesDropped { .. }
            | Self::Destroyed { .. }
            | Self::Revoked { .. }
            | Self::Evicted { .. } => EventLevel::Info,
            Self::UndecodableField { .. }
            | Self::UnnamedRight { .. }
            | Self::UnregisteredView { .. }
            | Self::UnreadableRecord { .. }
            | Self::GrantDropped { .. }
            | Self::TwoLiveTokens { .. }
            | Self::Stale { .. }
            | Self::Forged { .. }
            | Self::BadSignature { .. }
            | Self::Conflict { .. }
            | Self::SessionLimit { .. }
            | Self::CrossSite { .. }
            | Self::InsecureCookies { .. }
            | Self::CookieOverHttp { .. }
            | Self::CachingForbidden { .. }
            | Self::StoreSlow { .. }
            | Self::PurgeFailed { .. } => EventLevel::Warn,
            Self::UnsavedChanges { .. }
            | Self::HandleClosed { .. }
            | Self::Misconfigured { .. }
            | Self::LoadFailed { .. }
            | Self::CommitFailed { .. } => EventLevel::Error,
            Self::Repeated { level, .. } => *level,
        }
    }

    /// Returns the record that the event is about, if there is one. Of two, the first.
    #[must_use]
    pub const fn record(&self) -> Option<RecordId> {
        match self {
            Self::Created { record, .. }
            | Self::Rotated { record, .. }
            | Self::Renewed { record }
            | Self::RightsRemoved { record, .. }
            | Self::Destroyed { record }
            | Self::Revoked { record }
            | Self::Evicted { record }
            | Self::UnnamedRight { record, .. }
            | Self::UnreadableRecord { record, .. }
            | Self::Expired { record }
            | Self::Superseded { record }
            | Self::Stale { record }
            | Self::Forged { record }
            | Self::LoadFailed { record, .. }
            | Self::Conflict { record, .. } => Some(*record),
            Self::UndecodableField { record, .. }
            | Self::GrantDropped { record, .. }
            | Self::ChangesDropped { record, .. }
            | Self::UnsavedChanges { record, .. }
            | Self::HandleClosed { record }
            | Self::ItemsTrimmed { record, .. }
            | Self::CommitFailed { record, .. }
            | Self::SessionLimit { record, .. }
            | Self::Repeated { record, .. } => *record,
            Self::TwoLiveTokens { records: [first, _] } => Some(*first),
            Self::BadSignature { .. }
            | Self::Misconfigured { .. }
            | Self::UnregisteredView { .. }
            | Self::CrossSite { .. }
            | Self::InsecureCookies { .. }
            | Self::CookieOverHttp { .. }
            | Self::CachingForbidden { .. }
            | Self::StoreSlow { .. }
            | Self::PurgeFailed { .. } => None,
        }
    }

    /// Returns the error that the event reports, if it reports one.
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        match self {
            Self::Misconfigured { error }
            | Self::UnregisteredView { error }
            | Self::UnreadableRecord { error, .. }
            | Self::CrossSite { error, .. }
            | Self::InsecureCookies { error }
            | Self::CookieOverHttp { error }
            | Self::LoadFailed { error, .. }
            | Self::Conflict { error, .. }
            | Self::SessionLimit { error, .. }
            | Self::CommitFailed { error, .. }
            | Self::PurgeFailed { error } => Some(error),
            _ => None,
        }
    }

    /// Returns what like events have in common, of which only one is reported at a time. `None` for the steps of a
    /// session's life, which are all reported.
    pub(super) fn key(&self) -> Option<EventKey> {
        let mut detail = DefaultHasher::new();
        match self {
            Self::Created { .. }
            | Self::Rotated { .. }
            | Self::Renewed { .. }
            | Self::RightsRemoved { .. }
            | Self::Destroyed { .. }
            | Self::Revoked { .. }
            | Self::Evicted { .. }
            | Self::Repeated { .. } => return None,
            Self::UndecodableField { field, .. }
            | Self::UnnamedRight { field, .. }
            | Self::ItemsTrimmed { field, .. } => {
                field.as_str().hash(&mut detail);
            }
            Self::UnsavedChanges { fields, .. }
            | Self::GrantDropped { fields, .. }
            | Self::ChangesDropped { fields, .. } => {
                for field in fields {
                    field.as_str().hash(&mut detail);
                }
            }
            Self::CachingForbidden { said } => said.hash(&mut detail),
            // It names the field, or what is missing.
            _ => self.error().map(Error::to_string).hash(&mut detail),
        }
        Some(EventKey { name: self.name(), record: self.record(), detail: detail.finish() })
    }
}
