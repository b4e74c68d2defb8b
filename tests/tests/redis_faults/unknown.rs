//! Commits of unknown outcome, since the server stood still.

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

/// The server reads the commit after the visitor got an error.
#[test]
fn an_addition_that_is_late_is_not_counted() {
    let (runtime, redis, browser, gate) = start();
    assert!(runtime.block_on(add(&browser)));
    let mut late = 0;
    for round in 1..=ROUNDS {
        let before = redis.calls("evalsha");
        commit_in_vain(&runtime, &redis, &browser, &gate);
        runtime.block_on(async {
            // Earlier requests are carried out earlier.
            assert_eq!(count(&browser).await, round);
            assert!(add(&browser).await, "the session goes on");
            assert_eq!(count(&browser).await, round + 1);
        });
        // It is not even sent if the server's time must be read first, as after a new connection.
        late += redis.calls("evalsha") - before - 1;
    }
    println!("{late} of {ROUNDS} additions reached the server when it was too late");
    assert!(late > ROUNDS / 2, "{late}: this test has not tried what it should");
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
