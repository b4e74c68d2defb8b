//! `rediss://`: with the right authority, and with another.

use std::fs;

use sessions::{
    ErrorKind,
    store::{Created, RedisStore, Store},
};
use tests::{
    records::{new_record, record_id},
    servers::RedisServer,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_server_is_used_and_another_is_not() {
    let server = RedisServer::options().with_tls().start();
    let authority = fs::read(server.ca_file()).expect("the certificate");
    let trusting = RedisStore::builder(server.tls_url()).with_root_certificate(authority);
    let store = trusting.connect().await.expect("a server that is trusted");
    let (id, new) = (record_id(), new_record());
    assert!(matches!(store.create(id, new.clone()).await, Ok(Created::At(_))));
    let loaded = store.load(id, &[]).await.expect("an answer").expect("the record");
    assert_eq!(loaded.seal, new.seal);

    let another = RedisServer::options().with_tls().start();
    let authority = fs::read(another.ca_file()).expect("the certificate");
    let wrong = RedisStore::builder(server.tls_url()).with_root_certificate(authority);
    let error = wrong.connect().await.expect_err("a server that is not trusted");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("TLS"), "{error}");
}
