//! The outcome of a handler for its session.

use std::fmt;

use super::super::{
    Call, Operation,
    client::Response,
    open_request::{OpenRequest, TestedView},
};
use crate::{
    ErrorKind, TypedSession,
    handle::table::Shape,
    store::{MemoryStore, Store},
    value::{Credentials, FieldName, Fields, RecordId},
};

/// The outcome of a handler for its session: what the [`TestSession`](super::TestSession)'s store and browser have
/// after the response. Fields go by their stored names, in alphabetical order.
#[must_use]
pub struct TestOutcome<V: TestedView> {
    pub(super) response: Response,
    pub(super) before: Option<StoredSession>,
    pub(super) after: Option<StoredSession>,
    /// True if the record from before is there no more.
    pub(super) is_gone: bool,
    pub(super) calls: Vec<Call>,
    pub(super) events: Vec<String>,
    pub(super) session: TypedSession<V>,
    /// The request whose session that is. It never ends.
    pub(super) _next: OpenRequest,
}

/// The record of a session at one moment.
#[derive(Debug)]
pub(super) struct StoredSession {
    pub(super) id: RecordId,
    epoch: u64,
    credentials: Credentials,
    fields: Fields,
}

impl StoredSession {
    pub(super) async fn load(store: &MemoryStore, id: Option<RecordId>) -> Option<Self> {
        let id = id?;
        // The store in memory returns every field if it is asked for any.
        let any = [FieldName::from_static("any")];
        let loaded = store.load(id, &any).await.expect("a store in memory")?;
        Some(Self { id, epoch: loaded.epoch, credentials: loaded.credentials, fields: loaded.fields })
    }
}

impl<V: TestedView> TestOutcome<V> {
    /// Returns the response as the layer sent it: an error in place of the handler's, if the changes were refused.
    pub const fn response(&self) -> &Response {
        &self.response
    }

    /// Returns the status of the response.
    pub const fn status(&self) -> http::StatusCode {
        self.response.status()
    }

    /// Returns the body of the response as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    pub fn text(&self) -> &str {
        self.response.text()
    }

    /// Returns the kind of the session's error, if that is the response: of the layer, an extractor or a `save()`.
    pub const fn error(&self) -> Option<ErrorKind> {
        self.response.session_error()
    }

    /// Returns the session as the browser's next request sees it.
    ///
    /// It only reads: what is changed in it is dropped.
    pub const fn session(&self) -> &TypedSession<V> {
        &self.session
    }

    /// Returns the fields that are stored otherwise than before, other than flashes of this view: put, changed or removed.
    ///
    /// All that the request made of them counts, at a `save()` and at its end, and what other requests changed meanwhile.
    pub fn changed(&self) -> Vec<&str> {
        self.differing(|name, _, _| !Self::is_flash(name))
    }

    /// Returns the flashes of this view that were there before and are delivered: no later page gets them.
    pub fn taken(&self) -> Vec<&str> {
        self.differing(|name, before, _| Self::is_flash(name) && before.is_some())
    }

    /// Returns the flashes of this view that the next page gets and that were not there before.
    pub fn flashed(&self) -> Vec<&str> {
        self.differing(|name, _, after| Self::is_flash(name) && after.is_some())
    }

    /// Returns true if the session has another secret and its old cookie is worth nothing: by a login, a logout, another
    /// change of a right, or `rotate()`.
    pub fn was_rotated(&self) -> bool {
        self.same_record().is_some_and(|(before, after)| before.epoch != after.epoch)
    }

    /// Returns true if the session has another secret with the same powers, or will have it once the browser brings it.
    pub fn was_renewed(&self) -> bool {
        let is_renewed =
            |(before, after): (&StoredSession, &StoredSession)| before.credentials != after.credentials;
        !self.was_rotated() && self.same_record().is_some_and(is_renewed)
    }

    /// Returns true if a session began.
    pub fn was_created(&self) -> bool {
        self.after.is_some() && self.same_record().is_none()
    }

    /// Returns true if the session from before has ended.
    pub const fn was_destroyed(&self) -> bool {
        self.is_gone
    }

    /// Returns true if a user is logged in, by the field marked `identity`.
    pub fn is_logged_in(&self) -> bool {
        self.session.authenticated_at().is_some()
    }

    /// Returns true if the request wrote nothing to the store, not even that it used the session.
    pub fn wrote_nothing(&self) -> bool {
        let is_read = |call: &Call| matches!(call.operation(), Operation::Load | Operation::Purge);
        self.calls.iter().all(is_read)
    }

    /// Returns the calls of the store, in their order.
    pub fn store_calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the events of the layer, each as its name and its message.
    pub fn events(&self) -> &[String] {
        &self.events
    }

    /// Returns the record before and after, if it is the same one.
    fn same_record(&self) -> Option<(&StoredSession, &StoredSession)> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        (before.id == after.id).then_some((before, after))
    }

    /// Returns the names of the fields that differ and that `is_meant` picks, by the values before and after.
    fn differing(&self, is_meant: impl Fn(&str, Option<&[u8]>, Option<&[u8]>) -> bool) -> Vec<&str> {
        let fields = |stored: &Option<StoredSession>| stored.as_ref().map(|stored| stored.fields.clone());
        let (before, after) =
            (fields(&self.before).unwrap_or_default(), fields(&self.after).unwrap_or_default());
        let sessions = [&self.before, &self.after].into_iter().flatten();
        let mut names: Vec<_> =
            sessions.flat_map(|stored| stored.fields.iter().map(|(name, _)| name.as_str())).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| {
            let (before, after) =
                (before.get(name).map(|value| &**value), after.get(name).map(|value| &**value));
            before != after && is_meant(name, before, after)
        });
        names
    }

    fn is_flash(name: &str) -> bool {
        let fields = V::__table().fields;
        fields
            .iter()
            .any(|field| field.shape == Shape::Flash && (field.name == name || field.aliases.contains(&name)))
    }
}

impl<V: TestedView> fmt::Debug for TestOutcome<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestOutcome")
            .field("status", &self.status())
            .field("changed", &self.changed())
            .field("taken", &self.taken())
            .field("flashed", &self.flashed())
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
