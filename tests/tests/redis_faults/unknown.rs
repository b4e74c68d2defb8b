//! Commits of which nobody knows whether they happened, because the server stood still.

use sessions::{
    store::RedisStore,
    testing::{Client, Gate},
};
use tests::servers::RedisServer;
use tokio::runtime::Runtime;

use crate::{
    counter::{add, browser, count, succeeded},
    open,
};

const ROUNDS: u64 = 20;

/// A request that finds the server standing still when it commits.
fn commit_in_vain(runtime: &Runtime, redis: &RedisServer, browser: &Client, gate: &Gate) {
    let tab = browser.fork();
    let request = runtime.spawn(async move { tab.get("/slow").await.status().as_u16() });
    runtime.block_on(gate.arrived());
    redis.stall();
    gate.release();
    let status = runtime.block_on(request).expect("an answer");
    assert!(!succeeded(status), "the server cannot have answered");
    redis.resume();
}

fn start() -> (Runtime, RedisServer, Client, Gate) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (runtime, redis, gate) = (runtime.expect("a runtime"), RedisServer::start(), Gate::new());
    let store = runtime.block_on(open(RedisStore::builder(redis.url())));
    (runtime, redis, browser(store, &gate), gate)
}

#[test]
fn an_addition_of_unknown_outcome_is_counted_at_most_once() {
    let (runtime, redis, browser, gate) = start();
    assert!(runtime.block_on(add(&browser)));
    let mut counted = 1;
    let mut late = 0;
    for round in 0..ROUNDS {
        commit_in_vain(&runtime, &redis, &browser, &gate);
        runtime.block_on(async {
            count(&browser).await;
            // What was sent before is done before: more requests than a record remembers commits.
            for _ in 0..10 {
                assert!(add(&browser).await, "the session goes on");
            }
            let now = count(&browser).await;
            let more = now - counted - 10;
            assert!(more <= 1, "counted {more} times in round {round}");
            (counted, late) = (now, late + more);
            assert_eq!(count(&browser).await, now);
        });
    }
    println!("{late} of {ROUNDS} additions of unknown outcome were counted");
    assert!(late > 0, "this test has not tried what it should: nothing reached the server");
}

#[test]
fn a_new_session_of_unknown_outcome_gives_no_cookie() {
    let (runtime, redis, browser, gate) = start();
    for _ in 0..3 {
        let visitor = browser.stranger();
        commit_in_vain(&runtime, &redis, &visitor, &gate);
        assert!(visitor.cookies().is_empty());
        runtime.block_on(async {
            assert_eq!(count(&visitor).await, 0);
            assert!(add(&visitor).await);
            assert_eq!(count(&visitor).await, 1);
        });
    }
}
