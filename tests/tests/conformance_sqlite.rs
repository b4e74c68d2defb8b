//! The conformance suite on `SqliteStore`: in memory, and in a file that two instances open.

// A test fails by panicking.
#![allow(clippy::expect_used)]

use std::{fs, path::PathBuf};

use sessions::{
    store::{Durability, SqliteStore, SqliteStoreBuilder},
    testing::{ManualClock, conformance::Harness},
};
use tokio::sync::OnceCell;

sessions::testing::conformance!(in_memory, InMemory::default());
sessions::testing::conformance!(file, File::new(Durability::Relaxed));

/// A database in memory. Its instances are clones.
#[derive(Default)]
struct InMemory(OnceCell<SqliteStore>);

impl Harness for InMemory {
    type Store = SqliteStore;

    async fn open(&self, clock: ManualClock) -> SqliteStore {
        let open = || async {
            SqliteStoreBuilder::in_memory().with_clock(clock).open().await.expect("a database in memory")
        };
        self.0.get_or_init(open).await.clone()
    }
}

/// A database in a file. Each instance opens it for itself, as processes would.
struct File {
    folder: tempfile::TempDir,
    durability: Durability,
}

impl File {
    /// Takes the durability. `Relaxed` is enough here: no test sees the wait for the disk that `Full` adds.
    fn new(durability: Durability) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), durability }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.db")
    }
}

impl Harness for File {
    type Store = SqliteStore;

    async fn open(&self, clock: ManualClock) -> SqliteStore {
        let builder = SqliteStore::builder(self.path()).with_clock(clock).with_durability(self.durability);
        builder.open().await.expect("a database in a file")
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        let files = fs::read_dir(self.folder.path()).expect("the folder");
        let contents = files.map(|file| fs::read(file.expect("a file").path()).expect("its bytes"));
        Some(contents.collect::<Vec<_>>().concat())
    }
}
