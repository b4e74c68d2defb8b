//! A record as bytes, for stores that keep records as a whole.
//!
//! Version 1, in this order:
//!
//! | what | bytes |
//! |---|---|
//! | the version | 1 byte: 1 |
//! | the epoch | 8, the highest first |
//! | created, touched, expires | 8 each, the highest first, with sign: milliseconds since the Unix epoch |
//! | the credentials | counted |
//! | the ids of commits | counted, 8 bytes each |
//! | the fields, sorted by name | their number, then for each its name (UTF-8) and its value, counted |
//!
//! *Counted* bytes follow their number. Numbers of bytes and of fields are written in LEB128: seven bits a byte, the
//! lowest first; the highest bit says that more follow. Each record has one form only, and nothing follows it.

use std::fmt;

use bytes::Bytes;

use super::{CommitId, Record};
use crate::{
    error::Error,
    value::{ByteReader, Credentials, FieldName, Timestamp, push_counted, push_number},
};

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// A reason for which bytes are no record.
#[derive(Debug, PartialEq, Eq)]
enum NotARecord {
    Empty,
    Version(u8),
    Malformed,
}

impl Record {
    /// Returns the record as bytes, which [`from_bytes`](Self::from_bytes) reads.
    ///
    /// The first byte is the version of the format, 1. Later versions of this library read what this one writes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // A number takes at most 5 bytes.
        let length = 53 + self.credentials.as_bytes().len() + 8 * self.commits.len() + 10 * self.fields.len();
        let mut bytes = Vec::with_capacity(length + self.fields.size());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        for time in [self.created, self.touched, self.expires] {
            bytes.extend_from_slice(&time.as_millis().to_be_bytes());
        }
        push_counted(&mut bytes, self.credentials.as_bytes());
        let commits: Vec<_> = self.commits.iter().map(|id| *id.as_bytes()).collect();
        push_counted(&mut bytes, commits.as_flattened());
        push_number(&mut bytes, self.fields.len() as u64);
        for (name, value) in self.fields.iter() {
            push_counted(&mut bytes, name.as_str().as_bytes());
            push_counted(&mut bytes, value);
        }
        bytes
    }

    /// Reads a record that [`to_bytes`](Self::to_bytes) wrote. Its values share these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::unreadable`], which a store returns as it is, if the bytes are of a version that this library does not
    /// know, or are no record.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        read(&bytes.into()).map_err(Error::unreadable)
    }
}

fn read(bytes: &Bytes) -> Result<Record, NotARecord> {
    let (version, rest) = bytes.split_first().ok_or(NotARecord::Empty)?;
    if *version != VERSION {
        return Err(NotARecord::Version(*version));
    }
    read_rest(bytes, ByteReader(rest)).ok_or(NotARecord::Malformed)
}

/// Reads what follows the version. Values are slices of `whole`.
fn read_rest(whole: &Bytes, mut rest: ByteReader<'_>) -> Option<Record> {
    let epoch = u64::from_be_bytes(rest.array()?);
    let mut time = || rest.array().map(|bytes| Timestamp::from_millis(i64::from_be_bytes(bytes)));
    let (created, touched, expires) = (time()?, time()?, time()?);
    let credentials = Credentials::from_bytes(Bytes::copy_from_slice(rest.counted()?));
    let (commits, cut) = rest.counted()?.as_chunks();
    let commits = commits.iter().copied().map(CommitId::from_bytes).collect();
    let mut fields: Vec<(FieldName, Bytes)> = Vec::new();
    for _ in 0..rest.number()? {
        let name = str::from_utf8(rest.counted()?).ok()?;
        let value = whole.slice_ref(rest.counted()?);
        if fields.last().is_some_and(|(last, _)| last.as_str() >= name) {
            return None;
        }
        fields.push((name.into(), value));
    }
    let fields = fields.into_iter().collect();
    let is_whole = cut.is_empty() && rest.0.is_empty();
    is_whole.then_some(Record { credentials, epoch, created, touched, expires, commits, fields })
}

impl fmt::Display for NotARecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the record has no bytes; delete it"),
            Self::Version(version) => write!(
                f,
                "the record has format version {version}, and this version of the library reads version {VERSION} \
                 only; update the library, or delete the record if another program wrote it"
            ),
            Self::Malformed => {
                f.write_str("the record is cut off or was changed by another program; delete it")
            }
        }
    }
}

impl std::error::Error for NotARecord {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        store::NewRecord,
        value::{Fields, Timeouts},
    };

    fn record() -> Record {
        let fields: Fields = [("", "null"), ("name", "\"Ada\""), ("naïve 😀", "[]")]
            .map(|(name, value)| (name.into(), Bytes::from_static(value.as_bytes())))
            .into_iter()
            .collect();
        Record::from_parts(
            Credentials::from_bytes(vec![7; 43]),
            u64::MAX,
            Timestamp::from_millis(1_800_000_000_000),
            Timestamp::from_millis(1_799_999_999_999),
            Timestamp::from_millis(-1),
            vec![CommitId::from_bytes([1; 8]), CommitId::from_bytes([2; 8])],
            fields,
        )
    }

    fn plain() -> Record {
        let credentials = Credentials::from_bytes(vec![3; 32]);
        Record::new(NewRecord::new(credentials, Timeouts::default()), Timestamp::from_millis(5))
    }

    #[test]
    fn a_record_reads_back() {
        for record in [record(), plain()] {
            assert_eq!(Record::from_bytes(record.to_bytes()).unwrap(), record);
        }
    }

    /// Stored records must be readable for ever: these bytes are version 1.
    #[test]
    fn the_format_is_the_documented_one() {
        let mut expected = vec![1];
        expected.extend_from_slice(&[0; 8]);
        for time in [5, 5, 90_000_005_i64] {
            expected.extend_from_slice(&time.to_be_bytes());
        }
        expected.push(32);
        expected.extend_from_slice(&[3; 32]);
        expected.extend_from_slice(b"\x08commitId\x01\x01a\x04true");
        let mut record = plain();
        record.commits.push(CommitId::from_bytes(*b"commitId"));
        record.fields.insert("a".into(), Bytes::from_static(b"true"));
        assert_eq!(record.to_bytes(), expected);
    }

    #[test]
    fn what_is_cut_or_longer_is_no_record() {
        let whole = record().to_bytes();
        for end in 0..whole.len() {
            assert!(Record::from_bytes(whole[..end].to_vec()).is_err(), "{end}");
        }
        assert!(Record::from_bytes([&whole[..], b"\0"].concat()).is_err());
    }

    /// Whatever is read is written in the same way.
    #[test]
    fn garbage_is_refused_or_has_one_form() {
        let whole = record().to_bytes();
        let mut read = 0;
        for index in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut changed = whole.clone();
                changed[index] = byte;
                if let Ok(record) = Record::from_bytes(changed.clone()) {
                    assert_eq!(record.to_bytes(), changed, "{index}: {byte}");
                    read += 1;
                }
            }
        }
        assert!(read > whole.len());
        for length in 0..100 {
            let mut ones = vec![0xFF; length];
            ones.insert(0, VERSION);
            assert!(Record::from_bytes(ones).is_err(), "{length}");
        }
    }

    #[test]
    fn names_that_are_twice_there_or_in_another_order_are_refused() {
        let bytes = |names: &[u8]| {
            let mut bytes = plain().to_bytes();
            *bytes.last_mut().unwrap() = 2;
            for name in names {
                bytes.extend_from_slice(&[1, *name, 1, b'1']);
            }
            Record::from_bytes(bytes)
        };
        assert!(bytes(b"ab").is_ok());
        assert!(bytes(b"aa").is_err() && bytes(b"ba").is_err());
    }

    #[test]
    fn an_error_says_which_version_it_is() {
        let mut later = record().to_bytes();
        later[0] = 2;
        let error = Record::from_bytes(later).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            source.contains("format version 2, and this version of the library reads version 1"),
            "{source}"
        );
        assert_eq!(read(&Bytes::new()), Err(NotARecord::Empty));
        assert_eq!(read(&Bytes::from_static(&[1, 0])), Err(NotARecord::Malformed));
    }
}
