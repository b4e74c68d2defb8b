//! The parts of a store that all of its clones and workers share.

use std::sync::atomic::AtomicU64;
#[cfg(test)]
use std::sync::atomic::AtomicUsize;

use super::{connect::Connector, recent_reads::RecentReads, statements::Statements, table::TableName};
use crate::clock::AnyClock;

/// The database of a store: how to connect to it, its SQL, its time.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connector: Connector,
    pub(super) table: TableName,
    pub(super) statements: Statements,
    pub(super) clock: AnyClock,
    pub(super) recent_reads: RecentReads,
    pub(super) counters: WriteCounters,
    /// The largest batch that SQLite takes. It stands for SQLite's own limits, which take gigabytes to reach.
    #[cfg(test)]
    pub(super) largest_batch: AtomicUsize,
}

/// Counts of what the workers did, shown by the store's `Debug`.
#[derive(Debug, Default)]
pub(super) struct WriteCounters {
    /// Batches with writes.
    pub(super) written_batches: AtomicU64,
    /// Optimistic writes that found their row as it was read.
    pub(super) optimistic_writes: AtomicU64,
}

impl Database {
    pub(super) fn new(connector: Connector, table: TableName, clock: AnyClock) -> Self {
        Self {
            connector,
            statements: Statements::new(&table),
            table,
            clock,
            recent_reads: RecentReads::new(),
            counters: WriteCounters::default(),
            #[cfg(test)]
            largest_batch: AtomicUsize::new(usize::MAX),
        }
    }
}
