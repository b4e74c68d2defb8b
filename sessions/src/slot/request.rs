//! What a slot knows of its request: plain values, and the rules that follow from them.

use super::ledger::Rotation;
use crate::delta::Op;

/// What a slot knows of its request, whatever came with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// Independent facts.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct RequestFacts {
    /// The request asks for something and orders nothing: GET or HEAD (RFC 9110 section 9.2.1).
    pub(crate) is_safe: bool,
    /// The answer may never be seen: that to a HEAD, a prefetch or a prerender.
    pub(crate) is_unseen: bool,
    /// The browser may have a cookie of ours and have kept it back: that of a request from another site.
    pub(crate) may_lack_cookie: bool,
    /// The layer admits logins by such a request.
    pub(crate) admits_cross_site_logins: bool,
}

/// What becomes of a session that a request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    Admitted,
    /// It does not begin, and the response passes.
    Dropped,
    /// It does not begin, and the response would not be true.
    Refused,
}

impl RequestFacts {
    /// Whether a new session may begin. Its cookie would take the place of one that the browser has and did not
    /// send (RFC 6265bis section 5.6.7).
    pub(super) fn beginning(self, has_token: bool, rotation: Rotation) -> Beginning {
        let is_login = rotation == Rotation::Login;
        if !self.may_lack_cookie || has_token || (is_login && self.admits_cross_site_logins) {
            Beginning::Admitted
        } else if is_login {
            Beginning::Refused
        } else {
            Beginning::Dropped
        }
    }

    /// Whether the response is true without these operations: a page that counts something is the same page
    /// uncounted.
    pub(super) fn stands_without<'a>(
        self,
        rotation: Rotation,
        ops: impl IntoIterator<Item = &'a Op>,
    ) -> bool {
        let is_light = |op: &Op| matches!(op, Op::Add(_) | Op::Max(_) | Op::Min(_) | Op::RemoveIf(_));
        self.is_safe && rotation <= Rotation::Renewal && ops.into_iter().all(is_light)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::Add;

    #[test]
    fn what_lacks_its_cookie_begins_nothing_and_logs_nobody_in() {
        let same_site = RequestFacts::default();
        let cross_site = RequestFacts { may_lack_cookie: true, ..same_site };
        let admitting = RequestFacts { admits_cross_site_logins: true, ..cross_site };
        let (plain, login) = (Rotation::None, Rotation::Login);
        for (request, has_token, rotation, expected) in [
            (same_site, false, plain, Beginning::Admitted),
            (same_site, false, login, Beginning::Admitted),
            (cross_site, true, plain, Beginning::Admitted),
            (cross_site, true, login, Beginning::Admitted),
            (cross_site, false, plain, Beginning::Dropped),
            (cross_site, false, Rotation::Rotation, Beginning::Dropped),
            (cross_site, false, login, Beginning::Refused),
            (admitting, false, plain, Beginning::Dropped),
            (admitting, false, Rotation::Rotation, Beginning::Dropped),
            (admitting, false, login, Beginning::Admitted),
        ] {
            assert_eq!(
                request.beginning(has_token, rotation),
                expected,
                "{request:?} {has_token} {rotation:?}"
            );
        }
    }

    #[test]
    fn a_page_is_worth_more_than_what_it_counts() {
        let page = RequestFacts { is_safe: true, ..RequestFacts::default() };
        let counted = Op::Add(Add { by: 1, start: 0, min: 0, max: 9 });
        let light = [counted.clone(), Op::Max(1), Op::Min(1), Op::RemoveIf("1".into())];
        assert!(page.stands_without(Rotation::None, &light));
        assert!(page.stands_without(Rotation::Renewal, &light));
        assert!(!RequestFacts::default().stands_without(Rotation::None, &light), "an order");
        for rotation in [Rotation::Rotation, Rotation::Proof, Rotation::Login, Rotation::Logout] {
            assert!(!page.stands_without(rotation, &light), "{rotation:?}");
        }
        for heavy in [Op::Put("1".into()), Op::PutIfAbsent("1".into()), Op::Remove] {
            assert!(!page.stands_without(Rotation::None, [&counted, &heavy]), "{heavy:?}");
        }
    }
}
