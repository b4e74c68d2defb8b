//! A cluster whose nodes die, stall, or restart.

use std::time::Duration;

use sessions::store::{RedisStore, RedisStoreBuilder};
use tests::{
    load::LoadRun,
    servers::{RedisCluster, RedisServer, until},
};

use crate::replication::wait_until_caught_up;

/// A timeout that is longer than a busy machine keeps a process waiting: here 503 must mean that a node is away.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Opens a store whose timeout suffices for every node that answers.
async fn open(cluster: &RedisCluster) -> RedisStore {
    let builder =
        RedisStoreBuilder::cluster(cluster.urls()).with_timeout(TIMEOUT).with_connect_timeout(TIMEOUT);
    builder.connect().await.expect("a cluster that answers")
}

/// Returns the index of the primary of each session.
fn owners(cluster: &RedisCluster, load: &LoadRun) -> Vec<usize> {
    let owner = |record| cluster.owner(cluster.slot(&format!("sess:{record}"))).expect("an owner");
    load.records().into_iter().map(owner).collect()
}

/// Returns a slot that this node has in a new cluster.
fn slot_of(node: usize) -> u16 {
    [0, 8000, 16_000][node]
}

/// Lets a primary fail until its replica has taken over, and then ends the failure. Sessions on other nodes must not be
/// refused.
fn replace(name: &str, fail: impl Fn(&RedisServer), heal: impl Fn(&RedisServer)) {
    let cluster = RedisCluster::start_with_replicas();
    let load = LoadRun::start(24, open(&cluster));
    let owners = owners(&cluster, &load);
    // Not the first node: the helpers ask that one.
    let victim = 1 + usize::from(owners.iter().filter(|owner| **owner == 1).count() < 2);
    assert!(owners.contains(&victim), "24 sessions are everywhere");
    load.while_writes_may_be_lost(|| {
        wait_until_caught_up(cluster.node(victim), cluster.node(victim + 3));
        fail(cluster.node(victim));
        let replaced = || cluster.owner(slot_of(victim)) == Some(victim + 3);
        until("the replica to take over", || cluster.node(victim + 3).log(), replaced);
        // With the old one still away.
        load.goes_on();
        heal(cluster.node(victim));
        cluster.wait_until_served();
    });
    load.goes_on();
    let accounts = load.finish(name);
    let elsewhere = owners.iter().zip(&accounts).filter(|(owner, _)| **owner != victim);
    let disturbed: Vec<_> = elsewhere.filter(|(_, account)| account.failures() > 0).collect();
    assert!(disturbed.is_empty(), "sessions on other nodes than {victim}: {disturbed:#?}");
}

#[test]
fn a_dead_node_is_replaced_and_disturbs_no_other() {
    replace("a dead node", RedisServer::kill, |_| {});
}

#[test]
fn a_dead_node_that_comes_back_disturbs_nobody() {
    replace("a dead node that comes back", RedisServer::kill, RedisServer::restart);
}

#[test]
fn a_stalled_node_is_replaced_and_disturbs_no_other() {
    replace("a stalled node", RedisServer::stall, RedisServer::resume);
}

/// No request is refused: a handover takes less than the timeout.
#[test]
fn a_handover_to_a_replica_goes_unnoticed() {
    let cluster = RedisCluster::start_with_replicas();
    let load = LoadRun::start(12, open(&cluster));
    for (old, new) in [(0, 3), (1, 4), (2, 5), (3, 0), (4, 1), (5, 2)] {
        cluster.node(new).cli(&["CLUSTER", "FAILOVER"]);
        let handed_over = || cluster.owner(slot_of(old % 3)) == Some(new);
        until("the replica to take over", || cluster.node(new).log(), handed_over);
        load.goes_on();
        cluster.wait_until_served();
        load.goes_on();
    }
    let accounts = load.finish("6 handovers");
    assert!(accounts.iter().all(|account| account.failures() + account.guests_refused == 0), "{accounts:#?}");
}

/// Slots move between two nodes while the third stands still. A request that asks for the slots must not wait for the
/// third node.
#[test]
fn a_stalled_node_holds_up_no_move_between_others() {
    let cluster = RedisCluster::start();
    let load = LoadRun::start(24, open(&cluster));
    let owners = owners(&cluster, &load);
    let records = load.records();
    cluster.node(2).stall();
    load.is_refused(|session| owners[session] == 2);
    for (record, _) in records.iter().zip(&owners).filter(|(_, owner)| **owner == 0).take(3) {
        let slot = cluster.slot(&format!("sess:{record}"));
        cluster.begin_move(0, 1, slot);
        while cluster.move_keys(0, 1, slot, 100) > 0 {}
        // The node that stands still is not told.
        let (slot, id) = (slot.to_string(), cluster.node(1).cli(&["CLUSTER", "MYID"]));
        for node in [1, 0] {
            cluster.node(node).cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
        }
        let before = load.accounts();
        load.wait("sessions elsewhere to go on", |now| {
            let goes_on = |at: usize| now[at].acknowledged >= before[at].acknowledged + 5;
            (0..now.len()).filter(|at| owners[*at] != 2).all(goes_on)
        });
    }
    cluster.node(2).resume();
    load.goes_on();
    let accounts = load.finish("3 moves beside a stalled node");
    let elsewhere = owners.iter().zip(&accounts).filter(|(owner, _)| **owner != 2);
    let disturbed: Vec<_> = elsewhere.filter(|(_, account)| account.failures() > 0).collect();
    assert!(disturbed.is_empty(), "sessions on other nodes: {disturbed:#?}");
}

#[test]
fn a_cluster_whose_nodes_are_restarted_is_found_again() {
    let options = RedisServer::options().with_durability();
    let cluster = RedisCluster::with_options(false, options);
    let load = LoadRun::start(12, open(&cluster));
    for node in 0..3 {
        cluster.node(node).restart();
        cluster.wait_until_served();
        load.goes_on();
    }
    for node in 0..3 {
        cluster.kill_node(node);
    }
    load.is_refused(|_| true);
    for node in 0..3 {
        cluster.node(node).restart();
    }
    cluster.wait_until_served();
    load.goes_on();
    load.finish("all nodes restarted");
}
