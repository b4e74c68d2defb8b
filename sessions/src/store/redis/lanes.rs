//! The connections to one server: a few, each shared by all requests, which pipeline on it by
//! themselves.
//!
//! A pool lends a connection to one request at a time. Redis answers in order, so one connection
//! carries any number of requests, and more of them only help to fill more cores.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
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
    /// Where it is from.
    pub(super) lanes: Arc<Lanes>,
    /// How many connections had been opened when the request got this one.
    opened: u64,
}

#[derive(Debug)]
pub(super) struct Lanes {
    source: Source,
    slots: Box<[Slot]>,
    next: AtomicUsize,
    opened: AtomicU64,
    /// Since when no connection can be opened.
    away: Mutex<Option<Instant>>,
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
        let (next, opened, away) = (AtomicUsize::new(0), AtomicU64::new(0), Mutex::default());
        Self { source, slots, next, opened, away }
    }

    /// A connection that is not known to have ended.
    pub(super) fn ready(self: &Arc<Self>) -> Option<Lane> {
        let connection = self.next_slot().connection()?;
        Some(self.lane(connection))
    }

    /// The same, or a new one.
    pub(super) async fn get(self: &Arc<Self>, deadline: Instant) -> Result<Lane, RedisError> {
        let slot = self.next_slot();
        let connection = match slot.connection() {
            Some(connection) => connection,
            None => timeout_at(deadline, self.open(slot)).await.unwrap_or_else(|_| {
                Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "connecting took too long").into())
            })?,
        };
        Ok(self.lane(connection))
    }

    /// Uses this request's connection no more, nor any other that was there then: what ended one
    /// has mostly ended all, and a commit must not find that out. What is under way on them goes on.
    pub(super) fn retire(&self, lane: &Lane) {
        for slot in &self.slots {
            let mut live = lock(&slot.live);
            if live.as_ref().is_some_and(|live| live.number < lane.opened) {
                *live = None;
            }
        }
    }

    /// Whether no connection could be opened for so long.
    pub(super) fn is_away_for_longer_than(&self, timeout: Duration) -> bool {
        lock(&self.away).is_some_and(|since| since.elapsed() > timeout)
    }

    async fn open(&self, slot: &Slot) -> Result<Connection, RedisError> {
        let came = Instant::now();
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
                *lock(&self.away) = None;
                let number = self.opened.fetch_add(1, Ordering::Relaxed);
                let home = tokio::spawn(std::future::pending::<()>()).abort_handle();
                *lock(&slot.live) = Some(Live { connection: connection.clone(), number, home });
                Ok(connection)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                lock(&self.away).get_or_insert_with(Instant::now);
                Err(error)
            }
        }
    }

    fn next_slot(&self) -> &Slot {
        &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len()]
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
