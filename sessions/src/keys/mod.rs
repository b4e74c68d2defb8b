//! Keys: sealed values and signed tokens.
//!
//! Pure rules over plain values; the only randomness is the nonce of a sealed value. `key` derives the keys of each use
//! from one key, `ring` says which key does what, `sealing` and `signing` are the two uses.

mod binding;
mod key;
mod open_error;
mod ring;
mod sealing;
mod signing;

use self::open_error::OpenError;
pub(crate) use self::sealing::SealingContext;
pub use self::{key::Key, ring::KeyRing};
