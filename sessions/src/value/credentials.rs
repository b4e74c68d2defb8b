//! Who may use a record: what a store keeps of it, and what it means.

use std::{fmt, time::Duration};

use bytes::Bytes;

use super::{
    ByteReader, FieldName, Lifetime, SecretHash, Timestamp,
    hash::{HASH_BYTES, SALT_BYTES, is_same},
    push_number,
    time::{DEFAULT_ABSOLUTE, SessionKind},
};

/// For how long a secret that was replaced is told from one that never was.
const RECOGNISED_FOR: Duration = Duration::from_mins(1);

/// For how long a renewed secret is as good as the new one, once that has been seen: for requests that were
/// on their way.
const GRACE: Duration = Duration::from_secs(10);

/// How many replaced secrets a record remembers.
const REMEMBERED: usize = 8;

/// How much of a replaced secret's hash it remembers.
const PREFIX: usize = 16;

/// The bit of the byte after the hash that says that the record holds a right.
const HOLDS_RIGHTS: u8 = 0x80;

/// The bit that says that its user asked to be remembered, which counts beside a right only.
const IS_REMEMBERED: u8 = 0x40;

/// The bit that says that the browser forgets the cookie when it is closed.
const FORGOTTEN: u8 = 0x20;

// What is further apart in credentials than two bytes can say is beyond recognition, so that nothing is lost by that.
const _: () = assert!(RECOGNISED_FOR.as_millis() < u16::MAX as u128);

/// Who may use a record, as bytes that a store keeps, compares and returns, and does not read.
///
/// It holds the hash of the record's secret and what the library needs beside it; a new one takes its
/// place with each rotation.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Bytes);

impl Credentials {
    /// Credentials as a store kept it.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Credentials from where other things may be kept too; `None` if this is plainly none.
    #[cfg(any(feature = "redis", feature = "webdis"))]
    pub(crate) fn checked(bytes: &[u8]) -> Option<Self> {
        let (_, rest) = bytes.split_first_chunk::<HASH_BYTES>()?;
        let is_one = rest.first().is_none_or(|flags| are_flags(*flags));
        is_one.then(|| Self(Bytes::copy_from_slice(bytes)))
    }

    /// What to store: at least 32 bytes, mostly not many more.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the record holds a right, such as who is logged in: a store that has no room left evicts
    /// none of these for a newcomer. It is the highest bit of the byte after the first 32.
    #[must_use]
    pub fn holds_rights(&self) -> bool {
        self.flags() & HOLDS_RIGHTS != 0
    }

    /// Whether the record holds a right and its user asked to be remembered, so that it may live longer
    /// ([`Timeouts::with_remembered`](crate::Timeouts::with_remembered)). It is the second highest bit of the
    /// byte after the first 32, and set beside the highest one only.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        self.flags() >= HOLDS_RIGHTS | IS_REMEMBERED
    }

    pub(crate) fn kind(&self) -> SessionKind {
        kind(self.holds_rights(), self.is_remembered())
    }

    fn flags(&self) -> u8 {
        self.0.get(HASH_BYTES).copied().unwrap_or(0)
    }
}

/// Whether credentials of this version may have these flags.
const fn are_flags(flags: u8) -> bool {
    matches!(flags & !HOLDS_RIGHTS, 0 | FORGOTTEN) || flags == HOLDS_RIGHTS | IS_REMEMBERED
}

const fn kind(holds_rights: bool, is_remembered: bool) -> SessionKind {
    match (holds_rights, is_remembered) {
        (false, _) => SessionKind::Visitor,
        (true, false) => SessionKind::User,
        (true, true) => SessionKind::Remembered,
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("holds_rights", &self.holds_rights()).finish_non_exhaustive()
    }
}

/// What credentials says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The hash of the present secret.
    pub(crate) hash: SecretHash,
    /// The stored names of the rights that are set.
    pub(crate) rights: Vec<FieldName>,
    /// Which of them says who is logged in.
    pub(crate) identity: Option<FieldName>,
    /// Secrets that were replaced, the latest first.
    replaced: Vec<Replaced>,
    /// The renewal of the present secret that has begun, or the last one that has ended.
    renewal: Option<Renewal>,
    /// When its user proved who it is.
    pub(crate) proof: Proof,
    /// Whether the user asked to be remembered; or that the browser is to forget the cookie when it is closed.
    pub(crate) is_remembered: Option<bool>,
    /// How long the session lives, if that is less than the layer grants.
    pub(crate) lifetime: Option<Lifetime>,
    /// When the browser forgets the present cookie: so many whole hours after the record's life began. The
    /// layer's timeouts may have changed since.
    pub(crate) cookie_hours: u32,
}

/// A new secret with the powers of the old one, which is derived from it: requests at once and lost answers all
/// come to the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Renewal {
    salt: [u8; SALT_BYTES],
    state: RenewalState,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RenewalState {
    /// The new secret has this hash, and nobody has sent it yet. The old one is as good.
    Begun(SecretHash),
    /// The new secret is the present one, since it was first seen. The old one is the first of those replaced.
    Ended,
}

/// When the user of a record proved who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is nobody.
    #[default]
    None,
    /// When the record's life began.
    AtCreation,
    /// Later.
    At(Timestamp),
}

/// A secret that was replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Replaced {
    hash: [u8; PREFIX],
    at: Timestamp,
}

impl fmt::Debug for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replaced").field("at", &self.at).finish_non_exhaustive()
    }
}

/// What a presented secret is to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Present,
    /// It is present, and the one of this salt is to take its place, or has just done so.
    Renewing([u8; SALT_BYTES]),
    /// It is the one that is to take the present one's place, seen for the first time.
    Renewed,
    /// It was, a moment ago: whoever sends it may have the new one already.
    Superseded,
    /// It was, long ago.
    Stale,
    /// It never was, as far as the record remembers.
    Forged,
}

/// The second byte after the hash: what comes after it, besides rights.
mod what {
    /// The renewal that has begun, or the last one, which has ended.
    pub(super) const RENEWAL: [u8; 2] = [0x01, 0x02];
    pub(super) const LIFETIME: u8 = 0x04;
    /// When the browser forgets the cookie, if that is not as usual.
    pub(super) const COOKIE: u8 = 0x08;
    /// When the record's life began, of which nothing comes; or later.
    pub(super) const PROOF: [u8; 2] = [0x10, 0x20];
    pub(super) const REPLACED: u8 = 0x40;
    /// Nought. Another version may use it, and both bits of one pair.
    pub(super) const UNUSED: u8 = 0x80;
}

impl Authority {
    /// Of a new record.
    pub(crate) fn new(hash: SecretHash) -> Self {
        Self {
            hash,
            rights: Vec::new(),
            identity: None,
            replaced: Vec::new(),
            renewal: None,
            proof: Proof::None,
            is_remembered: None,
            lifetime: None,
            cookie_hours: usual_cookie_hours(None),
        }
    }

    /// Reads credentials; `None` if it is none of this version.
    pub(crate) fn read(credentials: &Credentials) -> Option<Self> {
        let (hash, rest) = credentials.0.split_first_chunk::<HASH_BYTES>()?;
        let mut read = Self::new(SecretHash::from_bytes(*hash));
        let Some((flags, rest)) = rest.split_first() else { return Some(read) };
        let mut rest = ByteReader(rest);
        let [what] = rest.array()?;
        if !are_flags(*flags) || what & what::UNUSED != 0 {
            return None;
        }
        read.is_remembered = match (flags & IS_REMEMBERED != 0, flags & FORGOTTEN != 0) {
            (false, false) => None,
            (is_remembered, _) => Some(is_remembered),
        };
        if flags & HOLDS_RIGHTS != 0 {
            read.read_rights(&mut rest)?;
        }
        if what & what::REPLACED != 0 {
            read.read_replaced(&mut rest)?;
        }
        read.renewal = match one_of(what, what::RENEWAL)? {
            Pair::Neither => None,
            Pair::First => {
                let (salt, next) = (rest.array()?, rest.array()?);
                Some(Renewal { salt, state: RenewalState::Begun(SecretHash::from_bytes(next)) })
            }
            Pair::Second => Some(Renewal { salt: rest.array()?, state: RenewalState::Ended }),
        };
        read.proof = match one_of(what, what::PROOF)? {
            Pair::Neither => Proof::None,
            Pair::First => Proof::AtCreation,
            Pair::Second => Proof::At(read_time(&mut rest)?),
        };
        if what & what::LIFETIME != 0 {
            let (idle, absolute) = (read_six_bytes(&mut rest)?, read_six_bytes(&mut rest)?);
            let [idle, absolute] = [idle, absolute].map(Duration::from_millis);
            read.lifetime = Some(Lifetime { idle, absolute });
        }
        read.cookie_hours = if what & what::COOKIE == 0 {
            usual_cookie_hours(read.lifetime)
        } else {
            u32::try_from(rest.number()?).ok()?
        };
        rest.0.is_empty().then_some(read)
    }

    /// How many, and each one's length and name; whether it says who is logged in is the length's lowest bit.
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

    /// How many, then each one's hash and time: the latest one's in full, of the others how much earlier.
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

    /// As few bytes as that takes: Redis keeps short values in half the room of long ones.
    pub(crate) fn credentials(&self) -> Credentials {
        let mut bytes = self.hash.as_bytes().to_vec();
        let (flags, what) = (self.flags(), self.what());
        if flags == 0 && what == 0 {
            // Most sessions need no more than the hash.
            return Credentials(bytes.into());
        }
        bytes.extend_from_slice(&[flags, what]);
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
        if what & what::COOKIE != 0 {
            push_number(&mut bytes, self.cookie_hours.into());
        }
        Credentials(bytes.into())
    }

    fn what(&self) -> u8 {
        let renewal = self.renewal.map_or(0, |renewal| match renewal.state {
            RenewalState::Begun(_) => what::RENEWAL[0],
            RenewalState::Ended => what::RENEWAL[1],
        });
        let proof = match self.proof {
            Proof::None => 0,
            Proof::AtCreation => what::PROOF[0],
            Proof::At(_) => what::PROOF[1],
        };
        let is_unusual = self.cookie_hours != usual_cookie_hours(self.lifetime);
        let cookie = if is_unusual && self.has_lasting_cookie() { what::COOKIE } else { 0 };
        let lifetime = if self.lifetime.is_some() { what::LIFETIME } else { 0 };
        let replaced = if self.replaced.is_empty() { 0 } else { what::REPLACED };
        renewal | proof | cookie | lifetime | replaced
    }

    fn flags(&self) -> u8 {
        let rights = if self.rights.is_empty() { 0 } else { HOLDS_RIGHTS };
        match self.is_remembered {
            Some(false) => rights | FORGOTTEN,
            // Of a visitor it is not kept: each login asks for itself.
            Some(true) if rights != 0 => rights | IS_REMEMBERED,
            _ => rights,
        }
    }

    /// What kind of session it is, as far as its times depend on it.
    pub(crate) fn kind(&self) -> SessionKind {
        kind(!self.rights.is_empty(), self.is_remembered == Some(true))
    }

    /// Whether the browser keeps the cookie when it is closed.
    pub(crate) fn has_lasting_cookie(&self) -> bool {
        self.is_remembered != Some(false)
    }

    /// What a presented secret is to the record. Every comparison takes the same time wherever the
    /// difference is.
    pub(crate) fn compare(&self, presented: &SecretHash, now: Timestamp) -> Match {
        if self.hash == *presented {
            return match self.renewal {
                Some(Renewal { salt, state: RenewalState::Begun(_) }) => Match::Renewing(salt),
                _ => Match::Present,
            };
        }
        if let Some(Renewal { state: RenewalState::Begun(next), .. }) = &self.renewal
            && next == presented
        {
            return Match::Renewed;
        }
        let prefix = prefix(presented);
        let known = self.replaced.iter().position(|replaced| is_same(&replaced.hash, &prefix));
        let age = |index: usize| now.saturating_since(self.replaced[index].at);
        if let (Some(0), Some(Renewal { salt, state: RenewalState::Ended })) = (known, self.renewal)
            && age(0) < GRACE
        {
            return Match::Renewing(salt);
        }
        match known.map(|index| &self.replaced[index]) {
            Some(replaced) if now.saturating_since(replaced.at) < RECOGNISED_FOR => Match::Superseded,
            Some(_) => Match::Stale,
            None => Match::Forged,
        }
    }

    /// Puts a new secret in the place of the present one, and of the one that was to take its place.
    pub(crate) fn replace(&mut self, hash: SecretHash, now: Timestamp) {
        let renewal = self.renewal.take();
        if let Some(Renewal { state: RenewalState::Begun(next), .. }) = renewal {
            self.note_replaced(&next, now);
        }
        let old = std::mem::replace(&mut self.hash, hash);
        self.note_replaced(&old, now);
    }

    /// Begins a renewal: the present secret stays until the next one is seen.
    pub(crate) fn begin_renewal(&mut self, salt: [u8; SALT_BYTES], next: SecretHash) {
        self.renewal = Some(Renewal { salt, state: RenewalState::Begun(next) });
    }

    /// Ends the renewal that has begun, since its secret was seen.
    pub(crate) fn end_renewal(&mut self, now: Timestamp) {
        let Some(Renewal { salt, state: RenewalState::Begun(next) }) = self.renewal else { return };
        let old = std::mem::replace(&mut self.hash, next);
        self.note_replaced(&old, now);
        self.renewal = Some(Renewal { salt, state: RenewalState::Ended });
    }

    /// Whether a renewal has begun, and its secret was not seen yet.
    pub(crate) fn is_renewing(&self) -> bool {
        matches!(self.renewal, Some(Renewal { state: RenewalState::Begun(_), .. }))
    }

    /// Since when the secret is the present one, if it was not from the beginning.
    pub(crate) fn secret_since(&self) -> Option<Timestamp> {
        self.replaced.first().map(|replaced| replaced.at)
    }

    fn note_replaced(&mut self, hash: &SecretHash, at: Timestamp) {
        self.replaced.insert(0, Replaced { hash: prefix(hash), at });
        self.replaced.truncate(REMEMBERED);
    }
}

/// How long a cookie is kept of which the credentials says nothing: the session's own time, or else the default.
fn usual_cookie_hours(lifetime: Option<Lifetime>) -> u32 {
    hours(lifetime.map_or(DEFAULT_ABSOLUTE, |own| own.absolute.min(DEFAULT_ABSOLUTE)))
}

/// The whole hours in it.
pub(crate) fn hours(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs() / 3600).unwrap_or(u32::MAX)
}

fn prefix(hash: &SecretHash) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix.copy_from_slice(&hash.as_bytes()[..PREFIX]);
    prefix
}

/// Which of two bits is set.
enum Pair {
    Neither,
    First,
    Second,
}

/// Of two bits of which one may be set; `None` if both are.
fn one_of(what: u8, [first, second]: [u8; 2]) -> Option<Pair> {
    match (what & first != 0, what & second != 0) {
        (true, true) => None,
        (true, false) => Some(Pair::First),
        (false, true) => Some(Pair::Second),
        (false, false) => Some(Pair::Neither),
    }
}

/// Milliseconds, until the year 10889.
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

    fn hash(byte: u8) -> SecretHash {
        SecretHash::from_bytes([byte; HASH_BYTES])
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn full() -> Authority {
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

    #[test]
    fn a_seal_reads_back() {
        let plain = Authority::new(hash(1));
        assert_eq!(plain.credentials().as_bytes().len(), 32);
        for authority in [plain, full()] {
            let credentials = authority.credentials();
            assert_eq!(Authority::read(&credentials), Some(authority));
        }
    }

    /// What is kept of the times of replaced secrets is enough to tell them apart for as long as that matters.
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
    /// come in pieces of 56, of which 16 are not the credentials's.
    #[test]
    fn seals_of_real_sessions_are_short() {
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

    /// What a later version writes is told from what is broken: it has one of the bits that mean nothing yet.
    #[test]
    fn another_version_is_none_of_ours() {
        for (at, unused) in [(HASH_BYTES, 0x10), (HASH_BYTES, 0x01), (HASH_BYTES + 1, what::UNUSED)] {
            let mut bytes = full().credentials().as_bytes().to_vec();
            bytes[at] |= unused;
            assert_eq!(Authority::read(&Credentials::from_bytes(bytes)), None);
        }
    }

    #[test]
    fn a_seal_tells_of_rights() {
        let mut authority = Authority::new(hash(1));
        assert!(!authority.credentials().holds_rights());
        authority.rights.push("role".into());
        assert!(authority.credentials().holds_rights());
        authority.rights.clear();
        assert!(!authority.credentials().holds_rights());
    }

    #[test]
    fn a_seal_tells_who_asked_to_be_remembered() {
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
    fn what_is_cut_or_changed_is_no_seal_or_another() {
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

    #[test]
    fn a_replaced_secret_is_recognised_for_a_minute_and_remembered_for_longer() {
        let authority = full();
        assert_eq!(authority.compare(&hash(3), at(21)), Match::Renewing([7; SALT_BYTES]));
        assert_eq!(authority.compare(&hash(2), at(79)), Match::Superseded);
        assert_eq!(authority.compare(&hash(2), at(80)), Match::Stale);
        assert_eq!(authority.compare(&hash(1), at(21)), Match::Superseded);
        assert_eq!(authority.compare(&hash(9), at(21)), Match::Forged);
    }

    #[test]
    fn a_renewed_secret_is_good_until_the_next_is_seen_and_ten_seconds_more() {
        let mut authority = Authority::new(hash(1));
        authority.begin_renewal([7; SALT_BYTES], hash(2));
        authority = Authority::read(&authority.credentials()).unwrap();
        let renewing = Match::Renewing([7; SALT_BYTES]);
        assert_eq!(authority.compare(&hash(1), at(100_000)), renewing, "however long that takes");
        assert_eq!(authority.compare(&hash(2), at(0)), Match::Renewed);
        authority.end_renewal(at(100));
        authority.end_renewal(at(200));
        authority = Authority::read(&authority.credentials()).unwrap();
        assert_eq!(authority.compare(&hash(2), at(101)), Match::Present);
        assert_eq!(authority.compare(&hash(1), at(109)), renewing);
        assert_eq!(authority.compare(&hash(1), at(110)), Match::Superseded);
        assert_eq!(authority.compare(&hash(1), at(160)), Match::Stale);
    }

    #[test]
    fn a_hard_rotation_ends_a_renewal_and_its_grace() {
        let mut begun = Authority::new(hash(1));
        begun.begin_renewal([7; SALT_BYTES], hash(2));
        let mut ended = begun.clone();
        ended.end_renewal(at(0));
        for mut authority in [begun, ended] {
            authority.replace(hash(3), at(1));
            for old in [1, 2] {
                assert_eq!(authority.compare(&hash(old), at(2)), Match::Superseded, "{old}");
            }
            assert_eq!(authority.compare(&hash(3), at(2)), Match::Present);
        }
    }

    #[test]
    fn eight_are_remembered() {
        let mut authority = Authority::new(hash(0));
        for number in 1..=9 {
            authority.replace(hash(number), at(0));
        }
        assert_eq!(authority.compare(&hash(1), at(0)), Match::Superseded);
        assert_eq!(authority.compare(&hash(0), at(0)), Match::Forged);
        assert!(authority.credentials().as_bytes().len() < 300);
    }

    #[test]
    fn debug_shows_no_hash() {
        let shown = format!("{:?} {:?} {:?}", full(), full().credentials(), hash(1));
        for byte in 0..10 {
            assert!(!shown.contains(&format!("{byte}, {byte}")), "{shown}");
        }
    }
}
