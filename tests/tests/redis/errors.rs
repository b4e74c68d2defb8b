//! The errors of a store: each says what to do, and contains no secret.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use sessions::{
    Error, ErrorKind,
    store::{CommitOutcome, CreateOutcome, RedisStore, RedisStoreBuilder, Store},
};
use tests::{
    Keys,
    records::{add, new_record, put, record_id},
    servers::{RedisCluster, RedisServer},
};

use crate::common::{SECRET, USER, answering, assert_no_secret, foreign_keys_are_left_alone, whole};

/// Returns the error of a store that cannot open.
async fn refused(builder: RedisStoreBuilder) -> Error {
    assert_no_secret(&format!("{builder:?}"));
    let Err(error) = builder.connect().await else { panic!("it cannot work, but opens") };
    whole(&error);
    error
}

/// Checks the kind and the text of an error. Many programs print no more than that text.
#[track_caller]
fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert!(
        error.kind() == kind && words.iter().all(|word| text.contains(word)),
        "{kind:?} {words:?}: {error:?}"
    );
}

#[tokio::test]
async fn a_wrong_login_says_so() {
    let server =
        RedisServer::options().with_password("right").add_user(USER, "right", "~* -@all +time").start();
    let bare = || RedisStore::builder(format!("redis://127.0.0.1:{}", server.port()));
    let login = ["user or password", "`with_user`"];
    for builder in [
        // No password, a wrong one, a wrong one of a user, a user who is not there.
        bare(),
        bare().with_password(SECRET),
        bare().with_user(USER, SECRET),
        bare().with_user("nobody", SECRET),
        RedisStore::builder(server.url_as("", SECRET)),
        RedisStore::builder(server.url_as(USER, SECRET)),
    ] {
        says(&refused(builder).await, ErrorKind::Config, &login);
    }
    says(&refused(bare().with_user(USER, "right")).await, ErrorKind::Config, &["permission"]);
    assert!(bare().with_password("right").connect().await.is_ok());
}

#[tokio::test]
async fn a_database_that_is_not_there_says_so() {
    let server = RedisServer::shared();
    let by_url = RedisStore::builder(format!("{}99", server.url()));
    let by_option = RedisStore::builder(server.url()).with_database(99);
    for builder in [by_url, by_option] {
        says(&refused(builder).await, ErrorKind::Config, &["database"]);
    }
}

#[tokio::test]
async fn a_wrong_login_to_a_cluster_says_so() {
    let cluster = RedisStoreBuilder::cluster(RedisCluster::shared().urls()).with_user("nobody", SECRET);
    says(&refused(cluster).await, ErrorKind::Config, &["user or password", "`with_user`"]);
}

/// A cluster has one database only.
#[tokio::test]
async fn another_database_of_a_cluster_says_so() {
    let cluster = RedisStoreBuilder::cluster(RedisCluster::shared().urls()).with_database(1);
    says(&refused(cluster).await, ErrorKind::Config, &["database"]);
}

#[tokio::test]
async fn an_address_that_makes_no_sense_says_so() {
    for address in
        ["", "HOST", "http://LOGIN@HOST", "redis://LOGIN@HOST:port/", "redis://LOGIN@HOST/name", "LOGIN@HOST"]
    {
        let url = address.replace("LOGIN", &format!("{USER}:{SECRET}")).replace("HOST", "localhost");
        let cluster = refused(RedisStoreBuilder::cluster([url.clone()])).await;
        let sentinel = refused(RedisStoreBuilder::sentinel([url.clone()], "service")).await;
        for error in [refused(RedisStore::builder(url)).await, cluster, sentinel] {
            says(&error, ErrorKind::Config, &["address", "`redis://"]);
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_says_so() {
    // No other server gets its port.
    let server = RedisServer::start();
    server.kill();
    for address in [format!("127.0.0.1:{}", server.port()), format!("localhost:{}", server.port())] {
        let url = format!("redis://{USER}:{SECRET}@{address}");
        for builder in [RedisStore::builder(&url), RedisStoreBuilder::cluster([&url])] {
            let builder =
                builder.with_connect_timeout(Duration::from_millis(500)).with_timeout(Duration::from_secs(1));
            says(&refused(builder).await, ErrorKind::Unavailable, &["reach Redis", "host, port"]);
        }
        let sentinel = RedisStoreBuilder::sentinel([&url], "service").with_timeout(Duration::from_secs(1));
        let error = refused(sentinel).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_kind_says_so() {
    let http = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let mut unclear = Vec::new();
    for answer in [http, "", "SSH-2.0-x\r\n"] {
        let url = format!("redis://{USER}:{SECRET}@127.0.0.1:{}", answering(answer));
        for builder in [RedisStore::builder(&url), RedisStoreBuilder::cluster([&url])] {
            let error = refused(builder.with_timeout(Duration::from_secs(2))).await;
            assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config), "{error:?}");
            if !error.to_string().contains("check host, port") {
                unclear.push(format!("{answer:?}: {error:?}"));
            }
        }
    }
    assert!(unclear.is_empty(), "{unclear:#?}");
}

/// A server that accepts and never answers keeps no request waiting beyond the timeouts.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_says_so() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("redis://{USER}:{SECRET}@{}", silent.local_addr().expect("it is bound"));
    for builder in [RedisStore::builder(&url), RedisStoreBuilder::cluster([&url])] {
        let builder =
            builder.with_connect_timeout(Duration::from_millis(200)).with_timeout(Duration::from_millis(500));
        says(&refused(builder).await, ErrorKind::Unavailable, &["reach Redis", "host, port"]);
    }
}

/// Keys of another program under the store's prefix cause an error that says so, and stay as they are.
#[tokio::test]
async fn keys_that_are_not_ours_say_so() {
    let (keys, server) = (Keys::new(), RedisServer::shared());
    let builder = RedisStore::builder(server.url()).with_prefix(keys.prefix()).expect("a prefix");
    let store = builder.connect().await.expect("a server that answers");
    foreign_keys_are_left_alone(&store, &keys, server).await;
}

/// A hash without the metadata is no session, and does not become one.
#[tokio::test]
async fn a_hash_without_our_metadata_is_no_session() {
    let (keys, server, id) = (Keys::new(), RedisServer::shared(), record_id());
    let builder = RedisStore::builder(server.url()).with_prefix(keys.prefix()).expect("a prefix");
    let store = builder.connect().await.expect("a server that answers");
    let key = format!("{}{id}", keys.prefix());
    server.cli(&["HSET", &key, "a", "1"]);
    assert!(store.load(id, &["a".into()]).await.expect("an answer").is_none());
    for commit in [put("a", "2").with_touch(true), add("n", 1)] {
        assert!(matches!(store.commit(id, commit).await, Ok(CommitOutcome::NotFound)));
    }
    assert_eq!(store.create(id, new_record()).await.expect("an answer"), CreateOutcome::IdTaken);
    assert_eq!(server.cli(&["HGETALL", &key]), "a\n1");
}

/// A server that dies makes the store unavailable until the server is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_unavailable_until_it_is_back() {
    let server = RedisServer::options().with_durability().start();
    let store = RedisStore::connect(server.url()).await.expect("a server that answers");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    for round in 1..=2 {
        server.kill();
        for _ in 0..2 {
            unavailable(&store.load(id, &[]).await.expect_err("it is down"));
            unavailable(&store.create(record_id(), new_record()).await.expect_err("it is down"));
            unavailable(&store.commit(id, put("a", "1")).await.expect_err("it is down"));
            unavailable(&store.commit(id, add("n", 1)).await.expect_err("it is down"));
            unavailable(&store.destroy(id).await.expect_err("it is down"));
        }
        server.restart();
        assert!(matches!(store.commit(id, add("n", 1)).await, Ok(CommitOutcome::Applied(_))));
        let loaded = store.load(id, &["n".into()]).await.expect("an answer").expect("the record");
        assert_eq!(loaded.fields.get("n").map(|json| &json[..]), Some(round.to_string().as_bytes()));
    }
}

/// A server that refuses a changed password gives the reason, as at the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_changed_is_unavailable() {
    let server = RedisServer::options().add_user(USER, SECRET, "~* +@all").start();
    let store = RedisStore::connect(server.url_as(USER, SECRET)).await.expect("let in");
    assert!(!format!("{store:?}").contains(SECRET));
    server.cli(&["ACL", "SETUSER", USER, "resetpass", ">other"]);
    server.cut_connections();
    let error = store.load(record_id(), &[]).await.expect_err("not let in");
    unavailable(&error);
    server.cli(&["ACL", "SETUSER", USER, &format!(">{SECRET}")]);
    assert!(store.load(record_id(), &[]).await.expect("let in").is_none());
}

#[track_caller]
fn unavailable(error: &Error) {
    whole(error);
    assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable(), "{error:?}");
}
