//! The comparison of a collection with what was loaded: an operation for each entry that differs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::content::Content;
use crate::{
    delta::Op,
    error::Error,
    handle::{
        decoded::Decoded,
        encode::stored,
        merge::change_of,
        table::{Collection, EntryMerge, Field, Value},
    },
    random,
    slot::{FieldChange, StagedChanges},
    value::{
        FieldName, Fields, Timestamp,
        collection::{CollectionKind, elements, entry_name, item_key, item_time},
    },
};

/// What was done to a collection since it was loaded.
#[derive(Clone, Copy, Debug)]
pub(in crate::handle) enum Edit<'a> {
    /// It was set, whatever was there.
    Set,
    /// It was lent out for change; this was its encoding before.
    Edited(&'a [u8]),
    /// It was removed.
    Removed,
    /// What was loaded of a list of flashes was delivered.
    Delivered,
}

/// A time after which there is room for more than any list has items.
const LATEST: u64 = u64::MAX / 2;

/// The comparison of one collection.
pub(in crate::handle) struct Staging<'a> {
    pub(in crate::handle) field: &'a Field,
    pub(in crate::handle) collection: &'a Collection,
    /// The fields as they were loaded.
    pub(in crate::handle) fields: &'a Fields,
    pub(in crate::handle) decoded: &'a Decoded,
    /// The time of the last change in the request's own count.
    pub(in crate::handle) at: u64,
    /// The store's time.
    pub(in crate::handle) now: &'a dyn Fn() -> Timestamp,
}

impl Staging<'_> {
    /// Adds the changes to what is staged.
    pub(in crate::handle) fn stage(&self, edit: Edit<'_>, staged: &mut StagedChanges) -> Result<(), Error> {
        let after = match (edit, &self.decoded.value) {
            (Edit::Removed, _) | (_, None) => None,
            (_, Some(value)) => Some(self.encoded(value)?),
        };
        let mut ops = match (self.collection.kind, &after) {
            (_, None) => self.removals_but(&BTreeSet::new()),
            (CollectionKind::Map | CollectionKind::Set, Some(after)) => self.entries(edit, after)?,
            (CollectionKind::List | CollectionKind::Flashes, Some(after)) => {
                self.items(edit, after, staged)?
            }
        };
        if edit.is_of_all() {
            let strays = Content::of(self.field, self.collection.kind, self.fields).strays;
            ops.extend(strays.into_iter().map(|name| (name, Op::Remove)));
        }
        staged.changes.extend(ops.into_iter().map(|(name, op)| self.change(name, op)));
        Ok(())
    }

    fn encoded(&self, value: &Value) -> Result<Bytes, Error> {
        stored(self.field, value)
    }

    fn change(&self, name: FieldName, op: Op) -> FieldChange {
        let (is_flash, collection) =
            (self.collection.kind == CollectionKind::Flashes, Some(self.collection.kind));
        FieldChange { name, is_flash, collection, ..change_of(self.field, op, self.at) }
    }

    fn name(&self, key: &str) -> FieldName {
        entry_name(self.field.name, key)
    }

    /// The removals of all entries that were loaded, but those with these keys.
    fn removals_but(&self, keys: &BTreeSet<&str>) -> Vec<(FieldName, Op)> {
        let seen = Content::of(self.field, self.collection.kind, self.fields).entries;
        let gone = seen.keys().filter(|key| !keys.contains(key.as_str()));
        gone.map(|key| (self.name(key), Op::Remove)).collect()
    }

    /// The operations on the entries of a map or a set.
    fn entries(&self, edit: Edit<'_>, after: &[u8]) -> Result<Vec<(FieldName, Op)>, Error> {
        let before = match edit {
            Edit::Edited(before) => Some(before),
            Edit::Set | Edit::Removed | Edit::Delivered => None,
        };
        let before = before.map(|before| self.collection.kind.split(before).unwrap_or_default());
        let before: Option<BTreeMap<_, _>> =
            before.map(|parts| parts.into_iter().map(|part| (part.key, part.value)).collect());
        let parts = self.collection.kind.split(after).unwrap_or_default();
        let mut keys = BTreeSet::new();
        let mut ops = Vec::new();
        for part in &parts {
            if !keys.insert(&*part.key) {
                let reason = "has two keys that are one and the same text as keys of a JSON object, so that one would be lost";
                return Err(Error::invalid_field(&self.field.name(), reason));
            }
            let op = match &before {
                None => Op::Put(self.counted(&part.value)),
                Some(before) => match before.get(&part.key) {
                    Some(value) if *value == part.value => continue,
                    value => self.merged(value.map(|value| &**value), &part.value),
                },
            };
            ops.push((self.name(&part.key), op));
        }
        match &before {
            None => ops.extend(self.removals_but(&keys)),
            Some(before) => {
                let gone = before.keys().filter(|key| !keys.contains(&***key));
                ops.extend(gone.map(|key| (self.name(key), Op::Remove)));
            }
        }
        Ok(ops)
    }

    /// The operation on an entry that was changed in place, or is new.
    fn merged(&self, before: Option<&[u8]>, after: &[u8]) -> Op {
        let put = || Op::Put(self.counted(after));
        let after = integer(after);
        match (self.collection.entry, after) {
            (EntryMerge::Max, Some(after)) => Op::Max(after),
            (EntryMerge::Min, Some(after)) => Op::Min(after),
            (EntryMerge::Add(counter), Some(after)) => {
                let before = before.map_or(Some(0), integer);
                let by = before.and_then(|before| after.checked_sub(before));
                by.map_or_else(put, |by| Op::Add(counter.adding(by, 0)))
            }
            _ => put(),
        }
    }

    /// The value as the store has it: integers that are counted are cut to 64 bits with sign.
    fn counted(&self, value: &[u8]) -> Bytes {
        match (self.collection.entry, integer(value)) {
            (EntryMerge::Last, _) | (_, None) => Bytes::copy_from_slice(value),
            (_, Some(value)) => value.to_string().into(),
        }
    }

    /// The operations on the items of a list.
    fn items(
        &self,
        edit: Edit<'_>,
        after: &[u8],
        staged: &mut StagedChanges,
    ) -> Result<Vec<(FieldName, Op)>, Error> {
        let content = Content::of(self.field, self.collection.kind, self.fields);
        let after = elements(after).unwrap_or_default();
        let mut before: Vec<(&str, &[u8])> =
            content.entries.iter().map(|(key, value)| (key.as_str(), &**value)).collect();
        if let Edit::Edited(encoded) = edit {
            let items = elements(encoded).unwrap_or_default();
            if items.len() == self.decoded.keys.len() {
                before = self.decoded.keys.iter().map(String::as_str).zip(items).collect();
            }
        }
        let mut ops = Vec::new();
        let (mut stay, pushed) = if let Edit::Delivered = edit {
            let delivered = self.decoded.keys.iter();
            ops.extend(delivered.filter_map(|key| Some(self.delivery(key, content.entries.get(key)?))));
            (Vec::new(), &after[..])
        } else {
            let (stay, gone, pushed) = matched(&before, &after);
            ops.extend(gone.iter().map(|key| (self.name(key), Op::Remove)));
            (stay, pushed)
        };
        let surplus = (stay.len() + pushed.len()).saturating_sub(self.collection.keep_last);
        if pushed.is_empty() || surplus == 0 {
            self.push(pushed, &content, &mut ops)?;
            return Ok(ops);
        }
        let oldest = stay.drain(..surplus.min(stay.len()));
        let unsent = surplus - oldest.len();
        ops.extend(oldest.map(|key| (self.name(key), Op::Remove)));
        self.push(&pushed[unsent..], &content, &mut ops)?;
        staged.trimmed.push((self.field.name(), surplus));
        Ok(ops)
    }

    /// The removal of an item that was delivered. An item that came meanwhile stays.
    fn delivery(&self, key: &str, value: &Bytes) -> (FieldName, Op) {
        (self.name(key), Op::RemoveIf(value.clone()))
    }

    /// Pushes items behind all that was loaded.
    fn push(&self, items: &[&[u8]], content: &Content, ops: &mut Vec<(FieldName, Op)>) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        let now = u64::try_from((self.now)().as_millis()).unwrap_or(0);
        let latest = content.entries.keys().next_back().map_or(0, |key| item_time(key).saturating_add(1));
        for (item, time) in items.iter().zip(now.max(latest).min(LATEST)..) {
            let key = item_key(time, random::bytes()?);
            ops.push((self.name(&key), Op::Put(Bytes::copy_from_slice(item))));
        }
        Ok(())
    }
}

impl Edit<'_> {
    /// True if nothing that was loaded is to stay but what is there again.
    const fn is_of_all(self) -> bool {
        matches!(self, Self::Set | Self::Removed)
    }
}

/// Of a list before and after a change: the keys of the items that stay, those of the items that go, and what was
/// pushed behind those that stay.
fn matched<'a, 'b>(
    before: &[(&'a str, &[u8])],
    after: &'b [&'b [u8]],
) -> (Vec<&'a str>, Vec<&'a str>, &'b [&'b [u8]]) {
    let (mut stay, mut gone, mut from) = (Vec::new(), Vec::new(), 0);
    let mut pushed = after;
    while let Some((item, rest)) = pushed.split_first() {
        let Some(found) = before[from..].iter().position(|(_, value)| value == item) else { break };
        gone.extend(before[from..from + found].iter().map(|(key, _)| *key));
        stay.push(before[from + found].0);
        from += found + 1;
        pushed = rest;
    }
    gone.extend(before[from..].iter().map(|(key, _)| *key));
    (stay, gone, pushed)
}

/// An integer, cut to 64 bits with sign.
fn integer(json: &[u8]) -> Option<i64> {
    let number: i128 = std::str::from_utf8(json).ok()?.parse().ok()?;
    Some(i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX }))
}

#[cfg(test)]
mod tests;
