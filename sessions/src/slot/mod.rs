//! The session of one request: loaded at most once, changed through its handles, committed by the
//! layer.
//!
//! It knows no framework and no driver. Its state is guarded by a lock that is never held across
//! an await; loads and commits pass a gate one at a time.

mod detached;
mod state;

use std::{
    fmt,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;

use self::state::{Live, Phase, Plan, State, Target};
pub(crate) use self::{
    detached::Detached,
    state::{CookieChange, FieldChange, Handed},
};
use crate::{
    delta::{Delta, Op},
    error::{Error, ErrorKind},
    event::{Event, Events},
    random,
    store::{Answer, Boxed, Commit, CommitId, Created, DynStore, Loaded, NewRecord},
    value::{FieldName, Fields, RecordId, Secret, Timeouts, Timestamp, Token, TokenHasher},
};

/// The longest a browser keeps a cookie (RFC 6265bis section 5.5): 400 days.
const LONGEST_COOKIE: Duration = Duration::from_hours(400 * 24);

/// How often a layer has its store purged, on the store's clock, and how much at a time.
const PURGE_EVERY: Duration = Duration::from_mins(1);
const PURGED_AT_ONCE: usize = 1000;

/// What all requests of a layer share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn DynStore>,
    pub(crate) hasher: TokenHasher,
    pub(crate) timeouts: Timeouts,
    pub(crate) events: Events,
    pub(crate) last_purge: Arc<AtomicI64>,
    /// How long the store may take for one operation.
    pub(crate) store_timeout: Duration,
}

/// The session of one request.
pub(crate) struct Slot {
    shared: Arc<Shared>,
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Counts the changes of the request, to tell which came first.
    changes: AtomicU64,
    /// Whether nobody waits for the response any more.
    is_orphaned: AtomicBool,
}

/// The first two distinct well-formed tokens that a request presents.
pub(crate) type Presented = [Option<Token>; 2];

/// What a handle starts from.
pub(crate) struct Snapshot {
    pub(crate) life: u32,
    pub(crate) fields: Fields,
    pub(crate) request_only: Fields,
}

/// The public facts of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) id: RecordId,
    pub(crate) created: Timestamp,
    pub(crate) deadline: Timestamp,
}

/// What to do with a handler's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Commit,
    /// Only a logout and an explicit rotation.
    Discard,
}

/// What a handler left behind.
#[derive(Debug)]
pub(crate) enum Closing {
    /// Nobody asked for the session.
    Untouched,
    /// Nothing is left to write.
    Done(Outcome),
    /// Something is.
    MustFlush,
}

/// Who may still use the slot after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Afterwards {
    Nobody,
    Handles,
}

/// What the layer does to the response.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) cookie: CookieChange,
    pub(crate) error: Option<Error>,
}

impl Slot {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            gate: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
            changes: AtomicU64::new(0),
            is_orphaned: AtomicBool::new(false),
        }
    }

    /// The number of the next change.
    pub(crate) fn next_change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> &Events {
        &self.shared.events
    }

    /// Makes sure that the record is loaded with these fields, and says whether there is one.
    /// `present` is called at most once per request.
    pub(crate) async fn open(
        &self,
        present: impl FnOnce() -> Presented,
        names: &[FieldName],
    ) -> Result<bool, Error> {
        if self.lock().covers(names) {
            return Ok(self.facts().is_some());
        }
        let _gate = self.gate.lock().await;
        let unloaded = matches!(self.lock().record, Phase::Unloaded);
        if unloaded {
            let live = self.find_live(present(), names).await?;
            let is_live = live.is_some();
            self.lock().record = live.map_or(Phase::Absent, Phase::Live);
            return Ok(is_live);
        }
        Box::pin(self.load_missing(names)).await
    }

    /// Loads what a further view needs of a record that is loaded in part. Behind the gate only.
    async fn load_missing(&self, names: &[FieldName]) -> Result<bool, Error> {
        let known = self.lock().live().map(|live| (live.id, live.epoch, live.missing(names)));
        let Some((id, epoch, missing)) = known else { return Ok(false) };
        if missing.is_empty() {
            return Ok(true);
        }
        let loaded = self.load_again(id, epoch, &missing).await?;
        if let Phase::Live(live) = &mut self.lock().record {
            for (name, value) in loaded.fields.iter().filter(|(name, _)| missing.contains(name)) {
                live.fields.insert(name.clone(), value.clone());
            }
            if let Some(known) = &mut live.names {
                known.extend(missing);
            }
        }
        Ok(true)
    }

    /// Reads the record again, with at least these fields.
    pub(crate) async fn reload(&self, names: &[FieldName]) -> Result<(), Error> {
        let _gate = self.gate.lock().await;
        let known = self.lock().live().map(|live| (live.id, live.epoch));
        let Some((id, epoch)) = known else { return Ok(()) };
        let loaded = self.load_again(id, epoch, names).await?;
        if let Phase::Live(live) = &mut self.lock().record
            && live.id == id
        {
            live.fields = loaded.fields;
            live.names = (!loaded.complete).then(|| names.to_vec());
            live.touched = loaded.touched;
            live.loaded_at = loaded.now;
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot { life: state.life, fields: state.visible(), request_only: state.request_only.clone() }
    }

    pub(crate) fn facts(&self) -> Option<Facts> {
        let state = self.lock();
        let live = state.live()?;
        let deadline = self.shared.timeouts.deadline(live.created, live.touched);
        Some(Facts { id: live.id, created: live.created, deadline })
    }

    /// Takes a dropped handle's changes.
    pub(crate) fn hand_over(&self, life: u32, handed: Handed) {
        let mut state = self.lock();
        if life != state.life {
            return;
        }
        if !state.head_sent {
            state.accept(handed);
            return;
        }
        // Nobody waits for what an abandoned request did, and nobody was told that it happened.
        let is_silent = state.abandoned || (handed.is_empty() && state.pending.is_empty());
        let record = state.live().map(|live| live.id);
        let cleared = std::mem::take(&mut state.pending);
        drop(state);
        if !is_silent {
            let cleared = cleared.ops().iter().map(|(name, _)| name.clone());
            let fields = handed.changes.into_iter().map(|change| change.name).chain(cleared).collect();
            self.shared.events.report(&Event::UnsavedChanges { record, fields });
        }
    }

    /// Takes the changes of a handle that is about to save, late or not.
    pub(crate) fn hand_over_for_save(&self, life: u32, handed: Handed) -> Result<(), Error> {
        let mut state = self.lock();
        if life == state.life {
            state.accept(handed);
            return Ok(());
        }
        if handed.is_empty() { Ok(()) } else { Err(Error::session_ended()) }
    }

    pub(crate) fn destroy(self: &Arc<Self>) {
        let is_late = {
            let mut state = self.lock();
            state.end();
            state.head_sent
        };
        if is_late {
            self.flush_in_background();
        }
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn rotate(&self) {
        let mut state = self.lock();
        if !state.head_sent {
            state.rotate = true;
            return;
        }
        let record = state.live().map(|live| live.id);
        drop(state);
        self.shared.events.report(&Event::CommitFailed { record, error: &Error::head_sent() });
    }

    /// Writes now what was handed over.
    pub(crate) fn save(self: &Arc<Self>) -> Detached<()> {
        let slot = Arc::clone(self);
        Detached::new(async move {
            let _gate = slot.gate.lock().await;
            slot.flush(Afterwards::Handles).await
        })
    }

    /// Writes now what there is to do to one field, and nothing else.
    pub(crate) fn commit_field(self: &Arc<Self>, life: u32, change: FieldChange) -> Detached<()> {
        let slot = Arc::clone(self);
        Detached::new(async move {
            let _gate = slot.gate.lock().await;
            if slot.lock().pending.retained().is_some() {
                // What was cleared must be gone before it is counted from.
                slot.flush(Afterwards::Handles).await?;
            }
            let (target, earlier, alone) = {
                let mut state = slot.lock();
                if state.life != life {
                    return Err(Error::session_ended());
                }
                let target = state.target(&slot.shared.timeouts)?;
                let earlier = state.take_pending(&change);
                let alone = state.after(&earlier, &change)?;
                (target, earlier, alone)
            };
            let names = std::slice::from_ref(&change.name);
            let written = slot.write(target, alone.clone(), false, names, Some(&alone)).await;
            if let Err(error) = &written {
                slot.failed(target, error, life, earlier, false);
            }
            written
        })
    }

    /// Whether the handler left anything to write or to tell the browser.
    ///
    /// After this, handles that are still around are late.
    pub(crate) fn close(&self, verdict: Verdict) -> Closing {
        let mut state = self.lock();
        if matches!(state.record, Phase::Unloaded) {
            state.head_sent = true;
            return Closing::Untouched;
        }
        if verdict == Verdict::Discard {
            state.drop_changes();
        }
        let idle = state.pending.is_empty()
            && state.destroy.is_empty()
            && state.failure.is_none()
            && !state.needs_touch(&self.shared.timeouts)
            && !(state.rotate && state.live().is_some());
        // A save that was begun and not awaited to its end may still bring a cookie.
        let is_busy = self.gate.try_lock().is_err();
        if idle && !is_busy {
            state.head_sent = true;
            return Closing::Done(Outcome { cookie: std::mem::take(&mut state.cookie), error: None });
        }
        Closing::MustFlush
    }

    /// Writes what is left and closes the slot.
    pub(crate) fn finish(self: &Arc<Self>, verdict: Verdict) -> Detached<Outcome> {
        let slot = Arc::clone(self);
        Detached::new(async move {
            let _gate = slot.gate.lock().await;
            loop {
                let error = slot.flush(slot.afterwards()).await.err();
                let mut state = slot.lock();
                if verdict == Verdict::Discard {
                    state.drop_changes();
                }
                // Handles may have been dropped meanwhile, or the session ended: then once more.
                let is_done = state.destroy.is_empty() && state.pending.is_empty();
                if is_done || error.is_some() {
                    state.head_sent = true;
                    return Ok(Outcome { cookie: std::mem::take(&mut state.cookie), error });
                }
                if state.live().is_none() && state.destroy.is_empty() && !state.creates() {
                    // Removals from a record that is not there.
                    state.drop_changes();
                }
            }
        })
    }

    /// Whether anybody else can still ask the slot: this work and the response are two that know it.
    fn afterwards(self: &Arc<Self>) -> Afterwards {
        let is_awaited = !self.is_orphaned.load(Ordering::Acquire);
        if is_awaited && Arc::strong_count(self) == 2 { Afterwards::Nobody } else { Afterwards::Handles }
    }

    /// The response future is gone: after its answer, or before.
    pub(crate) fn orphan(self: &Arc<Self>, was_answered: bool) {
        self.is_orphaned.store(true, Ordering::Release);
        if was_answered {
            return;
        }
        // The request ends without a response: a logout happens all the same.
        let must_flush = {
            let mut state = self.lock();
            state.drop_changes();
            state.rotate = false;
            state.head_sent = true;
            state.abandoned = true;
            !state.destroy.is_empty()
        };
        if must_flush {
            self.flush_in_background();
        }
    }

    fn flush_in_background(self: &Arc<Self>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let slot = Arc::clone(self);
            runtime.spawn(async move {
                let _gate = slot.gate.lock().await;
                // Reported where it fails; there is nobody left to tell.
                let _ = slot.flush(Afterwards::Handles).await;
            });
        }
    }

    /// Does what there is to do. Called behind the gate only.
    async fn flush(&self, after: Afterwards) -> Result<(), Error> {
        if !self.lock().destroy.is_empty() {
            Box::pin(self.destroy_ended()).await?;
        }
        let (life, plan) = {
            let mut state = self.lock();
            let plan = state.plan(&self.shared.timeouts)?;
            if after == Afterwards::Nobody {
                // Held here, they would make the store copy the record before it changes it.
                state.forget_fields();
            }
            (state.life, plan)
        };
        let Some(Plan { target, delta, rotate, failure }) = plan else { return Ok(()) };
        let only_touch = delta.is_empty() && !rotate;
        let kept = (after == Afterwards::Handles).then(|| delta.clone());
        let written = self.write(target, delta, rotate, &[], kept.as_ref()).await;
        let Err(error) = written else { return failure.map_or(Ok(()), Err) };
        if rotate && error.kind() == ErrorKind::InvalidField {
            // What cannot be stored does not keep the old secret alive.
            Box::pin(self.write(target, Delta::new(), true, &[], None)).await?;
        }
        self.failed(target, &error, life, kept.unwrap_or_default(), rotate);
        // A touch alone fails nobody's request, and the next one tries again.
        if only_touch { Ok(()) } else { Err(error) }
    }

    /// Reports, and puts back what certainly was not written, unless its session was ended since.
    fn failed(&self, target: Target, error: &Error, life: u32, delta: Delta, rotate: bool) {
        self.shared.events.report(&Event::CommitFailed { record: target.id(), error });
        let mut state = self.lock();
        if error.kind() == ErrorKind::Unavailable && state.life == life {
            state.restore(delta, rotate);
        }
    }

    /// One atomic operation of the store. `kept` are the changes, for what is known after it.
    async fn write(
        &self,
        target: Target,
        delta: Delta,
        rotate: bool,
        returning: &[FieldName],
        kept: Option<&Delta>,
    ) -> Result<(), Error> {
        let Target::Record { id, epoch, touch } = target else {
            return Box::pin(self.create(delta)).await;
        };
        let mut rotated = None;
        let answer = self.begin_commit(id, epoch, touch, delta, rotate.then_some(&mut rotated), returning)?;
        match self.bounded(answer, Error::unknown).await? {
            Answer::Applied(values) => {
                if kept.is_some() || rotated.is_some() {
                    self.settle(id, kept, rotated, returning, &values);
                }
                Ok(())
            }
            Answer::Gone => Err(Error::refused("the session was ended meanwhile")),
            Answer::Superseded => Err(Error::refused("the session was rotated meanwhile")),
            Answer::Conflict => Err(Error::refused("a session field was changed meanwhile")),
            Answer::Invalid(name) => Err(Error::not_an_integer(&name)),
            Answer::Unknown(error) => Err(error),
        }
    }

    /// Hands a commit to the store. Not async, so that what it is built from is gone while the
    /// store works.
    fn begin_commit(
        &self,
        id: RecordId,
        epoch: u64,
        touch: bool,
        delta: Delta,
        rotated: Option<&mut Option<Token>>,
        returning: &[FieldName],
    ) -> Result<Boxed<'_, Answer>, Error> {
        let mut commit =
            Commit::new(epoch, self.shared.timeouts).with_touch(touch).returning(returning.to_vec());
        if rotated.is_some() || delta.ops().iter().any(|(_, op)| matches!(op, Op::Add(_))) {
            commit = commit.with_id(CommitId::from_bytes(random::bytes()?));
        }
        if let Some(rotated) = rotated {
            let secret = Secret::from_bytes(random::bytes()?);
            commit = commit.with_rotation(self.shared.hasher.hash(&id, &secret));
            *rotated = Some(Token::new(id, secret));
        }
        Ok(self.shared.store.commit(id, commit.with_delta(delta)))
    }

    async fn destroy_ended(&self) -> Result<(), Error> {
        loop {
            let Some(id) = self.lock().destroy.last().copied() else { return Ok(()) };
            if let Err(error) = self.bounded(self.shared.store.destroy(id), Error::unknown).await {
                self.shared.events.report(&Event::CommitFailed { record: Some(id), error: &error });
                return Err(error);
            }
            let mut state = self.lock();
            state.destroy.retain(|ended| *ended != id);
            // A session that began after it keeps its cookie.
            let began_after = matches!(&state.cookie, CookieChange::Set { token, .. } if token.id() != id);
            if !began_after {
                state.cookie = CookieChange::Remove;
            }
        }
    }

    async fn create(&self, delta: Delta) -> Result<(), Error> {
        let mut fields = Fields::new();
        delta.apply(&mut fields).map_err(|name| Error::not_an_integer(&name))?;
        let life = self.lock().life;
        let id = RecordId::from_bytes(random::bytes()?);
        let secret = Secret::from_bytes(random::bytes()?);
        let timeouts = self.shared.timeouts;
        let new = NewRecord::new(self.shared.hasher.hash(&id, &secret), timeouts).with_fields(fields.clone());
        let creating = self.shared.store.create(id, new);
        let created = match self.bounded(creating, Error::unknown).await? {
            Created::At(created) => created,
            Created::Exists => return Err(Error::unavailable("a new record's id was taken")),
        };
        let max_age = timeouts.absolute().min(LONGEST_COOKIE);
        let record =
            Live { id, epoch: 0, created, touched: created, loaded_at: created, fields, names: None };
        {
            let mut state = self.lock();
            if state.life != life {
                // Ended before it was there: it must not be there for anybody.
                state.destroy.push(id);
                return Err(Error::session_ended());
            }
            state.cookie = CookieChange::Set { token: Token::new(id, secret), max_age };
            state.record = Phase::Live(record);
        }
        self.purge_now_and_then(created);
        Ok(())
    }

    /// What is known after a commit that went through.
    fn settle(
        &self,
        id: RecordId,
        delta: Option<&Delta>,
        rotated: Option<Token>,
        names: &[FieldName],
        values: &[Option<Bytes>],
    ) {
        let mut state = self.lock();
        let State { record, cookie, .. } = &mut *state;
        let Phase::Live(live) = record else { return };
        if live.id != id {
            return;
        }
        // Applied to what was loaded; the store applied it to what was there, which may be newer.
        if let Some(delta) = delta {
            let _ = delta.apply(&mut live.fields);
        }
        for (name, value) in names.iter().zip(values) {
            match value {
                Some(value) => live.fields.insert(name.clone(), value.clone()),
                None => live.fields.remove(name.as_str()),
            }
        }
        live.touched = live.touched.max(live.loaded_at);
        if let Some(token) = rotated {
            live.epoch += 1;
            let age = live.loaded_at.saturating_since(live.created);
            let max_age = self.shared.timeouts.absolute().saturating_sub(age).min(LONGEST_COOKIE);
            *cookie = CookieChange::Set { token, max_age };
        }
    }

    /// Of the presented tokens' records, the one that is alive and whose secret matches.
    async fn find_live(&self, presented: Presented, names: &[FieldName]) -> Result<Option<Live>, Error> {
        let [Some(first), second] = presented else { return Ok(None) };
        let found = self.check(first, names).await?;
        match second {
            None => Ok(found),
            Some(second) => Box::pin(self.check_second(found, second, names)).await,
        }
    }

    /// Two live tokens are none: nobody can tell which of them the user meant.
    async fn check_second(
        &self,
        first: Option<Live>,
        second: Token,
        names: &[FieldName],
    ) -> Result<Option<Live>, Error> {
        match (first, self.check(second, names).await?) {
            (Some(first), Some(second)) => {
                let records = [first.id, second.id];
                self.shared.events.report(&Event::TwoLiveTokens { records });
                Ok(None)
            }
            (first, second) => Ok(first.or(second)),
        }
    }

    /// The record of a token, if it is alive and the secret is its own.
    async fn check(&self, token: Token, names: &[FieldName]) -> Result<Option<Live>, Error> {
        let loading = self.shared.store.load(token.id(), names);
        let Some(loaded) = self.bounded(loading, Error::unavailable).await? else { return Ok(None) };
        let hash = self.shared.hasher.hash(&token.id(), token.secret());
        if loaded.hash != hash || !self.is_alive(&loaded) {
            return Ok(None);
        }
        Ok(Some(Live {
            id: token.id(),
            epoch: loaded.epoch,
            created: loaded.created,
            touched: loaded.touched,
            loaded_at: loaded.now,
            fields: loaded.fields,
            names: (!loaded.complete).then(|| names.to_vec()),
        }))
    }

    /// Loads fields of a record that this request has loaded before.
    async fn load_again(&self, id: RecordId, epoch: u64, names: &[FieldName]) -> Result<Loaded, Error> {
        match self.bounded(self.shared.store.load(id, names), Error::unavailable).await? {
            Some(loaded) if !self.is_alive(&loaded) => Err(Error::refused("the session was ended meanwhile")),
            Some(loaded) if loaded.epoch == epoch => Ok(loaded),
            Some(_) => Err(Error::refused("the session was rotated meanwhile")),
            None => Err(Error::refused("the session was ended meanwhile")),
        }
    }

    fn is_alive(&self, loaded: &Loaded) -> bool {
        self.shared.timeouts.is_alive(loaded.created, loaded.touched, loaded.now)
    }

    /// Has the store clean up, once a minute, after a create: what fills a store also empties it.
    fn purge_now_and_then(&self, now: Timestamp) {
        let shared = &self.shared;
        let last = shared.last_purge.load(Ordering::Relaxed);
        let due = now.saturating_since(Timestamp::from_millis(last)) >= PURGE_EVERY;
        let mine = due
            && shared
                .last_purge
                .compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine || shared.store.capabilities().expires_by_itself {
            return;
        }
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            loop {
                match shared.store.purge(shared.timeouts, PURGED_AT_ONCE).await {
                    // There may be more; but others are to have their turn.
                    Ok(purged) if purged >= PURGED_AT_ONCE => tokio::task::yield_now().await,
                    Ok(_) => return,
                    Err(error) => return shared.events.report(&Event::PurgeFailed { error: &error }),
                }
            }
        });
    }

    /// Waits for the store, but not for ever. No timer is set for an answer that is there at once.
    async fn bounded<T>(&self, mut work: Boxed<'_, T>, late: fn(&'static str) -> Error) -> Result<T, Error> {
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = first {
            return answer;
        }
        let answer = tokio::time::timeout(self.shared.store_timeout, work).await;
        answer.unwrap_or_else(|_| Err(late("the session store did not answer in time")))
    }

    /// A panic elsewhere leaves the state whole: nothing above panics while it changes it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("record", &self.facts()).finish_non_exhaustive()
    }
}
