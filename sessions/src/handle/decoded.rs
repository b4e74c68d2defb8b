//! A field's value as it was loaded, decoded.

use super::{
    stamp,
    table::{Field, Shape, Value},
};
use crate::{slot::UNOPENED, value::Fields};

/// Is told of a stored value that does not decode.
pub(super) type OnUndecodable<'a> = &'a dyn Fn(&Field, &serde_json::Error);

/// A decoded value.
pub(super) struct Decoded {
    /// `None` for an absent `Option` field; a plain field has its default.
    pub(super) value: Option<Value>,
    pub(super) source: ValueSource,
    /// The keys of the items of a list, in their order.
    pub(super) keys: Vec<String>,
}

/// The source of the value that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueSource {
    /// It was set before it was read.
    Unread,
    Absent,
    Stored,
    Alias,
    Undecodable,
}

impl Decoded {
    /// Decodes the field's value among these, under its present name or an older one.
    pub(super) fn new(field: &Field, fields: &Fields, report: OnUndecodable<'_>) -> Self {
        let absent = || field.default.map(|default| default());
        let mut source = ValueSource::Stored;
        let mut stored = fields.get(field.name);
        if stored.is_none() {
            source = ValueSource::Alias;
            stored = field.aliases.iter().find_map(|alias| fields.get(alias));
        }
        let Some(stored) = stored.filter(|_| field.shape != Shape::Skipped) else {
            return Self::of(absent(), ValueSource::Absent);
        };
        if **stored == *UNOPENED {
            // Reported where it was found.
            return Self::of(absent(), ValueSource::Undecodable);
        }
        let json = match field.shape {
            Shape::Flash => stamp::inner(stored).unwrap_or_default(),
            Shape::Stored | Shape::Skipped => stored,
        };
        match (field.codec.decode)(json) {
            Ok(value) => Self::of(Some(value), source),
            Err(error) => {
                report(field, &error);
                Self::of(absent(), ValueSource::Undecodable)
            }
        }
    }

    /// A value of this source, which is no list.
    pub(super) const fn of(value: Option<Value>, source: ValueSource) -> Self {
        Self { value, source, keys: Vec::new() }
    }
}
