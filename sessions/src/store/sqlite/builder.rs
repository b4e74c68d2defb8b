//! Options of an SQLite store, and its constructors.

use std::{path::PathBuf, time::Duration};

use sqlx::SqlitePool;

use super::{
    connect::{Connector, DatabaseSource},
    connection::StoreConnection,
    database::Database,
    durability::Durability,
    store::SqliteStore,
    table::TableName,
};
use crate::{
    clock::{AnyClock, Clock, SystemClock},
    error::Error,
};

/// Options of an [`SqliteStore`].
///
/// | option | default | for a pool |
/// |---|---|---|
/// | [`with_table`](Self::with_table) | `sessions` | `sessions` |
/// | [`with_durability`](Self::with_durability) | [`Durability::Full`] | the journal mode and `synchronous` of its options |
/// | [`with_busy_timeout`](Self::with_busy_timeout) | five seconds | the timeout of its options |
/// | [`with_clock`](Self::with_clock) | the system's clock | the system's clock |
///
/// A file with a table of another name, whose commits do not wait for the disk:
///
/// ```
/// use std::time::Duration;
///
/// use sessions::store::{Durability, SqliteStore};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("sessions-builder-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("shop.db");
/// let store = SqliteStore::builder(path)
///     .with_table("web_sessions")?
///     .with_durability(Durability::Relaxed)
///     .with_busy_timeout(Duration::from_secs(2))
///     .open()
///     .await?;
/// # let _ = store;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), sessions::Error>(())
/// # }).unwrap();
/// ```
///
/// A database in memory, with a clock that a test moves:
///
/// ```
/// # #[cfg(feature = "test-util")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use sessions::{store::SqliteStoreBuilder, testing::ManualClock};
///
/// let clock = ManualClock::default();
/// let store = SqliteStoreBuilder::in_memory().with_clock(clock.clone()).open().await?;
/// # let _ = store;
/// # Ok::<(), sessions::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open` is called"]
pub struct SqliteStoreBuilder {
    source: DatabaseSource,
    table: TableName,
    clock: AnyClock,
    durability: Option<Durability>,
    busy_timeout: Option<Duration>,
}

impl SqliteStoreBuilder {
    /// Begins with a database in this file.
    ///
    /// [`open`](Self::open) creates a missing file, with the mode 0600 on Unix. The folder must exist. The file
    /// must not be a symbolic link.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(DatabaseSource::File(path.into()))
    }

    /// Begins with a new database in memory. Only this store and its clones see it.
    pub fn in_memory() -> Self {
        Self::new(DatabaseSource::Memory)
    }

    /// Begins with the database of a pool. See [`SqliteStore::from_pool`].
    pub fn pool(pool: SqlitePool) -> Self {
        Self::new(DatabaseSource::Pool(pool))
    }

    /// Sets the table that holds the sessions, `sessions` by default.
    ///
    /// # Errors
    ///
    /// The kind [`Config`](crate::ErrorKind::Config) if the name is not one to 63 ASCII letters, digits and
    /// underscores, begins with a digit, or begins with `sqlite_`.
    pub fn with_table(mut self, name: &str) -> Result<Self, Error> {
        self.table = TableName::new(name)?;
        Ok(self)
    }

    /// Sets the clock that the store reads the time from.
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = AnyClock::new(clock);
        self
    }

    /// Sets the failures that an acknowledged commit survives: [`Durability::Full`] by default.
    ///
    /// On a pool this overrides the journal mode and `synchronous` of its options, for the store's connections.
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Sets how long a request waits for another process's lock before it fails: five seconds by default.
    ///
    /// SQLite counts in milliseconds, up to about 24 days. Longer timeouts are cut to that.
    pub fn with_busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = Some(timeout);
        self
    }

    /// Opens the database, and creates the table and its index where they are missing.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if the path is not one or is a symbolic link, if the file cannot be
    /// opened or written, if its text is not UTF-8, or if its table has other columns.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if another process kept it locked for the busy timeout.
    pub async fn open(self) -> Result<SqliteStore, Error> {
        let Self { source, table, clock, durability, busy_timeout } = self;
        let (connector, connection) = Connector::open(&source, &table, durability, busy_timeout).await?;
        let database = Database::new(connector, table, clock);
        Ok(SqliteStore::new(database, StoreConnection::new(connection)))
    }

    fn new(source: DatabaseSource) -> Self {
        Self {
            source,
            table: TableName::default(),
            clock: AnyClock::new(SystemClock),
            durability: None,
            busy_timeout: None,
        }
    }
}

/// The constructors.
impl SqliteStore {
    /// Opens a store in this file.
    ///
    /// A missing file is created, with the mode 0600 on Unix. The folder must exist. The file must not be a
    /// symbolic link.
    ///
    /// # Errors
    ///
    /// See [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder(path).open().await
    }

    /// Opens a store in a new database in memory. Only this store and its clones see it.
    ///
    /// ```
    /// use sessions::store::SqliteStore;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let store = SqliteStore::in_memory().await?;
    /// # let _ = store;
    /// # Ok::<(), sessions::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SqliteStoreBuilder::open`].
    pub async fn in_memory() -> Result<Self, Error> {
        SqliteStoreBuilder::in_memory().open().await
    }

    /// Opens a store in the database of a pool.
    ///
    /// The store opens two connections of its own with the pool's options, and takes none of the pool's. So
    /// neither waits for the other. Hooks of the pool, such as `after_connect`, do not run on the store's
    /// connections.
    ///
    /// Journal mode, `synchronous` and busy timeout are those of the pool's options, unless the
    /// [builder](SqliteStoreBuilder::pool) says otherwise. WAL is by far the fastest journal mode.
    ///
    /// ```
    /// use sessions::store::SqliteStore;
    /// use sqlx::{SqlitePool, sqlite::{SqliteConnectOptions, SqliteJournalMode}};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("sessions-pool-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("app.db");
    /// let options = SqliteConnectOptions::new()
    ///     .filename(path)
    ///     .create_if_missing(true)
    ///     .journal_mode(SqliteJournalMode::Wal);
    /// let pool = SqlitePool::connect_with(options).await?;
    /// let store = SqliteStore::from_pool(pool).await?;
    /// # let _ = store;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SqliteStoreBuilder::open`].
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, Error> {
        SqliteStoreBuilder::pool(pool).open().await
    }

    /// Returns the options of a store in this file.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::file(path)
    }
}
