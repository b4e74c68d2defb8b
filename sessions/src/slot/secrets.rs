//! Secret fields: sealed on the way to the store, opened on the way back.
//!
//! In between, all that a request knows of them is plain: what handles show, what changes are compared with.

use bytes::Bytes;

use super::{
    Slot,
    context::LayerContext,
    delta_failure::failed_operation,
    record::{LiveRecord, OpenedSecret},
};
use crate::{
    delta::{Delta, Op},
    error::Error,
    keys::SealingContext,
    value::{FieldName, Fields, RecordId},
};

/// The value in the place of a stored one that does not open: no type reads it, since no JSON begins so.
pub(crate) const UNOPENED: &[u8] = b"\0";

/// A secret field that does not open, and the reason.
pub(super) struct UnopenedSecret {
    pub(super) name: FieldName,
    pub(super) reason: String,
    pub(super) is_key_missing: bool,
    /// It is not sealed at all: the field may have become secret since.
    pub(super) is_plain: bool,
}

impl Slot {
    /// A commit's changes as the store is to have them.
    pub(super) fn sealed_delta(&self, id: RecordId, delta: Delta) -> Result<Delta, Error> {
        if !self.context().rules.has_secrets() {
            return Ok(delta);
        }
        let (delta, sealed) = self.sealed(id, delta)?;
        if let Some(live) = self.lock().record.live_mut(id) {
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
    ) -> Result<(Fields, Vec<OpenedSecret>), Error> {
        if !self.context().rules.has_secrets() {
            return Ok((fields.clone(), Vec::new()));
        }
        let (delta, opened) = self.sealed(id, delta)?;
        let mut stored = Fields::new();
        delta.apply(&mut stored).map_err(|failure| failed_operation(&failure))?;
        Ok((stored, opened))
    }

    fn sealed(&self, id: RecordId, delta: Delta) -> Result<(Delta, Vec<OpenedSecret>), Error> {
        let mut sealed = Vec::new();
        let mut seal = |name: &FieldName, value: Bytes| {
            let stored = self.context().seal(id, name, &value)?;
            sealed.push(OpenedSecret { name: name.clone(), value, stored: stored.clone() });
            Ok(stored)
        };
        let delta = delta.try_map(|name, op| {
            if !self.context().rules.is_secret(name) {
                return Ok(Some(op));
            }
            Ok(match op {
                Op::Put(value) => Some(Op::Put(seal(name, value)?)),
                Op::PutIfAbsent(value) => Some(Op::PutIfAbsent(seal(name, value)?)),
                Op::Remove => Some(Op::Remove),
                // If the store has another one by now, nothing is to go.
                Op::RemoveIf(value) => self.stored_form(name, &value).map(Op::RemoveIf),
                Op::ReplaceIf { expected, value } => {
                    let known = expected.as_ref().map(|expected| self.stored_form(name, expected));
                    // One that this request does not know is none that the store has.
                    let Some(expected) = known.map_or(Some(None), |stored| stored.map(Some)) else {
                        return Err(Error::changed_meanwhile(name));
                    };
                    Some(Op::ReplaceIf { expected, value: value.map(|value| seal(name, value)).transpose()? })
                }
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

    /// The stored form of this value, as far as the request knows it: each sealing of it looks different.
    fn stored_form(&self, name: &FieldName, value: &Bytes) -> Option<Bytes> {
        let state = self.lock();
        let mut opened = state.live()?.opened.iter();
        opened.find(|known| known.name == *name && known.value == *value).map(|known| known.stored.clone())
    }
}

/// Opens those of these fields that are secret, each entry of a collection by itself. Returns the ones that do not open.
pub(super) fn open_secrets(
    live: &mut LiveRecord,
    context: &LayerContext,
    names: &[FieldName],
) -> Vec<UnopenedSecret> {
    let mut unopened = Vec::new();
    if !context.rules.has_secrets() {
        return unopened;
    }
    let secret: Vec<_> = live.stored(names).filter(|name| context.rules.is_secret(name)).cloned().collect();
    for name in secret {
        let Some(mut stored) = live.fields.get(name.as_str()).cloned() else { continue };
        if let Some(known) = live.opened.iter().position(|known| known.name == name) {
            if *stored != *UNOPENED {
                continue;
            }
            // A view that asks again is refused for the same reason.
            stored = live.opened.swap_remove(known).stored;
        }
        let value = context.open(live.id, &name, &stored).unwrap_or_else(|reason| {
            unopened.push(reason);
            Bytes::from_static(UNOPENED)
        });
        live.fields.insert(name.clone(), value.clone());
        live.opened.push(OpenedSecret { name, value, stored });
    }
    unopened
}

impl LayerContext {
    fn seal(&self, record: RecordId, field: &FieldName, value: &[u8]) -> Result<Bytes, Error> {
        let Some(keys) = &self.keys else { return Err(Error::without_keys(field)) };
        keys.seal(SealingContext { purpose: &self.purpose, record, field }, value)
    }

    /// Returns the value, or the reason why there is none.
    fn open(&self, record: RecordId, field: &FieldName, stored: &[u8]) -> Result<Bytes, UnopenedSecret> {
        let name = field.clone();
        let Some(keys) = &self.keys else {
            let reason = Error::without_keys(field).to_string();
            return Err(UnopenedSecret { name, reason, is_key_missing: true, is_plain: false });
        };
        let context = SealingContext { purpose: &self.purpose, record, field };
        keys.open(context, stored).map_err(|error| UnopenedSecret {
            name,
            reason: error.to_string(),
            is_key_missing: error.is_key_missing(),
            is_plain: error.is_plain(),
        })
    }
}
