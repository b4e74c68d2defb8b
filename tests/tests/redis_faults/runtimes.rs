//! A store in two runtimes, the first of which ends.

use sessions::{
    store::{RedisStore, RedisStoreBuilder},
    testing::Gate,
};
use tests::servers::{RedisCluster, RedisServer, Sentinel};
use tokio::runtime::Runtime;

use crate::{
    counter::{add, browser, count},
    open,
};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// All connections are opened in the first runtime, which has ended when the second one needs them.
fn outlives_its_first_runtime(store: RedisStoreBuilder) {
    let (first, second) = (runtime(), runtime());
    let browser = first.block_on(async {
        let browser = browser(open(store).await, &Gate::new());
        for _ in 0..10 {
            assert!(add(&browser).await);
        }
        browser
    });
    drop(first);
    second.block_on(async {
        for _ in 0..10 {
            assert!(add(&browser).await, "the second runtime has connections of its own");
        }
        assert_eq!(count(&browser).await, 20);
    });
}

#[test]
fn a_server_is_used_after_the_runtime_that_connected() {
    outlives_its_first_runtime(RedisStore::builder(RedisServer::shared().url()));
}

#[test]
fn a_cluster_is_used_after_the_runtime_that_connected() {
    outlives_its_first_runtime(RedisStoreBuilder::cluster(RedisCluster::shared().urls()));
}

#[test]
fn sentinels_are_asked_after_the_runtime_that_connected() {
    let sentinel = Sentinel::start();
    outlives_its_first_runtime(RedisStoreBuilder::sentinel(
        sentinel.sentinel_urls(),
        sentinel.service_name(),
    ));
}

/// A runtime that ends may end requests of the other one. These are not repeated.
#[test]
fn a_runtime_that_ends_under_load_costs_no_count() {
    const ADDITIONS: u64 = 300;
    for _ in 0..10 {
        let (first, second) = (runtime(), runtime());
        let store = open(RedisStore::builder(RedisServer::shared().url()));
        let browser = first.block_on(async {
            let browser = browser(store.await, &Gate::new());
            // Both connections.
            for _ in 0..10 {
                assert!(add(&browser).await);
            }
            browser
        });
        let (tab, (half, is_half)) = (browser.fork(), tokio::sync::oneshot::channel());
        let work = second.spawn(async move {
            let (mut half, mut added) = (Some(half), 0);
            for number in 0..ADDITIONS {
                added += u64::from(add(&tab).await);
                if number == ADDITIONS / 2 {
                    half.take().map(|half| half.send(()));
                }
            }
            added
        });
        second.block_on(is_half).expect("it goes on");
        first.shutdown_background();
        let added = second.block_on(work).expect("no panic") + 10;
        let counted = second.block_on(count(&browser));
        assert!((added..=ADDITIONS + 10).contains(&counted), "{added} acknowledged, {counted} counted");
        assert!(second.block_on(add(&browser)), "it goes on");
    }
}
