//! Requests that run in one batch: their order, one transaction, and no harm by another request of the batch.

use super::*;
use crate::store::CreateOutcome;

#[test]
fn what_arrives_during_a_transaction_shares_the_next_one() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        let before = batches(&store);
        let mut waiting = Vec::new();
        for number in 0..100 {
            let store = store.clone();
            waiting.push(begin(async move { store.commit(id(1), increment(number)).await }).await);
        }
        execute(&mut outsider, "ROLLBACK").await;
        for (number, answer) in waiting.into_iter().enumerate() {
            let CommitOutcome::Applied(values) = answer.await.unwrap().unwrap() else {
                panic!("not applied")
            };
            assert_eq!(values, [Some(json(&(number + 1).to_string()))], "in the order of arrival");
        }
        // The first may have been alone, and some may have joined it.
        assert!(batches(&store) - before <= 2, "{store:?}");
        assert_eq!(value(&store, id(1), "n").await, Some(json("100")));
    });
}

#[test]
fn a_bad_delta_fails_alone() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        let mut waiting = Vec::new();
        let bad = commit("text", Op::Max(1));
        for commit in [increment(1), bad, put("a", "1"), put("b", "1,\"c\":2"), increment(2)] {
            let store = store.clone();
            let mut request = Box::pin(async move { store.commit(id(1), commit).await });
            // A value that is not JSON is answered at once.
            let first =
                std::future::poll_fn(|context| std::task::Poll::Ready(request.as_mut().poll(context)));
            waiting.push(match first.await {
                std::task::Poll::Ready(answer) => tokio::spawn(async { answer }),
                std::task::Poll::Pending => tokio::spawn(request),
            });
        }
        execute(&mut outsider, "ROLLBACK").await;
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(answer.await.unwrap().unwrap());
        }
        assert_applied(&answers[0]);
        assert!(
            matches!(&answers[1], CommitOutcome::Invalid(name) if name.as_str() == "text"),
            "{answers:?}"
        );
        assert_applied(&answers[2]);
        assert!(matches!(&answers[3], CommitOutcome::Invalid(name) if name.as_str() == "b"), "{answers:?}");
        assert_applied(&answers[4]);
        let loaded = store.load(id(1), &["a".into()]).await.unwrap().unwrap();
        assert_eq!(loaded.fields, fields(&[("a", "1"), ("n", "2"), ("text", "\"x\"")]));
    });
}

#[test]
fn one_batch_may_destroy_create_and_change_one_record() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        let [one, two, three, four, five, six] = std::array::from_fn(|_| store.clone());
        let first = begin(async move { one.commit(id(1), put("a", "1")).await }).await;
        let destroyed = begin(async move { two.destroy(id(1)).await }).await;
        let gone = begin(async move { three.commit(id(1), put("a", "2")).await }).await;
        let created = begin(async move { four.create(id(1), new_record(&[("b", "1")])).await }).await;
        let exists = begin(async move {
            let other = NewRecord::new(Credentials::from_bytes(vec![1; 32]), Timeouts::default());
            five.create(id(1), other).await
        })
        .await;
        let last = begin(async move { six.commit(id(1), put("c", "1")).await }).await;
        execute(&mut outsider, "ROLLBACK").await;
        assert_applied(&first.await.unwrap().unwrap());
        destroyed.await.unwrap().unwrap();
        assert!(matches!(gone.await.unwrap().unwrap(), CommitOutcome::NotFound));
        assert!(matches!(created.await.unwrap().unwrap(), CreateOutcome::Created(_)));
        assert_eq!(exists.await.unwrap().unwrap(), CreateOutcome::IdTaken);
        assert_applied(&last.await.unwrap().unwrap());
        let loaded = store.load(id(1), &["a".into()]).await.unwrap().unwrap();
        assert_eq!(loaded.fields, fields(&[("b", "1"), ("c", "1")]));
    });
}

#[test]
fn many_records_of_all_kinds_in_one_batch() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        execute(&mut outsider, "ROLLBACK").await;
        for byte in 1..=90 {
            store.create(id(byte), new_record(&[("n", "0")])).await.unwrap();
        }
        let before = batches(&store);
        execute(&mut outsider, "BEGIN IMMEDIATE").await;
        let mut waiting = Vec::new();
        for byte in 1..=180 {
            let store = store.clone();
            waiting.push(
                begin(async move {
                    match byte {
                        1..=70 => assert_applied(&store.commit(id(byte), increment(1)).await.unwrap()),
                        71..=80 => {
                            let touch = Commit::new(0, Timeouts::default()).with_touch(true);
                            assert_applied(&store.commit(id(byte), touch).await.unwrap());
                        }
                        81..=90 => store.destroy(id(byte)).await.unwrap(),
                        _ => {
                            store.create(id(byte), new_record(&[("n", "7")])).await.unwrap();
                        }
                    }
                })
                .await,
            );
        }
        execute(&mut outsider, "ROLLBACK").await;
        for request in waiting {
            request.await.unwrap();
        }
        assert!(batches(&store) - before <= 2, "{store:?}");
        for byte in 1..=180 {
            let n = store
                .load(id(byte), &["a".into()])
                .await
                .unwrap()
                .map(|loaded| loaded.fields.get("n").cloned().unwrap());
            let expected = match byte {
                1..=70 => Some("1"),
                71..=80 => Some("0"),
                81..=90 => None,
                _ => Some("7"),
            };
            assert_eq!(n, expected.map(json), "{byte}");
        }
    });
}

#[test]
fn loads_go_on_while_a_write_waits() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        let writer = store.clone();
        let write = begin(async move { writer.commit(id(1), increment(1)).await }).await;
        assert_eq!(value(&store, id(1), "text").await, Some(json("\"x\"")));
        assert!(!write.is_finished());
        execute(&mut outsider, "ROLLBACK").await;
        assert_applied(&write.await.unwrap().unwrap());
    });
}

#[test]
fn a_commit_whose_caller_went_away_happens_wholly_or_not() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        let mut waiting = Vec::new();
        for number in 0..20 {
            let store = store.clone();
            waiting.push(begin(async move { store.commit(id(1), increment(number)).await }).await);
        }
        for request in waiting.iter().step_by(2) {
            request.abort();
        }
        execute(&mut outsider, "ROLLBACK").await;
        let mut applied = 0;
        for request in waiting {
            applied += u64::from(matches!(request.await, Ok(Ok(CommitOutcome::Applied(_)))));
        }
        let n: u64 = std::str::from_utf8(&value(&store, id(1), "n").await.unwrap()).unwrap().parse().unwrap();
        assert!((applied..=20).contains(&n), "{n} of 20, {applied} of them known");
        assert!(applied >= 10);
    });
}

#[test]
fn one_record_may_be_loaded_twice_at_once() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        execute(&mut outsider, "ROLLBACK").await;
        store.create(id(2), new_record(&[("text", "\"two\"")])).await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..50 {
            let store = store.clone();
            waiting.push(start(async move { store.load(id(number % 3), &["a".into()]).await }).await.0);
        }
        for (number, loaded) in waiting.into_iter().enumerate() {
            let text =
                loaded.await.unwrap().unwrap().map(|loaded| loaded.fields.get("text").cloned().unwrap());
            assert_eq!(text, [None, Some(json("\"x\"")), Some(json("\"two\""))][number % 3]);
        }
    });
}

#[test]
fn what_changes_nothing_writes_nothing() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        execute(&mut outsider, "ROLLBACK").await;
        let version = async |outsider: &mut SqliteConnection| -> i64 {
            sqlx::query_scalar("PRAGMA data_version").fetch_one(outsider).await.unwrap()
        };
        store.commit(id(1), increment(5)).await.unwrap();
        let before = version(&mut outsider).await;
        assert_applied(&store.commit(id(1), increment(5)).await.unwrap());
        assert_applied(&store.commit(id(1), Commit::new(0, Timeouts::default())).await.unwrap());
        assert!(matches!(store.commit(id(2), increment(6)).await.unwrap(), CommitOutcome::NotFound));
        store.destroy(id(2)).await.unwrap();
        assert_eq!(version(&mut outsider).await, before);
        assert_applied(&store.commit(id(1), increment(6)).await.unwrap());
        assert_ne!(version(&mut outsider).await, before);
    });
}

#[test]
fn a_failed_batch_leaves_a_database_in_memory_whole() {
    run(async {
        let options = SqliteConnectOptions::new().pragma("max_page_count", "40");
        let pool = sqlx::SqlitePool::connect_lazy_with(options);
        let store = SqliteStore::from_pool(pool).await.unwrap();
        store.create(id(1), new_record(&[("a", "1")])).await.unwrap();
        let large = format!("\"{}\"", "x".repeat(300_000));
        let error = store.commit(id(1), put("a", &large)).await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Unavailable, "{error:?}");
        assert_eq!(value(&store, id(1), "a").await, Some(json("1")));
        assert_applied(&store.commit(id(1), put("a", "2")).await.unwrap());
        assert_eq!(value(&store, id(1), "a").await, Some(json("2")));
    });
}

#[test]
fn a_batch_that_is_too_big_is_split() {
    run(async {
        let folder = TestFolder::new();
        let (store, mut outsider) = locked(&folder).await;
        execute(&mut outsider, "ROLLBACK").await;
        for byte in 2..=20 {
            store.create(id(byte), new_record(&[])).await.unwrap();
        }
        for byte in (1..=20).step_by(2) {
            // Half of them are optimistic writes.
            value(&store, id(byte), "n").await;
        }
        store.database().largest_batch.store(3, Ordering::Relaxed);
        execute(&mut outsider, "BEGIN IMMEDIATE").await;
        let mut waiting = Vec::new();
        for number in 0..40 {
            let store = store.clone();
            let id = id(number / 2 + 1);
            waiting.push(begin(async move { store.commit(id, increment(number.into())).await }).await);
        }
        execute(&mut outsider, "ROLLBACK").await;
        for (number, answer) in waiting.into_iter().enumerate() {
            let CommitOutcome::Applied(values) = answer.await.unwrap().unwrap() else {
                panic!("not applied")
            };
            assert_eq!(values, [Some(json(&(number % 2 + 1).to_string()))], "in the order of arrival");
        }
        let mut waiting = Vec::new();
        for byte in 1..=20 {
            let store = store.clone();
            waiting.push(tokio::spawn(async move { value(&store, id(byte), "n").await }));
        }
        for value in waiting {
            assert_eq!(value.await.unwrap(), Some(json("2")));
        }
    });
}

#[test]
fn nobody_waits_much_longer_than_one_busy_timeout() {
    run(async {
        const TIMEOUT: Duration = Duration::from_millis(600);
        let folder = TestFolder::new();
        let path = folder.file("s.db");
        let store = SqliteStore::builder(&path)
            .with_durability(crate::store::Durability::Relaxed)
            .with_busy_timeout(TIMEOUT)
            .open()
            .await
            .unwrap();
        let wide = |number: u16| RecordId::from_bytes([number.to_le_bytes(); 8].concat().try_into().unwrap());
        for number in 0..400 {
            store.create(wide(number), new_record(&[])).await.unwrap();
        }
        for number in 0..200 {
            // Their commits are optimistic writes, in several chunks.
            store.load(wide(number), &["a".into()]).await.unwrap();
        }
        let mut outsider = outsider(&path).await;
        execute(&mut outsider, "BEGIN IMMEDIATE").await;
        let start = std::time::Instant::now();
        let mut waiting = Vec::new();
        for number in 0..400 {
            let store = store.clone();
            let commit = async move { store.commit(wide(number), increment(1)).await };
            waiting.push(begin(commit).await);
        }
        for answer in waiting {
            let error = answer.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Unavailable);
        }
        // One timeout for the first commit alone, perhaps one for those that arrived after its refusal, and the rest
        // for a busy machine. One timeout for each chunk would be seven and more.
        assert!(start.elapsed() < TIMEOUT * 5, "{:?}", start.elapsed());
        execute(&mut outsider, "ROLLBACK").await;
        for number in [0, 1, 399] {
            assert_eq!(value(&store, wide(number), "n").await, None);
            assert_applied(&store.commit(wide(number), increment(1)).await.unwrap());
        }
    });
}
