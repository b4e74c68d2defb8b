//! A record as the store's queries return it: text that says where it ends.

use bytes::Bytes;
use sqlx::{Row as _, sqlite::SqliteRow};

use super::document;
use crate::{
    error::Error,
    store::{CommitId, Record},
    value::{Credentials, FieldName, RecordId, Timestamp},
};

/// A record as it was read, with its row.
#[derive(Clone, Debug)]
pub(super) struct DecodedRow {
    pub(super) rowid: i64,
    pub(super) record: Record,
    /// The text of the column `data`.
    pub(super) data: Bytes,
}

/// The words of a row: `id rowid credentials epoch created touched expires commits length data`.
///
/// Several rows follow each other in one text. Only `data` can hold a space. `length` counts the bytes of `data`.
#[derive(Debug)]
pub(super) struct RowParts<'a> {
    pub(super) id: RecordId,
    pub(super) rowid: i64,
    credentials: &'a [u8],
    epoch: i64,
    created: i64,
    touched: i64,
    expires: i64,
    commits: &'a [u8],
    data: &'a [u8],
}

impl<'a> RowParts<'a> {
    /// Takes the first row off `text`. Returns `None` if there is none.
    pub(super) fn take(text: &mut &'a [u8]) -> Option<Self> {
        let id = RecordId::parse(str::from_utf8(word(text)?).ok()?)?;
        let rowid = integer(word(text)?)?;
        let credentials = word(text)?;
        let (epoch, created) = (integer(word(text)?)?, integer(word(text)?)?);
        let (touched, expires) = (integer(word(text)?)?, integer(word(text)?)?);
        let commits = word(text)?;
        let length = usize::try_from(integer(word(text)?)?).ok()?;
        let data;
        (data, *text) = text.split_at_checked(length)?;
        Some(Self { id, rowid, credentials, epoch, created, touched, expires, commits, data })
    }

    /// Returns the error for a text without a row where there should be one, which would be a defect of the statements.
    pub(super) fn malformed() -> Error {
        Error::unavailable(
            "SQLite returned text that is not a row of sessions; look for damage with `PRAGMA integrity_check`",
        )
    }

    /// Returns the record. Names of its fields that are in `names` cost no allocation.
    ///
    /// # Errors
    ///
    /// If the row holds no session: what is wrong with it. Another program wrote it.
    pub(super) fn decode(&self, names: &[FieldName]) -> Result<DecodedRow, String> {
        let credentials =
            Credentials::from_bytes(unhex_all(self.credentials).ok_or("its `credentials` are not bytes")?);
        let (commits, rest) = self.commits.as_chunks::<16>();
        let commits: Option<Vec<_>> = commits.iter().map(|id| unhex(id).map(CommitId::from_bytes)).collect();
        let commits =
            commits.filter(|_| rest.is_empty()).ok_or("its `commits` are not ids of 8 bytes each")?;
        // A copy: a slice would keep the texts of the batch's other sessions alive.
        let data = Bytes::copy_from_slice(self.data);
        let fields = document::read(&data, names)
            .map_err(|error| format!("its `data` is not one JSON object with a member per field: {error}"))?;
        let epoch = u64::try_from(self.epoch).map_err(|_| "its `epoch` is negative")?;
        if self.created < 0 || self.touched < 0 {
            return Err("it was created or touched before 1970".into());
        }
        let record = Record {
            credentials,
            epoch,
            created: Timestamp::from_millis(self.created),
            touched: Timestamp::from_millis(self.touched),
            expires: Timestamp::from_millis(self.expires),
            commits,
            fields,
        };
        Ok(DecodedRow { rowid: self.rowid, record, data })
    }
}

/// Returns the one text of a query's one row. It is empty if no record was found.
///
/// As bytes: a row that another program wrote may hold what is not UTF-8. That is an error of its record alone.
pub(super) fn text_of(row: Option<SqliteRow>) -> Result<Vec<u8>, sqlx::Error> {
    let text: Option<Vec<u8>> = match row {
        Some(row) => row.try_get_unchecked(0)?,
        None => None,
    };
    Ok(text.unwrap_or_default())
}

fn word<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    let word = &text[..end];
    *text = &text[end + 1..];
    Some(word)
}

fn integer(word: &[u8]) -> Option<i64> {
    str::from_utf8(word).ok()?.parse().ok()
}

/// Reads hexadecimal as SQLite's `hex` writes it.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    unhex_into(text, &mut bytes)?;
    Some(bytes)
}

/// Reads hexadecimal of any length.
fn unhex_all(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    unhex_into(text, &mut bytes)?;
    Some(bytes)
}

fn unhex_into(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    let mut seen = 0;
    // No branch on a digit: the processor would guess half of the random ones wrong.
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(())
}

/// The values of hexadecimal digits, and 255 for all other bytes.
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    const ID: RecordId = RecordId::from_bytes([7; 16]);

    fn text(commits: &str, data: &str) -> String {
        format!("{ID} 42 {} 3 10 20 30 {commits} {} {data}", "AB".repeat(32), data.len())
    }

    #[test]
    fn rows_that_follow_each_other_are_told_apart() {
        let both = text("", "{\"a\": \"x 1 2 {}\"}") + &text("0102030405060708", "{\"é\":1}");
        let mut rest = both.as_bytes();
        let first = RowParts::take(&mut rest).unwrap();
        let second = RowParts::take(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!((first.id, first.rowid), (ID, 42));
        let record = first.decode(&[]).unwrap().record;
        assert_eq!(record.fields.get("a").unwrap().as_ref(), b"\"x 1 2 {}\"");
        assert_eq!(record.credentials, Credentials::from_bytes(vec![0xab; 32]));
        assert_eq!(record.epoch, 3);
        let times = [record.created, record.touched, record.expires].map(Timestamp::as_millis);
        assert_eq!(times, [10, 20, 30]);
        let record = second.decode(&[]).unwrap().record;
        assert_eq!(record.commits, [CommitId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8])]);
        assert!(record.fields.contains("é"));
    }

    #[test]
    fn a_cut_row_is_none() {
        let whole = text("", "{}");
        for end in 0..whole.len() {
            assert!(RowParts::take(&mut &whole.as_bytes()[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn a_row_that_someone_else_wrote_is_an_error_that_says_what_is_wrong() {
        let bad_data = text("", "[]");
        let error = RowParts::take(&mut bad_data.as_bytes()).unwrap().decode(&[]).unwrap_err();
        assert!(error.starts_with("its `data` is not one JSON object"), "{error}");
        let bad_commits = text("0102", "{}");
        let error = RowParts::take(&mut bad_commits.as_bytes()).unwrap().decode(&[]).unwrap_err();
        assert_eq!(error, "its `commits` are not ids of 8 bytes each");
        let bad_credentials = text("", "{}").replacen("AB", "A", 1);
        let error = RowParts::take(&mut bad_credentials.as_bytes()).unwrap().decode(&[]).unwrap_err();
        assert_eq!(error, "its `credentials` are not bytes");
        for (good, bad, reason) in [
            (" 3 10 20 ", " -1 10 20 ", "its `epoch` is negative"),
            (" 3 10 20 ", " 3 -10 20 ", "it was created or touched before 1970"),
            (" 3 10 20 ", " 3 10 -20 ", "it was created or touched before 1970"),
        ] {
            let text = text("", "{}").replace(good, bad);
            assert_eq!(RowParts::take(&mut text.as_bytes()).unwrap().decode(&[]).unwrap_err(), reason);
        }
    }
}
