//! The text of an event.

use std::fmt;

use super::{Event, RotationCause};
use crate::value::FieldName;

impl Event<'_> {
    /// Writes what happened and what to do, without the record.
    pub(super) fn write_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            Self::Revoked { .. } => f.write_str("session revoked"),
            Self::Evicted { .. } => f.write_str("session ended to make room for another login of its user"),
            Self::SessionLimit { error, .. } => write!(f, "login refused: {error}"),
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
                f.write_str("session changes dropped, since the request then ended the session or logged its user out: ")?;
                write_fields(f, fields)
            }
            Self::UnsavedChanges { fields, .. } => {
                f.write_str("session changes dropped after the response head left; call `save().await`: ")?;
                write_fields(f, fields)
            }
            Self::ItemsTrimmed { field, count, .. } => {
                write!(f, "session list `{field}` is full, so its {count} oldest items were removed; raise `keep_last`")
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
            Self::UnregisteredView { error } => write!(f, "session view not registered: {error}"),
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

/// One line: what happened, what to do, the store's own error and the record.
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
    use crate::{error::Error, event::EventLevel, value::RecordId};

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
