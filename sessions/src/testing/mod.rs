//! Tools for testing stores and applications: a session for the test of one handler, a browser-like client, a manual
//! clock, injected faults, a record of a store's calls, and [`conformance!`], the suite that every store runs.
//!
//! For tests only (feature `test-util`). A failure in here panics with a message, so that the test fails.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use sessions::{Session, SessionLayer, TypedSession, store::MemoryStore, testing::{Client, ManualClock}};
//!
//! #[derive(Session)]
//! struct Visits {
//!     count: u32,
//! }
//!
//! async fn count(mut session: TypedSession<Visits>) -> String {
//!     session.set_count(session.count() + 1);
//!     session.count().to_string()
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let clock = ManualClock::new();
//! let store = MemoryStore::new().with_clock(clock.clone());
//! let app = Router::new().route("/", get(count)).layer(SessionLayer::new(store));
//!
//! let browser = Client::new(app).with_clock(clock.clone());
//! assert_eq!(browser.get("/").await.text(), "1");
//! assert_eq!(browser.get("/").await.text(), "2");
//! clock.advance(Duration::from_secs(3 * 24 * 3600));
//! assert_eq!(browser.get("/").await.text(), "1");
//! # }
//! ```

// A test fails by panicking, and these are tools of tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod body;
mod client;
mod clock;
pub mod conformance;
mod fault;
mod gate;
mod hooked;
mod open_request;
mod recording;
mod session;

#[doc(inline)]
pub use crate::__conformance as conformance;

pub use self::{
    body::Body,
    client::{Client, Response, StoredCookie},
    clock::ManualClock,
    fault::{FaultStore, Faults},
    gate::Gate,
    hooked::{HookedStore, Hooks},
    open_request::{Tested, TestedView},
    recording::{Call, RecordedChange, Recording, RecordingStore},
    session::{TestOutcome, TestSession},
};

/// An operation of a [`Store`](crate::store::Store).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
// The operations of the trait, of which there are five.
#[allow(clippy::exhaustive_enums)]
pub enum Operation {
    /// `load`
    Load,
    /// `create`
    Create,
    /// `commit`
    Commit,
    /// `destroy`
    Destroy,
    /// `purge`
    Purge,
}
