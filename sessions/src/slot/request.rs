//! The facts that a slot knows of its request, and the rules that follow from them. Plain values.

use super::rights::SecretChange;
use crate::delta::Op;

/// The facts that a slot knows of its request, whatever came with it.
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

/// The outcome for a session that a request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    Admitted,
    /// It does not begin, and the response passes.
    Dropped,
    /// It does not begin, and the response would not be true.
    Refused,
}

impl RequestFacts {
    /// Decides if a new session may begin. Its cookie would take the place of one that the browser has and did not
    /// send (RFC 6265bis section 5.6.7).
    pub(super) fn beginning(self, has_token: bool, secret_change: SecretChange) -> Beginning {
        let is_login = secret_change == SecretChange::Login;
        if !self.may_lack_cookie || has_token || (is_login && self.admits_cross_site_logins) {
            Beginning::Admitted
        } else if is_login {
            Beginning::Refused
        } else {
            Beginning::Dropped
        }
    }

    /// True if the response is true without these operations: a page that counts something is the same page uncounted.
    pub(super) fn stands_without<'a>(
        self,
        secret_change: SecretChange,
        ops: impl IntoIterator<Item = &'a Op>,
    ) -> bool {
        let is_light = |op: &Op| matches!(op, Op::Add(_) | Op::Max(_) | Op::Min(_) | Op::RemoveIf(_));
        self.is_safe && !secret_change.is_rotation() && ops.into_iter().all(is_light)
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
        let (plain, login) = (SecretChange::None, SecretChange::Login);
        for (request, has_token, secret_change, expected) in [
            (same_site, false, plain, Beginning::Admitted),
            (same_site, false, login, Beginning::Admitted),
            (cross_site, true, plain, Beginning::Admitted),
            (cross_site, true, login, Beginning::Admitted),
            (cross_site, false, plain, Beginning::Dropped),
            (cross_site, false, SecretChange::Rotation, Beginning::Dropped),
            (cross_site, false, login, Beginning::Refused),
            (admitting, false, plain, Beginning::Dropped),
            (admitting, false, SecretChange::Rotation, Beginning::Dropped),
            (admitting, false, login, Beginning::Admitted),
        ] {
            assert_eq!(
                request.beginning(has_token, secret_change),
                expected,
                "{request:?} {has_token} {secret_change:?}"
            );
        }
    }

    #[test]
    fn a_page_is_worth_more_than_what_it_counts() {
        let page = RequestFacts { is_safe: true, ..RequestFacts::default() };
        let counted = Op::Add(Add { by: 1, start: 0, min: 0, max: 9 });
        let light = [counted.clone(), Op::Max(1), Op::Min(1), Op::RemoveIf("1".into())];
        assert!(page.stands_without(SecretChange::None, &light));
        assert!(page.stands_without(SecretChange::Renewal, &light));
        assert!(!RequestFacts::default().stands_without(SecretChange::None, &light), "an order");
        for secret_change in [
            SecretChange::Rotation,
            SecretChange::Reauthentication,
            SecretChange::Login,
            SecretChange::Logout,
        ] {
            assert!(!page.stands_without(secret_change, &light), "{secret_change:?}");
        }
        for heavy in [Op::Put("1".into()), Op::PutIfAbsent("1".into()), Op::Remove] {
            assert!(!page.stands_without(SecretChange::None, [&counted, &heavy]), "{heavy:?}");
        }
    }
}
