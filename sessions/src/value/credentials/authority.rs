//! The meaning of credentials: secrets, rights, and what was agreed on at a login.

use std::{fmt, time::Duration};

use crate::value::{
    FieldName, Lifetime, SecretHash, Timestamp,
    hash::{SALT_BYTES, is_same},
    timeouts::{DEFAULT_ABSOLUTE, SessionKind},
};

/// The time for which a secret that was replaced is told from one that never was.
pub(super) const RECOGNISED_FOR: Duration = Duration::from_mins(1);

/// The time for which a renewed secret is as good as the new one, once that has been seen: for requests that were on
/// their way.
const GRACE: Duration = Duration::from_secs(10);

/// The number of replaced secrets that a record remembers.
pub(super) const REMEMBERED: usize = 8;

/// The length of what a record remembers of a replaced secret's hash.
pub(super) const PREFIX: usize = 16;

/// The decoded credentials of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The hash of the present secret.
    pub(crate) hash: SecretHash,
    /// The stored names of the rights that are set.
    pub(crate) rights: Vec<FieldName>,
    /// The one of them that says who is logged in.
    pub(crate) identity: Option<FieldName>,
    /// The secrets that were replaced, the latest first.
    pub(super) replaced: Vec<Replaced>,
    /// The renewal of the present secret that has begun, or the last one that has ended.
    pub(super) renewal: Option<Renewal>,
    /// When its user last proved who they are.
    pub(crate) proof: Proof,
    /// True if the user asked to be remembered; false if the browser is to forget the cookie when it is closed.
    pub(crate) is_remembered: Option<bool>,
    /// The session's own lifetime, if that is shorter than the layer's.
    pub(crate) lifetime: Option<Lifetime>,
    /// The time after which the browser forgets the present cookie, in whole hours since the record was created. The
    /// layer's timeouts may have changed since.
    pub(crate) cookie_hours: u32,
}

/// A new secret with the rights of the old one, from which it is derived with this salt. So requests at the same time,
/// and those after a lost answer, derive the same secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Renewal {
    pub(super) salt: [u8; SALT_BYTES],
    pub(super) state: RenewalState,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The progress of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RenewalState {
    /// The new secret has this hash, and no request has brought it yet. The old one is as good.
    Begun(SecretHash),
    /// A request has brought the new secret, which is the present one since. The old one is the latest one replaced.
    Ended,
}

/// The last time when the user of a record proved who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// No user is logged in.
    #[default]
    None,
    /// When the record was created.
    AtCreation,
    /// At this time.
    At(Timestamp),
}

/// A secret that was replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Replaced {
    /// The first bytes of its hash.
    pub(super) hash: [u8; PREFIX],
    pub(super) at: Timestamp,
}

impl fmt::Debug for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replaced").field("at", &self.at).finish_non_exhaustive()
    }
}

/// The relation of a secret that a request brings to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It is the present secret.
    Present,
    /// It is the present secret, or was a moment ago, and the secret derived with this salt takes its place.
    Renewing([u8; SALT_BYTES]),
    /// It is the secret that is to take the place of the present one, seen for the first time.
    Renewed,
    /// It was the present secret a moment ago: the client may have the new one already.
    Superseded,
    /// It was the present secret long ago.
    Stale,
    /// It never was the present secret, as far as the record remembers.
    Forged,
}

impl Authority {
    /// Makes the credentials of a new record.
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

    /// Returns the kind of session, by which the layer's times differ.
    pub(crate) fn kind(&self) -> SessionKind {
        SessionKind::new(!self.rights.is_empty(), self.is_remembered == Some(true))
    }

    /// Returns true if the browser keeps the cookie when it is closed.
    pub(crate) fn has_lasting_cookie(&self) -> bool {
        self.is_remembered != Some(false)
    }

    /// Compares a secret that a request brings. Every comparison takes the same time wherever the difference is.
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

    /// Begins a renewal: the present secret stays until a request brings the next one.
    pub(crate) fn begin_renewal(&mut self, salt: [u8; SALT_BYTES], next: SecretHash) {
        self.renewal = Some(Renewal { salt, state: RenewalState::Begun(next) });
    }

    /// Ends the renewal that has begun, since a request has brought its secret.
    pub(crate) fn end_renewal(&mut self, now: Timestamp) {
        let Some(Renewal { salt, state: RenewalState::Begun(next) }) = self.renewal else { return };
        let old = std::mem::replace(&mut self.hash, next);
        self.note_replaced(&old, now);
        self.renewal = Some(Renewal { salt, state: RenewalState::Ended });
    }

    /// Returns true if a renewal has begun whose secret no request has brought yet.
    pub(crate) fn is_renewing(&self) -> bool {
        matches!(self.renewal, Some(Renewal { state: RenewalState::Begun(_), .. }))
    }

    /// Returns the time since which the secret is the present one; `None` if it always was.
    pub(crate) fn secret_since(&self) -> Option<Timestamp> {
        self.replaced.first().map(|replaced| replaced.at)
    }

    fn note_replaced(&mut self, hash: &SecretHash, at: Timestamp) {
        self.replaced.insert(0, Replaced { hash: prefix(hash), at });
        self.replaced.truncate(REMEMBERED);
    }
}

/// Returns the time for which a browser keeps a cookie of which the credentials say nothing: the session's own time, or
/// else the default.
pub(super) fn usual_cookie_hours(lifetime: Option<Lifetime>) -> u32 {
    hours(lifetime.map_or(DEFAULT_ABSOLUTE, |own| own.absolute.min(DEFAULT_ABSOLUTE)))
}

/// Returns the whole hours of a duration.
pub(crate) fn hours(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs() / 3600).unwrap_or(u32::MAX)
}

fn prefix(hash: &SecretHash) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix.copy_from_slice(&hash.as_bytes()[..PREFIX]);
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::credentials::samples::{at, full, hash};

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
    fn a_rotation_ends_a_renewal_and_its_grace() {
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
