//! Opens the database and further connections to it.
//!
//! # Design
//!
//! **Deleted values are overwritten** (`secure_delete=ON`). `FAST` does not overwrite pages that become free: a value of
//! 10 KB was found in the file after a logout. The cost was measured as CPU time of create, load, commit and destroy,
//! with `OFF` as 1. For records of 800 bytes it is 1.07 with either. For records of 20 KB it is 1.11 with `FAST` and
//! 1.16 with `ON`.
//!
//! **The write-ahead log grows to about 16 MiB** before SQLite copies it into the file. Sessions are small and scattered,
//! so with SQLite's default, a quarter of that, most pages would be written several times.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool},
};

use super::{
    durability::Durability,
    failure, file, index_table,
    table::{self, TableName},
};
use crate::error::Error;

const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The size of the write-ahead log at which SQLite copies it into the file, in pages: about 16 MiB.
pub(super) const CHECKPOINT_PAGES: i64 = 4000;

/// The longest timeout that fits SQLite's `int` of milliseconds. sqlx panics beyond it.
const LONGEST_BUSY_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// The wait before another attempt, where SQLite itself does not wait.
const PAUSE: Duration = Duration::from_millis(20);

/// The capacity for prepared statements: more than the texts of one store, so that each is prepared once.
const CACHED_STATEMENTS: usize = 128;

/// The capacity for results: more than the statements of one text, so that SQLite's thread never waits for the worker.
const BUFFERED_RESULTS: usize = 512;

/// The place of the database.
#[derive(Clone, Debug)]
pub(super) enum DatabaseSource {
    File(PathBuf),
    Memory,
    Pool(SqlitePool),
}

/// The options of connections to one database.
#[derive(Debug)]
pub(super) struct Connector {
    options: SqliteConnectOptions,
    /// True if the database is in memory: it ends with its connection, so there must be exactly one.
    pub(super) is_in_memory: bool,
}

impl Connector {
    /// Opens the database, creates the table where it is missing, and checks that it fits.
    pub(super) async fn open(
        source: &DatabaseSource,
        table: &TableName,
        durability: Option<Durability>,
        busy_timeout: Option<Duration>,
    ) -> Result<(Self, SqliteConnection), Error> {
        let (mut options, durability) = match source {
            DatabaseSource::File(path) => {
                let path = checked(path)?;
                file::ensure(&path)?;
                (SqliteConnectOptions::new().filename(path), Some(durability.unwrap_or_default()))
            }
            DatabaseSource::Memory => (SqliteConnectOptions::new(), None),
            DatabaseSource::Pool(pool) => ((*pool.connect_options()).clone(), durability),
        };
        if busy_timeout.is_some() || !matches!(source, DatabaseSource::Pool(_)) {
            let busy_timeout = busy_timeout.unwrap_or(DEFAULT_BUSY_TIMEOUT).min(LONGEST_BUSY_TIMEOUT);
            options = options.busy_timeout(busy_timeout);
        }
        if let Some(durability) = durability {
            options = options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(durability.synchronous())
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
        }
        options = options
            // Not `FAST`, which leaves values that took more than a page.
            .pragma("secure_delete", "ON")
            .disable_statement_logging()
            .statement_cache_capacity(CACHED_STATEMENTS)
            .row_buffer_size(BUFFERED_RESULTS);
        let patience = busy_timeout.unwrap_or(DEFAULT_BUSY_TIMEOUT);
        let opened = prepare_with_retries(&options, table, patience).await;
        let opened = opened.map_err(|error| cannot_open(source, error))?;
        if let Some(encoding) = opened.other_encoding {
            return Err(Error::config(format!(
                "the database keeps text as {encoding}, and sessions need UTF-8: use another file for them, \
                 since `PRAGMA encoding` changes nothing in a database that has tables"
            )));
        }
        if let Some(mismatch) = opened.mismatch {
            return Err(Error::config(format!(
                "the table {table} cannot hold sessions, since {mismatch}: choose another name with \
                 `with_table`, or rename that table and let the store create its own"
            )));
        }
        // From here on a missing file is an error. A new and empty one would lose every session silently.
        options = options.create_if_missing(false);
        Ok((Self { options, is_in_memory: opened.is_in_memory }, opened.connection))
    }

    /// Opens another connection.
    pub(super) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.connect().await
    }
}

/// The first connection, and what it found.
struct OpenedDatabase {
    connection: SqliteConnection,
    is_in_memory: bool,
    /// The encoding of the database's text, unless it is UTF-8.
    other_encoding: Option<String>,
    /// The reason why the table cannot hold sessions.
    mismatch: Option<String>,
}

async fn prepare(options: &SqliteConnectOptions, table: &TableName) -> Result<OpenedDatabase, sqlx::Error> {
    let mut connection = options.connect().await?;
    let main = sqlx::query("SELECT file FROM pragma_database_list WHERE name = 'main'");
    let file: Option<String> = main.fetch_one(&mut connection).await?.try_get(0)?;
    let is_in_memory = file.is_none_or(|file| file.is_empty());
    let encoding: String = sqlx::query("PRAGMA encoding").fetch_one(&mut connection).await?.try_get(0)?;
    // Before anything is written: an empty file gets its encoding with its first table.
    if encoding != "UTF-8" {
        return Ok(OpenedDatabase {
            connection,
            is_in_memory,
            other_encoding: Some(encoding),
            mismatch: None,
        });
    }
    table::create(&mut connection, table).await?;
    let mismatch = table::mismatch(&mut connection, table).await?;
    if mismatch.is_none() {
        table::create_index(&mut connection, table).await?;
        index_table::create(&mut connection, table).await?;
    }
    Ok(OpenedDatabase { connection, is_in_memory, other_encoding: None, mismatch })
}

/// Opens the first connection, again and again while another one holds a lock.
///
/// SQLite does not wait for a lock to change the journal mode. Two processes that start together may do that at once.
async fn prepare_with_retries(
    options: &SqliteConnectOptions,
    table: &TableName,
    patience: Duration,
) -> Result<OpenedDatabase, sqlx::Error> {
    let mut waited = Duration::ZERO;
    loop {
        match prepare(options, table).await {
            Err(error) if failure::is_busy(&error) && waited < patience => {
                tokio::time::sleep(PAUSE).await;
                waited += PAUSE;
            }
            result => return result,
        }
    }
}

/// Returns the path as an absolute one. SQLite would read a relative one that begins with `file:` as a URI.
fn checked(path: &Path) -> Result<PathBuf, Error> {
    let shown = path.display();
    let Some(text) = path.to_str() else {
        return Err(Error::config(format!(
            "the path of the database, `{shown}`, is not UTF-8, which SQLite needs"
        )));
    };
    if text.is_empty() || text == ":memory:" || text.starts_with("sqlite:") {
        return Err(Error::config(format!(
            "`{shown}` is not the path of a file: give a plain path, or use `SqliteStore::in_memory()`"
        )));
    }
    let absolute = std::path::absolute(path).map_err(|error| {
        Error::config(format!("the path of the database, `{shown}`, cannot be made absolute"))
            .with_source(error)
    })?;
    if absolute.is_dir() {
        return Err(Error::config(format!("`{shown}` is a folder: give the path of a file in it")));
    }
    match absolute.parent() {
        Some(folder) if !folder.is_dir() => Err(Error::config(format!(
            "the folder `{}` does not exist: create it first, SQLite creates only the file in it",
            folder.display()
        ))),
        _ => Ok(absolute),
    }
}

fn cannot_open(source: &DatabaseSource, error: sqlx::Error) -> Error {
    if failure::is_busy(&error) {
        return Error::unavailable(error);
    }
    let database = match source {
        DatabaseSource::File(path) => format!("the SQLite database `{}`", path.display()),
        DatabaseSource::Memory => "an SQLite database in memory".into(),
        DatabaseSource::Pool(_) => "the SQLite database of the pool".into(),
    };
    Error::config(format!(
        "cannot open {database} for sessions: {error}; the process needs to read and write the file and \
         to create files next to it"
    ))
    .with_source(error)
}
