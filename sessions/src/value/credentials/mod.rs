//! The credentials of a record: the bytes that a store keeps, and what they mean.

mod authority;
mod format;
mod stored;

pub(crate) use self::authority::{Authority, Match, Proof, hours};
pub use self::stored::Credentials;

#[cfg(test)]
mod samples {
    use std::time::Duration;

    use super::{Authority, Proof};
    use crate::value::{
        Lifetime, SecretHash, Timestamp,
        hash::{HASH_BYTES, SALT_BYTES},
    };

    pub(super) fn hash(byte: u8) -> SecretHash {
        SecretHash::from_bytes([byte; HASH_BYTES])
    }

    pub(super) const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    pub(super) fn full() -> Authority {
        let mut authority = Authority::new(hash(1));
        authority.rights = vec!["role".into(), "user".into()];
        authority.identity = Some("user".into());
        authority.replace(hash(2), at(10));
        authority.replace(hash(3), at(20));
        authority.proof = Proof::At(at(20));
        authority.is_remembered = Some(true);
        authority.lifetime =
            Some(Lifetime { idle: Duration::from_secs(5), absolute: Duration::from_millis((1 << 48) - 1) });
        authority.cookie_hours = 90 * 24;
        authority.begin_renewal([7; SALT_BYTES], hash(4));
        authority
    }
}
