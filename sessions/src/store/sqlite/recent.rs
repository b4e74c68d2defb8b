//! Records as this process read them a moment ago, for the commits that follow.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::{store::Record, value::RecordId};

/// A power of two. Two requests under way share a place seldom, and lose no more than time by it.
const PLACES: usize = 1024;

/// Larger ones are not kept, which bounds the whole to about 16 MiB.
const LARGEST: usize = 16 * 1024;

/// A record as it was read.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) rowid: i64,
    pub(super) record: Record,
    /// The text of the column `data`.
    pub(super) data: Bytes,
}

type Place = Option<(RecordId, Seen)>;

/// The last record read of every place: its id, which is random, says which that is.
#[derive(Debug)]
pub(super) struct Recent {
    places: Box<[Mutex<Place>]>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn put(&self, id: RecordId, seen: Seen) {
        if seen.data.len() <= LARGEST {
            // What was there is dropped after the lock.
            let _before = self.place(id).replace((id, seen));
        }
    }

    pub(super) fn take(&self, id: RecordId) -> Option<Seen> {
        self.place(id).take_if(|(known, _)| *known == id).map(|(_, seen)| seen)
    }

    fn place(&self, id: RecordId) -> MutexGuard<'_, Place> {
        let [first, second, ..] = *id.as_bytes();
        let index = usize::from(u16::from_le_bytes([first, second])) % PLACES;
        self.places[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
