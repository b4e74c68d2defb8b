//! The servers of a store: one, or the nodes of a cluster.

use std::{sync::Arc, time::Duration};

use redis::RedisError;
use tokio::time::{Instant, timeout_at};

use super::{
    cluster::Cluster,
    connections::{ServerConnections, SharedConnection},
    error_class::timed_out,
};
use crate::{store::hash::ServerClock, value::Timestamp};

/// The servers of a store.
#[derive(Debug)]
pub(super) enum Topology {
    /// One server at a time.
    One(Arc<ServerConnections>),
    Cluster(Arc<Cluster>),
}

impl Topology {
    /// Returns true if primaries are found again when other servers take their place.
    pub(super) fn follows_primaries(&self) -> bool {
        match self {
            Self::One(server) => server.follows_primary(),
            Self::Cluster(_) => true,
        }
    }

    /// Returns the clock of the only server. A cluster has as many clocks as nodes, and which node answers is known
    /// only afterwards.
    pub(super) fn only_clock(&self) -> Option<&ServerClock> {
        match self {
            Self::One(server) => Some(server.clock()),
            Self::Cluster(_) => None,
        }
    }

    /// Returns the time at this moment by the clock of the server that has the key, if both are known.
    pub(super) fn server_time(&self, key: &str, moment: Instant) -> Option<Timestamp> {
        match self {
            Self::One(server) => server.clock().at(moment.into_std()),
            Self::Cluster(cluster) => cluster.known_owner(key)?.clock().at(moment.into_std()),
        }
    }

    /// Returns a usable connection to the server that has the key, if both are known.
    pub(super) fn ready(&self, key: &str) -> Option<SharedConnection> {
        match self {
            Self::One(server) => server.ready(),
            Self::Cluster(cluster) => cluster.known_owner(key).and_then(|server| server.ready()),
        }
    }

    /// Returns the server that has the key.
    pub(super) async fn owner(
        &self,
        key: &str,
        deadline: Instant,
    ) -> Result<Arc<ServerConnections>, RedisError> {
        match self {
            Self::One(server) => Ok(Arc::clone(server)),
            Self::Cluster(cluster) => {
                timeout_at(deadline, cluster.owner(key)).await.unwrap_or_else(|_| Err(timed_out()))
            }
        }
    }

    /// Returns the node that another one, on the host `asked`, named for a key. `moved` is true if it has the key from
    /// now on, false if it has it for this once.
    pub(super) fn named(
        &self,
        address: &str,
        asked: &str,
        key: &str,
        moved: bool,
    ) -> Option<Arc<ServerConnections>> {
        match self {
            Self::One(_) => None,
            Self::Cluster(cluster) => cluster.named(address, asked, key, moved),
        }
    }

    /// Notes that no node serves a key, and returns how long this has been so.
    pub(super) fn mark_unserved(&self, key: &str) -> Duration {
        match self {
            // One server serves all keys, or none.
            Self::One(_) => Duration::ZERO,
            Self::Cluster(cluster) => cluster.mark_unserved(key),
        }
    }

    /// Notes that a node serves a key.
    pub(super) fn mark_served(&self, key: &str) {
        if let Self::Cluster(cluster) = self {
            cluster.mark_served(key);
        }
    }

    /// Asks for the slots again after a node has failed: another may have taken its place.
    pub(super) fn refresh(&self) {
        if let Self::Cluster(cluster) = self {
            cluster.refresh();
        }
    }
}
