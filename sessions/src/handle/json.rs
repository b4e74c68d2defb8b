//! Writes a field's value as JSON.

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use serde_json::Error;

/// The most arrays and objects inside each other that `serde_json` reads again.
const DEEPEST: u8 = 127;

/// Under these names `serde_json`'s `RawValue` and, with its `arbitrary_precision`, `Number` hand over text that is
/// JSON already.
const RAW: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

/// Writes as `serde_json::to_writer` does, but for what could not be read again: it refuses numbers that are not
/// finite, which `serde_json` writes as `null`, and what is nested too deeply.
///
/// Not a check of the written text, where an absent `Option<f64>` and an infinite one look the same, nor a second
/// serializer after `serde_json`'s: each serializer has the code of every field's type compiled once more. This one
/// is in the place of `serde_json`'s, has no type parameter, and leaves all that has a text of its own to
/// `serde_json`.
#[derive(Debug)]
pub struct Writer<'a> {
    json: &'a mut Vec<u8>,
    /// The number of arrays and objects that are open.
    depth: u8,
    /// True if the next text is JSON already.
    is_raw: bool,
}

/// An array or object that is open, and what closes it.
#[derive(Debug)]
pub struct OpenValue<'a, 'json> {
    writer: &'a mut Writer<'json>,
    is_first: bool,
    close: &'static [u8],
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(json: &'a mut Vec<u8>) -> Self {
        Self { json, depth: 0, is_raw: false }
    }

    fn scalar(
        &mut self,
        write: impl FnOnce(&mut serde_json::Serializer<&mut Vec<u8>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        write(&mut serde_json::Serializer::new(&mut *self.json))
    }

    fn open<'w>(&'w mut self, open: u8, close: &'static [u8]) -> Result<OpenValue<'w, 'a>, Error> {
        self.deeper(1)?;
        self.json.push(open);
        Ok(OpenValue { writer: self, is_first: true, close })
    }

    /// `{"variant":` and what opens its content.
    fn open_variant<'w>(
        &'w mut self,
        variant: &str,
        open: u8,
        close: &'static [u8],
    ) -> Result<OpenValue<'w, 'a>, Error> {
        self.deeper(2)?;
        self.name_variant(variant)?;
        self.json.push(open);
        Ok(OpenValue { writer: self, is_first: true, close })
    }

    fn name_variant(&mut self, variant: &str) -> Result<(), Error> {
        self.json.push(b'{');
        self.serialize_str(variant)?;
        self.json.push(b':');
        Ok(())
    }

    fn deeper(&mut self, by: u8) -> Result<(), Error> {
        // A type's own `Serialize` may drop the error, and try again and again.
        let depth = self.depth.saturating_add(by);
        if depth > DEEPEST {
            return Err(Error::custom("it is nested more than 127 levels deep, and would not be read again"));
        }
        self.depth = depth;
        Ok(())
    }

    fn check_finite(is_finite: bool) -> Result<(), Error> {
        let refused = || Error::custom("a number in it is infinite or NaN, which JSON does not have");
        if is_finite { Ok(()) } else { Err(refused()) }
    }
}

macro_rules! scalars {
    ($($method:ident $Value:ty)*) => {$(
        fn $method(self, value: $Value) -> Result<(), Error> {
            self.scalar(|json| json.$method(value))
        }
    )*};
}

impl<'a, 'json> Serializer for &'a mut Writer<'json> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = OpenValue<'a, 'json>;
    type SerializeTuple = OpenValue<'a, 'json>;
    type SerializeTupleStruct = OpenValue<'a, 'json>;
    type SerializeTupleVariant = OpenValue<'a, 'json>;
    type SerializeMap = OpenValue<'a, 'json>;
    type SerializeStruct = OpenValue<'a, 'json>;
    type SerializeStructVariant = OpenValue<'a, 'json>;

    scalars! {
        serialize_bool bool
        serialize_i8 i8
        serialize_i16 i16
        serialize_i32 i32
        serialize_i64 i64
        serialize_i128 i128
        serialize_u8 u8
        serialize_u16 u16
        serialize_u32 u32
        serialize_u64 u64
        serialize_u128 u128
        serialize_char char
        serialize_bytes &[u8]
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        Writer::check_finite(value.is_finite())?;
        self.scalar(|json| json.serialize_f32(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        Writer::check_finite(value.is_finite())?;
        self.scalar(|json| json.serialize_f64(value))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        if self.is_raw {
            self.is_raw = false;
            self.json.extend_from_slice(value.as_bytes());
            return Ok(());
        }
        self.scalar(|json| json.serialize_str(value))
    }

    fn collect_str<T: ?Sized + std::fmt::Display>(self, value: &T) -> Result<(), Error> {
        serde_json::Serializer::new(&mut *self.json).collect_str(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.json.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.deeper(1)?;
        self.name_variant(variant)?;
        value.serialize(&mut *self)?;
        self.json.push(b'}');
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<OpenValue<'a, 'json>, Error> {
        self.open(b'[', b"]")
    }

    fn serialize_tuple(self, _len: usize) -> Result<OpenValue<'a, 'json>, Error> {
        self.open(b'[', b"]")
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<OpenValue<'a, 'json>, Error> {
        self.open(b'[', b"]")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<OpenValue<'a, 'json>, Error> {
        self.open_variant(variant, b'[', b"]}")
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<OpenValue<'a, 'json>, Error> {
        self.open(b'{', b"}")
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<OpenValue<'a, 'json>, Error> {
        if RAW.contains(&name) {
            self.is_raw = true;
            return Ok(OpenValue { writer: self, is_first: true, close: b"" });
        }
        self.open(b'{', b"}")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<OpenValue<'a, 'json>, Error> {
        self.open_variant(variant, b'{', b"}}")
    }
}

impl<'json> OpenValue<'_, 'json> {
    /// Where the next element goes.
    fn next(&mut self) -> &mut Writer<'json> {
        if !std::mem::replace(&mut self.is_first, false) {
            self.writer.json.push(b',');
        }
        self.writer
    }

    /// Where the value of the next member goes.
    fn member(&mut self, name: &'static str) -> Result<&mut Writer<'json>, Error> {
        if !self.writer.is_raw {
            self.next().serialize_str(name)?;
            self.writer.json.push(b':');
        }
        Ok(self.writer)
    }

    fn close(self) {
        // As many as it opened.
        for close in self.close {
            self.writer.json.push(*close);
            self.writer.depth -= 1;
        }
    }
}

/// The traits of lists, which differ in names only.
macro_rules! lists {
    ($($List:ident $method:ident)*) => {$(
        impl $List for OpenValue<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
                value.serialize(self.next())
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

lists! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

impl SerializeMap for OpenValue<'_, '_> {
    type Ok = ();
    type Error = Error;

    /// As `serde_json` has keys, in which numbers stand in quotes.
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Error> {
        let json = &mut *self.next().json;
        let start = json.len();
        serde_json::Serializer::new(&mut *json).serialize_map(None)?.serialize_key(key)?;
        // The brace of a map that has this key only.
        json.remove(start);
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.writer.json.push(b':');
        value.serialize(&mut *self.writer)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

/// The traits of what has named fields.
macro_rules! structs {
    ($($Struct:ident)*) => {$(
        impl $Struct for OpenValue<'_, '_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                value.serialize(self.member(name)?)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

structs!(SerializeStruct SerializeStructVariant);

#[cfg(test)]
// `None` in `Some`, and narrow infinities, are what is tested.
#[allow(clippy::option_option, clippy::cast_possible_truncation, clippy::items_after_statements)]
mod tests {
    use std::{
        collections::{BTreeMap, HashMap},
        net::Ipv4Addr,
        time::Duration,
    };

    use serde::{Deserialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    use super::*;

    fn write<T: ?Sized + Serialize>(value: &T) -> Result<String, Error> {
        let mut json = b"before".to_vec();
        value.serialize(&mut Writer::new(&mut json))?;
        Ok(String::from_utf8(json.split_off(6)).unwrap())
    }

    #[track_caller]
    fn assert_same<T: ?Sized + Serialize>(value: &T) {
        assert_eq!(write(value).unwrap(), serde_json::to_string(value).unwrap());
    }

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Newtype(u8);

    #[derive(Serialize)]
    struct Tuple(u8, &'static str);

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[serde(rename_all = "camelCase")]
    enum Choice {
        Unit,
        Newtype(Option<f64>),
        Tuple(u8, Vec<f32>),
        Struct { the_text: String, others: Vec<Choice>, at: BTreeMap<i64, Choice> },
    }

    #[derive(Serialize)]
    struct Everything<'a> {
        #[serde(rename = "a \"quoted\" name")]
        integers: (u8, i8, u16, i16, u32, i32, u64, i64, u128, i128),
        floats: [f64; 6],
        singles: [f32; 3],
        text: &'a str,
        letter: char,
        none: Option<u8>,
        some: Option<Option<u8>>,
        unit: (),
        units: [Unit; 2],
        newtype: Newtype,
        tuple: Tuple,
        choices: Vec<Choice>,
        #[serde(skip_serializing_if = "Option::is_none")]
        skipped: Option<u8>,
        #[serde(flatten)]
        flat: BTreeMap<String, Value>,
        address: Ipv4Addr,
        time: Duration,
    }

    fn choices() -> Vec<Choice> {
        let inner = Choice::Struct { the_text: "\u{1}\n\"é".into(), others: vec![], at: BTreeMap::new() };
        let at = [(-1, Choice::Unit), (7, inner.clone())].into_iter().collect();
        vec![
            Choice::Unit,
            Choice::Newtype(None),
            Choice::Newtype(Some(-0.0)),
            Choice::Tuple(1, vec![]),
            Choice::Tuple(2, vec![0.1, 1e30]),
            Choice::Struct { the_text: String::new(), others: vec![inner, Choice::Unit], at },
        ]
    }

    #[test]
    fn all_that_json_has_is_written_as_serde_json_writes_it() {
        assert_same(&Everything {
            integers: (255, -128, 65535, -1, 0, i32::MIN, u64::MAX, i64::MIN, u128::MAX, i128::MIN),
            floats: [0.0, -0.0, 0.1, 1e300, f64::MIN_POSITIVE, 5e-324],
            singles: [0.1, f32::MAX, f32::MIN_POSITIVE],
            text: "\0\u{7f}\u{2028}\\\"/ 👩",
            letter: '\u{10ffff}',
            none: None,
            some: Some(None),
            unit: (),
            units: [Unit, Unit],
            newtype: Newtype(1),
            tuple: Tuple(2, "two"),
            choices: choices(),
            skipped: None,
            flat: [("x".to_owned(), json!({ "y": [1, 2.5, null, { "z": {} }] }))].into_iter().collect(),
            address: Ipv4Addr::LOCALHOST,
            time: Duration::from_millis(1500),
        });
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn what_is_json_already_is_written_as_it_is() {
        let raw = || serde_json::value::RawValue::from_string(" { \"kept\" : [ ] }".into()).unwrap();
        assert_same(&raw());
        assert_same(&vec![(raw(), "text"), (raw(), "\"")]);
        assert_same(&BTreeMap::from([("a", raw())]));
    }

    #[test]
    fn keys_are_written_as_serde_json_writes_them() {
        fn of<K: Ord, const N: usize>(keys: [K; N]) -> BTreeMap<K, u8> {
            keys.into_iter().map(|key| (key, 1)).collect()
        }
        #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
        struct Key(String);
        #[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
        enum Named {
            One,
        }
        assert_same(&of(["", "a\"b", "é"]));
        assert_same(&of([-1_i64, i64::MAX]));
        assert_same(&of([u128::MAX]));
        assert_same(&of(['x', '"']));
        assert_same(&of([true, false]));
        assert_same(&of([Key("k".into())]));
        assert_same(&of([Named::One]));
        assert_same(&of([Ipv4Addr::LOCALHOST]));
        assert_same(&HashMap::from([((), 1); 0]));
        for refused in [write(&of([(1, 2)])), write(&of([()])), write(&of([vec![1]]))] {
            let refused = refused.unwrap_err().to_string();
            assert_eq!(refused, serde_json::to_string(&of([(1, 2)])).unwrap_err().to_string());
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_wherever_they_are() {
        #[derive(Serialize)]
        struct P {
            x: Option<f64>,
        }
        #[derive(Serialize)]
        #[serde(tag = "t")]
        enum Tagged {
            H { x: Vec<f64> },
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let single = number as f32;
            for refused in [
                write(&number),
                write(&single),
                write(&Some(number)),
                write(&P { x: Some(number) }),
                write(&vec![(1, vec![P { x: None }, P { x: Some(number) }])]),
                write(&BTreeMap::from([(1, Some(single))])),
                write(&Choice::Newtype(Some(number))),
                write(&Choice::Tuple(1, vec![0.5, single])),
                write(&Tagged::H { x: vec![number] }),
            ] {
                let refused = refused.unwrap_err().to_string();
                assert_eq!(refused, "a number in it is infinite or NaN, which JSON does not have");
            }
        }
        assert_same(&P { x: None });
        assert_same(&Tagged::H { x: vec![1.0] });
    }

    /// Every text that is written is read, and a value that would not be read is not written.
    /// A type's own `Serialize` may drop the error and try again and again.
    #[test]
    fn an_error_that_is_dropped_takes_no_depth() {
        struct Stubborn(usize);
        impl Serialize for Stubborn {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut list = serializer.serialize_seq(None)?;
                if self.0 > 1 {
                    list.serialize_element(&Self(self.0 - 1))?;
                } else {
                    let refused = (0..300).filter(|_| list.serialize_element(&[0; 0]).is_err());
                    assert_eq!(refused.count(), 300);
                }
                list.end()
            }
        }
        let mut json = Vec::new();
        let mut writer = Writer::new(&mut json);
        Stubborn(127).serialize(&mut writer).unwrap();
        assert_eq!(writer.depth, 0);
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        fn nested(levels: usize) -> Value {
            (0..levels).fold(json!(1), |inner, level| {
                if level.is_multiple_of(2) { json!([inner]) } else { json!({ "a": inner }) }
            })
        }
        fn is_read<T: DeserializeOwned>(json: &str) -> bool {
            serde_json::from_str::<T>(json).is_ok()
        }
        let deep = |levels| write(&nested(levels)).map(|json| is_read::<Value>(&json));
        assert!(deep(127).unwrap());
        assert!(deep(128).unwrap_err().to_string().contains("127 levels"));
        let many: Vec<_> = (0..300).map(|_| nested(100)).collect();
        assert_same(&many);

        #[derive(Serialize, Deserialize)]
        enum Chain {
            End,
            Next(Box<Chain>),
            Twice { inner: Box<Chain> },
        }
        let next = |levels| (0..levels).fold(Chain::End, |inner, _| Chain::Next(Box::new(inner)));
        assert!(is_read::<Chain>(&write(&next(127)).unwrap()));
        assert!(write(&next(128)).is_err() && !is_read::<Chain>(&serde_json::to_string(&next(128)).unwrap()));
        let twice = |levels| (0..levels).fold(Chain::End, |inner, _| Chain::Twice { inner: Box::new(inner) });
        assert!(is_read::<Chain>(&write(&twice(63)).unwrap()));
        assert!(write(&twice(64)).is_err() && !is_read::<Chain>(&serde_json::to_string(&twice(64)).unwrap()));
    }
}
