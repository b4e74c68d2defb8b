//! One field of a handle: its decoded value and what was done to it.

use std::{
    cell::RefCell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use bytes::Bytes;

use super::{
    reread, stamp,
    table::{Counter, Field, Merge, Shape, Value},
};
use crate::{
    delta::{Add, Op},
    error::Error,
    slot::{FieldChange, UNOPENED},
    value::{FieldName, Fields},
};

/// A larger scratch buffer is not kept for the next value.
const LARGEST_SCRATCH: usize = 64 * 1024;

/// One field of a handle.
#[derive(Default)]
pub(super) struct Cell {
    decoded: OnceLock<Decoded>,
    /// What was there when the value was lent out for change, if the field's merge may have it stay.
    kept: Option<Value>,
    change: CellChange,
    /// Whether it was removed at some time, whatever came after that.
    was_removed: bool,
    /// When it was last changed, in the request's own count.
    at: u64,
    request_only: RequestOnly,
}

/// What `flash_now_…` set, for this request only.
#[derive(Default)]
enum RequestOnly {
    #[default]
    Unset,
    Set(Value),
    Taken,
}

/// A decoded value.
struct Decoded {
    /// `None` for an absent `Option` field; a plain field has its default.
    value: Option<Value>,
    source: Source,
}

/// Where the value that was loaded came from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It was set before anybody looked.
    Unread,
    Absent,
    Stored,
    Alias,
    Undecodable,
}

/// What was done to the field since it was loaded.
#[derive(Default)]
enum CellChange {
    #[default]
    None,
    /// Set, whatever was there.
    Put,
    /// Set as the field's merge has it.
    Merged,
    /// Lent out for change; this was its encoding before.
    Edited(Vec<u8>),
    /// Counted up from a value, as `add` says; then it was `seen`, and lent out for change.
    Counted {
        add: Add,
        from: i64,
        seen: i64,
    },
    Removed,
    /// A flash was taken; if it was one of this request, this is how it was stored.
    Taken(Option<Bytes>),
}

/// Told of a stored value that does not decode.
pub(super) type OnUndecodable<'a> = &'a dyn Fn(&Field, &serde_json::Error);

impl Cell {
    /// A cell that shows what `flash_now_…` of another handle of the request set.
    pub(super) fn showing(field: &Field, request_only: &Fields) -> Self {
        let shown = request_only.get(field.name).and_then(|stored| stamp::inner(stored));
        let request_only = shown
            .and_then(|json| (field.codec.decode)(json).ok())
            .map_or(RequestOnly::Unset, RequestOnly::Set);
        Self { request_only, ..Self::default() }
    }

    /// The value, decoded on first use.
    pub(super) fn value(&self, field: &Field, fields: &Fields, report: OnUndecodable<'_>) -> Option<&Value> {
        if let RequestOnly::Set(value) = &self.request_only {
            return Some(value);
        }
        self.decoded.get_or_init(|| Decoded::decode(field, fields, report));
        self.shown(field)
    }

    /// The value, or what stays in its place if it was changed to what cannot.
    fn shown(&self, field: &Field) -> Option<&Value> {
        let value = self.decoded.get()?.value.as_ref()?;
        Some(self.kept.as_ref().filter(|kept| stays(field, kept, value)).unwrap_or(value))
    }

    /// Whether the stored value does not decode.
    pub(super) fn is_undecodable(&self) -> bool {
        self.decoded.get().is_some_and(|decoded| decoded.source == Source::Undecodable)
    }

    /// Whether something was done to it, whatever comes of that. Runs no code of the field's type.
    pub(super) const fn is_changed(&self) -> bool {
        !matches!(self.change, CellChange::None)
    }

    /// When it was last changed, in the request's own count.
    pub(super) const fn changed_at(&self) -> u64 {
        self.at
    }

    /// Notes when it is changed.
    pub(super) fn changed(&mut self, at: u64) -> &mut Self {
        self.at = at;
        self
    }

    /// Whether the value is what the field has where nothing is stored.
    pub(super) fn is_of_default(field: &Field, value: &Value) -> bool {
        let default = field.default.and_then(|default| encoded(field, &default()));
        default.is_some() && default == encoded(field, value)
    }

    /// Sets the value where what was there does not matter, and need not be decoded.
    pub(super) fn put(&mut self, new: Value) {
        match self.decoded.get_mut() {
            Some(decoded) => decoded.value = Some(new),
            None => self.decoded = OnceLock::from(Decoded { value: Some(new), source: Source::Unread }),
        }
        self.change = CellChange::Put;
    }

    /// Sets the value as the field's merge has it.
    pub(super) fn merge(&mut self, field: &Field, new: Value) {
        self.end_edit(field);
        let Some(decoded) = self.decoded.get_mut() else { return };
        let is_there = decoded.is_there(&self.change);
        if decoded.value.as_ref().is_some_and(|old| is_there && stays(field, old, &new)) {
            return;
        }
        let is_sound = decoded.source != Source::Undecodable;
        let is_absolute = matches!(self.change, CellChange::Put | CellChange::Removed);
        self.change = if is_sound && !is_absolute { CellChange::Merged } else { CellChange::Put };
        decoded.value = Some(new);
    }

    /// Lends the value out for change.
    pub(super) fn edit(&mut self, field: &Field) -> Option<&mut Value> {
        self.end_edit(field);
        let decoded = self.decoded.get_mut()?;
        let is_there = decoded.is_there(&self.change);
        let value = decoded.value.as_mut()?;
        if is_there && field.merge.may_keep() {
            self.kept = copy(field, value);
        }
        match &self.change {
            CellChange::None => {
                self.change = match (field.merge, &field.counter) {
                    (Merge::Add, Some(counter)) if decoded.source != Source::Undecodable => {
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
            CellChange::Put | CellChange::Merged | CellChange::Edited(_) | CellChange::Counted { .. } => {}
        }
        Some(value)
    }

    /// Ends a change in place: what it became counts as if it were set.
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
            CellChange::None if decoded.source != Source::Undecodable => {
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

    pub(super) fn request_only(&mut self, value: Value) {
        self.request_only = RequestOnly::Set(value);
    }

    /// Undoes a take.
    pub(super) fn keep(&mut self, field: &Field) {
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

    /// What was done so far; the cell then reads what is stored, again.
    pub(super) fn take_change(
        &mut self,
        field: &Field,
        fields: &Fields,
    ) -> Result<Option<FieldChange>, Error> {
        let change = self.change(field, fields);
        *self = Self::default();
        change
    }

    /// Adds what `flash_now_…` leaves for other handles of the request; `None` once it was taken.
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

    /// What was done to the field.
    pub(super) fn change(&self, field: &Field, fields: &Fields) -> Result<Option<FieldChange>, Error> {
        let Some(mut op) = self.op(field, fields)? else { return Ok(None) };
        let is_default = matches!(&op, Op::Put(value) if is_default(field, fields, value));
        let (name, aliases, at) = (field.name(), field.aliases, self.at);
        let (class, declared, mut was_removed) = (field.class, field.class, self.was_removed);
        if class.is_right() && self.is_edited_to_default(field) {
            (op, was_removed) = (Op::Remove, true);
        }
        let is_flash = field.shape == Shape::Flash;
        Ok(Some(FieldChange { name, op, aliases, is_default, class, declared, is_flash, was_removed, at }))
    }

    /// Whether it was changed in place to what it has where nothing is stored.
    fn is_edited_to_default(&self, field: &Field) -> bool {
        let Some(value) = self.decoded.get().and_then(|decoded| decoded.value.as_ref()) else { return false };
        let is_edited = match &self.change {
            CellChange::Put => true,
            CellChange::Edited(before) => encoded(field, value).as_ref() != Some(before),
            _ => false,
        };
        is_edited && Self::is_of_default(field, value)
    }

    /// The removal of the field, if it was removed at some time, or is a right that was changed in place to its default.
    pub(super) fn removal(&self, field: &Field) -> Option<FieldChange> {
        let (name, aliases, class) = (field.name(), field.aliases, field.class);
        let (op, is_default, declared, was_removed, at) = (Op::Remove, false, class, true, self.at);
        let is_flash = false;
        let change =
            FieldChange { name, op, aliases, is_default, class, declared, is_flash, was_removed, at };
        // It runs code of the field's type.
        let is_edited =
            || catch_unwind(AssertUnwindSafe(|| self.is_edited_to_default(field))).unwrap_or(false);
        let is_removed = self.was_removed || (class.is_right() && is_edited());
        is_removed.then_some(change)
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
            (CellChange::None, _) | (CellChange::Counted { .. }, None) => None,
            (CellChange::Merged, _) => encoded()?.map(merged),
            // Whether it differs from what is there is for the slot to say: other handles of the
            // request may have changed it since.
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
            // A flash that came meanwhile is another one, and stays.
            (CellChange::Taken(_), _) => fields.get(field.name).cloned().map(Op::RemoveIf),
        })
    }
}

impl Decoded {
    fn decode(field: &Field, fields: &Fields, report: OnUndecodable<'_>) -> Self {
        let absent = || field.default.map(|default| default());
        let mut source = Source::Stored;
        let mut stored = fields.get(field.name);
        if stored.is_none() {
            source = Source::Alias;
            stored = field.aliases.iter().find_map(|alias| fields.get(alias));
        }
        let Some(stored) = stored.filter(|_| field.shape != Shape::Skipped) else {
            return Self { value: absent(), source: Source::Absent };
        };
        if **stored == *UNOPENED {
            // Reported where it was found.
            return Self { value: absent(), source: Source::Undecodable };
        }
        let json = match field.shape {
            Shape::Flash => stamp::inner(stored).unwrap_or_default(),
            Shape::Stored | Shape::Skipped => stored,
        };
        match (field.codec.decode)(json) {
            Ok(value) => Self { value: Some(value), source },
            Err(error) => {
                report(field, &error);
                Self { value: absent(), source: Source::Undecodable }
            }
        }
    }

    /// Whether there is a value that the field's merge may have stay: a default is none, nor is what
    /// does not decode.
    fn is_there(&self, change: &CellChange) -> bool {
        let is_known = self.source != Source::Absent || !matches!(change, CellChange::None);
        is_known && self.source != Source::Undecodable && !matches!(change, CellChange::Removed)
    }
}

/// Whether the field's merge has the old value stay where another is set.
fn stays(field: &Field, old: &Value, new: &Value) -> bool {
    let number = |value: &Value| field.counter.as_ref().map(|counter| (counter.get)(&**value));
    match field.merge {
        Merge::Max => number(old) >= number(new),
        Merge::Min => number(old) <= number(new),
        Merge::First => true,
        Merge::Last | Merge::Add => false,
    }
}

fn encoded(field: &Field, value: &Value) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    (field.codec.encode)(&**value, &mut json).ok().map(|()| json)
}

fn copy(field: &Field, value: &Value) -> Option<Value> {
    (field.codec.decode)(&encoded(field, value)?).ok()
}

/// Whether a value is the default that the field has where nothing is stored, as here.
fn is_default(field: &Field, fields: &Fields, value: &Bytes) -> bool {
    let is_stored = fields.contains(field.name) || field.aliases.iter().any(|alias| fields.contains(alias));
    let default = || field.default.and_then(|default| stored(field, &default()).ok());
    !is_stored && default().as_ref() == Some(value)
}

/// The operation that sets a field as its merge has it. What is stored under an older name takes
/// part: it is removed in the same commit.
fn merged(field: &Field, fields: &Fields, source: Source, value: Option<&Value>, encoded: Bytes) -> Op {
    let older = || field.aliases.iter().find_map(|alias| fields.get(alias));
    let older = if source == Source::Alias { older() } else { None };
    let number = |value: &Value| field.counter.as_ref().map(|counter| (counter.get)(&**value));
    let older_number = || number(&(field.codec.decode)(older?).ok()?);
    match (field.merge, value.and_then(number)) {
        _ if source == Source::Undecodable => Op::Put(encoded),
        (Merge::Max, Some(value)) => Op::Max(older_number().map_or(value, |older| older.max(value))),
        (Merge::Min, Some(value)) => Op::Min(older_number().map_or(value, |older| older.min(value))),
        (Merge::First, _) => Op::PutIfAbsent(older.cloned().unwrap_or(encoded)),
        (Merge::Last | Merge::Add | Merge::Max | Merge::Min, _) => Op::Put(encoded),
    }
}

/// An addition and what was added in place since, as one, if there is such a one.
fn counted(counter: &Counter, add: Add, seen: i64, current: i64) -> Option<Add> {
    add.then(counter.adding(current.checked_sub(seen)?, 0))
}

/// What the store must do to count by `by`.
pub(super) fn counting(field: &Field, fields: &Fields, by: i64, at: u64) -> Option<FieldChange> {
    let counter = field.counter.as_ref()?;
    let source = if fields.contains(field.name) { Source::Stored } else { Source::Alias };
    let start = start(field, fields, source);
    let op = Op::Add(counter.adding(by, start));
    let (name, aliases, class) = (field.name(), field.aliases, field.class);
    let (is_default, declared, is_flash, was_removed) = (false, class, false, false);
    Some(FieldChange { name, op, aliases, is_default, class, declared, is_flash, was_removed, at })
}

/// What a store that has no such field counts from: its default, or what it has under an older
/// name.
fn start(field: &Field, fields: &Fields, source: Source) -> i64 {
    let Some(counter) = &field.counter else { return 0 };
    let older = || {
        let stored = field.aliases.iter().find_map(|alias| fields.get(alias))?;
        (field.codec.decode)(stored).ok()
    };
    let value = match source {
        Source::Alias => older().or_else(|| field.default.map(|default| default())),
        _ => field.default.map(|default| default()),
    };
    value.map_or(0, |value| (counter.get)(&*value))
}

/// A value as the store keeps it.
fn stored(field: &Field, value: &Value) -> Result<Bytes, Error> {
    thread_local! {
        /// Where values are written before their size is known.
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken, not borrowed: a type's `Serialize` may be anybody's code, and come back here.
    let mut json = SCRATCH.take();
    json.clear();
    let stored = encode(field, value, &mut json);
    if json.capacity() <= LARGEST_SCRATCH {
        SCRATCH.set(json);
    }
    stored
}

fn encode(field: &Field, value: &Value, json: &mut Vec<u8>) -> Result<Bytes, Error> {
    if let Some(counter) = &field.counter {
        // Cut to 64 bits with sign, in which stores count.
        return Ok((counter.get)(&**value).to_string().into());
    }
    // Of a secret value no part is told, and anybody's code may write one into its error.
    let refused = |what: &str, why: &dyn fmt::Display| {
        let reason = if field.is_secret { what.to_owned() } else { format!("{what}: {why}") };
        Error::invalid_field(&field.name(), &reason)
    };
    (field.codec.encode)(&**value, json).map_err(|error| refused("cannot be written as JSON", &error))?;
    if cfg!(debug_assertions)
        && let Some(difference) = reread::difference(field.codec, json)
    {
        return Err(refused(
            "is read as something else than it was written, so that a later request would not have this value \
             (only builds with debug assertions refuse it; look for `tag`, `untagged`, `flatten`, `skip_…` and \
             `deserialize_with` in its type)",
            &difference,
        ));
    }
    match field.shape {
        Shape::Flash => stamp::with_new(json),
        Shape::Stored | Shape::Skipped => Ok(Bytes::copy_from_slice(json)),
    }
}
