//! What the derive says about a view's fields: data, so that the code that works on them is
//! compiled once, in this library.

use std::{any::Any, fmt, sync::OnceLock};

use serde::{Serialize, de::DeserializeOwned};

use crate::value::FieldName;

/// A decoded value, its type erased.
pub type Value = Box<dyn Any + Send + Sync>;

/// What may be a field of a session: a type that serde can write and read, and that may move
/// between threads.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a session field",
    label = "cannot be stored",
    note = "a field's type needs `serde::Serialize`, `serde::de::DeserializeOwned`, `Send`, `Sync` and `'static`",
    note = "derive `Serialize` and `Deserialize` for it, name a module with `#[session(with = \"…\")]`, or keep the field out of the store with `#[session(skip)]`"
)]
pub trait FieldValue: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> FieldValue for T {}

/// The fields of a view.
pub struct Table {
    pub(crate) fields: &'static [Field],
    names: OnceLock<Vec<FieldName>>,
}

/// One field of a view.
pub struct Field {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) shape: Shape,
    pub(crate) merge: Merge,
    pub(crate) on_invalid: OnInvalid,
    pub(crate) codec: Codec,
    /// What an absent plain field counts as.
    pub(crate) default: Option<fn() -> Value>,
    pub(crate) counter: Option<Counter>,
}

/// What kind of field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `T` or `Option<T>`, stored.
    Stored,
    /// Stored with a stamp, delivered once.
    Flash,
    /// Never stored.
    Skipped,
}

/// What happens when two requests change the field at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The last write stays.
    Last,
    /// Differences add up.
    Add,
    /// The largest stays.
    Max,
    /// The smallest stays.
    Min,
    /// The first write stays.
    First,
}

/// What happens to a stored value that does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInvalid {
    /// It counts as absent.
    Reset,
    /// The request is refused.
    Reject,
}

/// How a field's value becomes JSON and back.
#[derive(Clone, Copy)]
pub struct Codec {
    pub(crate) decode: fn(&[u8]) -> Result<Value, serde_json::Error>,
    pub(crate) encode: fn(&(dyn Any + Send + Sync), &mut Vec<u8>) -> Result<(), serde_json::Error>,
}

/// How a field's value becomes an integer and back.
#[derive(Clone, Copy)]
pub struct Counter {
    pub(crate) get: fn(&(dyn Any + Send + Sync)) -> i64,
    pub(crate) put: fn(i64) -> Value,
    pub(crate) min: i64,
    pub(crate) max: i64,
}

impl Table {
    /// The table of these fields.
    #[must_use]
    pub const fn new(fields: &'static [Field]) -> Self {
        Self { fields, names: OnceLock::new() }
    }

    /// All names under which a field of the view may be stored.
    pub(crate) fn names(&self) -> &[FieldName] {
        self.names.get_or_init(|| {
            let stored = self.fields.iter().filter(|field| field.shape != Shape::Skipped);
            let names = stored.flat_map(|field| [&field.name].into_iter().chain(field.aliases));
            names.map(|name| FieldName::from_static(name)).collect()
        })
    }
}

impl Field {
    /// A field of this name that holds values with this codec.
    #[must_use]
    pub const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        shape: Shape,
        merge: Merge,
        on_invalid: OnInvalid,
        codec: Codec,
    ) -> Self {
        Self { name, aliases, shape, merge, on_invalid, codec, default: None, counter: None }
    }

    /// Its stored name.
    pub(crate) const fn name(&self) -> FieldName {
        FieldName::from_static(self.name)
    }

    /// The same, plain, with this default.
    #[must_use]
    pub const fn or(mut self, default: fn() -> Value) -> Self {
        self.default = Some(default);
        self
    }

    /// The same, of integers.
    #[must_use]
    pub const fn counted(mut self, counter: Counter) -> Self {
        self.counter = Some(counter);
        self
    }
}

impl Codec {
    /// JSON as serde writes it.
    #[must_use]
    pub const fn json<T: FieldValue>() -> Self {
        Self { decode: decode::<T>, encode: encode::<T> }
    }

    /// JSON as a module written for serde's `with` does it.
    #[must_use]
    pub const fn with(
        decode: fn(&[u8]) -> Result<Value, serde_json::Error>,
        encode: fn(&(dyn Any + Send + Sync), &mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Self {
        Self { decode, encode }
    }

    /// Of a field that is never stored.
    #[must_use]
    pub const fn none() -> Self {
        Self { decode: |_| Err(serde::de::Error::custom("never stored")), encode: |_, _| Ok(()) }
    }
}

fn decode<T: FieldValue>(json: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<T>(json).map(|value| Box::new(value) as Value)
}

fn encode<T: FieldValue>(
    value: &(dyn Any + Send + Sync),
    json: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    match value.downcast_ref::<T>() {
        Some(value) => serde_json::to_writer(json, value),
        None => Err(serde::ser::Error::custom("a value of another type")),
    }
}

/// The integers that `merge = "add"`, `"max"` and `"min"` work on.
#[diagnostic::on_unimplemented(
    message = "`merge = \"add\"`, `\"max\"` and `\"min\"` need an integer of at most 64 bits, not `{Self}`",
    label = "not such an integer",
    note = "use `u8` to `u64`, `i8` to `i64`, `usize` or `isize`, or another `merge`"
)]
pub trait Integer: Copy + Send + Sync + 'static {
    /// How the library reads and writes it.
    const COUNTER: Counter;
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Integer for $integer {
            const COUNTER: Counter = Counter {
                get: |value| value.downcast_ref::<$integer>().map_or(0, |value| {
                    i64::try_from(*value).unwrap_or(i64::MAX)
                }),
                put: |value| Box::new(<$integer>::try_from(value).unwrap_or(
                    if value < 0 { <$integer>::MIN } else { <$integer>::MAX }
                )),
                // Wider than 64 bits with sign is cut there: stores count in those.
                min: if <$integer>::MIN as i128 > i64::MIN as i128 { <$integer>::MIN as i64 } else { i64::MIN },
                max: if (<$integer>::MAX as u128) < i64::MAX as u128 { <$integer>::MAX as i64 } else { i64::MAX },
            };
        }
    )*};
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|field| &field.name)).finish()
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.name).finish()
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counter({}..={})", self.min, self.max)
    }
}
