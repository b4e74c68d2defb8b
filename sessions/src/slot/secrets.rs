//! Secret fields: sealed on the way to the store, opened on the way back.
//!
//! In between, all that a request knows of them is plain: what handles show, what changes are compared with.

use std::fmt;

use bytes::Bytes;

use super::{
    Rules, Shared, Slot,
    state::{Live, Phase},
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    keys::Place,
    value::{FieldName, Fields, RecordId},
};

/// What stands in the place of a stored value that does not open: no type reads it, since no JSON begins so.
pub(crate) const UNOPENED: &[u8] = b"\0";

/// A secret field that the request knows in plain, and how the store has it.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) name: FieldName,
    value: Bytes,
    stored: Bytes,
}

/// A secret field that does not open, and why.
pub(super) struct Unopened {
    pub(super) name: FieldName,
    pub(super) reason: String,
    pub(super) is_key_missing: bool,
    /// It is not sealed at all: the field may have become secret since.
    pub(super) is_plain: bool,
}

impl Slot {
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
    /// Whether no secret among these fields is still to be opened.
    pub(super) fn are_open(&self, names: &[FieldName], rules: &Rules) -> bool {
        !rules.has_secrets()
            || names
                .iter()
                .filter(|name| self.fields.contains(name.as_str()))
                .all(|name| !rules.is_secret(name) || self.opened.iter().any(|known| known.name == *name))
    }

    /// Opens those of these fields that are secret; the ones that do not open are returned.
    pub(super) fn open_secrets(
        &mut self,
        shared: &Shared,
        names: impl Iterator<Item = FieldName>,
    ) -> Vec<Unopened> {
        let mut unopened = Vec::new();
        if !shared.rules.has_secrets() {
            return unopened;
        }
        for name in names.filter(|name| shared.rules.is_secret(name)) {
            let name = &name;
            let Some(mut stored) = self.fields.get(name.as_str()).cloned() else { continue };
            if let Some(known) = self.opened.iter().position(|known| known.name == *name) {
                if *stored != *UNOPENED {
                    continue;
                }
                // Whoever asks again is refused for the same reason.
                stored = self.opened.swap_remove(known).stored;
            }
            let value = shared.open(self.id, name, &stored).unwrap_or_else(|reason| {
                unopened.push(reason);
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

    /// The value, or why there is none.
    fn open(&self, record: RecordId, field: &FieldName, stored: &[u8]) -> Result<Bytes, Unopened> {
        let name = field.clone();
        let Some(keys) = &self.keys else {
            let reason = Error::without_keys(field).to_string();
            return Err(Unopened { name, reason, is_key_missing: true, is_plain: false });
        };
        keys.open(Place { purpose: &self.purpose, record, field }, stored).map_err(|error| Unopened {
            name,
            reason: error.to_string(),
            is_key_missing: error.is_key_missing(),
            is_plain: error.is_plain(),
        })
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opened").field(&self.name).finish()
    }
}
