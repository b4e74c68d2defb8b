//! Optimistic writes: their outcome is right, and so is that of a commit whose record has changed since its load.

use super::*;

fn optimistic_writes(store: &SqliteStore) -> u64 {
    store.database().counters.optimistic_writes.load(Ordering::Relaxed)
}

/// Loads, so that the next commit can be an optimistic write.
async fn seen(store: &SqliteStore, id: RecordId) {
    store.load(id, &["a".into()]).await.unwrap();
}

#[test]
fn a_commit_after_a_load_is_one_statement() {
    run(async {
        let store = SqliteStore::in_memory().await.unwrap();
        store.create(id(1), new_record(&[("n", "41"), ("a", "[ 1 ]")])).await.unwrap();
        seen(&store, id(1)).await;
        let CommitOutcome::Applied(values) = store.commit(id(1), increment(1)).await.unwrap() else {
            panic!()
        };
        assert_eq!(values, [Some(json("42"))]);
        assert_eq!(optimistic_writes(&store), 1);
        let loaded = store.load(id(1), &["a".into()]).await.unwrap().unwrap();
        assert_eq!(loaded.fields, fields(&[("n", "42"), ("a", "[ 1 ]")]));
        // A repetition is recognised by what the optimistic write left.
        assert_applied(&store.commit(id(1), increment(1)).await.unwrap());
        assert_eq!(value(&store, id(1), "n").await, Some(json("42")));
    });
}

#[test]
fn whatever_was_written_in_between_counts() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        let mut outsider = outsider(&path).await;
        for (change, expected) in [
            ("UPDATE sessions SET data = json_set(data, '$.n', 5)", Ok("6")),
            ("UPDATE sessions SET data = '{ \"n\" : 5 }'", Ok("6")),
            ("UPDATE sessions SET touched = touched + 1", Ok("1")),
            ("UPDATE sessions SET commits = x'0100000000000000'", Ok("0")),
            ("UPDATE sessions SET epoch = 1", Err("StaleEpoch")),
            ("UPDATE sessions SET created = 0", Err("NotFound")),
            ("DELETE FROM sessions", Err("NotFound")),
        ] {
            store.create(id(1), new_record(&[("n", "0")])).await.unwrap();
            seen(&store, id(1)).await;
            execute(&mut outsider, change).await;
            match (store.commit(id(1), increment(1)).await.unwrap(), expected) {
                (CommitOutcome::Applied(_), Ok(n)) => {
                    assert_eq!(value(&store, id(1), "n").await, Some(json(n)), "{change}");
                }
                (answer, Err(name)) => assert_eq!(format!("{answer:?}"), name, "{change}"),
                (answer, expected) => panic!("{change}: {answer:?}, not {expected:?}"),
            }
            store.destroy(id(1)).await.unwrap();
        }
        assert_eq!(optimistic_writes(&store), 0);
    });
}

#[test]
fn another_record_in_the_same_row_is_left_alone() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        seen(&store, id(1)).await;
        let sql = format!("UPDATE sessions SET id = '{}'", id(2));
        execute(&mut outsider(&path).await, &sql).await;
        assert!(matches!(store.commit(id(1), increment(1)).await.unwrap(), CommitOutcome::NotFound));
        assert_eq!(value(&store, id(2), "n").await, None);
    });
}

#[test]
fn hits_and_misses_of_one_batch_are_told_apart() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        for byte in 0..150 {
            store.create(id(byte), new_record(&[("n", "0")])).await.unwrap();
        }
        for byte in 0..150 {
            seen(&store, id(byte)).await;
        }
        let mut outsider = outsider(&path).await;
        let changed = "UPDATE sessions SET data = '{\"n\":10}' WHERE rowid % 3 = 0";
        execute(&mut outsider, changed).await;
        execute(&mut outsider, "BEGIN IMMEDIATE").await;
        let mut waiting = Vec::new();
        for byte in 0..150 {
            let store = store.clone();
            waiting.push(begin(async move { store.commit(id(byte), increment(1)).await.unwrap() }).await);
        }
        // Two commits of one record: neither is an optimistic write.
        let twice = store.clone();
        waiting.push(begin(async move { twice.commit(id(1), increment(2)).await.unwrap() }).await);
        execute(&mut outsider, "ROLLBACK").await;
        for answer in waiting {
            assert_applied(&answer.await.unwrap());
        }
        for byte in 0..150 {
            let n = match byte {
                1 => "2",
                _ if (u32::from(byte) + 1) % 3 == 0 => "11",
                _ => "1",
            };
            assert_eq!(value(&store, id(byte), "n").await, Some(json(n)), "{byte}");
        }
        assert!(optimistic_writes(&store) > 50, "{store:?}");
    });
}
