//! Writing: what a request has to do to its record, in one atomic operation each.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;

use super::{
    Afterwards, Slot,
    detached::caught,
    state::{CookieChange, Live, Phase, Plan, State, Taken, Target},
};
use crate::{
    delta::{Delta, Op},
    error::{Error, ErrorKind},
    event::Event,
    random,
    store::{Answer, Boxed, Commit, CommitId, Created, NewRecord},
    value::{FieldName, Fields, RecordId, Secret, Timestamp, Token},
};

/// The longest a browser keeps a cookie (RFC 6265bis section 5.5): 400 days.
const LONGEST_COOKIE: Duration = Duration::from_hours(400 * 24);

/// How often a layer has its store purged, on the store's clock, and how much at a time.
const PURGE_EVERY: Duration = Duration::from_mins(1);
const PURGED_AT_ONCE: usize = 1000;

impl Slot {
    /// Does what there is to do. Called behind the gate only.
    pub(super) async fn flush(&self, after: Afterwards) -> Result<(), Error> {
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
        let Some(Plan { target, delta, rotate, mut taken, failure }) = plan else { return Ok(()) };
        let only_touch = delta.is_empty() && !rotate;
        let kept = (after == Afterwards::Handles).then(|| delta.clone());
        let written = {
            let mut writing = pin!(self.write(target, delta, rotate, &[], kept.as_ref()));
            // A store that panics is one that fails.
            poll_fn(|context| caught(|| writing.as_mut().poll(context))).await
        };
        let Err(error) = written else {
            if after == Afterwards::Handles {
                self.lock().ledger.note_written(&taken.deeds);
            }
            return failure.map_or(Ok(()), Err);
        };
        let is_invalid = error.kind() == ErrorKind::InvalidField;
        let rescued = if is_invalid { self.lock().rescued(&mut taken) } else { None };
        if let Some(delta) = rescued {
            // What cannot be stored keeps neither the old secret alive nor a right that was taken away.
            Box::pin(self.write(target, delta, true, &[], None)).await?;
        }
        if only_touch {
            // It fails nobody's request, and the next one tries again.
            self.shared.events.report(&Event::CommitFailed { record: target.id(), error: &error });
            return Ok(());
        }
        self.failed(target, &error, life, taken);
        Err(error)
    }

    /// Reports, and puts back what certainly was not written, unless its session was ended since.
    pub(super) fn failed(&self, target: Target, error: &Error, life: u32, taken: Taken) {
        self.shared.events.report(&Event::CommitFailed { record: target.id(), error });
        let mut state = self.lock();
        if state.life == life && error.kind() == ErrorKind::Unavailable {
            state.put_back(taken);
            return;
        }
        state.lose(&taken, error);
        if state.life == life {
            state.unheard = Some(error.duplicate());
        }
    }

    /// One atomic operation of the store. `kept` are the changes, for what is known after it.
    pub(super) async fn write(
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
            live.epoch = live.epoch.wrapping_add(1);
            let age = live.loaded_at.saturating_since(live.created);
            let max_age = self.shared.timeouts.absolute().saturating_sub(age).min(LONGEST_COOKIE);
            *cookie = CookieChange::Set { token, max_age };
        }
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
}
