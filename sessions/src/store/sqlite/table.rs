//! The table of the sessions: its name, its definition, and a check of one that exists.
//!
//! # Design
//!
//! The id is text, as `record_id()` prints it, and `data` is one JSON object. So an operator can find a session and
//! query its fields with plain SQL.

use std::fmt;

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use crate::{error::Error, value::RecordId};

/// The longest name that PostgreSQL allows, so that one name serves both databases.
const LONGEST_NAME: usize = 63;

/// Every column that the store reads and writes: its name and its type.
const COLUMNS: [(&str, &str); 8] = [
    ("id", "TEXT"),
    ("credentials", "BLOB"),
    ("epoch", "INTEGER"),
    ("created", "INTEGER"),
    ("touched", "INTEGER"),
    ("expires", "INTEGER"),
    ("commits", "BLOB"),
    ("data", "TEXT"),
];

/// A table's name that is safe in SQL. `Display` writes it in double quotes, so that a keyword of SQL is a name like
/// any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableName(Box<str>);

impl TableName {
    pub(super) fn new(name: &str) -> Result<Self, Error> {
        let mut bytes = name.bytes();
        let starts_well = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        let goes_on_well = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_reserved = name.get(..7).is_some_and(|prefix| prefix.eq_ignore_ascii_case("sqlite_"));
        if !starts_well || !goes_on_well || is_reserved || name.len() > LONGEST_NAME {
            return Err(Error::config(format!(
                "`{}` cannot name the table of sessions: use ASCII letters, digits and `_`, not a digit first, \
                 at most {LONGEST_NAME} of them, and not `sqlite_` in front",
                name.escape_debug()
            )));
        }
        Ok(Self(name.into()))
    }

    /// Returns the name without quotes.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the error for a row that another program wrote and that holds no session. The row stays, so that an
    /// operator can save its contents.
    pub(super) fn unreadable(&self, id: RecordId, reason: &str) -> Error {
        Error::unreadable(format!(
            "the row of the table {self} with the id '{id}' is not a session: {reason}; mend or delete it"
        ))
    }
}

impl Default for TableName {
    fn default() -> Self {
        Self("sessions".into())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Creates the table where it is missing.
pub(super) async fn create(connection: &mut SqliteConnection, table: &TableName) -> Result<(), sqlx::Error> {
    let columns = COLUMNS.map(|(name, kind)| match name {
        "id" => format!("{name} {kind} NOT NULL PRIMARY KEY"),
        _ => format!("{name} {kind} NOT NULL"),
    });
    let text = format!("CREATE TABLE IF NOT EXISTS {table} ({}) STRICT", columns.join(", "));
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?;
    Ok(())
}

/// Creates the index for the purge where it is missing. A session in use changes it once per touch window.
pub(super) async fn create_index(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<(), sqlx::Error> {
    let name = table.as_str();
    let text = format!("CREATE INDEX IF NOT EXISTS \"{name}_expires\" ON {table} (expires)");
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?;
    Ok(())
}

/// Returns what is wrong with the table that exists. `None` if it can hold sessions.
pub(super) async fn mismatch(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<Option<String>, sqlx::Error> {
    let kind = sqlx::query(
        "SELECT type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE",
    )
    .bind(table.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(kind) = kind else { return Ok(Some("it does not exist".into())) };
    let (kind, without_rowid, strict): (String, bool, bool) =
        (kind.try_get(0)?, kind.try_get(1)?, kind.try_get(2)?);
    if kind != "table" || without_rowid || !strict {
        return Ok(Some("it is not a STRICT table with row ids".into()));
    }
    let rows = sqlx::query(
        "SELECT name, upper(type), \"notnull\", dflt_value IS NULL, pk FROM pragma_table_info(?)",
    )
    .bind(table.as_str())
    .fetch_all(connection)
    .await?;
    let mut missing = COLUMNS.to_vec();
    for row in rows {
        let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (not_null, no_default, key): (bool, bool, i64) =
            (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        let known = missing.iter().position(|(column, _)| column.eq_ignore_ascii_case(&name));
        match known.map(|index| missing.swap_remove(index)) {
            Some((column, expected)) if expected != kind => {
                return Ok(Some(format!("its column `{column}` is {kind}, not {expected}")));
            }
            Some((column, _)) if (key != 0) != (column == "id") => {
                return Ok(Some("its primary key is not `id`".into()));
            }
            Some((column, _)) if !not_null => {
                return Ok(Some(format!("its column `{column}` takes NULL")));
            }
            None if not_null && no_default => {
                return Ok(Some(format!("its column `{name}` takes no NULL and has no default")));
            }
            _ => {}
        }
    }
    missing.sort_unstable();
    Ok(missing.first().map(|(column, _)| format!("it has no column `{column}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn names_are_plain_identifiers() {
        for good in ["sessions", "_s", "S2", "order", &"x".repeat(63)] {
            assert_eq!(TableName::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(64);
        for bad in ["", "2s", "a b", "a\"b", "a;b", "main.s", "séance", "sqlite_s", "SQLite_s", "a\0", &long]
        {
            assert_eq!(TableName::new(bad).unwrap_err().kind(), ErrorKind::Config, "{bad:?}");
        }
    }

    #[test]
    fn the_error_says_what_to_write_and_shows_no_control_characters() {
        let message = TableName::new("a\nb").unwrap_err().to_string();
        assert!(
            message.starts_with("`a\\nb` cannot name the table of sessions: use ASCII letters"),
            "{message}"
        );
    }
}
