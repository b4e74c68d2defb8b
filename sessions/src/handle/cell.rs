//! One field of a handle: its decoded value, and what was done to it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use bytes::Bytes;

use super::{
    collection::{Edit, Staging, decode},
    decoded::{Decoded, OnUndecodable, ValueSource},
    encode::{copied, encoded, stored},
    merge::{change_of, counted, merged, start, stays},
    stamp,
    table::{Field, Merge, Shape, Value},
};
use crate::{
    delta::{Add, Op},
    error::Error,
    slot::{FieldChange, StagedChanges},
    value::{
        FieldName, Fields, Timestamp,
        collection::{elements, joined},
    },
};

/// One field of a handle.
#[derive(Default)]
pub(super) struct Cell {
    decoded: OnceLock<Decoded>,
    /// The value before it was lent out for change, if the field's merge may have it stay.
    kept: Option<Value>,
    change: CellChange,
    /// True if it was removed at some time, whatever came after that.
    was_removed: bool,
    /// The time of the last change in the request's own count.
    at: u64,
    request_only: RequestOnly,
}

/// The value that `flash_now_…` set, for this request only.
#[derive(Default)]
enum RequestOnly {
    #[default]
    Unset,
    Set(Value),
    Taken,
}

/// A change of the field since it was loaded.
#[derive(Default)]
enum CellChange {
    #[default]
    None,
    /// It was set, whatever was there.
    Put,
    /// It was set as the field's merge has it.
    Merged,
    /// It was lent out for change; this was its encoding before.
    Edited(Vec<u8>),
    /// It was counted up from a value, as `add` says. Then it was `seen`, and lent out for change.
    Counted {
        add: Add,
        from: i64,
        seen: i64,
    },
    Removed,
    /// A flash was taken. If it was one of this request, this is how it was stored.
    Taken(Option<Bytes>),
    /// A list of flashes was taken: this is the list as it was loaded, and the items of this request.
    Delivered {
        loaded: Vec<u8>,
        unsent: Vec<u8>,
    },
}

impl Cell {
    /// A cell that shows what `flash_now_…` of another handle of the request set.
    pub(super) fn showing(field: &Field, request_only: &Fields) -> Self {
        let shown = request_only.get(field.name).and_then(|stored| stamp::inner(stored));
        let decoded = shown.and_then(|json| (field.codec.decode)(json).ok());
        Self { request_only: decoded.map_or(RequestOnly::Unset, RequestOnly::Set), ..Self::default() }
    }

    /// The value, decoded on first use.
    pub(super) fn value(&self, field: &Field, fields: &Fields, report: OnUndecodable<'_>) -> Option<&Value> {
        if let RequestOnly::Set(value) = &self.request_only {
            return Some(value);
        }
        self.decoded.get_or_init(|| match &field.collection {
            Some(collection) => decode(field, collection.kind, fields, report),
            None => Decoded::new(field, fields, report),
        });
        self.shown(field)
    }

    /// The value, or what stays in its place if it was changed to one that the merge refuses.
    fn shown(&self, field: &Field) -> Option<&Value> {
        let value = self.decoded.get()?.value.as_ref()?;
        Some(self.kept.as_ref().filter(|kept| stays(field, kept, value)).unwrap_or(value))
    }

    /// True if the stored value does not decode.
    pub(super) fn is_undecodable(&self) -> bool {
        self.decoded.get().is_some_and(|decoded| decoded.source == ValueSource::Undecodable)
    }

    /// True if something was done to it, whatever comes of that. Runs no code of the field's type.
    pub(super) const fn is_changed(&self) -> bool {
        !matches!(self.change, CellChange::None)
    }

    /// The time of the last change in the request's own count.
    pub(super) const fn changed_at(&self) -> u64 {
        self.at
    }

    /// Notes the time of a change.
    pub(super) fn changed(&mut self, at: u64) -> &mut Self {
        self.at = at;
        self
    }

    /// True if the value is what the field has where nothing is stored.
    pub(super) fn is_of_default(field: &Field, value: &Value) -> bool {
        let default = field.default.and_then(|default| encoded(field, &default()));
        default.is_some() && default == encoded(field, value)
    }

    /// Sets the value where what was there does not matter, and need not be decoded.
    pub(super) fn put(&mut self, new: Value) {
        match self.decoded.get_mut() {
            Some(decoded) => decoded.value = Some(new),
            None => {
                self.decoded = OnceLock::from(Decoded::of(Some(new), ValueSource::Unread));
            }
        }
        self.change = CellChange::Put;
    }

    /// Sets the value as the field's merge has it.
    pub(super) fn merge(&mut self, field: &Field, new: Value) {
        self.end_edit(field);
        let Some(decoded) = self.decoded.get_mut() else { return };
        let is_there = is_there(decoded, &self.change);
        if decoded.value.as_ref().is_some_and(|old| is_there && stays(field, old, &new)) {
            return;
        }
        let is_sound = decoded.source != ValueSource::Undecodable;
        let is_absolute = matches!(self.change, CellChange::Put | CellChange::Removed);
        self.change = if is_sound && !is_absolute { CellChange::Merged } else { CellChange::Put };
        decoded.value = Some(new);
    }

    /// Lends the value out for change.
    pub(super) fn edit(&mut self, field: &Field) -> Option<&mut Value> {
        self.end_edit(field);
        let decoded = self.decoded.get_mut()?;
        let is_there = is_there(decoded, &self.change);
        let value = decoded.value.as_mut()?;
        if is_there && field.merge.may_keep() {
            self.kept = copied(field, value);
        }
        match &self.change {
            CellChange::None => {
                self.change = match (field.merge, &field.counter) {
                    (Merge::Add, Some(counter)) if decoded.source != ValueSource::Undecodable => {
                        let current = (counter.get)(&**value);
                        CellChange::Counted { add: counter.adding(0, 0), from: current, seen: current }
                    }
                    _ => {
                        // What cannot be encoded now cannot be told from what it becomes.
                        encoded(field, value).map_or(CellChange::Put, CellChange::Edited)
                    }
                };
            }
            CellChange::Removed | CellChange::Taken(_) => self.change = CellChange::Put,
            CellChange::Put
            | CellChange::Merged
            | CellChange::Edited(_)
            | CellChange::Counted { .. }
            | CellChange::Delivered { .. } => {}
        }
        Some(value)
    }

    /// Takes all items out of a list of flashes; they are thereby delivered.
    pub(super) fn take_list(&mut self, field: &Field) -> Option<Value> {
        let decoded = self.decoded.get_mut()?;
        let empty = (field.codec.decode)(b"[]").ok();
        let taken = std::mem::replace(&mut decoded.value, empty)?;
        // What cannot be written could not have been kept either.
        let current = encoded(field, &taken).unwrap_or_else(|| b"[]".into());
        self.change = match std::mem::take(&mut self.change) {
            CellChange::Edited(loaded) => {
                let unsent = items(&current).into_iter().skip(items(&loaded).len());
                CellChange::Delivered { unsent: list_of(unsent), loaded }
            }
            CellChange::Delivered { loaded, unsent } => {
                let unsent = items(&unsent).into_iter().chain(items(&current));
                CellChange::Delivered { unsent: list_of(unsent), loaded }
            }
            _ => CellChange::Delivered { loaded: current, unsent: b"[]".into() },
        };
        Some(taken)
    }

    /// Undoes the takes of a list of flashes.
    fn keep_list(&mut self, field: &Field) {
        let Some(decoded) = self.decoded.get_mut() else { return };
        let CellChange::Delivered { loaded, unsent } = &self.change else { return };
        let current = decoded.value.as_ref().and_then(|value| encoded(field, value)).unwrap_or_default();
        let all = items(loaded).into_iter().chain(items(unsent)).chain(items(&current));
        decoded.value = (field.codec.decode)(&list_of(all)).ok();
        if let CellChange::Delivered { loaded, .. } = std::mem::take(&mut self.change) {
            self.change = CellChange::Edited(loaded);
        }
    }

    /// Ends a change in place: the value that it led to counts as if it were set.
    fn end_edit(&mut self, field: &Field) {
        let Some(decoded) = self.decoded.get_mut().filter(|_| field.merge.may_keep()) else { return };
        let Some(value) = &mut decoded.value else { return };
        if let Some(kept) = self.kept.take().filter(|kept| stays(field, kept, value)) {
            *value = kept;
        }
        if let CellChange::Edited(before) = &self.change
            && encoded(field, value).as_ref() == Some(before)
        {
            self.change = CellChange::None;
        }
    }

    pub(super) fn add(&mut self, field: &Field, more: i64) {
        let Some(counter) = &field.counter else { return };
        let Some(decoded) = self.decoded.get_mut() else { return };
        let Some(value) = &mut decoded.value else { return };
        let current = (counter.get)(&**value);
        let next = counter.adding(more, 0);
        let sum = next.applied_to(current);
        *value = (counter.put)(sum);
        self.change = match self.change {
            CellChange::None if decoded.source != ValueSource::Undecodable => {
                CellChange::Counted { add: next, from: current, seen: sum }
            }
            CellChange::Counted { add, from, seen } => {
                let together = counted(counter, add, seen, current).and_then(|add| add.then(next));
                together.map_or(CellChange::Put, |add| CellChange::Counted { add, from, seen: sum })
            }
            _ => CellChange::Put,
        };
    }

    /// Takes the value out; a flash is thereby delivered.
    pub(super) fn take(&mut self, field: &Field) -> Option<Value> {
        match std::mem::replace(&mut self.request_only, RequestOnly::Taken) {
            RequestOnly::Set(value) => return Some(value),
            before => self.request_only = before,
        }
        self.end_edit(field);
        let decoded = self.decoded.get_mut()?;
        let value = decoded.value.take()?;
        self.change = match (field.shape, &self.change) {
            // One that cannot be stored could not have been kept either.
            (Shape::Flash, CellChange::Put) => CellChange::Taken(stored(field, &value).ok()),
            (Shape::Flash, _) => CellChange::Taken(None),
            _ => {
                self.was_removed = true;
                CellChange::Removed
            }
        };
        Some(value)
    }

    pub(super) fn remove(&mut self, field: &Field) {
        if matches!(self.request_only, RequestOnly::Set(_)) {
            self.request_only = RequestOnly::Taken;
        }
        let Some(decoded) = self.decoded.get_mut() else { return };
        decoded.value = field.default.map(|default| default());
        self.kept = None;
        self.change = CellChange::Removed;
        self.was_removed = true;
    }

    /// Shows a value for this request only.
    pub(super) fn show_once(&mut self, value: Value) {
        self.request_only = RequestOnly::Set(value);
    }

    /// Undoes a take.
    pub(super) fn keep(&mut self, field: &Field) {
        if field.collection.is_some() {
            return self.keep_list(field);
        }
        let CellChange::Taken(unsent) = &mut self.change else { return };
        match unsent.take() {
            None => {
                self.change = CellChange::None;
                self.decoded = OnceLock::new();
            }
            Some(stored) => {
                let value = stamp::inner(&stored).and_then(|json| (field.codec.decode)(json).ok());
                if let Some(decoded) = self.decoded.get_mut() {
                    decoded.value = value;
                }
                self.change = CellChange::Put;
            }
        }
    }

    /// Takes out what was done so far; the cell then reads what is stored, again.
    pub(super) fn take_change(
        &mut self,
        field: &Field,
        fields: &Fields,
    ) -> Result<Option<FieldChange>, Error> {
        let change = self.change(field, fields);
        *self = Self::default();
        change
    }

    /// Adds the value that `flash_now_…` leaves for other handles of the request; `None` once it was taken.
    pub(super) fn add_request_only_to(
        &self,
        list: &mut Vec<(FieldName, Option<Bytes>)>,
        field: &Field,
    ) -> Result<(), Error> {
        match &self.request_only {
            RequestOnly::Unset => {}
            RequestOnly::Set(value) => list.push((field.name(), Some(stored(field, value)?))),
            RequestOnly::Taken => list.push((field.name(), None)),
        }
        Ok(())
    }

    /// Adds what was done to the field to what is staged.
    pub(super) fn stage(
        &self,
        field: &Field,
        fields: &Fields,
        now: &dyn Fn() -> Timestamp,
        staged: &mut StagedChanges,
    ) -> Result<(), Error> {
        let Some(collection) = &field.collection else {
            staged.changes.extend(self.change(field, fields)?);
            return Ok(());
        };
        let Some(decoded) = self.decoded.get() else { return Ok(()) };
        let edit = match &self.change {
            CellChange::None => return Ok(()),
            CellChange::Edited(before) => Edit::Edited(before),
            CellChange::Delivered { .. } => Edit::Delivered,
            CellChange::Removed => Edit::Removed,
            CellChange::Put | CellChange::Merged | CellChange::Counted { .. } | CellChange::Taken(_) => {
                Edit::Set
            }
        };
        let at = self.at;
        Staging { field, collection, fields, decoded, at, now }.stage(edit, staged)
    }

    /// The change that was made to the field, if there is one.
    fn change(&self, field: &Field, fields: &Fields) -> Result<Option<FieldChange>, Error> {
        if let (CellChange::Taken(_), Some(_)) = (&self.change, self.decoded.get()) {
            return Ok(self.removal_of_flash(field, fields));
        }
        let Some(mut op) = self.op(field, fields)? else { return Ok(None) };
        let is_default = matches!(&op, Op::Put(value) if is_default(field, fields, value));
        let mut was_removed = self.was_removed;
        if field.class.is_right() && self.is_edited_to_default(field) {
            (op, was_removed) = (Op::Remove, true);
        }
        let is_flash = field.shape == Shape::Flash;
        Ok(Some(FieldChange { is_default, is_flash, was_removed, ..change_of(field, op, self.at) }))
    }

    /// The removal of a flash that was taken, under the name under which it is stored. A flash that came meanwhile is
    /// another one, and stays.
    fn removal_of_flash(&self, field: &Field, fields: &Fields) -> Option<FieldChange> {
        let was_removed = self.was_removed;
        let removal = |stored: &Bytes| FieldChange {
            is_flash: true,
            was_removed,
            ..change_of(field, Op::RemoveIf(stored.clone()), self.at)
        };
        if let Some(stored) = fields.get(field.name) {
            return Some(removal(stored));
        }
        let (index, stored) =
            field.aliases.iter().enumerate().find_map(|(index, alias)| Some((index, fields.get(alias)?)))?;
        let name = FieldName::from_static(field.aliases[index]);
        Some(FieldChange { name, aliases: &field.aliases[index + 1..], ..removal(stored) })
    }

    /// True if it was changed in place to what it has where nothing is stored.
    fn is_edited_to_default(&self, field: &Field) -> bool {
        let Some(value) = self.decoded.get().and_then(|decoded| decoded.value.as_ref()) else { return false };
        let is_edited = match &self.change {
            CellChange::Put => true,
            CellChange::Edited(before) => encoded(field, value).as_ref() != Some(before),
            _ => false,
        };
        is_edited && Self::is_of_default(field, value)
    }

    /// The removal of the field, if it was removed at some time, or is a right that was changed in place to its
    /// default.
    pub(super) fn removal(&self, field: &Field) -> Option<FieldChange> {
        // It runs code of the field's type.
        let is_edited =
            || catch_unwind(AssertUnwindSafe(|| self.is_edited_to_default(field))).unwrap_or(false);
        let is_removed = self.was_removed || (field.class.is_right() && is_edited());
        is_removed.then(|| FieldChange { was_removed: true, ..change_of(field, Op::Remove, self.at) })
    }

    fn op(&self, field: &Field, fields: &Fields) -> Result<Option<Op>, Error> {
        let Some(decoded) = self.decoded.get() else { return Ok(None) };
        if field.shape == Shape::Skipped {
            return Ok(None);
        }
        let shown = self.shown(field);
        let encoded = || shown.map(|value| stored(field, value)).transpose();
        let merged = |encoded| merged(field, fields, decoded.source, shown, encoded);
        Ok(match (&self.change, &field.counter) {
            (CellChange::None | CellChange::Taken(_) | CellChange::Delivered { .. }, _)
            | (CellChange::Counted { .. }, None) => None,
            (CellChange::Merged, _) => encoded()?.map(merged),
            // The slot compares it with what is there: other handles of the request may have changed it since.
            (CellChange::Put, _) => encoded()?.map(Op::Put),
            (CellChange::Edited(before), _) => encoded()?.filter(|value| value != before).map(merged),
            (CellChange::Counted { add, from, seen }, Some(counter)) => {
                let current = decoded.value.as_ref().map_or(0, |value| (counter.get)(&**value));
                match counted(counter, *add, *seen, current) {
                    Some(add) if add.by == 0 && current == *from => None,
                    Some(add) => Some(Op::Add(Add { start: start(field, fields, decoded.source), ..add })),
                    None => encoded()?.map(Op::Put),
                }
            }
            (CellChange::Removed, _) => Some(Op::Remove),
        })
    }
}

fn items(list: &[u8]) -> Vec<&[u8]> {
    elements(list).unwrap_or_default()
}

fn list_of<'a>(items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    joined(b'[', items.map(|item| (None, item)), b']')
}

/// True if there is a value that the field's merge may have stay: a default is none, nor is a value that does not
/// decode.
fn is_there(decoded: &Decoded, change: &CellChange) -> bool {
    let is_known = decoded.source != ValueSource::Absent || !matches!(change, CellChange::None);
    is_known && decoded.source != ValueSource::Undecodable && !matches!(change, CellChange::Removed)
}

/// True if a value is the default that the field has where nothing is stored, as here.
fn is_default(field: &Field, fields: &Fields, value: &Bytes) -> bool {
    let is_stored = fields.contains(field.name) || field.aliases.iter().any(|alias| fields.contains(alias));
    let default = || field.default.and_then(|default| stored(field, &default()).ok());
    !is_stored && default().as_ref() == Some(value)
}

#[cfg(test)]
mod tests;
