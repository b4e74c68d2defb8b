//! TLS to servers, with the cryptography of [`crypto`].

mod crypto;

use std::{fmt, io, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, AlertDescription, ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

use crate::error::Error;

/// The TLS options of a store's builder.
#[derive(Clone, Default)]
pub(super) struct TlsOptions {
    /// The authorities that are trusted. `None` means those that the system trusts.
    roots: Option<Arc<RootCertStore>>,
    /// The client certificate with its chain, and its key, both in PEM. They are checked when a store is opened.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that the servers' certificates must have, in place of the host in the address.
    pub(super) name: Option<String>,
}

/// The TLS settings for connections.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl TlsOptions {
    /// Trusts the certificates in this PEM text alone.
    pub(super) fn set_roots(&mut self, pem: &[u8]) -> Result<(), Error> {
        self.roots = Some(roots(pem)?.into());
        Ok(())
    }

    /// Returns the first option that is given, in words for a message. Each of them has a meaning with TLS only.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let Self { roots, identity, name } = self;
        let root = roots.is_some().then_some("a root certificate");
        let identity = identity.is_some().then_some("a client certificate");
        root.or(identity).or_else(|| name.is_some().then_some("a TLS name"))
    }

    /// Checks the options and returns the settings for connections that offer these protocols (ALPN).
    pub(super) fn prepare(&self, protocols: &[&str]) -> Result<Tls, Error> {
        let roots = self.roots.clone().map_or_else(|| roots_of_system().map(Arc::new), Ok)?;
        // A named provider, and not the process's default: see `crypto`.
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Error::config("TLS of the session store cannot be set up; see the source of this error")
                    .with_source(error)
            })?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificates = certificates(certificate, "client certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                    Error::config(
                        "the key of the session store's client certificate is not PEM: give the text with \
                         `-----BEGIN PRIVATE KEY-----`, without a passphrase",
                    )
                })?;
                config.with_client_auth_cert(certificates, key).map_err(|error| {
                    Error::config(
                        "the client certificate of the session store and its key do not fit together: give the key of \
                         this certificate",
                    )
                    .with_source(error)
                })?
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = self.name.as_deref().map(name).transpose()?;
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

impl fmt::Debug for TlsOptions {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("has_roots", &self.roots.is_some())
            .field("has_identity", &self.identity.is_some())
            .field("name", &self.name)
            .finish()
    }
}

impl Tls {
    /// Restricts the settings to the server with this host.
    #[cfg(feature = "webdis-tls")]
    pub(super) fn only_to(self, host: &str) -> Result<Self, Error> {
        Ok(Self { name: Some(self.name_of(host)?), ..self })
    }

    /// Checks that a certificate can be for this host, unless another name was given.
    #[cfg(feature = "redis-tls")]
    pub(super) fn check(&self, host: &str) -> Result<(), Error> {
        self.name_of(host).map(drop)
    }

    /// Begins TLS on a connection to this host. The certificate must be for the host, unless another name was given.
    pub(super) async fn over<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = self.name_of(host).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }

    fn name_of(&self, host: &str) -> Result<ServerName<'static>, Error> {
        self.name.clone().map_or_else(|| name(host), Ok)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the reason of an error after which TLS with this server will fail again: one certificate or the other is not
/// accepted, or the server does not speak TLS. Returns `None` if the error may pass.
pub(super) fn refusal(error: &io::Error) -> Option<&rustls::Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::InvalidCertRevocationList(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::UnsupportedNameType
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::PeerMisbehaved(_)
        | rustls::Error::InvalidMessage(_)
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => Some(error),
        rustls::Error::AlertReceived(alert) => {
            let may_pass = matches!(
                alert,
                AlertDescription::InternalError
                    | AlertDescription::UserCanceled
                    | AlertDescription::CloseNotify
            );
            (!may_pass).then_some(error)
        }
        _ => None,
    }
}

/// Reads the certificates in a PEM text.
pub(super) fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "root certificate")? {
        roots.add(certificate).map_err(|error| {
            Error::config(
                "a root certificate of the session store cannot be read: give X.509 certificates in PEM",
            )
            .with_source(error)
        })?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refused = || {
        Error::config(format!(
            "there is no certificate in the PEM that the session store was given as the {what}: give the text with \
             `-----BEGIN CERTIFICATE-----`, and not the name of its file"
        ))
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| refused().with_source(error))?;
    if certificates.is_empty() { Err(refused()) } else { Ok(certificates) }
}

fn roots_of_system() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::config(
            "the operating system has no root certificates: install some, or give some to the session store by \
             `with_root_certificates`",
        ));
    }
    Ok(roots)
}

fn name(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        Error::config(format!(
            "`{name}` is no name that a certificate of the session store's server could be for: give a host name or \
             an IP address"
        ))
    })
}

/// Returns the provider for a server of the tests.
#[cfg(all(test, feature = "webdis-tls"))]
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(crypto::provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feature of rustls is on for the whole program. If the library switched on a provider, a program with another
    /// one would panic in its own TLS. If the library asked for the default, it would panic itself.
    #[test]
    fn no_provider_of_rustls_is_switched_on_or_installed() {
        let mut options = TlsOptions::default();
        // The roots of the system do not matter here.
        options.set_roots(include_bytes!("test-root.pem")).unwrap();
        options.prepare(&[]).unwrap();
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
        let by_default = std::panic::catch_unwind(ClientConfig::builder);
        assert!(by_default.is_err(), "a dependency has switched on a provider of rustls");
    }
}
