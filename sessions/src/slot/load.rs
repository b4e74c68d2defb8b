//! Reading the request's record: which of the presented tokens has one, and what is missing of it.

use super::{
    Presented, Slot,
    state::{Live, Phase},
};
use crate::{
    error::Error,
    event::Event,
    store::Loaded,
    value::{FieldName, RecordId, Token},
};

impl Slot {
    /// Of the presented tokens' records, the one that is alive and whose secret matches.
    pub(super) async fn find_live(
        &self,
        presented: Presented,
        names: &[FieldName],
    ) -> Result<Option<Live>, Error> {
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
    pub(super) async fn load_again(
        &self,
        id: RecordId,
        epoch: u64,
        names: &[FieldName],
    ) -> Result<Loaded, Error> {
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

    /// Loads what a further view needs of a record that is loaded in part. Behind the gate only.
    pub(super) async fn load_missing(&self, names: &[FieldName]) -> Result<bool, Error> {
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
}
