//! Sessions in an SQLite database.
// The name as people write it, in prose.
#![allow(clippy::doc_markdown)]

mod builder;
mod connect;
mod document;
mod drain;
mod errand;
mod failure;
mod file;
mod log;
mod queue;
mod reading;
mod recent;
mod request;
mod row;
mod statements;
mod swapping;
mod table;
#[cfg(test)]
mod tests;
mod writing;

use std::{fmt, path::PathBuf, sync::Arc, sync::atomic::Ordering};

use bytes::Bytes;
use sqlx::SqlitePool;

pub use self::builder::{Durability, SqliteStoreBuilder};
use self::{
    queue::Queue,
    request::{Verdict, Write},
    row::Row,
    table::TableName,
};
use super::{Commit, CommitOutcome, CreateOutcome, Loaded, NewRecord, Store};
use crate::{
    delta::Op,
    error::Error,
    value::{FieldName, Fields, RecordId, Timeouts},
};

/// Sessions in an SQLite database: one file, shared by any number of processes of one machine.
///
/// ```
/// use sessions::{SessionLayer, store::SqliteStore};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("sessions-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("sessions.db");
/// let store = SqliteStore::open(path).await?;
/// let layer = SessionLayer::new(store);
/// # let _ = layer;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), sessions::Error>(())
/// # }).unwrap();
/// ```
///
/// A clone is the same store. Use one per process, since it joins the requests of a process that
/// are under way at the same time: they share a query, and commits share a transaction, so that one
/// wait for the disk serves all of them. Each commit is still applied or refused on its own, and is
/// answered only once it is durable, as [`Durability`] says.
///
/// Dropping a future of the store does not stop what it began. A commit whose caller went away
/// happens or not, wholly.
///
/// A store may be used in several runtimes, at once and one after the other. Each of them that waits
/// carries on what is under way, so none is held up by one that stands still or ends. What only the
/// ending runtime asked for ends with it.
///
/// # Looking at sessions with SQL
///
/// Each session is a row of the table `sessions`, its fields the members of one JSON object:
///
/// | column | type | |
/// |---|---|---|
/// | `id` | `TEXT` | the public id, as [`RecordId`] is written |
/// | `credentials` | `BLOB` | who may use it: a hash of the present secret, and what goes with it |
/// | `epoch` | `INTEGER` | how often the secret was replaced by a rotation |
/// | `created`, `touched` | `INTEGER` | milliseconds since 1970: of creation, of the last use noted |
/// | `expires` | `INTEGER` | when it may be cleared up, unless `created` and `touched` still allow its use |
/// | `commits` | `BLOB` | the ids of the last commits |
/// | `data` | `TEXT` | the fields, as one JSON object |
///
/// ```sql
/// SELECT id, data ->> 'page_count' FROM sessions;
/// SELECT id FROM sessions WHERE data ->> 'user_id' = 42;
/// -- a name with a dot, as fields of a namespace have, stands in double quotes
/// SELECT id, data -> '$."cart.items"' FROM sessions;
/// SELECT datetime(touched / 1000, 'unixepoch'), hex(credentials) FROM sessions WHERE id = 'AAECAwQFBgcICQoLDA0ODw';
/// DELETE FROM sessions WHERE data ->> 'user_id' = 42;
/// ```
///
/// `DELETE` is safe at any time: a request under way finds its session gone. So is `UPDATE` of one
/// field with `json_set`, in one statement; a row that is no longer a session gives an error that
/// names it, until it is deleted. Columns of your own, and indexes, do not disturb the store:
///
/// ```sql
/// CREATE INDEX sessions_user ON sessions (data ->> 'user_id');
/// ```
///
/// # Files
///
/// Next to the file, SQLite keeps two more with `-wal` and `-shm` appended to its name. They
/// belong to it: a copy of the file alone may lack the last commits (use `VACUUM INTO` or
/// `.backup`). Do not delete or replace the file while a process has it open: on Unix the process
/// goes on with the deleted one.
///
/// On Unix a file that the store creates has the mode 0600, whatever the umask. SQLite gives the same mode to the
/// other two. An existing file keeps its mode, since an operator may share it with a group. So a file that another
/// program or the application's own pool created, under the usual umask, is readable by every local user;
/// `chmod 600 sessions.db sessions.db-*` ends that. On other systems a new file has the permissions of its folder.
///
/// The last part of the path must not be a symbolic link, not even a dangling one. Otherwise another user's link
/// could decide which file the store creates or opens. Links among the folders before it are followed. A process
/// that can write to the folder can replace the file, so the folder should be the service's own, not `/tmp`.
///
/// Values that a commit, a logout or a clean-up deletes are overwritten with zeros (`secure_delete=ON`), and each
/// clean-up empties the write-ahead log. So values of an ended session stay in the files until the next clean-up,
/// about a minute after the next new session at the latest. Snapshots, backups and the blocks of an SSD keep their
/// copies.
///
/// A transaction that another process keeps open, such as a backup or a forgotten `sqlite3` shell, keeps the log from
/// being emptied, and the log grows with each commit. From 64 MiB on, [`purge`](Store::purge) returns an error that
/// says so. The layer reports it as [`Event::PurgeFailed`](crate::Event::PurgeFailed) once a minute. Sessions
/// work until the disk is full. When the transaction ends, the next clean-up frees the space.
#[derive(Clone)]
pub struct SqliteStore {
    queue: Arc<Queue>,
}

impl SqliteStore {
    /// Keeps sessions in this file, which is created with the mode 0600 if it is missing. Its folder must exist.
    /// The file must not be a symbolic link.
    ///
    /// # Errors
    ///
    /// See [`SqliteStoreBuilder::open`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder(path).open().await
    }

    /// Keeps sessions in a database in memory, of this store and its clones alone.
    ///
    /// ```
    /// use sessions::store::SqliteStore;
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let store = SqliteStore::in_memory().await?;
    /// # let _ = store;
    /// # Ok::<(), sessions::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SqliteStoreBuilder::open`].
    pub async fn in_memory() -> Result<Self, Error> {
        SqliteStoreBuilder::in_memory().open().await
    }

    /// Keeps sessions in the database of a pool.
    ///
    /// The store opens two connections of its own with the pool's options and takes none of the
    /// pool's, so neither waits for the other; hooks of the pool such as `after_connect` do not run
    /// on them. Journal mode and durability are what the options say, unless
    /// [`with_durability`](SqliteStoreBuilder::with_durability) is called. WAL is much the fastest.
    ///
    /// ```
    /// use sessions::store::SqliteStore;
    /// use sqlx::{SqlitePool, sqlite::{SqliteConnectOptions, SqliteJournalMode}};
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # let folder = std::env::temp_dir().join(format!("sessions-pool-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("app.db");
    /// let options = SqliteConnectOptions::new()
    ///     .filename(path)
    ///     .create_if_missing(true)
    ///     .journal_mode(SqliteJournalMode::Wal);
    /// let pool = SqlitePool::connect_with(options).await?;
    /// let store = SqliteStore::from_pool(pool).await?;
    /// # let _ = store;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// See [`SqliteStoreBuilder::open`].
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, Error> {
        SqliteStoreBuilder::pool(pool).open().await
    }

    /// Options for a store in this file.
    pub fn builder(path: impl Into<PathBuf>) -> SqliteStoreBuilder {
        SqliteStoreBuilder::file(path)
    }
}

impl Store for SqliteStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let with_fields = !names.is_empty();
        let Some(found) = self.queue.load(id, with_fields).await? else { return Ok(None) };
        let row = Row::take(&mut &*found.text).ok_or_else(|| Error::unavailable("a row that is none"))?;
        let seen = row.record(names).map_err(|reason| unreadable(&self.queue.table, id, &reason))?;
        let loaded = Loaded::new(&seen.record, found.now);
        if !with_fields {
            return Ok(Some(loaded.with_fields(Fields::new(), false)));
        }
        self.queue.recent.put(id, seen);
        Ok(Some(loaded))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        if let Some(name) = first_invalid(new.fields.iter()) {
            return Err(Error::invalid_field(name, "is to be set to something that is not JSON"));
        }
        match self.queue.write(Write::Create(id, new)).await? {
            Verdict::Created(created) => Ok(created),
            _ => Err(other_verdict()),
        }
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let values = commit.delta.ops().iter().filter_map(|(name, op)| match op {
            Op::Put(value) | Op::PutIfAbsent(value) => Some((name, value)),
            _ => None,
        });
        if let Some(name) = first_invalid(values) {
            return Ok(CommitOutcome::Invalid(name.clone()));
        }
        match self.queue.write(Write::Commit(id, commit)).await? {
            Verdict::Committed(answer) => Ok(answer),
            _ => Err(other_verdict()),
        }
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        match self.queue.write(Write::Destroy(id)).await? {
            Verdict::Destroyed => Ok(()),
            _ => Err(other_verdict()),
        }
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        match self.queue.write(Write::Purge(timeouts, limit)).await? {
            Verdict::Purged(count) => Ok(count),
            _ => Err(other_verdict()),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("table", &self.queue.table.as_str())
            .field("written_batches", &self.queue.written_batches.load(Ordering::Relaxed))
            .field("swapped", &self.queue.swapped.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// The first field whose value would not be one member of the JSON object: it could end the object
/// or add members to it.
fn first_invalid<'a>(values: impl IntoIterator<Item = (&'a FieldName, &'a Bytes)>) -> Option<&'a FieldName> {
    values.into_iter().find(|(_, value)| !document::is_json(value)).map(|(name, _)| name)
}

/// The error for a row that another program wrote, and that is no session. The row stays, so that an operator
/// can save its contents.
fn unreadable(table: &TableName, id: RecordId, reason: &str) -> Error {
    Error::unreadable(format!(
        "the row of the table {table} with the id '{id}' is not a session: {reason}; mend or delete it"
    ))
}

/// A write is answered by the verdict of its kind.
fn other_verdict() -> Error {
    Error::outcome_unknown("a write was answered as another kind of write")
}
