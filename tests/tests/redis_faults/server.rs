//! One server: restarted, stalled, its connections cut, its scripts forgotten, always under load.

use sessions::store::RedisStore;
use tests::{
    load::{LoadAccount, LoadRun},
    servers::RedisServer,
};

use crate::open;

fn durable() -> RedisServer {
    RedisServer::options().with_durability().start()
}

#[test]
fn a_restart_loses_nothing_that_was_acknowledged() {
    let redis = durable();
    let load = LoadRun::start(16, open(RedisStore::builder(redis.url())));
    for _ in 0..5 {
        redis.restart();
        load.goes_on();
    }
    load.finish("restarts");
}

#[test]
fn a_server_that_is_down_for_a_while_is_found_again() {
    let redis = durable();
    let load = LoadRun::start(16, open(RedisStore::builder(redis.url())));
    for _ in 0..3 {
        redis.kill();
        load.is_refused(|_| true);
        redis.restart();
        load.goes_on();
    }
    load.finish("outages");
}

#[test]
fn a_stalled_server_is_waited_for_no_longer_than_the_timeout() {
    let redis = durable();
    let load = LoadRun::start(16, open(RedisStore::builder(redis.url())));
    for _ in 0..3 {
        redis.stall();
        // Twice, since the second time the connections are new ones.
        load.is_refused(|_| true);
        load.is_refused(|_| true);
        redis.resume();
        load.goes_on();
    }
    load.finish("stalls");
}

#[test]
fn cut_connections_are_replaced() {
    let redis = durable();
    let load = LoadRun::start(16, open(RedisStore::builder(redis.url())));
    for _ in 0..50 {
        redis.cut_connections();
        load.goes_on();
    }
    load.finish("50 cuts");
}

#[test]
fn forgotten_scripts_go_unnoticed() {
    let redis = RedisServer::start();
    // With a long timeout, within which every request must succeed.
    let store = async { RedisStore::connect(redis.url()).await.expect("a server that answers") };
    let load = LoadRun::start(16, store);
    for _ in 0..100 {
        redis.cli(&["SCRIPT", "FLUSH"]);
        load.goes_on();
    }
    let accounts = load.finish("100 flushes of scripts");
    let failed = |account: &LoadAccount| account.failures() + account.guests_refused;
    assert_eq!(accounts.iter().map(failed).sum::<u64>(), 0);
}
