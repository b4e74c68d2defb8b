//! A check, in builds with debug assertions, that what is written of a field can be read again.

use serde_json::Value;

use super::table::Codec;
use crate::error::json_reason;

/// The reason for which a value that was written as this JSON is not the same when it is read: where the two differ,
/// in names and positions, never in values.
pub(super) fn difference(codec: Codec, json: &[u8]) -> Option<String> {
    let value = match (codec.decode)(json) {
        Ok(value) => value,
        Err(error) => return Some(format!("it does not decode ({})", json_reason(&error))),
    };
    let mut again = Vec::new();
    if (codec.encode)(&*value, &mut again).is_err() {
        return Some("what is read of it cannot be written".into());
    }
    if again == json {
        return None;
    }
    let parsed = |json: &[u8]| serde_json::from_slice::<Value>(json).ok();
    let (Some(written), Some(read)) = (parsed(json), parsed(&again)) else {
        return Some("it is no JSON".into());
    };
    let mut place = String::new();
    differ(&written, &read, &mut place).then(|| match &*place {
        "" => "another value is read".into(),
        place => format!("another value is read at `{place}`"),
    })
}

/// True if two values mean something else; `place` then says where. The order of an object's members means nothing, nor does
/// that of an array's elements: sets are arrays.
fn differ(left: &Value, right: &Value, place: &mut String) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            let null = Value::Null;
            let mut members = names.map(|name| (name, left.get(name), right.get(name)));
            members.any(|(name, left, right)| {
                let before = place.len();
                place.push('.');
                place.push_str(name);
                let is_other = left.is_some() != right.is_some()
                    || differ(left.unwrap_or(&null), right.unwrap_or(&null), place);
                if !is_other {
                    place.truncate(before);
                }
                is_other
            })
        }
        (Value::Array(left), Value::Array(right)) if sorted(left) == sorted(right) => false,
        (Value::Array(left), Value::Array(right)) => {
            // Of the same length, the first element that is another one.
            if left.len() == right.len() {
                for (index, (left, right)) in left.iter().zip(right).enumerate() {
                    let before = place.len();
                    place.extend(["[", &index.to_string(), "]"]);
                    if differ(left, right, place) {
                        break;
                    }
                    place.truncate(before);
                }
            }
            true
        }
        (left, right) => left != right,
    }
}

/// The elements' texts in an order of their own, whatever order theirs was.
fn sorted(elements: &[Value]) -> Vec<String> {
    let mut texts: Vec<_> = elements.iter().map(unordered).collect();
    texts.sort_unstable();
    texts
}

/// The text of a value whose members and elements are in one order. Texts are not quoted once more on each level:
/// that would double their quotes with each.
fn unordered(value: &Value) -> String {
    match value {
        Value::Array(elements) => format!("[{}]", sorted(elements).join(",")),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                format!("{}:{}", Value::from(name.as_str()), unordered(value))
            };
            let mut members: Vec<_> = members.iter().map(member).collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
    use serde_json::json;

    use super::*;
    use crate::__private::stored;

    #[track_caller]
    fn reread<T: Serialize + DeserializeOwned + Send + Sync + 'static>(value: &T) -> Option<String> {
        difference(stored::<T>("a").codec, serde_json::to_string(value).unwrap().as_bytes())
    }

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "t")]
    enum Tagged {
        H { x: HashMap<u32, u32> },
        Plain { x: u32 },
    }

    #[derive(Default, Serialize, Deserialize)]
    struct Address {
        #[serde(deserialize_with = "lower")]
        mail: String,
        #[serde(skip_deserializing)]
        lines: Vec<String>,
    }

    fn lower<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Ok(String::deserialize(deserializer)?.to_lowercase())
    }

    fn address(mail: &str, lines: &[&str]) -> Address {
        Address { mail: mail.into(), lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn what_does_not_decode_is_said() {
        let maps = Tagged::H { x: HashMap::from([(1, 2)]) };
        assert_eq!(reread(&maps).unwrap(), "it does not decode (JSON of another type)");
        assert_eq!(reread(&Tagged::Plain { x: 1 }), None);
    }

    #[test]
    fn what_is_read_as_something_else_is_said_with_its_place() {
        assert_eq!(reread(&address("ada@example.org", &[])), None);
        let shouting = reread(&address("ADA@example.org", &[])).unwrap();
        assert_eq!(shouting, "another value is read at `.mail`");
        let home = BTreeMap::from([("home".to_owned(), address("ada", &["1 Main Street"]))]);
        let list = vec![(1, home)];
        assert_eq!(reread(&list).unwrap(), "another value is read at `[0][1].home.lines`");
    }

    /// Of a hundred elements, the order is another one each time.
    #[test]
    fn the_order_of_maps_and_sets_means_nothing() {
        let set: HashSet<String> = (0..100).map(|number| number.to_string()).collect();
        let map: HashMap<String, HashSet<String>> =
            (0..100).map(|number| (number.to_string(), set.clone())).collect();
        assert_eq!(reread(&set), None);
        assert_eq!(reread(&map), None);
        assert_eq!(reread(&vec![map.clone(), map]), None);
    }

    /// A tree takes time and room for what it is, not twice as much with each level.
    #[test]
    fn deep_trees_are_read_again() {
        #[derive(Serialize, Deserialize)]
        struct Tree {
            tags: HashSet<String>,
            children: Vec<Tree>,
        }
        let tags = || (0..20).map(|tag| tag.to_string()).collect();
        let mut tree = Tree { tags: tags(), children: Vec::new() };
        for _ in 0..40 {
            tree = Tree { tags: tags(), children: vec![tree] };
        }
        assert_eq!(reread(&tree), None);
    }

    #[test]
    fn values_differ_where_they_say() {
        for (left, right, expected) in [
            (json!([1, 2, [3, 4]]), json!([[4, 3], 2, 1]), None),
            (json!([1, 1, 2]), json!([1, 2, 2]), Some("[1]")),
            (json!([1, 2]), json!([1, 2, 2]), Some("")),
            (json!({ "a": 1, "b": [{ "c": null }] }), json!({ "b": [{ "c": null }], "a": 1 }), None),
            (json!({ "a": null }), json!({}), Some(".a")),
            (json!({}), json!({ "a": null }), Some(".a")),
            (json!({ "a": [{ "b": 1 }] }), json!({ "a": [{ "b": "1" }] }), Some(".a[0].b")),
            (json!([1]), json!(["1"]), Some("[0]")),
            (json!([[1, 2], [3]]), json!([[1], [2, 3]]), Some("[0]")),
            (json!(1), json!(1.0), Some("")),
        ] {
            let mut place = String::new();
            let found = differ(&left, &right, &mut place).then_some(&*place);
            assert_eq!(found, expected, "{left} {right}");
        }
    }
}
