//! Keys: values sealed before they reach the store, tokens that cannot be made up.
//!
//! Pure rules over plain values; the only randomness is the nonce of a sealed value. What is known
//! about a key's use is in one place each: `key` for what follows from a key, `ring` for which key does
//! what, `sealing` and `signing` for the two uses.

mod binding;
mod key;
mod open_error;
mod ring;
mod sealing;
mod signing;

use self::open_error::OpenError;
pub(crate) use self::sealing::SealingContext;
pub use self::{key::Key, ring::KeyRing};
