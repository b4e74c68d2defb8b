//! The arguments and replies of the scripts for the index.

use std::time::Duration;

use super::{
    arguments::{Arguments, ScriptTime, head},
    layout::{FieldKey, six_bytes},
    reply::{Malformed, ReplyItem},
};
use crate::{
    store::index::{
        Confirmation, FieldCondition, IndexChange, IndexEntry, IndexOutcome, IndexStamp, IndexStatus,
        Reservation,
    },
    value::{RecordId, Timeouts, Timestamp},
};

/// The bytes of an entry's value.
const ENTRY_BYTES: usize = 26;

/// Pushes the arguments of `index.lua`.
pub(in crate::store) fn change_index(change: &IndexChange, time: ScriptTime, to: &mut impl Arguments) {
    head(0, &Timeouts::default(), false, time, to);
    match change {
        IndexChange::List => to.push(b"L"),
        IndexChange::Forbid => to.push(b"F"),
        IndexChange::Leave(left) => {
            to.push(b"D");
            for (id, stamp) in left {
                to.push(id.as_bytes());
                to.push(stamp.as_ref().map_or(&[], |stamp| stamp.as_bytes()));
            }
        }
        IndexChange::Reserve(Reservation { id, stamp, keep_for, hold_for, age, most, own }) => {
            to.push(b"R");
            to.push(id.as_bytes());
            to.push(stamp.as_bytes());
            for time in [keep_for, hold_for, age] {
                to.push(&millis(*time));
            }
            to.push(most.map_or("-1".to_owned(), |most| most.to_string()).as_bytes());
            push_moment(*own, to);
        }
        IndexChange::Confirm(Confirmation { id, stamp, keep_for, began, own, needs_entry }) => {
            to.push(b"C");
            to.push(id.as_bytes());
            to.push(stamp.as_bytes());
            to.push(&millis(*keep_for));
            to.push(began.map_or(String::new(), |began| began.as_millis().to_string()).as_bytes());
            push_moment(*own, to);
            to.push(if *needs_entry { b"1" } else { b"" });
        }
    }
}

/// Pushes the arguments of `destroy_if.lua`.
pub(in crate::store) fn destroy_if(condition: &FieldCondition, time: ScriptTime, to: &mut impl Arguments) {
    head(0, &Timeouts::default(), false, time, to);
    to.push(&condition.value);
    for name in &condition.names {
        to.push(FieldKey::new(name.as_str()).as_bytes());
    }
}

/// Reads the reply of `index.lua`.
pub(in crate::store) fn index_outcome(
    items: impl IntoIterator<Item = ReplyItem>,
) -> Result<IndexOutcome, Malformed> {
    let mut items = items.into_iter();
    let status = match items.next().as_ref().and_then(number).ok_or(Malformed)? {
        0 => IndexStatus::Done,
        1 => IndexStatus::Added,
        2 => IndexStatus::Forbidden,
        3 => IndexStatus::Full,
        4 => IndexStatus::Lapsed,
        _ => return Err(Malformed),
    };
    let now = items.next().as_ref().and_then(number).map(Timestamp::from_millis).ok_or(Malformed)?;
    let not_before = match items.next() {
        Some(ReplyItem::Bytes(bytes)) if bytes.is_empty() => None,
        Some(ReplyItem::Bytes(bytes)) if bytes.len() == 6 => Some(moment(&bytes)),
        _ => return Err(Malformed),
    };
    let mut entries = Vec::new();
    while let Some(id) = items.next() {
        let (ReplyItem::Bytes(id), Some(ReplyItem::Bytes(value))) = (id, items.next()) else {
            return Err(Malformed);
        };
        entries.push(entry(&id, &value).ok_or(Malformed)?);
    }
    Ok(IndexOutcome::from_parts(status, now, not_before, entries))
}

/// Reads the reply of `destroy_if.lua`.
pub(in crate::store) fn destroyed(items: impl IntoIterator<Item = ReplyItem>) -> Result<bool, Malformed> {
    items.into_iter().next().as_ref().and_then(number).map(|count| count > 0).ok_or(Malformed)
}

fn entry(id: &[u8], value: &[u8]) -> Option<IndexEntry> {
    let id = RecordId::from_bytes(id.try_into().ok()?);
    if value.len() != ENTRY_BYTES {
        return None;
    }
    let stamp = IndexStamp::from_bytes(*value.last_chunk()?);
    Some(IndexEntry::from_parts(
        id,
        moment(&value[..6]),
        moment(&value[6..12]),
        moment(&value[12..18]),
        stamp,
    ))
}

fn number(item: &ReplyItem) -> Option<i64> {
    match item {
        ReplyItem::Integer(number) => Some(*number),
        ReplyItem::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        ReplyItem::None => None,
    }
}

fn push_moment(moment: Option<Timestamp>, to: &mut impl Arguments) {
    to.push(&moment.map_or_else(Vec::new, |moment| six_bytes(moment.as_millis()).to_vec()));
}

fn moment(six: &[u8]) -> Timestamp {
    Timestamp::from_millis(six.iter().fold(0, |time, byte| time << 8 | i64::from(*byte)))
}

/// Lua's numbers are exact to 2^53, and a row's times end long before.
fn millis(time: Duration) -> Vec<u8> {
    const MOST: u128 = 1 << 46;

    time.as_millis().min(MOST).to_string().into_bytes()
}
