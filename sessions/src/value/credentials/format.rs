//! The bytes of credentials.
//!
//! First the 32 bytes of the secret's hash; most sessions need no more. Then, if there is more to say:
//!
//! | what | bytes |
//! |---|---|
//! | flags: [`HOLDS_RIGHTS`], [`IS_REMEMBERED`], [`FORGOTTEN`] | 1 |
//! | the parts that follow, by their bits ([`part`]) | 1 |
//! | the rights, if the record holds any | their number; for each twice its length, plus 1 for the identity, and its name |
//! | the replaced secrets, the latest first | their number (1); 16 of each one's hash, and its time: 6 for the latest, for others how much earlier (2) |
//! | a renewal | its salt (16); if it has begun and not ended, the next secret's hash (32) |
//! | when the user proved who they are | 6, if that was not at the creation |
//! | a lifetime of the session's own | 6 without use, 6 in all |
//! | when the browser forgets the cookie | a number of hours |
//!
//! Integers have the highest byte first; times are milliseconds. Other numbers are in LEB128.

use std::time::Duration;

use super::{
    authority::{
        Authority, Proof, RECOGNISED_FOR, REMEMBERED, Renewal, RenewalState, Replaced, usual_cookie_hours,
    },
    stored::{Credentials, FORGOTTEN, HOLDS_RIGHTS, IS_REMEMBERED, OWN_LIFETIME, are_flags},
};
use crate::value::{ByteReader, FieldName, Lifetime, SecretHash, Timestamp, hash::HASH_BYTES, push_number};

// Two bytes say how far apart two replacements are. What is further apart is not recognised any more, so nothing is lost.
const _: () = assert!(RECOGNISED_FOR.as_millis() < u16::MAX as u128);

/// The bits of the second byte after the hash: the parts that follow, besides rights. Of a pair at most one is set.
mod part {
    /// A renewal that has begun, or the last one, which has ended.
    pub(super) const RENEWAL: [u8; 2] = [0x01, 0x02];
    pub(super) const LIFETIME: u8 = super::OWN_LIFETIME;
    /// The browser forgets the cookie at another time than usual.
    pub(super) const COOKIE: u8 = 0x08;
    /// The user proved who they are at the creation, of which nothing follows; or later.
    pub(super) const PROOF: [u8; 2] = [0x10, 0x20];
    pub(super) const REPLACED: u8 = 0x40;
    /// Never set: another version may use it, and both bits of one pair.
    pub(super) const UNUSED: u8 = 0x80;
}

impl Authority {
    /// Decodes credentials; `None` if they are not of this version.
    pub(crate) fn read(credentials: &Credentials) -> Option<Self> {
        let (hash, rest) = credentials.0.split_first_chunk::<HASH_BYTES>()?;
        let mut read = Self::new(SecretHash::from_bytes(*hash));
        let Some((flags, rest)) = rest.split_first() else { return Some(read) };
        let mut rest = ByteReader(rest);
        let [parts] = rest.array()?;
        if !are_flags(*flags) || parts & part::UNUSED != 0 {
            return None;
        }
        read.is_remembered = match (flags & IS_REMEMBERED != 0, flags & FORGOTTEN != 0) {
            (false, false) => None,
            (is_remembered, _) => Some(is_remembered),
        };
        if flags & HOLDS_RIGHTS != 0 {
            read.read_rights(&mut rest)?;
        }
        if parts & part::REPLACED != 0 {
            read.read_replaced(&mut rest)?;
        }
        read.renewal = match one_of(parts, part::RENEWAL)? {
            Pair::Neither => None,
            Pair::First => {
                let (salt, next) = (rest.array()?, rest.array()?);
                Some(Renewal { salt, state: RenewalState::Begun(SecretHash::from_bytes(next)) })
            }
            Pair::Second => Some(Renewal { salt: rest.array()?, state: RenewalState::Ended }),
        };
        read.proof = match one_of(parts, part::PROOF)? {
            Pair::Neither => Proof::None,
            Pair::First => Proof::AtCreation,
            Pair::Second => Proof::At(read_time(&mut rest)?),
        };
        if parts & part::LIFETIME != 0 {
            let (idle, absolute) = (read_six_bytes(&mut rest)?, read_six_bytes(&mut rest)?);
            let [idle, absolute] = [idle, absolute].map(Duration::from_millis);
            read.lifetime = Some(Lifetime { idle, absolute });
        }
        read.cookie_hours = if parts & part::COOKIE == 0 {
            usual_cookie_hours(read.lifetime)
        } else {
            u32::try_from(rest.number()?).ok()?
        };
        rest.0.is_empty().then_some(read)
    }

    fn read_rights(&mut self, rest: &mut ByteReader<'_>) -> Option<()> {
        let count = rest.number()?;
        for _ in 0..count {
            let head = rest.number()?;
            let length = usize::try_from(head >> 1).ok()?;
            let name = FieldName::from(str::from_utf8(rest.slice(length)?).ok()?);
            if head & 1 != 0 && self.identity.replace(name.clone()).is_some() {
                return None;
            }
            self.rights.push(name);
        }
        (count > 0).then_some(())
    }

    fn read_replaced(&mut self, rest: &mut ByteReader<'_>) -> Option<()> {
        let [count] = rest.array()?;
        for _ in 0..count {
            let (hash, latest) = (rest.array()?, self.replaced.first().map(|latest| latest.at));
            let at = match latest {
                None => read_time(rest)?,
                Some(latest) => {
                    let earlier = i64::from(u16::from_be_bytes(rest.array()?));
                    Timestamp::from_millis(latest.as_millis() - earlier)
                }
            };
            self.replaced.push(Replaced { hash, at });
        }
        (1..=REMEMBERED).contains(&count.into()).then_some(())
    }

    /// Encodes the credentials in as few bytes as possible: Redis keeps short values in half the room of long ones.
    pub(crate) fn credentials(&self) -> Credentials {
        let mut bytes = self.hash.as_bytes().to_vec();
        let (flags, parts) = (self.flags(), self.parts());
        if flags == 0 && parts == 0 {
            // Most sessions need no more than the hash.
            return Credentials(bytes.into());
        }
        bytes.extend_from_slice(&[flags, parts]);
        if !self.rights.is_empty() {
            push_number(&mut bytes, self.rights.len() as u64);
            for name in &self.rights {
                let is_identity = self.identity.as_ref() == Some(name);
                push_number(&mut bytes, (name.as_str().len() as u64) << 1 | u64::from(is_identity));
                bytes.extend_from_slice(name.as_str().as_bytes());
            }
        }
        if let Some(latest) = self.replaced.first() {
            // At most eight.
            push_number(&mut bytes, self.replaced.len() as u64);
            bytes.extend_from_slice(&latest.hash);
            bytes.extend_from_slice(&six_bytes(latest.at.as_millis()));
            for Replaced { hash, at } in &self.replaced[1..] {
                let earlier = latest.at.saturating_since(*at).as_millis();
                bytes.extend_from_slice(hash);
                bytes.extend_from_slice(&u16::try_from(earlier).unwrap_or(u16::MAX).to_be_bytes());
            }
        }
        if let Some(Renewal { salt, state }) = &self.renewal {
            bytes.extend_from_slice(salt);
            if let RenewalState::Begun(next) = state {
                bytes.extend_from_slice(next.as_bytes());
            }
        }
        if let Proof::At(at) = self.proof {
            bytes.extend_from_slice(&six_bytes(at.as_millis()));
        }
        if let Some(Lifetime { idle, absolute }) = self.lifetime {
            for limit in [idle, absolute] {
                bytes.extend_from_slice(&six_bytes(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)));
            }
        }
        if parts & part::COOKIE != 0 {
            push_number(&mut bytes, self.cookie_hours.into());
        }
        Credentials(bytes.into())
    }

    /// Returns the bits of the parts that there are.
    fn parts(&self) -> u8 {
        let renewal = self.renewal.map_or(0, |renewal| match renewal.state {
            RenewalState::Begun(_) => part::RENEWAL[0],
            RenewalState::Ended => part::RENEWAL[1],
        });
        let proof = match self.proof {
            Proof::None => 0,
            Proof::AtCreation => part::PROOF[0],
            Proof::At(_) => part::PROOF[1],
        };
        let is_unusual = self.cookie_hours != usual_cookie_hours(self.lifetime);
        let cookie = if is_unusual && self.has_lasting_cookie() { part::COOKIE } else { 0 };
        let lifetime = if self.lifetime.is_some() { part::LIFETIME } else { 0 };
        let replaced = if self.replaced.is_empty() { 0 } else { part::REPLACED };
        renewal | proof | cookie | lifetime | replaced
    }

    fn flags(&self) -> u8 {
        let rights = if self.rights.is_empty() { 0 } else { HOLDS_RIGHTS };
        match self.is_remembered {
            Some(false) => rights | FORGOTTEN,
            // It is not kept for a visitor: each login asks for itself.
            Some(true) if rights != 0 => rights | IS_REMEMBERED,
            _ => rights,
        }
    }
}

/// The one of two bits that is set.
enum Pair {
    Neither,
    First,
    Second,
}

/// Returns which of two bits is set; `None` if both are.
fn one_of(parts: u8, [first, second]: [u8; 2]) -> Option<Pair> {
    match (parts & first != 0, parts & second != 0) {
        (true, true) => None,
        (true, false) => Some(Pair::First),
        (false, true) => Some(Pair::Second),
        (false, false) => Some(Pair::Neither),
    }
}

/// Returns milliseconds as six bytes, which last until the year 10889.
fn six_bytes(millis: i64) -> [u8; 6] {
    let [_, _, bytes @ ..] = millis.clamp(0, (1 << 48) - 1).to_be_bytes();
    bytes
}

/// Takes six bytes, as [`six_bytes`] writes them.
fn read_six_bytes(from: &mut ByteReader<'_>) -> Option<u64> {
    let bytes: [u8; 6] = from.array()?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn read_time(from: &mut ByteReader<'_>) -> Option<Timestamp> {
    Some(Timestamp::from_millis(i64::try_from(read_six_bytes(from)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{
        credentials::{
            authority::Match,
            samples::{at, full, hash},
        },
        hash::SALT_BYTES,
        timeouts::SessionKind,
    };

    #[test]
    fn credentials_read_back() {
        let plain = Authority::new(hash(1));
        assert_eq!(plain.credentials().as_bytes().len(), 32);
        for authority in [plain, full()] {
            let credentials = authority.credentials();
            assert_eq!(Authority::read(&credentials), Some(authority));
        }
    }

    /// The stored times of replaced secrets tell these apart for as long as that matters.
    #[test]
    fn times_of_replaced_secrets_are_kept_for_as_long_as_they_matter() {
        let mut authority = Authority::new(hash(0));
        for (number, seconds) in [(1, 1000), (2, 1001), (3, 1030), (4, 1059), (5, 2_000_000), (6, 2_000_001)]
        {
            authority.replace(hash(number), at(seconds));
            authority = Authority::read(&authority.credentials()).unwrap();
        }
        for (number, now, expected) in [
            (5, 2_000_060, Match::Superseded),
            (5, 2_000_061, Match::Stale),
            (4, 2_000_059, Match::Superseded),
            (4, 2_000_060, Match::Stale),
            (3, 2_000_001, Match::Stale),
            (0, 2_000_001, Match::Stale),
        ] {
            assert_eq!(authority.compare(&hash(number), at(now)), expected, "{number} at {now}");
        }
    }

    /// Redis keeps a session in half the room for as long as none of its values is longer than 64 bytes; the metadata
    /// come in pieces of 56, of which 16 are not of the credentials.
    #[test]
    fn credentials_of_real_sessions_are_short() {
        let mut authority = Authority::new(hash(0));
        authority.rights.push("user_id".into());
        authority.identity = Some("user_id".into());
        authority.proof = Proof::AtCreation;
        assert_eq!(authority.credentials().as_bytes().len(), 43, "logged in by a first request");
        authority.proof = Proof::At(at(0));
        authority.replace(hash(1), at(0));
        assert_eq!(authority.credentials().as_bytes().len(), 72, "a visitor who has logged in");
        authority.rights.push("role".into());
        authority.is_remembered = Some(true);
        authority.lifetime =
            Some(Lifetime { idle: Duration::from_secs(1), absolute: Duration::from_secs(1) });
        authority.cookie_hours = usual_cookie_hours(authority.lifetime);
        assert_eq!(authority.credentials().as_bytes().len(), 89, "with a role, and times of its own");
        (2..=9).for_each(|number| authority.replace(hash(number), at(0)));
        assert_eq!(authority.credentials().as_bytes().len(), 215, "rotated many times");
        authority.begin_renewal([7; SALT_BYTES], hash(10));
        assert_eq!(authority.credentials().as_bytes().len(), 263, "with a renewal that has begun");
    }

    #[test]
    fn rights_of_any_name_read_back() {
        let mut authority = Authority::new(hash(0));
        for name in ["", "r", &"é".repeat(31), &"x".repeat(63), &"x".repeat(64), &"x".repeat(100_000)] {
            authority.rights.push(name.to_owned().into());
        }
        (0..200).for_each(|number| authority.rights.push(number.to_string().into()));
        authority.identity = Some("".into());
        assert_eq!(Authority::read(&authority.credentials()), Some(authority));
    }

    /// A later version sets one of the bits that mean nothing yet, so that its credentials are told from broken ones.
    #[test]
    fn another_version_is_none_of_ours() {
        for (at, unused) in [(HASH_BYTES, 0x10), (HASH_BYTES, 0x01), (HASH_BYTES + 1, part::UNUSED)] {
            let mut bytes = full().credentials().as_bytes().to_vec();
            bytes[at] |= unused;
            assert_eq!(Authority::read(&Credentials::from_bytes(bytes)), None);
        }
    }

    #[test]
    fn credentials_tell_of_rights() {
        let mut authority = Authority::new(hash(1));
        assert!(!authority.credentials().holds_rights());
        authority.rights.push("role".into());
        assert!(authority.credentials().holds_rights());
        authority.rights.clear();
        assert!(!authority.credentials().holds_rights());
    }

    #[test]
    fn credentials_tell_if_the_user_asked_to_be_remembered() {
        for (role, is_remembered, kind, read) in [
            (false, None, SessionKind::Visitor, None),
            (false, Some(false), SessionKind::Visitor, Some(false)),
            // A visitor is never remembered.
            (false, Some(true), SessionKind::Visitor, None),
            (true, None, SessionKind::User, None),
            (true, Some(false), SessionKind::User, Some(false)),
            (true, Some(true), SessionKind::Remembered, Some(true)),
        ] {
            let mut authority = Authority::new(hash(1));
            if role {
                authority.rights.push("role".into());
            }
            authority.is_remembered = is_remembered;
            let credentials = authority.credentials();
            assert_eq!((authority.kind(), credentials.kind()), (kind, kind), "{role} {is_remembered:?}");
            assert_eq!(credentials.is_remembered(), kind == SessionKind::Remembered);
            assert_eq!(Authority::read(&credentials).unwrap().is_remembered, read);
        }
        let mut credentials = full().credentials().as_bytes().to_vec();
        for flags in 0..=u8::MAX {
            credentials[HASH_BYTES] = flags;
            let sound = matches!(flags, 0x80 | 0xa0 | 0xc0);
            assert_eq!(
                Authority::read(&Credentials::from_bytes(credentials.clone())).is_some(),
                sound,
                "{flags:#x}"
            );
        }
    }

    #[test]
    fn when_the_cookie_ends_costs_nothing_where_it_is_as_usual() {
        let mut authority = Authority::new(hash(1));
        let length = |authority: &Authority| {
            let credentials = authority.credentials();
            assert_eq!(Authority::read(&credentials), Some(authority.clone()));
            credentials.as_bytes().len()
        };
        assert_eq!(authority.cookie_hours, 720);
        assert_eq!(length(&authority), 32);
        for (hours, bytes) in [(0, 1), (12, 1), (90 * 24, 2), (u32::MAX, 5)] {
            authority.cookie_hours = hours;
            assert_eq!(length(&authority), 34 + bytes, "{hours}");
        }
        let hour = Duration::from_hours(1);
        authority.lifetime = Some(Lifetime { idle: hour, absolute: 12 * hour });
        authority.cookie_hours = 12;
        assert_eq!(length(&authority), 34 + 12);
        authority.lifetime = Some(Lifetime { idle: hour, absolute: Duration::from_millis((1 << 48) - 1) });
        authority.cookie_hours = 720;
        assert_eq!(length(&authority), 34 + 12);
    }

    #[test]
    fn what_is_cut_or_changed_is_no_credentials_or_others() {
        let whole = full().credentials();
        let bytes = whole.as_bytes();
        for end in 0..bytes.len() {
            let cut = Authority::read(&Credentials::from_bytes(bytes[..end].to_vec()));
            assert!(cut.is_none_or(|cut| cut != full()), "{end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Authority::read(&Credentials::from_bytes(flipped)), Some(full()), "{bit}");
        }
    }
}
