//! Two instances of an application over one Redis.

use sessions::store::RedisStore;
use tests::{Keys, instances::Instances, servers::RedisServer};

async fn two() -> Instances {
    let keys = Keys::new();
    let open = async || {
        let builder = RedisStore::builder(RedisServer::shared().url()).with_prefix(keys.prefix());
        builder.expect("a prefix").connect().await.expect("a server that answers")
    };
    Instances::new(open().await, open().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_at_once_is_kept() {
    two().await.keep_what_is_put_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_at_once_is_counted() {
    two().await.count_exactly().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_stays_logged_out() {
    two().await.stay_logged_out().await;
}
