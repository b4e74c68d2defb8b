//! Redis behind Webdis, its gateway to HTTP: the way there and back.
//!
//! Webdis up to 0.1.19 can hand a client the reply of another one: a reply is written to the file
//! descriptor that asked, and when that client has gone, to whoever got the number next. For
//! sessions that is the data of another user. So every call is a script that answers with the nonce
//! it was sent, and here a reply without that nonce is evidence of nothing: not that something was
//! done, not that it was not, and not that there is no session.
//!
//! `percent` writes a request, `reply` judges an answer, `channel` is one connection, `drain` waits
//! for what a connection still owes, and `channels` decides which connection may be used again.

mod base64;
mod builder;
mod channel;
mod channels;
mod drain;
mod endpoint;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod items;
mod nonce;
mod percent;
mod poisoned;
mod reply;
mod store;
#[cfg(test)]
mod tests;

pub use self::{builder::WebdisStoreBuilder, store::WebdisStore};
