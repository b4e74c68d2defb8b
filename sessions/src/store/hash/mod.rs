//! One session as one Redis hash: its names, its layout and the scripts that change it, whether
//! they get to the server by its own protocol or by HTTP.

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
pub(super) use self::arguments::head;
#[cfg(feature = "redis")]
pub(super) use self::{
    arguments::{Arguments, is_puts_only, load_pieces, puts},
    reply::{joined, pieces_of},
    scripts::Script,
};
pub(super) use self::{
    arguments::{Time, commit, create, load, look},
    clock::ServerClock,
    prefix::Prefix,
    probe::{probe_commit, probe_record},
    reply::{Item, Malformed, answer, created, loaded, remembers},
    scripts::scripts,
};
