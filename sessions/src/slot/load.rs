//! Reading the request's record: which of the presented tokens has one, and what is missing of it.

use super::{
    LayerContext, Presented, Slot,
    state::{CookieChange, LiveRecord, RecordState, SessionOptions},
};
use crate::{
    error::{Error, ErrorKind},
    event::Event,
    store::Loaded,
    value::{Authority, FieldName, Match, RecordId, Token},
};

/// Action a presented token leads to.
enum Found {
    Live(Box<LiveRecord>),
    /// A record whose secret this was a moment ago, and what was said of it.
    Superseded(SessionOptions),
    Nothing,
}

impl Slot {
    /// Of the presented tokens' records, the one that is alive and whose secret matches.
    pub(super) async fn find_live(
        &self,
        presented: Presented,
        names: &[FieldName],
    ) -> Result<RecordState, Error> {
        let [Some(first), second] = presented else { return Ok(RecordState::Absent) };
        let found = self.check(first, names).await?;
        let found = match second {
            None => found,
            Some(second) => Box::pin(self.check_second(found, second, names)).await?,
        };
        Ok(match found {
            Found::Live(live) => RecordState::Live(live),
            Found::Superseded(options) => RecordState::Superseded(options),
            Found::Nothing => RecordState::Absent,
        })
    }

    /// Two live tokens are none: nobody can tell which of them the user meant.
    async fn check_second(&self, first: Found, second: Token, names: &[FieldName]) -> Result<Found, Error> {
        Ok(match (first, self.check(second, names).await?) {
            (Found::Live(first), Found::Live(second)) => {
                let records = [first.id, second.id];
                self.context.events.report(&Event::TwoLiveTokens { records });
                self.lock().cookie = CookieChange::None;
                Found::Nothing
            }
            (live @ Found::Live(_), _) | (_, live @ Found::Live(_)) => live,
            (Found::Superseded(options), _) | (_, Found::Superseded(options)) => Found::Superseded(options),
            (Found::Nothing, Found::Nothing) => Found::Nothing,
        })
    }

    /// The record of a token, if it is alive and the secret is its own.
    async fn check(&self, token: Token, names: &[FieldName]) -> Result<Found, Error> {
        let Some(loaded) = self.load(token.id(), names).await? else { return Ok(Found::Nothing) };
        let hash = self.context.hasher.hash(&token.id(), token.secret());
        let Some(authority) = self.read(token.id(), &loaded) else { return Ok(Found::Nothing) };
        let (record, events) = (token.id(), &self.context.events);
        match authority.compare(&hash, loaded.now) {
            found @ (Match::Present | Match::Renewing(_) | Match::Renewed)
                if self.is_alive(&loaded, &authority) =>
            {
                let is_renewed = found == Match::Renewed;
                let mut live = Box::new(LiveRecord::new(&token, loaded, authority, &self.context, names));
                live.ends_renewal = is_renewed;
                if let Match::Renewing(salt) = found {
                    // The same for every request on the old secret, and for none of the others.
                    let token = Token::new(record, token.secret().renewed(&record, &salt));
                    let max_age = live.max_age();
                    self.lock().cookie = CookieChange::Set { token, max_age, is_renewal: true };
                }
                Ok(Found::Live(live))
            }
            Match::Present | Match::Renewing(_) | Match::Renewed => {
                events.report(&Event::Expired { record });
                Ok(Found::Nothing)
            }
            _ if !self.is_alive(&loaded, &authority) => Ok(Found::Nothing),
            Match::Superseded => {
                events.report(&Event::Superseded { record });
                self.lock().superseded = Some(record);
                Ok(Found::Superseded(SessionOptions::of(&authority)))
            }
            Match::Stale => {
                events.report(&Event::Stale { record });
                Ok(Found::Nothing)
            }
            Match::Forged => {
                events.report(&Event::Forged { record });
                Ok(Found::Nothing)
            }
        }
    }

    /// The record, if there is one that can be read.
    pub(super) async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        match self.with_timeout(self.context.store.load(id, names), Error::unavailable).await {
            Ok(loaded) => Ok(loaded),
            Err(error) if error.kind() == ErrorKind::Unreadable => {
                self.report_unreadable(id, &error);
                Ok(None)
            }
            Err(error) => {
                self.context.events.report(&Event::LoadFailed { record: id, error: &error });
                Err(error)
            }
        }
    }

    /// Action the record's credentials says, if it can be read.
    pub(super) fn read(&self, id: RecordId, loaded: &Loaded) -> Option<Authority> {
        let authority = Authority::read(&loaded.credentials);
        if authority.is_none() {
            let error = Error::unreadable("its metadata are of a later version of this library, or of none");
            self.report_unreadable(id, &error);
        }
        authority
    }

    pub(super) fn report_unreadable(&self, record: RecordId, error: &Error) {
        self.context.events.report(&Event::UnreadableRecord { record, error });
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
        let timeouts = self.context.timeouts_of(authority);
        loaded.created >= self.context.not_before
            && timeouts.is_alive(loaded.created, loaded.touched, loaded.now)
    }

    /// Loads what a further view needs of a record that is loaded in part, these names and those of rights, and looks
    /// at what is there. Behind the gate only.
    pub(super) async fn load_missing(
        &self,
        wanted: &[FieldName],
        names: &[FieldName],
    ) -> Result<bool, Error> {
        let known = self.lock().live().map(|live| (Box::new(live.clone()), live.missing(wanted)));
        let Some((mut live, missing)) = known else { return Ok(false) };
        if !missing.is_empty() {
            let (loaded, _) = self.load_again(live.id, live.epoch, &missing).await?;
            for (name, value) in loaded.fields.iter().filter(|(name, _)| missing.contains(name)) {
                live.fields.insert(name.clone(), value.clone());
            }
            if let Some(known) = &mut live.names {
                known.extend(missing);
            }
        }
        let examined = self.examine(&mut live, names);
        self.enter(live);
        examined.map(|()| true)
    }

    /// Puts what is known of the record now in the place of what was, unless the request has ended it meanwhile.
    pub(super) fn enter(&self, live: Box<LiveRecord>) {
        let mut state = self.lock();
        let RecordState::Live(known) = &mut state.record else { return };
        if known.id != live.id {
            return;
        }
        let is_withheld_now = live.is_withheld && !known.is_withheld;
        *known = live;
        if is_withheld_now {
            state.forget_renewal();
            // Action other handles of the request show is not the request's any more.
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
