//! The table of the index: its SQL, its definition, and its clean-up.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr, SqliteConnection};

use super::{failure::BatchFailure, table::TableName};
use crate::value::Timestamp;

/// The SQL of the table of the index.
#[derive(Debug)]
pub(super) struct IndexStatements {
    pub(super) select: SqlStr,
    pub(super) write: SqlStr,
    pub(super) delete: SqlStr,
    purge: SqlStr,
    create: [SqlStr; 2],
}

impl IndexStatements {
    pub(super) fn new(sessions: &TableName) -> Self {
        let table = format!("\"{}_index\"", sessions.as_str());
        let safe = |text: String| AssertSqlSafe(text).into_sql_str();
        Self {
            select: safe(format!("SELECT entries FROM {table} WHERE key=?")),
            write: safe(format!(
                "INSERT INTO {table}(key,entries,expires) VALUES(?,?,?) \
                 ON CONFLICT(key) DO UPDATE SET entries=excluded.entries,expires=excluded.expires"
            )),
            delete: safe(format!("DELETE FROM {table} WHERE key=?")),
            purge: safe(format!(
                "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires<=? LIMIT ?)"
            )),
            create: [
                safe(format!(
                    "CREATE TABLE IF NOT EXISTS {table} (key TEXT NOT NULL PRIMARY KEY, entries BLOB NOT NULL, \
                     expires INTEGER NOT NULL) STRICT"
                )),
                safe(format!(
                    "CREATE INDEX IF NOT EXISTS \"{}_index_expires\" ON {table} (expires)",
                    sessions.as_str()
                )),
            ],
        }
    }
}

/// Creates the table of the index where it is missing.
pub(super) async fn create(
    connection: &mut SqliteConnection,
    sessions: &TableName,
) -> Result<(), sqlx::Error> {
    for text in IndexStatements::new(sessions).create {
        sqlx::raw_sql(text).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes up to `limit` rows that say nothing any more.
pub(super) async fn purge(
    connection: &mut SqliteConnection,
    statements: &IndexStatements,
    now: Timestamp,
    limit: i64,
) -> Result<(), BatchFailure> {
    let query = sqlx::query(statements.purge.clone()).bind(now.as_millis()).bind(limit);
    query.execute(connection).await.map_err(BatchFailure::at_commit)?;
    Ok(())
}
