//! The connections to one server: a few, each shared by all requests, which pipeline on it by themselves.
//!
//! # Design
//!
//! A pool lends a connection to one request at a time. Redis answers in order, so one connection carries any number of
//! requests. More connections only help a server to use more cores. When a connection breaks, all that were open then
//! are replaced, so that a load finds that out and not a commit.
//!
//! A firewall or a balancer on the way may forget a connection and tell neither end. So a connection is trusted for
//! ten seconds after its last reply. Later it is *suspect*: the server is asked for the time on it before anything
//! else is sent. Only one of many requests asks, for it holds the lock under which the connection is opened. A check
//! before each use would cost every request a round trip.
//!
//! When a reply is missing for a second (or a quarter of the timeout, if that is less), another connection is opened.
//! It takes the place of the silent one only if it opens while the other stays silent, so a slow server is not made
//! slower. Reads move to the new connection and are sent again. Writes are not.

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

use super::{
    connection::RedisConnection, error_class::connect_timed_out, health::ServerHealth,
    source::ConnectionSource,
};
use crate::store::hash::ServerClock;

/// A connection for one request.
#[derive(Debug)]
pub(super) struct SharedConnection {
    pub(super) connection: RedisConnection,
    /// The connections that this one is one of.
    pub(super) server: Arc<ServerConnections>,
    /// The number of connections that had been opened when the request got this one.
    pub(super) opened: u64,
    pub(super) liveness: Arc<Liveness>,
}

/// The signs of life of the other end of a connection.
#[derive(Debug)]
pub(super) struct Liveness {
    /// The moment of the last reply, in milliseconds by [`ServerConnections::now`], or [`SUSPECT`].
    last_reply: AtomicU64,
    /// True while another connection is being opened to take its place.
    is_being_replaced: AtomicBool,
    /// A semaphore without permits, closed when the connection is out of use.
    in_use: Semaphore,
}

/// The moment of the last reply on a connection that must be checked before its next use.
const SUSPECT: u64 = 0;

/// The idle time after which a connection is suspect. Firewalls and balancers that forget idle connections do so after
/// minutes, the most impatient ones after half a minute.
const TRUSTED_FOR: Duration = Duration::from_secs(10);

/// The longest time without a reply before another connection is opened.
const SILENCE: Duration = Duration::from_secs(1);

/// The connections to one server.
#[derive(Debug)]
pub(super) struct ServerConnections {
    source: ConnectionSource,
    /// The host, for a node of a cluster that names others by their ports only.
    host: Box<str>,
    connect_timeout: Duration,
    clock: ServerClock,
    pub(super) health: ServerHealth,
    started: Instant,
    slots: Box<[ConnectionSlot]>,
    next: AtomicUsize,
    opened: AtomicU64,
}

/// A place for one connection.
#[derive(Debug, Default)]
struct ConnectionSlot {
    current: Mutex<Option<OpenConnection>>,
    /// Held while a connection is opened or checked. Contains the moment and the error of the last attempt, if it
    /// failed.
    opening: AsyncMutex<Option<(Instant, RedisError)>>,
}

/// A connection in its slot.
#[derive(Debug)]
struct OpenConnection {
    connection: RedisConnection,
    /// The number of connections that were opened before it.
    number: u64,
    /// A task that never ends by itself, in the runtime that owns the connection's task. It ends with that runtime.
    owning_runtime: AbortHandle,
    liveness: Arc<Liveness>,
}

impl OpenConnection {
    /// Returns true if the connection is not known to have ended.
    fn is_open(&self) -> bool {
        !self.connection.is_closed() && !self.owning_runtime.is_finished()
    }

    fn parts(&self) -> (RedisConnection, Arc<Liveness>) {
        (self.connection.clone(), Arc::clone(&self.liveness))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.owning_runtime.abort();
        self.liveness.in_use.close();
    }
}

impl Liveness {
    /// Completes when the connection is out of use.
    pub(super) async fn out_of_use(&self) {
        // It ends with an error when the semaphore is closed.
        let _ = self.in_use.acquire().await;
    }
}

impl ServerConnections {
    pub(super) fn new(
        source: ConnectionSource,
        host: &str,
        connections: usize,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            source,
            host: host.into(),
            connect_timeout,
            clock: ServerClock::new(),
            health: ServerHealth::default(),
            started: Instant::now(),
            slots: (0..connections.max(1)).map(|_| ConnectionSlot::default()).collect(),
            next: AtomicUsize::new(0),
            opened: AtomicU64::new(0),
        }
    }

    /// Returns true if new connections lead to the primary, whichever server that is.
    pub(super) fn follows_primary(&self) -> bool {
        matches!(self.source, ConnectionSource::Sentinel(_))
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn clock(&self) -> &ServerClock {
        &self.clock
    }

    /// Returns a connection that is neither known to have ended nor suspect. Returns `None` if the slot whose turn it
    /// is has none.
    pub(super) fn ready(self: &Arc<Self>) -> Option<SharedConnection> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let usable = self.usable(&self.slots[next])?;
        Some(self.shared(usable))
    }

    /// Returns a usable connection, or opens one. Opens a missing one in any case.
    pub(super) async fn get(self: &Arc<Self>, deadline: Instant) -> Result<SharedConnection, RedisError> {
        let missing = self.slots.iter().position(|slot| self.usable(slot).is_none());
        let opening = missing.map(|index| {
            let server = Arc::clone(self);
            // In a task of its own. An attempt that ended with the request that began it would never succeed when
            // requests have less time than connecting takes.
            tokio::spawn(async move { server.open(index).await })
        });
        if let Some(usable) = self.slots.iter().find_map(|slot| self.usable(slot)) {
            return Ok(self.shared(usable));
        }
        let Some(opening) = opening else { return Err(connect_timed_out()) };
        match timeout_at(deadline, opening).await {
            Ok(Ok(opened)) => Ok(self.shared(opened?)),
            _ => Err(connect_timed_out()),
        }
    }

    /// Takes the first `opened` connections out of use: what ended one has mostly ended all, and a commit must not find
    /// that out. Requests that are under way on them go on.
    pub(super) fn retire(&self, opened: u64) {
        for slot in &self.slots {
            let mut current = lock(&slot.current);
            if current.as_ref().is_some_and(|current| current.number < opened) {
                *current = None;
            }
        }
    }

    /// Notes that a reply came on a connection.
    pub(super) fn mark_replied(&self, liveness: &Liveness) {
        liveness.last_reply.store(self.now(), Ordering::Relaxed);
    }

    /// Returns how long a request with this timeout waits for its reply before another connection is opened.
    pub(super) fn silence(timeout: Duration) -> Duration {
        SILENCE.min(timeout / 4)
    }

    /// Opens another connection in the place of a silent one, in the background. If that fails, or if a reply comes on
    /// the silent one meanwhile, the server is slow, and everything stays as it is.
    pub(super) fn replace_if_silent(self: &Arc<Self>, silent: &Arc<Liveness>) {
        if silent.is_being_replaced.swap(true, Ordering::Relaxed) {
            return;
        }
        let (server, silent) = (Arc::clone(self), Arc::clone(silent));
        tokio::spawn(async move {
            server.replace(&silent).await;
            silent.is_being_replaced.store(false, Ordering::Relaxed);
        });
    }

    async fn replace(&self, silent: &Arc<Liveness>) {
        let is_it = |open: &OpenConnection| Arc::ptr_eq(&open.liveness, silent);
        let Some(slot) = self.slots.iter().find(|slot| lock(&slot.current).as_ref().is_some_and(is_it))
        else {
            return;
        };
        let _opening = slot.opening.lock().await;
        let last_reply = silent.last_reply.load(Ordering::Relaxed);
        let Ok(Ok(connection)) = timeout(self.connect_timeout, self.source.connect()).await else { return };
        let is_missing = match &*lock(&slot.current) {
            Some(open) => is_it(open) && silent.last_reply.load(Ordering::Relaxed) == last_reply,
            None => true,
        };
        if is_missing {
            self.put(slot, connection);
            self.mark_others_suspect(slot);
        }
    }

    /// Has the other connections checked before their next use: what swallowed one has perhaps swallowed all.
    fn mark_others_suspect(&self, than: &ConnectionSlot) {
        for slot in self.slots.iter().filter(|slot| !std::ptr::eq(*slot, than)) {
            if let Some(open) = &*lock(&slot.current) {
                open.liveness.last_reply.store(SUSPECT, Ordering::Relaxed);
            }
        }
    }

    async fn open(&self, index: usize) -> Result<(RedisConnection, Arc<Liveness>), RedisError> {
        let (slot, came) = (&self.slots[index], Instant::now());
        let mut failed = slot.opening.lock().await;
        if let Some(usable) = self.usable(slot) {
            return Ok(usable);
        }
        if let Some(checked) = self.check(slot).await {
            return Ok(checked);
        }
        // Of many requests that wait for one server, only one has to find out that it is away.
        if let Some((_, error)) = failed.as_ref().filter(|(when, _)| *when >= came) {
            return Err(error.clone());
        }
        let opened = timeout(self.connect_timeout, self.source.connect()).await;
        match opened.unwrap_or_else(|_| Err(connect_timed_out())) {
            Ok(connection) => {
                *failed = None;
                Ok(self.put(slot, connection))
            }
            Err(error) => {
                let now = Instant::now();
                *failed = Some((now, error.clone()));
                self.health.mark_away(now);
                Err(error)
            }
        }
    }

    /// Puts a new connection into a slot.
    fn put(&self, slot: &ConnectionSlot, connection: RedisConnection) -> (RedisConnection, Arc<Liveness>) {
        // It may lead to another server, which has another clock.
        self.clock.forget();
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let owning_runtime = tokio::spawn(std::future::pending::<()>()).abort_handle();
        let liveness = Arc::new(Liveness {
            last_reply: AtomicU64::new(self.now()),
            is_being_replaced: AtomicBool::new(false),
            in_use: Semaphore::new(0),
        });
        let open = OpenConnection { connection, number, owning_runtime, liveness };
        let parts = open.parts();
        let former = lock(&slot.current).replace(open);
        drop(former);
        parts
    }

    /// Checks the connection of a slot if it is suspect, and returns it if the server answers. Otherwise it is taken
    /// out of use, and the others become suspect.
    async fn check(&self, slot: &ConnectionSlot) -> Option<(RedisConnection, Arc<Liveness>)> {
        let suspect = lock(&slot.current).as_ref().filter(|open| open.is_open()).map(OpenConnection::parts);
        let (mut connection, liveness) = suspect?;
        // Any reply will do, and the store's permissions include this command.
        let patience = SILENCE.min(self.connect_timeout);
        if let Ok(Ok(_)) = timeout(patience, connection.command(&redis::cmd("TIME"))).await {
            self.mark_replied(&liveness);
            return Some((connection, liveness));
        }
        let swallowed = lock(&slot.current).take();
        drop(swallowed);
        self.mark_others_suspect(slot);
        None
    }

    /// Returns the connection of a slot, unless it is known to have ended or suspect.
    fn usable(&self, slot: &ConnectionSlot) -> Option<(RedisConnection, Arc<Liveness>)> {
        let current = lock(&slot.current);
        let open = current.as_ref().filter(|open| open.is_open())?;
        let last_reply = open.liveness.last_reply.load(Ordering::Relaxed);
        let idle_for = Duration::from_millis(self.now().saturating_sub(last_reply));
        (last_reply != SUSPECT && idle_for <= TRUSTED_FOR).then(|| open.parts())
    }

    /// Returns the milliseconds since these connections were prepared, counted from one: zero is [`SUSPECT`].
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn shared(
        self: &Arc<Self>,
        (connection, liveness): (RedisConnection, Arc<Liveness>),
    ) -> SharedConnection {
        let opened = self.opened.load(Ordering::Relaxed);
        SharedConnection { connection, server: Arc::clone(self), opened, liveness }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
