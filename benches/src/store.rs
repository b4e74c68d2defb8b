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
}

impl Store {
    pub const ALL: [Store; 3] = [Store::Memory, Store::SqliteRelaxed, Store::SqliteFull];

    pub fn is_sqlite(self) -> bool {
        self != Store::Memory
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Store::Memory => "memory",
            Store::SqliteRelaxed => "sqlite-relaxed",
            Store::SqliteFull => "sqlite-full",
        })
    }
}

impl FromStr for Store {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Store::ALL.into_iter().find(|store| store.to_string() == text).ok_or("not a store")
    }
}
