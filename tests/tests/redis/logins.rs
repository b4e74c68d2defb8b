//! Logins that change while the program runs.

use std::{
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use sessions::{
    ErrorKind,
    store::{RedisLogin, RedisStore, RedisStoreBuilder, Store},
};
use tests::{
    records::record_id,
    servers::{RedisOptions, RedisServer, TlsSentinel, until},
};

use crate::common::{SECRET, USER, assert_no_secret, does_everything, tls_cluster, whole};

/// A source of the user's password, and the number of times that it was asked.
#[derive(Clone, Default)]
struct PasswordSource {
    password: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl PasswordSource {
    fn set(&self, password: Option<&str>) {
        *self.password.lock().unwrap_or_else(PoisonError::into_inner) = password.map(str::to_owned);
    }

    fn open(&self, builder: RedisStoreBuilder) -> RedisStoreBuilder {
        let passwords = self.clone();
        builder.with_login_provider(move || {
            let passwords = passwords.clone();
            async move {
                passwords.asked.fetch_add(1, Ordering::SeqCst);
                let password = passwords.password.lock().unwrap_or_else(PoisonError::into_inner).clone();
                password.map(|password| RedisLogin::new(USER, password)).ok_or_else(|| "sealed".into())
            }
        })
    }
}

fn options() -> RedisOptions {
    RedisServer::options().with_tls().add_user(USER, SECRET, "~* +@all")
}

/// On a server, a cluster and behind a Sentinel, all with TLS.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_changes_is_asked_for_anew() {
    let server = options().start();
    let cluster = tls_cluster(options());
    let sentinel = TlsSentinel::start(&server, true, "server");
    for (kind, server, builder) in [
        ("server", &server, RedisStore::builder(server.tls_url())),
        ("cluster", &cluster, RedisStoreBuilder::cluster([cluster.tls_url()])),
        ("sentinel", &server, RedisStoreBuilder::sentinel([sentinel.url()], sentinel.service_name())),
    ] {
        let passwords = PasswordSource::default();
        let authority = fs::read(server.ca_file()).expect("the certificate");
        let builder = passwords.open(builder.with_root_certificates(authority).expect("a certificate"));
        assert_no_secret(&format!("{builder:?}"));
        passwords.set(Some(SECRET));
        server.cli(&["ACL", "SETUSER", USER, "resetpass", &format!(">{SECRET}")]);
        let store = builder.connect().await.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        assert_no_secret(&format!("{store:?}"));
        assert_eq!(does_everything(&store).await, Ok(()), "{kind}");

        let asked = passwords.asked.load(Ordering::SeqCst);
        server.cli(&["ACL", "SETUSER", USER, "resetpass", ">another"]);
        passwords.set(Some("another"));
        server.cut_connections();
        // The store finds the connections cut, and opens others.
        assert!(store.load(record_id(), &[]).await.expect("let in").is_none(), "{kind}");
        assert_eq!(does_everything(&store).await, Ok(()), "{kind}");
        assert!(passwords.asked.load(Ordering::SeqCst) > asked, "{kind}");

        // A refused password fails the request, but not those after the next change.
        passwords.set(Some(SECRET));
        server.cut_connections();
        let error = store.load(record_id(), &[]).await.expect_err("another password");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{kind}: {error:?}");
        assert!(whole(&error).contains("WRONGPASS"), "{kind}: {error:?}");
        passwords.set(Some("another"));
        assert!(store.load(record_id(), &[]).await.expect("let in").is_none(), "{kind}");
    }
}

/// A provider that fails now may succeed later.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_cannot_be_told_is_waited_for() {
    let (server, passwords) = (options().start(), PasswordSource::default());
    let authority = fs::read(server.ca_file()).expect("the certificate");
    let builder = || {
        passwords.open(
            RedisStore::builder(server.tls_url())
                .with_root_certificates(authority.clone())
                .expect("a certificate"),
        )
    };
    let short = builder().with_timeout(std::time::Duration::from_millis(300));
    let error = short.connect().await.expect_err("it is sealed");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.to_string().contains("`with_login_provider`"), "{error}");
    assert!(whole(&error).contains("sealed"), "{error:?}");
    let (asked, opening) = (passwords.asked.load(Ordering::SeqCst), tokio::spawn(builder().connect()));
    until("the provider to be asked twice", String::new, || {
        passwords.asked.load(Ordering::SeqCst) > asked + 1
    });
    passwords.set(Some(SECRET));
    let store = opening.await.expect("no panic").expect("told in the end");
    assert_eq!(does_everything(&store).await, Ok(()));
}
