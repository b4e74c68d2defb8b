//! The arguments of the commands and scripts.

use std::time::Duration;

use bytes::Bytes;

use super::layout::{COMMITS, FieldKey, METADATA, piece_key, six_bytes};
use crate::{
    clock::AnyClock,
    delta::Op,
    store::{Commit, CredentialsChange, NewRecord},
    value::{Credentials, FieldName, Timeouts, Timestamp},
};

/// The clock by which a script decides.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum ScriptTime {
    /// A clock that a test moves.
    Manual(Timestamp),
    /// The server's clock. After `latest`, if it is known, the script does nothing: its caller has got an error by
    /// then, and may have written something newer.
    Server { latest: Option<Timestamp> },
}

impl ScriptTime {
    pub(in crate::store) fn new(
        manual: Option<&AnyClock>,
        latest: impl FnOnce() -> Option<Timestamp>,
    ) -> Self {
        match manual {
            Some(clock) => Self::Manual(clock.now()),
            None => Self::Server { latest: latest() },
        }
    }
}

/// A command that takes arguments one by one.
pub(in crate::store) trait Arguments {
    fn push(&mut self, argument: &[u8]);
}

#[cfg(feature = "webdis")]
impl Arguments for Vec<Box<[u8]>> {
    fn push(&mut self, argument: &[u8]) {
        Self::push(self, argument.into());
    }
}

/// Returns true if `puts.lua` can carry out the commit.
#[cfg(feature = "redis")]
pub(in crate::store) fn is_puts_only(commit: &Commit) -> bool {
    let plain = commit.id.is_none() && commit.credentials_change.is_none() && commit.returning.is_empty();
    plain
        && commit.delta.retained().is_none()
        && commit.delta.ops().iter().all(|(_, op)| matches!(op, Op::Put(_)))
        // Otherwise that script would have nothing to write.
        && (commit.touch || !commit.delta.is_empty())
}

/// The argument of `load.lua` that asks for the whole hash.
const ALL: &[u8] = b"*";

/// Returns true if a load of these names reads the whole hash: Redis cannot look for fields by the beginning of their
/// names.
pub(in crate::store) fn asks_for_all(names: &[FieldName]) -> bool {
    names.iter().any(FieldName::is_prefix)
}

/// Pushes the arguments of `load.lua`: the first piece of the metadata and these fields, or one for the whole hash.
#[cfg(feature = "webdis")]
pub(in crate::store) fn load(names: &[FieldName], to: &mut impl Arguments) {
    if asks_for_all(names) {
        to.push(ALL);
    } else {
        load_pieces(0, names, to);
    }
}

/// Pushes the arguments of `HMGET`: the first piece of the metadata and this many further ones, and these fields.
pub(in crate::store) fn load_pieces(more: usize, names: &[FieldName], to: &mut impl Arguments) {
    to.push(METADATA);
    for number in 1..=more {
        to.push(piece_key(number).as_bytes());
    }
    for name in names {
        to.push(FieldKey::new(name.as_str()).as_bytes());
    }
}

/// Pushes the arguments of `create.lua`.
pub(in crate::store) fn create(new: &NewRecord, time: ScriptTime, to: &mut impl Arguments) {
    let timeouts = &new.timeouts;
    let idle = if new.is_first_visit { timeouts.first_visit().min(timeouts.idle()) } else { timeouts.idle() };
    head(0, &Timeouts::new(idle, timeouts.absolute()), false, time, to);
    to.push(new.credentials.as_bytes());
    to.push(if new.is_first_visit { b"1" } else { b"" });
    for (name, value) in new.fields.iter() {
        to.push(FieldKey::new(name.as_str()).as_bytes());
        to.push(value);
    }
}

/// Pushes the arguments of `puts.lua`.
#[cfg(feature = "redis")]
pub(in crate::store) fn puts(epoch: u32, commit: &Commit, time: ScriptTime, to: &mut impl Arguments) {
    head(epoch, &commit.timeouts, commit.touch, time, to);
    for (name, op) in commit.delta.ops() {
        if let Op::Put(value) = op {
            to.push(FieldKey::new(name.as_str()).as_bytes());
            to.push(value);
        }
    }
}

/// Pushes the arguments of `commit.lua`.
pub(in crate::store) fn commit(epoch: u32, commit: &Commit, time: ScriptTime, to: &mut impl Arguments) {
    head(epoch, &commit.timeouts, commit.notes_use(), time, to);
    to.push(commit.id.as_ref().map_or(&[], |id| id.as_bytes()));
    to.push(
        &commit.credentials_change.as_ref().map_or_else(Vec::new, |change| new_credentials(epoch, change)),
    );
    to.push(commit.delta.ops().len().to_string().as_bytes());
    let retained = commit.delta.retained();
    to.push(retained.map_or("-1".to_owned(), |names| names.len().to_string()).as_bytes());
    for (name, op) in commit.delta.ops() {
        let (kind, operand) = operation(op);
        to.push(kind);
        to.push(FieldKey::new(name.as_str()).as_bytes());
        to.push(&operand);
    }
    for name in retained.into_iter().flatten().chain(&commit.returning) {
        to.push(FieldKey::new(name.as_str()).as_bytes());
    }
}

/// Encodes a change of credentials: flags (1 for a login, which restarts the record's lifetime; 2 for other
/// timeouts), the next epoch, those timeouts if there are any, the length of the credentials to be replaced, those,
/// and the new ones.
fn new_credentials(epoch: u32, change: &CredentialsChange) -> Vec<u8> {
    // Epochs are only compared for equality, so they may wrap around.
    let epoch = epoch.wrapping_add(change.changes_epoch().into());
    let from = change.replaces().map_or(&[][..], Credentials::as_bytes);
    let mut bytes = vec![u8::from(change.is_login())];
    bytes.extend_from_slice(&epoch.to_be_bytes());
    if let Some(timeouts) = change.timeouts() {
        bytes[0] |= OTHER_TIMES;
        bytes.extend_from_slice(&times(timeouts));
    }
    // Credentials are far shorter than that.
    bytes.extend_from_slice(&u32::try_from(from.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(from);
    bytes.extend_from_slice(change.credentials().as_bytes());
    bytes
}

/// Pushes the arguments of `HMGET` for the question whether a commit was applied.
pub(in crate::store) fn look(to: &mut impl Arguments) {
    to.push(METADATA);
    to.push(COMMITS);
}

/// Pushes the argument that every script begins with, as `record.lua` describes it.
pub(in crate::store) fn head(
    epoch: u32,
    timeouts: &Timeouts,
    touch: bool,
    time: ScriptTime,
    to: &mut impl Arguments,
) {
    let mut head = [0; 23];
    head[..4].copy_from_slice(&epoch.to_be_bytes());
    head[4..16].copy_from_slice(&times(timeouts));
    head[16] = touch.into();
    let length = match time {
        ScriptTime::Manual(now) => {
            head[16] |= MANUAL;
            head[17..].copy_from_slice(&six_bytes(now.as_millis()));
            23
        }
        ScriptTime::Server { latest: Some(latest) } if latest.as_millis() / 16 < 1 << 40 => {
            // In 16 milliseconds, rounded down: a byte less, and never too late.
            head[17..22].copy_from_slice(&six_bytes(latest.as_millis() / 16)[1..]);
            22
        }
        // Or the time is more than five hundred years ahead, which takes a byte more.
        ScriptTime::Server { .. } => 17,
    };
    to.push(&head[..length]);
}

/// The flag of a manual clock. The flag 1 means a touch.
const MANUAL: u8 = 2;

/// The flag of other timeouts. The flag 1 means a login.
const OTHER_TIMES: u8 = 2;

/// Encodes the timeouts in milliseconds, 6 bytes each: the idle one, with the window in which use goes unrecorded,
/// and the absolute one.
fn times(timeouts: &Timeouts) -> [u8; 12] {
    let six = |time: Duration| six_bytes(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let mut times = [0; 12];
    times[..6].copy_from_slice(&six(timeouts.idle_and_window()));
    times[6..].copy_from_slice(&six(timeouts.absolute()));
    times
}

/// Encodes what is to be replaced and by what: the length of the first or `-`, `+` if the second is a value, and both.
fn replacement(expected: Option<&Bytes>, value: Option<&Bytes>) -> Vec<u8> {
    let length = expected.map_or_else(|| "-".to_owned(), |expected| expected.len().to_string());
    let sign = if value.is_some() { '+' } else { '-' };
    let mut bytes = format!("{length} {sign} ").into_bytes();
    for part in [expected, value].into_iter().flatten() {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Returns the kind and the operand of an operation, as `commit.lua` reads them.
fn operation(op: &Op) -> (&'static [u8], Vec<u8>) {
    match op {
        Op::Put(value) => (b"P", value.to_vec()),
        Op::PutIfAbsent(value) => (b"F", value.to_vec()),
        Op::Remove => (b"R", Vec::new()),
        Op::RemoveIf(value) => (b"U", value.to_vec()),
        Op::Add(add) => (b"A", format!("{} {} {} {}", add.by, add.start, add.min, add.max).into_bytes()),
        Op::Max(bound) => (b"G", bound.to_string().into_bytes()),
        Op::Min(bound) => (b"L", bound.to_string().into_bytes()),
        Op::ReplaceIf { expected, value } => (b"C", replacement(expected.as_ref(), value.as_ref())),
    }
}
