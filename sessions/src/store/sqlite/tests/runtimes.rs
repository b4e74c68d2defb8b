//! One store in several runtimes: none waits for another, and the end of one does no harm to the others.

use std::{
    task::{Context, Poll, Waker},
    thread,
};

use super::*;
use crate::ErrorKind;

fn standing_still() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_store_outlives_the_runtimes_it_is_used_in() {
    let folder = TestFolder::new();
    let first = runtime();
    let (on_disk, mut outsider) = first.block_on(locked(&folder));
    let in_memory = first.block_on(SqliteStore::in_memory()).unwrap();
    first.block_on(in_memory.create(id(1), new_record(&[("a", "1")]))).unwrap();
    let abandoned = on_disk.clone();
    let waiting = first.block_on(begin(async move { abandoned.commit(id(1), put("a", "1")).await }));
    thread::sleep(Duration::from_millis(50));
    // A request that waits in another runtime is answered after the end of the first.
    let second = runtime();
    let queued = on_disk.clone();
    let queued = second.block_on(begin(async move { queued.commit(id(1), put("b", "1")).await }));
    first.shutdown_background();
    drop(waiting);
    second.block_on(execute(&mut outsider, "ROLLBACK"));
    assert_applied(&second.block_on(queued).unwrap().unwrap());
    second.block_on(async {
        assert_applied(&on_disk.commit(id(1), put("c", "1")).await.unwrap());
        for name in ["a", "b", "c"] {
            assert_eq!(value(&on_disk, id(1), name).await, Some(json("1")), "{name}");
        }
        assert_applied(&in_memory.commit(id(1), put("b", "2")).await.unwrap());
        assert_eq!(value(&in_memory, id(1), "a").await, Some(json("1")));
    });
}

#[test]
fn outside_of_a_runtime_there_is_an_error() {
    let store = run(SqliteStore::in_memory()).unwrap();
    let mut load = Box::pin(store.load(id(1), &[]));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = load.as_mut().poll(&mut context) else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_runtime_that_stands_still_holds_up_no_other() {
    for is_write in [false, true] {
        let folder = TestFolder::new();
        let second = runtime();
        let store = second.block_on(SqliteStore::open(folder.file("s.db"))).unwrap();
        second.block_on(store.create(id(1), new_record(&[]))).unwrap();
        let first = standing_still();
        let abandoned = store.clone();
        let request = async move {
            if is_write {
                assert_applied(&abandoned.commit(id(1), put("a", "1")).await.unwrap());
            } else {
                assert!(abandoned.load(id(1), &[]).await.unwrap().is_some());
            }
        };
        let waiting = first.block_on(begin(request));
        let answers = second.block_on(async {
            let both = async { tokio::join!(store.load(id(1), &[]), store.commit(id(1), put("b", "1"))) };
            tokio::time::timeout(Duration::from_secs(10), both).await
        });
        let (loaded, answer) = answers.expect("it waits for the runtime that stands still");
        assert!(loaded.unwrap().is_some());
        assert_applied(&answer.unwrap());
        let written = second.block_on(value(&store, id(1), "a"));
        assert_eq!(written, is_write.then(|| json("1")), "what the other began was carried on");
        first.block_on(waiting).unwrap();
    }
}

#[test]
fn a_blocked_thread_holds_up_no_other() {
    run(async {
        let folder = TestFolder::new();
        let store = SqliteStore::open(folder.file("s.db")).await.unwrap();
        let blocked = store.clone();
        let (begun, is_begun) = tokio::sync::oneshot::channel();
        let (release, is_released) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            standing_still().block_on(async {
                let request = begin(async move { blocked.destroy(id(1)).await }).await;
                tokio::task::yield_now().await;
                begun.send(()).unwrap();
                // Blocks the whole runtime, as a handler without `.await` may.
                is_released.recv().unwrap();
                request.await.unwrap().unwrap();
            });
        });
        is_begun.await.unwrap();
        // Only so that a failure is not a test that hangs.
        let destroyed = tokio::time::timeout(Duration::from_secs(30), store.destroy(id(2))).await;
        release.send(()).unwrap();
        destroyed.expect("the other runtime is blocked still").unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn many_runtimes_come_and_go_and_no_write_is_lost() {
    const RUNTIMES: u64 = 4;
    const ROUNDS: u64 = 15;
    let folder = TestFolder::new();
    let lasting = runtime();
    let store = lasting.block_on(SqliteStore::open(folder.file("s.db"))).unwrap();
    lasting.block_on(store.create(id(1), new_record(&[]))).unwrap();
    let threads: Vec<_> = (0..RUNTIMES)
        .map(|number| {
            let store = store.clone();
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    standing_still().block_on(async {
                        for third in 0..3 {
                            let name = (number * ROUNDS + round) * 3 + third;
                            store.load(id(1), &[]).await.unwrap().unwrap();
                            assert_applied(&store.commit(id(1), increment(name)).await.unwrap());
                        }
                        // Under way when the runtime ends.
                        let store = store.clone();
                        start(async move { drop(store.load(id(1), &[]).await) }).await;
                    });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let count = (RUNTIMES * ROUNDS * 3).to_string();
    assert_eq!(lasting.block_on(value(&store, id(1), "n")), Some(json(&count)));
}

#[test]
fn what_was_under_way_in_the_only_runtime_ends_with_it() {
    let folder = TestFolder::new();
    let first = standing_still();
    let (store, mut outsider) = first.block_on(locked(&folder));
    let mut request = Box::pin(store.commit(id(1), put("a", "1")));
    let mut queued = Box::pin(store.commit(id(1), put("a", "2")));
    let mut context = Context::from_waker(Waker::noop());
    first.block_on(async {
        assert!(request.as_mut().poll(&mut context).is_pending());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(queued.as_mut().poll(&mut context).is_pending());
    });
    drop(first);
    let Poll::Ready(Err(error)) = request.as_mut().poll(&mut context) else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let Poll::Ready(Err(error)) = queued.as_mut().poll(&mut context) else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let second = runtime();
    second.block_on(execute(&mut outsider, "ROLLBACK"));
    assert_applied(&second.block_on(store.commit(id(1), put("a", "3"))).unwrap());
}
