//! Reading the request's record: which of the presented tokens has one, and what is missing of it.

use super::{
    Presented, Shared, Slot,
    state::{CookieChange, Live, Phase, Terms},
};
use crate::{
    error::{Error, ErrorKind},
    event::Event,
    store::Loaded,
    value::{Authority, FieldName, Match, RecordId, Token},
};

/// What a presented token leads to.
enum Found {
    Live(Box<Live>),
    /// A record whose secret this was a moment ago, and what was said of it.
    Superseded(Terms),
    Nothing,
}

impl Slot {
    /// Of the presented tokens' records, the one that is alive and whose secret matches.
    pub(super) async fn find_live(&self, presented: Presented, names: &[FieldName]) -> Result<Phase, Error> {
        let [Some(first), second] = presented else { return Ok(Phase::Absent) };
        let found = self.check(first, names).await?;
        let found = match second {
            None => found,
            Some(second) => Box::pin(self.check_second(found, second, names)).await?,
        };
        Ok(match found {
            Found::Live(live) => Phase::Live(live),
            Found::Superseded(terms) => Phase::Superseded(terms),
            Found::Nothing => Phase::Absent,
        })
    }

    /// Two live tokens are none: nobody can tell which of them the user meant.
    async fn check_second(&self, first: Found, second: Token, names: &[FieldName]) -> Result<Found, Error> {
        Ok(match (first, self.check(second, names).await?) {
            (Found::Live(first), Found::Live(second)) => {
                let records = [first.id, second.id];
                self.shared.events.report(&Event::TwoLiveTokens { records });
                self.lock().cookie = CookieChange::None;
                Found::Nothing
            }
            (live @ Found::Live(_), _) | (_, live @ Found::Live(_)) => live,
            (Found::Superseded(terms), _) | (_, Found::Superseded(terms)) => Found::Superseded(terms),
            (Found::Nothing, Found::Nothing) => Found::Nothing,
        })
    }

    /// The record of a token, if it is alive and the secret is its own.
    async fn check(&self, token: Token, names: &[FieldName]) -> Result<Found, Error> {
        let Some(loaded) = self.load(token.id(), names).await? else { return Ok(Found::Nothing) };
        let hash = self.shared.hasher.hash(&token.id(), token.secret());
        let Some(authority) = self.read(token.id(), &loaded) else { return Ok(Found::Nothing) };
        let (record, events) = (token.id(), &self.shared.events);
        match authority.compare(&hash, loaded.now) {
            found @ (Match::Present | Match::Renewing(_) | Match::Renewed)
                if self.is_alive(&loaded, &authority) =>
            {
                let is_renewed = found == Match::Renewed;
                let mut live = Box::new(Live::new(&token, loaded, authority, &self.shared, names));
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
                Ok(Found::Superseded(Terms::of(&authority)))
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
        match self.bounded(self.shared.store.load(id, names), Error::unavailable).await {
            Ok(loaded) => Ok(loaded),
            Err(error) if error.kind() == ErrorKind::Unreadable => {
                self.report_unreadable(id, &error);
                Ok(None)
            }
            Err(error) => {
                self.shared.events.report(&Event::LoadFailed { record: id, error: &error });
                Err(error)
            }
        }
    }

    /// What the record's credentials says, if it can be read.
    pub(super) fn read(&self, id: RecordId, loaded: &Loaded) -> Option<Authority> {
        let authority = Authority::read(&loaded.credentials);
        if authority.is_none() {
            let error = Error::unreadable("its metadata are of a later version of this library, or of none");
            self.report_unreadable(id, &error);
        }
        authority
    }

    pub(super) fn report_unreadable(&self, record: RecordId, error: &Error) {
        self.shared.events.report(&Event::UnreadableRecord { record, error });
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
        let timeouts = self.shared.timeouts_of(authority);
        loaded.created >= self.shared.not_before
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
    pub(super) fn enter(&self, live: Box<Live>) {
        let mut state = self.lock();
        let Phase::Live(known) = &mut state.record else { return };
        if known.id != live.id {
            return;
        }
        let is_withheld_now = live.is_withheld && !known.is_withheld;
        *known = live;
        if is_withheld_now {
            state.forget_renewal();
            // What other handles of the request show is not the request's any more.
            self.note_boundary();
        }
    }
}

impl Live {
    fn new(
        token: &Token,
        loaded: Loaded,
        authority: Authority,
        shared: &Shared,
        names: &[FieldName],
    ) -> Self {
        Self {
            id: token.id(),
            epoch: loaded.epoch,
            credentials: loaded.credentials,
            timeouts: shared.timeouts_of(&authority),
            authority,
            secret: token.secret().clone(),
            ends_renewal: false,
            created: loaded.created,
            touched: loaded.touched,
            loaded_at: loaded.now,
            since: shared.stopwatch.start(),
            began_here: false,
            fields: loaded.fields,
            names: (!loaded.complete).then(|| names.to_vec()),
            opened: Vec::new(),
            examined: 0,
            is_withheld: false,
        }
    }
}
