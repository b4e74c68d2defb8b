//! Bare reqwest: the same scripts as `floor_redis`, one POST each, and nothing else.

use std::sync::Arc;

use anyhow::Result;
use futures::future::{BoxFuture, FutureExt};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::floor_cookie::FloorFailure;
use super::floor_hash::{COMMIT, CREATE, FloorScript, HashValues, Hashes, routes};
use super::floor_redis::load_script;
use crate::app::App;
use crate::contender::{Contender, Setup};
use crate::store::Store;

/// A load, as a script: Webdis takes one command per request.
const LOAD: &str = include_str!("lua/load.lua");

pub struct FloorWebdis;

impl Contender for FloorWebdis {
    fn name(&self) -> &'static str {
        "floor-webdis"
    }

    fn config(&self, store: Store) -> Option<&'static str> {
        (store == Store::Webdis).then_some(
            "reqwest 0.13 in the handler, one hash per session: nothing (untouched), one POST of an \
             EVALSHA (read, new), two (write); it neither checks whose answer it gets nor keeps a \
             connection for one request, see `sessions`",
        )
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn has_views(&self, _: Store) -> bool {
        true
    }

    fn app<'a>(&'a self, setup: &'a Setup<'a>) -> BoxFuture<'a, Result<App>> {
        async move {
            let client = redis::Client::open(setup.servers.redis_url())?;
            let mut redis = client.get_multiplexed_async_connection().await?;
            let webdis = Webdis {
                client: reqwest::Client::builder().no_proxy().build()?,
                url: reqwest::Url::parse(&setup.servers.webdis_url())?,
                load: load_script(&mut redis, LOAD).await?.into(),
                create: load_script(&mut redis, CREATE).await?.into(),
                commit: load_script(&mut redis, COMMIT).await?.into(),
            };
            Ok(routes(webdis, setup.fields).into())
        }
        .boxed()
    }
}

#[derive(Clone)]
struct Webdis {
    client: reqwest::Client,
    url: reqwest::Url,
    load: Arc<str>,
    create: Arc<str>,
    commit: Arc<str>,
}

impl Hashes for Webdis {
    async fn load(&self, key: &str, names: &[&str]) -> Result<HashValues, FloorFailure> {
        let names: Vec<_> = names.iter().map(|name| name.as_bytes()).collect();
        let reply = self.post(&self.load, key, &names).await?;
        // `$<length>\r\n<time>,<items>\r\n`
        let comma = reply.iter().position(|&byte| byte == b',');
        let start = comma.filter(|_| reply.starts_with(b"$")).ok_or_else(|| unexpected(&reply))? + 1;
        values(&reply[start..], names.len()).ok_or_else(|| unexpected(&reply))
    }

    async fn run(&self, script: FloorScript, key: &str, arguments: &[&[u8]]) -> Result<i64, FloorFailure> {
        let sha = match script {
            FloorScript::Create => &self.create,
            FloorScript::Commit => &self.commit,
        };
        let reply = self.post(sha, key, arguments).await?;
        // `:<number>\r\n`
        let number = std::str::from_utf8(&reply)?.trim_end().strip_prefix(':');
        number.and_then(|number| number.parse().ok()).ok_or_else(|| unexpected(&reply))
    }
}

impl Webdis {
    /// Redis' own reply, as it is.
    async fn post(&self, sha: &str, key: &str, arguments: &[&[u8]]) -> Result<Vec<u8>, FloorFailure> {
        let mut body = format!("EVALSHA/{sha}/1");
        for argument in std::iter::once(key.as_bytes()).chain(arguments.iter().copied()) {
            body.push('/');
            body.extend(percent_encode(argument, NON_ALPHANUMERIC));
        }
        body.push_str(".raw");
        let answer = self.client.post(self.url.clone()).body(body).send().await?;
        Ok(answer.error_for_status()?.bytes().await?.into())
    }
}

/// Reads `count` items, each `<length>:<bytes>` or `-`.
fn values(mut items: &[u8], count: usize) -> Option<HashValues> {
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        if let Some(rest) = items.strip_prefix(b"-") {
            values.push(None);
            items = rest;
            continue;
        }
        let colon = items.iter().position(|&byte| byte == b':')?;
        let length: usize = std::str::from_utf8(&items[..colon]).ok()?.parse().ok()?;
        let (value, rest) = items[colon + 1..].split_at_checked(length)?;
        values.push(Some(value.to_vec()));
        items = rest;
    }
    Some(values)
}

fn unexpected(reply: &[u8]) -> FloorFailure {
    FloorFailure(format!("Webdis answers {:?}", String::from_utf8_lossy(reply)))
}
