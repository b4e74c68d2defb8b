//! The connections to one server: a few, each shared by all requests, which pipeline on it by
//! themselves.
//!
//! A pool lends a connection to one request at a time. Redis answers in order, so one connection
//! carries any number of requests, and more of them only help to fill more cores.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::RedisError;
use tokio::{
    sync::Mutex as AsyncMutex,
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};

use super::source::{Connection, Source};
use crate::store::hash::ServerClock;

/// A connection for one request.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) connection: Connection,
    /// Where it is from.
    pub(super) lanes: Arc<Lanes>,
    /// How many connections had been opened when the request got this one.
    pub(super) opened: u64,
}

#[derive(Debug)]
pub(super) struct Lanes {
    source: Source,
    /// The host, for a node of a cluster that names others by their ports only.
    host: Box<str>,
    connect_timeout: Duration,
    clock: ServerClock,
    slots: Box<[Slot]>,
    next: AtomicUsize,
    opened: AtomicU64,
    /// Since when the server does nothing for us.
    away: Mutex<Option<Instant>>,
    is_away: AtomicBool,
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
    pub(super) fn new(source: Source, host: &str, lanes: usize, connect_timeout: Duration) -> Self {
        Self {
            source,
            host: host.into(),
            connect_timeout,
            clock: ServerClock::new(),
            slots: (0..lanes.max(1)).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            opened: AtomicU64::new(0),
            away: Mutex::default(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Whether it is the primary that is connected to, whichever server that is.
    pub(super) fn follows_primary(&self) -> bool {
        matches!(self.source, Source::Sentinel(_))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// A connection that is not known to have ended, if none is missing.
    pub(super) fn ready(self: &Arc<Self>) -> Option<Lane> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let connection = self.slots[next].connection()?;
        Some(self.lane(connection))
    }

    /// The same, or a new one. A missing one is opened in any case.
    pub(super) async fn get(self: &Arc<Self>, deadline: Instant) -> Result<Lane, RedisError> {
        let missing = self.slots.iter().position(|slot| slot.connection().is_none());
        let opening = missing.map(|index| {
            let lanes = Arc::clone(self);
            // In a task of its own. An attempt that ended with the request that began it would, when
            // requests have less time than connecting takes, never end well.
            tokio::spawn(async move { lanes.open(index).await })
        });
        if let Some(connection) = self.slots.iter().find_map(Slot::connection) {
            return Ok(self.lane(connection));
        }
        let Some(opening) = opening else { return Err(took_too_long()) };
        match timeout_at(deadline, opening).await {
            Ok(Ok(opened)) => Ok(self.lane(opened?)),
            _ => Err(took_too_long()),
        }
    }

    /// Uses none of the first `opened` connections any more: what ended one has mostly ended all, and
    /// a commit must not find that out. What is under way on them goes on.
    pub(super) fn retire(&self, opened: u64) {
        for slot in &self.slots {
            let mut live = lock(&slot.live);
            if live.as_ref().is_some_and(|live| live.number < opened) {
                *live = None;
            }
        }
    }

    /// Notes that the server did nothing for a request.
    pub(super) fn mark_away(&self) {
        lock(&self.away).get_or_insert_with(Instant::now);
        self.is_away.store(true, Ordering::Relaxed);
    }

    /// Notes that it did something.
    pub(super) fn mark_back(&self) {
        if self.is_away.load(Ordering::Relaxed) {
            *lock(&self.away) = None;
            self.is_away.store(false, Ordering::Relaxed);
        }
    }

    /// Whether it has done nothing for so long.
    pub(super) fn is_away_for_longer_than(&self, timeout: Duration) -> bool {
        lock(&self.away).is_some_and(|since| since.elapsed() > timeout)
    }

    async fn open(&self, index: usize) -> Result<Connection, RedisError> {
        let (slot, came) = (&self.slots[index], Instant::now());
        let mut failed = slot.opening.lock().await;
        if let Some(connection) = slot.connection() {
            return Ok(connection);
        }
        // Of many that wait for one server, not each has to find out by itself that it is away.
        if let Some((_, error)) = failed.as_ref().filter(|(when, _)| *when >= came) {
            return Err(error.clone());
        }
        let opened = timeout(self.connect_timeout, self.source.connect()).await;
        match opened.unwrap_or_else(|_| Err(took_too_long())) {
            Ok(connection) => {
                *failed = None;
                // This may be another server than before, with another clock.
                self.clock.forget();
                let number = self.opened.fetch_add(1, Ordering::Relaxed);
                let home = tokio::spawn(std::future::pending::<()>()).abort_handle();
                *lock(&slot.live) = Some(Live { connection: connection.clone(), number, home });
                Ok(connection)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                self.mark_away();
                Err(error)
            }
        }
    }

    fn lane(self: &Arc<Self>, connection: Connection) -> Lane {
        Lane { connection, lanes: Arc::clone(self), opened: self.opened.load(Ordering::Relaxed) }
    }
}

impl Slot {
    fn connection(&self) -> Option<Connection> {
        let live = lock(&self.live);
        let usable = live.as_ref().filter(|live| !live.connection.is_closed() && !live.home.is_finished());
        usable.map(|live| live.connection.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn took_too_long() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "connecting took too long").into()
}
