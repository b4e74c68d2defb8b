//! Collections in a handle: maps, sets and lists whose entries are fields of their own in the store.
//!
//! A handle shows the plain collection. It is read from the entries, and compared with them when the handle is staged:
//! each entry that differs becomes an operation. What a whole collection in one field of an older program holds is
//! shown too. The slot makes entries of it with the first change.

mod compare;
mod content;
mod describe;

pub(super) use self::{
    compare::{Edit, Staging},
    content::{decode, is_unopened},
};
