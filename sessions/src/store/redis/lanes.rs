//! The connections: a few, each shared by all requests, which pipeline on it by themselves.
//!
//! A pool lends a connection to one request at a time. Redis answers in order, so one connection
//! carries any number of requests, and more of them only help to fill more cores.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use redis::RedisError;
use tokio::{
    sync::Mutex as AsyncMutex,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use super::source::{Connection, Source};

/// A connection for one request.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) connection: Connection,
    /// How many connections had been opened when the request got this one.
    opened: u64,
}

#[derive(Debug)]
pub(super) struct Lanes {
    source: Source,
    slots: Box<[Slot]>,
    next: AtomicUsize,
    opened: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    live: Mutex<Option<Live>>,
    /// Held by who opens a connection; with how the last attempt ended that failed.
    opening: AsyncMutex<Option<(Instant, RedisError)>>,
}

#[derive(Debug)]
struct Live {
    connection: Connection,
    /// How many were opened before it.
    number: u64,
    /// A task that waits for ever beside the connection's own: it ends with the runtime.
    home: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.home.abort();
    }
}

impl Lanes {
    pub(super) fn new(source: Source, lanes: usize) -> Self {
        let slots = (0..lanes.max(1)).map(|_| Slot::default()).collect();
        Self { source, slots, next: AtomicUsize::new(0), opened: AtomicU64::new(0) }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.source, Source::Cluster(_))
    }

    /// A connection that was alive when it was last used, or a new one.
    pub(super) async fn get(&self, deadline: Instant) -> Result<Lane, RedisError> {
        let slot = &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()];
        if let Some(connection) = slot.connection() {
            return Ok(self.lane(connection));
        }
        let came = Instant::now();
        let opened = timeout_at(deadline, async {
            let mut failed = slot.opening.lock().await;
            if let Some(connection) = slot.connection() {
                return Ok(connection);
            }
            // Of many that wait for one server, not each has to find out by itself that it is away.
            if let Some((_, error)) = failed.as_ref().filter(|(when, _)| *when >= came) {
                return Err(error.clone());
            }
            match self.source.connect().await {
                Ok(connection) => {
                    *failed = None;
                    let number = self.opened.fetch_add(1, Ordering::Relaxed);
                    let home = tokio::spawn(std::future::pending::<()>()).abort_handle();
                    *slot.lock() = Some(Live { connection: connection.clone(), number, home });
                    Ok(connection)
                }
                Err(error) => {
                    *failed = Some((Instant::now(), error.clone()));
                    Err(error)
                }
            }
        });
        let opened = opened.await.unwrap_or_else(|_| {
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "connecting took too long").into())
        });
        Ok(self.lane(opened?))
    }

    /// Uses this request's connection no more, nor any other that was there then: what ended one
    /// has mostly ended all, and a commit must not find that out. What is under way on them goes on.
    pub(super) fn retire(&self, lane: &Lane) {
        for slot in &self.slots {
            let mut live = slot.lock();
            if live.as_ref().is_some_and(|live| live.number < lane.opened) {
                *live = None;
            }
        }
    }

    fn lane(&self, connection: Connection) -> Lane {
        Lane { connection, opened: self.opened.load(Ordering::Relaxed) }
    }
}

impl Slot {
    fn connection(&self) -> Option<Connection> {
        let live = self.lock();
        live.as_ref().filter(|live| !live.home.is_finished()).map(|live| live.connection.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
