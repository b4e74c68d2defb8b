//! Helpers for the tests of both stores.

use std::{
    error::Error as _,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    thread,
};

use sessions::{
    Error, ErrorKind,
    store::{Commit, CommitOutcome, CreateOutcome, CredentialsChange, Delta, Store},
};
use tests::{
    Keys,
    records::{TIMEOUTS, add, new_record, put, random_credentials, record_id},
    servers::{RedisOptions, RedisServer, until},
};

pub(crate) const USER: &str = "userinfo-of-the-url";
pub(crate) const SECRET: &str = "s3cret-of-the-url";
/// User and password as in the header `Authorization`.
const BASIC: &str = "dXNlcmluZm8tb2YtdGhlLXVybDpzM2NyZXQtb2YtdGhlLXVybA==";

/// Returns all texts of an error, down to its last source. Panics if one contains a secret.
pub(crate) fn whole(error: &Error) -> String {
    let (mut text, mut next) = (format!("{error} {error:?}"), error.source());
    while let Some(source) = next {
        text = format!("{text} {source} {source:?} {source:#?}");
        next = source.source();
    }
    assert_no_secret(&text);
    text
}

pub(crate) fn assert_no_secret(text: &str) {
    // Newer servers name the user in a refusal.
    let text = text.replace(&format!("User {USER} has no permissions"), "");
    assert!([SECRET, USER, BASIC].iter().all(|secret| !text.contains(secret)), "{text}");
}

/// Runs every operation of a store, on the server's own clock.
pub(crate) async fn does_everything(store: &impl Store) -> Result<(), String> {
    let id = record_id();
    match store.create(id, new_record()).await {
        Ok(CreateOutcome::Created(_)) => {}
        other => return Err(format!("{other:?}")),
    }
    let mut keep = Delta::new();
    keep.retain(vec!["a".into()]);
    let commits = [
        put("a", "1").with_touch(true),
        add("n", 1).with_touch(true).returning(vec!["n".into()]),
        Commit::new(0, TIMEOUTS).with_delta(keep),
        Commit::new(0, TIMEOUTS).with_credentials_change(CredentialsChange::rotation(random_credentials())),
    ];
    for commit in commits {
        match store.commit(id, commit).await {
            Ok(CommitOutcome::Applied(_)) => {}
            other => return Err(format!("{other:?}")),
        }
    }
    let entries = store.load(id, &["cart[".into(), "a".into()]).await.map_err(|error| error.to_string())?;
    assert!(entries.is_some_and(|loaded| loaded.fields.len() == 1));
    let loaded = store.load(id, &["a".into(), "n".into()]).await.map_err(|error| error.to_string())?;
    assert!(loaded.is_some_and(|loaded| loaded.fields.len() == 1));
    store.destroy(id).await.map_err(|error| error.to_string())
}

/// Checks that keys of another program under the store's prefix cause an error that says so, and stay as they are.
pub(crate) async fn foreign_keys_are_left_alone(store: &impl Store, keys: &Keys, server: &RedisServer) {
    let mut unclear = Vec::new();
    let foreign: [(&str, &[&str]); 4] =
        [("SET", &[SECRET]), ("RPUSH", &[SECRET]), ("SADD", &[SECRET]), ("HSET", &["@", SECRET])];
    for (command, value) in foreign {
        let id = record_id();
        let key = format!("{}{id}", keys.prefix());
        server.cli(&[&[command, &key], value].concat());
        let before = server.cli(&["DUMP", &key]);
        let mut errors = vec![("load", store.load(id, &["a".into()]).await.expect_err("not ours"))];
        for (name, commit) in [("put", put("a", "1").with_touch(true)), ("add", add("n", 1))] {
            match store.commit(id, commit).await {
                // Only hashes get that far, and only if no load came before.
                Ok(CommitOutcome::NotFound | CommitOutcome::StaleEpoch) if command == "HSET" => {}
                Err(error) => errors.push((name, error)),
                other => panic!("{command}, {name}: {other:?}"),
            }
        }
        match store.create(id, new_record()).await {
            Ok(CreateOutcome::IdTaken) => {}
            Ok(created) => panic!("{command}: {created:?}"),
            Err(error) => errors.push(("create", error)),
        }
        assert_eq!(server.cli(&["DUMP", &key]), before, "{command}");
        for (name, error) in errors {
            assert_eq!(error.kind(), ErrorKind::Unreadable, "{command}, {name}: {error:?}");
            if !whole(&error).contains("holds no session of this library") {
                unclear.push(format!("{command}, {name}: {error:?}"));
            }
        }
    }
    assert!(unclear.is_empty(), "{unclear:#?}");
}

/// A cluster of one node with TLS, which announces its IP address.
pub(crate) fn tls_cluster(options: RedisOptions) -> RedisServer {
    // The node announces its port for TLS only with `tls-cluster`.
    let node = options
        .with_cluster()
        .add_line("tls-cluster yes\ncluster-announce-ip 127.0.0.1\ncluster-require-full-coverage no")
        .start();
    node.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let is_served = || node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
    until("the cluster to serve", || node.log(), is_served);
    node
}

/// Starts a server that answers everything with this text and closes the connection. Returns its port on 127.0.0.1.
pub(crate) fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            // The client may have left.
            let _ = client.read(&mut [0; 16 * 1024]).and_then(|_| client.write_all(answer.as_bytes()));
        }
    });
    port
}
