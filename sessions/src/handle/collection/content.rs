//! The content of a collection: its entries under all its names, and what an older program stored whole.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    handle::{
        decoded::{Decoded, OnUndecodable, ValueSource},
        table::Field,
    },
    slot::UNOPENED,
    value::{
        FieldName, Fields,
        collection::{CollectionKind, key_in},
    },
};

/// The entries of a collection as they are stored.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Those that can be read, by their keys. Items of a list sort by theirs.
    pub(super) entries: BTreeMap<String, Bytes>,
    /// The names of fields that belong to the collection and are no entry of it.
    pub(super) strays: Vec<FieldName>,
    /// True if the value of an entry did not open.
    pub(super) has_unopened: bool,
}

impl Content {
    /// Collects the entries among these fields. The present name takes precedence over older ones, and an entry over a
    /// whole.
    pub(super) fn of(field: &Field, kind: CollectionKind, fields: &Fields) -> Self {
        let mut content = Self::default();
        let names = || [field.name].into_iter().chain(field.aliases.iter().copied()).rev();
        for name in names() {
            content.add_whole(name, kind, fields);
        }
        for name in names() {
            content.add_entries(name, fields);
        }
        content
    }

    fn add_whole(&mut self, name: &'static str, kind: CollectionKind, fields: &Fields) {
        let Some(whole) = fields.get(name) else { return };
        if **whole == *UNOPENED {
            self.has_unopened = true;
        } else if let Some(entries) = kind.split(whole) {
            for entry in entries {
                self.entries.insert(entry.key.into_owned(), Bytes::copy_from_slice(&entry.value));
            }
        } else {
            self.strays.push(FieldName::from_static(name));
        }
    }

    fn add_entries(&mut self, name: &'static str, fields: &Fields) {
        let prefix = format!("{name}[");
        for (stored, value) in fields.starting_with(&prefix) {
            match key_in(name, stored.as_str()) {
                Some(key) => {
                    self.entries.insert(key, value.clone());
                }
                None => self.strays.push(stored.clone()),
            }
        }
    }

    /// One JSON value of the entries.
    fn whole(&self, kind: CollectionKind) -> Vec<u8> {
        kind.join(self.entries.iter().map(|(key, value)| (key.as_str(), value)))
    }
}

/// Decodes a collection. An entry that does not decode is reported and left out; the others are shown.
pub(in crate::handle) fn decode(
    field: &Field,
    kind: CollectionKind,
    fields: &Fields,
    report: OnUndecodable<'_>,
) -> Decoded {
    let mut content = Content::of(field, kind, fields);
    let mut source = if content.entries.is_empty() { ValueSource::Absent } else { ValueSource::Stored };
    content.entries.retain(|_, value| {
        content.has_unopened |= **value == *UNOPENED;
        **value != *UNOPENED
    });
    if content.has_unopened || !content.strays.is_empty() {
        source = ValueSource::Undecodable;
    }
    if !content.strays.is_empty() {
        report(field, &serde::de::Error::custom("it is no entry of this collection"));
    }
    let mut value = (field.codec.decode)(&content.whole(kind)).ok();
    if value.is_none() {
        source = ValueSource::Undecodable;
        content.entries.retain(|key, entry| {
            let alone = kind.join([(key.as_str(), &*entry)].into_iter());
            (field.codec.decode)(&alone).inspect_err(|error| report(field, error)).is_ok()
        });
        value = (field.codec.decode)(&content.whole(kind)).ok();
    }
    // The default is not shown where the type reads no empty collection; nothing else fails here.
    let value = value.or_else(|| field.default.map(|default| default()));
    let keys = match kind {
        CollectionKind::List | CollectionKind::Flashes => content.entries.into_keys().collect(),
        CollectionKind::Map | CollectionKind::Set => Vec::new(),
    };
    Decoded { value, source, keys }
}

/// True if a part of the collection is stored, sealed, and does not open.
pub(in crate::handle) fn is_unopened(field: &Field, kind: CollectionKind, fields: &Fields) -> bool {
    let content = Content::of(field, kind, fields);
    content.has_unopened || content.entries.values().any(|value| **value == *UNOPENED)
}
