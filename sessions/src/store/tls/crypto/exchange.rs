//! The key exchange.

use std::fmt;

use ring::{agreement, rand::SystemRandom};
use tokio_rustls::rustls::{
    Error, NamedGroup, PeerMisbehaved,
    crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup},
    ffdhe_groups::FfdheGroup,
};

/// The groups, the preferred one first.
pub(super) static GROUPS: [&dyn SupportedKxGroup; 3] = [
    &Group { name: NamedGroup::X25519, algorithm: &agreement::X25519 },
    &Group { name: NamedGroup::secp256r1, algorithm: &agreement::ECDH_P256 },
    &Group { name: NamedGroup::secp384r1, algorithm: &agreement::ECDH_P384 },
];

struct Group {
    name: NamedGroup,
    algorithm: &'static agreement::Algorithm,
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let ours = agreement::EphemeralPrivateKey::generate(self.algorithm, &SystemRandom::new())
            .map_err(|_| GetRandomFailed)?;
        let public = ours.compute_public_key().map_err(|_| GetRandomFailed)?;
        Ok(Box::new(Exchange { name: self.name, algorithm: self.algorithm, ours, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

struct Exchange {
    name: NamedGroup,
    algorithm: &'static agreement::Algorithm,
    ours: agreement::EphemeralPrivateKey,
    public: agreement::PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        // `ring` refuses points of other forms (RFC 8446, 4.2.8.2), and those of small order.
        let theirs = agreement::UnparsedPublicKey::new(self.algorithm, theirs);
        agreement::agree_ephemeral(self.ours, &theirs, |secret| SharedSecret::from(secret))
            .map_err(|_| PeerMisbehaved::InvalidKeyShare.into())
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.name
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_and_what_is_no_point_is_refused() {
        for group in GROUPS {
            let (one, other) = (group.start().unwrap(), group.start().unwrap());
            let (of_one, of_other) = (one.pub_key().to_vec(), other.pub_key().to_vec());
            assert_ne!(of_one, of_other);
            let secret = one.complete(&of_other).unwrap();
            assert_eq!(secret.secret_bytes(), other.complete(&of_one).unwrap().secret_bytes(), "{group:?}");
            // Nothing, too short, too long, zero; compressed, where there is that form.
            let mut compressed = of_one[..=of_one.len() / 2].to_vec();
            compressed[0] = 2;
            let longer = [&of_one[..], &[0]].concat();
            for wrong in [&[][..], &of_one[1..], &longer, &vec![0; of_one.len()], &compressed] {
                assert!(group.start().unwrap().complete(wrong).is_err(), "{group:?} {wrong:?}");
            }
        }
    }
}
