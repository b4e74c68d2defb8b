//! What a contender must provide.

use std::path::PathBuf;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::app::App;
use crate::servers::Servers;
use crate::store::Store;

/// What a contender is built from.
pub struct Setup<'a> {
    pub store: Store,
    /// How many text fields the sessions have.
    pub fields: usize,
    /// What runs for this store, if anything.
    pub servers: &'a Servers,
    /// An empty folder on disk for this contender's database.
    pub dir: PathBuf,
    /// Pool size for contenders that are given a connection pool.
    pub connections: u32,
}

/// One session library, or a floor without any.
///
/// The application answers `GET` on these routes, always with status 200:
/// - `/untouched` does not look at the session;
/// - `/read` returns the hot field ([`crate::data::HOT`]);
/// - `/read-4`, where [`Contender::has_views`], returns the first
///   [`crate::data::FEW`] fields, a line each, and loads no others;
/// - `/write` sets the hot field to [`crate::data::next_value`] and returns it;
/// - `/fill` sets every field to [`crate::data::next_values`] and the counter
///   to [`crate::data::COUNTER_START`], and returns [`crate::data::summary`];
/// - `/check` returns the summary of what the session holds.
pub trait Contender: Sync {
    fn name(&self) -> &'static str;

    /// Version and configuration for the notes below the table, or `None` if
    /// the contender does not take part with this store.
    fn config(&self, store: Store) -> Option<&'static str>;

    /// Whether values survive from one request to the next and can be checked.
    fn keeps_sessions(&self) -> bool {
        true
    }

    /// Whether a handler can load some of the fields, and not the others.
    fn has_views(&self, _: Store) -> bool {
        false
    }

    /// Whether this is the floor that the others' CPU time is compared with.
    fn is_floor(&self) -> bool {
        false
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>>;
}
