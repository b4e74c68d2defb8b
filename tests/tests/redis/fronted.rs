//! A server or a cluster behind proxies, through which every connection goes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sessions::store::{RedisStore, RedisStoreBuilder};
use tests::{
    proxy::{Cut, Protocol, Proxy, Traffic},
    servers::{RedisCluster, RedisServer, until},
};

/// One server, or the three nodes of a cluster, behind a proxy each.
pub(crate) struct Fronted {
    pub(crate) proxies: Vec<Proxy>,
    servers: FrontedServers,
}

enum FrontedServers {
    One(RedisServer),
    Cluster(RedisCluster),
}

impl Fronted {
    pub(crate) fn server(server: RedisServer) -> Self {
        Self {
            proxies: vec![Proxy::start(server.port(), Protocol::REDIS)],
            servers: FrontedServers::One(server),
        }
    }

    /// Starts a cluster whose nodes name the proxies' ports to clients, and to each other.
    pub(crate) fn cluster() -> Self {
        let cluster = RedisCluster::start();
        let nodes = [0, 1, 2].map(|index| cluster.node(index));
        let proxies: Vec<_> = nodes.iter().map(|node| Proxy::start(node.port(), Protocol::REDIS)).collect();
        let ports: Vec<_> = proxies.iter().map(|proxy| proxy.port().to_string()).collect();
        for (node, port) in nodes.iter().zip(&ports) {
            node.cli(&["CONFIG", "SET", "cluster-announce-port", port]);
        }
        let slots = |node: &RedisServer| node.cli(&["CLUSTER", "SLOTS"]);
        let knows_all = |node: &&RedisServer| {
            let slots = slots(node);
            ports.iter().all(|port| slots.lines().any(|line| line == port))
        };
        let log = || nodes.map(slots).join("\n");
        until("the nodes to know the proxies", log, || nodes.iter().all(knows_all));
        Self { proxies, servers: FrontedServers::Cluster(cluster) }
    }

    /// Opens a store that knows the proxies only.
    pub(crate) async fn open(&self) -> RedisStore {
        self.builder().connect().await.expect("a server that answers")
    }

    pub(crate) fn builder(&self) -> RedisStoreBuilder {
        let urls = self.proxies.iter().map(|proxy| format!("redis://127.0.0.1:{}", proxy.port()));
        match &self.servers {
            FrontedServers::One(_) => RedisStore::builder(urls.collect::<String>()),
            FrontedServers::Cluster(_) => RedisStoreBuilder::cluster(urls),
        }
    }

    /// Opens a store that connects to the servers directly.
    pub(crate) async fn open_behind(&self) -> RedisStore {
        match &self.servers {
            FrontedServers::One(server) => RedisStore::connect(server.url()).await,
            // The nodes name the proxies to every client.
            FrontedServers::Cluster(_) => return self.open().await,
        }
        .expect("a server that answers")
    }

    /// Cuts by this rule, which gets the number of the script among those of all proxies.
    pub(crate) fn cut(&self, rule: fn(usize) -> Cut) {
        let next = Arc::new(AtomicUsize::new(0));
        for proxy in &self.proxies {
            let next = Arc::clone(&next);
            proxy.cut(move |_| rule(next.fetch_add(1, Ordering::Relaxed)));
        }
    }

    pub(crate) fn cut_nothing(&self) {
        self.proxies.iter().for_each(Proxy::cut_nothing);
    }

    /// Returns the numbers of requests and of replies that were cut.
    pub(crate) fn cuts(&self) -> [usize; 2] {
        let cuts = self.proxies.iter().map(Proxy::cuts);
        cuts.fold([0, 0], |[requests, replies], [request, reply]| [requests + request, replies + reply])
    }

    /// Returns the traffic of the only server's proxy since the last call.
    pub(crate) fn take(&self) -> Traffic {
        self.proxies[0].take()
    }

    pub(crate) fn node(&self) -> &RedisServer {
        match &self.servers {
            FrontedServers::One(server) => server,
            FrontedServers::Cluster(cluster) => cluster.node(0),
        }
    }
}
