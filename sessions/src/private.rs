//! The functions that the derive's code calls. Not public API: they may change in any release.

use std::{
    any::{Any, TypeId},
    marker::PhantomData,
};

#[cfg(feature = "axum")]
pub use crate::axum::{
    Extract, ExtractLive, FromRequestParts, OptionalFromRequestParts, RequestParts, extract, extract_live,
};
pub use crate::find::{RecordReader, SessionFinder};
pub use crate::handle::json::Writer;
pub use crate::handle::table::{BoxFuture, Field, Table, Value};
use crate::handle::table::{Codec, FieldDefault, FieldType, Held, Integer, Merge, Readable, Shape, Writable};
pub use crate::schema::check_schema;
use crate::slot::{FieldClass, OnInvalid};
pub use crate::views::{ListedViews, check_views};

type JsonReader<'a> = serde_json::Deserializer<serde_json::de::SliceRead<'a>>;
type Decode = fn(&[u8]) -> Result<Value, serde_json::Error>;
type Encode = fn(&(dyn Any + Send + Sync), &mut Vec<u8>) -> Result<(), serde_json::Error>;

/// Describes a field of type `T`, stored as JSON.
#[must_use]
pub const fn plain<T: Writable + Readable + Held + FieldDefault>(name: &'static str) -> Field {
    stored::<T>(name).or_default::<T>()
}

/// Describes a field of type `Option<T>`, or of type `T` with a default that follows.
#[must_use]
pub const fn stored<T: Writable + Readable + Held>(name: &'static str) -> Field {
    field::<T>(name, Shape::Stored, Codec { decode: decode::<T>, encode: encode::<T> })
}

/// Describes a field that is written and read by functions made for serde's `with`.
#[must_use]
pub const fn stored_with<T: Held>(name: &'static str, decode: Decode, encode: Encode) -> Field {
    field::<T>(name, Shape::Stored, Codec { decode, encode })
}

/// Describes a field that is never stored.
#[must_use]
pub const fn skipped<T: Held>() -> Field {
    let decode: Decode = |_| Err(serde::de::Error::custom("never stored"));
    field::<T>("", Shape::Skipped, Codec { decode, encode: |_, _| Ok(()) })
}

const fn field<T: Held>(name: &'static str, shape: Shape, codec: Codec) -> Field {
    Field {
        name,
        aliases: &[],
        ty: FieldType {
            name: "",
            is_chosen: false,
            layout: (size_of::<T>(), align_of::<T>()),
            id: TypeId::of::<T>(),
        },
        shape,
        merge: Merge::Last,
        class: FieldClass::Plain,
        on_invalid: OnInvalid::Reset,
        is_secret: false,
        is_indexed: false,
        codec,
        default: None,
        counter: None,
        collection: None,
        boxed: boxed::<T>,
    }
}

/// The changes that attributes make.
impl Field {
    /// Adds older names that are read too.
    #[must_use]
    pub const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Names the field's type as it is written.
    #[must_use]
    pub const fn type_name(self, name: &'static str) -> Self {
        Self { ty: FieldType { name, ..self.ty }, ..self }
    }

    /// Names the field's type for the comparison with other views and versions.
    #[must_use]
    pub const fn logical_type(self, name: &'static str) -> Self {
        Self { ty: FieldType { name, is_chosen: true, ..self.ty }, ..self }
    }

    /// Makes the field a flash, which is delivered once.
    #[must_use]
    pub const fn flash(self) -> Self {
        Self { shape: Shape::Flash, ..self }
    }

    /// Sets the default for when there is no value.
    #[must_use]
    pub const fn or(self, default: fn() -> Value) -> Self {
        Self { default: Some(default), ..self }
    }

    /// Sets the type's default for when there is no value.
    #[must_use]
    pub const fn or_default<T: FieldDefault + Held>(self) -> Self {
        self.or(|| Box::new(T::default()))
    }

    /// Makes the field a right: each change of it changes the secret.
    #[must_use]
    pub const fn privilege(self) -> Self {
        Self { class: FieldClass::Privilege, on_invalid: OnInvalid::Withhold, ..self }
    }

    /// Makes the field the identity: a right that names the logged-in user.
    #[must_use]
    pub const fn identity(self) -> Self {
        Self { class: FieldClass::Identity, on_invalid: OnInvalid::Withhold, is_indexed: true, ..self }
    }

    /// Lets sessions be found by the field.
    #[must_use]
    pub const fn index(self) -> Self {
        Self { is_indexed: true, ..self }
    }

    /// Keeps the field at a logout.
    #[must_use]
    pub const fn keep_on_logout(self) -> Self {
        Self { class: FieldClass::KeepOnLogout, ..self }
    }

    /// Drops the field at a login.
    #[must_use]
    pub const fn drop_on_login(self) -> Self {
        Self { class: FieldClass::DropOnLogin, ..self }
    }

    /// Has the value sealed before it reaches the store, so that no session can be found by it.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { is_secret: true, is_indexed: false, on_invalid: OnInvalid::Withhold, ..self }
    }

    /// Has a stored secret that cannot be read count as absent. A right keeps its own rule.
    #[must_use]
    pub const fn reset(self) -> Self {
        let on_invalid = if self.class.is_right() { self.on_invalid } else { OnInvalid::Reset };
        Self { on_invalid, ..self }
    }

    /// Refuses the request if the stored value does not decode.
    #[must_use]
    pub const fn reject(self) -> Self {
        Self { on_invalid: OnInvalid::Reject, ..self }
    }

    /// Adds up the differences of overlapping requests.
    #[must_use]
    pub const fn merge_add<T: Integer>(self) -> Self {
        Self { merge: Merge::Add, counter: Some(T::COUNTER), ..self }
    }

    /// Keeps the largest value of overlapping requests.
    #[must_use]
    pub const fn merge_max<T: Integer>(self) -> Self {
        Self { merge: Merge::Max, counter: Some(T::COUNTER), ..self }
    }

    /// Keeps the smallest value of overlapping requests.
    #[must_use]
    pub const fn merge_min<T: Integer>(self) -> Self {
        Self { merge: Merge::Min, counter: Some(T::COUNTER), ..self }
    }

    /// Keeps the first value that is written.
    #[must_use]
    pub const fn merge_first(self) -> Self {
        Self { merge: Merge::First, ..self }
    }
}

/// Makes the value of a default that is an expression.
#[must_use]
pub fn value<T: Held>(value: T) -> Value {
    Box::new(value)
}

/// Decodes a value with a function made for serde's `with`.
///
/// # Errors
///
/// The error of `read`, or one for text behind the value.
pub fn decode_with<T: Held>(
    json: &[u8],
    read: fn(&mut JsonReader<'_>) -> Result<T, serde_json::Error>,
) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(Box::new(value))
}

/// Encodes a value with a function made for serde's `with`.
///
/// # Errors
///
/// The error of `write`.
pub fn encode_with<T: Held>(
    value: &(dyn Any + Send + Sync),
    json: &mut Vec<u8>,
    write: fn(&T, &mut Writer<'_>) -> Result<(), serde_json::Error>,
) -> Result<(), serde_json::Error> {
    match value.downcast_ref() {
        Some(value) => write(value, &mut Writer::new(json)),
        None => Err(serde::ser::Error::custom("a value of another type")),
    }
}

fn decode<T: Readable + Held>(json: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<T>(json).map(|value| Box::new(value) as Value)
}

fn encode<T: Writable + Held>(
    value: &(dyn Any + Send + Sync),
    json: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    match value.downcast_ref::<T>() {
        Some(value) => value.serialize(&mut Writer::new(json)),
        None => Err(serde::ser::Error::custom("a value of another type")),
    }
}

fn boxed<T: Held>(value: &mut dyn Any) -> Option<Value> {
    let value = value.downcast_mut::<Option<T>>()?.take()?;
    Some(Box::new(value))
}

/// The commonest types of fields.
///
/// In a debug build a crate uses the functions that its dependencies were compiled with. So the code that reads and
/// writes these is compiled here, once.
pub static COMMON: &[Field] = &[
    plain::<bool>(""),
    plain::<u8>(""),
    plain::<u16>(""),
    plain::<u32>(""),
    plain::<u64>(""),
    plain::<usize>(""),
    plain::<i8>(""),
    plain::<i16>(""),
    plain::<i32>(""),
    plain::<i64>(""),
    plain::<isize>(""),
    plain::<f32>(""),
    plain::<f64>(""),
    plain::<String>(""),
    plain::<Vec<u32>>(""),
    plain::<Vec<u64>>(""),
    plain::<Vec<String>>(""),
];

/// A test for an `Option` behind a type alias: the inherent constant takes precedence over the trait's, where there
/// is one.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<Option<T>> {
    pub const IS_OPTION: bool = true;
}

pub trait NotOption {
    const IS_OPTION: bool = false;
}

impl<T> NotOption for Probe<T> {}
