//! CPU time of this process.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// User and system time that all threads have used so far.
pub fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage on oneself cannot fail");
    duration(usage.user_time()) + duration(usage.system_time())
}

fn duration(time: TimeVal) -> Duration {
    Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
}
