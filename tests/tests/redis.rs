//! `RedisStore` on the wire: what it sends, what happens when connections break, who it must be there, and
//! what it says when something is wrong.

// A test fails by panicking.
#![allow(clippy::expect_used)]

#[path = "redis/cut.rs"]
mod cut;
#[path = "redis/errors.rs"]
mod errors;
#[path = "redis/fronted.rs"]
mod fronted;
#[path = "redis/locks.rs"]
mod locks;
#[path = "redis/time.rs"]
mod time;
#[path = "redis/wire.rs"]
mod wire;
