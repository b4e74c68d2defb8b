//! Typed sessions for Rust web servers: a session is a struct, not a bag of string keys.
//!
//! ```
//! use axum::{Router, routing::get};
//! use sessions::{Session, SessionLayer, TypedSession, store::MemoryStore};
//!
//! #[derive(Session)]
//! struct MySession {
//!     #[session(merge = "add")] // two tabs at once count twice
//!     page_count: u32,
//!     #[flash] // shown once
//!     message: Option<String>,
//! }
//!
//! async fn index(mut session: TypedSession<MySession>) -> String {
//!     session.add_page_count(1);
//!     match session.take_message() {
//!         Some(text) => format!("{text} (visit {})", session.page_count()),
//!         None => format!("visit {}", session.page_count()),
//!     }
//! }
//!
//! let app: Router = Router::new().route("/", get(index)).layer(SessionLayer::new(MemoryStore::new()));
//! # let _ = app;
//! ```
//!
//! [`Session`](macro@Session) lists the attributes and the accessors they give. A handler takes a
//! [`TypedSession`], reads and writes its fields without `.await` and without `?`, and when it is done the
//! layer commits what changed, field by field, before the response head leaves.
//!
//! # What happens when requests overlap
//!
//! Two requests of one user that change different fields both survive. If they change the same field, its
//! `merge` decides: the `last` write stays unless the field says `add`, `max`, `min` or `first`. A session
//! that one request destroys stays destroyed: what another writes afterwards is refused, and its user gets
//! 409 Conflict in place of an answer that is not true.
//!
//! # What happens when something fails
//!
//! A store that fails is 503, never an anonymous session in place of the real one. A handler that answers
//! with a server error changes nothing ([`OnServerError`]), but a logout, an explicit rotation and the
//! removal of a right (`privilege`) happen all the same. A handler that answers with a 4xx grants no right. If it
//! logged a user in, what it changed after that is dropped too. What must be stored before something else is done comes after
//! [`save().await?`](Handle::save). Everything a response cannot say is an [`Event`].
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `axum` (default) | the extractors |
//! | `tracing` (default) | events go to `tracing`; without this feature, only to an event hook |
//! | `sqlite` | `store::SqliteStore` |
//! | `redis` | `store::RedisStore`: one server, Sentinel, Cluster |
//! | `redis-tls` | `rediss://` for it |
//! | `webdis` | `store::WebdisStore` |
//! | `webdis-tls` | `https://` for it |
//! | `keys` | `Key`, `KeyRing`: fields that the store cannot read, tokens that cannot be made up |
//! | `test-util` | `testing`: manual clock, faults, recording, a browser-like client, `conformance!` |
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
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod in_place;
#[cfg_attr(not(feature = "keys"), path = "keys/none.rs")]
mod keys;
mod layer;
mod macros;
mod random;
mod rejection;
mod slot;
mod span;
pub mod store;
mod sync;
#[cfg(feature = "test-util")]
pub mod testing;
mod value;
mod view;

#[cfg(feature = "axum")]
pub use self::{
    axum::RecentLogin,
    rejection::{LoginTooOld, RecentLoginRejection},
};
pub use self::{
    clock::{Clock, SystemClock},
    error::{Error, ErrorKind},
    event::{Event, EventLevel, RotationCause},
    handle::Handle,
    layer::{
        ClearSiteData, CookieConfig, OnServerError, ReplaceableBody, ResponseFuture, SameSite, SessionError,
        SessionLayer, SessionService,
    },
    rejection::{LoadFailed, MissingLayer, SessionRejection},
    value::{FieldName, ParseRecordIdError, RecordId, Timeouts, Timestamp},
    view::{Session, SessionView, TypedSession},
};
#[cfg(feature = "keys")]
pub use self::{
    keys::{Key, KeyRing},
    value::KeyId,
};

/// The program of the README compiles.
#[cfg(all(doctest, feature = "keys", feature = "sqlite", feature = "redis", feature = "webdis"))]
#[doc = include_str!("../../README.md")]
mod readme {}
