//! One of a store's two connections, between batches and during one.

use sqlx::SqliteConnection;

use super::{
    connect::Connector,
    failure::{self, BatchFailure},
};
use crate::error::Error;

/// A connection that is opened when a batch needs it, and dropped when a batch fails.
#[derive(Debug, Default)]
pub(super) struct StoreConnection {
    open: Option<SqliteConnection>,
    /// True from the beginning of a batch until it ended well: a transaction may be open.
    is_dirty: bool,
}

impl StoreConnection {
    pub(super) const fn new(open: SqliteConnection) -> Self {
        Self { open: Some(open), is_dirty: false }
    }

    /// Returns the connection for one batch: open, and outside of any transaction.
    pub(super) async fn begin(
        &mut self,
        connector: &Connector,
    ) -> Result<&mut SqliteConnection, BatchFailure> {
        let connection = match self.open.take() {
            Some(connection) => connection,
            None if connector.is_in_memory => {
                return Err(Error::unavailable(
                    "the connection that held the database in memory has ended, and all sessions with it; \
                     open a new store",
                )
                .into());
            }
            None => connector.connect().await.map_err(BatchFailure::before_commit)?,
        };
        let was_dirty = std::mem::replace(&mut self.is_dirty, true);
        let connection = self.open.insert(connection);
        if was_dirty {
            match sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await {
                Err(error) if !failure::is_no_transaction(&error) => {
                    return Err(BatchFailure::before_commit(error));
                }
                _ => {}
            }
        }
        Ok(connection)
    }

    /// Ends a batch. A connection whose batch failed is closed, and its transaction with it.
    ///
    /// A database in memory would end with its connection. So that connection stays, and rolls back before the
    /// next batch.
    pub(super) fn end(&mut self, is_ok: bool, connector: &Connector) {
        if is_ok {
            self.is_dirty = false;
        } else if !connector.is_in_memory {
            *self = Self::default();
        }
    }

    /// Returns the connection of a worker that was dropped, perhaps in the middle of a batch.
    pub(super) fn after_drop_of_worker(mut self, connector: &Connector) -> Self {
        self.end(!self.is_dirty, connector);
        self
    }
}
