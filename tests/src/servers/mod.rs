//! Real servers for the tests: each on ports of its own, in a folder of its own, never outliving the test.

// A test fails by panicking; servers are started and asked for their effects too.
#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::must_use_candidate)]

use std::{
    thread,
    time::{Duration, Instant},
};

mod cluster;
mod port;
mod process;
mod redis;
mod resp;
mod sentinel;
mod tls;
mod webdis;

pub use self::{
    cluster::RedisCluster,
    process::ServerProcess,
    redis::{RedisOptions, RedisServer},
    sentinel::{Sentinel, TlsSentinel},
    webdis::{WebdisOptions, WebdisServer},
};

/// The longest wait of a test. It passes only if something is broken.
const DEADLINE: Duration = Duration::from_mins(1);

/// Waits until the condition holds. Panics with `what` and the diagnostics if it never does.
pub fn until(what: &str, diagnostics: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "waited for {what}, in vain:\n{}", diagnostics());
        thread::sleep(Duration::from_millis(10));
    }
}
