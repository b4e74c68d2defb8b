//! A firewall or a balancer on the way forgets connections: it drops all their packets and tells neither end.

use std::{fs, time::Duration};

use sessions::{
    RecordId,
    store::{CommitOutcome, RedisStore, RedisStoreBuilder, Store, WebdisStore},
};
use tests::{
    proxy::{Protocol, Proxy},
    records::{add, new_record, put, record_id},
    servers::{RedisServer, Sentinel, WebdisServer, until},
};

use crate::fronted::Fronted;

/// An idle time after which a connection is suspect or closed. The most impatient firewalls forget a connection after
/// it.
const IDLE: Duration = Duration::from_secs(30);

/// A timeout that is long enough to find that a connection is swallowed, on a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_secs(20);

const OPERATIONS: [&str; 5] = ["put", "add", "create", "destroy", "load"];

async fn do_it(store: &impl Store, operation: &str, id: RecordId) {
    let answer = match operation {
        "load" => {
            store.load(id, &[]).await.expect("an answer").expect("the record");
            return;
        }
        "create" => {
            store.create(record_id(), new_record()).await.expect("an answer");
            return;
        }
        "destroy" => return store.destroy(record_id()).await.expect("an answer"),
        "add" => store.commit(id, add("n", 1)).await,
        _ => store.commit(id, put("p", "1")).await,
    };
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{operation}: {answer:?}");
}

/// Swallows idle connections, and checks that every operation still works.
async fn works_after_a_rest(store: &impl Store, proxies: &[&Proxy]) {
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    for operation in OPERATIONS {
        // These loads open all connections to all nodes.
        for _ in 0..8 {
            store.load(record_id(), &[]).await.expect("an answer");
        }
        do_it(store, "load", id).await;
        for proxy in proxies {
            proxy.swallow();
        }
        tokio::time::pause();
        tokio::time::advance(IDLE).await;
        tokio::time::resume();
        do_it(store, operation, id).await;
    }
}

/// Checks that reads on a connection that is swallowed are answered on another one, and later requests too.
async fn reads_move(store: RedisStore, proxies: &[&Proxy]) {
    let ids = [(); 8].map(|()| record_id());
    for id in ids {
        store.create(id, new_record()).await.expect("an answer");
    }
    for _ in 0..8 {
        for id in ids {
            store.load(id, &[]).await.expect("an answer");
        }
    }
    for proxy in proxies {
        proxy.swallow();
    }
    let loads = ids.map(|id| {
        let store = store.clone();
        tokio::spawn(async move { store.load(id, &[]).await })
    });
    for load in loads {
        load.await.expect("no panic").expect("an answer").expect("the record");
    }
    for id in ids {
        do_it(&store, "put", id).await;
        do_it(&store, "add", id).await;
    }
}

fn patient(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    builder.with_timeout(TIMEOUT)
}

#[tokio::test]
async fn a_server_works_after_a_rest() {
    let front = Fronted::server(RedisServer::start());
    let store = patient(front.builder()).connect().await.expect("a server that answers");
    works_after_a_rest(&store, &front.proxies.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_cluster_works_after_a_rest() {
    let front = Fronted::cluster();
    let store = patient(front.builder()).connect().await.expect("a cluster that answers");
    works_after_a_rest(&store, &front.proxies.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn sentinels_work_after_a_rest() {
    let server = RedisServer::start();
    let primary = Proxy::start(server.port(), Protocol::REDIS);
    let sentinel = Sentinel::alone(primary.port());
    let proxy = Proxy::start(sentinel.port(), Protocol::REDIS);
    let urls = [format!("redis://127.0.0.1:{}", proxy.port())];
    let builder = RedisStoreBuilder::sentinel(urls, Sentinel::NAME);
    let store = patient(builder).connect().await.expect("a server that answers");
    works_after_a_rest(&store, &[&primary, &proxy]).await;
}

#[tokio::test]
async fn webdis_works_after_a_rest() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    let proxy = Proxy::start(webdis.port(), Protocol::WEBDIS);
    let store = WebdisStore::connect(format!("http://127.0.0.1:{}", proxy.port())).await;
    works_after_a_rest(&store.expect("a server that answers"), &[&proxy]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_move_off_a_connection_to_a_server_that_leads_nowhere() {
    let front = Fronted::server(RedisServer::start());
    let store = patient(front.builder()).connect().await.expect("a server that answers");
    reads_move(store, &front.proxies.iter().collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_move_off_a_connection_to_a_cluster_that_leads_nowhere() {
    let front = Fronted::cluster();
    let store = patient(front.builder()).connect().await.expect("a cluster that answers");
    reads_move(store, &front.proxies.iter().collect::<Vec<_>>()).await;
}

/// The system sends keepalive packets, which keep an idle connection known to firewalls on the way.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_kept_alive() {
    let (front, cluster) = (Fronted::server(RedisServer::start()), Fronted::cluster());
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    let proxy = Proxy::start(webdis.port(), Protocol::WEBDIS);
    let store = front.open().await;
    let of_cluster = cluster.open().await;
    let of_webdis = WebdisStore::connect(format!("http://127.0.0.1:{}", proxy.port())).await;
    let of_webdis = of_webdis.expect("a server that answers");
    let primary = Proxy::start(redis.port(), Protocol::REDIS);
    let sentinel = Sentinel::alone(primary.port());
    let urls = [format!("redis://127.0.0.1:{}", sentinel.port())];
    let behind = RedisStoreBuilder::sentinel(urls, Sentinel::NAME).connect().await.expect("a server");
    for _ in 0..8 {
        store.load(record_id(), &[]).await.expect("an answer");
        of_cluster.load(record_id(), &[]).await.expect("an answer");
        of_webdis.load(record_id(), &[]).await.expect("an answer");
        behind.load(record_id(), &[]).await.expect("an answer");
    }
    let sentinels = sentinel.port();
    for proxy in front.proxies.iter().chain(&cluster.proxies).chain([&proxy, &primary]) {
        let timers = || timers(proxy.port());
        // The ends of the proxy and of the Sentinel do not count.
        let are_kept = || !timers().is_empty() && timers().iter().all(|timer| timer == KEEPALIVE);
        until("every connection to be kept alive", || format!("{sentinels}: {:?}", timers()), are_kept);
    }
}

/// The timer of an idle connection with keepalive.
#[cfg(target_os = "linux")]
const KEEPALIVE: &str = "02";

/// Returns the timers of the connections of this process to a port, as in proc(5) and
/// <https://docs.kernel.org/networking/proc_net_tcp.html>.
#[cfg(target_os = "linux")]
fn timers(port: u16) -> Vec<String> {
    let inodes: Vec<_> = fs::read_dir("/proc/self/fd")
        .expect("the files of this process")
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/self/net/tcp").expect("the connections of the system");
    let remote = format!("0100007F:{port:04X}");
    let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| words.get(2) == Some(&remote.as_str()) && words.get(3) == Some(&"01"))
        .filter(|words| words.get(9).is_some_and(|inode| inodes.iter().any(|own| own == inode)))
        .filter_map(|words| Some(words.get(5)?.split_once(':')?.0.to_owned()))
        .collect()
}
