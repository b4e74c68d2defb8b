//! The replies of the commands and scripts.

use std::fmt;

use bytes::Bytes;

use super::layout::{field_name, metadata};
#[cfg(feature = "redis")]
use super::layout::{is_full, more_pieces};
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

/// Reads the reply to `HMGET` with the arguments of `load`, its metadata joined, as of this time.
pub(in crate::store) fn loaded(
    names: &[FieldName],
    now: Timestamp,
    items: impl IntoIterator<Item = ReplyItem>,
) -> Result<Option<Loaded>, Malformed> {
    let mut items = items.into_iter();
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
}
