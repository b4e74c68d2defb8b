//! The errors of a store behind Webdis: each says what to do, and contains no secret. The store goes on by itself
//! when the servers are back.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use sessions::{
    Error, ErrorKind,
    store::{CommitOutcome, Store, WebdisStore, WebdisStoreBuilder},
};
use tests::{
    Keys,
    records::{add, new_record, put, record_id},
    servers::{RedisServer, WebdisServer},
};

use crate::common::{SECRET, USER, answering, assert_no_secret, foreign_keys_are_left_alone, whole};

/// Returns the error of a store that cannot open.
async fn refused(builder: WebdisStoreBuilder) -> Error {
    assert_no_secret(&format!("{builder:?}"));
    let Err(error) = builder.connect().await else { panic!("it cannot work, but opens") };
    whole(&error);
    error
}

/// Returns the texts of an error and of its sources.
#[track_caller]
fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let text = whole(error);
    assert!(
        error.kind() == kind && words.iter().all(|word| text.contains(word)),
        "{kind:?} {words:?}: {error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_says_so() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::options().with_scripts_only(&format!("{USER}:{SECRET}")).start(&redis);
    let bare = || WebdisStore::builder(webdis.url());
    let with_login =
        |login: &str| WebdisStore::builder(format!("http://{login}@127.0.0.1:{}", webdis.port()));
    for builder in [
        // No password, a wrong one, one that begins like it, a user who is not there.
        bare(),
        bare().with_basic_auth(USER, "wrong"),
        bare().with_basic_auth(USER, ""),
        bare().with_basic_auth(USER, &SECRET[..SECRET.len() - 1]),
        bare().with_basic_auth(USER, format!("{SECRET}x")),
        bare().with_basic_auth("nobody", SECRET),
        with_login(&format!("{USER}:wrong")),
        with_login(&format!("nobody:{SECRET}")),
    ] {
        says(&refused(builder).await, ErrorKind::Config, &["check its user and password", "ACL"]);
    }
    for builder in [bare().with_basic_auth(USER, SECRET), with_login(&format!("{USER}:{SECRET}"))] {
        let store = builder.connect().await.expect("let in");
        assert_no_secret(&format!("{store:?}"));
    }
}

/// Webdis has a wrong password of Redis, or none.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_of_webdis_says_so() {
    let redis = RedisServer::options().with_password(SECRET).start();
    let wrong = WebdisServer::options().with_redis_password("wrong").start(&redis);
    let none = WebdisServer::start(&redis);
    for webdis in [wrong, none] {
        let error = refused(WebdisStore::builder(webdis.url())).await;
        says(&error, ErrorKind::Config, &["redis_auth"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_listens_says_so() {
    // No other server gets its port.
    let redis = RedisServer::start();
    redis.kill();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{USER}:{SECRET}@{host}:{}", redis.port());
        let address = format!("{host}:{}", redis.port());
        let error = refused(WebdisStore::builder(url)).await;
        says(&error, ErrorKind::Unavailable, &["check host, port", "cannot connect to Webdis at", &address]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_kind_says_so() {
    let mut unclear = Vec::new();
    for answer in [
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
        "-ERR unknown command 'POST'\r\n",
        "SSH-2.0-x\r\n",
        "",
    ] {
        let url = format!("http://{USER}:{SECRET}@127.0.0.1:{}", answering(answer));
        let builder = WebdisStore::builder(url).with_timeout(Duration::from_secs(2));
        let error = refused(builder).await;
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Config), "{error:?}");
        if !whole(&error).contains("Webdis") {
            unclear.push(format!("{answer:?}: {error:?}"));
        }
        println!("{answer:?}: {error:?}");
    }
    // Redis itself, and a server that never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    for port in [RedisServer::shared().port(), silent.local_addr().expect("it is bound").port()] {
        let url = format!("http://{USER}:{SECRET}@127.0.0.1:{port}");
        let error = refused(WebdisStore::builder(url).with_timeout(Duration::from_secs(1))).await;
        println!("port {port}: {error:?}");
        says(&error, ErrorKind::Unavailable, &["Webdis"]);
    }
    assert!(unclear.is_empty(), "{unclear:#?}");
}

/// Keys of another program under the store's prefix cause an error that says so, and stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_ours_say_so() {
    let (keys, redis) = (Keys::new(), RedisServer::shared());
    let builder = WebdisStore::builder(WebdisServer::shared().url()).with_prefix(keys.prefix());
    let store = builder.expect("a prefix").connect().await.expect("a server that answers");
    foreign_keys_are_left_alone(&store, &keys, redis).await;
}

/// While Redis is down, Webdis answers with 503 and the store is unavailable. Both work again when Redis is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_is_unavailable_until_it_is_back() {
    let redis = RedisServer::options().with_durability().start();
    let webdis = WebdisServer::start(&redis);
    let store = WebdisStore::connect(webdis.url()).await.expect("a server that answers");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    let mut counted = Counted::default();
    for _ in 0..3 {
        redis.kill();
        for _ in 0..2 {
            fails(&store, id, &mut counted).await;
        }
        says(&refused(WebdisStore::builder(webdis.url())).await, ErrorKind::Unavailable, &["Webdis"]);
        redis.restart();
        goes_on(&store, id, &mut counted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webdis_that_dies_is_unavailable_until_it_is_back() {
    let redis = RedisServer::start();
    let webdis = WebdisServer::start(&redis);
    let store = WebdisStore::connect(webdis.url()).await.expect("a server that answers");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    let mut counted = Counted::default();
    for _ in 0..3 {
        webdis.kill();
        for _ in 0..2 {
            fails(&store, id, &mut counted).await;
        }
        webdis.restart();
        goes_on(&store, id, &mut counted).await;
    }
}

/// The additions to the field `n`, by outcome.
#[derive(Debug, Default)]
struct Counted {
    surely: u64,
    perhaps: u64,
}

async fn fails(store: &WebdisStore, id: sessions::RecordId, counted: &mut Counted) {
    let load = store.load(id, &[]).await.expect_err("it is down");
    assert_eq!(load.kind(), ErrorKind::Unavailable, "{load:?}");
    let create = store.create(record_id(), new_record()).await.expect_err("it is down");
    let destroy = store.destroy(record_id()).await.expect_err("it is down");
    let mut errors = vec![load, create, destroy];
    for commit in [put("a", "1"), add("n", 1)] {
        match store.commit(id, commit).await {
            Err(error) => errors.push(error),
            other => panic!("{other:?}"),
        }
    }
    counted.perhaps += 1;
    for error in errors {
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::OutcomeUnknown), "{error:?}");
        says(&error, error.kind(), &["Webdis"]);
    }
}

/// Webdis needs a moment to find its Redis again. Then the store works without any action.
async fn goes_on(store: &WebdisStore, id: sessions::RecordId, counted: &mut Counted) {
    let mut tries = 0;
    loop {
        match store.commit(id, add("n", 1)).await {
            Ok(CommitOutcome::Applied(_)) => break,
            Err(error) => assert!(tries < 500, "{error:?}"),
            other => panic!("{other:?}"),
        }
        counted.perhaps += 1;
        tries += 1;
        // A pause, so that Webdis tries at least once before the attempts are over.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    counted.surely += 1;
    println!("on the way again after {tries} tries");
    let loaded = store.load(id, &["n".into()]).await.expect("an answer").expect("the record");
    let json = loaded.fields.get("n").expect("it was added to");
    let count: u64 = std::str::from_utf8(json).expect("digits").parse().expect("a number");
    assert!((counted.surely..=counted.surely + counted.perhaps).contains(&count), "{count} {counted:?}");
}
