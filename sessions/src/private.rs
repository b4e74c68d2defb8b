//! What the derive's code calls. Not public API: it may change in any release.

use std::{any::Any, marker::PhantomData};

#[cfg(feature = "axum")]
pub use crate::axum::{FromRequestParts, OptionalFromRequestParts, RequestParts, extract};
pub use crate::handle::table::{
    Codec, Counter, Field, FieldValue, Integer, Merge, OnInvalid, Shape, Table, Value,
};

type JsonReader<'a> = serde_json::Deserializer<serde_json::de::SliceRead<'a>>;
type JsonWriter<'a> = serde_json::Serializer<&'a mut Vec<u8>>;

#[must_use]
pub fn default<T: Default + Any + Send + Sync>() -> Value {
    Box::new(T::default())
}

#[must_use]
pub fn boxed<T: Any + Send + Sync>(value: T) -> Value {
    Box::new(value)
}

/// # Errors
///
/// Whatever `read` finds wrong, or something after the value.
pub fn decode_with<T: Any + Send + Sync>(
    json: &[u8],
    read: fn(&mut JsonReader<'_>) -> Result<T, serde_json::Error>,
) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(Box::new(value))
}

/// # Errors
///
/// Whatever `write` cannot write.
pub fn encode_with<T: Any + Send + Sync>(
    value: &(dyn Any + Send + Sync),
    json: &mut Vec<u8>,
    write: fn(&T, &mut JsonWriter<'_>) -> Result<(), serde_json::Error>,
) -> Result<(), serde_json::Error> {
    match value.downcast_ref() {
        Some(value) => write(value, &mut serde_json::Serializer::new(json)),
        None => Err(serde::ser::Error::custom("a value of another type")),
    }
}

/// Tells an `Option` behind a type alias from any other type: the inherent constant wins over the
/// trait's where there is one.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

impl<T> Probe<Option<T>> {
    pub const IS_OPTION: bool = true;
}

pub trait NotOption {
    const IS_OPTION: bool = false;
}

impl<T> NotOption for Probe<T> {}
