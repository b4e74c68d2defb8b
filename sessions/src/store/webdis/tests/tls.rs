//! TLS between the store and a server in front of Webdis.

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    },
};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_is_spoken_to_whom_the_roots_vouch_for() {
    let live = LiveWebdis::new(OPEN);
    live.client().await;
    let (certificate, key) = certificate(&live.folder.0, "right");
    let (other, _) = self::certificate(&live.folder.0, "wrong");
    let address = serve(&certificate, &key, None, live.webdis.address()).await;
    let builder = WebdisStoreBuilder::new(format!("https://{address}")).with_timeout(SOON);

    let trusting = builder.clone().with_root_certificates(&certificate).unwrap().client().unwrap();
    let long = vec![7; 100_000];
    assert_eq!(echo(&trusting, &long).await.unwrap(), long);
    for not_trusting in [builder.clone(), builder.clone().with_root_certificates(&other).unwrap()] {
        // A machine without root certificates refuses to open it.
        if let Ok(client) = not_trusting.client() {
            assert!(not_sent(echo(&client, b"v").await).starts_with("cannot connect"));
        }
    }
    for bad in [&b""[..], b"nonsense", &key] {
        let error = builder.clone().with_root_certificates(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

/// The reason is in the text of the error, and the kind says that something must be changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_good_is_said_to_be_the_reason() {
    let live = LiveWebdis::new(OPEN);
    live.client().await;
    let (certificate, key) = certificate(&live.folder.0, "right");
    let (other, other_key) = self::certificate(&live.folder.0, "wrong");
    let (client, client_key) = self::certificate(&live.folder.0, "client");
    let open = serve(&certificate, &key, None, live.webdis.address()).await;
    let asking = serve(&certificate, &key, Some(&client), live.webdis.address()).await;
    let builder = |address: SocketAddr, root: &[u8]| {
        let builder = WebdisStoreBuilder::new(format!("https://{address}")).with_timeout(SOON);
        // Longer than the test may take, so that no failure may be tried again.
        builder.with_start_timeout(Duration::from_hours(1)).with_root_certificates(root).unwrap()
    };
    for (builder, reason) in [
        (builder(open, &other), "invalid peer certificate"),
        (builder(open, &certificate).with_tls_name("webdis.test"), "not valid for name"),
        (builder(asking, &certificate), "CertificateRequired"),
        (builder(asking, &certificate).with_client_certificate(&*other, &*other_key), "received fatal alert"),
    ] {
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.to_string().contains(reason) && error.to_string().contains("TLS"), "{error:?}");
    }
    for builder in [
        builder(open, &certificate).with_tls_name("127.0.0.1"),
        builder(asking, &certificate).with_client_certificate(&*client, &*client_key),
    ] {
        builder.connect().await.unwrap();
    }
    let error = builder(open, &certificate).with_client_certificate(&*client, &*other_key).connect().await;
    assert!(error.unwrap_err().to_string().contains("client certificate"));
    // Over plain text no certificate is shown or checked.
    let builder = WebdisStoreBuilder::new("http://webdis");
    for builder in [
        builder.clone().with_root_certificates(&certificate).unwrap(),
        builder.clone().with_client_certificate(&*client, &*client_key),
        builder.with_tls_name("webdis.test"),
    ] {
        let error = builder.connect().await.unwrap_err();
        assert!(error.to_string().contains("plain text"), "{error}");
    }
}

fn certificate(folder: &Path, name: &str) -> (Vec<u8>, Vec<u8>) {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=webdis"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    (std::fs::read(certificate).unwrap(), std::fs::read(key).unwrap())
}

/// Starts a TLS server in front of Webdis. It lets in only clients with a certificate of `clients`.
async fn serve(certificate: &[u8], key: &[u8], clients: Option<&[u8]>, webdis: SocketAddr) -> SocketAddr {
    let certificates = CertificateDer::pem_slice_iter(certificate).map(Result::unwrap).collect();
    let config = ServerConfig::builder_with_provider(crate::store::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(match clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(clients) => {
                let roots = Arc::new(crate::store::tls::roots(clients).unwrap());
                WebPkiClientVerifier::builder_with_provider(roots, crate::store::tls::provider())
                    .build()
                    .unwrap()
            }
        })
        .with_single_cert(certificates, PrivateKeyDer::from_pem_slice(key).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(webdis).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    address
}
