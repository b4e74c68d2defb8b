//! Slots that move from node to node, with their sessions in use.

use sessions::store::RedisStoreBuilder;
use tests::{
    load::{LoadAccount, LoadRun},
    servers::RedisCluster,
};

fn nobody_noticed(accounts: &[LoadAccount]) {
    let failed = |account: &LoadAccount| account.failures() + account.guests_refused;
    assert_eq!(accounts.iter().map(failed).sum::<u64>(), 0, "{accounts:#?}");
}

/// Opens the store with the default timeouts, within which every request must succeed.
fn start(cluster: &RedisCluster, sessions: usize) -> LoadRun {
    let store = async { RedisStoreBuilder::cluster(cluster.urls()).connect().await };
    LoadRun::start(sessions, async { store.await.expect("a cluster that answers") })
}

#[test]
fn slots_with_sessions_in_use_move_unnoticed() {
    let cluster = RedisCluster::start();
    let load = start(&cluster, 8);
    for record in load.records().repeat(3) {
        let slot = cluster.slot(&format!("sess:{record}"));
        let from = cluster.owner(slot).expect("an owner");
        let to = (from + 1) % 3;
        cluster.begin_move(from, to, slot);
        // The session is still on the first node. New sessions of its slot begin on the other one.
        load.goes_on();
        while cluster.move_keys(from, to, slot, 1) > 0 {}
        // The session is on the other node, and the first node refers to it each time.
        load.goes_on();
        cluster.end_move(from, to, slot);
        load.goes_on();
    }
    nobody_noticed(&load.finish("24 moves of slots in use"));
}

#[test]
fn many_slots_move_unnoticed() {
    let cluster = RedisCluster::start();
    let load = start(&cluster, 8);
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        for slot in 0..500 {
            cluster.begin_move(from, to, slot);
        }
        load.goes_on();
        cluster.move_slots(from, to, 0..=499);
        load.goes_on();
    }
    nobody_noticed(&load.finish("1,500 moves of slots"));
}
