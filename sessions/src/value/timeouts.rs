//! The lifetime of a session.

use std::time::Duration;

use super::{Credentials, Timestamp};

/// The times for which a session lives: without use, and in all.
///
/// There are three kinds of sessions:
///
/// - those of visitors, which hold no right;
/// - those of users, which hold a right, such as an identity;
/// - those of users who asked to be remembered ([`Handle::remember`](crate::Handle::remember)).
///
/// [`new`](Self::new) sets the same times for all. [`with_visitors`](Self::with_visitors) and
/// [`with_remembered`](Self::with_remembered) set other times for their kind. The default is one day without use
/// and thirty days in all; a remembered session may go unused for the whole thirty days.
///
/// ```
/// use std::time::Duration;
/// use sessions::Timeouts;
///
/// const DAY: Duration = Duration::from_hours(24);
/// // Half an hour without use for users, a month for the carts of visitors and for "stay logged in".
/// let timeouts = Timeouts::new(Duration::from_mins(30), DAY)
///     .with_visitors(30 * DAY, 90 * DAY)
///     .with_remembered(30 * DAY, 90 * DAY);
/// # let _ = timeouts;
/// ```
///
/// Times count from what the store recorded, and today's configuration decides. So a shorter timeout acts at once.
///
/// A session's use is noted at most once per [touch window](Self::touch_window). So it lives from
/// `idle` to `idle` plus one window after its last use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The times of the session at hand; of a user's, until there is one.
    own: Lifetime,
    visitors: Lifetime,
    users: Lifetime,
    remembered: Lifetime,
    first_visit: Duration,
    renewal: Option<Duration>,
}

/// The longest time that one session lives, without use and in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
}

/// The kinds of sessions that may live for different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// It holds no right.
    Visitor,
    /// It holds a right.
    User,
    /// It holds a right, and its user asked to be remembered.
    Remembered,
}

impl SessionKind {
    pub(crate) const fn new(holds_rights: bool, is_remembered: bool) -> Self {
        match (holds_rights, is_remembered) {
            (false, _) => Self::Visitor,
            (true, false) => Self::User,
            (true, true) => Self::Remembered,
        }
    }
}

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// The default time in all.
pub(crate) const DEFAULT_ABSOLUTE: Duration = DAY.saturating_mul(30);

/// The bounds of the touch window.
const LEAST_WINDOW: Duration = Duration::from_secs(1);
const MOST_WINDOW: Duration = Duration::from_hours(1);

/// The time that a visitor has to come back: as long as a sign-in elsewhere or a long form takes.
const FIRST_VISIT: Duration = Duration::from_hours(1);

impl Timeouts {
    /// Ends a session after `idle` without use and, whatever happens, after `absolute`. These times are the same for
    /// visitors, users and users who asked to be remembered.
    #[must_use]
    pub const fn new(idle: Duration, absolute: Duration) -> Self {
        let all = Lifetime { idle, absolute };
        Self { own: all, visitors: all, users: all, remembered: all, first_visit: FIRST_VISIT, renewal: None }
    }

    /// Returns the times of authentication assurance level 1 of NIST SP 800-63B-4 (section 2.1.3): 30 days in all.
    #[must_use]
    pub const fn aal1() -> Self {
        Self::new(DEFAULT_ABSOLUTE, DEFAULT_ABSOLUTE)
    }

    /// Returns the times of level 2 (section 2.2.3): at most an hour without use, and a day in all. Users who asked to be remembered
    /// get no more.
    #[must_use]
    pub const fn aal2() -> Self {
        Self::new(Duration::ZERO, DAY).idle_at_most(Duration::from_hours(1))
    }

    /// Returns the times of level 3 (section 2.3.3): at most a quarter of an hour without use, and twelve hours in all. Users who
    /// asked to be remembered get no more.
    #[must_use]
    pub const fn aal3() -> Self {
        Self::new(Duration::ZERO, Duration::from_hours(12)).idle_at_most(Duration::from_mins(15))
    }

    /// Ends a session of any kind at most so long after its last use. A use is noted once per touch window, so
    /// the session may end one window sooner: [`idle`](Self::idle) is that much shorter.
    #[must_use]
    pub const fn idle_at_most(mut self, most: Duration) -> Self {
        // The window is a twenty-fourth of what is left, or its least or most.
        let window = match most.checked_div(25) {
            Some(window) => window.saturating_add(Duration::from_nanos(1)),
            None => Duration::ZERO,
        };
        let idle = most.saturating_sub(window);
        let idle = match idle.as_secs() / 24 {
            0 => most.saturating_sub(LEAST_WINDOW),
            seconds if seconds >= MOST_WINDOW.as_secs() => most.saturating_sub(MOST_WINDOW),
            _ => idle,
        };
        self.own.idle = idle;
        self.visitors.idle = idle;
        self.users.idle = idle;
        self.remembered.idle = idle;
        self
    }

    /// Gives sessions that hold no right these times, in place of the users' ones.
    #[must_use]
    pub const fn with_visitors(mut self, idle: Duration, absolute: Duration) -> Self {
        self.visitors = Lifetime { idle, absolute };
        self
    }

    /// Gives sessions of users who asked to be remembered ([`remember(true)`](crate::Handle::remember)) these
    /// times, in place of the other users' ones. Existing sessions follow at once.
    #[must_use]
    pub const fn with_remembered(mut self, idle: Duration, absolute: Duration) -> Self {
        self.remembered = Lifetime { idle, absolute };
        self
    }

    /// Renews the secret of a session that holds a right when it is this old, and at least a minute: see
    /// [`Handle::renew`](crate::Handle::renew). By default it is not renewed.
    #[must_use]
    pub const fn with_renewal(mut self, age: Duration) -> Self {
        self.renewal = Some(age);
        self
    }

    /// Returns the age at which a secret is renewed, if it is.
    #[must_use]
    pub const fn renewal(&self) -> Option<Duration> {
        self.renewal
    }

    /// Returns the times of a session with these credentials, for a store that purges. A shorter time of the session's
    /// own is not included.
    #[must_use]
    pub fn of(&self, credentials: &Credentials) -> Self {
        self.of_kind(credentials.kind())
    }

    /// Returns the times of a session of this kind.
    pub(crate) const fn of_kind(mut self, kind: SessionKind) -> Self {
        self.own = match kind {
            SessionKind::Visitor => self.visitors,
            SessionKind::User => self.users,
            SessionKind::Remembered => self.remembered,
        };
        self
    }

    /// Shortens the times to those of the session's own.
    pub(crate) fn within(mut self, lifetime: Option<Lifetime>) -> Self {
        if let Some(Lifetime { idle, absolute }) = lifetime {
            self.own = Lifetime { idle: self.own.idle.min(idle), absolute: self.own.absolute.min(absolute) };
        }
        self
    }

    /// Returns the longest time without use: of a user's session, or of the session given to [`of`](Self::of).
    #[must_use]
    pub const fn idle(&self) -> Duration {
        self.own.idle
    }

    /// Returns the longest time in all, of the same session as [`idle`](Self::idle).
    #[must_use]
    pub const fn absolute(&self) -> Duration {
        self.own.absolute
    }

    /// Ends a session that holds no right after this time, one hour by default, if its token never comes back.
    /// Otherwise robots and browsers without cookies would fill the store. The time must be long enough for a
    /// sign-in at another site, or for a long form: their data were stored on a first visit.
    #[must_use]
    pub const fn with_first_visit(mut self, first_visit: Duration) -> Self {
        self.first_visit = first_visit;
        self
    }

    /// Returns the time that a visitor has to come back.
    #[must_use]
    pub const fn first_visit(&self) -> Duration {
        self.first_visit
    }

    /// Returns the time for which use goes unrecorded: a twenty-fourth of `idle`, from one second to one hour.
    #[must_use]
    pub fn touch_window(&self) -> Duration {
        (self.own.idle / 24).clamp(LEAST_WINDOW, MOST_WINDOW)
    }

    /// Returns the time for which a record lives after its last noted use.
    pub(crate) fn idle_and_window(&self) -> Duration {
        self.own.idle.saturating_add(self.touch_window())
    }

    /// Returns the time when a record ends if it is not used again: the earlier of the two deadlines.
    ///
    /// A record that was touched before it was created is a visitor's who has not come back.
    #[must_use]
    pub fn deadline(&self, created: Timestamp, touched: Timestamp) -> Timestamp {
        let idle = self.idle_and_window();
        let idle = if touched < created { idle.min(self.first_visit) } else { idle };
        let idle = touched.max(created).saturating_add(idle);
        idle.min(created.saturating_add(self.own.absolute))
    }

    /// Returns true if a record is alive at `now`.
    #[must_use]
    pub fn is_alive(&self, created: Timestamp, touched: Timestamp, now: Timestamp) -> bool {
        now < self.deadline(created, touched)
    }

    /// Returns true if a use at `now` must be recorded.
    #[must_use]
    pub fn needs_touch(&self, created: Timestamp, touched: Timestamp, now: Timestamp) -> bool {
        touched < created || now.saturating_since(touched) >= self.touch_window()
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new(DAY, DEFAULT_ABSOLUTE).with_remembered(DEFAULT_ABSOLUTE, DEFAULT_ABSOLUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_lives_at_least_idle_and_at_most_a_window_longer() {
        let timeouts = Timeouts::new(seconds(2400), seconds(1_000_000));
        assert_eq!(timeouts.touch_window(), seconds(100));
        assert!(timeouts.is_alive(at(0), at(0), at(2499)));
        assert!(!timeouts.is_alive(at(0), at(0), at(2500)));
        assert!(!timeouts.needs_touch(at(0), at(0), at(99)));
        assert!(timeouts.needs_touch(at(0), at(0), at(100)));
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let timeouts = Timeouts::new(seconds(2400), seconds(3000));
        assert_eq!(timeouts.deadline(at(0), at(0)), at(2500));
        assert_eq!(timeouts.deadline(at(0), at(1000)), at(3000));
    }

    #[test]
    fn a_visitor_has_an_hour_to_come_back() {
        let timeouts = Timeouts::default();
        let (created, before) = (at(100), Timestamp::from_millis(99_999));
        assert_eq!(timeouts.deadline(created, before), at(3700));
        assert_eq!(timeouts.with_first_visit(seconds(5)).deadline(created, before), at(105));
        assert!(timeouts.is_alive(created, created, at(80_000)));
        assert!(timeouts.needs_touch(created, before, created));
        assert!(!timeouts.needs_touch(created, created, created));
    }

    #[test]
    fn at_most_is_at_most_and_nearly_that() {
        for most in [2, 10, 24, 25, 26, 60, 900, 3600, 86_400, 90_000, 100_000, 10_000_000] {
            let timeouts = Timeouts::new(Duration::ZERO, Duration::MAX).idle_at_most(seconds(most));
            let longest = timeouts.idle() + timeouts.touch_window();
            assert!(longest <= seconds(most), "{most}: {longest:?}");
            assert!(longest + seconds(1) >= seconds(most), "{most}: {longest:?}");
        }
        let longest = |timeouts: Timeouts| (timeouts.deadline(at(0), at(0)), timeouts.absolute());
        assert_eq!(longest(Timeouts::aal1()), (at(30 * 86_400), DAY * 30));
        assert!(longest(Timeouts::aal2()).0 <= at(3600) && longest(Timeouts::aal2()).1 == DAY);
        assert!(longest(Timeouts::aal3()).0 <= at(900) && longest(Timeouts::aal3()).1 == DAY / 2);
    }

    #[test]
    fn each_kind_of_session_has_its_own_times() {
        let kinds = [SessionKind::Visitor, SessionKind::User, SessionKind::Remembered];
        let times = |timeouts: Timeouts| {
            kinds.map(|kind| timeouts.of_kind(kind)).map(|of| (of.idle().as_secs(), of.absolute().as_secs()))
        };
        let timeouts = Timeouts::new(seconds(10), seconds(20));
        assert_eq!(times(timeouts), [(10, 20); 3]);
        let timeouts =
            timeouts.with_visitors(seconds(1), seconds(2)).with_remembered(seconds(30), seconds(40));
        assert_eq!(times(timeouts), [(1, 2), (10, 20), (30, 40)]);
        assert_eq!((timeouts.idle(), timeouts.absolute()), (seconds(10), seconds(20)));
        let own = Lifetime { idle: seconds(15), absolute: seconds(100) };
        let of = timeouts.of_kind(SessionKind::Remembered).within(Some(own));
        assert_eq!((of.idle(), of.absolute()), (seconds(15), seconds(40)));
        assert_eq!(times(of), times(timeouts), "the layer's are still there");
        let (day, month) = (86_400, 30 * 86_400);
        assert_eq!(times(Timeouts::default()), [(day, month), (day, month), (month, month)]);
        // A level or a limit holds for all kinds.
        for timeouts in [Timeouts::aal1(), Timeouts::aal2(), Timeouts::aal3(), timeouts.idle_at_most(DAY)] {
            assert_eq!(times(timeouts).map(|(idle, _)| idle), [timeouts.idle().as_secs(); 3]);
        }
    }

    #[test]
    fn the_window_is_bounded() {
        assert_eq!(Timeouts::new(seconds(5), seconds(9)).touch_window(), seconds(1));
        assert_eq!(Timeouts::new(seconds(90 * 86400), seconds(9)).touch_window(), seconds(3600));
    }

    #[test]
    fn very_long_timeouts_do_not_overflow() {
        let forever = Timeouts::new(Duration::MAX, Duration::MAX);
        assert!(forever.is_alive(at(0), at(0), Timestamp::from_millis(i64::MAX - 1)));
        assert_eq!(forever.deadline(Timestamp::from_millis(i64::MAX), at(0)).as_millis(), i64::MAX);
    }

    #[test]
    fn a_clock_that_went_back_is_no_use_and_no_panic() {
        assert!(!Timeouts::default().needs_touch(at(0), at(1000), at(0)));
    }
}
