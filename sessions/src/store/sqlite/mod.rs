//! Sessions in an SQLite database.
//!
//! ```text
//!    requests of all runtimes (store, dispatcher)
//!        load │         │ create, commit, destroy, purge
//!             ▼         ▼
//!   ┌─ queue ──────────────────────────────────────┐
//!   │   loads: L L L L        writes: W W W W W    │
//!   └──────┬───────────────────────┬───────────────┘
//!          │ batch                 │ batch: writes, and the loads while the reader is idle
//!          ▼                       ▼
//!      reader (worker)         writer (worker)
//!      one SELECT              1. optimistic: BEGIN IMMEDIATE; UPDATE … WHERE the row is as read; COMMIT
//!          │                   2. the rest:   BEGIN IMMEDIATE; SELECT, `Record::commit` for each in Rust,
//!          │                                  the changed rows; COMMIT
//!          ▼                       ▼
//!      connection              connection
//!          └──────► sessions.db ◄──┘
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `builder`, `durability` | options, and the constructors of the store |
//! | `store` | the store's contract: checks values, sends requests to the dispatcher, decodes what comes back |
//! | `dispatcher` | queues a request and has a worker running in the caller's runtime |
//! | `queue` | the waiting requests, and which worker takes which of them; no SQL, no waiting |
//! | `worker` | runs batches on one connection until none waits |
//! | `shared_task` | a worker as one future that every runtime with a request polls |
//! | `read_batch`, `optimistic`, `write_batch`, `index_batch`, `purge` | the kinds of batch |
//! | `request`, `failure` | requests, their outcomes, and what an error of SQLite means for a batch |
//! | `recent_reads` | the records read last, for optimistic writes |
//! | `database`, `connection`, `connect`, `file`, `wal` | what workers share, a connection's state, opening, the files |
//! | `index_table` | the table of the index |
//! | `table`, `statements`, `row`, `document` | the table, its SQL, a row as text, the column `data` |
//!
//! # Design
//!
//! **One row per session.** `data` holds all fields as one JSON object. A row per field was measured and was slower.
//! So was `WITHOUT ROWID`, by a factor of three, since rows of 1 KB overflow their page.
//!
//! **Batches, and no waiting for company.** An idle store runs a single request at once. Requests that arrive
//! meanwhile form the next batch. Loads that wait together are one `SELECT`. Writes that wait together are one
//! transaction, so one wait for the disk serves all of them.
//!
//! **Writes are applied in Rust.** `Record::commit` is the whole contract as a pure function. The writer calls it
//! between `BEGIN IMMEDIATE` and `COMMIT`. It checks everything before it changes anything, so a commit that is
//! refused disturbs no other of its batch, and no savepoint is needed.
//!
//! **Two connections.** The writer does everything until a write is under way or many loads wait. Then the
//! reader serves the loads. One connection keeps its page cache warm, and a write never holds up a load. A
//! database in memory exists in one connection only, so it has no reader.
//!
//! **A failed connection is dropped.** After any error the connection is closed and the next batch opens another.
//! The store does not use the pool's `Transaction`: its depth counter is wrong after `SQLITE_FULL` at `COMMIT`.
//!
//! **A busy database costs one timeout.** SQLite waits for another process's lock up to the busy timeout. After a
//! wait in vain, the worker refuses everything queued so far. Otherwise each batch would wait as long again.
// The name as people write it, in prose.
#![allow(clippy::doc_markdown)]

mod builder;
mod connect;
mod connection;
mod database;
mod dispatcher;
mod document;
mod durability;
mod failure;
mod file;
mod index_batch;
mod index_table;
mod optimistic;
mod purge;
mod queue;
mod read_batch;
mod recent_reads;
mod request;
mod row;
mod shared_task;
mod statements;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod wal;
mod worker;
mod write_batch;

pub use self::{builder::SqliteStoreBuilder, durability::Durability, store::SqliteStore};
