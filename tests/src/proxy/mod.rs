//! A TCP proxy in front of a server. It counts the traffic, and cuts or stalls it as a test demands.

// A test fails by panicking; a proxy is started for its effects too.
#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::must_use_candidate)]

mod connection;
mod protocol;

use std::{
    collections::HashMap,
    fmt,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

pub use self::protocol::Protocol;
use crate::servers::until;

/// A TCP proxy on 127.0.0.1. Its connections end with it.
pub struct Proxy {
    port: u16,
    shared: Arc<ProxyShared>,
}

/// The traffic that has passed a [`Proxy`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// The names of the requests, as the protocol has them.
    pub requests: Vec<String>,
    /// The number of times that the client sent something after a reply, or for the first time.
    pub round_trips: usize,
    /// The number of bytes to the server.
    pub bytes_out: usize,
    /// The number of bytes to the client.
    pub bytes_in: usize,
}

/// The treatment of a request that runs a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Pass it on, and its reply.
    Nothing,
    /// End its connection in place of passing it on.
    Request,
    /// Keep it back, and the later requests on its connection, until [`Proxy::release`].
    Hold,
    /// Pass it on, and end its connection in place of passing on its reply.
    Reply,
}

/// Changes a reply of the server, and keeps its length.
type ReplyChange = dyn Fn(&mut [u8]) + Send;

/// Returns the treatment of the n-th request that runs a script, counted from 0.
type CutRule = dyn Fn(usize) -> Cut + Send;

struct ProxyShared {
    protocol: Protocol,
    server: u16,
    state: Mutex<ProxyState>,
    resumed: Condvar,
}

#[derive(Default)]
struct ProxyState {
    traffic: Traffic,
    rule: Option<Box<CutRule>>,
    scripts: usize,
    cuts: [usize; 2],
    is_stalled: bool,
    /// The number of the connection on which a request is kept back.
    held: Option<u64>,
    reply_change: Option<Box<ReplyChange>>,
    is_closed: bool,
    opened: u64,
    /// The number up to which connections are swallowed.
    swallowed: u64,
    /// Both ends of each open connection.
    connections: HashMap<u64, [TcpStream; 2]>,
}

impl Proxy {
    /// Starts a proxy in front of the server on this port of 127.0.0.1.
    pub fn start(server: u16, protocol: Protocol) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = ProxyShared { protocol, server, state: Mutex::default(), resumed: Condvar::new() };
        let shared = Arc::new(shared);
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.lock().is_closed {
                    return;
                }
                connection::open(&accepting, client);
            }
        });
        Self { port, shared }
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the traffic since the last call.
    pub fn take(&self) -> Traffic {
        std::mem::take(&mut self.shared.lock().traffic)
    }

    /// Returns the number of requests since the last [`take`](Self::take).
    pub fn requests(&self) -> usize {
        self.shared.lock().traffic.requests.len()
    }

    /// Treats the requests that run a script by this rule from now on. They are counted from 0.
    pub fn cut(&self, rule: impl Fn(usize) -> Cut + Send + 'static) {
        let mut state = self.shared.lock();
        state.scripts = 0;
        state.rule = Some(Box::new(rule));
    }

    /// Passes on everything from now on.
    pub fn cut_nothing(&self) {
        self.shared.lock().rule = None;
    }

    /// Returns the numbers of requests and of replies that were cut.
    pub fn cuts(&self) -> [usize; 2] {
        self.shared.lock().cuts
    }

    /// Ends all connections.
    pub fn cut_connections(&self) {
        for end in self.shared.lock().connections.values().flatten() {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Ends all connections as a server ends idle ones, and waits until the client has closed its ends.
    pub fn end_idle_connections(&self) {
        let log = || format!("{:?}", self.shared.lock().connections);
        until("the client to close its ends", log, || {
            let state = self.shared.lock();
            // Again each time: the client may have been opening one.
            for [client, _] in state.connections.values() {
                let _ = client.shutdown(Shutdown::Write);
            }
            state.connections.is_empty()
        });
    }

    /// Waits for a request that is kept back, and passes it on.
    pub fn release(&self) {
        until("a request to keep back", String::new, || self.shared.lock().held.is_some());
        self.shared.lock().held = None;
        self.shared.resumed.notify_all();
    }

    /// Swallows everything on the open connections from now on and tells neither end, as a firewall does that has
    /// forgotten them. New connections lead to the server.
    pub fn swallow(&self) {
        let mut state = self.shared.lock();
        state.swallowed = state.opened;
    }

    /// Changes replies by this function from now on.
    pub fn change_replies(&self, change: impl Fn(&mut [u8]) + Send + 'static) {
        self.shared.lock().reply_change = Some(Box::new(change));
    }

    /// Passes on replies unchanged from now on.
    pub fn stop_changing_replies(&self) {
        self.shared.lock().reply_change = None;
    }

    /// Keeps replies back from now on.
    pub fn stall(&self) {
        self.shared.lock().is_stalled = true;
    }

    /// Passes on the replies that were kept back, and later ones.
    pub fn resume(&self) {
        self.shared.lock().is_stalled = false;
        self.shared.resumed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        (state.is_closed, state.held) = (true, None);
        drop(state);
        self.resume();
        self.cut_connections();
        // It wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).finish_non_exhaustive()
    }
}

impl ProxyShared {
    fn lock(&self) -> MutexGuard<'_, ProxyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
