//! The stores under load, and the number of records of each.

use std::{error::Error, sync::Arc};

use sessions::{
    Timeouts,
    store::{AnyStore, MemoryStore, RedisStore, SqliteStore, Store},
};
use sqlx::SqlitePool;
use tests::servers::RedisServer;

/// The number of dead records that one purge removes.
const PURGED_AT_ONCE: usize = 1000;

/// A store under load.
pub(crate) enum Backend {
    Memory(Arc<MemoryStore>),
    /// The database, and its folder, which is removed with it.
    Sqlite {
        store: SqliteStore,
        pool: SqlitePool,
        _folder: tempfile::TempDir,
    },
    /// A store on a server that no other test uses.
    Redis {
        store: RedisStore,
        server: RedisServer,
    },
}

impl Backend {
    pub(crate) const NAMES: &str = "memory, sqlite, redis";

    /// Opens an empty store of this name. Returns `None` for an unknown name.
    pub(crate) async fn open(name: &str) -> Result<Option<Self>, Box<dyn Error>> {
        Ok(Some(match name {
            "memory" => Self::Memory(Arc::default()),
            "sqlite" => {
                let folder = tempfile::Builder::new().prefix("sessions-soak.").tempdir()?;
                let path = folder.path().join("soak.db");
                let store = SqliteStore::open(&path).await?;
                let pool = SqlitePool::connect(&format!("sqlite:{}", path.display())).await?;
                Self::Sqlite { store, pool, _folder: folder }
            }
            "redis" => {
                let server = tokio::task::block_in_place(RedisServer::start);
                Self::Redis { store: RedisStore::connect(server.url()).await?, server }
            }
            _ => return Ok(None),
        }))
    }

    pub(crate) fn store(&self) -> AnyStore {
        match self {
            Self::Memory(store) => Arc::clone(store).erase(),
            Self::Sqlite { store, .. } => store.clone().erase(),
            Self::Redis { store, .. } => store.clone().erase(),
        }
    }

    /// Returns the number of records, with dead ones that were not purged yet.
    pub(crate) async fn count(&self) -> Result<usize, Box<dyn Error>> {
        Ok(match self {
            Self::Memory(store) => store.len(),
            Self::Sqlite { pool, .. } => {
                let count: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(pool).await?;
                usize::try_from(count)?
            }
            Self::Redis { server, .. } => {
                tokio::task::block_in_place(|| server.try_cli(&["DBSIZE"]))?.parse()?
            }
        })
    }

    /// Purges dead records.
    pub(crate) async fn purge(&self, timeouts: Timeouts) -> Result<(), sessions::Error> {
        loop {
            let purged = match self {
                Self::Memory(store) => store.purge(timeouts, PURGED_AT_ONCE).await?,
                Self::Sqlite { store, .. } => store.purge(timeouts, PURGED_AT_ONCE).await?,
                Self::Redis { store, .. } => store.purge(timeouts, PURGED_AT_ONCE).await?,
            };
            if purged < PURGED_AT_ONCE {
                return Ok(());
            }
        }
    }
}
