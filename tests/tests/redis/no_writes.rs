//! A server that refuses all writes while it answers reads: it has too few replicas (`min-replicas-to-write`), or was
//! demoted. After a while writes fail at once.

use std::time::{Duration, Instant};

use sessions::{
    Error, ErrorKind, RecordId,
    store::{CommitOutcome, CreateOutcome, RedisStore, RedisStoreBuilder, Store, WebdisStore},
};
use tests::{
    records::{add, new_record, put, record_id},
    servers::{RedisCluster, RedisServer, WebdisServer},
};

/// The time for which a request waits for a failover.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The number of writes that must be refused at once.
const WRITES: u64 = 20;

fn lose_replicas(server: &RedisServer) {
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
}

fn need_no_replicas(server: &RedisServer) {
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
}

/// Makes the server a replica of a primary that is not there. It goes on answering reads.
fn demote(server: &RedisServer) {
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
}

fn promote(server: &RedisServer) {
    server.cli(&["REPLICAOF", "NO", "ONE"]);
}

/// Makes one of the four kinds of writes, and returns its error.
async fn is_refused(store: &impl Store, id: RecordId, number: u64) -> Error {
    match number % 4 {
        0 => store.create(record_id(), new_record()).await.expect_err("no writes"),
        1 => store.destroy(id).await.expect_err("no writes"),
        2 => store.commit(id, put("p", "1")).await.expect_err("no writes"),
        _ => store.commit(id, add("n", 1)).await.expect_err("no writes"),
    }
}

/// Returns the number of writes that were sent to the servers, refused ones too, and of connections that were opened.
fn count(servers: &[&RedisServer]) -> [u64; 2] {
    let calls = servers.iter().map(|server| {
        let statistics = server.cli(&["INFO", "commandstats"]);
        let is_write =
            |line: &&str| ["evalsha", "eval", "del"].iter().any(|name| line.contains(&format!("_{name}:")));
        let counts = statistics.lines().filter(is_write).flat_map(|line| {
            let count =
                |name| line.split([':', ',']).find_map(|part| part.strip_prefix(name)?.parse::<u64>().ok());
            ["calls=", "rejected_calls="].map(|name| count(name).expect("a count"))
        });
        counts.sum::<u64>()
    });
    let opened = |server: &&RedisServer| {
        let count = server.info("total_connections_received").expect("a count");
        count.parse::<u64>().expect("a number")
    };
    [calls.sum(), servers.iter().map(opened).sum()]
}

async fn writes_are_refused_at_once(
    name: &str,
    store: &impl Store,
    servers: &[&RedisServer],
    fail: fn(&RedisServer),
    heal: fn(&RedisServer),
) {
    let id = record_id();
    assert!(matches!(store.create(id, new_record()).await, Ok(CreateOutcome::Created(_))));
    // Every script is known then.
    for commit in [put("p", "1"), add("n", 1)] {
        assert!(matches!(store.commit(id, commit).await, Ok(CommitOutcome::Applied(_))));
    }
    for server in servers {
        fail(server);
    }
    let [_, opened_before] = count(servers);
    // For the timeout of a request, requests wait for a failover, on each node, since new records are on all nodes. The
    // outcome of a write at the end of that time may be unknown.
    for number in 0..160 {
        is_refused(store, id, number).await;
        assert!(store.load(id, &[]).await.expect("reads go on").is_some());
    }
    let [asked, _] = count(servers);
    for number in 0..WRITES {
        let error = is_refused(store, id, number).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{number}: {error:?}");
        assert!(store.load(id, &[]).await.expect("reads go on").is_some());
    }
    let [asked_after, opened] = count(servers);
    // Behind Webdis a load is a script too, and a destroy is a script and a command that is counted as well.
    let others = if name.contains("Webdis") { WRITES + WRITES / 4 } else { 0 };
    let (asked, opened) = (asked_after - asked - others, opened - opened_before);
    println!("{name}: {WRITES} writes were sent {asked} times, after {opened} connections");
    // Now and then a request looks for another primary, and is sent again there. The test itself opens one connection
    // for each of its questions.
    assert!((WRITES..=WRITES + 4 * servers.len() as u64).contains(&asked), "{asked}");
    let own = 8 * servers.len() as u64;
    assert!(opened <= own + 16 * servers.len() as u64, "{opened}");
    for server in servers {
        heal(server);
    }
    for commit in [put("p", "1"), add("n", 1)] {
        let answer = store.commit(id, commit).await;
        assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
    }
    store.destroy(id).await.expect("it takes writes again");
}

async fn open(builder: RedisStoreBuilder) -> RedisStore {
    builder.with_timeout(TIMEOUT).connect().await.expect("a server that answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_enough_replicas_refuses_writes_at_once() {
    let server = RedisServer::start();
    let store = open(RedisStore::builder(server.url())).await;
    writes_are_refused_at_once("replicas", &store, &[&server], lose_replicas, need_no_replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_server_refuses_writes_at_once() {
    let server = RedisServer::start();
    let store = open(RedisStore::builder(server.url())).await;
    writes_are_refused_at_once("demoted", &store, &[&server], demote, promote).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_enough_replicas_refuses_writes_at_once() {
    let cluster = RedisCluster::start();
    let store = open(RedisStoreBuilder::cluster(cluster.urls())).await;
    let nodes = [0, 1, 2].map(|index| cluster.node(index));
    writes_are_refused_at_once("cluster", &store, &nodes, lose_replicas, need_no_replicas).await;
}

/// Requests to a slot that no node serves fail at once too, while the nodes serve others.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_without_a_node_is_refused_at_once() {
    let cluster = RedisCluster::start();
    let slot_of = |id: &RecordId| cluster.slot(&format!("sess:{id}"));
    let id = record_id();
    let slot = slot_of(&id);
    let other = std::iter::repeat_with(record_id).find(|other| slot_of(other) != slot).expect("without end");
    let nodes = [0, 1, 2].map(|index| cluster.node(index));
    let store = open(RedisStoreBuilder::cluster(cluster.urls())).await;
    for id in [id, other] {
        assert!(matches!(store.create(id, new_record()).await, Ok(CreateOutcome::Created(_))));
    }
    let owner = cluster.owner(slot).expect("an owner");
    let asked =
        || -> u64 { nodes.iter().map(|node| node.calls("cluster|slots") + node.calls("hmget")).sum() };
    for node in nodes {
        node.cli(&["CLUSTER", "DELSLOTS", &slot.to_string()]);
    }
    for _ in 0..4 {
        let error = store.load(id, &[]).await.expect_err("no node has it");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(store.load(other, &[]).await.expect("others go on").is_some());
    }
    let before = asked();
    for _ in 0..WRITES {
        store.load(id, &[]).await.expect_err("no node has it");
    }
    let asked = asked() - before;
    println!("{WRITES} loads of a slot without a node asked {asked} times");
    // Each load asks all three nodes, and now and then the background task does too.
    assert!(asked <= 4 * WRITES, "{asked}");
    cluster.node(owner).cli(&["CLUSTER", "ADDSLOTS", &slot.to_string()]);
    until_served(&store, id).await;
}

/// Waits until the nodes have told each other of a slot.
async fn until_served(store: &RedisStore, id: RecordId) {
    let end = Instant::now() + Duration::from_mins(1);
    while !store.load(id, &[]).await.is_ok_and(|loaded| loaded.is_some()) {
        assert!(Instant::now() < end, "the slot is not found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webdis_passes_on_refusals_at_once() {
    for (name, fail, heal) in [
        ("replicas behind Webdis", lose_replicas as fn(&RedisServer), need_no_replicas as fn(&RedisServer)),
        ("demoted behind Webdis", demote, promote),
    ] {
        let server = RedisServer::start();
        let webdis = WebdisServer::start(&server);
        let store = WebdisStore::builder(webdis.url()).with_timeout(TIMEOUT).connect().await;
        let store = store.expect("a server that answers");
        writes_are_refused_at_once(name, &store, &[&server], fail, heal).await;
    }
}
