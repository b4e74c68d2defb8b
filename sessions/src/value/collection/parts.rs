//! The parts of a JSON array or object as they stand in its text.

use serde::de::IgnoredAny;

/// The elements of an array; `None` if the text is none.
pub(crate) fn elements(json: &[u8]) -> Option<Vec<&[u8]>> {
    let mut elements = Vec::new();
    parts(json, b'[', b']', |text| {
        let (element, rest) = value(text)?;
        elements.push(element);
        Some(rest)
    })?;
    Some(elements)
}

/// The members of an object, by the texts of their keys; `None` if the text is none.
pub(crate) fn members(json: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let mut members = Vec::new();
    parts(json, b'{', b'}', |text| {
        let (key, rest) = value(text)?;
        let rest = trimmed(rest).strip_prefix(b":")?;
        let (value, rest) = value(trimmed(rest))?;
        members.push((serde_json::from_slice(key).ok()?, value));
        Some(rest)
    })?;
    Some(members)
}

/// Writes an array of values, or an object of keys and values.
pub(crate) fn joined<'a>(
    open: u8,
    parts: impl Iterator<Item = (Option<&'a str>, &'a [u8])>,
    close: u8,
) -> Vec<u8> {
    let mut json = vec![open];
    for (index, (key, value)) in parts.enumerate() {
        if index > 0 {
            json.push(b',');
        }
        if let Some(key) = key {
            // A text can always be written.
            let _ = serde_json::to_writer(&mut json, key);
            json.push(b':');
        }
        json.extend_from_slice(value);
    }
    json.push(close);
    json
}

/// Reads what is between the brackets, part by part. `next` reads one and returns what is behind it.
fn parts<'a>(
    json: &'a [u8],
    open: u8,
    close: u8,
    mut next: impl FnMut(&'a [u8]) -> Option<&'a [u8]>,
) -> Option<()> {
    let mut rest = trimmed(trimmed(json).strip_prefix(&[open])?);
    let mut is_first = true;
    loop {
        if is_first && let Some(end) = rest.strip_prefix(&[close]) {
            return trimmed(end).is_empty().then_some(());
        }
        is_first = false;
        rest = trimmed(next(rest)?);
        match rest.split_first()? {
            (b',', behind) => rest = trimmed(behind),
            (end, behind) if *end == close => return trimmed(behind).is_empty().then_some(()),
            _ => return None,
        }
    }
}

/// Cuts one value off the beginning of a text.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    text.split_at_checked(values.byte_offset())
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let spaces = text.iter().take_while(|byte| is_space(byte)).count();
    &text[spaces..]
}
