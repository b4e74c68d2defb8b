//! Rows that SQL reads and writes, and the purge of rows.

use super::*;
use crate::{error::ErrorKind, store::SqliteStoreBuilder};

#[test]
fn the_queries_of_the_documentation_work() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        let pairs = [("page_count", "7"), ("cart.items", "[1,2]"), ("user_id", "42")];
        store.create(id(1), new_record(&pairs)).await.unwrap();
        let mut outsider = outsider(&path).await;
        let (text, count): (String, i64) =
            sqlx::query_as("SELECT id, data ->> 'page_count' FROM sessions WHERE data ->> 'user_id' = 42")
                .fetch_one(&mut outsider)
                .await
                .unwrap();
        assert_eq!((RecordId::parse(&text), count), (Some(id(1)), 7));
        let (items, credentials): (String, String) =
            sqlx::query_as("SELECT data -> '$.\"cart.items\"', hex(credentials) FROM sessions WHERE id = ?")
                .bind(id(1).to_string())
                .fetch_one(&mut outsider)
                .await
                .unwrap();
        assert_eq!((items.as_str(), credentials), ("[1,2]", "09".repeat(32)));
        let year: String = sqlx::query_scalar("SELECT datetime(touched / 1000, 'unixepoch') FROM sessions")
            .fetch_one(&mut outsider)
            .await
            .unwrap();
        assert!(year.as_str() > "2024", "{year}");
        execute(&mut outsider, "UPDATE sessions SET data = json_set(data, '$.page_count', 8)").await;
        assert_eq!(value(&store, id(1), "page_count").await, Some(json("8")));
        execute(&mut outsider, "DELETE FROM sessions WHERE data ->> 'user_id' = 42").await;
        assert!(store.load(id(1), &["a".into()]).await.unwrap().is_none());
        assert!(matches!(store.commit(id(1), put("a", "1")).await.unwrap(), CommitOutcome::NotFound));
    });
}

#[test]
fn a_row_that_is_no_session_is_an_error_that_names_it_and_harms_no_other() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(2), new_record(&[("a", "1")])).await.unwrap();
        for bad in [
            "data = '[]'",
            "data = ''",
            "data = '{\"a\":1'",
            "data = CAST(x'7b2261223a22ff227d' AS TEXT)",
            "epoch = -1",
            "created = -1",
            "touched = -9223372036854775808",
        ] {
            store.create(id(1), new_record(&[("a", "1")])).await.unwrap();
            let sql = format!("UPDATE sessions SET {bad} WHERE id = '{}'", id(1));
            execute(&mut outsider(&path).await, &sql).await;
            let names = ["a".into()];
            let (bad_load, good_load, bad_commit, good_commit) = tokio::join!(
                store.load(id(1), &names),
                store.load(id(2), &names),
                store.commit(id(1), put("a", "2")),
                store.commit(id(2), put("a", "2")),
            );
            for error in [bad_load.map(drop).unwrap_err(), bad_commit.map(drop).unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Unreadable);
                let reason = std::error::Error::source(&error).unwrap().to_string();
                assert!(reason.contains("\"sessions\"") && reason.contains(&id(1).to_string()), "{reason}");
            }
            assert!(good_load.unwrap().is_some());
            assert_applied(&good_commit.unwrap());
            store.create(id(1), new_record(&[])).await.unwrap_err();
            store.destroy(id(1)).await.unwrap();
            assert!(store.load(id(1), &["a".into()]).await.unwrap().is_none());
        }
    });
}

#[test]
fn fields_come_back_byte_by_byte() {
    run(async {
        let store = SqliteStore::in_memory().await.unwrap();
        let pairs = [
            ("", "1"),
            ("\"", "\"\\u0000 \\\" '\""),
            ("a.b", "1.50"),
            ("n", "123456789012345678901234567890"),
            ("o", "{ \"z\" : 1, \"a\":[ ] }"),
            ("naïve\n", "\"😀\""),
        ];
        store.create(id(1), new_record(&pairs)).await.unwrap();
        assert_applied(&store.commit(id(1), put("extra", "true")).await.unwrap());
        let mut expected = fields(&pairs);
        expected.insert("extra".into(), json("true"));
        assert_eq!(store.load(id(1), &["n".into(), "a.b".into()]).await.unwrap().unwrap().fields, expected);
    });
}

#[test]
fn metadata_come_back() {
    run(async {
        let clock = SecondsClock::default();
        let store = with_clock(&clock).await;
        clock.0.store(100, Ordering::SeqCst);
        store.create(id(1), new_record(&[])).await.unwrap();
        clock.0.store(200, Ordering::SeqCst);
        let rotation = increment(1)
            .with_credentials_change(CredentialsChange::rotation(Credentials::from_bytes(vec![3; 32])))
            .with_touch(true);
        assert_applied(&store.commit(id(1), rotation.clone()).await.unwrap());
        assert_applied(&store.commit(id(1), rotation).await.unwrap());
        clock.0.store(300, Ordering::SeqCst);
        let loaded = store.load(id(1), &["a".into()]).await.unwrap().unwrap();
        assert_eq!((loaded.epoch, loaded.credentials), (1, Credentials::from_bytes(vec![3; 32])));
        let seconds = |time: Timestamp| time.as_millis() / 1000;
        assert_eq!((seconds(loaded.created), seconds(loaded.touched), seconds(loaded.now)), (100, 200, 300));
        assert_eq!(loaded.fields, fields(&[("n", "1")]), "the repetition applied once");
    });
}

#[test]
fn purge_deletes_the_dead_and_no_other() {
    run(async {
        let clock = SecondsClock::default();
        let store = with_clock(&clock).await;
        let timeouts = Timeouts::new(Duration::from_mins(40), Duration::from_secs(10_000));
        let times = [0, 1, 2499, 2500, 2501, 7000, 9999, 10_000, 10_001, 12_000];
        for (byte, created) in (0..).zip(times) {
            clock.0.store(created, Ordering::SeqCst);
            let new = NewRecord::new(Credentials::from_bytes(vec![9; 32]), timeouts);
            store.create(id(byte), new).await.unwrap();
        }
        for now in [0, 2499, 2500, 2501, 9_499, 10_000, 12_499, 12_500, 40_000] {
            clock.0.store(now, Ordering::SeqCst);
            let alive = async || {
                let mut alive = Vec::new();
                for byte in 0..10 {
                    if let Some(loaded) = store.load(id(byte), &["a".into()]).await.unwrap() {
                        let is_alive = timeouts.is_alive(loaded.created, loaded.touched, loaded.now);
                        alive.push((byte, is_alive));
                    }
                }
                alive
            };
            let before = alive().await;
            let dead = before.iter().filter(|(_, is_alive)| !is_alive).count();
            assert_eq!(store.purge(timeouts, 1).await.unwrap(), dead.min(1), "at {now}");
            assert_eq!(store.purge(timeouts, usize::MAX).await.unwrap(), dead.saturating_sub(1), "at {now}");
            let expected: Vec<_> = before.into_iter().filter(|(_, is_alive)| *is_alive).collect();
            assert_eq!(alive().await, expected, "at {now}");
        }
        store.create(id(100), new_record(&[])).await.unwrap();
        let forever = Timeouts::new(Duration::MAX, Duration::MAX);
        assert_eq!(store.purge(forever, 10).await.unwrap(), 0);
    });
}

#[test]
fn purge_spares_what_is_alive_for_another_layer() {
    run(async {
        let clock = SecondsClock::default();
        let store = with_clock(&clock).await;
        let short = Timeouts::new(Duration::from_mins(1), Duration::from_mins(2));
        let long = Timeouts::new(Duration::from_hours(1), Duration::from_hours(2));
        let new = |timeouts| NewRecord::new(Credentials::from_bytes(vec![9; 32]), timeouts);
        store.create(id(1), new(long)).await.unwrap();
        store.create(id(2), new(short)).await.unwrap();
        store.create(id(3), new(short)).await.unwrap();
        // At the moment of its creation.
        let touch = Commit::new(0, long).with_touch(true);
        assert_applied(&store.commit(id(3), touch.clone()).await.unwrap());
        // After a load, and without a touch.
        store.load(id(1), &["a".into()]).await.unwrap();
        assert_applied(&store.commit(id(1), increment(1)).await.unwrap());
        clock.0.store(600, Ordering::SeqCst);
        assert_eq!(store.purge(long, 10).await.unwrap(), 0, "alive under the timeouts of this purge");
        assert_eq!(store.purge(short, 10).await.unwrap(), 1);
        for (byte, is_there) in [(1, true), (2, false), (3, true)] {
            assert_eq!(store.load(id(byte), &["a".into()]).await.unwrap().is_some(), is_there, "{byte}");
        }
        assert_applied(&store.commit(id(1), touch).await.unwrap());
        // The deadline of the third has passed, that of the first moved.
        clock.0.store(3600 + 150 + 1, Ordering::SeqCst);
        assert_eq!(store.purge(short, 10).await.unwrap(), 1);
        assert!(store.load(id(1), &["a".into()]).await.unwrap().is_some());
        clock.0.store(600 + 3600 + 150, Ordering::SeqCst);
        assert_eq!(store.purge(short, 10).await.unwrap(), 1);
    });
}

#[test]
fn purge_spares_a_visitor_who_may_still_come_back() {
    run(async {
        let clock = SecondsClock::default();
        let store = with_clock(&clock).await;
        let short = Timeouts::default().with_first_visit(Duration::from_mins(1));
        let long = Timeouts::default().with_first_visit(Duration::from_hours(1));
        clock.0.store(1000, Ordering::SeqCst);
        let new = NewRecord::new(Credentials::from_bytes(vec![9; 33]), short).with_first_visit(true);
        store.create(id(1), new).await.unwrap();
        clock.0.store(1600, Ordering::SeqCst);
        let loaded = store.load(id(1), &["a".into()]).await.unwrap().unwrap();
        assert!(long.is_alive(loaded.created, loaded.touched, loaded.now));
        assert_eq!(store.purge(long, 10).await.unwrap(), 0, "alive under the timeouts of this purge");
        assert_eq!(store.purge(short, 10).await.unwrap(), 1);
    });
}

#[test]
fn the_last_epoch_is_followed_by_the_first() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        store.create(id(1), new_record(&[])).await.unwrap();
        execute(&mut outsider(&path).await, "UPDATE sessions SET epoch = 9223372036854775807").await;
        let mut rotation = put("a", "1")
            .with_credentials_change(CredentialsChange::rotation(Credentials::from_bytes(vec![3; 32])));
        rotation.epoch = store.load(id(1), &["a".into()]).await.unwrap().unwrap().epoch;
        assert_applied(&store.commit(id(1), rotation).await.unwrap());
        let loaded = store.load(id(1), &["a".into()]).await.unwrap().unwrap();
        assert_eq!((loaded.epoch, loaded.credentials), (0, Credentials::from_bytes(vec![3; 32])));
    });
}

#[test]
fn purge_uses_its_index() {
    let folder = TestFolder::new();
    let path = folder.file("s.db");
    run(async {
        let store = SqliteStore::open(&path).await.unwrap();
        let explained = format!("EXPLAIN QUERY PLAN {}", store.database().statements.purge().as_str());
        let rows: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(explained)).fetch_all(&mut outsider(&path).await).await.unwrap();
        let plan: Vec<_> = rows.into_iter().map(|row| row.3).collect();
        assert!(plan.iter().any(|step| step.contains("sessions_expires (expires<?)")), "{plan:?}");
    });
}

async fn with_clock(clock: &SecondsClock) -> SqliteStore {
    SqliteStoreBuilder::in_memory().with_clock(clock.clone()).open().await.unwrap()
}
