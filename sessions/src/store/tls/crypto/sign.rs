//! The private key of the client certificate, and its signatures.

use std::{fmt, sync::Arc};

use ring::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use tokio_rustls::rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id},
    sign::{Signer, SigningKey, public_key_to_spki},
};

/// Reads a key in any of its three formats.
pub(super) fn key(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, Error> {
    let pair = match der {
        PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()).ok()),
        PrivateKeyDer::Sec1(der) => ecdsa(|curve| pkcs8_of_sec1(curve, der.secret_sec1_der())),
        PrivateKeyDer::Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            rsa(RsaKeyPair::from_pkcs8(der).ok()).or_else(|| ecdsa(|_| Some(der.to_vec()))).or_else(|| {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
                Some((AlgorithmKey::Ed25519(pair), &[SignatureScheme::ED25519]))
            })
        }
        _ => None,
    };
    let (pair, schemes) = pair.ok_or_else(|| {
        Error::General("the private key is neither RSA, ECDSA on P-256 or P-384, nor Ed25519".into())
    })?;
    Ok(Arc::new(ClientKey { pair: Arc::new(pair), schemes }))
}

type Schemes = &'static [SignatureScheme];

enum AlgorithmKey {
    Rsa(RsaKeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

#[derive(Clone, Copy)]
enum Curve {
    P256,
    P384,
}

fn rsa(pair: Option<RsaKeyPair>) -> Option<(AlgorithmKey, Schemes)> {
    let schemes = &[
        SignatureScheme::RSA_PSS_SHA512,
        SignatureScheme::RSA_PSS_SHA384,
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA512,
        SignatureScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA256,
    ];
    Some((AlgorithmKey::Rsa(pair?), schemes))
}

fn ecdsa(pkcs8: impl Fn(Curve) -> Option<Vec<u8>>) -> Option<(AlgorithmKey, Schemes)> {
    [Curve::P256, Curve::P384].into_iter().find_map(|curve| {
        let (algorithm, schemes): (_, Schemes) = match curve {
            Curve::P256 => {
                (&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &[SignatureScheme::ECDSA_NISTP256_SHA256])
            }
            Curve::P384 => {
                (&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &[SignatureScheme::ECDSA_NISTP384_SHA384])
            }
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8(curve)?, &SystemRandom::new()).ok()?;
        Some((AlgorithmKey::Ecdsa(curve, pair), schemes))
    })
}

/// Converts `BEGIN EC PRIVATE KEY` (RFC 5915) to `BEGIN PRIVATE KEY` (RFC 5958), the only form that `ring` reads.
fn pkcs8_of_sec1(curve: Curve, sec1: &[u8]) -> Option<Vec<u8>> {
    // Version 0; the algorithm: id-ecPublicKey, and the curve.
    let head: &[u8] = match curve {
        Curve::P256 => {
            b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
        }
        Curve::P384 => {
            b"\x02\x01\x00\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"
        }
    };
    let mut body = head.to_vec();
    body.extend(der(0x04, sec1)?);
    der(0x30, &body)
}

/// Encodes a DER value of at most 65,535 bytes.
fn der(tag: u8, value: &[u8]) -> Option<Vec<u8>> {
    let [high, low] = u16::try_from(value.len()).ok()?.to_be_bytes();
    let mut bytes = vec![tag];
    match (high, low) {
        (0, 0..0x80) => bytes.push(low),
        (0, _) => bytes.extend([0x81, low]),
        _ => bytes.extend([0x82, high, low]),
    }
    bytes.extend(value);
    Some(bytes)
}

struct ClientKey {
    pair: Arc<AlgorithmKey>,
    /// The signature schemes of the key, the preferred one first.
    schemes: Schemes,
}

impl SigningKey for ClientKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *self.schemes.iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(Signing { pair: Arc::clone(&self.pair), scheme }))
    }

    /// Returns the public key, by which rustls checks that the key belongs to the certificate.
    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(match &*self.pair {
            AlgorithmKey::Rsa(pair) => public_key_to_spki(&alg_id::RSA_ENCRYPTION, pair.public_key()),
            AlgorithmKey::Ecdsa(Curve::P256, pair) => {
                public_key_to_spki(&alg_id::ECDSA_P256, pair.public_key())
            }
            AlgorithmKey::Ecdsa(Curve::P384, pair) => {
                public_key_to_spki(&alg_id::ECDSA_P384, pair.public_key())
            }
            AlgorithmKey::Ed25519(pair) => public_key_to_spki(&alg_id::ED25519, pair.public_key()),
        })
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match &*self.pair {
            AlgorithmKey::Rsa(_) => SignatureAlgorithm::RSA,
            AlgorithmKey::Ecdsa(..) => SignatureAlgorithm::ECDSA,
            AlgorithmKey::Ed25519(_) => SignatureAlgorithm::ED25519,
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

/// A key and the scheme by which it signs.
struct Signing {
    pair: Arc<AlgorithmKey>,
    scheme: SignatureScheme,
}

impl Signer for Signing {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::General("signing failed".into());
        let random = SystemRandom::new();
        match &*self.pair {
            AlgorithmKey::Ed25519(pair) => Ok(pair.sign(message).as_ref().into()),
            AlgorithmKey::Ecdsa(_, pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().into()),
            AlgorithmKey::Rsa(pair) => {
                let padding: &'static dyn signature::RsaEncoding = match self.scheme {
                    SignatureScheme::RSA_PSS_SHA512 => &signature::RSA_PSS_SHA512,
                    SignatureScheme::RSA_PSS_SHA384 => &signature::RSA_PSS_SHA384,
                    SignatureScheme::RSA_PSS_SHA256 => &signature::RSA_PSS_SHA256,
                    SignatureScheme::RSA_PKCS1_SHA512 => &signature::RSA_PKCS1_SHA512,
                    SignatureScheme::RSA_PKCS1_SHA384 => &signature::RSA_PKCS1_SHA384,
                    SignatureScheme::RSA_PKCS1_SHA256 => &signature::RSA_PKCS1_SHA256,
                    _ => return Err(Error::General("no scheme of an RSA key".into())),
                };
                let mut signed = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signed).map_err(failed)?;
                Ok(signed)
            }
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
