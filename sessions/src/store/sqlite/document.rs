//! The column `data`: all fields of a session as one JSON object.

use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::value::{FieldName, Fields};

/// Returns true if a value can stand in the object as it is.
pub(super) fn is_json(value: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(value).is_ok()
}

/// Writes the object. Values are copied byte by byte, not read: see [`is_json`].
///
/// # Errors
///
/// If a value is not UTF-8, hence not JSON.
pub(super) fn write(fields: &Fields) -> Result<String, std::string::FromUtf8Error> {
    let length = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let mut text = Vec::with_capacity(length + 2);
    text.push(b'{');
    for (name, value) in fields.iter() {
        if text.len() > 1 {
            text.push(b',');
        }
        write_name(&mut text, name.as_str());
        text.push(b':');
        text.extend_from_slice(value);
    }
    text.push(b'}');
    String::from_utf8(text)
}

/// Reads the object. Values share `text`. Names that are in `names` cost no allocation.
pub(super) fn read(text: &Bytes, names: &[FieldName]) -> Result<Fields, serde_json::Error> {
    let checked_once = str::from_utf8(text).map_err(serde::de::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(checked_once);
    let fields =
        deserializer.deserialize_map(FieldsVisitor { text, names: KnownNames { known: names, next: 0 } })?;
    deserializer.end()?;
    Ok(fields)
}

fn write_name(text: &mut Vec<u8>, name: &str) {
    let is_plain = !name.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if is_plain {
        text.push(b'"');
        text.extend_from_slice(name.as_bytes());
        text.push(b'"');
    } else {
        // invariant: writing a string to memory does not fail.
        let _ = serde_json::to_writer(text, name);
    }
}

struct FieldsVisitor<'a> {
    text: &'a Bytes,
    names: KnownNames<'a>,
}

impl<'de> Visitor<'de> for FieldsVisitor<'de> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object with a member per field")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Fields, A::Error> {
        let mut pairs = Vec::with_capacity(self.names.known.len());
        while let Some(name) = members.next_key_seed(&mut self.names)? {
            let value: &'de RawValue = members.next_value()?;
            pairs.push((name, self.text.slice_ref(value.get().as_bytes())));
        }
        Ok(pairs.into_iter().collect())
    }
}

/// The names that the caller has. Objects mostly have them in the caller's order, so the search goes on from the last
/// one found.
struct KnownNames<'a> {
    known: &'a [FieldName],
    next: usize,
}

impl KnownNames<'_> {
    fn find(&mut self, name: &str) -> FieldName {
        let (before, after) = self.known.split_at(self.next);
        match after.iter().chain(before).position(|known| known.as_str() == name) {
            Some(distance) => {
                let index = (self.next + distance) % self.known.len();
                self.next = (index + 1) % self.known.len();
                self.known[index].clone()
            }
            None => name.into(),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut KnownNames<'_> {
    type Value = FieldName;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<FieldName, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for &mut KnownNames<'_> {
    type Value = FieldName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<FieldName, E> {
        Ok(self.find(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs
            .iter()
            .map(|(name, value)| (FieldName::from(*name), Bytes::copy_from_slice(value.as_bytes())))
            .collect()
    }

    fn read_text(text: &str, names: &[FieldName]) -> Result<Fields, serde_json::Error> {
        read(&Bytes::copy_from_slice(text.as_bytes()), names)
    }

    #[test]
    fn awkward_names_and_values_come_back_byte_by_byte() {
        let before = fields(&[
            ("", "null"),
            ("\"quoted\"", "\"a\\\"b\""),
            ("back\\slash", "\"\\u0000\\ud83d\\ude00\""),
            ("cart.items", "[ 1 , 2.50,1E+400, 123456789012345678901234567890 ]"),
            ("line\nbreak\u{0}", "-0.0"),
            ("naïve 😀", "{\"b\":1,\"a\":{ },\"b\":2}"),
            ("n", "9007199254740993"),
        ]);
        let text = write(&before).unwrap();
        let names: Vec<FieldName> = vec!["n".into(), "absent".into(), "".into()];
        assert_eq!(read_text(&text, &names).unwrap(), before);
        assert_eq!(read_text(&text, &[]).unwrap(), before);
    }

    #[test]
    fn no_fields_are_an_empty_object() {
        assert_eq!(write(&Fields::new()).unwrap(), "{}");
        assert_eq!(read_text(" { } ", &["n".into()]).unwrap(), Fields::new());
    }

    #[test]
    fn anything_but_one_object_is_an_error() {
        for bad in
            ["", "null", "[]", "1", "\"x\"", "{", "{}{}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1}x"]
        {
            assert!(read_text(bad, &[]).is_err(), "{bad}");
        }
        assert!(read(&Bytes::from_static(b"{\"a\":\"\xff\"}"), &[]).is_err());
        assert!(read(&Bytes::from_static(b"{\"\xff\":1}"), &[]).is_err());
    }

    #[test]
    fn what_would_break_out_of_the_object_is_not_json() {
        for bad in ["", "1,\"role\":\"admin\"", "1}", "\"", "nul", "01", "{\"a\":1", "\"\u{1}\""] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
        assert!(!is_json(b"\"\xff\""));
        assert!(is_json(b"{\"a\":[1,\"x\"]}"));
    }

    #[test]
    fn names_are_found_in_any_order() {
        let known: Vec<FieldName> = ["b", "a", "c"].map(FieldName::from).to_vec();
        let mut names = KnownNames { known: &known, next: 0 };
        for name in ["a", "b", "c", "c", "x", "a", "b"] {
            assert_eq!(names.find(name).as_str(), name);
        }
    }
}
