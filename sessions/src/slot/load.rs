//! Reading the request's record: the one of the presented tokens, and what is missing of it.

use std::sync::Arc;

use super::{
    Slot,
    context::LayerContext,
    options::SessionOptions,
    record::{LiveRecord, RecordState},
    survive::Surviving,
};
use crate::{
    error::{Error, ErrorKind},
    event::Event,
    store::Loaded,
    value::{Authority, Covers, FieldName, Match, RecordId, Token},
};

/// The first two distinct well-formed tokens that a request presents.
pub(crate) type Presented = [Option<Token>; 2];

impl Slot {
    /// Makes sure that the record is loaded with these fields. Returns true if there is one.
    ///
    /// `present` reads the request's tokens. It is called at most once per request.
    pub(crate) async fn open(
        self: &Arc<Self>,
        present: impl FnOnce() -> Presented,
        names: &'static [FieldName],
    ) -> Result<bool, Error> {
        let rules = &self.context().rules;
        if self.lock().covers(names, rules) {
            return Ok(self.facts().is_some());
        }
        let is_loaded = || !matches!(self.lock().record, RecordState::Unloaded);
        if is_loaded() {
            let slot = Arc::clone(self);
            return Surviving::reading(async move { slot.open_further(names).await }).await;
        }
        let gate = self.gate.lock().await;
        if is_loaded() {
            drop(gate);
            return Box::pin(self.open_further(names)).await;
        }
        self.context().note_runtime();
        self.note_beginning();
        // A writer may have found them before.
        let noted = self.lock().presented.clone();
        let presented = noted.map_or_else(present, |noted| *noted);
        self.open_presented(presented, names).await
    }

    /// Loads the record of these tokens, with these fields. Returns true if there is one. Behind the gate only.
    pub(super) async fn open_presented(
        &self,
        presented: Presented,
        names: &[FieldName],
    ) -> Result<bool, Error> {
        let wanted = self.context().rules.with_rights(names);
        self.lock().has_token = presented[0].is_some();
        let mut found = self.find_live(presented, &wanted).await?;
        let (mut examined, mut renewed) = (Ok(()), None);
        if let RecordState::Live(live) = &mut found {
            examined = self.examine(live, names);
            // A record that is withheld is only read, which sets no cookie.
            renewed = live.renewed.take().filter(|_| !live.is_withheld);
        }
        let is_live = found.live().is_some();
        let mut state = self.lock();
        state.record = found;
        state.was_privileged = state.was_privileged();
        if !state.log.is_empty() {
            // Of writers, who did not know it.
            state.classify_again(&self.context().rules);
        }
        if let Some(renewed) = renewed {
            state.give_secret(renewed, true);
        }
        examined.map(|()| is_live)
    }

    /// Loads what a further view needs. Once begun it goes on by itself, as all that waits for the gate while handles
    /// are about: a handler that keeps the future and polls another one must not hold that up.
    async fn open_further(&self, names: &[FieldName]) -> Result<bool, Error> {
        let _gate = self.gate.lock().await;
        let wanted = self.context().rules.with_rights(names);
        let loaded = self.load_missing(&wanted, names).await;
        // A store that failed is reported where it did.
        if let Err(error) = &loaded
            && error.kind() == ErrorKind::Conflict
        {
            self.report_failure(error);
        }
        loaded
    }

    /// Reads the record again, with these fields and all that were loaded before. Goes on by itself, too.
    pub(crate) fn reload(self: &Arc<Self>, names: &'static [FieldName]) -> Surviving<()> {
        let slot = Arc::clone(self);
        Surviving::reading(async move {
            let _gate = slot.gate.lock().await;
            slot.load_anew(names).await
        })
    }

    /// Finds, among the presented tokens' records, the one that is alive and whose secret matches.
    pub(super) async fn find_live(
        &self,
        presented: Presented,
        names: &[FieldName],
    ) -> Result<RecordState, Error> {
        let [Some(first), second] = presented else { return Ok(RecordState::Absent) };
        let found = self.check(first, names).await?;
        match second {
            None => Ok(found),
            Some(second) => Box::pin(self.check_second(found, second, names)).await,
        }
    }

    /// Checks a second token. Two live tokens are none: nothing tells which of them the user meant.
    async fn check_second(
        &self,
        first: RecordState,
        second: Token,
        names: &[FieldName],
    ) -> Result<RecordState, Error> {
        Ok(match (first, self.check(second, names).await?) {
            (RecordState::Live(first), RecordState::Live(second)) => {
                let records = [first.id, second.id];
                self.context().events.report(&Event::TwoLiveTokens { records });
                RecordState::Absent
            }
            (live @ RecordState::Live(_), _) | (_, live @ RecordState::Live(_)) => live,
            (superseded @ RecordState::Superseded { .. }, _) => superseded,
            (_, second) => second,
        })
    }

    /// The record of a token, if it is alive and the secret is its own.
    async fn check(&self, token: Token, names: &[FieldName]) -> Result<RecordState, Error> {
        let record = token.id();
        let Some(loaded) = self.load(record, names).await? else { return Ok(RecordState::Absent) };
        let hash = self.context().hasher.hash(&record, token.secret());
        let Some(authority) = self.read(record, &loaded) else { return Ok(RecordState::Absent) };
        let is_alive = self.is_alive(&loaded, &authority);
        let event = match authority.compare(&hash, loaded.now) {
            found @ (Match::Present | Match::Renewing(_) | Match::Renewed) if is_alive => {
                let mut live = Box::new(LiveRecord::new(&token, loaded, authority, self.context(), names));
                live.ends_renewal = found == Match::Renewed;
                if let Match::Renewing(salt) = found {
                    // The same for every request with the old secret, and for no other.
                    live.renewed = Some(token.secret().renewed(&record, &salt));
                }
                return Ok(RecordState::Live(live));
            }
            Match::Present | Match::Renewing(_) | Match::Renewed => Event::Expired { record },
            _ if !is_alive => return Ok(RecordState::Absent),
            Match::Superseded => {
                self.context().events.report(&Event::Superseded { record });
                let options = SessionOptions::of(&authority);
                return Ok(RecordState::Superseded { id: record, options });
            }
            Match::Stale => Event::Stale { record },
            Match::Forged => Event::Forged { record },
        };
        self.context().events.report(&event);
        Ok(RecordState::Absent)
    }

    /// The record, if there is one that can be read.
    pub(super) async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        match self.with_timeout(self.context().store.load(id, names), Error::unavailable).await {
            Ok(loaded) => Ok(loaded),
            Err(error) if error.kind() == ErrorKind::Unreadable => {
                self.report_unreadable(id, &error);
                Ok(None)
            }
            Err(error) => {
                self.context().events.report(&Event::LoadFailed { record: id, error: &error });
                Err(error)
            }
        }
    }

    /// The meaning of the record's credentials, if they can be read.
    pub(super) fn read(&self, id: RecordId, loaded: &Loaded) -> Option<Authority> {
        let authority = Authority::read(&loaded.credentials);
        if authority.is_none() {
            let error = Error::unreadable("its metadata are of a later version of this library, or of none");
            self.report_unreadable(id, &error);
        }
        authority
    }

    pub(super) fn report_unreadable(&self, record: RecordId, error: &Error) {
        self.context().events.report(&Event::UnreadableRecord { record, error });
    }

    /// Loads fields of a record that this request has loaded before.
    pub(super) async fn load_again(
        &self,
        id: RecordId,
        epoch: u64,
        names: &[FieldName],
    ) -> Result<(Loaded, Authority), Error> {
        let error = match self.load(id, names).await? {
            None => Error::ended_meanwhile(),
            Some(loaded) => match self.read(id, &loaded) {
                Some(authority) if self.is_alive(&loaded, &authority) => {
                    if loaded.epoch == epoch {
                        return Ok((loaded, authority));
                    }
                    Error::superseded()
                }
                _ => Error::ended_meanwhile(),
            },
        };
        self.lock().forget_renewal();
        Err(error)
    }

    pub(super) fn is_alive(&self, loaded: &Loaded, authority: &Authority) -> bool {
        self.context().is_alive(loaded, authority)
    }

    /// Loads what a further view needs of a record that is loaded in part, these names and those of rights, and looks
    /// at what is there. Behind the gate only.
    pub(super) async fn load_missing(
        &self,
        wanted: &[FieldName],
        names: &[FieldName],
    ) -> Result<bool, Error> {
        let known = self.lock().live().map(|live| (live.clone(), live.missing(wanted)));
        let Some((mut live, missing)) = known else { return Ok(false) };
        if !missing.is_empty() {
            let (loaded, _) = self.load_again(live.id, live.epoch, &missing).await?;
            for (name, value) in loaded.fields.iter().filter(|(name, _)| missing.covers(name)) {
                live.fields.insert(name.clone(), value.clone());
            }
            if let Some(known) = &mut live.names {
                known.extend(missing);
            }
        }
        let examined = self.examine(&mut live, names);
        self.replace_record(live);
        examined.map(|()| true)
    }

    /// Reads the record again, with these fields and all that were loaded before. Behind the gate only.
    pub(super) async fn load_anew(&self, names: &[FieldName]) -> Result<(), Error> {
        let wanted = self.context().rules.with_rights(names);
        let known = self.lock().live().map(|live| (live.clone(), live.with_names(&wanted)));
        let Some((mut live, names)) = known else { return Ok(()) };
        let (loaded, authority) = self.load_again(live.id, live.epoch, &names).await?;
        live.authority = authority;
        live.credentials = loaded.credentials;
        live.fields = loaded.fields;
        live.opened.clear();
        live.names = (!loaded.complete).then_some(names);
        live.touched = loaded.touched;
        (live.created, live.began_here) = (loaded.created, false);
        (live.loaded_at, live.since) = (loaded.now, self.context().stopwatch.start());
        (live.examined, live.is_withheld) = (0, false);
        // Before others see it: they look at any time.
        let all: Vec<_> = live.fields.iter().map(|(name, _)| name.clone()).collect();
        let examined = self.examine(&mut live, &all);
        self.replace_record(live);
        examined
    }

    /// Puts what is known of the record now in the place of what was, unless the request has ended it meanwhile.
    pub(super) fn replace_record(&self, live: LiveRecord) {
        let mut state = self.lock();
        let Some(known) = state.record.live_mut(live.id) else { return };
        let is_withheld_now = live.is_withheld && !known.is_withheld;
        *known = live;
        if is_withheld_now {
            state.forget_renewal();
            // The fields that other handles of the request show are not the request's any more.
            self.note_reset();
        }
    }
}

impl LiveRecord {
    fn new(
        token: &Token,
        loaded: Loaded,
        authority: Authority,
        context: &LayerContext,
        names: &[FieldName],
    ) -> Self {
        Self {
            id: token.id(),
            epoch: loaded.epoch,
            credentials: loaded.credentials,
            timeouts: context.timeouts_of(&authority),
            authority,
            secret: token.secret().clone(),
            renewed: None,
            ends_renewal: false,
            created: loaded.created,
            touched: loaded.touched,
            loaded_at: loaded.now,
            since: context.stopwatch.start(),
            began_here: false,
            fields: loaded.fields,
            names: (!loaded.complete).then(|| names.to_vec()),
            opened: Vec::new(),
            examined: 0,
            is_withheld: false,
        }
    }
}
