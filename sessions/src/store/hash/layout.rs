//! The layout of a record in its hash.
//!
//! | field | bytes |
//! |---|---|
//! | `@` | epoch (4), created (6), touched (6), and the first 40 bytes of the credentials |
//! | `@1`, `@2` and so on | the rest of longer credentials: 56 bytes each, the last one fewer |
//! | `@c` | the last 8 commit ids, 8 bytes each, if there are any |
//! | a session field | its JSON text |
//!
//! An entry of a collection is a session field, `cart[42]`.
//!
//! Integers are big-endian. Times are in milliseconds since the Unix epoch. A session field whose name begins with
//! `@` is stored with one `@` more, so no name can be mistaken for metadata.
//!
//! # Design
//!
//! **One session is one hash, and one key.** So a commit is one script on every kind of Redis, a cluster included,
//! and the same hash serves `RedisStore` and `WebdisStore` at once.
//!
//! **Metadata are few binary fields.** Each further field in a reply costs the client as much as sixty bytes do.
//!
//! **Metadata come in pieces of 56 bytes.** Redis keeps a hash in half the memory while none of its values is longer
//! than 64 bytes. A session that has logged in has more metadata than that: a user's session of 5 fields took 950
//! bytes with the metadata in one piece, and takes 520 now. Eight bytes of each piece are left for a later version.
//! The credentials stay opaque: they are cut wherever a piece is full.
//!
//! A load asks for `@` and `@1`, and for more once this process has seen a record with more. The first such load
//! takes two round trips, later ones take one. To ask for every piece each time would cost a load eleven bytes, and
//! the server an eighth of a microsecond, for each piece. A touch changes `@` only, so puts read and write no more
//! than before.
//!
//! **A load with a collection reads the whole hash.** Redis has no command for the fields that begin with some text, but
//! for `HSCAN`, which can take several trips, and for scripts. `HGETALL` is one trip.

use crate::{
    store::{Loaded, Record},
    value::{Credentials, Fields, Timestamp},
};

/// The field of the metadata.
pub(super) const METADATA: &[u8] = b"@";

/// The field of the commit ids.
pub(super) const COMMITS: &[u8] = b"@c";

/// The length of a piece of the metadata. The last one may be shorter.
const PIECE: usize = 56;

/// The number of bytes of the metadata before the credentials.
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

/// Returns the session field of a name in the hash.
pub(super) fn field_name(key: &str) -> &str {
    if key.starts_with("@@") { &key[1..] } else { key }
}

/// Returns true if a field of the hash is metadata, of this version or another.
pub(super) fn is_metadata(key: &str) -> bool {
    key.starts_with('@') && !key.starts_with("@@")
}

/// Encodes a time in six bytes.
pub(super) fn six_bytes(millis: i64) -> [u8; 6] {
    let [_, _, bytes @ ..] = millis.clamp(0, LATEST).to_be_bytes();
    bytes
}

/// Returns the field of a further piece of the metadata, counted from 1.
pub(super) fn piece_key(number: usize) -> String {
    format!("@{number}")
}

/// Returns true if another piece of the metadata may follow on this one.
pub(super) fn is_full(piece: &[u8]) -> bool {
    piece.len() == PIECE
}

/// Returns the number of further pieces of metadata of this length.
#[cfg(feature = "redis")]
pub(super) fn more_pieces(length: usize) -> usize {
    length.saturating_sub(1) / PIECE
}

/// Reads the metadata. Returns `None` if they are not of this library. `now` may be a little late, so it is moved to
/// the last use at least.
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
