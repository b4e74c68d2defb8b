//! Sessions in Redis behind Webdis, its gateway to HTTP.
//!
//! | module | responsibility |
//! |---|---|
//! | `builder`, `endpoint`, `base64` | the options; the address of Webdis and the login |
//! | `store` | the operations of a store, as calls of one script |
//! | `client`, `call` | a call: its request, its reply, and what becomes of the connection |
//! | `pool`, `idle`, `quarantine` | the connections, and the rule which of them may be used again |
//! | `connection`, `drain` | one connection, and reading it until a late reply has come |
//! | `percent`, `nonce`, `reply`, `items` | writing a request; verifying and reading a reply |
//! | `failure`, `script_failure` | the failure of a call, and the store's error for it |
//!
//! # Design
//!
//! Webdis up to 0.1.19 can deliver a reply to another client. It writes a reply to the file descriptor that asked. If
//! that client has gone, the descriptor may belong to another one by then. For sessions that reply is the data of
//! another user. So every call is a script that returns the nonce it was sent. A reply without that nonce is evidence
//! of nothing: not that the call happened, not that it did not, and not that there is no session.

mod base64;
mod builder;
mod call;
mod client;
mod connection;
mod drain;
mod endpoint;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod idle;
mod items;
mod nonce;
mod percent;
mod pool;
mod quarantine;
mod reply;
mod script_failure;
mod store;
#[cfg(test)]
mod tests;

pub use self::{builder::WebdisStoreBuilder, store::WebdisStore};
