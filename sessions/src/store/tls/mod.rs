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

/// How TLS is to be spoken, as it was asked for; nothing of it is checked yet.
#[derive(Clone, Default)]
pub(super) struct Options {
    /// In PEM, whose certificates are trusted; by default those that the system trusts.
    pub(super) roots: Option<Vec<u8>>,
    /// In PEM, our own certificate with those that vouch for it, and its key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// For what name the servers' certificates must be, in place of that in the address.
    pub(super) name: Option<String>,
}

/// How TLS is spoken.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Options {
    /// What was asked for that has a meaning with TLS only, as it is called in public.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let Self { roots, identity, name } = self;
        let root = roots.is_some().then_some("a root certificate");
        let identity = identity.is_some().then_some("a client certificate");
        root.or(identity).or_else(|| name.is_some().then_some("a TLS name"))
    }

    pub(super) fn prepare(&self, protocols: &[&str]) -> Result<Tls, Error> {
        let roots = self.roots.as_deref().map_or_else(roots_of_system, roots)?;
        // Named, and not the process's default: see `crypto`.
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificates = certificates(certificate, "client certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
                    Error::config(
                        "the key of the client certificate is not PEM: give the text with \
                         `-----BEGIN PRIVATE KEY-----`, without a passphrase",
                    )
                })?;
                config.with_client_auth_cert(certificates, key).map_err(|error| {
                    Error::config("the client certificate and its key do not fit together").with_source(error)
                })?
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = self.name.as_deref().map(name).transpose()?;
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

impl fmt::Debug for Options {
    /// No key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("has_roots", &self.roots.is_some())
            .field("has_identity", &self.identity.is_some())
            .field("name", &self.name)
            .finish()
    }
}

impl Tls {
    /// The same for the server at this address, to which alone it is spoken.
    #[cfg(feature = "webdis-tls")]
    pub(super) fn only_to(self, host: &str) -> Result<Self, Error> {
        Ok(Self { name: Some(self.name_of(host)?), ..self })
    }

    /// Whether a certificate could be for this host, or another name was given.
    #[cfg(feature = "redis-tls")]
    pub(super) fn check(&self, host: &str) -> Result<(), Error> {
        self.name_of(host).map(drop)
    }

    /// Speaks TLS on a connection to this host, whose certificate must be for it unless another name was given.
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

/// Why TLS will not come about with this server, today and in a second alike: it is not who it should be, it does not
/// take us for who we should be, or it does not speak TLS.
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

/// The certificates in a PEM file.
pub(super) fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "root certificate")? {
        roots
            .add(certificate)
            .map_err(|error| Error::config("the root certificate cannot be read").with_source(error))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refused = || {
        Error::config(format!(
            "there is no certificate in the PEM that was given as the {what}: give the text with \
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
            "the operating system has no root certificates: install some, or give one to the builder of the store",
        ));
    }
    Ok(roots)
}

fn name(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| Error::config(format!("`{name}` is no name that a certificate could be for")))
}

/// For the tests: a server speaks TLS by the same cryptography.
#[cfg(all(test, feature = "webdis-tls"))]
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(crypto::provider())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feature of rustls is on for the whole program. With one of its providers on, one that has another on
    /// would panic at its own TLS; so would ours, if it asked for the default.
    #[test]
    fn no_provider_of_rustls_is_switched_on_or_installed() {
        // The roots of the system do not matter here.
        let options = Options { roots: Some(include_bytes!("test-root.pem").to_vec()), ..Options::default() };
        options.prepare(&[]).unwrap();
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
        let by_default = std::panic::catch_unwind(ClientConfig::builder);
        assert!(by_default.is_err(), "rustls has a provider of its own now: who has switched it on?");
    }
}
