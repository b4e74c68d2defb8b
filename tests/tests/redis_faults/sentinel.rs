//! A primary that changes, by a command or after its death.

use std::time::Duration;

use sessions::store::RedisStoreBuilder;
use tests::{
    load::LoadRun,
    servers::{RedisServer, Sentinel},
};

use crate::{open, open_with, replication::wait_until_caught_up};

/// A timeout that is shorter than the Sentinel's failover, so that requests are refused meanwhile.
const IMPATIENT: Duration = Duration::from_millis(500);

fn store(sentinel: &Sentinel) -> RedisStoreBuilder {
    RedisStoreBuilder::sentinel(sentinel.sentinel_urls(), sentinel.service_name())
}

/// Returns the number of commands for sessions that a server got. Replication sends other commands.
fn requests(server: &RedisServer) -> Vec<String> {
    let statistics = server.cli(&["INFO", "commandstats"]);
    let ours =
        |line: &&str| ["hmget", "evalsha", "eval"].iter().any(|name| line.contains(&format!("_{name}:")));
    statistics.lines().filter(ours).map(str::to_owned).collect()
}

#[test]
fn a_failover_under_load_is_followed() {
    let sentinel = Sentinel::start();
    for server in [sentinel.primary(), sentinel.replica()] {
        // Otherwise the old primary would acknowledge writes that no server has after it.
        server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    }
    let load = LoadRun::start(12, open(store(&sentinel)));
    for _ in 0..3 {
        load.while_writes_may_be_lost(|| {
            wait_until_caught_up(sentinel.primary(), sentinel.replica());
            sentinel.failover();
            sentinel.wait_for_replica();
        });
        for server in [sentinel.primary(), sentinel.replica()] {
            server.cli(&["CONFIG", "RESETSTAT"]);
        }
        load.goes_on();
        assert!(!requests(sentinel.primary()).is_empty(), "the new primary is asked");
        assert_eq!(requests(sentinel.replica()), [""; 0], "the demoted server still gets requests");
    }
    load.finish("3 failovers by Sentinel");
}

#[test]
fn a_dead_primary_is_replaced() {
    let sentinel = Sentinel::start();
    let load = LoadRun::start(12, open_with(store(&sentinel), IMPATIENT));
    let (old, new) = (sentinel.primary(), sentinel.replica());
    load.while_writes_may_be_lost(|| {
        wait_until_caught_up(old, new);
        old.kill();
        load.is_refused(|_| true);
        sentinel.wait_for_new_primary(old.port());
        sentinel.keep_primary();
    });
    load.goes_on();
    // It comes back empty, and takes itself for a primary until the Sentinel has demoted it.
    old.restart();
    load.goes_on();
    sentinel.wait_for_replica();
    load.goes_on();
    load.finish("a dead primary");
}

#[test]
fn a_stalled_primary_is_replaced() {
    let sentinel = Sentinel::start();
    let load = LoadRun::start(12, open_with(store(&sentinel), IMPATIENT));
    let (old, new) = (sentinel.primary(), sentinel.replica());
    load.while_writes_may_be_lost(|| {
        wait_until_caught_up(old, new);
        old.stall();
        load.is_refused(|_| true);
        sentinel.wait_for_new_primary(old.port());
        sentinel.keep_primary();
        load.goes_on();
        old.resume();
        sentinel.wait_for_replica();
    });
    old.cli(&["CONFIG", "RESETSTAT"]);
    load.goes_on();
    assert_eq!(requests(old), [""; 0], "the demoted server still gets requests");
    load.finish("a stalled primary");
}

/// One of several Sentinels accepts connections and never answers.
#[test]
fn a_silent_sentinel_is_done_without() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let sentinel = Sentinel::start();
    let mut urls = vec![format!("redis://{address}/")];
    urls.extend(sentinel.sentinel_urls());
    let load = LoadRun::start(4, open(RedisStoreBuilder::sentinel(urls, sentinel.service_name())));
    for _ in 0..5 {
        sentinel.primary().cut_connections();
        load.goes_on();
    }
    load.finish("a silent sentinel");
}
