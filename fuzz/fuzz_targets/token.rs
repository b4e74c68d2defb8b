//! Any text as a cookie's value: what is accepted has one spelling, and is what another decoder takes for it. The same bytes as a
//! credentials do not panic.
#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use sessions::RecordId;

fuzz_target!(|text: &[u8]| {
    let _ = sessions::fuzzing::are_credentials(text);
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    let is_token = matches!(&decoded, Some(bytes) if bytes.len() == 49 && bytes[0] == 1);
    match sessions::fuzzing::token(text) {
        Some(again) => assert!(is_token && again.as_bytes() == text, "accepted, and written as {again}"),
        None => assert!(!is_token, "refused"),
    }
    if let Ok(text) = std::str::from_utf8(text) {
        match RecordId::parse(text) {
            Some(id) => {
                assert_eq!(id.to_string(), text);
                assert_eq!(decoded.as_deref(), Some(&id.as_bytes()[..]));
            }
            None => assert!(!matches!(&decoded, Some(bytes) if bytes.len() == 16), "an id was refused"),
        }
    }
});
