//! The replies of the commands and scripts.

use std::{collections::HashMap, fmt};

use bytes::Bytes;

#[cfg(feature = "redis")]
use super::layout::more_pieces;
use super::{
    arguments::asks_for_all,
    layout::{METADATA, field_name, is_full, is_metadata, metadata, piece_key},
};
use crate::{
    store::{Commit, CommitOutcome, CreateOutcome, Loaded},
    value::{FieldName, Timestamp},
};

/// One item of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum ReplyItem {
    None,
    // Through Webdis only strings come.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    Integer(i64),
    Bytes(Bytes),
}

/// The error for a reply that is not of this library: another program uses the store's keys.
#[derive(Debug)]
pub(in crate::store) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a key with the session store's prefix holds no session of this library; \
             give the store a prefix of its own",
        )
    }
}

impl std::error::Error for Malformed {}

/// Joins the pieces of the metadata that `load_pieces` asks for. Returns `None` if there may be more of them.
#[cfg(feature = "redis")]
pub(in crate::store) fn joined(
    more: usize,
    items: &mut impl Iterator<Item = ReplyItem>,
) -> Option<ReplyItem> {
    let first = items.next().unwrap_or(ReplyItem::None);
    let rest: Vec<_> = items.take(more).collect();
    let ReplyItem::Bytes(first) = first else { return Some(first) };
    if !is_full(&first) {
        return Some(ReplyItem::Bytes(first));
    }
    let mut whole = first.to_vec();
    for piece in rest {
        let ReplyItem::Bytes(piece) = piece else { return Some(ReplyItem::Bytes(whole.into())) };
        whole.extend_from_slice(&piece);
        if !is_full(&piece) {
            return Some(ReplyItem::Bytes(whole.into()));
        }
    }
    None
}

/// Returns the number of further pieces of these metadata.
#[cfg(feature = "redis")]
pub(in crate::store) fn pieces_of(metadata: &ReplyItem) -> usize {
    match metadata {
        ReplyItem::Bytes(metadata) => more_pieces(metadata.len()),
        _ => 0,
    }
}

/// Reads the reply to a load of these names as of this time: that to `HMGET`, its metadata joined, or to `HGETALL` if
/// there is a prefix name among them.
pub(in crate::store) fn loaded(
    names: &[FieldName],
    now: Timestamp,
    items: impl IntoIterator<Item = ReplyItem>,
) -> Result<Option<Loaded>, Malformed> {
    let mut items = items.into_iter();
    if asks_for_all(names) {
        return whole(names, now, items);
    }
    let record = match items.next() {
        Some(ReplyItem::None) => return Ok(None),
        Some(ReplyItem::Bytes(bytes)) => metadata(&bytes, now).ok_or(Malformed)?,
        _ => return Err(Malformed),
    };
    let pair = |(name, item): (&FieldName, ReplyItem)| match item {
        ReplyItem::Bytes(value) => Some((name.clone(), value)),
        _ => None,
    };
    let fields = names.iter().zip(items).filter_map(pair).collect();
    Ok(Some(record.with_fields(fields, false)))
}

/// Reads a whole hash, whose names and values follow each other in any order.
fn whole(
    names: &[FieldName],
    now: Timestamp,
    mut items: impl Iterator<Item = ReplyItem>,
) -> Result<Option<Loaded>, Malformed> {
    let (mut fields, mut own) = (Vec::new(), Vec::new());
    while let Some(key) = items.next() {
        let (ReplyItem::Bytes(key), Some(ReplyItem::Bytes(value))) = (key, items.next()) else {
            return Err(Malformed);
        };
        // Fields of another program may have names that are not UTF-8.
        match std::str::from_utf8(&key) {
            Ok(key) if is_metadata(key) => own.push((key.to_owned(), value)),
            Ok(key) => {
                let name = field_name(key);
                let known = names.iter().find(|known| known.as_str() == name);
                fields.push((known.cloned().unwrap_or_else(|| name.into()), value));
            }
            Err(_) => {}
        }
    }
    let mut own: HashMap<_, _> = own.into_iter().collect();
    let Some(first) = str::from_utf8(METADATA).ok().and_then(|key| own.remove(key)) else { return Ok(None) };
    let (mut joined, mut last) = (first.to_vec(), first);
    for number in 1.. {
        match own.remove(&piece_key(number)).filter(|_| is_full(&last)) {
            Some(piece) => {
                joined.extend_from_slice(&piece);
                last = piece;
            }
            None => break,
        }
    }
    let record = metadata(&joined, now).ok_or(Malformed)?;
    Ok(Some(record.with_fields(fields.into_iter().collect(), true)))
}

/// Reads the reply of `create.lua`.
pub(in crate::store) fn created(item: &ReplyItem) -> Result<CreateOutcome, Malformed> {
    match item {
        ReplyItem::Integer(0) => Ok(CreateOutcome::IdTaken),
        ReplyItem::Bytes(text) if **text == *b"0" => Ok(CreateOutcome::IdTaken),
        ReplyItem::Bytes(text) => {
            let millis = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            millis.map(|millis| CreateOutcome::Created(Timestamp::from_millis(millis))).ok_or(Malformed)
        }
        _ => Err(Malformed),
    }
}

/// Reads the reply of `puts.lua` or `commit.lua`. `None` means that the commit came too late and did nothing.
pub(in crate::store) fn answer(
    commit: &Commit,
    items: impl IntoIterator<Item = ReplyItem>,
) -> Result<Option<CommitOutcome>, Malformed> {
    let mut items = items.into_iter();
    let status = match items.next() {
        Some(ReplyItem::Integer(status)) => status,
        Some(ReplyItem::Bytes(text)) => {
            std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)?
        }
        _ => return Err(Malformed),
    };
    let answer = match status {
        1 => {
            let values: Vec<_> = items
                .map(|item| match item {
                    ReplyItem::Bytes(value) => Some(value),
                    _ => None,
                })
                .collect();
            if values.len() != commit.returning.len() {
                return Err(Malformed);
            }
            CommitOutcome::Applied(values)
        }
        0 => CommitOutcome::NotFound,
        -1 => CommitOutcome::StaleEpoch,
        -2 => CommitOutcome::Invalid(named(items.next())?),
        -5 => CommitOutcome::Conflict(named(items.next())?),
        -3 => return Ok(None),
        -4 => CommitOutcome::CredentialsChanged,
        _ => return Err(Malformed),
    };
    Ok(Some(answer))
}

/// Reads the name of a field.
fn named(item: Option<ReplyItem>) -> Result<FieldName, Malformed> {
    match item {
        Some(ReplyItem::Bytes(field)) => {
            let field = std::str::from_utf8(&field).map_err(|_| Malformed)?;
            Ok(field_name(field).into())
        }
        _ => Err(Malformed),
    }
}

/// Reads the reply to `HMGET` with the arguments of `look`. Returns true if the record remembers this commit.
pub(in crate::store) fn remembers(commit: &Commit, items: impl IntoIterator<Item = ReplyItem>) -> bool {
    match (commit.id, items.into_iter().nth(1)) {
        (Some(id), Some(ReplyItem::Bytes(commits))) => {
            commits.chunks_exact(8).any(|known| known == id.as_bytes())
        }
        _ => false,
    }
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;

    fn bytes(length: usize) -> ReplyItem {
        ReplyItem::Bytes(vec![7; length].into())
    }

    /// Returns the metadata, and the number of items that are left for the fields.
    fn join(more: usize, items: &[ReplyItem]) -> Option<(ReplyItem, usize)> {
        let mut items = items.iter().cloned();
        joined(more, &mut items).map(|metadata| (metadata, items.count()))
    }

    #[test]
    fn metadata_are_put_together_as_far_as_they_go() {
        let (none, full) = (ReplyItem::None, bytes(56));
        assert_eq!(join(1, &[none.clone(), none.clone(), bytes(9)]), Some((none.clone(), 1)));
        assert_eq!(join(1, &[bytes(48), none.clone(), bytes(9)]), Some((bytes(48), 1)));
        assert_eq!(join(1, &[full.clone(), bytes(31), bytes(9)]), Some((bytes(87), 1)));
        assert_eq!(join(2, &[full.clone(), full.clone(), none.clone(), bytes(9)]), Some((bytes(112), 1)));
        assert_eq!(join(0, &[full.clone(), bytes(9)]), None, "there may be another piece");
        assert_eq!(join(1, &[full.clone(), full.clone(), bytes(9)]), None);
        // A piece after a gap does not belong to the metadata.
        assert_eq!(join(2, &[full.clone(), none.clone(), bytes(5)]), Some((full, 0)));
        for (length, pieces) in [(48, 0), (56, 0), (57, 1), (112, 1), (113, 2)] {
            assert_eq!(pieces_of(&bytes(length)), pieces, "{length}");
        }
    }

    fn pair(key: &[u8], value: Vec<u8>) -> [ReplyItem; 2] {
        [ReplyItem::Bytes(key.to_vec().into()), ReplyItem::Bytes(value.into())]
    }

    /// Metadata with credentials of this length.
    fn record(credentials: usize) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        let filled = (0..64).cycle().take(credentials).enumerate();
        bytes.extend(filled.map(|(index, byte)| if index == 32 { 0x80 } else { byte }));
        bytes
    }

    #[test]
    fn a_whole_hash_is_read_in_any_order() {
        let names = ["cart[", "name", "@me"].map(FieldName::from);
        let now = Timestamp::from_millis(5);
        for credentials in [32, 39, 40, 41, 96, 97, 200] {
            let whole = record(credentials);
            let mut pairs: Vec<_> = whole
                .chunks(56)
                .enumerate()
                .map(|(number, piece)| {
                    let key = if number == 0 { "@".to_owned() } else { piece_key(number) };
                    pair(key.as_bytes(), piece.to_vec())
                })
                .collect();
            for (key, value) in
                [("cart[a]", "1"), ("name", "2"), ("@@me", "3"), ("@c", "4"), ("@other", "5"), ("x", "6")]
            {
                pairs.push(pair(key.as_bytes(), value.into()));
            }
            pairs.push(pair(b"\xff", b"7".to_vec()));
            for _ in 0..pairs.len() {
                pairs.rotate_left(1);
                let loaded = loaded(&names, now, pairs.concat()).unwrap().unwrap();
                assert_eq!(loaded.credentials.as_bytes(), &whole[16..]);
                assert!(loaded.complete);
                let fields: Vec<_> =
                    loaded.fields.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
                assert_eq!(
                    fields,
                    [("@me", &b"3"[..]), ("cart[a]", b"1"), ("name", b"2"), ("x", b"6")],
                    "{credentials}"
                );
            }
        }
    }

    #[test]
    fn a_hash_without_metadata_is_no_record() {
        let names = ["cart[".into()];
        let now = Timestamp::from_millis(5);
        let read = |items: Vec<ReplyItem>| loaded(&names, now, items);
        assert!(read(Vec::new()).unwrap().is_none());
        assert!(read(pair(b"cart[a]", b"1".to_vec()).to_vec()).unwrap().is_none());
        assert!(read(pair(b"@1", record(40)).to_vec()).unwrap().is_none());
        assert!(read(pair(b"@", vec![1; 15]).to_vec()).is_err(), "cut off");
        assert!(read(vec![bytes(1)]).is_err(), "a name without a value");
        assert!(read(vec![ReplyItem::None, bytes(1)]).is_err());
        // A piece after a gap does not belong to the metadata, nor one after a piece that is not full.
        let mut pieces = [pair(b"@", record(40)), pair(b"@2", vec![7; 5])].concat();
        assert_eq!(read(pieces.clone()).unwrap().unwrap().credentials.as_bytes().len(), 40);
        pieces.extend(pair(b"@1", vec![7; 55]));
        assert_eq!(read(pieces).unwrap().unwrap().credentials.as_bytes().len(), 95);
    }
}
