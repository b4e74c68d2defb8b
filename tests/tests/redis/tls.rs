//! `rediss://`: the trusted authorities, client certificates, and no plain text if a URL says TLS.

use std::{fs, time::Duration};

use sessions::{
    Error, ErrorKind,
    store::{RedisStore, RedisStoreBuilder, Store},
};
use tests::{
    records::record_id,
    servers::{RedisOptions, RedisServer, TlsSentinel},
};

use crate::common::{SECRET, assert_no_secret, does_everything, tls_cluster, whole};

/// A timeout that is longer than any test, so that no failure may be tried again.
const LONG: Duration = Duration::from_hours(1);

fn with_tls() -> RedisOptions {
    RedisServer::options().with_tls()
}

fn authority(server: &RedisServer) -> Vec<u8> {
    fs::read(server.ca_file()).expect("the certificate")
}

/// Servers of three kinds: one server, a cluster of one node, and a server behind a Sentinel.
struct Kinds {
    server: RedisServer,
    cluster: RedisServer,
    sentinel: TlsSentinel,
}

impl Kinds {
    /// Starts servers with this certificate, `server` or `named`, and these lines of configuration.
    fn start(certificate: &str, lines: &str) -> Self {
        let options = || {
            with_tls()
                .add_line(&format!("tls-cert-file {certificate}.pem\ntls-key-file {certificate}.key"))
                .add_line(lines)
        };
        let server = options().start();
        let cluster = tls_cluster(options());
        let sentinel = TlsSentinel::start(&server, true, certificate);
        Self { server, cluster, sentinel }
    }

    /// Returns a builder for each kind, which trusts the authority of this server, or of its own.
    fn builders(&self, trusted: Option<&RedisServer>) -> [(&'static str, RedisStoreBuilder); 3] {
        let trust = |builder: RedisStoreBuilder, server: &RedisServer| {
            builder
                .with_root_certificates(authority(trusted.unwrap_or(server)))
                .expect("a certificate")
                .with_timeout(LONG)
        };
        let cluster = RedisStoreBuilder::cluster([format!("rediss://localhost:{}", self.cluster.tls_port())]);
        let sentinel = RedisStoreBuilder::sentinel([self.sentinel.url()], self.sentinel.service_name());
        [
            ("server", trust(RedisStore::builder(self.server.tls_url()), &self.server)),
            ("cluster", trust(cluster, &self.cluster)),
            ("sentinel", trust(sentinel, &self.server)),
        ]
    }
}

/// Returns the error of a store that does not open. It comes at once, since the timeout is longer than the test.
async fn refused(kind: &str, builder: RedisStoreBuilder, reasons: &[&str]) -> Error {
    let Err(error) = builder.connect().await else { panic!("{kind}: it opens") };
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Config, "{kind}: {error:?}");
    assert!(reasons.iter().any(|reason| text.contains(reason)), "{kind}: {error:?}");
    assert!(text.contains("TLS"), "{kind}: {error}");
    whole(&error);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_server_is_used_and_another_is_not() {
    let (kinds, another) = (Kinds::start("server", ""), with_tls().start());
    for (kind, builder) in kinds.builders(None) {
        let store = builder.connect().await.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        assert_eq!(does_everything(&store).await, Ok(()), "{kind}");
    }
    for (kind, builder) in kinds.builders(Some(&another)) {
        // The other authority has the same name, and another key.
        refused(kind, builder, &["BadSignature", "UnknownIssuer"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_asked_for_and_shown() {
    let kinds = Kinds::start("server", "tls-auth-clients yes");
    for (kind, builder) in kinds.builders(None) {
        let server = if kind == "cluster" { &kinds.cluster } else { &kinds.server };
        server.cli(&["CONFIG", "SET", "tls-protocols", "TLSv1.2"]);
        refused(kind, builder.clone(), &["HandshakeFailure"]).await;
        server.cli(&["CONFIG", "SET", "tls-protocols", "TLSv1.3"]);
        refused(kind, builder.clone(), &["CertificateRequired"]).await;
        let (stranger, key) = with_tls().start().client_certificate("client", "genpkey -algorithm ed25519");
        let strange = builder.clone().with_client_certificate(stranger, key);
        refused(kind, strange, &["UnknownCA", "UnknownCa", "DecryptError", "BadCertificate"]).await;
        for (number, key) in [
            "ecparam -name prime256v1 -genkey -noout",
            "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256",
            "ecparam -name secp384r1 -genkey -noout",
            "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-384",
            "genpkey -algorithm ed25519",
            "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048",
            "genrsa -traditional",
        ]
        .into_iter()
        .enumerate()
        {
            let (certificate, key) = server.client_certificate(&format!("client-{kind}-{number}"), key);
            for protocol in ["TLSv1.2", "TLSv1.3"] {
                server.cli(&["CONFIG", "SET", "tls-protocols", protocol]);
                let builder = builder.clone().with_client_certificate(certificate.clone(), key.clone());
                let store =
                    builder.connect().await.unwrap_or_else(|error| panic!("{kind} {number}: {error:?}"));
                assert_eq!(does_everything(&store).await, Ok(()), "{kind} {number}");
            }
        }
    }
    // A certificate and a key that do not fit together, and texts that are neither.
    let (certificate, key) = kinds.server.client_certificate("one", "genpkey -algorithm ed25519");
    let (_, other) = kinds.server.client_certificate("other", "genpkey -algorithm ed25519");
    let [(_, builder), ..] = kinds.builders(None);
    for (certificate, key) in [
        (certificate.clone(), other),
        (certificate.clone(), certificate.clone()),
        (certificate, b"key.pem".to_vec()),
        (key.clone(), key),
    ] {
        let builder = builder.clone().with_client_certificate(certificate, key);
        let error = builder.connect().await.expect_err("no certificate and key");
        assert!(error.to_string().contains("client certificate"), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    }
}

/// Servers announce IP addresses that are not in their certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_verified_in_place_of_the_address() {
    let (kinds, mut stores) = (Kinds::start("named", ""), Vec::new());
    for (kind, builder) in kinds.builders(None) {
        refused(kind, builder.clone(), &["not valid for"]).await;
        refused(kind, builder.clone().with_tls_name("redis.example"), &["redis.example"]).await;
        let store = builder.with_tls_name("redis.test").connect().await;
        let store = store.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        assert_eq!(does_everything(&store).await, Ok(()), "{kind}");
        stores.push((kind, store));
    }
    // From now on their certificate is for the address. Requests fail at once, with the reason.
    for server in [&kinds.server, &kinds.cluster] {
        server.change_key("genpkey -algorithm ed25519");
        server.cut_connections();
    }
    for (kind, store) in stores {
        let error = store.load(record_id(), &[]).await.expect_err("another certificate");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{kind}: {error:?}");
        assert!(whole(&error).contains("not valid for"), "{kind}: {error:?}");
    }
}

/// The library composes the cryptography itself, so each piece of it is tested against another implementation.
#[tokio::test(flavor = "multi_thread")]
async fn every_suite_is_spoken() {
    let server = with_tls().start();
    let ecdsa = "genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-384";
    let rsa = "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048";
    for (key, option, suite) in [
        (ecdsa, "tls-ciphersuites", "TLS_AES_256_GCM_SHA384"),
        (ecdsa, "tls-ciphersuites", "TLS_AES_128_GCM_SHA256"),
        (rsa, "tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
        (ecdsa, "tls-ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (ecdsa, "tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (rsa, "tls-ciphers", "ECDHE-RSA-AES256-GCM-SHA384"),
        (rsa, "tls-ciphers", "ECDHE-RSA-AES128-GCM-SHA256"),
    ] {
        let version = if option == "tls-ciphers" { "TLSv1.2" } else { "TLSv1.3" };
        server.change_key(key);
        server.cli(&["CONFIG", "SET", "tls-protocols", version, option, suite]);
        let builder = RedisStore::builder(server.tls_url())
            .with_root_certificates(authority(&server))
            .expect("a certificate");
        let store = builder.connect().await.unwrap_or_else(|error| panic!("{suite}: {error:?}"));
        assert_eq!(does_everything(&store).await, Ok(()), "{suite}");
    }
    server.cli(&["CONFIG", "SET", "tls-ciphers", "ECDHE-RSA-AES128-SHA256", "tls-protocols", "TLSv1.2"]);
    let builder = RedisStore::builder(server.tls_url())
        .with_root_certificates(authority(&server))
        .expect("a certificate");
    refused("an old suite", builder.with_timeout(LONG), &["HandshakeFailure"]).await;
}

/// A Sentinel behind TLS that names a port for plain text: the password is not sent there.
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_behind_tls_leads_nobody_into_plain_text() {
    let server = with_tls().with_password(SECRET).start();
    let sentinel = TlsSentinel::start(&server, false, "server");
    let hellos = server.calls("hello");
    let builder = RedisStoreBuilder::sentinel([sentinel.url()], sentinel.service_name())
        .with_password(SECRET)
        .with_root_certificates(authority(&server))
        .expect("a certificate");
    assert_no_secret(&format!("{builder:?}"));
    let error = builder.with_timeout(Duration::from_secs(3)).connect().await.expect_err("no TLS there");
    whole(&error);
    assert_eq!(server.calls("hello"), hellos, "it was greeted in plain text");
    // No other command goes there either.
    assert_eq!(server.cli(&["ACL", "LOG"]), "");

    let sentinel = TlsSentinel::start(&server, true, "server");
    let builder = RedisStoreBuilder::sentinel([sentinel.url()], sentinel.service_name())
        .with_password(SECRET)
        .with_root_certificates(authority(&server))
        .expect("a certificate");
    let store = builder.connect().await.expect("TLS to both");
    assert_eq!(does_everything(&store).await, Ok(()));
}

/// A store with TLS sends nothing else to a server without it, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn tls_and_plain_text_do_not_meet() {
    let server = with_tls().with_password(SECRET).start();
    let hellos = server.calls("hello");
    let to_plain = RedisStore::builder(format!("rediss://:{SECRET}@127.0.0.1:{}", server.port()))
        .with_root_certificates(authority(&server))
        .expect("a certificate");
    let error = to_plain.with_timeout(Duration::from_secs(3)).connect().await.expect_err("no TLS there");
    whole(&error);
    assert_eq!(server.calls("hello"), hellos);
    let to_tls = RedisStore::builder(format!("redis://:{SECRET}@127.0.0.1:{}", server.tls_port()));
    let error = to_tls.with_timeout(Duration::from_secs(3)).connect().await.expect_err("TLS there");
    assert!(error.to_string().contains("TLS"), "{error:?}");
    whole(&error);
}
