//! A typed session in a handler: the part that is the same for every view.

mod accessors;
mod cell;
pub(crate) mod collection;
mod decoded;
mod encode;
mod generation;
pub(crate) mod json;
mod merge;
mod reread;
mod stamp;
pub(crate) mod table;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use self::{
    generation::{Begun, Generation},
    table::{Field, Table},
};
use crate::{
    error::{Error, json_reason},
    event::Event,
    slot::{FieldClass, LayerContext, OnInvalid, Presented, Slot, StagedChanges},
    sync::Mutex,
    value::{FieldName, Lifetime, RecordId},
};

/// The methods of every typed session, whatever its fields: the handle that the derive generates
/// dereferences to this. Generic code takes `&sessions::Handle`.
///
/// Dropping a handle hands its changes to the request's session, which is committed before the
/// response head leaves. So reading and writing a field needs no `.await` and cannot fail; what can
/// fail is the commit, and then the user gets an error response in place of the handler's.
///
/// A step that must not happen twice, or that needs the changes to be stored, comes after
/// [`save().await?`](Self::save).
///
/// Several handles of one request are views of one session. One shows what others had staged
/// before it was extracted; if two change the same field, the change that was made last counts. A
/// middleware drops its handle before it calls the handler.
///
/// A handle keeps what its getters have lent out until it is borrowed mutably: by a setter, or by `reload()`.
/// It has room for 64 states of its fields. Only a handle that is never borrowed mutably while another
/// handle of the same request goes on changing the fields, as in a socket with two handles, can run out of
/// it; then its fields read as absent until it is borrowed mutably, and an
/// [event](crate::Event::HandleClosed) says so.
pub struct Handle {
    slot: Arc<Slot>,
    /// Tells its changes from those of other handles of the request.
    number: u64,
    table: &'static Table,
    first: Generation,
    /// Held while a generation begins.
    beginning: Mutex<()>,
}

impl Handle {
    /// Returns the public id of the session's record: `None` before its first commit.
    #[must_use]
    pub fn record_id(&self) -> Option<RecordId> {
        self.slot.facts().map(|facts| facts.id)
    }

    /// Returns true if there is no record in the store yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.slot.facts().is_none()
    }

    /// Returns the time at which the record was created, on the store's clock: `None` before its first commit.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.slot.facts().map(|facts| facts.created.to_system_time())
    }

    /// Returns the time at which the session ends if it is not used again, on the store's clock: `None` before its
    /// first commit.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.slot.facts().map(|facts| facts.deadline.to_system_time())
    }

    /// Returns the time at which the user last proved who they are, on the store's clock: by a login, or by setting the
    /// field marked `identity` again. `None` if no user is logged in. A login of this request counts once it is saved.
    ///
    /// For what needs a recent proof (OWASP ASVS 5.0, 7.5), see
    /// [`was_authenticated_within`](Self::was_authenticated_within).
    #[must_use]
    pub fn authenticated_at(&self) -> Option<SystemTime> {
        self.slot.authenticated_at().map(|(at, _)| at.to_system_time())
    }

    /// Returns true if the user proved who they are no longer ago than this.
    #[must_use]
    pub fn was_authenticated_within(&self, age: Duration) -> bool {
        self.slot.authenticated_at().is_some_and(|(at, now)| now.saturating_since(at) <= age)
    }

    /// Gives the session a new secret at commit; the old cookie is worth nothing from then on.
    ///
    /// For every change of what the user may do (OWASP ASVS 5.0, 7.2.4). It happens even if the
    /// response is a server error.
    pub fn rotate(&self) {
        self.slot.rotate();
    }

    /// Gives a session that holds a right a new secret with the same powers, at commit; sooner than a minute
    /// after the last one, or on a session without rights, it does nothing.
    ///
    /// A secret that leaks then does not serve for long. The old one stays valid until the new one is first seen, and ten
    /// seconds more for requests on their way. Lost responses and concurrent requests do no harm, since all come to the
    /// same new secret. A change of rights needs [`rotate`](Self::rotate), which happens by itself.
    pub fn renew(&self) {
        self.slot.renew();
    }

    /// Makes this request no use of the session, so that it does not keep the session alive: for requests that a page
    /// sends by itself, such as a poll for news. Its changes are stored all the same. Call it before `save()`. For a
    /// visitor's new session, such a request is no return of the visitor.
    pub fn without_touch(&self) {
        self.slot.without_touch();
    }

    /// Notes that the user asked to be remembered, or did not, as with a box "stay logged in".
    ///
    /// | | the browser keeps the cookie | a session with a right lives |
    /// |---|---|---|
    /// | `remember(true)` | when it is closed, too | for [`with_remembered`](crate::Timeouts::with_remembered), thirty days by default |
    /// | no call | when it is closed, too | for the layer's times, by default a day without use |
    /// | `remember(false)` | until it is closed (no `Max-Age`) | for the layer's times |
    ///
    /// It takes effect with this request's login, rotation or new session: a cookie that is there already stays as it
    /// is. So call it with the login, and before a `save()`. A logout, or a change to another user, takes it back,
    /// together with [`limit_lifetime`](Self::limit_lifetime). `remember(true)` takes back an earlier request's
    /// `limit_lifetime`, and does nothing for a session that holds no right.
    pub fn remember(&self, is_remembered: bool) {
        self.slot.remember(is_remembered);
    }

    /// Ends this session after `idle` without use and, in any case, after `absolute`, where that is sooner than the
    /// layer's [`Timeouts`](crate::Timeouts). So the layer has the longest times, and a login without "stay logged in"
    /// asks for less.
    ///
    /// It takes effect with this request's login, rotation or new session, until a rotation with other limits, a
    /// logout, or [`remember(true)`](Self::remember). So call it with the login, and before a `save()`.
    pub fn limit_lifetime(&self, idle: Duration, absolute: Duration) {
        self.slot.limit_lifetime(Lifetime { idle, absolute });
    }

    /// Ends the session at commit, with all that was changed in it, and removes the cookie.
    ///
    /// It happens even if the response is a server error, the handler panics or the client goes
    /// away. Every field reads as absent from here on; what is set after it begins a new session.
    /// Changes of handles that other code of the request took before are ignored. But flashes of the request, by any
    /// handle and before the call or after it, reach the next page, in a new session, unless it logs a user in.
    pub fn destroy(&self) {
        let latest = self.first.latest();
        let incarnation = self.slot.destroy(latest.incarnation());
        let (flashes, others) = self.flashes_of(latest);
        self.slot.stage_flashes(self.number, flashes, others);
        self.begin_generation(incarnation);
    }

    /// Removes every field of the record at commit, those of other views too, but not the flashes of this request. The
    /// session goes on.
    pub fn clear(&self) {
        let latest = self.first.latest();
        let incarnation = latest.incarnation();
        let (flashes, _) = self.flashes_of(latest);
        if incarnation == self.slot.incarnation() {
            self.slot.stage_flashes(self.number, flashes, Vec::new());
        }
        self.slot.clear(self.number, incarnation);
        self.begin_generation(incarnation);
    }

    /// Drops the changes that this handle made and did not save, or could not: its fields read as before them.
    pub fn discard_changes(&self) {
        let latest = self.first.latest();
        let incarnation = latest.incarnation();
        latest.mark_staged();
        self.slot.discard_changes_of(self.number);
        self.begin_generation(incarnation);
    }

    /// Waits until the session is over for this request: it was ended or has expired, or a login, a logout or a change
    /// of rights gave its cookie another secret. For code that outlives its response, such as sockets and streams, which
    /// must not go on when the user has logged out (OWASP ASVS 5.0, 7.4.1).
    ///
    /// An end by this layer in this process is known at once. Any other is known within
    /// [`with_ended_within`](crate::SessionLayer::with_ended_within). If the store does not answer for so long, the
    /// session counts as over. Waiting is no use of the session and does not keep it alive. A session without a record
    /// does not end.
    ///
    /// The future does not borrow the handle, and keeps nothing of the session: a task that only waits can drop the
    /// handle, and with it the loaded fields. The future may be dropped and made again, as in a loop:
    ///
    /// ```
    /// # use sessions::{Session, TypedSession};
    /// # #[derive(Session)]
    /// # struct Visit { count: u32 }
    /// # async fn next_message() -> Option<String> { None }
    /// async fn converse(session: TypedSession<Visit>) {
    ///     loop {
    ///         tokio::select! {
    ///             () = session.ended() => break,
    ///             message = next_message() => match message {
    ///                 Some(message) => println!("{message}"),
    ///                 None => break,
    ///             },
    ///         }
    ///     }
    /// }
    /// ```
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.slot.ended(self.first.latest().incarnation())
    }

    /// Writes the changes now: for streams and sockets that outlive the response, for long work, and before a step that
    /// must not happen without them.
    ///
    /// Once begun it is finished, even if this future is dropped. Fields that merge (`add`, `max`, `min`, `first`)
    /// then read as the store has them. It counts as a use of the session, changes or none, unless the request
    /// is [`without_touch`](Self::without_touch). After the response it still takes rights away: the secret then stays, and opens
    /// what is left.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::ErrorKind::Conflict) if the session was ended or rotated meanwhile,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the store did not do it (the layer tries
    /// once more if the response is no server error, unless they are [discarded](Self::discard_changes)),
    /// [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if they may or may not be stored, [`HeadSent`](crate::ErrorKind::HeadSent) if it needs a cookie and the response head
    /// has left, [`CrossSite`](crate::ErrorKind::CrossSite) if it would begin a session for a request from another
    /// site whose cookie the browser may have kept back.
    pub async fn save(&self) -> Result<(), Error> {
        let latest = self.first.latest();
        let incarnation = latest.incarnation();
        let staged = self.changes_of(latest);
        let is_changed = !staged.is_empty();
        let result = self.slot.stage_for_save(self.number, incarnation, staged);
        if is_changed {
            self.begin_generation(incarnation);
        }
        let saved = self.slot.save(self.number, result.map_err(Error::in_request)?).await;
        self.slot.acknowledge(self.number, saved.is_err());
        if saved.is_ok() && is_changed {
            // A field's merge may have another handle's value stay.
            self.begin_generation(incarnation);
        }
        saved.map_err(Error::in_request)
    }

    /// The changes of a generation that are to be staged.
    fn changes_of(&self, generation: &Generation) -> StagedChanges {
        let staged = generation.stage(self.table, &|| self.slot.store_time());
        self.report_trimmed(&staged);
        staged
    }

    /// The flashes of a generation that are to be staged, and the names of the other changed fields.
    fn flashes_of(&self, generation: &Generation) -> (StagedChanges, Vec<FieldName>) {
        let (staged, others) = generation.stage_flashes(self.table, &|| self.slot.store_time());
        self.report_trimmed(&staged);
        (staged, others)
    }

    fn report_trimmed(&self, staged: &StagedChanges) {
        for (field, count) in &staged.trimmed {
            let (record, count) = (self.record_id(), *count);
            self.slot.events().report(&Event::ItemsTrimmed { record, field, count });
        }
    }

    /// Stages a right that was taken away at once, so that handles of the request from here on see it.
    fn stage_right(&self, field: &Field) {
        if field.class.is_right() {
            self.stage_early();
        }
    }

    /// Stages a change of who is logged in at once: changes after it start from what that leaves.
    fn stage_identity(&self, field: &Field) {
        if field.class == FieldClass::Identity {
            self.stage_early();
        }
    }

    /// Looks again if another handle has ended fields.
    fn refresh_if_reset(&self) {
        if self.first.latest().reset() != self.slot.resets() {
            self.stage_early();
        }
    }

    fn stage_early(&self) {
        let latest = self.first.latest();
        let incarnation = latest.incarnation();
        if self.slot.stage_early(self.number, incarnation, || self.changes_of(latest)) {
            self.begin_generation(incarnation);
        }
    }

    /// Begins the next generation. Of a record that the request has ended since, nothing is left.
    fn begin_generation(&self, incarnation: u32) {
        let begun = {
            let _turn = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
            self.first.begin(self.table, self.slot.snapshot_of(incarnation))
        };
        if begun == Begun::Closed {
            self.slot.events().report(&Event::HandleClosed { record: self.record_id() });
        }
    }

    /// Leaves the newest generation, and no other: no reference into those before it can be out.
    fn cut(&mut self) -> &mut Generation {
        let (table, slot) = (self.table, &self.slot);
        let latest = self.first.latest_mut();
        if latest.is_closed() {
            *latest = Generation::new(table, slot.snapshot_of(latest.incarnation()));
        }
        latest
    }

    pub(crate) const fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    fn report(&self, field: &Field, error: &serde_json::Error) {
        let reason = json_reason(error);
        let (record, field) = (self.record_id(), &field.name());
        self.slot.events().report(&Event::UndecodableField { record, field, reason: &reason });
    }
}

/// Calls of extractors.
impl Handle {
    /// A handle on the request's session, and true if there is a record. `present` reads the request's tokens. It is
    /// called only if no handle was opened before.
    pub(crate) async fn open(
        slot: Arc<Slot>,
        table: &'static Table,
        present: impl FnOnce() -> Presented,
    ) -> Result<(Self, bool), Error> {
        check_view(table, slot.context())?;
        let is_live = slot.open(present, table.names()).await?;
        let first = Generation::new(table, slot.snapshot());
        let number = slot.next_change();
        let handle = Self { slot, number, table, first, beginning: Mutex::new(()) };
        let checked = if table.has_checked { table.fields } else { &[] };
        for (index, field) in checked.iter().enumerate() {
            let is_refused = match field.on_invalid {
                OnInvalid::Reset => false,
                // A right that cannot be read is found when the record is opened.
                OnInvalid::Withhold => handle.first.is_unopened(field),
                OnInvalid::Reject => {
                    handle.first.value(field, index, &|field, error| handle.report(field, error));
                    handle.first.cell(index).is_undecodable()
                }
            };
            if is_refused {
                return Err(Error::invalid_field(&field.name(), "is stored in a form that does not decode"));
            }
        }
        Ok((handle, is_live))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let latest = self.first.latest();
        // The changes of a handler that panics are incomplete; but a right that it took away is gone.
        let give_up = || {
            self.slot.report_unsaved(self.number, latest.incarnation(), latest.changed(self.table));
            self.slot.stage_removed_rights(
                self.number,
                latest.incarnation(),
                latest.stage_removals(self.table),
            );
        };
        if std::thread::panicking() {
            return give_up();
        }
        // It runs code of the fields' types.
        match catch_unwind(AssertUnwindSafe(|| self.changes_of(latest))) {
            Ok(staged) => self.slot.stage(self.number, latest.incarnation(), staged),
            Err(panic) => {
                give_up();
                resume_unwind(panic);
            }
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("record_id", &self.record_id())
            .field("fields", &self.table)
            .finish_non_exhaustive()
    }
}

/// A view must not contradict others, and a secret field needs keys: it is never written in plain.
pub(crate) fn check_view(table: &Table, context: &LayerContext) -> Result<(), Error> {
    let check = || {
        if context.store.index().is_none()
            && let Some(field) = table.needs_index()
        {
            return Err(Error::index_of_field(&field.name()));
        }
        table.register(&context.rules)?;
        match table.secret() {
            Some(field) if context.keys.is_none() => Err(Error::without_keys(&field.name())),
            _ => Ok(()),
        }
    };
    check().inspect_err(|error| context.events.report(&Event::Misconfigured { error }))
}
