//! Any key and any collection: a key has one name and comes back, a name has one key, and what is split is joined to the
//! same, whatever another program stored.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sessions::fuzzing::entries::{Kind, entry_name, joined, key_in, split};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    key: String,
    name: &'a str,
    whole: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let name = entry_name("cart", &input.key);
    assert_eq!(key_in("cart", &name), Some(input.key.clone()));
    let inner = &name["cart[".len()..name.len() - 1];
    assert!(inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-%".contains(&byte)), "{name}");
    if let Some(key) = key_in("cart", input.name) {
        assert_eq!(entry_name("cart", &key), input.name, "one spelling");
    }
    let parsed = serde_json::from_slice::<Value>(input.whole);
    for kind in [Kind::Map, Kind::Set, Kind::List] {
        let Some(entries) = split(kind, input.whole) else {
            let fits = |value: &Value| if kind == Kind::Map { value.is_object() } else { value.is_array() };
            assert!(!parsed.as_ref().is_ok_and(fits), "not split");
            continue;
        };
        // Two members of one key are one in a `Value`; the last of them counts there, and nothing is said here.
        let again = joined(kind, &entries);
        if let (Ok(before), Ok(after)) = (&parsed, serde_json::from_slice::<Value>(&again)) {
            assert_eq!(*before, after);
        }
        let twice = split(kind, &again).expect("what is joined is split");
        let parts = |entries: &[(String, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
            let key = |key: &String| if kind == Kind::List { String::new() } else { key.clone() };
            entries.iter().map(|(of, value)| (key(of), value.clone())).collect()
        };
        assert_eq!(parts(&entries), parts(&twice));
    }
});
