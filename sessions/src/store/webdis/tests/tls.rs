//! TLS.

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn https_is_spoken_to_whom_the_roots_vouch_for() {
    let live = Live::new(OPEN);
    live.channels().await;
    let (certificate, key) = certificate(&live.folder.0, "right");
    let (other, _) = self::certificate(&live.folder.0, "wrong");
    let address = serve(&certificate, &key, live.webdis.address()).await;
    let builder = WebdisStoreBuilder::new(format!("https://{address}")).with_timeout(SOON);

    let trusting = builder.clone().with_root_certificates(&certificate).unwrap().channels().unwrap();
    let long = vec![7; 100_000];
    assert_eq!(echo(&trusting, &long).await.unwrap(), long);
    for doubting in [builder.clone(), builder.clone().with_root_certificates(&other).unwrap()] {
        // A machine without roots of its own refuses to begin.
        if let Ok(channels) = doubting.channels() {
            assert!(not_sent(echo(&channels, b"v").await).starts_with("cannot connect"));
        }
    }
    for bad in [&b""[..], b"nonsense", &key] {
        let error = builder.clone().with_root_certificates(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
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

/// What stands before Webdis.
async fn serve(certificate: &[u8], key: &[u8], webdis: SocketAddr) -> SocketAddr {
    let certificates = CertificateDer::pem_slice_iter(certificate).map(Result::unwrap).collect();
    let config = ServerConfig::builder_with_provider(crate::store::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
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
