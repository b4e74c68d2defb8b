//! Where the sessions are kept.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Memory,
    /// WAL with `synchronous=NORMAL`: a power cut may lose the last writes.
    SqliteRelaxed,
    /// WAL with `synchronous=FULL`: every commit waits for the disk.
    SqliteFull,
    /// A Redis server on this machine, which keeps nothing on disk.
    Redis,
    /// The same behind a Webdis server.
    Webdis,
}

impl Store {
    pub const ALL: [Store; 5] =
        [Store::Memory, Store::SqliteRelaxed, Store::SqliteFull, Store::Redis, Store::Webdis];

    pub fn is_sqlite(self) -> bool {
        matches!(self, Store::SqliteRelaxed | Store::SqliteFull)
    }

    /// How many text fields the sessions have, a table for each. With a server
    /// behind a socket it counts how many are sent.
    pub fn sizes(self) -> &'static [usize] {
        match self {
            Store::Memory | Store::SqliteRelaxed | Store::SqliteFull => &[20],
            Store::Redis | Store::Webdis => &[5, 20],
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Store::Memory => "memory",
            Store::SqliteRelaxed => "sqlite-relaxed",
            Store::SqliteFull => "sqlite-full",
            Store::Redis => "redis",
            Store::Webdis => "webdis",
        })
    }
}

impl FromStr for Store {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Store::ALL.into_iter().find(|store| store.to_string() == text).ok_or("not a store")
    }
}
