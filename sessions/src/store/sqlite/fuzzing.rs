//! For the fuzz targets: how records become text and back, without a database.

use bytes::Bytes;

use super::{document, row::Row};
use crate::{
    store::Record,
    value::{FieldName, Fields, RecordId},
};

/// The records of a text of rows, up to the first that is none; an error is of a row that someone else wrote.
#[must_use]
pub fn rows(mut text: &[u8], names: &[FieldName]) -> Vec<(RecordId, Result<Record, String>)> {
    let mut records = Vec::new();
    while let Some(row) = Row::take(&mut text) {
        records.push((row.id, row.record(names).map(|seen| seen.record)));
    }
    records
}

/// Whether a value can be stored.
#[must_use]
pub fn is_json(value: &[u8]) -> bool {
    document::is_json(value)
}

/// The fields as one text, and what is read of that again.
#[must_use]
pub fn written_and_read(fields: &Fields, names: &[FieldName]) -> Option<Result<Fields, serde_json::Error>> {
    let text = document::write(fields).ok()?;
    Some(document::read(&Bytes::from(text), names))
}
