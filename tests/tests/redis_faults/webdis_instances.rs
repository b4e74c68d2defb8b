//! Two instances of an application over one Redis, of which one goes through Webdis.

use sessions::store::{RedisStore, WebdisStore};
use tests::{
    Keys,
    instances::Instances,
    servers::{RedisServer, WebdisServer},
};

/// Opens a store of each kind over the same keys.
async fn stores() -> (RedisStore, WebdisStore) {
    let keys = Keys::new();
    let redis = RedisStore::builder(RedisServer::shared().url()).with_prefix(keys.prefix());
    let webdis = WebdisStore::builder(WebdisServer::shared().url()).with_prefix(keys.prefix());
    let redis = redis.expect("a prefix").connect().await.expect("a server that answers");
    (redis, webdis.expect("a prefix").connect().await.expect("a server that answers"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_at_once_is_kept() {
    let (redis, webdis) = stores().await;
    Instances::new(redis, webdis).keep_what_is_put_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_at_once_is_counted() {
    let (redis, webdis) = stores().await;
    Instances::new(redis, webdis).count_exactly().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_through_webdis_stays_logged_out() {
    let (redis, webdis) = stores().await;
    Instances::new(redis, webdis).stay_logged_out().await;
}

/// The slow request goes through Webdis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_out_through_redis_stays_logged_out() {
    let (redis, webdis) = stores().await;
    Instances::new(webdis, redis).stay_logged_out().await;
}
