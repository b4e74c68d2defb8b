//! A Redis cluster of three primaries, with or without a replica of each.

use std::{ops::RangeInclusive, sync::OnceLock};

use super::{RedisOptions, RedisServer, until};

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;

/// A Redis cluster that also serves while some slots have no node.
#[derive(Debug)]
pub struct RedisCluster {
    /// The primaries, then the replicas in the same order.
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts three primaries with a third of the slots each.
    pub fn start() -> Self {
        Self::with_options(false, RedisOptions::default())
    }

    /// Starts three primaries and a replica of each, which takes over when its primary dies.
    pub fn start_with_replicas() -> Self {
        Self::with_options(true, RedisOptions::default())
    }

    /// Returns the cluster of primaries that the tests of this binary share. It ends with the test process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisCluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a cluster whose nodes have these options, which must let nodes talk without a password.
    pub fn with_options(replicas: bool, options: RedisOptions) -> Self {
        let options = options
            .with_cluster()
            .add_line("cluster-announce-ip 127.0.0.1")
            .add_line("cluster-node-timeout 1000")
            .add_line("cluster-require-full-coverage no")
            .add_line("cluster-replica-validity-factor 0")
            .add_line("cluster-allow-replica-migration no")
            .add_line("repl-diskless-sync-delay 0");
        let count = if replicas { 2 * PRIMARIES } else { PRIMARIES };
        let cluster = Self { nodes: (0..count).map(|_| options.clone().start()).collect() };
        cluster.form();
        cluster
    }

    /// Returns the URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Returns a node: the primaries are 0 to 2, their replicas 3 to 5.
    pub fn node(&self, index: usize) -> &RedisServer {
        &self.nodes[index]
    }

    /// Returns the index of the primary of a slot, as the first living node names it.
    pub fn owner(&self, slot: u16) -> Option<usize> {
        let nodes = self.nodes.iter().find_map(|node| node.try_cli(&["CLUSTER", "NODES"]).ok())?;
        let line = nodes.lines().find(|line| {
            // <id> <address> <flags> <primary> <ping> <pong> <epoch> <link> <slots>…
            line.split(' ').skip(8).any(|slots| {
                let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
                let number = |text: &str| text.parse::<u16>().ok();
                number(first).zip(number(last)).is_some_and(|(first, last)| (first..=last).contains(&slot))
            })
        })?;
        self.nodes.iter().position(|node| line.contains(&format!(":{}@", node.port())))
    }

    /// Returns the slot of a key.
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes[0].cli(&["CLUSTER", "KEYSLOT", key]).parse().expect("a slot")
    }

    /// Moves slots with their keys from one primary to another. Clients may use the keys meanwhile.
    pub fn move_slots(&self, from: usize, to: usize, slots: RangeInclusive<u16>) {
        for slot in slots {
            self.begin_move(from, to, slot);
            while self.move_keys(from, to, slot, 100) > 0 {}
            self.end_move(from, to, slot);
        }
    }

    /// Declares that a slot is on the move: from now on `from` refers to `to` for keys that it lacks.
    pub fn begin_move(&self, from: usize, to: usize, slot: u16) {
        let slot = slot.to_string();
        self.nodes[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]);
        self.nodes[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]);
    }

    /// Moves up to `count` keys of a slot on the move, and returns their number.
    pub fn move_keys(&self, from: usize, to: usize, slot: u16, count: usize) -> usize {
        let keys = self.nodes[from].cli(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count.to_string()]);
        let keys: Vec<_> = keys.lines().collect();
        let port = self.nodes[to].port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(&keys);
        if !keys.is_empty() {
            self.nodes[from].cli(&command);
        }
        keys.len()
    }

    /// Declares that a slot without keys at `from` has arrived, and waits until the primaries know.
    pub fn end_move(&self, from: usize, to: usize, slot: u16) {
        let (id, slot) = (self.id(to), slot.to_string());
        // The new owner first: otherwise the slot would have no owner if it died in between.
        let others = (0..PRIMARIES).filter(|other| ![from, to].contains(other));
        for index in [to, from].into_iter().chain(others) {
            // A node that is down learns it from the others later.
            let set = self.nodes[index].try_cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
            assert!(set.is_ok() || ![from, to].contains(&index), "{set:?}");
        }
    }

    /// Kills a node. With replicas, another takes over within seconds: see `wait_until_served`.
    pub fn kill_node(&self, index: usize) {
        self.nodes[index].kill();
    }

    /// Waits until every slot has a primary again and all living nodes agree on it.
    pub fn wait_until_served(&self) {
        until("the cluster to serve every slot", || self.log(), || self.agrees());
    }

    fn form(&self) {
        let (primaries, replicas) = self.nodes.split_at(PRIMARIES);
        for (index, node) in primaries.iter().enumerate() {
            let first = (index * SLOTS / PRIMARIES).to_string();
            let last = ((index + 1) * SLOTS / PRIMARIES - 1).to_string();
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for node in &self.nodes[1..] {
            let (port, bus) = (node.port().to_string(), node.process().second_port().to_string());
            self.nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        for (primary, replica) in primaries.iter().zip(replicas) {
            let id = primary.cli(&["CLUSTER", "MYID"]);
            let replicate = || replica.try_cli(&["CLUSTER", "REPLICATE", &id]).is_ok();
            until("the replica to know its primary", || self.log(), replicate);
        }
        self.wait_until_served();
        for replica in replicas {
            let linked = || replica.info("master_link_status").as_deref() == Some("up");
            until("the replica to follow", || self.log(), linked);
        }
    }

    /// Returns true if all living nodes know each other and name the same owners of all slots.
    fn agrees(&self) -> bool {
        let living: Vec<_> = self.nodes.iter().filter(|node| node.process().pid().is_some()).collect();
        let views = living.iter().map(|node| {
            let info = node.try_cli(&["CLUSTER", "INFO"]).ok()?;
            let whole = info.lines().any(|line| line == "cluster_state:ok")
                && info.lines().any(|line| line == format!("cluster_slots_ok:{SLOTS}"));
            let nodes = node.try_cli(&["CLUSTER", "NODES"]).ok()?;
            let mut view: Vec<_> = nodes
                .lines()
                .filter(|line| !line.contains("fail"))
                .map(|line| {
                    let words: Vec<_> = line.split(' ').collect();
                    let role = words[2].trim_start_matches("myself,").to_owned();
                    (words[0].to_owned(), role, words[3].to_owned(), words[8..].join(" "))
                })
                .collect();
            view.sort();
            (whole && view.len() == living.len()).then_some(view)
        });
        let views: Option<Vec<_>> = views.collect();
        views.is_some_and(|views| views.windows(2).all(|pair| pair[0] == pair[1]))
    }

    fn id(&self, index: usize) -> String {
        self.nodes[index].cli(&["CLUSTER", "MYID"])
    }

    fn log(&self) -> String {
        let tell = |node: &RedisServer| {
            let nodes = node.try_cli(&["CLUSTER", "NODES"]).unwrap_or_else(|error| error);
            format!("{}:\n{nodes}\n{}\n", node.port(), node.log())
        };
        self.nodes.iter().map(tell).collect()
    }
}
