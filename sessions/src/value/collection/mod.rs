//! Collections whose entries are fields of their own: their names, and the JSON of the whole.

mod key;
mod parts;

use std::borrow::Cow;

use bytes::Bytes;

pub(crate) use self::{
    key::{entry_name, entry_of, key_in},
    parts::{elements, joined, members},
};

/// The kind of a collection, which says what an entry's key and value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // Not public API: the derive's traits name it.
pub enum CollectionKind {
    /// The key is the text of the object key, and the value that of the member.
    Map,
    /// The key is the element's JSON, and the value says nothing.
    Set,
    /// The key sorts the item behind those that its request had seen, and the value is the item.
    List,
    /// As a list, of flashes. A whole is the one flash of an older program, with its stamp.
    Flashes,
}

/// One entry of a collection that is stored as one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WholeEntry<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: Cow<'a, [u8]>,
}

/// The length of a flash's stamp with its quotes.
const STAMP: usize = 14;

/// The value of each entry of a set.
pub(crate) const MEMBER: &[u8] = b"1";

impl CollectionKind {
    /// The entries of a collection that is one JSON value; `None` if that is not of this kind.
    ///
    /// An item's key follows from its place and from the whole, so that each reader comes to the same.
    pub(crate) fn split(self, whole: &[u8]) -> Option<Vec<WholeEntry<'_>>> {
        match self {
            Self::Map => {
                let members = members(whole)?;
                let entry = |(key, value)| WholeEntry { key: Cow::Owned(key), value: Cow::Borrowed(value) };
                Some(members.into_iter().map(entry).collect())
            }
            Self::Set => {
                let entry = |element| {
                    let key = Cow::Borrowed(std::str::from_utf8(element).ok()?);
                    Some(WholeEntry { key, value: Cow::Borrowed(MEMBER) })
                };
                elements(whole)?.into_iter().map(entry).collect()
            }
            Self::List => {
                let mark = checksum(whole);
                let entry = |(index, item)| WholeEntry {
                    key: Cow::Owned(item_key(index, mark.to_be_bytes())),
                    value: Cow::Borrowed(item),
                };
                Some((0..).zip(elements(whole)?).map(entry).collect())
            }
            Self::Flashes => {
                let [stamp, flash] = elements(whole)?[..] else { return None };
                let is_stamp = stamp.len() == STAMP && stamp.starts_with(b"\"") && stamp.ends_with(b"\"");
                let key = Cow::Owned(item_key(0, checksum(whole).to_be_bytes()));
                is_stamp.then(|| vec![WholeEntry { key, value: Cow::Borrowed(flash) }])
            }
        }
    }

    /// One JSON value of these entries.
    pub(crate) fn join<'a>(self, entries: impl Iterator<Item = (&'a str, &'a Bytes)>) -> Vec<u8> {
        match self {
            Self::Map => joined(b'{', entries.map(|(key, value)| (Some(key), &**value)), b'}'),
            Self::Set => joined(b'[', entries.map(|(key, _)| (None, key.as_bytes())), b']'),
            Self::List | Self::Flashes => joined(b'[', entries.map(|(_, value)| (None, &**value)), b']'),
        }
    }
}

/// The key of an item that was pushed at this time: text that sorts by time.
pub(crate) fn item_key(time: u64, random: [u8; 4]) -> String {
    format!("{time:016x}{:08x}", u32::from_be_bytes(random))
}

/// The time in an item's key; zero if it is no such key.
pub(crate) fn item_time(key: &str) -> u64 {
    key.get(..16).and_then(|time| u64::from_str_radix(time, 16).ok()).unwrap_or(0)
}

/// The FNV-1a hash of a text: tells apart the wholes that an older program stored one after the other.
fn checksum(text: &[u8]) -> u32 {
    text.iter().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(kind: CollectionKind, whole: &str) -> Option<Vec<(String, String)>> {
        let entries = kind.split(whole.as_bytes())?;
        let text = |entry: WholeEntry<'_>| {
            (entry.key.into_owned(), String::from_utf8(entry.value.into_owned()).unwrap())
        };
        Some(entries.into_iter().map(text).collect())
    }

    fn again(kind: CollectionKind, whole: &str) -> String {
        let entries = split(kind, whole).unwrap();
        let entries: Vec<_> = entries.into_iter().map(|(key, value)| (key, Bytes::from(value))).collect();
        String::from_utf8(kind.join(entries.iter().map(|(key, value)| (&**key, value)))).unwrap()
    }

    #[test]
    fn a_whole_is_split_and_joined_again() {
        for (kind, whole) in [
            (CollectionKind::Map, r#"{"a":1,"":[1,{"x":"}"}],"\"\u0000é":"\"}"}"#),
            (CollectionKind::Map, "{}"),
            (CollectionKind::Set, r#"["a,]","",-1.5e3,[1,2],null,{"a":[]}]"#),
            (CollectionKind::Set, "[]"),
            (CollectionKind::List, r#"[1,1,"a",{"b":[2,3]}]"#),
        ] {
            assert_eq!(again(kind, whole), whole);
        }
    }

    #[test]
    fn spaces_and_escapes_of_another_writer_mean_the_same() {
        let spaced = " { \"\\u0061\" : 1 ,\n\"b\" : [ 1, 2 ] } ";
        let pairs = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "[ 1, 2 ]".to_owned())];
        assert_eq!(split(CollectionKind::Map, spaced).unwrap(), pairs);
        assert_eq!(again(CollectionKind::List, " [ 1 ,\t2 ] "), "[1,2]");
    }

    #[test]
    fn what_is_no_such_collection_is_not_split() {
        for other in ["", "1", "\"a\"", "[1", "[1,]", "[1 2]", "[1]]", "{}", "{\"a\":1}", "null"] {
            assert_eq!(split(CollectionKind::Set, other), None, "{other}");
            assert_eq!(split(CollectionKind::List, other), None, "{other}");
        }
        for other in
            ["", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1}x", "{\"a\":1", "null"]
        {
            assert_eq!(split(CollectionKind::Map, other), None, "{other}");
        }
    }

    #[test]
    fn items_of_a_whole_keep_their_order_and_are_told_from_those_of_another() {
        let keys = |whole| -> Vec<String> {
            split(CollectionKind::List, whole).unwrap().into_iter().map(|(key, _)| key).collect()
        };
        let many = keys("[5,4,3,2,1,0,5,4,3,2,1,0,5,4,3,2,1,0]");
        assert!(many.is_sorted() && many.iter().collect::<std::collections::BTreeSet<_>>().len() == 18);
        assert_eq!(keys("[1]"), keys("[1]"));
        assert_ne!(keys("[1]"), keys("[2]"));
        assert!(keys("[1]")[0] < item_key(1_700_000_000_000, [0; 4]));
    }

    #[test]
    fn the_flash_of_an_older_program_is_one_item() {
        let stamped = "[\"0123456789ab\",[\"x\"]]";
        let entries = split(CollectionKind::Flashes, stamped).unwrap();
        assert_eq!(entries.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), ["[\"x\"]"]);
        for other in ["[]", "[\"x\"]", "[\"x\",\"y\"]", "[\"0123456789ab\",1,2]", "1"] {
            assert_eq!(split(CollectionKind::Flashes, other), None, "{other}");
        }
    }

    #[test]
    fn the_time_of_an_item_is_in_its_key() {
        let key = item_key(1_700_000_000_000, [0xff, 0, 1, 2]);
        assert_eq!((item_time(&key), key.len()), (1_700_000_000_000, 24));
        assert!(item_key(9, [0xff; 4]) < item_key(10, [0; 4]));
        for other in ["", "short", "zzzzzzzzzzzzzzzzzzzzzzzz", "ééééééééé"] {
            assert_eq!(item_time(other), 0, "{other}");
        }
    }
}
