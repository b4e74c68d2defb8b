//! Hashes and their HMAC.

use ring::{digest, hmac};
use tokio_rustls::rustls::crypto::{
    hash::{Context, Hash, HashAlgorithm, Output},
    hmac::{Hmac, Key, Tag},
};

pub(super) static SHA256: Sha = Sha(&digest::SHA256, HashAlgorithm::SHA256);
pub(super) static SHA384: Sha = Sha(&digest::SHA384, HashAlgorithm::SHA384);

pub(super) static HMAC_SHA256: HmacSha = HmacSha(&hmac::HMAC_SHA256);
pub(super) static HMAC_SHA384: HmacSha = HmacSha(&hmac::HMAC_SHA384);

pub(super) struct Sha(&'static digest::Algorithm, HashAlgorithm);

impl Hash for Sha {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Hashing(digest::Context::new(self.0)))
    }

    fn hash(&self, bytes: &[u8]) -> Output {
        Output::new(digest::digest(self.0, bytes).as_ref())
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.1
    }
}

struct Hashing(digest::Context);

impl Context for Hashing {
    fn fork_finish(&self) -> Output {
        Output::new(self.0.clone().finish().as_ref())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(self.0.finish().as_ref())
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

pub(super) struct HmacSha(&'static hmac::Algorithm);

impl Hmac for HmacSha {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        Box::new(HmacKey(hmac::Key::new(*self.0, key)))
    }

    fn hash_output_len(&self) -> usize {
        self.0.digest_algorithm().output_len()
    }
}

struct HmacKey(hmac::Key);

impl Key for HmacKey {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(first);
        for bytes in middle {
            context.update(bytes);
        }
        context.update(last);
        Tag::new(context.sign().as_ref())
    }

    fn tag_len(&self) -> usize {
        self.0.algorithm().digest_algorithm().output_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap();
        bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// FIPS 180-2, appendix B.1 and D.1; RFC 4231, test case 2.
    #[test]
    fn the_published_examples_are_met() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(SHA256.hash(b"abc").as_ref()), of_abc);
        let mut context = SHA256.start();
        context.update(b"a");
        let mut fork = context.fork();
        fork.update(b"bc");
        assert_eq!(hex(fork.fork_finish().as_ref()), of_abc);
        assert_eq!(hex(fork.finish().as_ref()), of_abc);
        let of_abc = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                      8086072ba1e7cc2358baeca134c825a7";
        assert_eq!(hex(SHA384.hash(b"abc").as_ref()), of_abc);

        let key = HMAC_SHA256.with_key(b"Jefe");
        let tag = key.sign_concat(b"what do ", &[b"ya ", b"want "], b"for nothing?");
        assert_eq!(hex(tag.as_ref()), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let key = HMAC_SHA384.with_key(b"Jefe");
        let tag = key.sign_concat(b"what do ya ", &[b"want "], b"for nothing?");
        let expected = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
                        8e2240ca5e69e2c78b3239ecfab21649";
        assert_eq!(hex(tag.as_ref()), expected);
    }
}
