//! Bare sqlx: the fewest statements that could serve each workload.

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use futures::future::{BoxFuture, FutureExt};
use sqlx::SqlitePool;

use super::floor_cookie::{FloorFailure, id, new_id, set_cookie};
use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::data;
use crate::sqlite;
use crate::store::Store;

pub struct FloorSqlx;

impl Contender for FloorSqlx {
    fn name(&self) -> &'static str {
        "floor-sqlx"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        store.is_sqlite().then_some(
            "sqlx 0.9 in the handler, one row of 1 KB text per session: nothing (untouched), \
             one SELECT by primary key (read), that and one UPDATE (write), one INSERT (new)",
        )
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            let pool = sqlite::pool!(tuned::sqlx, setup);
            let fields = setup.fields;
            sqlx::query("CREATE TABLE sessions (id TEXT PRIMARY KEY, data TEXT NOT NULL)")
                .execute(&pool)
                .await?;
            Ok(Router::new()
                .route("/untouched", get(async || "ok"))
                .route("/read", get(read))
                .route("/write", get(write))
                .route("/fill", get(move |pool: State<SqlitePool>| fill(pool, fields)))
                .route("/check", get(check))
                .with_state(pool)
                .into())
        }
        .boxed()
    }
}

async fn read(State(pool): State<SqlitePool>, headers: HeaderMap) -> Result<String, FloorFailure> {
    let data = load(&pool, id(&headers)?).await?;
    Ok(hot(&data).to_owned())
}

async fn write(
    State(pool): State<SqlitePool>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, FloorFailure> {
    let value = data::next_value();
    let Ok(id) = id(&headers) else {
        let id = create(&pool, &value).await?;
        return Ok((set_cookie(&id), value));
    };
    let text = load(&pool, id).await?;
    let text = text.replacen(hot(&text), &value, 1);
    sqlx::query("UPDATE sessions SET data = ? WHERE id = ?").bind(text).bind(id).execute(&pool).await?;
    Ok((AppendHeaders(None), value))
}

async fn fill(State(pool): State<SqlitePool>, fields: usize) -> Result<impl IntoResponse, FloorFailure> {
    let text = data::summary(&data::next_values(fields), data::COUNTER_START);
    // Names take room in a real session too; they bring the row to 1 KB.
    let names = data::fields(fields).join(",");
    let id = create(&pool, &format!("{text}\n{names}")).await?;
    Ok((set_cookie(&id), text))
}

async fn check(State(pool): State<SqlitePool>, headers: HeaderMap) -> Result<String, FloorFailure> {
    let data = load(&pool, id(&headers)?).await?;
    let (summary, _names) = data.rsplit_once('\n').ok_or(FloorFailure("no names".into()))?;
    Ok(summary.to_owned())
}

async fn load(pool: &SqlitePool, id: &str) -> sqlx::Result<String> {
    sqlx::query_scalar("SELECT data FROM sessions WHERE id = ?").bind(id).fetch_one(pool).await
}

async fn create(pool: &SqlitePool, data: &str) -> sqlx::Result<String> {
    let id = new_id();
    sqlx::query("INSERT INTO sessions (id, data) VALUES (?, ?)").bind(&id).bind(data).execute(pool).await?;
    Ok(id)
}

/// The hot field; a session made by `/write` has only that one.
fn hot(data: &str) -> &str {
    let mut lines = data.lines();
    let first = lines.next().unwrap_or_default();
    lines.nth(data::HOT - 1).unwrap_or(first)
}
