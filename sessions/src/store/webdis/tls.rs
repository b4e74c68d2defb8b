//! TLS to whatever stands before Webdis, which speaks none itself.

use std::{error::Error as StdError, fmt, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use crate::error::Error;

/// How to make a connection private.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// The certificates that a server's must be signed with.
#[derive(Clone)]
pub(super) struct Roots(RootCertStore);

impl Roots {
    /// Those in a PEM file.
    pub(super) fn of_pem(pem: &[u8]) -> Result<Self, Error> {
        let refused = || {
            Error::config(
                "the root certificates are not PEM: give the text with `-----BEGIN CERTIFICATE-----`",
            )
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| refused().with_source(error))?;
            roots.add(certificate).map_err(|error| refused().with_source(error))?;
        }
        if roots.is_empty() {
            return Err(refused());
        }
        Ok(Self(roots))
    }

    /// Those of the operating system.
    fn of_system() -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Error::config(
                "the operating system has no root certificates: give some with `with_root_certificates`",
            ));
        }
        Ok(Self(roots))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

impl Tls {
    /// For a server of this name or address.
    pub(super) fn new(host: &str, roots: Option<Roots>) -> Result<Self, Error> {
        let Roots(roots) = match roots {
            Some(roots) => roots,
            None => Roots::of_system()?,
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            Error::config(format!("`{host}` is no name that a certificate could be for")).with_source(error)
        })?;
        // Named, and not the process's default: there is none until somebody installs it.
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn over(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Box<dyn StdError + Send + Sync>> {
        Ok(self.connector.connect(self.name.clone(), stream).await?)
    }
}
