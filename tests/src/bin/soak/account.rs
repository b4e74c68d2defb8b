//! What a browser was told of a session, by the token that it holds.

use std::{
    fmt,
    time::{Duration, Instant},
};

use sessions::{RecordId, Timeouts};

use super::{app::Seen, ask::Kind};

/// At least as long as whatever goes on after a request was dropped may take; nothing happens later.
pub(crate) const TOO_LATE: Duration = Duration::from_secs(30);

/// What two clocks, the store's and ours, may differ by in the length of a minute.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How many characters of a token are the record's alone: of 17 bytes, version and id, whole ones.
const OF_RECORD: usize = 22;

const DROPPED: &str = "a put is back that a logout took away";
const DROPPED_DRAFT: &str = "a put is back that a login or a logout took away (draft)";

/// A token, and what a session must show to who presents it.
///
/// Who is logged in and with which rights is the token's: any change of it brings another token. The
/// other fields are the record's, of which no other token is alive.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) token: Box<str>,
    /// Which of its browser's tokens it is.
    pub(crate) label: u32,
    /// Once it was seen.
    pub(crate) record: Option<RecordId>,
    pub(crate) user: u64,
    pub(crate) role: u64,
    pub(crate) clicks: Counter,
    pub(crate) count: Counter,
    pub(crate) note: Register,
    pub(crate) draft: Register,
    /// The last use that was acknowledged.
    pub(crate) used: Instant,
    /// Whether the record has longer to live than a first visit's.
    pub(crate) is_known: bool,
    /// Until then a rotation may happen of which nobody knows.
    pub(crate) may_be_rotated: Option<Instant>,
    /// Until then the session may be ended without anybody knowing.
    pub(crate) may_be_ended: Option<Instant>,
    /// Why nobody must be shown anything for it, ever again.
    pub(crate) dead: Option<Death>,
}

/// Why a token is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Another one has taken its place.
    Replaced,
    /// Its session was ended.
    Ended,
    /// It was of no worth when it was last presented.
    Unknown,
}

/// A counter: what was acknowledged, and what may have been added beside it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counter {
    pub(crate) sure: u64,
    pub(crate) maybe: u64,
}

impl Counter {
    fn put_up_with(&mut self, seen: u64) {
        let most = self.sure + self.maybe;
        self.sure = self.sure.min(seen);
        self.maybe = most.max(seen) - self.sure;
    }

    pub(crate) const fn allows(self, seen: u64) -> bool {
        self.sure <= seen && seen <= self.sure + self.maybe
    }
}

/// A field of which the last write stays: those that may be the last one.
#[derive(Clone, Debug)]
pub(crate) struct Register(Vec<Written>);

#[derive(Clone, Copy, Debug)]
struct Written {
    value: u64,
    /// When it has happened, if it has.
    until: Instant,
}

impl Register {
    pub(crate) fn new(value: u64, until: Instant) -> Self {
        Self(vec![Written { value, until }])
    }

    pub(crate) fn allows(&self, seen: u64) -> bool {
        self.0.iter().any(|written| written.value == seen)
    }

    /// Whether nothing can be there.
    fn is_dropped(&self) -> bool {
        self.0.iter().all(|written| written.value == 0)
    }

    /// For people: without the browser's number.
    fn values(&self) -> Vec<u64> {
        self.0.iter().map(|written| written.value & u64::from(u32::MAX)).collect()
    }

    /// A write that was acknowledged: nothing that had happened before it was sent is left.
    pub(crate) fn put(&mut self, value: u64, sent: Instant, done: Instant) {
        self.0.retain(|written| written.until >= sent);
        self.0.push(Written { value, until: done });
    }

    /// A write that may have happened, or may yet.
    pub(crate) fn may_put(&mut self, value: u64, done: Instant) {
        self.0.push(Written { value, until: done + TOO_LATE });
    }

    /// Notes that what has not happened never will.
    fn fence(&mut self, done: Instant) {
        for written in &mut self.0 {
            written.until = written.until.min(done);
        }
    }

    /// None of it can be there any more.
    fn reset(&mut self, done: Instant) {
        *self = Self::new(0, done);
    }
}

impl Account {
    /// A session that a request began.
    pub(crate) fn new(
        token: Box<str>,
        label: u32,
        kind: Kind,
        value: u64,
        [sent, done]: [Instant; 2],
    ) -> Self {
        let of = |wanted| if kind == wanted { value } else { 0 };
        let counted = |wanted| Counter { sure: u64::from(kind == wanted), maybe: 0 };
        Self {
            token,
            label,
            record: None,
            user: of(Kind::Login),
            role: of(Kind::Grant),
            clicks: counted(Kind::Click),
            count: counted(Kind::Add),
            note: Register::new(of(Kind::Note), done),
            draft: Register::new(of(Kind::Draft), done),
            used: sent,
            is_known: kind.gives_rights(),
            may_be_rotated: None,
            may_be_ended: None,
            dead: None,
        }
    }

    /// The same session after a request gave it another token.
    pub(crate) fn successor(
        &self,
        token: Box<str>,
        label: u32,
        kind: Kind,
        value: u64,
        done: Instant,
    ) -> Self {
        let mut next = Self { token, label, may_be_rotated: None, is_known: true, ..self.clone() };
        next.note.fence(done);
        next.draft.fence(done);
        match kind {
            Kind::Login if self.user == 0 => {
                next.user = value;
                next.draft.reset(done);
            }
            Kind::Login => {
                next.drop_all_but_carried(done);
                next.user = value;
            }
            Kind::Logout if self.user != 0 => next.drop_all_but_carried(done),
            Kind::Grant => next.role = value,
            Kind::Revoke => next.role = 0,
            _ => {}
        }
        next
    }

    /// Allows what was seen from now on, so that what is wrong is told once.
    pub(crate) fn put_up_with(&mut self, seen: &Seen, done: Instant) {
        (self.user, self.role) = (seen.user, seen.role);
        self.clicks.put_up_with(seen.clicks);
        self.count.put_up_with(seen.count);
        self.note.may_put(seen.left, done);
        self.draft.may_put(seen.draft, done);
    }

    fn drop_all_but_carried(&mut self, done: Instant) {
        (self.user, self.role, self.count) = (0, 0, Counter::default());
        self.note.reset(done);
        self.draft.reset(done);
    }

    /// Whether a token is of the same record.
    pub(crate) fn shares_record(&self, token: &str) -> bool {
        let own = self.token.get(..OF_RECORD);
        own.is_some() && own == token.get(..OF_RECORD)
    }

    /// Whether the session must be there.
    pub(crate) fn is_certain(&self, at: Instant, timeouts: &Timeouts) -> bool {
        let idle = if self.is_known { timeouts.idle() } else { timeouts.idle().min(timeouts.first_visit()) };
        let is_in_time = at.saturating_duration_since(self.used) + TOLERANCE < idle;
        self.dead.is_none() && self.may_be_rotated.is_none() && self.may_be_ended.is_none() && is_in_time
    }

    /// What is wrong with what the session shows, if anything is. `also` are writes that were under way.
    pub(crate) fn objection(&self, seen: &Seen, browser: u32, also: &Underway) -> Option<&'static str> {
        let (clicks, count) = (self.clicks, self.count);
        let clicks = Counter { maybe: clicks.maybe + also.clicks, ..clicks };
        let count = Counter { maybe: count.maybe + also.adds, ..count };
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

impl fmt::Display for Account {
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

/// Writes that were under way at the time.
#[derive(Debug, Default)]
pub(crate) struct Underway {
    pub(crate) clicks: u64,
    pub(crate) adds: u64,
    pub(crate) notes: Vec<u64>,
    pub(crate) drafts: Vec<u64>,
}
