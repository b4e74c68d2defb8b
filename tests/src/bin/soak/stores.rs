//! The stores that are put under load, and how many records each holds.

use std::{error::Error, sync::Arc};

use sessions::{
    Timeouts,
    store::{AnyStore, MemoryStore, RedisStore, SqliteStore, Store},
};
use sqlx::SqlitePool;
use tests::servers::RedisServer;

/// How many dead records are cleared away at a time.
const PURGED_AT_ONCE: usize = 1000;

/// A store under load.
pub(crate) enum Backend {
    Memory(Arc<MemoryStore>),
    /// The folder goes with it.
    Sqlite {
        store: SqliteStore,
        pool: SqlitePool,
        _folder: tempfile::TempDir,
    },
    /// A server of its own.
    Redis {
        store: RedisStore,
        server: RedisServer,
    },
}

impl Backend {
    pub(crate) const NAMES: &str = "memory, sqlite, redis";

    /// Opens an empty one; `None` if there is none of this name.
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

    /// How many records it holds, dead ones that are still there included.
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

    /// Clears away what is dead.
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
