//! The records that this process read last, for the commits that follow.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::row::DecodedRow;
use crate::value::RecordId;

/// The number of records kept, a power of two. Two requests under way seldom meet in one entry, and that costs time
/// only.
const ENTRIES: usize = 1024;

/// The longest `data` that is kept, in bytes. It bounds the whole to about 16 MiB.
const LARGEST: usize = 16 * 1024;

/// A table of recent reads, indexed by two bytes of the record id, which are random. Each entry has the last read.
#[derive(Debug)]
pub(super) struct RecentReads {
    entries: Box<[Mutex<Option<RecentRead>>]>,
}

#[derive(Debug)]
struct RecentRead {
    id: RecordId,
    row: DecodedRow,
}

impl RecentReads {
    pub(super) fn new() -> Self {
        Self { entries: (0..ENTRIES).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn put(&self, id: RecordId, row: DecodedRow) {
        if row.data.len() <= LARGEST {
            // Dropped after the lock.
            let _before = self.entry(id).replace(RecentRead { id, row });
        }
    }

    pub(super) fn take(&self, id: RecordId) -> Option<DecodedRow> {
        self.entry(id).take_if(|read| read.id == id).map(|read| read.row)
    }

    fn entry(&self, id: RecordId) -> MutexGuard<'_, Option<RecentRead>> {
        let [first, second, ..] = *id.as_bytes();
        let index = usize::from(u16::from_le_bytes([first, second])) % ENTRIES;
        self.entries[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
