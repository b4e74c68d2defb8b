//! What a layer reports beyond what a response can say.

mod sink;
mod throttle;

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

pub(crate) use self::sink::Events;
use self::throttle::Key;
use crate::{
    error::Error,
    value::{FieldName, RecordId},
};

/// Something that a layer reports: a step in the life of a session, or something that an operator should know.
///
/// Events go to `tracing` (feature `tracing`, on by default) and to the hook of the application
/// ([`SessionLayer::with_event_hook`](crate::SessionLayer::with_event_hook)). With neither, nothing is
/// reported anywhere. Records appear by their public id only, and no event shows a token, a secret or a
/// field's value.
///
/// All steps of a session's life are reported: [`Created`](Self::Created), [`Rotated`](Self::Rotated),
/// [`Renewed`](Self::Renewed), [`RightsRemoved`](Self::RightsRemoved) and [`Destroyed`](Self::Destroyed).
/// Other events may repeat. Of those with the same name, record, and field or error, one is reported in a second
/// ([`with_event_interval`](crate::SessionLayer::with_event_interval)). The number of the rest follows as
/// [`Repeated`](Self::Repeated). A metric therefore counts each event as one, and adds
/// [`times`](Self::Repeated::times) to the name in [`of`](Self::Repeated::of).
///
/// ```
/// use sessions::{Event, SessionLayer, store::MemoryStore};
///
/// # fn count(name: &str, times: u64) {}
/// let layer = SessionLayer::new(MemoryStore::new()).with_event_hook(|event| match event {
///     Event::Repeated { of, times, .. } => count(of, *times),
///     _ => count(event.name(), 1),
/// });
/// # let _ = layer;
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A session began: it has something in it, and its cookie is on the way.
    Created {
        /// The record.
        record: RecordId,
        /// Whether the request that began it logged a user in.
        is_login: bool,
    },
    /// A session has a new secret, and the old one is worth nothing.
    Rotated {
        /// The record.
        record: RecordId,
        /// Why.
        cause: RotationCause,
    },
    /// A session has a new secret with the powers of the old one, which is good until the new one is seen.
    Renewed {
        /// The record.
        record: RecordId,
    },
    /// Rights were taken away from a session, and its secret stays. Either another request had rotated the secret
    /// meanwhile, or no response was left to send a cookie. The secret opens what is left: without a login, a
    /// visitor's session.
    RightsRemoved {
        /// The record.
        record: RecordId,
        /// The rights.
        fields: Vec<FieldName>,
    },
    /// A session was ended by its user or the application.
    Destroyed {
        /// The record.
        record: RecordId,
    },
    /// A stored value could not be read as its field's type, or could not be decrypted. By the field's `on_invalid` it
    /// counts as absent, or the request is refused. If it is a right, or if the key of a secret field is not in the
    /// ring, the request sees its record as after a logout.
    UndecodableField {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The field.
        field: &'a FieldName,
        /// What is wrong, and where. Never the value, which serde's own messages quote.
        reason: &'a str,
    },
    /// A view declares a stored field as a right, but the record does not list it among its rights. Another view,
    /// version or program wrote it, which did not declare it as a right. It counts as absent.
    UnnamedRight {
        /// The record.
        record: RecordId,
        /// The field.
        field: &'a FieldName,
    },
    /// A request was answered with a 4xx, and had set rights without saving them. These rights are not granted. If
    /// there was a login among them, what the request changed after it is dropped too.
    GrantDropped {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The rights.
        fields: Vec<FieldName>,
    },
    /// A request had changed fields, and then ended the session or logged its user out. The changes are dropped.
    ChangesDropped {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The fields.
        fields: Vec<FieldName>,
    },
    /// Changes were dropped because the response head had left: save them with `save().await`.
    UnsavedChanges {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The fields that were changed.
        fields: Vec<FieldName>,
    },
    /// A handle no longer shows its fields, until it is borrowed mutably. Another handle of the same request had
    /// changed fields some sixty times since it last was. In a loop, call `reload().await` on it, or use one handle.
    HandleClosed {
        /// The record, unless it is new.
        record: Option<RecordId>,
    },
    /// A request sent two live tokens of this layer's cookie; neither was used.
    TwoLiveTokens {
        /// Their records.
        records: [RecordId; 2],
    },
    /// A request came with a session's own token, and the session is over.
    Expired {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was replaced a moment ago: it has no rights and gets no cookie, since
    /// another request has the new one.
    Superseded {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was replaced more than a minute ago. A browser that was switched off
    /// may do that, and so does who has stolen an old one.
    Stale {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was never the record's, as far as it remembers.
    Forged {
        /// The record.
        record: RecordId,
    },
    /// A request came with a signed token that is not taken: somebody made it up, or its key is not in the ring of
    /// this layer, or revoked.
    BadSignature {
        /// What is wrong, with the key's id.
        reason: &'a str,
    },
    /// A view needs what the layer does not have, contradicts another view, or has no layer at all: every request that
    /// takes it is answered with an error. Or a layer is inside another one with the same cookie, and is ignored.
    Misconfigured {
        /// What is wrong, and what to write.
        error: &'a Error,
    },
    /// A request came with the token of a record that cannot be read. Another program or a later version of this
    /// library wrote it. The token counts as unknown, and the stored record stays.
    UnreadableRecord {
        /// The record.
        record: RecordId,
        /// Why.
        error: &'a Error,
    },
    /// A record could not be read, so that its request is answered with an error.
    LoadFailed {
        /// The record.
        record: RecordId,
        /// Why.
        error: &'a Error,
    },
    /// A commit was refused, since another request had rotated or ended the session, or changed what it relied
    /// on. Nothing of it was written.
    Conflict {
        /// The record.
        record: RecordId,
        /// Why.
        error: &'a Error,
    },
    /// A request from another site came without a token, and the browser may have kept its cookie back
    /// ([`SameSite`](crate::SameSite)). It began no session, since the new cookie would have replaced the browser's own.
    CrossSite {
        /// Whether it was a login, which is answered with 403. Otherwise the changes are dropped, and the
        /// response is sent.
        is_login: bool,
        /// What was refused, and what to do.
        error: &'a Error,
    },
    /// A layer with insecure cookies was put around a service. That is for development only
    /// ([`with_insecure_cookies`](crate::SessionLayer::with_insecure_cookies)). Reported once for each layer.
    InsecureCookies {
        /// What that means, and what to do.
        error: &'a Error,
    },
    /// A response over plain HTTP sets the session's cookie, which is `Secure`. The browser neither keeps nor sends it,
    /// so each request is a new visitor's, and no login lasts. Reported once for each layer.
    CookieOverHttp {
        /// What that means, and what to do.
        error: &'a Error,
    },
    /// A response sets the session's cookie, and its headers allowed shared caches to keep it. It was sent as
    /// `private, no-store` instead.
    CachingForbidden {
        /// The headers that allowed it, which were replaced or removed.
        said: &'a str,
    },
    /// The store took more than a tenth of the time it has for one operation
    /// ([`with_store_timeout`](crate::SessionLayer::with_store_timeout)).
    StoreSlow {
        /// How long it took.
        took: Duration,
    },
    /// A commit, destroy or touch did not go through, or nobody knows whether it did
    /// ([`Unknown`](crate::ErrorKind::OutcomeUnknown)). If a value cannot be stored
    /// ([`InvalidField`](crate::ErrorKind::InvalidField)), the error names the field and says why.
    CommitFailed {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// Why.
        error: &'a Error,
    },
    /// The clean-up of expired records or of the store's own files failed. The next one is tried all the same.
    PurgeFailed {
        /// Why.
        error: &'a Error,
    },
    /// Events that were held back, since a like one was reported a moment before. Their number is reported with a
    /// later event of the layer, or by [`drain`](crate::SessionLayer::drain).
    Repeated {
        /// Their name.
        of: &'static str,
        /// Their level.
        level: EventLevel,
        /// Their record. `None` if they have none, or if they are about many records.
        record: Option<RecordId>,
        /// How many there were.
        times: u64,
    },
}

/// The reason for a new secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationCause {
    /// A user logged in, where none was logged in before.
    Login,
    /// The user who is logged in proved their identity again.
    Reauthentication,
    /// The user logged out, or another user logged in.
    Logout,
    /// Another right changed, or the application asked for it.
    Other,
}

/// How much attention an event needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventLevel {
    /// Of use while looking for a fault.
    Debug,
    /// A step that an audit wants to see: a login, a logout.
    Info,
    /// An attack, or a fault that the library recovered from.
    Warn,
    /// A request failed, or data was dropped.
    Error,
}

impl Event<'_> {
    /// The name of the variant, for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "Created",
            Self::Rotated { .. } => "Rotated",
            Self::Renewed { .. } => "Renewed",
            Self::RightsRemoved { .. } => "RightsRemoved",
            Self::Destroyed { .. } => "Destroyed",
            Self::UndecodableField { .. } => "UndecodableField",
            Self::UnnamedRight { .. } => "UnnamedRight",
            Self::GrantDropped { .. } => "GrantDropped",
            Self::ChangesDropped { .. } => "ChangesDropped",
            Self::UnsavedChanges { .. } => "UnsavedChanges",
            Self::HandleClosed { .. } => "HandleClosed",
            Self::TwoLiveTokens { .. } => "TwoLiveTokens",
            Self::Expired { .. } => "Expired",
            Self::Superseded { .. } => "Superseded",
            Self::Stale { .. } => "Stale",
            Self::Forged { .. } => "Forged",
            Self::BadSignature { .. } => "BadSignature",
            Self::Misconfigured { .. } => "Misconfigured",
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

    /// How much attention it needs.
    #[must_use]
    pub const fn level(&self) -> EventLevel {
        match self {
            Self::Created { is_login: false, .. }
            | Self::Renewed { .. }
            | Self::Expired { .. }
            | Self::Superseded { .. } => EventLevel::Debug,
            Self::Created { is_login: true, .. }
            | Self::Rotated { .. }
            | Self::RightsRemoved { .. }
            | Self::ChangesDropped { .. }
            | Self::Destroyed { .. } => EventLevel::Info,
            Self::UndecodableField { .. }
            | Self::UnnamedRight { .. }
            | Self::UnreadableRecord { .. }
            | Self::GrantDropped { .. }
            | Self::TwoLiveTokens { .. }
            | Self::Stale { .. }
            | Self::Forged { .. }
            | Self::BadSignature { .. }
            | Self::Conflict { .. }
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

    /// The record that the event is about, if there is one. Of two, the first.
    #[must_use]
    pub const fn record(&self) -> Option<RecordId> {
        match self {
            Self::Created { record, .. }
            | Self::Rotated { record, .. }
            | Self::Renewed { record }
            | Self::RightsRemoved { record, .. }
            | Self::Destroyed { record }
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
            | Self::CommitFailed { record, .. }
            | Self::Repeated { record, .. } => *record,
            Self::TwoLiveTokens { records: [first, _] } => Some(*first),
            Self::BadSignature { .. }
            | Self::Misconfigured { .. }
            | Self::CrossSite { .. }
            | Self::InsecureCookies { .. }
            | Self::CookieOverHttp { .. }
            | Self::CachingForbidden { .. }
            | Self::StoreSlow { .. }
            | Self::PurgeFailed { .. } => None,
        }
    }

    /// The error that it reports, if it reports one.
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        match self {
            Self::Misconfigured { error }
            | Self::UnreadableRecord { error, .. }
            | Self::CrossSite { error, .. }
            | Self::InsecureCookies { error }
            | Self::CookieOverHttp { error }
            | Self::LoadFailed { error, .. }
            | Self::Conflict { error, .. }
            | Self::CommitFailed { error, .. }
            | Self::PurgeFailed { error } => Some(error),
            _ => None,
        }
    }

    /// What makes it one of those that may be held back; `None` for the steps of a session's life.
    fn key(&self) -> Option<Key> {
        let mut detail = DefaultHasher::new();
        match self {
            Self::Created { .. }
            | Self::Rotated { .. }
            | Self::Renewed { .. }
            | Self::RightsRemoved { .. }
            | Self::Destroyed { .. }
            | Self::Repeated { .. } => return None,
            Self::UndecodableField { field, .. } | Self::UnnamedRight { field, .. } => {
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
        Some(Key { name: self.name(), record: self.record(), detail: detail.finish() })
    }

    /// What happened and what to do, without the record.
    fn write_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { is_login: false, .. } => f.write_str("session created"),
            Self::Created { is_login: true, .. } => f.write_str("session created by a login"),
            Self::Rotated { cause: RotationCause::Login, .. } => f.write_str("session rotated by a login"),
            Self::Rotated { cause: RotationCause::Reauthentication, .. } => {
                f.write_str("session rotated by a repeated login")
            }
            Self::Rotated { cause: RotationCause::Logout, .. } => f.write_str("session rotated by a logout"),
            Self::Rotated { cause: RotationCause::Other, .. } => f.write_str("session rotated"),
            Self::Renewed { .. } => f.write_str("session renewed"),
            Self::Destroyed { .. } => f.write_str("session destroyed"),
            Self::UndecodableField { field, reason, .. } => {
                write!(f, "stored session field `{field}` does not decode: {reason}")
            }
            Self::UnnamedRight { field, .. } => {
                write!(
                    f,
                    "stored field `{field}` is a right that its session does not name, so it counts as absent"
                )
            }
            Self::RightsRemoved { fields, .. } => {
                f.write_str("rights taken away from a session that keeps its secret: ")?;
                write_fields(f, fields)
            }
            Self::GrantDropped { fields, .. } => {
                f.write_str("rights not granted, since the request was answered with a 4xx: ")?;
                write_fields(f, fields)
            }
            Self::ChangesDropped { fields, .. } => {
                f.write_str("session changes dropped with the session or the user whose they were: ")?;
                write_fields(f, fields)
            }
            Self::UnsavedChanges { fields, .. } => {
                f.write_str("session changes dropped after the response head left; call `save().await`: ")?;
                write_fields(f, fields)
            }
            Self::HandleClosed { .. } => f.write_str(
                "session handle shows no fields until it is borrowed mutably; call `reload().await` in a loop",
            ),
            Self::TwoLiveTokens { records: [_, second] } => {
                write!(f, "two live session tokens in one request, using neither; the other is {second}")
            }
            Self::Expired { .. } => f.write_str("session expired"),
            Self::Superseded { .. } => f.write_str("session token replaced a moment ago"),
            Self::Stale { .. } => f.write_str("session token replaced long ago"),
            Self::Forged { .. } => f.write_str("forged session token"),
            Self::BadSignature { reason } => write!(f, "session token with a bad signature: {reason}"),
            Self::Misconfigured { error } => write!(f, "session layer misconfigured: {error}"),
            Self::UnreadableRecord { error, .. } => {
                write!(f, "session cannot be read, so its token counts as unknown: {error}")
            }
            Self::LoadFailed { error, .. } => write!(f, "session load failed: {error}"),
            Self::Conflict { error, .. } => write!(f, "session commit refused: {error}"),
            Self::CrossSite { error, .. } => write!(f, "session refused: {error}"),
            Self::InsecureCookies { error } => write!(f, "session cookies are insecure: {error}"),
            Self::CookieOverHttp { error } => write!(f, "session cookie lost: {error}"),
            Self::CachingForbidden { said } => write!(
                f,
                "response with a session cookie kept from shared caches, though it said `{said}`; leave that out \
                 where a session begins or ends"
            ),
            Self::StoreSlow { took } => write!(f, "session store slow: it took {took:?}"),
            Self::CommitFailed { error, .. } => write!(f, "session commit failed: {error}"),
            Self::PurgeFailed { error } => write!(f, "session purge failed: {error}"),
            Self::Repeated { of, times, .. } => write!(f, "{times} more events `{of}` were held back"),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[FieldName]) -> fmt::Result {
    for (index, field) in fields.iter().enumerate() {
        write!(f, "{}`{field}`", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

/// What happened, what to do, the store's own error and the record, in one line.
impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_message(f)?;
        if let Some(source) = self.error().and_then(std::error::Error::source) {
            write!(f, ": {source}")?;
        }
        self.record().map_or(Ok(()), |record| write!(f, " (record {record})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    #[test]
    fn logins_and_logouts_are_told_from_visitors() {
        let record = id(1);
        assert_eq!(Event::Created { record, is_login: false }.level(), EventLevel::Debug);
        assert_eq!(Event::Created { record, is_login: true }.level(), EventLevel::Info);
        let rotated = Event::Rotated { record, cause: RotationCause::Login };
        assert_eq!(rotated.level(), EventLevel::Info);
        assert_eq!(rotated.to_string(), format!("session rotated by a login (record {record})"));
    }

    #[test]
    fn a_line_names_the_error_its_source_and_the_record() {
        let error = Error::unavailable("connection refused");
        let event = Event::LoadFailed { record: id(1), error: &error };
        let line = format!(
            "session load failed: the session store is unavailable: connection refused (record {})",
            id(1)
        );
        assert_eq!((event.to_string(), event.name(), event.record()), (line, "LoadFailed", Some(id(1))));
    }
}
