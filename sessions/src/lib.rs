//! Typed sessions for axum: a session is a struct with typed fields, kept in memory, SQLite or Redis.
//!
//! ```
//! use axum::{Router, routing::get};
//! use sessions::{Session, SessionLayer, TypedSession, store::MemoryStore};
//!
//! #[derive(Session)]
//! struct Visit {
//!     #[session(merge = "add")] // requests at the same time all count
//!     page_count: u32,
//!     #[flash] // shown once
//!     message: Option<String>,
//! }
//!
//! async fn index(mut session: TypedSession<Visit>) -> String {
//!     session.add_page_count(1);
//!     match session.take_message() {
//!         Some(text) => format!("{text} (visit {})", session.page_count()),
//!         None => format!("visit {}", session.page_count()),
//!     }
//! }
//!
//! fn app() -> Router {
//!     Router::new().route("/", get(index)).layer(SessionLayer::new(MemoryStore::new()))
//! }
//! ```
//!
//! A handler takes a [`TypedSession`] and reads and writes its fields, without `.await` and without `?`. When the handler
//! has answered, the layer writes the fields that changed. Only then does the response leave.
//!
//! # Where to read on
//!
//! - The [guide]: first session, logging in, flash messages, overlapping
//!   requests, stores, a store of your own, testing, deploying, security.
//! - [`Session`](macro@Session): the attributes of the derive, and the accessors that each field gets.
//! - [`Handle`]: what every session can do, such as `destroy()` and `save().await`.
//! - [`SessionLayer`]: all options. [`Event`]: what a layer reports.
//! - [`store`]: the stores, and the contract for a store of your own.
//!
//! # What happens when requests overlap
//!
//! Two requests that change different fields both keep their changes. If they change the same field, its `merge` decides:
//! `last` (the default), `add`, `max`, `min` or `first`. A destroyed session stays destroyed. A request that was under way
//! then writes nothing, and is answered with 409 Conflict.
//!
//! # What happens when something fails
//!
//! - A store that fails is 503, never an anonymous session in place of the real one.
//! - A handler that answers with a server error changes nothing ([`OnServerError`]). A logout, a rotation and the removal
//!   of a right happen all the same.
//! - A handler that answers with a 4xx grants no right and logs no user in.
//! - [`save().await?`](Handle::save) writes now: call it before what must not happen without the change.
//! - What a response cannot say is an [`Event`].
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `axum` (default) | the extractors |
//! | `tracing` (default) | events as `tracing` events; without it, only an event hook gets them |
//! | `sqlite` | `store::SqliteStore` |
//! | `redis` | `store::RedisStore`: one server, Sentinel, Cluster |
//! | `redis-tls` | `rediss://` for `RedisStore` |
//! | `webdis` | `store::WebdisStore` |
//! | `webdis-tls` | `https://` for `WebdisStore` |
//! | `keys` | `Key`, `KeyRing`: fields that the store cannot read, signed cookies |
//! | `test-util` | `testing`: manual clock, faults, recording, a browser-like client, `conformance!` |
//!
//! The minimum supported Rust version is 1.94. The licence is MIT or Apache-2.0, at your option.
// Only a framework's module opens sessions; without one, nothing does.
#![cfg_attr(not(feature = "axum"), allow(dead_code, unused_imports))]

// The derive names this crate `::sessions`, in the examples of these docs too.
#[allow(unused_extern_crates)]
extern crate self as sessions;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(feature = "axum")]
mod axum;
mod clock;
mod delta;
mod error;
mod event;
mod find;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(doc)]
pub mod guide;
mod handle;
#[cfg_attr(not(feature = "keys"), path = "keys/none.rs")]
mod keys;
mod layer;
mod macros;
mod random;
mod rejection;
mod schema;
mod slot;
mod span;
pub mod store;
mod sync;
#[cfg(feature = "test-util")]
pub mod testing;
mod value;
mod view;
mod views;

#[cfg(feature = "axum")]
pub use self::{
    axum::RecentLogin,
    rejection::{LoginTooOld, RecentLoginRejection},
};
pub use self::{
    clock::{Clock, SystemClock},
    error::{Error, ErrorKind},
    event::{Event, EventLevel, RotationCause},
    find::{FoundSessions, IndexedView, SessionInfo},
    handle::Handle,
    layer::{
        ClearSiteData, CookieConfig, OnServerError, ReplaceableBody, ResponseFuture, SameSite, SessionError,
        SessionLayer, SessionPolicy, SessionService,
    },
    rejection::{LoadFailed, MissingLayer, SessionRejection},
    slot::LoginLimit,
    value::{Cutoff, Cutoffs, FieldName, ParseRecordIdError, RecordId, Timeouts, Timestamp},
    view::{Session, SessionView, TypedSession},
    views::{ViewList, Views},
};
#[cfg(feature = "keys")]
pub use self::{
    keys::{Key, KeyRing},
    value::KeyId,
};

/// The code of the README, compiled with the doctests.
#[cfg(all(doctest, feature = "axum", feature = "sqlite"))]
#[doc = include_str!("../../README.md")]
mod readme {}
