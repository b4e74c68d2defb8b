//! The layout of a session as one Redis hash, with the scripts that change it, their arguments and their replies.
//! `RedisStore` and `WebdisStore` share it.
//!
//! # Design
//!
//! A commit of puts alone, which most are, has a script of its own without functions (`puts.lua`). Any other commit
//! goes through `commit.lua`. That one finds every error before its first write, since scripts do not roll back. It
//! compares and adds integers as text: Lua's numbers are exact to 2^53 only.

mod arguments;
mod clock;
#[cfg(fuzzing)]
pub mod fuzzing;
mod layout;
mod prefix;
mod probe;
mod reply;
mod scripts;

#[cfg(feature = "webdis")]
pub(super) use self::arguments::{head, load};
#[cfg(feature = "redis")]
pub(super) use self::{
    arguments::{Arguments, asks_for_all, is_puts_only, load_pieces, puts},
    reply::{joined, pieces_of},
    scripts::Script,
};
pub(super) use self::{
    arguments::{ScriptTime, commit, create, look},
    clock::ServerClock,
    prefix::Prefix,
    probe::{probe_commit, probe_record},
    reply::{Malformed, ReplyItem, answer, created, loaded, remembers},
    scripts::scripts,
};
