//! Any text as rows is read or refused; any fields that can be stored come back, and nothing beside them.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sessions::{FieldName, RecordId, fuzzing::sqlite, store::Fields};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    text: &'a [u8],
    row: Option<Row<'a>>,
    names: Vec<&'a str>,
    fields: Vec<(&'a str, Value<'a>)>,
}

/// One that is nearly right.
#[derive(Arbitrary, Debug)]
struct Row<'a> {
    id: [u8; 16],
    rowid: i64,
    hash: [u8; 32],
    epoch: i64,
    times: [i64; 3],
    commits: Vec<[u8; 8]>,
    data: &'a str,
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    Number(i64),
    Float(f64),
}

impl Value<'_> {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => Bytes::copy_from_slice(bytes),
            Self::Text(text) => serde_json::to_vec(text).expect("a string").into(),
            Self::Number(number) => number.to_string().into(),
            Self::Float(float) => serde_json::to_vec(float).expect("a number").into(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn check_row(row: &Row<'_>, names: &[FieldName]) {
    let id = RecordId::from_bytes(row.id);
    let [created, touched, expires] = row.times;
    let commits: String = row.commits.iter().map(|commit| hex(commit)).collect();
    let text = format!(
        "{id} {} {} {} {created} {touched} {expires} {commits} {} {}",
        row.rowid,
        hex(&row.hash),
        row.epoch,
        row.data.len(),
        row.data
    );
    for twice in [text.clone(), text.repeat(2)] {
        let rows = sqlite::rows(twice.as_bytes(), names);
        assert_eq!(rows.len(), twice.len() / text.len());
        for (read, record) in rows {
            assert_eq!(read, id);
            let Ok(record) = record else { continue };
            assert_eq!((record.hash.as_bytes(), record.commits.len()), (&row.hash, row.commits.len()));
            assert_eq!(i64::try_from(record.epoch), Ok(row.epoch));
            assert!(created >= 0 && touched >= 0);
            assert_eq!([record.created, record.touched, record.expires].map(|time| time.as_millis()), row.times);
            // Another reader sees the same members.
            let object: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(row.data) {
                Ok(object) => object,
                // Too deep or too large a number: no matter what it is, it is passed on as it is.
                Err(_) => continue,
            };
            assert_eq!(object.len(), record.fields.len());
            for (name, value) in record.fields.iter() {
                let value: serde_json::Value = serde_json::from_slice(value).expect("JSON");
                assert_eq!(object.get(name.as_str()), Some(&value));
            }
        }
    }
}

fuzz_target!(|input: Input<'_>| {
    let names: Vec<FieldName> = input.names.iter().map(|name| (*name).into()).collect();
    for (_, record) in sqlite::rows(input.text, &names) {
        let _ = record;
    }
    if let Some(row) = &input.row {
        check_row(row, &names);
    }
    let storable = input.fields.iter().filter(|(_, value)| sqlite::is_json(&value.bytes()));
    let fields: Fields = storable.map(|(name, value)| ((*name).into(), value.bytes())).collect();
    let read = sqlite::written_and_read(&fields, &names).expect("JSON is text").expect("an object");
    // White space around a value is no part of it.
    let trimmed: Fields =
        fields.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value.trim_ascii()))).collect();
    assert!(read == trimmed, "{fields:?} became {read:?}");
});
