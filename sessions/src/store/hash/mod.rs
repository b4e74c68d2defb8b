//! One session as one Redis hash: its names, its layout and the scripts that change it, whether
//! they get to the server by its own protocol or by HTTP.

mod arguments;
mod layout;
mod prefix;
mod reply;
mod scripts;

pub(super) use self::{
    arguments::{Arguments, commit, create, head, is_puts_only, load, look, puts},
    prefix::Prefix,
    reply::{Item, Malformed, answer, created, loaded, remembers},
    scripts::{Script, scripts},
};
