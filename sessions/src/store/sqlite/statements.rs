//! The SQL of one table, in the sizes that batches come in.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::table::TableName;

/// How many requests one batch answers.
pub(super) const BATCH: usize = 256;

/// How many rows one text changes.
pub(super) const CHUNK: usize = 64;

/// Sizes are powers of two, so that a handful of prepared texts serves every batch. Parameters
/// left over stay unbound, which SQLite reads as NULL: those find no row and insert none.
const BATCH_SIZES: usize = BATCH.ilog2() as usize + 1;
const CHUNK_SIZES: usize = CHUNK.ilog2() as usize + 1;

/// How a row is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// All but the times: the index is not touched.
    Update,
    /// Everything but the id.
    Replace,
    /// A new row.
    Insert,
    /// The row goes.
    Delete,
}

impl Change {
    pub(super) const ALL: [Self; 4] = [Self::Update, Self::Replace, Self::Insert, Self::Delete];
}

/// The SQL of one table.
#[derive(Debug)]
pub(super) struct Statements {
    load: [SqlStr; BATCH_SIZES],
    look: [SqlStr; BATCH_SIZES],
    begin: [SqlStr; BATCH_SIZES],
    /// By kind of change and size; the second of a pair commits too.
    changes: [[(SqlStr, SqlStr); CHUNK_SIZES]; Change::ALL.len()],
    swap: [SqlStr; CHUNK_SIZES],
    purge: SqlStr,
}

impl Statements {
    pub(super) fn new(table: &TableName) -> Self {
        Self {
            load: std::array::from_fn(|size| safe(select(table, size, DATA))),
            look: std::array::from_fn(|size| safe(select(table, size, NO_DATA))),
            // The lock of a writer from the start: a transaction that reads first and asks for the
            // lock later is refused where another one wrote in between.
            begin: std::array::from_fn(|size| safe(format!("BEGIN IMMEDIATE;{}", select(table, size, DATA)))),
            changes: Change::ALL.map(|change| {
                std::array::from_fn(|size| {
                    let text = vec![one_change(table, change); 1 << size].join(";");
                    (safe(text.clone()), safe(text + ";COMMIT"))
                })
            }),
            swap: std::array::from_fn(|size| {
                if size == 0 {
                    return safe(one_swap(table));
                }
                let one = one_swap(table) + " RETURNING rowid";
                safe(format!("BEGIN IMMEDIATE;{};COMMIT", vec![one; 1 << size].join(";")))
            }),
            purge: safe(format!(
                "DELETE FROM {table} WHERE rowid IN \
                 (SELECT rowid FROM {table} WHERE expires <= ? AND (touched < created OR CASE \
                 WHEN substr(credentials, 33, 1) >= x'c0' THEN touched <= ? OR created <= ? \
                 WHEN substr(credentials, 33, 1) >= x'80' THEN touched <= ? OR created <= ? \
                 ELSE touched <= ? OR created <= ? END) LIMIT ?)"
            )),
        }
    }

    /// Reads up to this many records, each as a [`Row`](super::row::Row), all in one text.
    pub(super) fn load(&self, records: usize) -> SqlStr {
        self.load[size_for(records)].clone()
    }

    /// The same of their metadata, with an object without members for their fields: what SQLite keeps of large
    /// ones in other pages is not read.
    pub(super) fn look(&self, records: usize) -> SqlStr {
        self.look[size_for(records)].clone()
    }

    /// Begins a transaction and reads up to this many records as `load` does.
    pub(super) fn begin(&self, records: usize) -> SqlStr {
        self.begin[size_for(records)].clone()
    }

    /// Changes up to this many rows, and commits if told so.
    pub(super) fn change(&self, change: Change, rows: usize, commit: bool) -> SqlStr {
        let (plain, committing) = &self.changes[change as usize][size_for(rows)];
        if commit { committing.clone() } else { plain.clone() }
    }

    /// Changes up to this many rows that are still as they were read, commits, and returns the ids
    /// of the rows that were; for one alone, the number of changed rows tells.
    pub(super) fn swap(&self, rows: usize) -> SqlStr {
        self.swap[size_for(rows)].clone()
    }

    /// Deletes records that expired by the first of these times, and were last used by the second or created by
    /// the third if their users asked to be remembered, by the next two if they hold a right, else by the last
    /// two; up to a number. What they hold is in the byte after the credentials's hash: see [`Credentials`](crate::store::Credentials).
    pub(super) fn purge(&self) -> SqlStr {
        self.purge.clone()
    }
}

/// The last two words of a row: how many bytes its fields take, and they.
const DATA: &str = "octet_length(data)||' '||data";
const NO_DATA: &str = "'2 {}'";

/// One value for all records found: a row costs sqlx much more than a few hundred bytes do.
fn select(table: &TableName, size: usize, data: &str) -> String {
    let mut row = format!(
        "id||' '||rowid||' '||hex(credentials)||' '||epoch||' '||created||' '||touched||' '||expires||' '\
         ||hex(commits)||' '||{data}",
    );
    if size > 0 {
        row = format!("group_concat({row},'')");
    }
    let mut text = format!("SELECT {row} FROM {table} WHERE id IN (?");
    for _ in 1..1 << size {
        // Infallible: it writes to a string.
        let _ = text.write_str(",?");
    }
    text + ")"
}

fn one_change(table: &TableName, change: Change) -> String {
    match change {
        Change::Update => format!("UPDATE {table} SET credentials=?,epoch=?,commits=?,data=? WHERE rowid=?"),
        Change::Replace => {
            format!(
                "UPDATE {table} SET credentials=?,epoch=?,commits=?,data=?,created=?,touched=?,expires=? \
                 WHERE rowid=?"
            )
        }
        Change::Insert => {
            format!(
                "INSERT INTO {table}(credentials,epoch,commits,data,created,touched,expires,id) \
                 SELECT * FROM (SELECT ?,?,?,?,?,?,?,? AS id) WHERE id IS NOT NULL"
            )
        }
        Change::Delete => format!("DELETE FROM {table} WHERE rowid=?"),
    }
}

fn one_swap(table: &TableName) -> String {
    format!(
        "UPDATE {table} SET commits=?,data=? WHERE rowid=? AND id=? AND credentials=? AND epoch=? AND created=? \
         AND touched=? AND commits=? AND data=?"
    )
}

fn size_for(count: usize) -> usize {
    count.next_power_of_two().ilog2() as usize
}

fn safe(text: String) -> SqlStr {
    // Built from constants and a table's name, which was checked; values are bound.
    AssertSqlSafe(text).into_sql_str()
}
