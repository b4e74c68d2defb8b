//! Secret fields: sealed on the way to the store, opened on the way back.
//!
//! In between, all that a request knows of them is plain: what handles show, what changes are compared with.

use std::fmt;

use bytes::Bytes;

use super::{
    Shared, Slot,
    state::{Live, Phase},
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    event::Event,
    keys::Place,
    value::{FieldName, Fields, RecordId},
};

/// What stands in the place of a stored value that does not open: no type reads it, since no JSON begins so.
pub(crate) const UNOPENED: &[u8] = b"\0";

/// A secret field that the request knows in plain, and how the store has it.
pub(super) struct Opened {
    pub(super) name: FieldName,
    value: Bytes,
    stored: Bytes,
}

/// A secret field that does not open, and why.
type Unopened = (FieldName, String);

impl Slot {
    /// Opens those of these fields that are secret, unless they are open already.
    pub(super) fn open_secrets(&self, names: &[FieldName]) {
        if !self.shared.rules.has_secrets() {
            return;
        }
        let unopened = match &mut self.lock().record {
            Phase::Live(live) => live.open_secrets(&self.shared, names),
            Phase::Unloaded | Phase::Absent | Phase::Superseded(_) => return,
        };
        self.report_unopened(&unopened);
    }

    pub(super) fn report_unopened(&self, unopened: &[Unopened]) {
        for (field, reason) in unopened {
            let record = self.facts().map(|facts| facts.id);
            self.shared.events.report(&Event::UndecodableField { record, field, reason });
        }
    }

    /// A commit's changes as the store is to have them.
    pub(super) fn sealed_delta(&self, id: RecordId, delta: Delta) -> Result<Delta, Error> {
        if !self.shared.rules.has_secrets() {
            return Ok(delta);
        }
        let (delta, sealed) = self.sealed(id, delta)?;
        if let Phase::Live(live) = &mut self.lock().record
            && live.id == id
        {
            live.opened.retain(|known| sealed.iter().all(|new| new.name != known.name));
            live.opened.extend(sealed);
        }
        Ok(delta)
    }

    /// A new record's fields as the store is to have them, of what is put into it.
    pub(super) fn sealed_fields(
        &self,
        id: RecordId,
        delta: Delta,
        fields: &Fields,
    ) -> Result<(Fields, Vec<Opened>), Error> {
        if !self.shared.rules.has_secrets() {
            return Ok((fields.clone(), Vec::new()));
        }
        let (delta, opened) = self.sealed(id, delta)?;
        let mut stored = Fields::new();
        delta.apply(&mut stored).map_err(|name| Error::not_an_integer(&name))?;
        Ok((stored, opened))
    }

    fn sealed(&self, id: RecordId, delta: Delta) -> Result<(Delta, Vec<Opened>), Error> {
        let mut sealed = Vec::new();
        let mut seal = |name: &FieldName, value: Bytes| {
            let stored = self.shared.seal(id, name, &value)?;
            sealed.push(Opened { name: name.clone(), value, stored: stored.clone() });
            Ok(stored)
        };
        let delta = delta.try_map(|name, op| {
            if !self.shared.rules.is_secret(name) {
                return Ok(Some(op));
            }
            Ok(match op {
                Op::Put(value) => Some(Op::Put(seal(name, value)?)),
                Op::PutIfAbsent(value) => Some(Op::PutIfAbsent(seal(name, value)?)),
                Op::Remove => Some(Op::Remove),
                // If the store has another one by now, nothing is to go.
                Op::RemoveIf(value) => self.stored_form(name, &value).map(Op::RemoveIf),
                Op::Add(_) | Op::Max(_) | Op::Min(_) => {
                    return Err(Error::invalid_field(
                        name,
                        "is `secret` in one view and counted in another; remove `merge` there",
                    ));
                }
            })
        })?;
        Ok((delta, sealed))
    }

    /// How the store has this value, as far as the request knows: each sealing of it looks different.
    fn stored_form(&self, name: &FieldName, value: &Bytes) -> Option<Bytes> {
        let state = self.lock();
        let mut opened = state.live()?.opened.iter();
        opened.find(|known| known.name == *name && known.value == *value).map(|known| known.stored.clone())
    }
}

impl Live {
    /// Opens all that are here: other views of the request may show them.
    pub(super) fn open_all_secrets(&mut self, shared: &Shared) -> Vec<Unopened> {
        if !shared.rules.has_secrets() {
            return Vec::new();
        }
        let names: Vec<_> = self.fields.iter().map(|(name, _)| name.clone()).collect();
        self.open_secrets(shared, &names)
    }

    /// Opens those of these fields that are secret; the ones that do not open are returned.
    pub(super) fn open_secrets(&mut self, shared: &Shared, names: &[FieldName]) -> Vec<Unopened> {
        let mut unopened = Vec::new();
        for name in names.iter().filter(|name| shared.rules.is_secret(name)) {
            if self.opened.iter().any(|known| known.name == *name) {
                continue;
            }
            let Some(stored) = self.fields.get(name.as_str()).cloned() else { continue };
            let value = shared.open(self.id, name, &stored).unwrap_or_else(|reason| {
                unopened.push((name.clone(), reason));
                Bytes::from_static(UNOPENED)
            });
            self.fields.insert(name.clone(), value.clone());
            self.opened.push(Opened { name: name.clone(), value, stored });
        }
        unopened
    }
}

impl Shared {
    fn seal(&self, record: RecordId, field: &FieldName, value: &[u8]) -> Result<Bytes, Error> {
        let Some(keys) = &self.keys else { return Err(Error::without_keys(field)) };
        keys.seal(Place { purpose: &self.purpose, record, field }, value)
    }

    fn open(&self, record: RecordId, field: &FieldName, stored: &[u8]) -> Result<Bytes, String> {
        let Some(keys) = &self.keys else { return Err(Error::without_keys(field).to_string()) };
        let place = Place { purpose: &self.purpose, record, field };
        keys.open(place, stored).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.name).finish()
    }
}
