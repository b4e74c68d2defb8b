//! A cluster: which node has a slot, and the connections to each node.
//!
//! The client library's own cluster connection is not used. It waits for every node, with all
//! requests, whenever it asks where the slots are, so that one node that stands still holds up the
//! sessions of all; and it does not ask at all when a node merely stops answering, so that a replica
//! which took its place is never found.

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

use super::{failure, lanes::Lanes, source::Source};

const SLOTS: u16 = 16_384;

/// How long to be content with an answer, whatever happens meanwhile.
const REST: Duration = Duration::from_millis(50);

/// A node's host and port.
pub(super) type Address = (String, u16);

/// Makes the source of a node's connections.
type Open = dyn Fn(&Address) -> Source + Send + Sync;

pub(super) struct Cluster {
    seeds: Vec<Address>,
    open: Box<Open>,
    connections: usize,
    /// How long a node may take to tell where the slots are.
    patience: Duration,
    map: Mutex<Map>,
    /// The slots that no node serves, and since when.
    lost: Mutex<HashMap<u16, Instant>>,
    has_lost: AtomicBool,
    /// Held by who asks where the slots are.
    asking: Arc<AsyncMutex<()>>,
}

#[derive(Default)]
struct Map {
    nodes: HashMap<Address, Arc<Lanes>>,
    /// By slot; empty until a node was asked.
    owners: Vec<Option<Arc<Lanes>>>,
}

impl Cluster {
    pub(super) fn new(
        seeds: Vec<Address>,
        connections: usize,
        patience: Duration,
        open: impl Fn(&Address) -> Source + Send + Sync + 'static,
    ) -> Self {
        Self {
            seeds,
            open: Box::new(open),
            connections,
            patience,
            map: Mutex::default(),
            lost: Mutex::default(),
            has_lost: AtomicBool::new(false),
            asking: Arc::default(),
        }
    }

    /// The connections to the node that has a key, as far as we know.
    pub(super) fn known_owner(&self, key: &str) -> Option<Arc<Lanes>> {
        self.map().owners.get(usize::from(slot(key))).cloned().flatten()
    }

    /// The same; asks for it if we do not know.
    pub(super) async fn owner(self: &Arc<Self>, key: &str) -> Result<Arc<Lanes>, RedisError> {
        if let Some(lanes) = self.known_owner(key) {
            return Ok(lanes);
        }
        let (cluster, unknown) = (Arc::clone(self), key.to_owned());
        // In a task of its own: whoever keeps this waiting must not keep others waiting.
        let asked = tokio::spawn(async move {
            let _asking = cluster.asking.lock().await;
            if cluster.known_owner(&unknown).is_none() { cluster.ask().await } else { Ok(()) }
        });
        asked.await.unwrap_or_else(|_| Err(nobody("asking for the session's slot was given up")))?;
        self.known_owner(key).ok_or_else(|| nobody("no node of the cluster has the session's slot"))
    }

    /// The connections to the node that another one, on host `asked`, named for this key: from now on
    /// or for this once.
    pub(super) fn named(
        self: &Arc<Self>,
        address: &str,
        asked: &str,
        key: &str,
        moved: bool,
    ) -> Option<Arc<Lanes>> {
        let (host, port) = address.rsplit_once(':')?;
        let lanes = self.node(&mut self.map(), &(known_host(host, asked), port.parse().ok()?));
        if moved {
            if let Some(owner) = self.map().owners.get_mut(usize::from(slot(key))) {
                *owner = Some(Arc::clone(&lanes));
            }
            self.look_again();
        }
        Some(lanes)
    }

    /// Notes that no node serves a key, though others may serve theirs; says for how long it has been so.
    pub(super) fn mark_lost(&self, key: &str) -> Duration {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_lost.store(true, Ordering::Relaxed);
        lost.entry(slot(key)).or_insert_with(Instant::now).elapsed()
    }

    /// Notes that a node serves it.
    pub(super) fn mark_served(&self, key: &str) {
        if self.has_lost.load(Ordering::Relaxed) {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.remove(&slot(key));
            self.has_lost.store(!lost.is_empty(), Ordering::Relaxed);
        }
    }

    /// Asks where the slots are, unless somebody does; nobody waits for it.
    pub(super) fn look_again(self: &Arc<Self>) {
        if let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() {
            let cluster = Arc::clone(self);
            tokio::spawn(async move {
                // Without an answer, what is known stays in use.
                let _ = cluster.ask().await;
                sleep(REST).await;
                drop(asking);
            });
        }
    }

    /// Asks all nodes at once; who answers first is believed.
    async fn ask(&self) -> Result<(), RedisError> {
        let mut asked = JoinSet::new();
        let mut reason = None;
        {
            let mut map = self.map();
            let addresses: HashSet<_> = self.seeds.iter().chain(map.nodes.keys()).cloned().collect();
            for address in addresses {
                let lanes = self.node(&mut map, &address);
                asked.spawn(slots(lanes, address, Instant::now() + self.patience));
            }
        }
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(ranges)) => {
                    self.learn(ranges);
                    return Ok(());
                }
                Ok(Err(error)) => failure::keep_the_clearer(&mut reason, error),
                Err(_) => {}
            }
        }
        Err(reason.unwrap_or_else(|| nobody("no node of the cluster answers")))
    }

    fn learn(&self, ranges: Vec<(u16, u16, Address)>) {
        let mut map = self.map();
        let mut owners = vec![None; usize::from(SLOTS)];
        let mut kept: HashSet<_> = self.seeds.iter().cloned().collect();
        for (first, last, address) in ranges {
            let lanes = self.node(&mut map, &address);
            kept.insert(address);
            for owner in owners.iter_mut().take(usize::from(last) + 1).skip(usize::from(first)) {
                *owner = Some(Arc::clone(&lanes));
            }
        }
        map.owners = owners;
        map.nodes.retain(|address, _| kept.contains(address));
    }

    fn node(&self, map: &mut Map, address: &Address) -> Arc<Lanes> {
        if let Some(lanes) = map.nodes.get(address) {
            return Arc::clone(lanes);
        }
        let lanes = Arc::new(Lanes::new((self.open)(address), &address.0, self.connections, self.patience));
        map.nodes.insert(address.clone(), Arc::clone(&lanes));
        lanes
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// Asks a node which primary has which slots.
async fn slots(
    lanes: Arc<Lanes>,
    asked: Address,
    deadline: Instant,
) -> Result<Vec<(u16, u16, Address)>, RedisError> {
    let mut lane = lanes.get(deadline).await?;
    let mut commands = Pipeline::with_capacity(1);
    commands.cmd("CLUSTER").arg("SLOTS");
    let replies = match tokio::time::timeout_at(deadline, lane.connection.pipeline(&commands)).await {
        Ok(Ok(replies)) => replies,
        failed => {
            lanes.retire(lane.opened);
            return failed
                .unwrap_or_else(|_| Err(nobody("a node did not answer in time")))
                .map(|_| Vec::new());
        }
    };
    let reply = replies.into_iter().next().unwrap_or(Value::Nil).extract_error()?;
    let Value::Array(ranges) = reply else { return Err(nobody("a node told no slots")) };
    let ranges: Vec<_> = ranges.iter().filter_map(|range| parse(range, &asked.0)).collect();
    // One that has lost its configuration knows nothing.
    if ranges.is_empty() { Err(nobody("a node knows of no slots")) } else { Ok(ranges) }
}

/// First and last slot and the primary: `[first, last, [host, port, …], …]`.
fn parse(range: &Value, asked: &str) -> Option<(u16, u16, Address)> {
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

/// A host as a node named it. No name means the host that was asked.
fn known_host(named: &str, asked: &str) -> String {
    if matches!(named, "" | "?") { asked.to_owned() } else { named.to_owned() }
}

/// CRC16/XMODEM; our keys have no braces.
fn slot(key: &str) -> u16 {
    let step = |crc: u16, byte: u8| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| (crc << 1) ^ if crc >> 15 == 1 { 0x1021 } else { 0 })
    };
    key.bytes().fold(0, step) % SLOTS
}

fn nobody(what: &'static str) -> RedisError {
    (ErrorKind::ClusterConnectionNotFound, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_servers() {
        // As `CLUSTER KEYSLOT` tells.
        assert_eq!((slot("foo"), slot("bar"), slot("123456789")), (12_182, 5061, 0x31C3));
    }
}
