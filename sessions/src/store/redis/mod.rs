//! Sessions in Redis: one server, the primary that Sentinels name, or a cluster.
//!
//! | module | responsibility |
//! |---|---|
//! | `builder`, `deployment` | the options, and the servers that they describe |
//! | `url`, `login` | the contents of a URL; user and password |
//! | `store` | the operations of a store, as requests |
//! | `client`, `retry` | sending a request once, or again if it certainly did not happen |
//! | `request` | the kinds of requests and their replies |
//! | `topology`, `cluster` | the servers, and the one that has a key |
//! | `connections`, `health` | the shared connections to one server, and its health |
//! | `source`, `connector`, `sentinel`, `connection` | opening a connection |
//! | `error_class`, `failure` | the classes of errors, and the store's error for each |
//! | `eviction` | a warning about servers that end sessions early |
//!
//! The layout of a record, the scripts and their arguments are in `store::hash`, which `WebdisStore` shares.
//!
//! # Design
//!
//! **A load is one `HMGET`, now and then with `TIME` in the same write, and never a script.** The smallest script
//! costs the server more than twenty fields do.
//!
//! **The server's clock is read once a second.** The rule is that the store owns the time and a load returns it.
//! `TIME` with every load costs the client a quarter of the load. So a reading is carried on by the monotonic clock
//! for a second, or until a connection breaks. It is late by the way of one reply and never early. It only decides
//! whether a load shows a session, and whether a touch is due. Writes are decided by `TIME` in the script. In a
//! cluster each node has a clock of its own, so there each load brings the time.
//!
//! **A commit that arrives too late does nothing.** A plain put leaves no trace to look for. When a server that stood
//! still goes on, it could carry out such a put of unknown outcome long after a newer one was acknowledged, and
//! overwrite it. So each commit names the latest moment at which it may happen, by the server's own clock: the time
//! last read from that server, carried on, and the time that the caller has left. The script compares it with `TIME`
//! first. If the clock was set in between, or another server has taken over, a commit in time may look late. Nothing
//! has happened then, so the time is read again and the commit sent again. Until its moment a commit of unknown
//! outcome may still happen. After it, a load shows what stays.

mod builder;
mod client;
mod cluster;
mod connection;
mod connections;
mod connector;
mod deployment;
mod error_class;
#[cfg(feature = "tracing")]
mod eviction;
mod failure;
mod health;
mod login;
mod request;
mod retry;
mod sentinel;
mod source;
mod store;
mod topology;
mod url;

pub use self::{builder::RedisStoreBuilder, login::RedisLogin, store::RedisStore};
