//! The events that a layer reports beyond what a response can say.

mod message;
mod properties;
mod sink;
mod throttle;

use std::time::Duration;

pub(crate) use self::sink::Events;
use crate::{
    error::Error,
    value::{FieldName, RecordId},
};

/// A report of a layer: a step in the life of a session, or a fact that an operator should know.
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
        /// True if the request that began it logged a user in.
        is_login: bool,
    },
    /// A session has a new secret, and the old one is worth nothing.
    Rotated {
        /// The record.
        record: RecordId,
        /// The reason.
        cause: RotationCause,
    },
    /// A session has a new secret with the rights of the old one, which is good until a request brings the new one.
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
    /// A session was ended from outside of its own requests, such as by
    /// [`revoke_all`](crate::FoundSessions::revoke_all) or
    /// [`admin_revoke`](crate::SessionLayer::admin_revoke).
    Revoked {
        /// The record.
        record: RecordId,
    },
    /// A session was ended to make room for another login of its user ([`LoginLimit`](crate::LoginLimit)).
    Evicted {
        /// The record.
        record: RecordId,
    },
    /// A login was refused, since its user is logged in to as many sessions as the layer allows.
    SessionLimit {
        /// The record of the request, unless it is new.
        record: Option<RecordId>,
        /// The refusal, and what to do.
        error: &'a Error,
    },
    /// A stored value could not be read as its field's type, or could not be decrypted. By the field's `on_invalid` it
    /// counts as absent, or the request is refused. If it is a right, or if the key of a secret field is not in the
    /// ring, the request sees its record as after a logout.
    UndecodableField {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The field.
        field: &'a FieldName,
        /// The fault and its place. Never the value, which serde's own messages quote.
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
    /// A list had more items than it keeps, so the oldest were removed (`keep_last`, or a hundred).
    ItemsTrimmed {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The list.
        field: &'a FieldName,
        /// The number of items that were removed.
        count: usize,
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
    /// A request came with a secret that was replaced more than a minute ago. A browser that was switched off may do
    /// that, and so does a thief with an old secret.
    Stale {
        /// The record.
        record: RecordId,
    },
    /// A request came with a secret that was never the record's, as far as it remembers.
    Forged {
        /// The record.
        record: RecordId,
    },
    /// A request came with a signed token that is not accepted: it is forged, or its key is revoked or not in the ring
    /// of this layer.
    BadSignature {
        /// The fault, with the key's id.
        reason: &'a str,
    },
    /// A view needs what the layer does not have, contradicts another view, or has no layer at all: every request that
    /// takes it is answered with an error. Or a layer is inside another one with the same cookie, and is ignored.
    Misconfigured {
        /// The fault, and what to write.
        error: &'a Error,
    },
    /// A handler took a view that the layer was not built with
    /// ([`with_views`](crate::SessionLayer::with_views)), and that is plain, so it is used. Reported once for each view
    /// of a layer.
    UnregisteredView {
        /// The view, and what to write.
        error: &'a Error,
    },
    /// A request came with the token of a record that cannot be read. Another program or a later version of this
    /// library wrote it. The token counts as unknown, and the stored record stays.
    UnreadableRecord {
        /// The record.
        record: RecordId,
        /// The reason.
        error: &'a Error,
    },
    /// A record could not be read, so that its request is answered with an error.
    LoadFailed {
        /// The record.
        record: RecordId,
        /// The reason.
        error: &'a Error,
    },
    /// A commit was refused, since another request had rotated or ended the session, or changed what it relied
    /// on. Nothing of it was written.
    Conflict {
        /// The record.
        record: RecordId,
        /// The reason.
        error: &'a Error,
    },
    /// A request from another site came without a token, and the browser may have kept its cookie back
    /// ([`SameSite`](crate::SameSite)). It began no session, since the new cookie would have replaced the browser's own.
    CrossSite {
        /// True if it was a login, which is answered with 403. Otherwise the changes are dropped, and the response is
        /// sent.
        is_login: bool,
        /// The refusal, and what to do.
        error: &'a Error,
    },
    /// A layer with insecure cookies was put around a service. That is for development only
    /// ([`with_insecure_cookies`](crate::SessionLayer::with_insecure_cookies)). Reported once for each layer.
    InsecureCookies {
        /// The consequence, and what to do.
        error: &'a Error,
    },
    /// A response over plain HTTP sets the session's cookie, which is `Secure`. The browser neither keeps nor sends it,
    /// so each request is a new visitor's, and no login lasts. Reported once for each layer.
    CookieOverHttp {
        /// The consequence, and what to do.
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
        /// The time that it took.
        took: Duration,
    },
    /// A commit, destroy or touch did not go through, or its outcome is unknown
    /// ([`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown)). If a value cannot be stored
    /// ([`InvalidField`](crate::ErrorKind::InvalidField)), the error names the field and says why.
    CommitFailed {
        /// The record, unless it is new.
        record: Option<RecordId>,
        /// The reason.
        error: &'a Error,
    },
    /// The clean-up of expired records or of the store's own files failed. The next one is tried all the same.
    PurgeFailed {
        /// The reason.
        error: &'a Error,
    },
    /// Events that were held back, since an event like them was reported a moment before. Their number is reported with a
    /// later event of the layer, or by [`drain`](crate::SessionLayer::drain).
    Repeated {
        /// Their name.
        of: &'static str,
        /// Their level.
        level: EventLevel,
        /// Their record. `None` if they have none, or if they are about many records.
        record: Option<RecordId>,
        /// The number of them.
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

/// The attention that an event needs.
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
