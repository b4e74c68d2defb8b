//! Entry points for the fuzz targets: the arguments that go to Redis and its replies, without Redis.

use bytes::Bytes;

use super::{
    arguments::{self, Arguments, ScriptTime},
    layout::{FieldKey, field_name},
    reply::{self, ReplyItem},
};
use crate::{
    store::{Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord},
    value::{FieldName, Timestamp},
};

/// One item of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum RawItem {
    /// Nil.
    None,
    /// An integer.
    Integer(i64),
    /// A string.
    Bytes(Bytes),
}

impl From<RawItem> for ReplyItem {
    fn from(reply: RawItem) -> Self {
        match reply {
            RawItem::None => Self::None,
            RawItem::Integer(integer) => Self::Integer(integer),
            RawItem::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

fn items(reply: Vec<RawItem>) -> impl Iterator<Item = ReplyItem> {
    reply.into_iter().map(ReplyItem::from)
}

/// Reads the reply to a load. The error means that the reply is not of this library.
#[allow(clippy::missing_errors_doc, clippy::result_unit_err)]
pub fn loaded(names: &[FieldName], now: Timestamp, reply: Vec<RawItem>) -> Result<Option<Loaded>, ()> {
    reply::loaded(names, now, items(reply)).map_err(|_| ())
}

/// Reads the reply to a create.
#[allow(clippy::missing_errors_doc, clippy::result_unit_err)]
pub fn created(reply: RawItem) -> Result<CreateOutcome, ()> {
    reply::created(&reply.into()).map_err(|_| ())
}

/// Reads the reply to a commit. `None` means that it came too late.
#[allow(clippy::missing_errors_doc, clippy::result_unit_err)]
pub fn answer(commit: &Commit, reply: Vec<RawItem>) -> Result<Option<CommitOutcome>, ()> {
    reply::answer(commit, items(reply)).map_err(|_| ())
}

/// Returns true if the reply to a look says that this commit was applied.
#[must_use]
pub fn remembers(commit: &Commit, reply: Vec<RawItem>) -> bool {
    reply::remembers(commit, items(reply))
}

/// Returns the name of a session field in the hash.
#[must_use]
pub fn key_of(name: &str) -> Vec<u8> {
    FieldKey::new(name).as_bytes().to_vec()
}

/// Returns the session field of a name in the hash.
#[must_use]
pub fn name_of(key: &str) -> &str {
    field_name(key)
}

struct Collected(Vec<Vec<u8>>);

impl Arguments for Collected {
    fn push(&mut self, argument: &[u8]) {
        self.0.push(argument.into());
    }
}

/// Returns the arguments of a create.
#[must_use]
pub fn create_arguments(new: &NewRecord, latest: Option<Timestamp>) -> Vec<Vec<u8>> {
    let mut words = Collected(Vec::new());
    arguments::create(new, ScriptTime::Server { latest }, &mut words);
    words.0
}

/// Returns the arguments of a commit.
#[must_use]
pub fn commit_arguments(epoch: u32, commit: &Commit, latest: Option<Timestamp>) -> Vec<Vec<u8>> {
    let mut words = Collected(Vec::new());
    arguments::commit(epoch, commit, ScriptTime::Server { latest }, &mut words);
    words.0
}
