//! axum_session with a key per field: with its cache, and with the cache off.

use ::axum_session::{DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};
use anyhow::{Result, bail};
use axum::Router;
use axum::routing::get;
use axum_session_redispool::SessionRedisPool;
use axum_session_sqlx::SessionSqlitePool;
use futures::future::{BoxFuture, FutureExt};
use redis_pool::SingleRedisPool;

use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::data;
use crate::sqlite;
use crate::store::Store;

/// The configuration of its documentation. Sessions stay in the process'
/// memory for an hour, the database is only read for sessions not seen in that
/// time. So reads do not reach the database, and a second process on the same
/// database would not see this one's writes.
pub const CACHED: AxumSession = AxumSession { cached: true };

/// `with_memory_lifetime(0)`, its way to take every request's session from the
/// database as the other contenders do. It then also stores it every time.
pub const UNCACHED: AxumSession = AxumSession { cached: false };

pub struct AxumSession {
    cached: bool,
}

impl Contender for AxumSession {
    fn name(&self) -> &'static str {
        match self.cached {
            true => "axum_session",
            false => "axum_session-uncached",
        }
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        match (store, self.cached) {
            (Store::Memory, true) => Some("axum_session 0.22 with SessionNullPool, default SessionConfig"),
            // Without a database its cache is the store.
            (Store::Memory, false) => None,
            (Store::Webdis, _) => None,
            (Store::Redis, true) => Some(
                "axum_session 0.22 with axum_session_redispool 0.13 and redis_pool's default pool, default \
                 SessionConfig: **answers from a cache in the process' memory**, Redis is written to on \
                 changes and every ten seconds per session that is in use",
            ),
            (Store::Redis, false) => Some(
                "the same with `with_memory_lifetime(0)`: every request loads its session from \
                 Redis, and stores it too",
            ),
            (_, true) => Some(
                "axum_session 0.22 with axum_session_sqlx 0.12 on sqlx 0.9, default \
                 SessionConfig: **answers from a cache in the process' memory**, the database is \
                 written to on changes and every ten seconds per session that is in use",
            ),
            (_, false) => Some(
                "the same with `with_memory_lifetime(0)`: every request loads its session from \
                 the database, and stores it too",
            ),
        }
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            let config = match self.cached {
                true => SessionConfig::default(),
                false => SessionConfig::default().with_memory_lifetime(time::Duration::ZERO),
            };
            let fields = setup.fields;
            Ok(match setup.store {
                Store::Memory => routes::<SessionNullPool>(None, config, fields).await?,
                Store::SqliteRelaxed | Store::SqliteFull => {
                    let pool = sqlite::pool!(defaults::sqlx, setup);
                    routes::<SessionSqlitePool>(Some(pool.into()), config, fields).await?
                }
                Store::Redis => {
                    let pool = SingleRedisPool::from(redis::Client::open(setup.servers.redis_url())?);
                    routes::<SessionRedisPool>(Some(pool.into()), config, fields).await?
                }
                Store::Webdis => bail!("it has no store on Webdis"),
            }
            .into())
        }
        .boxed()
    }
}

async fn routes<P>(pool: Option<P>, config: SessionConfig, fields: usize) -> Result<Router>
where
    P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let store = SessionStore::<P>::new(pool, config).await?;
    Ok(Router::new()
        .route("/untouched", get(async || "ok"))
        .route("/read", get(read::<P>))
        .route("/write", get(write::<P>))
        .route("/fill", get(move |session| fill::<P>(session, fields)))
        .route("/check", get(move |session| check::<P>(session, fields)))
        .layer(SessionLayer::new(store)))
}

async fn read<P>(session: Session<P>) -> String
where
    P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    session.get(data::HOT_FIELD).unwrap_or_default()
}

async fn write<P>(session: Session<P>) -> String
where
    P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let value = data::next_value();
    session.set(data::HOT_FIELD, &value);
    value
}

async fn fill<P>(session: Session<P>, fields: usize) -> String
where
    P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let values = data::next_values(fields);
    for (name, value) in data::fields(fields).iter().zip(&values) {
        session.set(name, value);
    }
    session.set(data::COUNTER, data::COUNTER_START);
    data::summary(&values, data::COUNTER_START)
}

async fn check<P>(session: Session<P>, fields: usize) -> String
where
    P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let values: Vec<_> =
        data::fields(fields).iter().map(|name| session.get(name).unwrap_or_default()).collect();
    data::summary(&values, session.get(data::COUNTER).unwrap_or_default())
}
