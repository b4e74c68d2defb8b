//! Webdis and the Redis behind it: restarted, stalled, their scripts forgotten, always under load.

use std::time::Duration;

use sessions::store::WebdisStore;
use tests::{
    load::{LoadAccount, LoadRun},
    servers::{RedisServer, WebdisServer},
};

/// A timeout that is longer than for Redis, since Webdis is slower.
const TIMEOUT: Duration = Duration::from_secs(2);

const SESSIONS: usize = 12;

fn start() -> (RedisServer, WebdisServer) {
    let redis = RedisServer::options().with_durability().start();
    let webdis = WebdisServer::start(&redis);
    (redis, webdis)
}

/// Starts a load on a store whose requests fail soon.
fn load(webdis: &WebdisServer) -> LoadRun {
    let builder = WebdisStore::builder(webdis.url()).with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT);
    LoadRun::start(SESSIONS, async { builder.connect().await.expect("a server that answers") })
}

#[test]
fn a_restart_of_webdis_loses_nothing_that_was_acknowledged() {
    let (_redis, webdis) = start();
    let load = load(&webdis);
    for _ in 0..5 {
        webdis.restart();
        load.goes_on();
    }
    load.finish("restarts of Webdis");
}

#[test]
fn a_webdis_that_is_down_for_a_while_is_found_again() {
    let (_redis, webdis) = start();
    let load = load(&webdis);
    for _ in 0..3 {
        webdis.kill();
        load.is_refused(|_| true);
        webdis.restart();
        load.goes_on();
    }
    load.finish("outages of Webdis");
}

#[test]
fn a_restart_of_redis_loses_nothing_that_was_acknowledged() {
    let (redis, webdis) = start();
    let load = load(&webdis);
    for _ in 0..5 {
        redis.restart();
        load.goes_on();
    }
    load.finish("restarts of Redis behind Webdis");
}

#[test]
fn a_redis_that_is_down_for_a_while_is_found_again() {
    let (redis, webdis) = start();
    let load = load(&webdis);
    for _ in 0..3 {
        redis.kill();
        load.is_refused(|_| true);
        redis.restart();
        load.goes_on();
    }
    load.finish("outages of Redis behind Webdis");
}

#[test]
fn a_stalled_redis_is_waited_for_no_longer_than_the_timeout() {
    let (redis, webdis) = start();
    let load = load(&webdis);
    for _ in 0..3 {
        redis.stall();
        // Twice, since the second time the connections are new ones.
        load.is_refused(|_| true);
        load.is_refused(|_| true);
        redis.resume();
        load.goes_on();
    }
    load.finish("stalls of Redis behind Webdis");
}

#[test]
fn a_stalled_webdis_is_waited_for_no_longer_than_the_timeout() {
    let (_redis, webdis) = start();
    let load = load(&webdis);
    for _ in 0..3 {
        webdis.stall();
        load.is_refused(|_| true);
        load.is_refused(|_| true);
        webdis.resume();
        load.goes_on();
    }
    load.finish("stalls of Webdis");
}

/// Loads send the script again. A commit is not sent again, so it may fail with an unknown outcome. Nothing is lost.
#[test]
fn forgotten_scripts_fail_no_read() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    // With a long timeout, within which every request must succeed.
    let store = async { WebdisStore::connect(webdis.url()).await.expect("a server that answers") };
    let load = LoadRun::start(SESSIONS, store);
    for _ in 0..100 {
        redis.cli(&["SCRIPT", "FLUSH"]);
        load.goes_on();
    }
    let accounts = load.finish("100 flushes of scripts behind Webdis");
    let sum = |count: fn(&LoadAccount) -> u64| accounts.iter().map(count).sum::<u64>();
    println!(
        "100 flushes: {} reads or loads failed, {} commits of unknown outcome, {} new sessions refused",
        sum(|account| account.refused),
        sum(|account| account.unknown),
        sum(|account| account.guests_refused),
    );
    assert_eq!(sum(|account| account.refused), 0, "reads failed");
}
