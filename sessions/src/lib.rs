//! Typed sessions for Rust web servers.
// The derive names this crate `::sessions`, in the examples of these docs too.
#[allow(unused_extern_crates)]
extern crate self as sessions;

#[cfg(feature = "axum")]
mod axum;
mod clock;
mod delta;
mod error;
mod event;
mod handle;
mod layer;
mod macros;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod random;
mod rejection;
mod slot;
pub mod store;
mod value;
mod view;

pub use sessions_macros::Session;

pub use self::{
    clock::{Clock, SystemClock},
    error::{Error, ErrorKind},
    event::Event,
    handle::Handle,
    layer::{OnServerError, ResponseFuture, SessionLayer, SessionService},
    rejection::{LoadFailed, MissingLayer, SessionRejection},
    value::{FieldName, RecordId, Timeouts, Timestamp},
    view::{SessionView, TypedSession},
};
