//! The suites of TLS 1.3: records as RFC 8446, 5.2 has them.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use tokio_rustls::rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    SupportedCipherSuite, Tls13CipherSuite,
    crypto::{
        cipher::{
            AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
            Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
            UnsupportedOperationError, make_tls13_aad,
        },
        tls13::HkdfUsingHmac,
    },
};

use super::digest;

/// The number of records that one key may encrypt (draft-irtf-cfrg-aead-limits-08, 5.1.1). `ChaCha20` has no limit that
/// a connection could reach (5.2.1).
pub(super) const GCM_RECORDS: u64 = 1 << 24;

/// The suites, the preferred one first.
pub(super) static SUITES: &[SupportedCipherSuite] = &[
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
            hash_provider: &digest::SHA384,
            confidentiality_limit: GCM_RECORDS,
        },
        hkdf_provider: &HkdfUsingHmac(&digest::HMAC_SHA384),
        aead_alg: &Aead(&AES_256_GCM),
        quic: None,
    }),
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
            hash_provider: &digest::SHA256,
            confidentiality_limit: GCM_RECORDS,
        },
        hkdf_provider: &HkdfUsingHmac(&digest::HMAC_SHA256),
        aead_alg: &Aead(&AES_128_GCM),
        quic: None,
    }),
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            hash_provider: &digest::SHA256,
            confidentiality_limit: u64::MAX,
        },
        hkdf_provider: &HkdfUsingHmac(&digest::HMAC_SHA256),
        aead_alg: &Aead(&CHACHA20_POLY1305),
        quic: None,
    }),
];

/// Creates a key of this algorithm.
pub(super) fn less_safe_key(algorithm: &'static Algorithm, key: &AeadKey) -> LessSafeKey {
    // invariant: rustls asks the algorithm how long a key is, and gives one of that length.
    #[allow(clippy::expect_used)]
    LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).expect("a key of the algorithm's length"))
}

/// Returns the nonce of a record, from its number under the key. rustls never repeats that number.
pub(super) fn nonce(iv: &Iv, sequence: u64) -> ring::aead::Nonce {
    ring::aead::Nonce::assume_unique_for_key(Nonce::new(iv, sequence).0)
}

struct Aead(&'static Algorithm);

impl Tls13AeadAlgorithm for Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Records { key: less_safe_key(self.0, &key), iv })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Records { key: less_safe_key(self.0, &key), iv })
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    /// Refuses: only TLS in the kernel needs it, which is not used.
    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// The records of one direction.
struct Records {
    key: LessSafeKey,
    iv: Iv,
}

impl MessageEncrypter for Records {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[message.typ.into()]);
        let aad = Aad::from(make_tls13_aad(length));
        self.key
            .seal_in_place_append_tag(nonce(&self.iv, sequence), aad, &mut payload)
            .map_err(|_| Error::EncryptError)?;
        // All encrypted records name this type (RFC 8446, 5.1).
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        length + 1 + self.key.algorithm().tag_len()
    }
}

impl MessageDecrypter for Records {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut message.payload;
        let aad = Aad::from(make_tls13_aad(payload.len()));
        let length = self
            .key
            .open_in_place(nonce(&self.iv, sequence), aad, payload)
            .map_err(|_| Error::DecryptError)?
            .len();
        payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}
