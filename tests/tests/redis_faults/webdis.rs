//! Webdis and the Redis behind it: restarted, stalled, their scripts forgotten, always under load.

use std::time::Duration;

use sessions::store::WebdisStore;
use tests::{
    load::{Account, Load},
    servers::{RedisServer, WebdisServer},
};

/// Longer than for Redis: all of it shares two cores, and Webdis is slower.
const TIMEOUT: Duration = Duration::from_secs(2);

const SESSIONS: usize = 12;

fn start() -> (RedisServer, WebdisServer) {
    let redis = RedisServer::options().with_durability().start();
    let webdis = WebdisServer::start(&redis);
    (redis, webdis)
}

/// A load on a store that gives up soon, and the store.
fn load(webdis: &WebdisServer) -> Load {
    let builder = WebdisStore::builder(webdis.url()).with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT);
    Load::start(SESSIONS, async { builder.connect().await.expect("a server that answers") })
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
        // Twice: the second time, connections are new ones.
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

/// Reads bring the script back. What must happen once is not sent again, so a commit may fail and say that
/// its outcome is unknown; nothing is lost.
#[test]
fn forgotten_scripts_fail_no_read() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    // With plenty of time: nothing is to be late.
    let store = async { WebdisStore::connect(webdis.url()).await.expect("a server that answers") };
    let load = Load::start(SESSIONS, store);
    for _ in 0..100 {
        redis.cli(&["SCRIPT", "FLUSH"]);
        load.goes_on();
    }
    let accounts = load.finish("100 flushes of scripts behind Webdis");
    let sum = |count: fn(&Account) -> u64| accounts.iter().map(count).sum::<u64>();
    println!(
        "100 flushes: {} reads or loads failed, {} commits of unknown outcome, {} new sessions refused",
        sum(|account| account.refused),
        sum(|account| account.unknown),
        sum(|account| account.guests_refused),
    );
    assert_eq!(sum(|account| account.refused), 0, "reads failed");
}
