//! A pool whose other borrowers leave its connections in any state.

use bb8_redis::{RedisConnectionManager, bb8::Pool};
use redis::{Value, cmd};
use sessions::store::RedisStore;
use tests::{
    load::{LoadAccount, LoadRun},
    servers::RedisServer,
};

#[test]
fn a_transaction_of_another_borrower_swallows_nothing() {
    let redis = RedisServer::start();
    // The borrowed connections work while their runtime runs.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let manager = RedisConnectionManager::new(redis.url()).expect("a URL");
    let pool = runtime.block_on(Pool::builder().max_size(2).build(manager)).expect("a pool");
    // All connections of the pool, each in a transaction.
    let mut borrowed = Vec::new();
    for number in 0..2 {
        let mut connection = runtime.block_on(pool.get_owned()).expect("a connection");
        for command in [cmd("MULTI"), cmd("SET").arg(format!("theirs{number}")).arg("x").clone()] {
            runtime.block_on(command.query_async::<Value>(&mut *connection)).expect("an answer");
        }
        borrowed.push(connection);
    }
    let store = RedisStore::from_pool(pool.clone());
    let load = LoadRun::start(8, async { store.await.expect("a server that answers") });
    load.goes_on();
    for mut connection in borrowed {
        let executed: Vec<String> =
            runtime.block_on(cmd("EXEC").query_async(&mut *connection)).expect("its own answers");
        assert_eq!(executed, ["OK"], "only what the borrower sent");
    }
    load.goes_on();
    let accounts = load.finish("a pool in use");
    let failed = |account: &LoadAccount| account.failures() + account.guests_refused;
    assert_eq!(accounts.iter().map(failed).sum::<u64>(), 0);
}
