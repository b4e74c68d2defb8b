//! tower-sessions with a key per field, as its documentation uses it.

use anyhow::{Result, bail};
use futures::future::{BoxFuture, FutureExt};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, ConnectionConfig, Pool, TcpConfig};

use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::sqlite;
use crate::store::Store;

/// With the database's pool as its documentation opens it.
pub struct TowerSessions;

/// With a pool for this very benchmark.
pub struct TowerSessionsTuned;

impl Contender for TowerSessions {
    fn name(&self) -> &'static str {
        "tower-sessions"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        Some(match store {
            Store::Memory => "tower-sessions 0.15 with its MemoryStore, default layer",
            Store::SqliteRelaxed | Store::SqliteFull => {
                "tower-sessions 0.14 (the newest that its SQLite store takes) with \
                 tower-sessions-sqlx-store 0.15 on sqlx 0.8, default layer, sqlx's default pool"
            }
            Store::Redis => {
                "tower-sessions 0.14 (the newest that its Redis store takes) with \
                 tower-sessions-redis-store 0.16 on fred 10, default layer, the pool of six \
                 connections that its documentation has"
            }
            Store::Webdis => return None,
        })
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            let fields = setup.fields;
            Ok(match setup.store {
                Store::Memory => current::router(::tower_sessions::MemoryStore::default(), fields),
                Store::SqliteRelaxed | Store::SqliteFull => {
                    use tower_sessions_sqlx_store::{SqliteStore, sqlx};
                    let store = SqliteStore::new(sqlite::pool!(defaults sqlx, setup));
                    store.migrate().await?;
                    with_database::router(store, fields)
                }
                Store::Redis => with_database::router(redis(setup, 6, None).await?, fields),
                Store::Webdis => bail!("it has no store on Webdis"),
            }
            .into())
        }
        .boxed()
    }
}

impl Contender for TowerSessionsTuned {
    fn name(&self) -> &'static str {
        "tower-sessions-tuned"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        match store {
            Store::Memory | Store::Webdis => None,
            Store::Redis => Some("tower-sessions as above, with few connections and TCP_NODELAY"),
            Store::SqliteRelaxed | Store::SqliteFull => {
                Some("tower-sessions as above, with few connections that are not checked before use")
            }
        }
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            if setup.store == Store::Redis {
                let tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
                let config = ConnectionConfig { tcp, ..ConnectionConfig::default() };
                let store = redis(setup, setup.connections as usize, Some(config)).await?;
                return Ok(with_database::router(store, setup.fields).into());
            }
            use tower_sessions_sqlx_store::{SqliteStore, sqlx};
            let store = SqliteStore::new(sqlite::pool!(tuned sqlx, setup));
            store.migrate().await?;
            Ok(with_database::router(store, setup.fields).into())
        }
        .boxed()
    }
}

async fn redis(
    setup: &Setup<'_>,
    connections: usize,
    config: Option<ConnectionConfig>,
) -> Result<RedisStore<Pool>> {
    let server = Config::from_url(&setup.servers.redis_url())?;
    let pool = Pool::new(server, None, config, None, connections)?;
    pool.init().await?;
    Ok(RedisStore::new(pool))
}

/// The handlers; twice, because the two releases' types are unrelated.
macro_rules! handlers {
    ($module:ident, $tower_sessions:ident) => {
        mod $module {
            use axum::Router;
            use axum::http::StatusCode;
            use axum::routing::get;
            use $tower_sessions::{Session, SessionManagerLayer, SessionStore};

            use crate::data;

            pub fn router(store: impl SessionStore + Clone, fields: usize) -> Router {
                Router::new()
                    .route("/untouched", get(async || "ok"))
                    .route("/read", get(read))
                    .route("/write", get(write))
                    .route("/fill", get(move |session| fill(session, fields)))
                    .route("/check", get(move |session| check(session, fields)))
                    .layer(SessionManagerLayer::new(store))
            }

            type Answer = Result<String, (StatusCode, String)>;

            fn failure(error: impl std::fmt::Display) -> (StatusCode, String) {
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }

            async fn read(session: Session) -> Answer {
                field(&session, data::HOT_FIELD).await
            }

            async fn write(session: Session) -> Answer {
                let value = data::next_value();
                session.insert(data::HOT_FIELD, &value).await.map_err(failure)?;
                Ok(value)
            }

            async fn fill(session: Session, fields: usize) -> Answer {
                let values = data::next_values(fields);
                for (name, value) in data::fields(fields).iter().zip(&values) {
                    session.insert(name, value).await.map_err(failure)?;
                }
                session.insert(data::COUNTER, data::COUNTER_START).await.map_err(failure)?;
                Ok(data::summary(&values, data::COUNTER_START))
            }

            async fn check(session: Session, fields: usize) -> Answer {
                let mut values = Vec::new();
                for name in data::fields(fields) {
                    values.push(field(&session, name).await?);
                }
                let counter = session.get(data::COUNTER).await.map_err(failure)?;
                Ok(data::summary(&values, counter.unwrap_or_default()))
            }

            async fn field(session: &Session, name: &str) -> Answer {
                let value = session.get(name).await.map_err(failure)?;
                Ok(value.unwrap_or_default())
            }
        }
    };
}

handlers!(current, tower_sessions);
handlers!(with_database, tower_sessions_014);
