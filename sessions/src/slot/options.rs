//! Options that handlers ask for, besides changes of fields.

use crate::value::{Authority, Lifetime};

/// The options that handlers asked for, besides changes of fields.
#[derive(Debug, Default)]
pub(super) struct RequestedOptions {
    /// A new secret.
    pub(super) rotation: bool,
    /// A new secret with the same powers.
    pub(super) renewal: bool,
    /// The options of the session from its next secret on.
    pub(super) session: SessionOptions,
    /// That the request is no use of the session.
    pub(super) without_touch: bool,
}

/// The options of one session, which its credentials keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionOptions {
    /// The session's own lifetime, where it is shorter than the layer's.
    pub(super) lifetime: Option<Lifetime>,
    /// True if the user asked to be remembered. False if the browser is to forget the cookie when it is closed.
    pub(super) is_remembered: Option<bool>,
}

impl SessionOptions {
    /// The options that the credentials of a record keep.
    pub(super) const fn of(authority: &Authority) -> Self {
        Self { lifetime: authority.lifetime, is_remembered: authority.is_remembered }
    }

    /// Notes them in the credentials. Those of a visitor's record keep that it is remembered for no longer than
    /// this request, so that the next login asks for itself.
    pub(super) const fn note_in(self, authority: &mut Authority) {
        authority.is_remembered = self.is_remembered;
        authority.lifetime = self.lifetime;
    }

    /// These options after what a request asks for. "Remembered" means for as long as the layer grants, unless a
    /// lifetime is asked for beside it.
    pub(super) fn and(self, requested: Self) -> Self {
        let lifetime = if requested.is_remembered == Some(true) { None } else { self.lifetime };
        Self {
            lifetime: requested.lifetime.or(lifetime),
            is_remembered: requested.is_remembered.or(self.is_remembered),
        }
    }

    /// These options for another record in the place of this one. Each login asks for itself to be remembered: the
    /// one before may have been another user's.
    pub(super) fn for_next_record(self) -> Self {
        Self { is_remembered: self.is_remembered.filter(|is_remembered| !is_remembered), ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::value::DAY;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn what_a_request_asks_for_comes_after_what_was_asked_for() {
        let (one, two) = (Lifetime { idle: HOUR, absolute: HOUR }, Lifetime { idle: DAY, absolute: DAY });
        let options = |is_remembered, lifetime| SessionOptions { lifetime, is_remembered };
        for (before, requested, after) in [
            ((None, None), (None, None), (None, None)),
            ((Some(false), Some(one)), (None, None), (Some(false), Some(one))),
            ((Some(false), Some(one)), (None, Some(two)), (Some(false), Some(two))),
            ((Some(true), Some(one)), (Some(false), None), (Some(false), Some(one))),
            ((Some(false), Some(one)), (Some(true), None), (Some(true), None)),
            ((Some(false), Some(one)), (Some(true), Some(two)), (Some(true), Some(two))),
        ] {
            let [before, requested, after] =
                [before, requested, after].map(|(remembered, lifetime)| options(remembered, lifetime));
            assert_eq!(before.and(requested), after, "{before:?} {requested:?}");
        }
    }

    #[test]
    fn no_later_record_is_remembered_by_itself() {
        let lifetime = Some(Lifetime { idle: HOUR, absolute: HOUR });
        for (before, after) in [(Some(true), None), (Some(false), Some(false)), (None, None)] {
            let options = |is_remembered| SessionOptions { lifetime, is_remembered };
            assert_eq!(options(before).for_next_record(), options(after));
        }
    }
}
