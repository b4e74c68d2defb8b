//! The nodes of a cluster: the slots that each has, and the connections to each.
//!
//! # Design
//!
//! The map of the slots is the store's own, over the same shared connections as elsewhere. The client library's cluster
//! connection has three faults, of which the tests in `tests/tests/redis_faults/cluster.rs` show two:
//!
//! - By default it sends a request again, up to sixteen times.
//! - Without that it never asks for the slots when a node merely stops answering. So a replica that took over is not
//!   found.
//! - When it asks, all requests wait for every node. So one node that stands still holds up the sessions of all.
//!
//! Here all nodes are asked at once and in the background, and a refusal (`MOVED`, `ASK`) leads straight to the right
//! node.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{ErrorKind, Pipeline, RedisError, Value};
use tokio::{
    sync::Mutex as AsyncMutex,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{connections::ServerConnections, error_class, source::ConnectionSource};

const SLOTS: u16 = 16_384;

/// The time after an answer in which the slots are not asked for again, whatever happens meanwhile.
const REFRESH_PAUSE: Duration = Duration::from_millis(50);

/// A node's host and port.
pub(super) type NodeAddress = (String, u16);

/// Returns the source of a node's connections.
type NodeSource = dyn Fn(&NodeAddress) -> ConnectionSource + Send + Sync;

/// The nodes of a cluster.
pub(super) struct Cluster {
    /// The nodes that the program named.
    seeds: Vec<NodeAddress>,
    source: Box<NodeSource>,
    connections: usize,
    /// The time that a node has to answer a question for the slots.
    patience: Duration,
    map: Mutex<SlotMap>,
    /// The slots that no node serves, and since when.
    unserved: Mutex<HashMap<u16, Instant>>,
    /// True while `unserved` has an entry, so that the usual case takes no lock.
    has_unserved: AtomicBool,
    /// Held by the task that asks for the slots.
    asking: Arc<AsyncMutex<()>>,
}

/// The known nodes and their slots.
#[derive(Default)]
struct SlotMap {
    nodes: HashMap<NodeAddress, Arc<ServerConnections>>,
    /// The owner of each slot, by its number. Empty until a node has answered.
    owners: Vec<Option<Arc<ServerConnections>>>,
}

impl Cluster {
    pub(super) fn new(
        seeds: Vec<NodeAddress>,
        connections: usize,
        patience: Duration,
        source: impl Fn(&NodeAddress) -> ConnectionSource + Send + Sync + 'static,
    ) -> Self {
        Self {
            seeds,
            source: Box::new(source),
            connections,
            patience,
            map: Mutex::default(),
            unserved: Mutex::default(),
            has_unserved: AtomicBool::new(false),
            asking: Arc::default(),
        }
    }

    /// Returns the node that has a key, if one is known.
    pub(super) fn known_owner(&self, key: &str) -> Option<Arc<ServerConnections>> {
        self.map().owners.get(usize::from(slot(key))).cloned().flatten()
    }

    /// Returns the node that has a key. Asks the nodes for it if none is known.
    pub(super) async fn owner(self: &Arc<Self>, key: &str) -> Result<Arc<ServerConnections>, RedisError> {
        if let Some(owner) = self.known_owner(key) {
            return Ok(owner);
        }
        let (cluster, unknown) = (Arc::clone(self), key.to_owned());
        // In a task of its own: a request that stops waiting must not stop the others.
        let asked = tokio::spawn(async move {
            let _asking = cluster.asking.lock().await;
            if cluster.known_owner(&unknown).is_none() { cluster.ask().await } else { Ok(()) }
        });
        asked.await.unwrap_or_else(|_| Err(no_node("asking for the session's slot was given up")))?;
        self.known_owner(key).ok_or_else(|| no_node("no node of the cluster has the session's slot"))
    }

    /// Returns the node that another one, on the host `asked`, named for a key. `moved` is true if it has the key from
    /// now on, false if it has it for this once.
    pub(super) fn named(
        self: &Arc<Self>,
        address: &str,
        asked: &str,
        key: &str,
        moved: bool,
    ) -> Option<Arc<ServerConnections>> {
        let (host, port) = address.rsplit_once(':')?;
        let node = self.node(&mut self.map(), &(known_host(host, asked), port.parse().ok()?));
        if moved {
            if let Some(owner) = self.map().owners.get_mut(usize::from(slot(key))) {
                *owner = Some(Arc::clone(&node));
            }
            self.refresh();
        }
        Some(node)
    }

    /// Notes that no node serves a key, though others may serve theirs. Returns how long this has been so.
    pub(super) fn mark_unserved(&self, key: &str) -> Duration {
        let mut unserved = self.unserved.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_unserved.store(true, Ordering::Relaxed);
        unserved.entry(slot(key)).or_insert_with(Instant::now).elapsed()
    }

    /// Notes that a node serves a key.
    pub(super) fn mark_served(&self, key: &str) {
        if self.has_unserved.load(Ordering::Relaxed) {
            let mut unserved = self.unserved.lock().unwrap_or_else(PoisonError::into_inner);
            unserved.remove(&slot(key));
            self.has_unserved.store(!unserved.is_empty(), Ordering::Relaxed);
        }
    }

    /// Asks for the slots in the background, unless a task already does. No request waits for it.
    pub(super) fn refresh(self: &Arc<Self>) {
        if let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() {
            let cluster = Arc::clone(self);
            tokio::spawn(async move {
                // Without an answer, the known slots stay in use.
                let _ = cluster.ask().await;
                sleep(REFRESH_PAUSE).await;
                drop(asking);
            });
        }
    }

    /// Asks all nodes at once and takes the first answer.
    async fn ask(&self) -> Result<(), RedisError> {
        let mut asked = JoinSet::new();
        let mut reason = None;
        {
            let mut map = self.map();
            let addresses: HashSet<_> = self.seeds.iter().chain(map.nodes.keys()).cloned().collect();
            for address in addresses {
                let node = self.node(&mut map, &address);
                asked.spawn(slots(node, address, Instant::now() + self.patience));
            }
        }
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(ranges)) => {
                    self.learn(ranges);
                    return Ok(());
                }
                Ok(Err(error)) => error_class::keep_the_clearer(&mut reason, error),
                Err(_) => {}
            }
        }
        Err(reason.unwrap_or_else(|| no_node("no node of the cluster answers")))
    }

    /// Takes over an answer: the nodes and the slots that they have.
    fn learn(&self, ranges: Vec<SlotRange>) {
        let mut map = self.map();
        let mut owners = vec![None; usize::from(SLOTS)];
        let mut kept: HashSet<_> = self.seeds.iter().cloned().collect();
        for (first, last, address) in ranges {
            let node = self.node(&mut map, &address);
            kept.insert(address);
            for owner in owners.iter_mut().take(usize::from(last) + 1).skip(usize::from(first)) {
                *owner = Some(Arc::clone(&node));
            }
        }
        map.owners = owners;
        map.nodes.retain(|address, _| kept.contains(address));
    }

    /// Returns the connections to a node, prepared if the node is new.
    fn node(&self, map: &mut SlotMap, address: &NodeAddress) -> Arc<ServerConnections> {
        if let Some(node) = map.nodes.get(address) {
            return Arc::clone(node);
        }
        let (source, host) = ((self.source)(address), &address.0);
        let node = Arc::new(ServerConnections::new(source, host, self.connections, self.patience));
        map.nodes.insert(address.clone(), Arc::clone(&node));
        node
    }

    fn map(&self) -> MutexGuard<'_, SlotMap> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// The first and the last slot of a range, and the primary that has it.
type SlotRange = (u16, u16, NodeAddress);

/// Asks a node for the slots of each primary.
async fn slots(
    node: Arc<ServerConnections>,
    asked: NodeAddress,
    deadline: Instant,
) -> Result<Vec<SlotRange>, RedisError> {
    let mut shared = node.get(deadline).await?;
    let mut commands = Pipeline::with_capacity(1);
    commands.cmd("CLUSTER").arg("SLOTS");
    let replies = match tokio::time::timeout_at(deadline, shared.connection.pipeline(&commands)).await {
        Ok(Ok(replies)) => replies,
        failed => {
            node.retire(shared.opened);
            return failed
                .unwrap_or_else(|_| Err(no_node("a node of the cluster did not answer in time")))
                .map(|_| Vec::new());
        }
    };
    let reply = replies.into_iter().next().unwrap_or(Value::Nil).extract_error()?;
    let Value::Array(ranges) = reply else { return Err(no_node("a node of the cluster sent no slots")) };
    let ranges: Vec<_> = ranges.iter().filter_map(|range| parse(range, &asked.0)).collect();
    // A node that has lost its configuration knows no slots.
    if ranges.is_empty() { Err(no_node("a node of the cluster knows no slots")) } else { Ok(ranges) }
}

/// Reads one range of the reply: `[first, last, [host, port, …], …]`.
fn parse(range: &Value, asked: &str) -> Option<SlotRange> {
    let Value::Array(parts) = range else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let [first, last, Value::Array(primary), ..] = parts.as_slice() else { return None };
    let host = match primary.first()? {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        _ => "",
    };
    let host = known_host(host, asked);
    Some((number(first)?, number(last)?, (host, number(primary.get(1)?)?)))
}

/// Returns the host that a node named. No name means the host that was asked.
fn known_host(named: &str, asked: &str) -> String {
    if matches!(named, "" | "?") { asked.to_owned() } else { named.to_owned() }
}

/// Returns the slot of a key: CRC16/XMODEM of all of it, since the store's keys have no braces.
fn slot(key: &str) -> u16 {
    let step = |crc: u16, byte: u8| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 })
    };
    key.bytes().fold(0, step) % SLOTS
}

/// Returns the error for a cluster without a node to send to, which may pass.
fn no_node(what: &'static str) -> RedisError {
    (ErrorKind::ClusterConnectionNotFound, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_servers() {
        // The values are those of `CLUSTER KEYSLOT`.
        assert_eq!((slot("foo"), slot("bar"), slot("123456789")), (12_182, 5061, 0x31C3));
    }
}
