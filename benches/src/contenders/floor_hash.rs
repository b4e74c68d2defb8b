//! The handlers of the floors on Redis: a session is a hash, as `sessions` lays it out.
//!
//! The field `@` has epoch (4 bytes), created and touched (6 each) and a hash of
//! the secret (32). Every request loads it with the fields of its view; a
//! commit is one script, which compares epoch and times and then writes.

use std::future::Future;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;

use super::floor_cookie::{FloorFailure, SetCookie, id, new_id, set_cookie};
use crate::data;

/// A client of Redis, direct or through Webdis.
pub trait Hashes: Clone + Send + Sync + 'static {
    /// Loads the values of these fields, with the server's time.
    fn load(
        &self,
        key: &str,
        names: &[&str],
    ) -> impl Future<Output = Result<HashValues, FloorFailure>> + Send;

    /// Runs a script and returns its reply.
    fn run(
        &self,
        script: FloorScript,
        key: &str,
        arguments: &[&[u8]],
    ) -> impl Future<Output = Result<i64, FloorFailure>> + Send;
}

pub type HashValues = Vec<Option<Vec<u8>>>;

#[derive(Clone, Copy)]
pub enum FloorScript {
    Create,
    Commit,
}

pub const CREATE: &str = include_str!("lua/create.lua");
pub const COMMIT: &str = include_str!("lua/commit.lua");

/// The name of the metadata.
const METADATA: &str = "@";

/// Epoch 0, an idle timeout of a day and an absolute one of thirty days.
const HEAD: [u8; 16] = {
    let (idle, absolute) = (86_400_000_u64.to_be_bytes(), (30 * 86_400_000_u64).to_be_bytes());
    let mut head = [0; 16];
    let mut n = 0;
    while n < 6 {
        head[4 + n] = idle[2 + n];
        head[10 + n] = absolute[2 + n];
        n += 1;
    }
    head
};

pub fn routes<H: Hashes>(hashes: H, fields: usize) -> Router {
    // Leaked once per table, so that no request pays for sharing them.
    let view = names(fields, true).leak();
    let few = names(data::FEW.min(fields), false).leak();
    Router::new()
        .route("/untouched", get(async || "ok"))
        .route("/read", get(read::<H>))
        .route("/read-4", get(read_few::<H>))
        .route("/write", get(write::<H>))
        .route("/fill", get(fill::<H>))
        .route("/check", get(check::<H>))
        .with_state(HashFloor { hashes, view, few })
}

#[derive(Clone)]
struct HashFloor<H> {
    hashes: H,
    /// The names that are loaded for all text fields and the counter: metadata, fields, counter.
    view: &'static [&'static str],
    /// The names that are loaded for the first fields only.
    few: &'static [&'static str],
}

fn names(fields: usize, counter: bool) -> Vec<&'static str> {
    let counter = counter.then_some(data::COUNTER);
    [METADATA].into_iter().chain(data::fields(fields).iter().copied()).chain(counter).collect()
}

async fn read<H: Hashes>(
    State(floor): State<HashFloor<H>>,
    headers: HeaderMap,
) -> Result<String, FloorFailure> {
    let mut values = load(&floor.hashes, id(&headers)?, floor.view).await?;
    text(values[1 + data::HOT].take())
}

async fn read_few<H: Hashes>(
    State(floor): State<HashFloor<H>>,
    headers: HeaderMap,
) -> Result<String, FloorFailure> {
    let values = load(&floor.hashes, id(&headers)?, floor.few).await?;
    let texts: Result<Vec<_>, _> = values.into_iter().skip(1).map(text).collect();
    Ok(texts?.join("\n"))
}

async fn write<H: Hashes>(
    State(floor): State<HashFloor<H>>,
    headers: HeaderMap,
) -> Result<(SetCookie, String), FloorFailure> {
    let value = data::next_value();
    let Ok(id) = id(&headers) else {
        let id = create(&floor.hashes, &[data::HOT_FIELD.as_bytes(), value.as_bytes()]).await?;
        return Ok((set_cookie(&id), value));
    };
    load(&floor.hashes, id, floor.view).await?;
    let arguments = [&HEAD, data::HOT_FIELD.as_bytes(), value.as_bytes()];
    match floor.hashes.run(FloorScript::Commit, &key(id), &arguments).await? {
        1 => Ok((AppendHeaders(None), value)),
        other => Err(FloorFailure(format!("a commit was answered with {other}"))),
    }
}

async fn fill<H: Hashes>(State(floor): State<HashFloor<H>>) -> Result<impl IntoResponse, FloorFailure> {
    let names = &floor.view[1..];
    let values = data::next_values(names.len() - 1);
    let counter = data::COUNTER_START.to_string();
    let all = values.iter().chain([&counter]);
    let arguments: Vec<_> =
        names.iter().zip(all).flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]).collect();
    let id = create(&floor.hashes, &arguments).await?;
    Ok((set_cookie(&id), data::summary(&values, data::COUNTER_START)))
}

async fn check<H: Hashes>(
    State(floor): State<HashFloor<H>>,
    headers: HeaderMap,
) -> Result<String, FloorFailure> {
    let values = load(&floor.hashes, id(&headers)?, floor.view).await?;
    let texts: Result<Vec<_>, _> = values.into_iter().skip(1).map(text).collect();
    Ok(texts?.join("\n"))
}

/// Loads a session that must be there.
async fn load<H: Hashes>(hashes: &H, id: &str, names: &[&str]) -> Result<HashValues, FloorFailure> {
    let values = hashes.load(&key(id), names).await?;
    match values.first() {
        Some(Some(metadata)) if metadata.len() == 48 => Ok(values),
        _ => Err(FloorFailure("the session is gone".into())),
    }
}

async fn create<H: Hashes>(hashes: &H, fields: &[&[u8]]) -> Result<String, FloorFailure> {
    let id = new_id();
    let arguments = [&[&HEAD, &[7; 32][..]], fields].concat();
    match hashes.run(FloorScript::Create, &key(&id), &arguments).await? {
        1 => Ok(id),
        other => Err(FloorFailure(format!("a creation was answered with {other}"))),
    }
}

fn key(id: &str) -> String {
    format!("floor:{id}")
}

/// A session that `/write` has made lacks the other fields.
fn text(value: Option<Vec<u8>>) -> Result<String, FloorFailure> {
    Ok(String::from_utf8(value.unwrap_or_default())?)
}
