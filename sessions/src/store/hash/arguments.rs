//! What the scripts are told.

use std::time::Duration;

use super::layout::{COMMITS, FieldKey, METADATA, piece_key, six_bytes};
use crate::{
    clock::AnyClock,
    delta::Op,
    store::{Commit, CredentialsChange, NewRecord},
    value::{Credentials, FieldName, Timeouts, Timestamp},
};

/// The time that a script goes by.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Time {
    /// A clock that a test moves.
    Manual(Timestamp),
    /// The server's. After `latest`, where it is known, nothing is to happen any more: who asked for it
    /// has been told so, and may have written something newer since.
    Server { latest: Option<Timestamp> },
}

impl Time {
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

/// Takes arguments, one by one.
pub(in crate::store) trait Arguments {
    fn push(&mut self, argument: &[u8]);
}

#[cfg(feature = "webdis")]
impl Arguments for Vec<Box<[u8]>> {
    fn push(&mut self, argument: &[u8]) {
        Self::push(self, argument.into());
    }
}

/// Whether the short script will do.
#[cfg(feature = "redis")]
pub(in crate::store) fn is_puts_only(commit: &Commit) -> bool {
    let plain = commit.id.is_none() && commit.credentials_change.is_none() && commit.returning.is_empty();
    plain
        && commit.delta.retained().is_none()
        && commit.delta.ops().iter().all(|(_, op)| matches!(op, Op::Put(_)))
        // The short script has nothing to write otherwise.
        && (commit.touch || !commit.delta.is_empty())
}

/// For `HMGET`: the metadata, of which this is the first piece, and these fields.
pub(in crate::store) fn load(names: &[FieldName], to: &mut impl Arguments) {
    load_pieces(0, names, to);
}

/// The same with so many further pieces of the metadata.
pub(in crate::store) fn load_pieces(more: usize, names: &[FieldName], to: &mut impl Arguments) {
    to.push(METADATA);
    for number in 1..=more {
        to.push(piece_key(number).as_bytes());
    }
    for name in names {
        to.push(FieldKey::new(name.as_str()).as_bytes());
    }
}

/// For `create.lua`.
pub(in crate::store) fn create(new: &NewRecord, time: Time, to: &mut impl Arguments) {
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

/// For `puts.lua`.
#[cfg(feature = "redis")]
pub(in crate::store) fn puts(epoch: u32, commit: &Commit, time: Time, to: &mut impl Arguments) {
    head(epoch, &commit.timeouts, commit.touch, time, to);
    for (name, op) in commit.delta.ops() {
        if let Op::Put(value) = op {
            to.push(FieldKey::new(name.as_str()).as_bytes());
            to.push(value);
        }
    }
}

/// For `commit.lua`.
pub(in crate::store) fn commit(epoch: u32, commit: &Commit, time: Time, to: &mut impl Arguments) {
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

/// New credentials: flags (1 if the record's life begins anew, 2 if it gets other times), the next epoch, those
/// times if there are any, the length of the credentials that is to be replaced, that credentials, and the new one.
fn new_credentials(epoch: u32, change: &CredentialsChange) -> Vec<u8> {
    // Compared for equality only, so that the last one may be followed by the first.
    let epoch = epoch.wrapping_add(change.changes_epoch().into());
    let from = change.replaces().map_or(&[][..], Credentials::as_bytes);
    let mut bytes = vec![u8::from(change.is_login())];
    bytes.extend_from_slice(&epoch.to_be_bytes());
    if let Some(timeouts) = change.timeouts() {
        bytes[0] |= OTHER_TIMES;
        bytes.extend_from_slice(&times(timeouts));
    }
    // Credentials is far from that long.
    bytes.extend_from_slice(&u32::try_from(from.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(from);
    bytes.extend_from_slice(change.credentials().as_bytes());
    bytes
}

/// For a look whether a commit was applied.
pub(in crate::store) fn look(to: &mut impl Arguments) {
    to.push(METADATA);
    to.push(COMMITS);
}

/// For every script.
pub(in crate::store) fn head(
    epoch: u32,
    timeouts: &Timeouts,
    touch: bool,
    time: Time,
    to: &mut impl Arguments,
) {
    let mut head = [0; 23];
    head[..4].copy_from_slice(&epoch.to_be_bytes());
    head[4..16].copy_from_slice(&times(timeouts));
    head[16] = touch.into();
    let length = match time {
        Time::Manual(now) => {
            head[16] |= MANUAL;
            head[17..].copy_from_slice(&six_bytes(now.as_millis()));
            23
        }
        Time::Server { latest: Some(latest) } if latest.as_millis() / 16 < 1 << 40 => {
            // A byte less, and still never too late.
            head[17..22].copy_from_slice(&six_bytes(latest.as_millis() / 16)[1..]);
            22
        }
        // Or in five hundred years.
        Time::Server { .. } => 17,
    };
    to.push(&head[..length]);
}

/// The flag of a manual clock, beside the one of a touch.
const MANUAL: u8 = 2;

/// The flag of other times, beside the one of a login.
const OTHER_TIMES: u8 = 2;

/// How long a record lives without use, with the window in which use goes unrecorded; and in all.
fn times(timeouts: &Timeouts) -> [u8; 12] {
    let six = |time: Duration| six_bytes(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let mut times = [0; 12];
    times[..6].copy_from_slice(&six(timeouts.idle_and_window()));
    times[6..].copy_from_slice(&six(timeouts.absolute()));
    times
}

/// An operation's kind and operand.
fn operation(op: &Op) -> (&'static [u8], Vec<u8>) {
    match op {
        Op::Put(value) => (b"P", value.to_vec()),
        Op::PutIfAbsent(value) => (b"F", value.to_vec()),
        Op::Remove => (b"R", Vec::new()),
        Op::RemoveIf(value) => (b"U", value.to_vec()),
        Op::Add(add) => (b"A", format!("{} {} {} {}", add.by, add.start, add.min, add.max).into_bytes()),
        Op::Max(bound) => (b"G", bound.to_string().into_bytes()),
        Op::Min(bound) => (b"L", bound.to_string().into_bytes()),
    }
}
