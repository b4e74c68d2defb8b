//! The suites of TLS 1.2: AES-GCM as RFC 5288 has it, after an exchange of new keys for each connection.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce};
use tokio_rustls::rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, Error, SignatureScheme, SupportedCipherSuite,
    Tls12CipherSuite,
    crypto::{
        KeyExchangeAlgorithm,
        cipher::{
            AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
            MessageEncrypter, NONCE_LEN, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
            Tls12AeadAlgorithm, UnsupportedOperationError, make_tls12_aad,
        },
        tls12::PrfUsingHmac,
    },
};

use super::{
    cipher::{GCM_RECORDS, less_safe_key, nonce},
    digest,
};

/// The suites, the preferred one first.
pub(super) static SUITES: &[SupportedCipherSuite] = &[
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            hash_provider: &digest::SHA384,
            confidentiality_limit: GCM_RECORDS,
        },
        prf_provider: &PrfUsingHmac(&digest::HMAC_SHA384),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA,
        aead_alg: &Gcm(&AES_256_GCM),
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            hash_provider: &digest::SHA256,
            confidentiality_limit: GCM_RECORDS,
        },
        prf_provider: &PrfUsingHmac(&digest::HMAC_SHA256),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA,
        aead_alg: &Gcm(&AES_128_GCM),
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            hash_provider: &digest::SHA384,
            confidentiality_limit: GCM_RECORDS,
        },
        prf_provider: &PrfUsingHmac(&digest::HMAC_SHA384),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA,
        aead_alg: &Gcm(&AES_256_GCM),
    }),
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            hash_provider: &digest::SHA256,
            confidentiality_limit: GCM_RECORDS,
        },
        prf_provider: &PrfUsingHmac(&digest::HMAC_SHA256),
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA,
        aead_alg: &Gcm(&AES_128_GCM),
    }),
];

static ECDSA: &[SignatureScheme] = &[
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
];

static RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// The part of a nonce that both sides know.
const SALT: usize = 4;

/// The part of a nonce that is written in the record.
const EXPLICIT: usize = 8;

const TAG: usize = 16;

/// The largest number of bytes in a record (RFC 5246, 6.2.1).
const LARGEST: usize = 1 << 14;

struct Gcm(&'static Algorithm);

impl Tls12AeadAlgorithm for Gcm {
    fn encrypter(&self, key: AeadKey, salt: &[u8], explicit: &[u8]) -> Box<dyn MessageEncrypter> {
        // The explicit part must never repeat under a key: a secret beginning, and the number of the record.
        let mut iv = [0; NONCE_LEN];
        iv[..SALT].copy_from_slice(salt);
        iv[SALT..].copy_from_slice(explicit);
        Box::new(Encrypter { key: less_safe_key(self.0, &key), iv: Iv::new(iv) })
    }

    fn decrypter(&self, key: AeadKey, salt: &[u8]) -> Box<dyn MessageDecrypter> {
        let mut decrypter = Decrypter { key: less_safe_key(self.0, &key), salt: [0; SALT] };
        decrypter.salt.copy_from_slice(salt);
        Box::new(decrypter)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape { enc_key_len: self.0.key_len(), fixed_iv_len: SALT, explicit_nonce_len: EXPLICIT }
    }

    /// Refuses: only TLS in the kernel needs it, which is not used.
    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct Encrypter {
    key: LessSafeKey,
    iv: Iv,
}

impl MessageEncrypter for Encrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = message.payload.len();
        let mut payload = PrefixedPayload::with_capacity(self.encrypted_payload_len(length));
        let nonce = nonce(&self.iv, sequence);
        let aad = Aad::from(make_tls12_aad(sequence, message.typ, message.version, length));
        payload.extend_from_slice(&nonce.as_ref()[SALT..]);
        payload.extend_from_chunks(&message.payload);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, aad, &mut payload.as_mut()[EXPLICIT..])
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(tag.as_ref());
        Ok(OutboundOpaqueMessage::new(message.typ, message.version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        EXPLICIT + length + TAG
    }
}

struct Decrypter {
    key: LessSafeKey,
    salt: [u8; SALT],
}

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let Some(length) = message.payload.len().checked_sub(EXPLICIT + TAG) else {
            return Err(Error::DecryptError);
        };
        let mut nonce = [0; NONCE_LEN];
        nonce[..SALT].copy_from_slice(&self.salt);
        nonce[SALT..].copy_from_slice(&message.payload[..EXPLICIT]);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(make_tls12_aad(sequence, message.typ, message.version, length));
        let payload = &mut message.payload;
        // The plain text stands at the beginning then.
        let length =
            self.key.open_within(nonce, aad, payload, EXPLICIT..).map_err(|_| Error::DecryptError)?.len();
        if length > LARGEST {
            return Err(Error::PeerSentOversizedRecord);
        }
        payload.truncate(length);
        Ok(message.into_plain_message())
    }
}
