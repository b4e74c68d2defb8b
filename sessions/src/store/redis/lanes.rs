//! The connections to one server: a few, each shared by all requests, which pipeline on it by
//! themselves.
//!
//! A pool lends a connection to one request at a time. Redis answers in order, so one connection
//! carries any number of requests, and more of them only help to fill more cores.
//!
//! A firewall or a balancer in between may forget a connection without a word to either end. So one on which
//! nothing was heard for a while is asked something before anything else is sent on it; and when an answer is
//! missing for long, another connection is opened, and if that one leads somewhere it takes the place of the silent
//! one, from which reads move over.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::RedisError;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
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
    pub(super) pulse: Arc<Pulse>,
}

/// What is known of the other end of a connection.
#[derive(Debug)]
pub(super) struct Pulse {
    /// When something was heard from there last, in milliseconds after [`Lanes::started`], or [`DOUBTED`].
    heard: AtomicU64,
    /// Whether another connection is being opened to take its place.
    is_suspected: AtomicBool,
    /// Closed when it is out of use.
    in_use: Semaphore,
}

/// Of a connection that is to be asked before it is used, whenever something was heard from there.
const DOUBTED: u64 = 0;

/// How long a connection may rest before it is asked whether it still leads anywhere. Firewalls and balancers that
/// forget idle connections do so after minutes, the most impatient ones after half a minute.
const REST: Duration = Duration::from_secs(10);

/// How long an answer may be missing before it is a bad sign.
const SILENCE: Duration = Duration::from_secs(1);

/// How long to be content with a new connection that leads to a server that takes no writes, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

#[derive(Debug)]
pub(super) struct Lanes {
    source: Source,
    /// The host, for a node of a cluster that names others by their ports only.
    host: Box<str>,
    connect_timeout: Duration,
    clock: ServerClock,
    started: Instant,
    slots: Box<[Slot]>,
    next: AtomicUsize,
    opened: AtomicU64,
    /// Since when the server does nothing for us.
    away: Mutex<Option<Instant>>,
    is_away: AtomicBool,
    refusing: Mutex<Option<Refusing>>,
    is_refusing: AtomicBool,
}

/// A server that refuses all writes: it is no primary any more, or has too few replicas. Reads may go on meanwhile.
#[derive(Clone, Copy, Debug)]
struct Refusing {
    since: Instant,
    /// When to look again who the primary is, by opening new connections, and how long after that.
    next: Instant,
    pause: Duration,
}

/// What to do about a write that the server refused as it refuses all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Ask anew where the primary is.
    Reconnect,
    /// Wait a moment.
    Wait,
    /// It has gone on for too long to wait.
    GiveUp,
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
    pulse: Arc<Pulse>,
}

impl Live {
    /// Whether it is not known to have ended.
    fn is_open(&self) -> bool {
        !self.connection.is_closed() && !self.home.is_finished()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.home.abort();
        self.pulse.in_use.close();
    }
}

impl Pulse {
    /// Ends when the connection is out of use.
    pub(super) async fn gone(&self) {
        // There are no permits.
        let _ = self.in_use.acquire().await;
    }
}

impl Lanes {
    pub(super) fn new(source: Source, host: &str, lanes: usize, connect_timeout: Duration) -> Self {
        Self {
            source,
            host: host.into(),
            connect_timeout,
            clock: ServerClock::new(),
            started: Instant::now(),
            slots: (0..lanes.max(1)).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
            opened: AtomicU64::new(0),
            away: Mutex::default(),
            is_away: AtomicBool::new(false),
            refusing: Mutex::default(),
            is_refusing: AtomicBool::new(false),
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

    /// A connection that is not known to have ended and has not rested for long, if none is missing.
    pub(super) fn ready(self: &Arc<Self>) -> Option<Lane> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let connection = self.usable(&self.slots[next])?;
        Some(self.lane(connection))
    }

    /// The same, or a new one. A missing one is opened in any case.
    pub(super) async fn get(self: &Arc<Self>, deadline: Instant) -> Result<Lane, RedisError> {
        let missing = self.slots.iter().position(|slot| self.usable(slot).is_none());
        let opening = missing.map(|index| {
            let lanes = Arc::clone(self);
            // In a task of its own. An attempt that ended with the request that began it would, when
            // requests have less time than connecting takes, never end well.
            tokio::spawn(async move { lanes.open(index).await })
        });
        if let Some(connection) = self.slots.iter().find_map(|slot| self.usable(slot)) {
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

    /// Notes that something came on a connection.
    pub(super) fn mark_heard(&self, pulse: &Pulse) {
        pulse.heard.store(self.now(), Ordering::Relaxed);
    }

    /// Notes that the server refused a write as it refuses all; says what to do.
    pub(super) fn mark_refusing(&self, timeout: Duration) -> Refused {
        let (now, mut refusing) = (Instant::now(), lock(&self.refusing));
        let known = refusing.get_or_insert(Refusing { since: now, next: now, pause: PAUSES.0 });
        self.is_refusing.store(true, Ordering::Relaxed);
        if now >= known.next {
            (known.next, known.pause) = (now + known.pause, (known.pause * 2).min(PAUSES.1));
            Refused::Reconnect
        } else if now - known.since > timeout {
            Refused::GiveUp
        } else {
            Refused::Wait
        }
    }

    /// Notes that it has written something.
    pub(super) fn mark_written(&self) {
        if self.is_refusing.load(Ordering::Relaxed) {
            *lock(&self.refusing) = None;
            self.is_refusing.store(false, Ordering::Relaxed);
        }
    }

    /// How long to wait for an answer before another connection is opened, of a request that has so much time.
    pub(super) fn silence(timeout: Duration) -> Duration {
        SILENCE.min(timeout / 4)
    }

    /// Opens another connection in the place of one that has been silent for that long. If that fails, or if the
    /// silent one speaks meanwhile, the server is slow, and everything stays as it is.
    pub(super) fn suspect(self: &Arc<Self>, pulse: &Arc<Pulse>) {
        if pulse.is_suspected.swap(true, Ordering::Relaxed) {
            return;
        }
        let (lanes, pulse) = (Arc::clone(self), Arc::clone(pulse));
        tokio::spawn(async move {
            lanes.replace(&pulse).await;
            pulse.is_suspected.store(false, Ordering::Relaxed);
        });
    }

    async fn replace(&self, suspected: &Arc<Pulse>) {
        let is_it = |live: &Live| Arc::ptr_eq(&live.pulse, suspected);
        let Some(slot) = self.slots.iter().find(|slot| lock(&slot.live).as_ref().is_some_and(is_it)) else {
            return;
        };
        let _opening = slot.opening.lock().await;
        let heard = suspected.heard.load(Ordering::Relaxed);
        let Ok(Ok(connection)) = timeout(self.connect_timeout, self.source.connect()).await else { return };
        let is_missing = match &*lock(&slot.live) {
            Some(live) => is_it(live) && suspected.heard.load(Ordering::Relaxed) == heard,
            None => true,
        };
        if is_missing {
            self.put(slot, connection);
            self.doubt_others(slot);
        }
    }

    /// What swallowed one connection has perhaps swallowed all: they are asked before they are used.
    fn doubt_others(&self, than: &Slot) {
        for slot in self.slots.iter().filter(|slot| !std::ptr::eq(*slot, than)) {
            if let Some(live) = &*lock(&slot.live) {
                live.pulse.heard.store(DOUBTED, Ordering::Relaxed);
            }
        }
    }

    /// Whether it has done nothing for so long.
    pub(super) fn is_away_for_longer_than(&self, timeout: Duration) -> bool {
        lock(&self.away).is_some_and(|since| since.elapsed() > timeout)
    }

    async fn open(&self, index: usize) -> Result<(Connection, Arc<Pulse>), RedisError> {
        let (slot, came) = (&self.slots[index], Instant::now());
        let mut failed = slot.opening.lock().await;
        if let Some(connection) = self.usable(slot) {
            return Ok(connection);
        }
        if let Some(connection) = self.check(slot).await {
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
                Ok(self.put(slot, connection))
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                self.mark_away();
                Err(error)
            }
        }
    }

    /// Puts a new connection to use.
    fn put(&self, slot: &Slot, connection: Connection) -> (Connection, Arc<Pulse>) {
        // This may be another server than before, with another clock.
        self.clock.forget();
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let home = tokio::spawn(std::future::pending::<()>()).abort_handle();
        let pulse = Arc::new(Pulse {
            heard: AtomicU64::new(self.now()),
            is_suspected: AtomicBool::new(false),
            in_use: Semaphore::new(0),
        });
        let live = Live { connection: connection.clone(), number, home, pulse: Arc::clone(&pulse) };
        let former = lock(&slot.live).replace(live);
        drop(former);
        (connection, pulse)
    }

    /// The connection of a slot if it has rested and still leads somewhere; else it is out of use, and the others are
    /// to be asked as well.
    async fn check(&self, slot: &Slot) -> Option<(Connection, Arc<Pulse>)> {
        let rested = lock(&slot.live).as_ref().filter(|live| live.is_open()).map(Live::parts);
        let (mut connection, pulse) = rested?;
        // Any answer will do; this is one of the commands that the store may send.
        let patience = SILENCE.min(self.connect_timeout);
        if let Ok(Ok(_)) = timeout(patience, connection.command(&redis::cmd("TIME"))).await {
            self.mark_heard(&pulse);
            return Some((connection, pulse));
        }
        let swallowed = lock(&slot.live).take();
        drop(swallowed);
        self.doubt_others(slot);
        None
    }

    /// The connection of a slot, if it is not known to have ended and has not rested for long.
    fn usable(&self, slot: &Slot) -> Option<(Connection, Arc<Pulse>)> {
        let live = lock(&slot.live);
        let live = live.as_ref().filter(|live| live.is_open())?;
        let heard = live.pulse.heard.load(Ordering::Relaxed);
        let rests_for = Duration::from_millis(self.now().saturating_sub(heard));
        (heard != DOUBTED && rests_for <= REST).then(|| live.parts())
    }

    /// Milliseconds since the beginning, from one.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn lane(self: &Arc<Self>, (connection, pulse): (Connection, Arc<Pulse>)) -> Lane {
        Lane { connection, lanes: Arc::clone(self), opened: self.opened.load(Ordering::Relaxed), pulse }
    }
}

impl Live {
    fn parts(&self) -> (Connection, Arc<Pulse>) {
        (self.connection.clone(), Arc::clone(&self.pulse))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn took_too_long() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "connecting took too long").into()
}
