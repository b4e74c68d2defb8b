//! Changes of the browser's cookie, and the time for which the browser keeps one.

use std::time::Duration;

use crate::value::{DAY, Timeouts, Token, hours};

/// The longest time for which a browser keeps a cookie (RFC 6265bis section 5.5): 400 days.
const LONGEST_COOKIE: Duration = Duration::from_hours(400 * 24);

/// A change of the browser's cookie by the response.
#[derive(Debug, Default)]
pub(crate) enum CookieChange {
    /// It leaves the cookie alone.
    #[default]
    None,
    /// It sends another token.
    Set {
        /// The token.
        token: Token,
        /// The time for which the browser keeps it; `None` until it is closed.
        max_age: Option<Duration>,
        /// True if the token has the powers of the one before.
        is_renewal: bool,
    },
    /// It removes the cookie.
    Remove,
}

/// The time for which the browser keeps the cookie of a record of this age.
pub(super) fn max_age(timeouts: &Timeouts, age: Duration) -> Duration {
    timeouts.absolute().saturating_sub(age).min(LONGEST_COOKIE)
}

/// The age of the record, in hours, at which the browser forgets a cookie that it is given at this age.
pub(super) fn cookie_hours(timeouts: &Timeouts, age: Duration) -> u32 {
    hours(age.saturating_add(max_age(timeouts, age)))
}

/// The age of the record, in hours, until which a cookie is needed that is sent back at this age: until the record
/// ends, if this is its last use. That may be later than the cookie's end, where the layer's timeouts are longer
/// than when it was sent, or longer than browsers keep any cookie.
pub(super) fn hours_needed(timeouts: &Timeouts, age: Duration) -> u32 {
    let unused = age.saturating_add(timeouts.idle_and_window());
    // A new cookie lasts for no more than this. A day less, so that it is not due with each request.
    let most = age.saturating_add(LONGEST_COOKIE.saturating_sub(DAY));
    hours(unused.min(timeouts.absolute()).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_cookie_of_the_same_times_is_never_too_short() {
        for idle in [Duration::ZERO, HOUR / 7, DAY, 30 * DAY, Duration::MAX] {
            for absolute in [Duration::ZERO, HOUR / 2, 61 * HOUR / 60, 30 * DAY, 400 * DAY] {
                let timeouts = Timeouts::new(idle, absolute);
                let cookie = cookie_hours(&timeouts, Duration::ZERO);
                for share in 0..=20 {
                    let age = absolute * share / 20;
                    assert!(hours_needed(&timeouts, age) <= cookie, "{idle:?} {absolute:?} {age:?}");
                    assert_eq!(cookie_hours(&timeouts, age), cookie, "a rotation moves no deadline");
                }
            }
        }
    }

    #[test]
    fn a_cookie_is_too_short_once_its_session_might_outlive_it() {
        let (before, now) = (Timeouts::new(DAY, 30 * DAY), Timeouts::new(DAY, 90 * DAY));
        let cookie = cookie_hours(&before, 3 * DAY);
        assert_eq!(cookie, 30 * 24);
        // A day and an hour before its end, unused after that.
        assert!(hours_needed(&now, 28 * DAY + 23 * HOUR) <= cookie);
        assert!(hours_needed(&now, 29 * DAY) > cookie);
        assert!(hours_needed(&now, 89 * DAY) <= cookie_hours(&now, 29 * DAY));
        // Longer than browsers keep one: not with each request.
        let forever = Timeouts::new(Duration::MAX, Duration::MAX);
        let cookie = cookie_hours(&forever, DAY);
        assert_eq!(cookie, 401 * 24);
        assert!(hours_needed(&forever, DAY + 23 * HOUR) <= cookie);
        assert!(hours_needed(&forever, 2 * DAY + HOUR) > cookie);
    }
}
