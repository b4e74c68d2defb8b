//! Encoding: from a field's value to the text that the store keeps.

use std::{cell::RefCell, fmt};

use bytes::Bytes;

use super::{
    reread, stamp,
    table::{Field, Shape, Value},
};
use crate::error::Error;

/// A larger scratch buffer is not kept for the next value.
const LARGEST_SCRATCH: usize = 64 * 1024;

/// A value as the store keeps it.
pub(super) fn stored(field: &Field, value: &Value) -> Result<Bytes, Error> {
    thread_local! {
        /// The buffer into which values are written before their size is known.
        static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    // Taken, not borrowed: a type's `Serialize` may run any code, and come back here.
    let mut json = SCRATCH.take();
    json.clear();
    let stored = encode(field, value, &mut json);
    if json.capacity() <= LARGEST_SCRATCH {
        SCRATCH.set(json);
    }
    stored
}

/// A value as JSON, to be compared; `None` if it cannot be written.
pub(super) fn encoded(field: &Field, value: &Value) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    (field.codec.encode)(&**value, &mut json).ok().map(|()| json)
}

/// A copy of a value, by way of its JSON.
pub(super) fn copied(field: &Field, value: &Value) -> Option<Value> {
    (field.codec.decode)(&encoded(field, value)?).ok()
}

fn encode(field: &Field, value: &Value, json: &mut Vec<u8>) -> Result<Bytes, Error> {
    if let Some(counter) = &field.counter {
        // Cut to 64 bits with sign, in which stores count.
        return Ok((counter.get)(&**value).to_string().into());
    }
    // No part of a secret value is told, and a type's own code may write one into its error.
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
        // The key of an item in a list of flashes is its stamp.
        Shape::Flash if field.collection.is_none() => stamp::with_new(json),
        Shape::Flash | Shape::Stored | Shape::Skipped => Ok(Bytes::copy_from_slice(json)),
    }
}
