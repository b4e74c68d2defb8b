//! How a record is laid out in its hash.
//!
//! | field | bytes |
//! |---|---|
//! | `@` | epoch (4), created (6), touched (6), and the first 40 bytes of the credentials; integers big-endian, times in milliseconds since the Unix epoch |
//! | `@1`, `@2` and so on | the rest of the credentials, where it is longer: 56 bytes each, the last one fewer |
//! | `@c` | the last 8 commit ids, 8 bytes each, where there are any |
//! | a session field | its JSON text |
//!
//! A session field whose name begins with `@` is stored with one `@` more, so no name can be
//! mistaken for metadata. The metadata are few fields because each more in a reply costs the client
//! as much as sixty bytes do, and none is longer than 56 bytes because Redis turns the whole hash into a
//! table, which takes twice the room, when one value is longer than 64. The eight that are left are for
//! a later version.

use crate::{
    store::{Loaded, Record},
    value::{Credentials, Fields, Timestamp},
};

/// The field of the metadata.
pub(super) const METADATA: &[u8] = b"@";

/// The field of the commit ids.
pub(super) const COMMITS: &[u8] = b"@c";

/// How long a piece of the metadata is, but for the last.
#[cfg(feature = "redis")]
const PIECE: usize = 56;

/// How many bytes of the metadata come before the credentials.
const BEFORE_CREDENTIALS: usize = 16;

/// The latest time that six bytes hold, in the year 10889.
const LATEST: i64 = (1 << 48) - 1;

/// The name of a session field in the hash.
pub(super) struct FieldKey<'a> {
    name: &'a str,
    escaped: Option<Box<str>>,
}

impl<'a> FieldKey<'a> {
    pub(super) fn new(name: &'a str) -> Self {
        Self { name, escaped: name.starts_with('@').then(|| format!("@{name}").into()) }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.escaped.as_deref().unwrap_or(self.name).as_bytes()
    }
}

/// The session field of a name in the hash.
pub(super) fn field_name(key: &str) -> &str {
    if key.starts_with("@@") { &key[1..] } else { key }
}

/// The last six bytes of a time.
pub(super) fn six_bytes(millis: i64) -> [u8; 6] {
    let [_, _, bytes @ ..] = millis.clamp(0, LATEST).to_be_bytes();
    bytes
}

/// The field of a further piece of the metadata, from 1.
pub(super) fn piece_key(number: usize) -> String {
    format!("@{number}")
}

/// Whether another piece of the metadata may follow on this one.
#[cfg(feature = "redis")]
pub(super) fn is_full(piece: &[u8]) -> bool {
    piece.len() == PIECE
}

/// In how many pieces metadata of this length come, besides the first.
#[cfg(feature = "redis")]
pub(super) fn more_pieces(length: usize) -> usize {
    length.saturating_sub(1) / PIECE
}

/// Reads the metadata; `None` if they are not ours. A time that is known to be a little late is not
/// before what it is to be compared with.
pub(super) fn metadata(bytes: &[u8], now: Timestamp) -> Option<Loaded> {
    let (bytes, credentials) = bytes.split_first_chunk::<BEFORE_CREDENTIALS>()?;
    let [created, touched] = [time(&bytes[4..10]), time(&bytes[10..16])];
    let record = Record {
        credentials: Credentials::checked(credentials)?,
        epoch: u32::from_be_bytes(*bytes.first_chunk()?).into(),
        created,
        touched,
        expires: touched,
        commits: Vec::new(),
        fields: Fields::new(),
    };
    Some(Loaded::new(&record, now.max(touched)))
}

fn time(six: &[u8]) -> Timestamp {
    Timestamp::from_millis(six.iter().fold(0, |time, byte| time << 8 | i64::from(*byte)))
}
