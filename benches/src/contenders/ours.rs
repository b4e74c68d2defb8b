//! `sessions`, compiled with the cargo feature `ours`.

mod views;

use anyhow::Result;
use axum::Router;
use futures::future::{BoxFuture, FutureExt};
use sessions::SessionLayer;
use sessions::store::{Durability, MemoryStore, RedisStore, SqliteStore, Store as SessionStore, WebdisStore};

use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::store::Store;

pub struct Ours;

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        Some(match store {
            Store::Memory => "this repository's crate, MemoryStore, default layer",
            Store::SqliteRelaxed => {
                "this repository's crate, SqliteStore with relaxed durability, default layer"
            }
            Store::SqliteFull => "this repository's crate, SqliteStore with full durability, default layer",
            Store::Redis => "this repository's crate, RedisStore with its default options, default layer",
            Store::Webdis => "this repository's crate, WebdisStore with its default options, default layer",
        })
    }

    fn has_views(&self, _: Store) -> bool {
        true
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            Ok(match setup.store {
                Store::Memory => layered(setup, MemoryStore::new().with_capacity(10_000_000)),
                Store::SqliteRelaxed => layered(setup, sqlite(setup, Durability::Relaxed).await?),
                Store::SqliteFull => layered(setup, sqlite(setup, Durability::Full).await?),
                Store::Redis => layered(setup, RedisStore::connect(setup.servers.redis_url()).await?),
                Store::Webdis => layered(setup, WebdisStore::connect(setup.servers.webdis_url()).await?),
            }
            .into())
        }
        .boxed()
    }
}

async fn sqlite(setup: &Setup<'_>, durability: Durability) -> Result<SqliteStore> {
    Ok(SqliteStore::builder(setup.dir.join("sessions.db")).with_durability(durability).open().await?)
}

fn layered(setup: &Setup<'_>, store: impl SessionStore) -> Router {
    views::routes(setup.fields).layer(SessionLayer::new(store))
}
