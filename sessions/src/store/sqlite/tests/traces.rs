//! Deleted values in the files, and a write-ahead log that cannot be emptied.

use super::*;
use crate::{
    error::{Error, ErrorKind},
    store::Durability,
};

/// Returns all bytes of the database's files.
fn bytes(folder: &TestFolder) -> Vec<u8> {
    let files = ["s.db", "s.db-wal", "s.db-shm"].map(|name| std::fs::read(folder.file(name)));
    files.into_iter().flatten().flatten().collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn purge(store: &SqliteStore) -> Result<usize, Error> {
    store.purge(Timeouts::default(), 1000).await
}

/// Values of one page, and of several, which SQLite keeps elsewhere.
#[test]
fn an_ended_session_leaves_no_value_in_the_files() {
    for size in [100, 3000, 10_000, 200_000] {
        let folder = TestFolder::new();
        run(async {
            let store = SqliteStore::open(folder.file("s.db")).await.unwrap();
            for other in 2..20 {
                store.create(id(other), new_record(&[("a", "\"other\"")])).await.unwrap();
            }
            let value = |mark: &str| format!("\"{}\"", mark.repeat(size / mark.len()));
            store.create(id(1), new_record(&[("a", &value("first-value"))])).await.unwrap();
            purge(&store).await.unwrap();
            assert!(holds(&bytes(&folder), "first-value"), "it would be found");
            assert_applied(&store.commit(id(1), put("a", &value("second-value"))).await.unwrap());
            purge(&store).await.unwrap();
            let left = bytes(&folder);
            assert!(holds(&left, "second-value") && !holds(&left, "first-value"), "{size}: after a change");
            store.destroy(id(1)).await.unwrap();
            purge(&store).await.unwrap();
            assert!(!holds(&bytes(&folder), "second-value"), "{size}: after the end");
            assert_eq!(super::value(&store, id(2), "a").await, Some(json("\"other\"")));
        });
    }
}

#[test]
fn a_log_that_another_program_keeps_from_being_folded_is_reported() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::builder(&path).with_durability(Durability::Relaxed).open().await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        let mut outsider = outsider(&path).await;
        execute(&mut outsider, "BEGIN; SELECT count(*) FROM sessions").await;
        let write = async |mebibytes: usize| {
            for number in 0..mebibytes {
                // Pages that stay the same are not written.
                let value = format!("\"{}\"", (number % 10).to_string().repeat(1 << 20));
                assert_applied(&store.commit(id(1), put("a", &value)).await.unwrap());
            }
        };
        let log = || std::fs::metadata(folder.file("s.db-wal")).unwrap().len() >> 20;
        write(30).await;
        assert!(log() >= 30, "it grows beyond the size of a checkpoint");
        purge(&store).await.expect("not yet too large");
        write(40).await;
        let error = purge(&store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = error.to_string();
        assert!(text.contains("has grown to 7") && text.contains("end it"), "{text}");
        assert_eq!(value(&store, id(1), "b").await, None, "the store goes on");
        execute(&mut outsider, "COMMIT").await;
        purge(&store).await.expect("nothing is in the way");
        assert_eq!(log(), 0, "the space is given back");
        write(30).await;
        assert!(log() <= 20, "SQLite makes checkpoints again");
    });
}

/// A purge sets the busy timeout to zero for a moment.
#[test]
fn a_purge_leaves_the_busy_timeout_alone() {
    let folder = TestFolder::new();
    run(async {
        let (store, mut outsider) = locked(&folder).await;
        execute(&mut outsider, "ROLLBACK").await;
        purge(&store).await.unwrap();
        execute(&mut outsider, "BEGIN IMMEDIATE").await;
        let waiting = store.clone();
        let commit = begin(async move { waiting.commit(id(1), increment(1)).await }).await;
        // The reader answers while the writer waits for the lock.
        assert!(store.load(id(1), &[]).await.unwrap().is_some());
        execute(&mut outsider, "COMMIT").await;
        assert_applied(&commit.await.unwrap().unwrap());
    });
}
