//! tower-sessions with a key per field, as its documentation uses it.

use anyhow::Result;
use axum::Router;
use futures::future::{BoxFuture, FutureExt};

use crate::contender::{Contender, Setup};
use crate::sqlite;
use crate::store::Store;

/// With sqlx's own pool, as its documentation opens it.
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
        })
    }

    fn router<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Router>> {
        async move {
            Ok(match setup.store {
                Store::Memory => current::router(::tower_sessions::MemoryStore::default()),
                Store::SqliteRelaxed | Store::SqliteFull => {
                    use tower_sessions_sqlx_store::{SqliteStore, sqlx};
                    let store = SqliteStore::new(sqlite::pool!(defaults sqlx, setup));
                    store.migrate().await?;
                    with_sqlite::router(store)
                }
            })
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
            Store::Memory => None,
            Store::SqliteRelaxed | Store::SqliteFull => {
                Some("tower-sessions as above, with few connections that are not checked before use")
            }
        }
    }

    fn router<'a>(&'a self, setup: &'a Setup) -> BoxFuture<'a, Result<Router>> {
        async move {
            use tower_sessions_sqlx_store::{SqliteStore, sqlx};
            let store = SqliteStore::new(sqlite::pool!(tuned sqlx, setup));
            store.migrate().await?;
            Ok(with_sqlite::router(store))
        }
        .boxed()
    }
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

            pub fn router(store: impl SessionStore + Clone) -> Router {
                Router::new()
                    .route("/untouched", get(async || "ok"))
                    .route("/read", get(read))
                    .route("/write", get(write))
                    .route("/fill", get(fill))
                    .route("/check", get(check))
                    .layer(SessionManagerLayer::new(store))
            }

            type Answer = Result<String, (StatusCode, String)>;

            fn failure(error: impl std::fmt::Display) -> (StatusCode, String) {
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }

            async fn read(session: Session) -> Answer {
                field(&session, data::FIELDS[data::HOT]).await
            }

            async fn write(session: Session) -> Answer {
                let value = data::next_value();
                session.insert(data::FIELDS[data::HOT], &value).await.map_err(failure)?;
                Ok(value)
            }

            async fn fill(session: Session) -> Answer {
                let values = data::next_values();
                for (name, value) in data::FIELDS.iter().zip(&values) {
                    session.insert(name, value).await.map_err(failure)?;
                }
                session.insert(data::COUNTER, data::COUNTER_START).await.map_err(failure)?;
                Ok(data::summary(&values, data::COUNTER_START))
            }

            async fn check(session: Session) -> Answer {
                let mut values = Vec::new();
                for name in data::FIELDS {
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
handlers!(with_sqlite, tower_sessions_014);
