//! What was signed and sealed, changed in any way: it is refused, or it is what it was. And any text as a key ring.
#![no_main]

use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sessions::{Key, KeyRing, fuzzing};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    edits: Vec<(u16, u8)>,
    length: Option<u16>,
    added: &'a [u8],
    text: &'a str,
}

/// A ring, and what it has signed and sealed.
struct Made {
    ring: KeyRing,
    token: String,
    sealed: Vec<u8>,
}

const VALUE: &[u8] = b"\"4111\"";

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let ring = KeyRing::new(Key::generate().expect("random bytes"));
        let token = fuzzing::signed(&ring, "sid");
        let sealed = fuzzing::sealed(&ring, "sid", "card", VALUE);
        Made { ring, token, sealed }
    })
}

/// The same with the changes of the input, if that is another text.
fn changed(text: &[u8], input: &Input<'_>) -> Option<Vec<u8>> {
    let mut bytes = text.to_vec();
    for (index, byte) in &input.edits {
        let index = usize::from(*index) % bytes.len();
        bytes[index] ^= byte;
    }
    bytes.truncate(input.length.map_or(bytes.len(), usize::from));
    bytes.extend_from_slice(input.added);
    (bytes != text).then_some(bytes)
}

fuzz_target!(|input: Input<'_>| {
    let Made { ring, token, sealed } = made();
    assert_eq!(fuzzing::verified(ring, "sid", token.as_bytes()).as_deref(), Some(token.as_str()));
    assert_eq!(fuzzing::opened(ring, "sid", "card", sealed).as_deref(), Some(VALUE));
    if let Some(forged) = changed(token.as_bytes(), &input) {
        assert_eq!(fuzzing::verified(ring, "sid", &forged), None, "{}", forged.escape_ascii());
    }
    if let Some(forged) = changed(sealed, &input) {
        assert_eq!(fuzzing::opened(ring, "sid", "card", &forged), None, "{}", forged.escape_ascii());
    }
    assert_eq!(fuzzing::opened(ring, "sid", "card", input.added), None);
    if input.text != "card" {
        assert_eq!(fuzzing::opened(ring, "sid", input.text, sealed), None, "another field");
    }
    if input.text != "sid" {
        assert_eq!(fuzzing::verified(ring, input.text, token.as_bytes()), None, "another cookie");
        assert_eq!(fuzzing::opened(ring, input.text, "card", sealed), None, "another cookie");
    }
    // Read or refused; `Debug` shows ids only.
    if let Ok(ring) = KeyRing::parse(input.text) {
        let shown = format!("{ring:?}");
        let keys = input.text.split_whitespace().filter_map(|entry| entry.split_once(':'));
        for (_, key) in keys.filter(|(state, _)| *state != "revoked") {
            assert!(!shown.contains(key), "{shown}");
        }
    }
});
