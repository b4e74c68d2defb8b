//! `RedisStore` and `WebdisStore` on the wire: their requests, broken connections, the permissions that they need, and
//! their error messages.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "redis/common.rs"]
mod common;
#[path = "redis/cut.rs"]
mod cut;
#[path = "redis/errors.rs"]
mod errors;
#[path = "redis/fronted.rs"]
mod fronted;
#[path = "redis/late.rs"]
mod late;
#[path = "redis/locks.rs"]
mod locks;
#[path = "redis/logins.rs"]
mod logins;
#[path = "redis/no_writes.rs"]
mod no_writes;
#[path = "redis/size.rs"]
mod size;
#[path = "redis/start.rs"]
mod start;
#[path = "redis/swallow.rs"]
mod swallow;
#[path = "redis/time.rs"]
mod time;
#[path = "redis/tls.rs"]
mod tls;
#[path = "redis/waits.rs"]
mod waits;
#[path = "redis/webdis_bytes.rs"]
mod webdis_bytes;
#[path = "redis/webdis_errors.rs"]
mod webdis_errors;
#[path = "redis/webdis_locks.rs"]
mod webdis_locks;
#[path = "redis/wire.rs"]
mod wire;
