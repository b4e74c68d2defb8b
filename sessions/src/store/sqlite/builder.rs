//! Builds an SQLite store.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::SqlitePool;

use super::{
    SqliteStore,
    connect::{Connector, Source},
    queue::Queue,
    table::TableName,
};
use crate::{
    clock::{AnyClock, Clock, SystemClock},
    error::Error,
};

/// What a commit that was answered survives.
///
/// Either survives the end of the process, however sudden, and neither ever leaves half a commit.
/// The difference is whether the machine may lose power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A loss of power too: each transaction waits for the disk (WAL, `synchronous=FULL`).
    #[default]
    Full,
    /// Not a loss of power: it can take back the last commits, a logout among them (WAL,
    /// `synchronous=NORMAL`).
    Relaxed,
}

/// Options of an [`SqliteStore`]: [`SqliteStore::builder`].
///
/// ```
/// use std::time::Duration;
///
/// use sessions::store::{Durability, SqliteStoreBuilder};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let store = SqliteStoreBuilder::in_memory()
///     .with_table("web_sessions")?
///     .with_durability(Durability::Relaxed)
///     .with_busy_timeout(Duration::from_secs(2))
///     .open()
///     .await?;
/// # let _ = store;
/// # Ok::<(), sessions::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct SqliteStoreBuilder {
    source: Source,
    table: TableName,
    clock: AnyClock,
    durability: Option<Durability>,
    busy_timeout: Option<Duration>,
}

impl SqliteStoreBuilder {
    /// A database in this file, which is created with the mode 0600 if it is missing. Its folder must exist, and
    /// it must be no symbolic link.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::File(path.into()))
    }

    /// A database in memory, of this store and its clones alone.
    pub fn in_memory() -> Self {
        Self::new(Source::Memory)
    }

    /// The database of a pool. See [`SqliteStore::from_pool`].
    pub fn pool(pool: SqlitePool) -> Self {
        Self::new(Source::Pool(pool))
    }

    /// Keeps the sessions in this table, `sessions` by default.
    ///
    /// # Errors
    ///
    /// If the name is not one to 63 ASCII letters, digits and underscores that begin with no
    /// digit, or begins with `sqlite_`.
    pub fn with_table(mut self, name: &str) -> Result<Self, Error> {
        self.table = TableName::new(name)?;
        Ok(self)
    }

    /// Reads the time from `clock`.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = AnyClock::new(clock);
        self
    }

    /// What a commit survives: [`Durability::Full`] by default, for a pool what its options say.
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How long to wait for another process that writes before a request fails: five seconds by
    /// default, for a pool what its options say.
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = Some(timeout);
        self
    }

    /// Opens the database, and creates the table and its index where they are missing.
    ///
    /// # Errors
    ///
    /// With the kind [`Config`](crate::ErrorKind::Config) if the path is not one or a symbolic link, the file cannot
    /// be opened or written, its text is not UTF-8, or the table is there with other columns;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if another process kept it locked.
    pub async fn open(self) -> Result<SqliteStore, Error> {
        let Self { source, table, clock, durability, busy_timeout } = self;
        let (connector, connection) = Connector::open(&source, &table, durability, busy_timeout).await?;
        Ok(SqliteStore { queue: Arc::new(Queue::new(connector, connection, table, clock)) })
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            table: TableName::default(),
            clock: AnyClock::new(SystemClock),
            durability: None,
            busy_timeout: None,
        }
    }
}
