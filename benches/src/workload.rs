//! What one request does with its session.

use std::fmt;
use std::str::FromStr;

use crate::store::Store;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// The handler does not look at the session.
    Untouched,
    /// One of the fields is read.
    Read,
    /// Four of the fields are read, through a view that has no others.
    ReadFew,
    /// One of the fields is written, with a new value each time.
    Write,
    /// As `Write`, but without a cookie: a session is created.
    New,
}

impl Workload {
    pub const ALL: [Workload; 5] =
        [Workload::Untouched, Workload::Read, Workload::ReadFew, Workload::Write, Workload::New];

    /// Whether it is measured with sessions of this size.
    pub fn belongs(self, store: Store, fields: usize) -> bool {
        match self {
            Workload::Read | Workload::Write => true,
            // Neither uses the fields that are there, so one table has them.
            Workload::Untouched | Workload::New => store.sizes().first() == Some(&fields),
            Workload::ReadFew => matches!(store, Store::Redis | Store::Webdis) && fields == 20,
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Workload::Untouched => "/untouched",
            Workload::Read => "/read",
            Workload::ReadFew => "/read-4",
            Workload::Write | Workload::New => "/write",
        }
    }

    pub fn sends_cookie(self) -> bool {
        self != Workload::New
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Workload::Untouched => "untouched",
            Workload::Read => "read",
            Workload::ReadFew => "read-4",
            Workload::Write => "write",
            Workload::New => "new",
        })
    }
}

impl FromStr for Workload {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Workload::ALL.into_iter().find(|workload| workload.to_string() == text).ok_or("not a workload")
    }
}
