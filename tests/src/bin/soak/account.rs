//! The account of a session: the responses that a browser got, by the token that it holds.

use std::{
    fmt,
    time::{Duration, Instant},
};

use sessions::{RecordId, Timeouts};

use super::{app::SeenSession, ask::AskKind};

/// The longest time that work goes on after its request was dropped. Nothing of it happens later.
pub(crate) const TOO_LATE: Duration = Duration::from_secs(30);

/// The difference between the store's clock and this process' one in the length of a minute.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The number of characters of a token that belong to the record alone: the whole ones of 17 bytes, version and id.
const OF_RECORD: usize = 22;

const DROPPED: &str = "a put is back that a logout took away";
const DROPPED_DRAFT: &str = "a put is back that a login or a logout took away (draft)";

/// A token, and the contents that a session must show to a request with it.
///
/// The user and the rights belong to the token, since any change of them brings another token. The other fields
/// belong to the record, of which no other token is alive.
#[derive(Clone, Debug)]
pub(crate) struct TokenAccount {
    pub(crate) token: Box<str>,
    /// The number of the token among those of its browser.
    pub(crate) label: u32,
    /// The record, once a response has shown it.
    pub(crate) record: Option<RecordId>,
    pub(crate) user: u64,
    pub(crate) role: u64,
    pub(crate) clicks: CounterBounds,
    pub(crate) count: CounterBounds,
    pub(crate) note: Register,
    pub(crate) draft: Register,
    /// The moment of the last use that was acknowledged.
    pub(crate) used: Instant,
    /// True if the record lives longer than that of a first visit.
    pub(crate) is_known: bool,
    /// The moment until which a rotation of unknown outcome may happen.
    pub(crate) may_be_rotated: Option<Instant>,
    /// The moment until which an end of the session of unknown outcome may happen.
    pub(crate) may_be_ended: Option<Instant>,
    /// The reason that the token must never show anything again.
    pub(crate) dead: Option<Death>,
}

/// The reason that a token is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Another one has taken its place.
    Replaced,
    /// Its session was ended.
    Ended,
    /// It was not accepted when it was last presented.
    Unknown,
}

/// The bounds of a counter: the acknowledged additions, and those of unknown outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CounterBounds {
    pub(crate) sure: u64,
    pub(crate) maybe: u64,
}

impl CounterBounds {
    fn put_up_with(&mut self, seen: u64) {
        let most = self.sure + self.maybe;
        self.sure = self.sure.min(seen);
        self.maybe = most.max(seen) - self.sure;
    }

    pub(crate) const fn allows(self, seen: u64) -> bool {
        self.sure <= seen && seen <= self.sure + self.maybe
    }
}

/// A field whose last write stays, as the writes that may be the last one.
#[derive(Clone, Debug)]
pub(crate) struct Register(Vec<PossibleWrite>);

#[derive(Clone, Copy, Debug)]
struct PossibleWrite {
    value: u64,
    /// The moment at which it happened, if it did.
    until: Instant,
}

impl Register {
    pub(crate) fn new(value: u64, until: Instant) -> Self {
        Self(vec![PossibleWrite { value, until }])
    }

    pub(crate) fn allows(&self, seen: u64) -> bool {
        self.0.iter().any(|written| written.value == seen)
    }

    /// Returns true if the field must be empty.
    fn is_dropped(&self) -> bool {
        self.0.iter().all(|written| written.value == 0)
    }

    /// Returns a text for messages, without the browser's number.
    fn values(&self) -> Vec<u64> {
        self.0.iter().map(|written| written.value & u64::from(u32::MAX)).collect()
    }

    /// Notes a write that was acknowledged. It replaces all that had happened before it was sent.
    pub(crate) fn put(&mut self, value: u64, sent: Instant, done: Instant) {
        self.0.retain(|written| written.until >= sent);
        self.0.push(PossibleWrite { value, until: done });
    }

    /// Notes a write that may have happened, or may happen later.
    pub(crate) fn may_put(&mut self, value: u64, done: Instant) {
        self.0.push(PossibleWrite { value, until: done + TOO_LATE });
    }

    /// Notes that writes which have not happened never will.
    fn fence(&mut self, done: Instant) {
        for written in &mut self.0 {
            written.until = written.until.min(done);
        }
    }

    /// Notes that all writes were dropped at this moment.
    fn reset(&mut self, done: Instant) {
        *self = Self::new(0, done);
    }
}

impl TokenAccount {
    /// Creates the account of a session that a request began.
    pub(crate) fn new(
        token: Box<str>,
        label: u32,
        kind: AskKind,
        value: u64,
        [sent, done]: [Instant; 2],
    ) -> Self {
        let of = |wanted| if kind == wanted { value } else { 0 };
        let counted = |wanted| CounterBounds { sure: u64::from(kind == wanted), maybe: 0 };
        Self {
            token,
            label,
            record: None,
            user: of(AskKind::Login),
            role: of(AskKind::Grant),
            clicks: counted(AskKind::Click),
            count: counted(AskKind::Add),
            note: Register::new(of(AskKind::Note), done),
            draft: Register::new(of(AskKind::Draft), done),
            used: sent,
            is_known: kind.gives_rights(),
            may_be_rotated: None,
            may_be_ended: None,
            dead: None,
        }
    }

    /// Creates the account of the same session after a request gave it another token.
    pub(crate) fn successor(
        &self,
        token: Box<str>,
        label: u32,
        kind: AskKind,
        value: u64,
        done: Instant,
    ) -> Self {
        let mut next = Self { token, label, may_be_rotated: None, is_known: true, ..self.clone() };
        next.note.fence(done);
        next.draft.fence(done);
        match kind {
            AskKind::Login if self.user == 0 => {
                next.user = value;
                next.draft.reset(done);
            }
            AskKind::Login => {
                next.drop_all_but_carried(done);
                next.user = value;
            }
            AskKind::Logout if self.user != 0 => next.drop_all_but_carried(done),
            AskKind::Grant => next.role = value,
            AskKind::Revoke => next.role = 0,
            _ => {}
        }
        next
    }

    /// Allows the contents that were seen from now on, so that an error is reported once.
    pub(crate) fn put_up_with(&mut self, seen: &SeenSession, done: Instant) {
        (self.user, self.role) = (seen.user, seen.role);
        self.clicks.put_up_with(seen.clicks);
        self.count.put_up_with(seen.count);
        self.note.may_put(seen.left, done);
        self.draft.may_put(seen.draft, done);
    }

    fn drop_all_but_carried(&mut self, done: Instant) {
        (self.user, self.role, self.count) = (0, 0, CounterBounds::default());
        self.note.reset(done);
        self.draft.reset(done);
    }

    /// Returns true if a token belongs to the same record.
    pub(crate) fn shares_record(&self, token: &str) -> bool {
        let own = self.token.get(..OF_RECORD);
        own.is_some() && own == token.get(..OF_RECORD)
    }

    /// Returns true if the session must exist.
    pub(crate) fn is_certain(&self, at: Instant, timeouts: &Timeouts) -> bool {
        let idle = if self.is_known { timeouts.idle() } else { timeouts.idle().min(timeouts.first_visit()) };
        let is_in_time = at.saturating_duration_since(self.used) + TOLERANCE < idle;
        self.dead.is_none() && self.may_be_rotated.is_none() && self.may_be_ended.is_none() && is_in_time
    }

    /// Returns an error in the contents of the session, if there is one. `also` are writes that were under way.
    pub(crate) fn objection(
        &self,
        seen: &SeenSession,
        browser: u32,
        also: &Underway,
    ) -> Option<&'static str> {
        let (clicks, count) = (self.clicks, self.count);
        let clicks = CounterBounds { maybe: clicks.maybe + also.clicks, ..clicks };
        let count = CounterBounds { maybe: count.maybe + also.adds, ..count };
        let is_own = |value: u64| value == 0 || value >> 32 == u64::from(browser);
        let values = [seen.left, seen.right, seen.draft, seen.user, seen.role];
        let checks = [
            (self.dead.is_none(), "a token that was dead shows a session"),
            (seen.browser.is_none_or(|number| number == browser), "another browser's session"),
            (values.into_iter().all(is_own), "another browser's value"),
            (self.record.is_none_or(|record| record == seen.record), "another record"),
            (seen.user == self.user, "another user, or none, than the token stands for"),
            (seen.role == self.role, "another right, or none, than the token stands for"),
            (seen.clicks >= clicks.sure, "an acknowledged addition is lost (carried)"),
            (clicks.allows(seen.clicks), "more additions than were sent (carried)"),
            (seen.count >= count.sure, "an acknowledged addition is lost"),
            (count.allows(seen.count), "more additions than were sent, or what a logout took away"),
            (seen.left == seen.right, "half a commit"),
            (!self.note.is_dropped() || seen.left == 0 || also.notes.contains(&seen.left), DROPPED),
            (!self.draft.is_dropped() || seen.draft == 0 || also.drafts.contains(&seen.draft), DROPPED_DRAFT),
            (
                self.note.allows(seen.left) || also.notes.contains(&seen.left),
                "an acknowledged put is lost, or an older one came back",
            ),
            (
                self.draft.allows(seen.draft) || also.drafts.contains(&seen.draft),
                "an acknowledged put is lost, or an older one came back (draft)",
            ),
        ];
        checks.into_iter().find_map(|(holds, objection)| (!holds).then_some(objection))
    }
}

impl fmt::Display for TokenAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = |value: u64| value & u64::from(u32::MAX);
        let Self { label, clicks, count, may_be_rotated, may_be_ended, dead, .. } = self;
        write!(
            f,
            "token {label}: clicks {} to {}, count {} to {}, note {:?}, draft {:?}, user {}, role {}",
            clicks.sure,
            clicks.sure + clicks.maybe,
            count.sure,
            count.sure + count.maybe,
            self.note.values(),
            self.draft.values(),
            low(self.user),
            low(self.role),
        )?;
        for (holds, text) in [
            (may_be_rotated.is_some(), "may have been rotated"),
            (may_be_ended.is_some(), "may have been ended"),
            (*dead == Some(Death::Replaced), "dead: replaced"),
            (*dead == Some(Death::Ended), "dead: ended"),
            (*dead == Some(Death::Unknown), "dead: it showed nothing before"),
        ] {
            if holds {
                write!(f, "; {text}")?;
            }
        }
        Ok(())
    }
}

/// The writes that were under way at the time.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    pub(crate) clicks: u64,
    pub(crate) adds: u64,
    pub(crate) notes: Vec<u64>,
    pub(crate) drafts: Vec<u64>,
}
