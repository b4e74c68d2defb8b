//! A server or a cluster of which every connection goes through a proxy.

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
    servers: Servers,
}

enum Servers {
    One(RedisServer),
    Cluster(RedisCluster),
}

impl Fronted {
    pub(crate) fn server(server: RedisServer) -> Self {
        Self { proxies: vec![Proxy::start(server.port(), Protocol::REDIS)], servers: Servers::One(server) }
    }

    /// A cluster whose nodes tell clients, and each other, the proxies' ports.
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
        Self { proxies, servers: Servers::Cluster(cluster) }
    }

    /// A store that knows the proxies only.
    pub(crate) async fn open(&self) -> RedisStore {
        self.builder().connect().await.expect("a server that answers")
    }

    pub(crate) fn builder(&self) -> RedisStoreBuilder {
        let urls = self.proxies.iter().map(|proxy| format!("redis://127.0.0.1:{}", proxy.port()));
        match &self.servers {
            Servers::One(_) => RedisStore::builder(urls.collect::<String>()),
            Servers::Cluster(_) => RedisStoreBuilder::cluster(urls),
        }
    }

    /// A store that goes around the proxies.
    pub(crate) async fn open_behind(&self) -> RedisStore {
        match &self.servers {
            Servers::One(server) => RedisStore::connect(server.url()).await,
            // The nodes name the proxies, wherever one asks.
            Servers::Cluster(_) => return self.open().await,
        }
        .expect("a server that answers")
    }

    /// Cuts by this rule, which is told the number of the script among those of all proxies.
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

    /// How many requests and how many replies were cut.
    pub(crate) fn cuts(&self) -> [usize; 2] {
        let cuts = self.proxies.iter().map(Proxy::cuts);
        cuts.fold([0, 0], |[requests, replies], [request, reply]| [requests + request, replies + reply])
    }

    /// What has passed the proxy of the only server.
    pub(crate) fn take(&self) -> Traffic {
        self.proxies[0].take()
    }

    pub(crate) fn node(&self) -> &RedisServer {
        match &self.servers {
            Servers::One(server) => server,
            Servers::Cluster(cluster) => cluster.node(0),
        }
    }
}
