//! Opens connections, and tells what to do where that fails.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous},
};

use super::{
    Durability, failure, file,
    table::{self, TableName},
};
use crate::error::Error;

const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How large the write-ahead log grows before it is folded into the file: about 16 MiB. Sessions
/// are small and scattered, so four times SQLite's default saves writing most pages several times.
pub(super) const CHECKPOINT_PAGES: i64 = 4000;

/// sqlx panics beyond what fits the `int` of SQLite.
const LONGEST_BUSY_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// How long to wait before another try where SQLite itself does not wait.
const PAUSE: Duration = Duration::from_millis(20);

/// More than the texts of one store, so that each is prepared once.
const CACHED_STATEMENTS: usize = 128;

/// More than the statements of one text, so that its results never wait for being fetched.
const BUFFERED_RESULTS: usize = 512;

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(PathBuf),
    Memory,
    Pool(SqlitePool),
}

/// How to open a connection to one database.
#[derive(Debug)]
pub(super) struct Connector {
    options: SqliteConnectOptions,
    /// A database that ends with its connection, so that there must be exactly one.
    pub(super) is_in_memory: bool,
}

impl Connector {
    /// Opens the database, creates the table where it is missing, and looks whether it fits.
    pub(super) async fn open(
        source: &Source,
        table: &TableName,
        durability: Option<Durability>,
        busy_timeout: Option<Duration>,
    ) -> Result<(Self, SqliteConnection), Error> {
        let (mut options, durability) = match source {
            Source::File(path) => {
                let path = checked(path)?;
                file::ensure(&path)?;
                (SqliteConnectOptions::new().filename(path), Some(durability.unwrap_or_default()))
            }
            Source::Memory => (SqliteConnectOptions::new(), None),
            Source::Pool(pool) => ((*pool.connect_options()).clone(), durability),
        };
        if busy_timeout.is_some() || !matches!(source, Source::Pool(_)) {
            let busy_timeout = busy_timeout.unwrap_or(DEFAULT_BUSY_TIMEOUT).min(LONGEST_BUSY_TIMEOUT);
            options = options.busy_timeout(busy_timeout);
        }
        if let Some(durability) = durability {
            options = options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(match durability {
                    Durability::Full => SqliteSynchronous::Full,
                    Durability::Relaxed => SqliteSynchronous::Normal,
                })
                .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
        }
        options = options
            // What is deleted is overwritten. Not `FAST`, which leaves what took more than a page.
            .pragma("secure_delete", "ON")
            .disable_statement_logging()
            .statement_cache_capacity(CACHED_STATEMENTS)
            .row_buffer_size(BUFFERED_RESULTS);
        let patience = busy_timeout.unwrap_or(DEFAULT_BUSY_TIMEOUT);
        let opened = prepare_patiently(&options, table, patience).await;
        let opened = opened.map_err(|error| cannot_open(source, error))?;
        if let Some(encoding) = opened.strange_encoding {
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
        // From here on a missing file is an error: a new and empty one would lose every session
        // without a word.
        options = options.create_if_missing(false);
        Ok((Self { options, is_in_memory: opened.is_in_memory }, opened.connection))
    }

    /// One more connection.
    pub(super) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.connect().await
    }
}

/// A first connection, and what is wrong with its database, if anything.
struct Opened {
    connection: SqliteConnection,
    is_in_memory: bool,
    strange_encoding: Option<String>,
    mismatch: Option<String>,
}

async fn prepare(options: &SqliteConnectOptions, table: &TableName) -> Result<Opened, sqlx::Error> {
    let mut connection = options.connect().await?;
    let main = sqlx::query("SELECT file FROM pragma_database_list WHERE name = 'main'");
    let file: Option<String> = main.fetch_one(&mut connection).await?.try_get(0)?;
    let is_in_memory = file.is_none_or(|file| file.is_empty());
    let encoding: String = sqlx::query("PRAGMA encoding").fetch_one(&mut connection).await?.try_get(0)?;
    // Before anything is written: an empty file gets its encoding with its first table.
    if encoding != "UTF-8" {
        return Ok(Opened { connection, is_in_memory, strange_encoding: Some(encoding), mismatch: None });
    }
    table::create(&mut connection, table).await?;
    let mismatch = table::mismatch(&mut connection, table).await?;
    if mismatch.is_none() {
        table::create_index(&mut connection, table).await?;
    }
    Ok(Opened { connection, is_in_memory, strange_encoding: None, mismatch })
}

/// Prepares a first connection. Tries again while another one is in the way: for changing the
/// journal mode, which two processes may do at once when they start together, SQLite does not wait.
async fn prepare_patiently(
    options: &SqliteConnectOptions,
    table: &TableName,
    patience: Duration,
) -> Result<Opened, sqlx::Error> {
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

/// The path made absolute, which also keeps SQLite from reading one that begins with `file:` as a
/// URI.
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

fn cannot_open(source: &Source, error: sqlx::Error) -> Error {
    if failure::is_busy(&error) {
        return Error::unavailable(error);
    }
    let database = match source {
        Source::File(path) => format!("the SQLite database `{}`", path.display()),
        Source::Memory => "an SQLite database in memory".into(),
        Source::Pool(_) => "the SQLite database of the pool".into(),
    };
    Error::config(format!(
        "cannot open {database} for sessions: {error}; the process needs to read and write the file and \
         to create files next to it"
    ))
    .with_source(error)
}
