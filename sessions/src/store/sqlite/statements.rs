//! The SQL of one table, in the sizes of batches.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{index_table::IndexStatements, table::TableName};

/// The largest number of requests of one kind in a batch.
pub(super) const BATCH: usize = 256;

/// The largest number of rows that one text changes.
pub(super) const CHUNK: usize = 64;

/// Texts come in sizes of powers of two, so that a handful of prepared ones serves every batch. SQLite reads the
/// parameters that stay unbound as NULL: they find no row, and insert none.
const BATCH_SIZES: usize = BATCH.ilog2() as usize + 1;
const CHUNK_SIZES: usize = CHUNK.ilog2() as usize + 1;

/// A change of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowChange {
    /// Writes all columns but the times. The index stays as it is.
    Update,
    /// Writes all columns but the id.
    Replace,
    /// Adds a row.
    Insert,
    /// Deletes the row.
    Delete,
}

impl RowChange {
    pub(super) const ALL: [Self; 4] = [Self::Update, Self::Replace, Self::Insert, Self::Delete];
}

/// The SQL of one table.
#[derive(Debug)]
pub(super) struct Statements {
    load: [SqlStr; BATCH_SIZES],
    load_metadata: [SqlStr; BATCH_SIZES],
    begin: [SqlStr; BATCH_SIZES],
    /// By kind of change and size. The second text of a pair ends with `COMMIT`.
    changes: [[(SqlStr, SqlStr); CHUNK_SIZES]; RowChange::ALL.len()],
    optimistic: [SqlStr; CHUNK_SIZES],
    purge: SqlStr,
    pub(super) index: IndexStatements,
}

impl Statements {
    pub(super) fn new(table: &TableName) -> Self {
        Self {
            load: std::array::from_fn(|size| safe(select(table, size, DATA))),
            load_metadata: std::array::from_fn(|size| safe(select(table, size, NO_DATA))),
            // `IMMEDIATE` takes the write lock at once. A transaction that reads first and takes the lock later is
            // refused where another one wrote in between.
            begin: std::array::from_fn(|size| safe(format!("BEGIN IMMEDIATE;{}", select(table, size, DATA)))),
            changes: RowChange::ALL.map(|change| {
                std::array::from_fn(|size| {
                    let text = vec![one_change(table, change); 1 << size].join(";");
                    (safe(text.clone()), safe(text + ";COMMIT"))
                })
            }),
            optimistic: std::array::from_fn(|size| {
                if size == 0 {
                    return safe(one_optimistic(table));
                }
                let one = one_optimistic(table) + " RETURNING rowid";
                safe(format!("BEGIN IMMEDIATE;{};COMMIT", vec![one; 1 << size].join(";")))
            }),
            purge: safe(purge(table)),
            index: IndexStatements::new(table),
        }
    }

    /// Returns the query that reads up to this many records, each as [`RowParts`](super::row::RowParts), all in one text.
    pub(super) fn load(&self, records: usize) -> SqlStr {
        self.load[size_for(records)].clone()
    }

    /// Returns the query that reads up to this many records without their fields, as [`load`](Self::load) does with an
    /// empty object for `data`. SQLite keeps a large `data` in pages of its own, and does not read them.
    pub(super) fn load_metadata(&self, records: usize) -> SqlStr {
        self.load_metadata[size_for(records)].clone()
    }

    /// Returns the text that begins a transaction and reads up to this many records as [`load`](Self::load) does.
    pub(super) fn begin(&self, records: usize) -> SqlStr {
        self.begin[size_for(records)].clone()
    }

    /// Returns the text that changes up to this many rows, and then commits if `commit` is true.
    pub(super) fn change(&self, change: RowChange, rows: usize, commit: bool) -> SqlStr {
        let (plain, committing) = &self.changes[change as usize][size_for(rows)];
        if commit { committing.clone() } else { plain.clone() }
    }

    /// Returns the text of up to this many optimistic writes with its own transaction.
    ///
    /// It returns the ids of the rows that were still as read. For one alone, the number of changed rows says it.
    pub(super) fn optimistic(&self, rows: usize) -> SqlStr {
        self.optimistic[size_for(rows)].clone()
    }

    /// Returns the statement that deletes up to a number of dead records.
    ///
    /// Its parameters: the number; now; then `created`, `touched` and `first_visit` of the
    /// [`Cutoff`](crate::value::Cutoff) for remembered users, for users and for visitors.
    pub(super) fn purge(&self) -> SqlStr {
        self.purge.clone()
    }
}

/// The last two words of a row: the length of `data` in bytes, and `data`.
const DATA: &str = "octet_length(data)||' '||data";
const NO_DATA: &str = "'2 {}'";

/// Returns the query for `1 << size` ids. Its result is one value, with all records that were found: a row costs sqlx
/// much more than a few hundred bytes do.
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
        // invariant: writing to a string does not fail.
        let _ = text.write_str(",?");
    }
    text + ")"
}

/// Returns the statement that makes this change to one row.
fn one_change(table: &TableName, change: RowChange) -> String {
    match change {
        RowChange::Update => {
            format!("UPDATE {table} SET credentials=?,epoch=?,commits=?,data=? WHERE rowid=?")
        }
        RowChange::Replace => {
            format!(
                "UPDATE {table} SET credentials=?,epoch=?,commits=?,data=?,created=?,touched=?,expires=? \
                 WHERE rowid=?"
            )
        }
        RowChange::Insert => {
            // Without a row where the id is NULL, that is, unbound.
            format!(
                "INSERT INTO {table}(credentials,epoch,commits,data,created,touched,expires,id) \
                 SELECT * FROM (SELECT ?,?,?,?,?,?,?,? AS id) WHERE id IS NOT NULL"
            )
        }
        RowChange::Delete => format!("DELETE FROM {table} WHERE rowid=?"),
    }
}

/// Returns the statement that writes one record if its row is exactly as it was read.
fn one_optimistic(table: &TableName) -> String {
    format!(
        "UPDATE {table} SET commits=?,data=? WHERE rowid=? AND id=? AND credentials=? AND epoch=? AND created=? \
         AND touched=? AND commits=? AND data=?"
    )
}

/// Returns the statement of [`Statements::purge`].
///
/// The kind of a record is in the byte after the hash in its credentials: see [`Credentials`](crate::store::Credentials).
/// A record that was touched before it was created is that of a visitor who has not come back.
fn purge(table: &TableName) -> String {
    let is_dead = |first: usize| {
        let (created, touched, first_visit) = (first, first + 1, first + 2);
        // As `Cutoff::is_dead`.
        format!(
            "created <= ?{created} OR iif(touched < created, created <= ?{first_visit}, touched <= ?{touched})"
        )
    };
    let (remembered, user, visitor) = (is_dead(3), is_dead(6), is_dead(9));
    format!(
        "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE expires <= ?2 AND CASE \
         WHEN substr(credentials, 33, 1) >= x'c0' THEN {remembered} \
         WHEN substr(credentials, 33, 1) >= x'80' THEN {user} \
         ELSE {visitor} END LIMIT ?1)"
    )
}

/// Returns the index of the smallest size that is enough: the binary logarithm.
fn size_for(count: usize) -> usize {
    count.next_power_of_two().ilog2() as usize
}

/// Marks a text as safe: it is built from constants and the name of a table, which was checked. Values are bound.
fn safe(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}
