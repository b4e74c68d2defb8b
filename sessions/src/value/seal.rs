//! Who may use a record: what a store keeps of it, and what it means.

use std::{fmt, time::Duration};

use bytes::Bytes;

use super::{
    FieldName, Lifetime, SecretHash, Timestamp,
    hash::{HASH_BYTES, SALT_BYTES, is_same},
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

/// Who may use a record, as bytes that a store keeps, compares and returns, and does not read.
///
/// It holds the hash of the record's secret and what the library needs beside it; a new one takes its
/// place with each rotation.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal(Bytes);

impl Seal {
    /// A seal as a store kept it.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// A seal from where other things may be kept too; `None` if this is plainly none.
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

/// Whether a seal of this version may have these flags.
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

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("holds_rights", &self.holds_rights()).finish_non_exhaustive()
    }
}

/// What a seal says.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Renewal {
    salt: [u8; SALT_BYTES],
    state: RenewalState,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replaced {
    hash: [u8; PREFIX],
    at: Timestamp,
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

/// The kinds of entries after a seal's hash; each is followed by its length in two bytes.
mod entry {
    pub(super) const RIGHT: u8 = 1;
    pub(super) const REPLACED: u8 = 2;
    pub(super) const PROOF: u8 = 3;
    pub(super) const RENEWAL_BEGUN: u8 = 5;
    pub(super) const RENEWAL_ENDED: u8 = 6;
    pub(super) const IDENTITY: u8 = 7;
    pub(super) const LIFETIME: u8 = 8;
    pub(super) const COOKIE: u8 = 9;
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

    /// Reads a seal; `None` if it is none of this version.
    pub(crate) fn read(seal: &Seal) -> Option<Self> {
        let (hash, rest) = seal.0.split_first_chunk::<HASH_BYTES>()?;
        let mut read = Self::new(SecretHash::from_bytes(*hash));
        let Some((flags, mut rest)) = rest.split_first() else { return Some(read) };
        let mut cookie_hours = None;
        while let Some(([kind, high, low], after)) = rest.split_first_chunk() {
            let (entry, after) = after.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
            match *kind {
                entry::COOKIE => cookie_hours = Some(integer(entry)?),
                kind => read.read_entry(kind, entry)?,
            }
            rest = after;
        }
        read.is_remembered = match (flags & IS_REMEMBERED != 0, flags & FORGOTTEN != 0) {
            (false, false) => None,
            (is_remembered, _) => Some(is_remembered),
        };
        read.cookie_hours = cookie_hours.unwrap_or_else(|| usual_cookie_hours(read.lifetime));
        let is_sound = are_flags(*flags) && (flags & HOLDS_RIGHTS != 0) != read.rights.is_empty();
        (rest.is_empty() && is_sound).then_some(read)
    }

    fn read_entry(&mut self, kind: u8, entry: &[u8]) -> Option<()> {
        match (kind, entry) {
            (entry::RIGHT, name) => self.rights.push(str::from_utf8(name).ok()?.into()),
            (entry::IDENTITY, name) => {
                let name = FieldName::from(str::from_utf8(name).ok()?);
                self.rights.push(name.clone());
                self.identity = Some(name);
            }
            (entry::REPLACED, _) => {
                let (hash, at) = entry.split_first_chunk()?;
                self.replaced.push(Replaced { hash: *hash, at: time(at)? });
            }
            (entry::PROOF, []) => self.proof = Proof::AtCreation,
            (entry::PROOF, at) => self.proof = Proof::At(time(at)?),
            (entry::RENEWAL_BEGUN, _) => {
                let (salt, next) = entry.split_first_chunk()?;
                let state = RenewalState::Begun(SecretHash::from_bytes(next.try_into().ok()?));
                self.renewal = Some(Renewal { salt: *salt, state });
            }
            (entry::RENEWAL_ENDED, salt) => {
                self.renewal = Some(Renewal { salt: salt.try_into().ok()?, state: RenewalState::Ended });
            }
            (entry::LIFETIME, _) => {
                let (idle, absolute) = entry.split_first_chunk()?;
                let millis = |bytes| Duration::from_millis(u64::from_be_bytes(bytes));
                let (idle, absolute) = (millis(*idle), millis(absolute.try_into().ok()?));
                self.lifetime = Some(Lifetime { idle, absolute });
            }
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn seal(&self) -> Seal {
        let mut bytes = self.hash.as_bytes().to_vec();
        bytes.push(self.flags());
        let mut add = |kind: u8, parts: &[&[u8]]| {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            // What is longer than 64 KiB, a field's name, is cut: nobody has one, and it is read as none.
            let length = u16::try_from(length).unwrap_or(0);
            bytes.push(kind);
            bytes.extend_from_slice(&length.to_be_bytes());
            let parts = parts.iter().flat_map(|part| part.iter()).take(length.into());
            bytes.extend(parts);
        };
        for name in &self.rights {
            let is_identity = self.identity.as_ref() == Some(name);
            let kind = if is_identity { entry::IDENTITY } else { entry::RIGHT };
            add(kind, &[name.as_str().as_bytes()]);
        }
        for Replaced { hash, at } in &self.replaced {
            add(entry::REPLACED, &[hash, &at.as_millis().to_be_bytes()]);
        }
        match &self.renewal {
            None => {}
            Some(Renewal { salt, state: RenewalState::Begun(next) }) => {
                add(entry::RENEWAL_BEGUN, &[salt, next.as_bytes()]);
            }
            Some(Renewal { salt, state: RenewalState::Ended }) => add(entry::RENEWAL_ENDED, &[salt]),
        }
        match self.proof {
            Proof::None => {}
            Proof::AtCreation => add(entry::PROOF, &[]),
            Proof::At(at) => add(entry::PROOF, &[&at.as_millis().to_be_bytes()]),
        }
        if let Some(Lifetime { idle, absolute }) = self.lifetime {
            let millis = |limit: Duration| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).to_be_bytes();
            add(entry::LIFETIME, &[&millis(idle), &millis(absolute)]);
        }
        if self.cookie_hours != usual_cookie_hours(self.lifetime) && self.has_lasting_cookie() {
            let bytes = self.cookie_hours.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            add(entry::COOKIE, &[&bytes[zeros..]]);
        }
        if bytes[HASH_BYTES..] == [0] {
            // Most sessions need no more than the hash.
            bytes.pop();
        }
        Seal(bytes.into())
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

/// How long a cookie is kept of which the seal says nothing: the session's own time, or else the default.
fn usual_cookie_hours(lifetime: Option<Lifetime>) -> u32 {
    hours(lifetime.map_or(DEFAULT_ABSOLUTE, |own| own.absolute.min(DEFAULT_ABSOLUTE)))
}

/// The whole hours in it.
pub(crate) fn hours(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs() / 3600).unwrap_or(u32::MAX)
}

/// An integer without leading zeros.
fn integer(bytes: &[u8]) -> Option<u32> {
    let is_one = bytes.len() <= 4 && bytes.first() != Some(&0);
    is_one.then(|| bytes.iter().fold(0, |integer, byte| integer << 8 | u32::from(*byte)))
}

fn prefix(hash: &SecretHash) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix.copy_from_slice(&hash.as_bytes()[..PREFIX]);
    prefix
}

fn time(bytes: &[u8]) -> Option<Timestamp> {
    Some(Timestamp::from_millis(i64::from_be_bytes(bytes.try_into().ok()?)))
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
            Some(Lifetime { idle: Duration::from_secs(5), absolute: Duration::from_millis(u64::MAX) });
        authority.cookie_hours = 90 * 24;
        authority.begin_renewal([7; SALT_BYTES], hash(4));
        authority
    }

    #[test]
    fn a_seal_reads_back() {
        let plain = Authority::new(hash(1));
        assert_eq!(plain.seal().as_bytes().len(), 32);
        for authority in [plain, full()] {
            let seal = authority.seal();
            assert_eq!(Authority::read(&seal), Some(authority));
        }
    }

    #[test]
    fn a_seal_tells_of_rights() {
        let mut authority = Authority::new(hash(1));
        assert!(!authority.seal().holds_rights());
        authority.rights.push("role".into());
        assert!(authority.seal().holds_rights());
        authority.rights.clear();
        assert!(!authority.seal().holds_rights());
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
            let seal = authority.seal();
            assert_eq!((authority.kind(), seal.kind()), (kind, kind), "{role} {is_remembered:?}");
            assert_eq!(seal.is_remembered(), kind == SessionKind::Remembered);
            assert_eq!(Authority::read(&seal).unwrap().is_remembered, read);
        }
        let mut seal = full().seal().as_bytes().to_vec();
        for flags in 0..=u8::MAX {
            seal[HASH_BYTES] = flags;
            let sound = matches!(flags, 0x80 | 0xa0 | 0xc0);
            assert_eq!(Authority::read(&Seal::from_bytes(seal.clone())).is_some(), sound, "{flags:#x}");
        }
    }

    #[test]
    fn when_the_cookie_ends_costs_nothing_where_it_is_as_usual() {
        let mut authority = Authority::new(hash(1));
        let length = |authority: &Authority| {
            let seal = authority.seal();
            assert_eq!(Authority::read(&seal), Some(authority.clone()));
            seal.as_bytes().len()
        };
        assert_eq!(authority.cookie_hours, 720);
        assert_eq!(length(&authority), 32);
        for (hours, bytes) in [(0, 0), (12, 1), (90 * 24, 2), (u32::MAX, 4)] {
            authority.cookie_hours = hours;
            assert_eq!(length(&authority), 33 + 3 + bytes, "{hours}");
        }
        let hour = Duration::from_hours(1);
        authority.lifetime = Some(Lifetime { idle: hour, absolute: 12 * hour });
        authority.cookie_hours = 12;
        assert_eq!(length(&authority), 33 + 3 + 16);
        authority.lifetime = Some(Lifetime { idle: hour, absolute: Duration::from_millis(u64::MAX) });
        authority.cookie_hours = 720;
        assert_eq!(length(&authority), 33 + 3 + 16);
    }

    #[test]
    fn what_is_cut_or_changed_is_no_seal_or_another() {
        let whole = full().seal();
        let bytes = whole.as_bytes();
        for end in 0..bytes.len() {
            let cut = Authority::read(&Seal::from_bytes(bytes[..end].to_vec()));
            assert!(cut.is_none_or(|cut| cut != full()), "{end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Authority::read(&Seal::from_bytes(flipped)), Some(full()), "{bit}");
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
        authority = Authority::read(&authority.seal()).unwrap();
        let renewing = Match::Renewing([7; SALT_BYTES]);
        assert_eq!(authority.compare(&hash(1), at(100_000)), renewing, "however long that takes");
        assert_eq!(authority.compare(&hash(2), at(0)), Match::Renewed);
        authority.end_renewal(at(100));
        authority.end_renewal(at(200));
        authority = Authority::read(&authority.seal()).unwrap();
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
        assert!(authority.seal().as_bytes().len() < 300);
    }

    #[test]
    fn debug_shows_no_hash() {
        let shown = format!("{:?} {:?}", full().seal(), hash(1));
        assert!(!shown.contains("1, 1"), "{shown}");
    }
}
