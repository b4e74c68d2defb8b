//! The SQLite store as layers use it.

use std::fmt;

use bytes::Bytes;

use super::{
    connection::StoreConnection,
    database::Database,
    dispatcher::Dispatcher,
    document,
    request::{WriteOperation, WriteOutcome},
    row::RowParts,
};
use crate::{
    delta::Op,
    error::Error,
    store::{
        CanIndex, Commit, CommitOutcome, CreateOutcome, IndexStore, Loaded, NewRecord, Store,
        index::{FieldCondition, IndexChange, IndexFuture, IndexOutcome},
    },
    value::{FieldName, Fields, IndexKey, RecordId, Timeouts},
};

/// A store of sessions in an SQLite database: one file, shared by any number of processes of one machine.
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
/// A commit that does not wait for the disk, for sessions whose last changes may be lost with the power:
///
/// ```
/// use sessions::store::{Durability, SqliteStore};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("sessions-relaxed-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("sessions.db");
/// let store = SqliteStore::builder(path).with_durability(Durability::Relaxed).open().await?;
/// # let _ = store;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), sessions::Error>(())
/// # }).unwrap();
/// ```
///
/// Clones share one store. Open one store per process: requests that are under way at the same time share a
/// query, and commits share a transaction, so one wait for the disk serves all of them. Each commit is still
/// applied or refused on its own. It is acknowledged only once it is durable, as [`Durability`] says.
///
/// Dropping a future of the store does not stop what it began. Such a commit happens wholly or not at all.
///
/// A store may be used in several tokio runtimes, at once and one after the other. Each runtime that waits carries
/// on what is under way. So a runtime that is blocked or ends holds up no other. A request whose only waiting
/// runtime ends is ended with it.
///
/// # Looking at sessions with SQL
///
/// Each session is a row of the table `sessions`. Its fields are the members of one JSON object:
///
/// | column | type | |
/// |---|---|---|
/// | `id` | `TEXT` | the public id, as [`RecordId`] is written |
/// | `credentials` | `BLOB` | a hash of the present secret, and what else the layer checks tokens with |
/// | `epoch` | `INTEGER` | the number of rotations |
/// | `created`, `touched` | `INTEGER` | milliseconds since 1970: of creation, of the last use noted |
/// | `expires` | `INTEGER` | milliseconds since 1970: the row may be purged from then on, unless `created` and `touched` still allow its use |
/// | `commits` | `BLOB` | the ids of the last commits, 8 bytes each |
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
/// `DELETE` is safe at any time: a request under way finds its session gone. An `UPDATE` of one field with
/// `json_set` in one statement is safe, too. A row that no longer holds a session gives an error that names the
/// row, until the row is deleted. Additional columns and indexes do not disturb the store:
///
/// ```sql
/// CREATE INDEX sessions_user ON sessions (data ->> 'user_id');
/// ```
///
/// The table `sessions_index` says which sessions a user has ([`index`](crate::store::index)). Its keys are hashes.
/// `DELETE` of a session leaves its entry, which the next listing removes.
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
/// Values that a commit, a logout or a purge deletes are overwritten with zeros (`secure_delete=ON`), and each
/// purge empties the write-ahead log. So values of an ended session stay in the files until the next purge,
/// about a minute after the next new session at the latest. Snapshots, backups and the blocks of an SSD keep their
/// copies.
///
/// A transaction that another process keeps open, such as a backup or a forgotten `sqlite3` shell, keeps the log from
/// being emptied, and the log grows with each commit. From 64 MiB on, [`purge`](Store::purge) returns an error that
/// says so. The layer reports it as [`Event::PurgeFailed`](crate::Event::PurgeFailed) once a minute. Sessions
/// work until the disk is full. When the transaction ends, the next purge frees the space.
///
/// # Errors
///
/// Operations fail with the kind [`Unavailable`](crate::ErrorKind::Unavailable) if nothing was written: the database
/// stayed locked for the busy timeout, the disk is full, the file or table is gone, or there is no tokio runtime. They
/// fail with [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown) if a commit may have been written: after an I/O
/// error, or when the only runtime that waited for it ended. [`Unreadable`](crate::ErrorKind::Unreadable) names a row
/// that another program wrote and that holds no session.
///
/// [`Durability`]: super::Durability
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) dispatcher: Dispatcher,
}

impl SqliteStore {
    pub(super) fn new(database: Database, connection: StoreConnection) -> Self {
        Self { dispatcher: Dispatcher::new(database, connection) }
    }

    pub(super) fn database(&self) -> &Database {
        &self.dispatcher.database
    }
}

impl Store for SqliteStore {
    async fn load(&self, id: RecordId, names: &[FieldName]) -> Result<Option<Loaded>, Error> {
        let with_fields = !names.is_empty();
        let Some(found) = self.dispatcher.load(id, with_fields).await? else { return Ok(None) };
        let row = RowParts::take(&mut &*found.text).ok_or_else(RowParts::malformed)?;
        let decoded = row.decode(names).map_err(|reason| self.database().table.unreadable(id, &reason))?;
        let loaded = Loaded::new(&decoded.record, found.now);
        if !with_fields {
            return Ok(Some(loaded.with_fields(Fields::new(), false)));
        }
        self.database().recent_reads.put(id, decoded);
        Ok(Some(loaded))
    }

    async fn create(&self, id: RecordId, new: NewRecord) -> Result<CreateOutcome, Error> {
        if let Some(name) = first_invalid(new.fields.iter()) {
            return Err(Error::invalid_field(name, "is to be set to something that is not JSON"));
        }
        match self.dispatcher.write(WriteOperation::Create(id, new)).await? {
            WriteOutcome::Created(outcome) => Ok(outcome),
            _ => Err(other_outcome()),
        }
    }

    async fn commit(&self, id: RecordId, commit: Commit) -> Result<CommitOutcome, Error> {
        let values = commit.delta.ops().iter().filter_map(|(name, op)| match op {
            Op::Put(value) | Op::PutIfAbsent(value) | Op::ReplaceIf { value: Some(value), .. } => {
                Some((name, value))
            }
            _ => None,
        });
        if let Some(name) = first_invalid(values) {
            return Ok(CommitOutcome::Invalid(name.clone()));
        }
        match self.dispatcher.write(WriteOperation::Commit(id, commit)).await? {
            WriteOutcome::Committed(outcome) => Ok(outcome),
            _ => Err(other_outcome()),
        }
    }

    async fn destroy(&self, id: RecordId) -> Result<(), Error> {
        match self.dispatcher.write(WriteOperation::Destroy(id)).await? {
            WriteOutcome::Destroyed(_) => Ok(()),
            _ => Err(other_outcome()),
        }
    }

    async fn purge(&self, timeouts: Timeouts, limit: usize) -> Result<usize, Error> {
        match self.dispatcher.write(WriteOperation::Purge(timeouts, limit)).await? {
            WriteOutcome::Purged(count) => Ok(count),
            _ => Err(other_outcome()),
        }
    }

    fn index(&self) -> Option<&dyn IndexStore> {
        Some(self)
    }
}

impl CanIndex for SqliteStore {}

impl IndexStore for SqliteStore {
    fn change_index(&self, key: IndexKey, change: IndexChange) -> IndexFuture<'_, IndexOutcome> {
        Box::pin(async move {
            match self.dispatcher.write(WriteOperation::ChangeIndex(key, change)).await? {
                WriteOutcome::IndexChanged(outcome) => Ok(outcome),
                _ => Err(other_outcome()),
            }
        })
    }

    fn destroy_if(&self, id: RecordId, condition: FieldCondition) -> IndexFuture<'_, bool> {
        Box::pin(async move {
            match self.dispatcher.write(WriteOperation::DestroyIf(id, condition)).await? {
                WriteOutcome::Destroyed(is_met) => Ok(is_met),
                _ => Err(other_outcome()),
            }
        })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("table", &self.database().table.as_str())
            .field("counters", &self.database().counters)
            .finish_non_exhaustive()
    }
}

/// Returns the first field whose value is not one JSON value. Such a value could end the object in `data`, or add
/// members to it.
fn first_invalid<'a>(values: impl IntoIterator<Item = (&'a FieldName, &'a Bytes)>) -> Option<&'a FieldName> {
    values.into_iter().find(|(_, value)| !document::is_json(value)).map(|(name, _)| name)
}

/// Returns the error for an outcome of another kind than its operation's, which would be a defect of this module.
fn other_outcome() -> Error {
    Error::outcome_unknown("the SQLite store answered a write with the outcome of another kind of write")
}
