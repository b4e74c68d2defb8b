//! A store that several owners share.

use std::{sync::Arc, time::Duration};

use super::{CanIndex, Commit, CommitOutcome, CreateOutcome, IndexStore, Loaded, NewRecord, Store};
use crate::{
    error::Error,
    value::{FieldName, RecordId, Timeouts},
};

/// A store for several layers, or for a layer and a clean-up of your own.
impl<S: Store> Store for Arc<S> {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        S::load(self, id, names).await
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        S::create(self, id, new).await
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        S::commit(self, id, commit).await
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        S::destroy(self, id).await
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        S::purge(self, timeouts, limit).await
    }

    fn expires_by_itself(&self) -> bool {
        S::expires_by_itself(self)
    }

    fn timeout(&self) -> Option<Duration> {
        S::timeout(self)
    }

    fn index(&self) -> Option<&dyn IndexStore> {
        S::index(self)
    }
}

impl<S: CanIndex> CanIndex for Arc<S> {}
