//! Tests of what the conformance suite cannot see of this store.

mod batches;
mod files;
#[cfg(unix)]
mod modes;
mod optimistic;
mod rows;
mod runtimes;
mod traces;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use super::SqliteStore;
use crate::{
    clock::Clock,
    delta::{Add, Delta, Op},
    store::{Commit, CommitId, CommitOutcome, CredentialsChange, NewRecord, Store},
    value::{Credentials, Fields, RecordId, Timeouts, Timestamp},
};

/// A folder for one test, removed with everything in it.
struct TestFolder(PathBuf);

impl TestFolder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sessions-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A clock in seconds, which a test moves.
#[derive(Clone, Default)]
struct SecondsClock(Arc<AtomicI64>);

impl Clock for SecondsClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst) * 1000)
    }
}

/// Runs a test in a new runtime with two threads.
fn run<T>(test: impl Future<Output = T>) -> T {
    runtime().block_on(test)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Opens the database as another program would.
async fn outsider(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5)).connect().await.unwrap()
}

/// Opens a store whose writes wait for another program, which has the write lock.
async fn locked(folder: &TestFolder) -> (SqliteStore, SqliteConnection) {
    let path = folder.file("s.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.create(id(1), new_record(&[("text", "\"x\"")])).await.unwrap();
    let mut outsider = outsider(&path).await;
    execute(&mut outsider, "BEGIN IMMEDIATE").await;
    (store, outsider)
}

/// Begins a request that is held up, so that it is queued or under way.
async fn begin<T: Send + 'static>(
    request: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let (request, is_done) = start(request).await;
    assert!(!is_done, "the request was to be held up");
    request
}

/// Begins a request that may be done at once. Returns true with it if it is.
async fn start<T: Send + 'static>(
    request: impl Future<Output = T> + Send + 'static,
) -> (tokio::task::JoinHandle<T>, bool) {
    let mut request = Box::pin(request);
    match std::future::poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await {
        Poll::Ready(output) => (tokio::spawn(std::future::ready(output)), true),
        Poll::Pending => (tokio::spawn(request), false),
    }
}

async fn execute(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

const fn id(byte: u8) -> RecordId {
    RecordId::from_bytes([byte; 16])
}

fn json(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).into(), json(value))).collect()
}

fn new_record(pairs: &[(&str, &str)]) -> NewRecord {
    NewRecord::new(Credentials::from_bytes(vec![9; 32]), Timeouts::default()).with_fields(fields(pairs))
}

fn commit(name: &str, op: Op) -> Commit {
    let mut delta = Delta::new();
    delta.push(name.into(), op, None).unwrap();
    Commit::new(0, Timeouts::default()).with_delta(delta)
}

fn put(name: &str, value: &str) -> Commit {
    commit(name, Op::Put(json(value)))
}

/// Returns a commit that adds one and asks for the result. Repetitions with the same `number` apply once.
fn increment(number: u64) -> Commit {
    let add = Add { by: 1, start: 0, min: i64::MIN, max: i64::MAX };
    commit("n", Op::Add(add)).with_id(CommitId::from_bytes(number.to_le_bytes())).returning(vec!["n".into()])
}

async fn value(store: &SqliteStore, id: RecordId, name: &str) -> Option<Bytes> {
    store.load(id, &[name.into()]).await.unwrap().unwrap().fields.get(name).cloned()
}

fn batches(store: &SqliteStore) -> u64 {
    store.database().counters.written_batches.load(Ordering::Relaxed)
}

#[track_caller]
fn assert_applied(answer: &CommitOutcome) {
    assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
}
