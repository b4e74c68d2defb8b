//! What the scripts answer.

use std::fmt;

use bytes::Bytes;

use super::layout::{field_name, metadata};
#[cfg(feature = "redis")]
use super::layout::{is_full, more_pieces};
use crate::{
    store::{Commit, CommitOutcome, CreateOutcome, Loaded},
    value::{FieldName, Timestamp},
};

/// One item of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Item {
    None,
    // Webdis passes on strings only.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    Integer(i64),
    Bytes(Bytes),
}

/// An answer that is none of this library's: something else is kept under the store's keys.
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

/// Puts the pieces of the metadata together that `load_pieces` asks for. `None` if there may be more of them.
#[cfg(feature = "redis")]
pub(in crate::store) fn joined(more: usize, items: &mut impl Iterator<Item = Item>) -> Option<Item> {
    let first = items.next().unwrap_or(Item::None);
    let rest: Vec<_> = items.take(more).collect();
    let Item::Bytes(first) = first else { return Some(first) };
    if !is_full(&first) {
        return Some(Item::Bytes(first));
    }
    let mut whole = first.to_vec();
    for piece in rest {
        let Item::Bytes(piece) = piece else { return Some(Item::Bytes(whole.into())) };
        whole.extend_from_slice(&piece);
        if !is_full(&piece) {
            return Some(Item::Bytes(whole.into()));
        }
    }
    None
}

/// In how many pieces these metadata came, besides the first.
#[cfg(feature = "redis")]
pub(in crate::store) fn pieces_of(metadata: &Item) -> usize {
    match metadata {
        Item::Bytes(metadata) => more_pieces(metadata.len()),
        _ => 0,
    }
}

/// Of `HMGET` with the arguments of `load` and the metadata in one piece, and the time of that.
pub(in crate::store) fn loaded(
    names: &[FieldName],
    now: Timestamp,
    items: impl IntoIterator<Item = Item>,
) -> Result<Option<Loaded>, Malformed> {
    let mut items = items.into_iter();
    let record = match items.next() {
        Some(Item::None) => return Ok(None),
        Some(Item::Bytes(bytes)) => metadata(&bytes, now).ok_or(Malformed)?,
        _ => return Err(Malformed),
    };
    let pair = |(name, item): (&FieldName, Item)| match item {
        Item::Bytes(value) => Some((name.clone(), value)),
        _ => None,
    };
    let fields = names.iter().zip(items).filter_map(pair).collect();
    Ok(Some(record.with_fields(fields, false)))
}

/// Of `create.lua`.
pub(in crate::store) fn created(item: &Item) -> Result<CreateOutcome, Malformed> {
    match item {
        Item::Integer(0) => Ok(CreateOutcome::IdTaken),
        Item::Bytes(text) if **text == *b"0" => Ok(CreateOutcome::IdTaken),
        Item::Bytes(text) => {
            let millis = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            millis.map(|millis| CreateOutcome::Created(Timestamp::from_millis(millis))).ok_or(Malformed)
        }
        _ => Err(Malformed),
    }
}

/// Of `puts.lua` and `commit.lua`; `None` if it came too late and did nothing.
pub(in crate::store) fn answer(
    commit: &Commit,
    items: impl IntoIterator<Item = Item>,
) -> Result<Option<CommitOutcome>, Malformed> {
    let mut items = items.into_iter();
    let status = match items.next() {
        Some(Item::Integer(status)) => status,
        Some(Item::Bytes(text)) => {
            std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)?
        }
        _ => return Err(Malformed),
    };
    let answer = match status {
        1 => {
            let values: Vec<_> = items
                .map(|item| match item {
                    Item::Bytes(value) => Some(value),
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
        -2 => match items.next() {
            Some(Item::Bytes(field)) => {
                let field = std::str::from_utf8(&field).map_err(|_| Malformed)?;
                CommitOutcome::Invalid(field_name(field).into())
            }
            _ => return Err(Malformed),
        },
        -3 => return Ok(None),
        -4 => CommitOutcome::CredentialsChanged,
        _ => return Err(Malformed),
    };
    Ok(Some(answer))
}

/// Of `HMGET` with the arguments of `look`: whether the record remembers this commit.
pub(in crate::store) fn remembers(commit: &Commit, items: impl IntoIterator<Item = Item>) -> bool {
    match (commit.id, items.into_iter().nth(1)) {
        (Some(id), Some(Item::Bytes(commits))) => commits.chunks_exact(8).any(|known| known == id.as_bytes()),
        _ => false,
    }
}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Item {
        Item::Bytes(vec![7; length].into())
    }

    /// The metadata and what is left for the fields; `None` if there may be more of them.
    fn join(more: usize, items: &[Item]) -> Option<(Item, usize)> {
        let mut items = items.iter().cloned();
        joined(more, &mut items).map(|metadata| (metadata, items.count()))
    }

    #[test]
    fn metadata_are_put_together_as_far_as_they_go() {
        let (none, full) = (Item::None, bytes(56));
        assert_eq!(join(1, &[none.clone(), none.clone(), bytes(9)]), Some((none.clone(), 1)));
        assert_eq!(join(1, &[bytes(48), none.clone(), bytes(9)]), Some((bytes(48), 1)));
        assert_eq!(join(1, &[full.clone(), bytes(31), bytes(9)]), Some((bytes(87), 1)));
        assert_eq!(join(2, &[full.clone(), full.clone(), none.clone(), bytes(9)]), Some((bytes(112), 1)));
        assert_eq!(join(0, &[full.clone(), bytes(9)]), None, "there may be another piece");
        assert_eq!(join(1, &[full.clone(), full.clone(), bytes(9)]), None);
        // What comes after a gap is none of it.
        assert_eq!(join(2, &[full.clone(), none.clone(), bytes(5)]), Some((full, 0)));
        for (length, pieces) in [(48, 0), (56, 0), (57, 1), (112, 1), (113, 2)] {
            assert_eq!(pieces_of(&bytes(length)), pieces, "{length}");
        }
    }
}
