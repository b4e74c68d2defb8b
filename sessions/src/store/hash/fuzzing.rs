//! For the fuzz targets: what is sent to Redis and read of its answers, without Redis.

use bytes::Bytes;

use super::{
    arguments::{self, Arguments, Time},
    layout::{FieldKey, field_name},
    reply::{self, Item},
};
use crate::{
    store::{Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord},
    value::{FieldName, Timestamp},
};

/// One item of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Reply {
    /// Nil.
    None,
    /// An integer.
    Integer(i64),
    /// A string.
    Bytes(Bytes),
}

impl From<Reply> for Item {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::None => Self::None,
            Reply::Integer(integer) => Self::Integer(integer),
            Reply::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

fn items(reply: Vec<Reply>) -> impl Iterator<Item = Item> {
    reply.into_iter().map(Item::from)
}

/// The answer to a load; the error is of an answer that is not ours.
#[allow(clippy::missing_errors_doc, clippy::result_unit_err)]
pub fn loaded(names: &[FieldName], now: Timestamp, reply: Vec<Reply>) -> Result<Option<Loaded>, ()> {
    reply::loaded(names, now, items(reply)).map_err(|_| ())
}

/// The answer to a create.
#[allow(clippy::missing_errors_doc, clippy::result_unit_err)]
pub fn created(reply: Reply) -> Result<CreateOutcome, ()> {
    reply::created(&reply.into()).map_err(|_| ())
}

/// The answer to a commit; `None` if it came too late.
#[allow(clippy::missing_errors_doc, clippy::result_unit_err)]
pub fn answer(commit: &Commit, reply: Vec<Reply>) -> Result<Option<CommitOutcome>, ()> {
    reply::answer(commit, items(reply)).map_err(|_| ())
}

/// Whether the answer to a look says that this commit was applied.
#[must_use]
pub fn remembers(commit: &Commit, reply: Vec<Reply>) -> bool {
    reply::remembers(commit, items(reply))
}

/// The name of a session field in the hash.
#[must_use]
pub fn key_of(name: &str) -> Vec<u8> {
    FieldKey::new(name).as_bytes().to_vec()
}

/// The session field of a name in the hash.
#[must_use]
pub fn name_of(key: &str) -> &str {
    field_name(key)
}

struct Words(Vec<Vec<u8>>);

impl Arguments for Words {
    fn push(&mut self, argument: &[u8]) {
        self.0.push(argument.into());
    }
}

/// The arguments of a create.
#[must_use]
pub fn create_arguments(new: &NewRecord, latest: Option<Timestamp>) -> Vec<Vec<u8>> {
    let mut words = Words(Vec::new());
    arguments::create(new, Time::Server { latest }, &mut words);
    words.0
}

/// The arguments of a commit.
#[must_use]
pub fn commit_arguments(epoch: u32, commit: &Commit, latest: Option<Timestamp>) -> Vec<Vec<u8>> {
    let mut words = Words(Vec::new());
    arguments::commit(epoch, commit, Time::Server { latest }, &mut words);
    words.0
}
