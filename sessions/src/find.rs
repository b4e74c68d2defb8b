//! Sessions found by the value of an indexed field: a user's devices, to be listed and ended.

use std::{any::Any, fmt, marker::PhantomData, sync::Arc, time::SystemTime};

use crate::{
    error::{Error, json_reason},
    handle::{
        Handle, check_view,
        table::{Field, Shape, Table},
    },
    layer::SessionLayer,
    slot::{FoundRecord, IndexedValue, LayerContext, Slot},
    value::{Fields, RecordId},
    view::SessionView,
};

/// A view with an indexed field: sessions can be found by it.
///
/// [`derive(Session)`](macro@crate::Session) implements it for a view with a field marked `identity` or `index`.
#[diagnostic::on_unimplemented(
    message = "sessions cannot be found by a field of `{Self}`",
    label = "no field is indexed",
    note = "write `#[session(identity)]` above the field that says who is logged in, or `#[session(index)]` above another one"
)]
pub trait IndexedView: SessionView {
    /// The type with a method for each indexed field: `by_user_id(&id)` for a field `user_id`.
    type Sessions;

    #[doc(hidden)]
    fn __sessions(finder: SessionFinder) -> Self::Sessions;

    #[doc(hidden)]
    fn __read(fields: &RecordReader) -> Self;
}

impl SessionLayer {
    /// Finds sessions by an indexed field of the view, outside of any request too. In a handler,
    /// `session.sessions()` does the same and knows which session is the current one.
    ///
    /// ```
    /// use sessions::{Error, Session, SessionLayer, store::MemoryStore};
    ///
    /// #[derive(Session)]
    /// struct Account {
    ///     #[session(identity)] // indexed, too
    ///     user_id: Option<u64>,
    ///     device: String,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let layer = SessionLayer::new(MemoryStore::new());
    /// let sessions = layer.sessions::<Account>().by_user_id(&7);
    /// for session in sessions.list().await? {
    ///     println!("{} {} {:?}", session.record_id(), session.fields().device, session.last_used_at());
    /// }
    /// sessions.revoke_all().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sessions<V: IndexedView>(&self) -> V::Sessions {
        V::__sessions(SessionFinder { context: Arc::clone(self.context()), slot: None })
    }

    /// Ends a session of any user. To end a session of one user by an id that came with a request, use
    /// [`FoundSessions::revoke`], which checks the owner.
    ///
    /// A record that is not there is no error.
    ///
    /// # Errors
    ///
    /// Those of the store: [`Unavailable`](crate::ErrorKind::Unavailable) if the session goes on,
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if it may.
    pub async fn admin_revoke(&self, record: RecordId) -> Result<(), Error> {
        self.context().end_any_session(record).await
    }
}

impl Handle {
    #[doc(hidden)]
    #[must_use]
    pub fn __finder(&self) -> SessionFinder {
        let slot = self.slot();
        SessionFinder { context: Arc::clone(slot.context()), slot: Some(Arc::clone(slot)) }
    }
}

/// The way from a layer, or a request, to sessions of other requests. Not public API.
#[derive(Clone)]
pub struct SessionFinder {
    context: Arc<LayerContext>,
    slot: Option<Arc<Slot>>,
}

impl SessionFinder {
    #[doc(hidden)]
    pub fn __by<V: IndexedView, T: Any + Send + Sync>(&self, index: usize, value: &T) -> FoundSessions<V> {
        let value = indexed_value(&self.context, V::__table(), index, value);
        FoundSessions { finder: self.clone(), value, view: PhantomData }
    }
}

fn indexed_value(
    context: &LayerContext,
    table: &'static Table,
    index: usize,
    value: &(dyn Any + Send + Sync),
) -> Result<IndexedValue, Error> {
    check_view(table, context)?;
    if context.store.index().is_none() {
        return Err(Error::without_index());
    }
    let field = &table.fields[index];
    let mut json = Vec::new();
    (field.codec.encode)(value, &mut json)
        .map_err(|error| Error::invalid_field(&field.name(), &format!("is {}", json_reason(&error))))?;
    let names = std::iter::once(field.name()).chain(field.aliases.iter().map(|name| (*name).into()));
    Ok(IndexedValue::new(&context.purpose, names.collect(), json.into(), field.class.is_right()))
}

/// The sessions that have one value in an indexed field, such as those of one user.
///
/// Each call asks the store anew. A listing may be a moment old when it is shown. Ending sessions is strict: none that
/// was there, and none whose login began before, goes on.
#[must_use]
pub struct FoundSessions<V> {
    finder: SessionFinder,
    /// An error is that of the first call.
    value: Result<IndexedValue, Error>,
    view: PhantomData<fn() -> V>,
}

impl<V: IndexedView> FoundSessions<V> {
    /// Returns the living sessions, with the fields of the view. Those that were created first come first.
    ///
    /// A field marked `secret` is not decrypted for a listing, and reads as absent. So do collections whose entries are
    /// fields of their own, flashes, and values that do not decode.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the store has no index or the view contradicts another one, or
    /// [`Unavailable`](crate::ErrorKind::Unavailable).
    pub async fn list(&self) -> Result<Vec<SessionInfo<V>>, Error> {
        let table = V::__table();
        let records = self.finder.context.find_records(self.value()?, table.names()).await?;
        let current = self.current();
        let mut found: Vec<_> =
            records.into_iter().map(|record| SessionInfo::new(record, table, current)).collect();
        found.sort_by_key(|session| session.record.created);
        Ok(found)
    }

    /// Returns the number of living sessions.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list).
    pub async fn count(&self) -> Result<usize, Error> {
        Ok(self.finder.context.find_records(self.value()?, &[]).await?.len())
    }

    /// Ends one of the sessions by its public id. Returns false if there is none with this id, or if it is not one of
    /// these: another user's session is never ended. The check is part of the operation that ends it.
    ///
    /// # Errors
    ///
    /// As [`list`](Self::list), and [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if the session may go on.
    pub async fn revoke(&self, record: RecordId) -> Result<bool, Error> {
        self.finder.context.end_session(self.value()?, record).await
    }

    /// Ends all of the sessions (OWASP ASVS 5.0, 7.4.3 and 7.4.5). Returns their number.
    ///
    /// A login under way that began before this call is refused with 409, on every instance. One that begins after it
    /// succeeds. The order on the store's clock counts, to the millisecond. In a handler, the session of the request is
    /// ended with the others. A later login by this very request is not refused.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke). After an error some sessions may go on: call it again.
    pub async fn revoke_all(&self) -> Result<usize, Error> {
        self.revoke_all_but(None).await
    }

    /// Ends all of the sessions but the current one, as after a change of the password (OWASP ASVS 5.0, 7.4.3). Returns
    /// their number.
    ///
    /// The current session is that of the handler's request. Outside of a request there is none. A login by this very
    /// request is not refused.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all).
    pub async fn revoke_others(&self) -> Result<usize, Error> {
        self.revoke_all_but(self.current()).await
    }

    /// Ends all of the sessions but this one. Returns their number.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all).
    pub async fn revoke_all_but(&self, kept: impl Into<Option<RecordId>>) -> Result<usize, Error> {
        let value = self.value()?;
        let ended = self.finder.context.end_sessions(value, kept.into()).await?;
        if let Some(slot) = &self.finder.slot {
            slot.note_own_ending(value.key, &ended);
        }
        Ok(ended.count)
    }

    fn value(&self) -> Result<&IndexedValue, Error> {
        self.value.as_ref().map_err(Error::duplicate)
    }

    fn current(&self) -> Option<RecordId> {
        self.finder.slot.as_ref()?.facts().map(|facts| facts.id)
    }
}

/// A session of a listing.
pub struct SessionInfo<V> {
    record: FoundRecord,
    is_current: bool,
    fields: V,
}

impl<V: IndexedView> SessionInfo<V> {
    fn new(record: FoundRecord, table: &'static Table, current: Option<RecordId>) -> Self {
        let reader = RecordReader { table, fields: record.fields.clone() };
        let is_current = current == Some(record.id);
        Self { record, is_current, fields: V::__read(&reader) }
    }
}

impl<V> SessionInfo<V> {
    /// Returns the public id of the session's record.
    #[must_use]
    pub const fn record_id(&self) -> RecordId {
        self.record.id
    }

    /// Returns the time of the login, or of the creation if no user is logged in.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        self.record.created.to_system_time()
    }

    /// Returns the time of the last use, to within the [touch window](crate::Timeouts::touch_window).
    #[must_use]
    pub fn last_used_at(&self) -> SystemTime {
        self.record.touched.max(self.record.created).to_system_time()
    }

    /// Returns true if it is the session of the request that lists.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.is_current
    }

    /// Returns the fields of the view.
    #[must_use]
    pub const fn fields(&self) -> &V {
        &self.fields
    }

    /// Returns the fields of the view by value.
    #[must_use]
    pub fn into_fields(self) -> V {
        self.fields
    }
}

/// The fields of a listed record, decoded for its view. Not public API.
#[derive(Debug)]
pub struct RecordReader {
    table: &'static Table,
    fields: Fields,
}

impl RecordReader {
    #[doc(hidden)]
    #[must_use]
    pub fn __field_cloned<T: Any>(&self, index: usize) -> T {
        let field = &self.table.fields[index];
        let default = || field.default.and_then(|default| default().downcast().ok());
        let value = self.decoded(field).or_else(default);
        // invariant: the derive gives each plain field a default of its type.
        *value.unwrap_or_else(|| unreachable!("a plain field has a default"))
    }

    #[doc(hidden)]
    #[must_use]
    pub fn __field_cloned_option<T: Any>(&self, index: usize) -> Option<T> {
        self.decoded(&self.table.fields[index]).map(|value| *value)
    }

    /// A flash is not delivered by a listing.
    fn decoded<T: Any>(&self, field: &Field) -> Option<Box<T>> {
        if field.shape != Shape::Stored || field.collection.is_some() {
            return None;
        }
        let names = std::iter::once(&field.name).chain(field.aliases);
        let json = names.into_iter().find_map(|name| self.fields.get(name))?;
        (field.codec.decode)(json).ok()?.downcast().ok()
    }
}

impl fmt::Debug for SessionFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionFinder").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Shows neither the value nor the view: a value may be personal.
impl<V> fmt::Debug for FoundSessions<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundSessions").finish_non_exhaustive()
    }
}

impl<V> fmt::Debug for SessionInfo<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo").field("record_id", &self.record.id).finish_non_exhaustive()
    }
}
