//! The counts of a run, and its errors.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{ask::AskKind, settle::RequestEnd};

/// The number of errors of a kind that are printed. All are counted.
const TOLD: u64 = 3;

/// The time for which dead records may be found in a store, which is purged once a minute.
pub(crate) const CLEARED_AFTER: Duration = Duration::from_secs(75);

/// The time after which no work of a dropped request is done.
const LATE: Duration = Duration::from_secs(5);

/// The manner in which a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Alone,
    /// With others at once.
    AtOnce,
    /// With a token that the browser had before.
    Former,
    /// By a browser that takes no cookie.
    Stranger,
}

/// The counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: [Ends; 11],
    at_once: AtomicU64,
    former: AtomicU64,
    strangers: AtomicU64,
    drops: AtomicU64,
    /// The errors, by kind.
    violations: Mutex<BTreeMap<String, u64>>,
    store_errors: AtomicU64,
    /// The number of records of which browsers may have tokens.
    records: AtomicUsize,
    left: Mutex<Left>,
}

#[derive(Debug, Default)]
struct Ends {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    outcome_unknown: AtomicU64,
}

/// The moments until which records may be found of which no browser has a token, in one list for each lifetime.
#[derive(Debug, Default)]
struct Left(Vec<(Duration, VecDeque<(Instant, usize)>)>);

impl Tally {
    pub(crate) fn count(
        &self,
        kind: AskKind,
        manner: Manner,
        end: &RequestEnd,
        fails: bool,
        is_to_be_dropped: bool,
    ) {
        let ends = &self.kinds[kind.index()];
        let counted = match end {
            RequestEnd::Answered(_) if fails => &ends.failed,
            RequestEnd::Answered(_) => &ends.acknowledged,
            RequestEnd::Refused | RequestEnd::Strange => &ends.refused,
            RequestEnd::OutcomeUnknown => &ends.outcome_unknown,
        };
        add(counted);
        match manner {
            Manner::Alone => {}
            Manner::AtOnce => add(&self.at_once),
            Manner::Former => add(&self.former),
            Manner::Stranger => add(&self.strangers),
        }
        if is_to_be_dropped && *end == RequestEnd::OutcomeUnknown {
            add(&self.drops);
        }
    }

    /// Notes an error, and prints the requests before it.
    pub(crate) fn violate(&self, what: &str, story: impl FnOnce() -> String) {
        let mut violations = lock(&self.violations);
        let count = violations.entry(what.to_owned()).or_default();
        *count += 1;
        if *count <= TOLD {
            println!("VIOLATION: {what}\n{}", story());
        }
    }

    pub(crate) fn store_failed(&self) {
        add(&self.store_errors);
    }

    /// Notes records of which no browser has a token, with this lifetime.
    pub(crate) fn leave(&self, records: usize, lifetime: Duration) {
        if records != 0 {
            let until = Instant::now() + lifetime + lifetime / 24 + LATE;
            lock(&self.left).add(lifetime, until, records);
        }
    }

    /// Notes the number of records of which a browser may have tokens, and the number before.
    pub(crate) fn note_records(&self, now: usize, before: usize) {
        self.records.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Returns the largest number of records, if dead ones stay for this long.
    pub(crate) fn explained(&self, dead_stay: Duration) -> usize {
        self.records.load(Ordering::Relaxed) + lock(&self.left).count(Instant::now(), dead_stay)
    }

    pub(crate) fn violations(&self) -> u64 {
        lock(&self.violations).values().sum()
    }

    /// Returns the errors by kind.
    pub(crate) fn violations_by_kind(&self) -> String {
        lock(&self.violations).iter().fold(String::new(), |mut all, (what, count)| {
            let _ = writeln!(all, "  {count:>7}  {what}");
            all
        })
    }

    pub(crate) fn requests(&self) -> u64 {
        self.kinds.iter().map(Ends::all).sum()
    }

    /// Returns the counts as a table, of a run that took this long.
    pub(crate) fn table(&self, took: Duration) -> String {
        let mut table = String::new();
        let mut row = |cells: [String; 7]| {
            let [name, numbers @ ..] = cells;
            let _ = write!(table, "{name:<9}");
            for number in numbers {
                let _ = write!(table, "{number:>13}");
            }
            table.push('\n');
        };
        row(["requests", "sent", "per second", "acknowledged", "failed (500)", "refused", "unknown"]
            .map(str::to_owned));
        let numbers = |name: &str, all: u64, ends: [u64; 4]| {
            let per_second = format!("{:.0}", rate(all, took));
            let [acknowledged, failed, refused, outcome_unknown] = ends.map(|number| number.to_string());
            [name.to_owned(), all.to_string(), per_second, acknowledged, failed, refused, outcome_unknown]
        };
        let mut sums = [0; 4];
        for kind in AskKind::ALL {
            let ends = self.kinds[kind.index()].each();
            for (sum, number) in sums.iter_mut().zip(ends) {
                *sum += number;
            }
            row(numbers(kind.name(), ends.iter().sum(), ends));
        }
        row(numbers("all", sums.iter().sum(), sums));
        let _ = writeln!(
            table,
            "of these {} in parallel with others of their browser, {} dropped midway, {} with former tokens, \
             {} by strangers\nerrors of the store: {}",
            self.at_once.load(Ordering::Relaxed),
            self.drops.load(Ordering::Relaxed),
            self.former.load(Ordering::Relaxed),
            self.strangers.load(Ordering::Relaxed),
            self.store_errors.load(Ordering::Relaxed),
        );
        table
    }
}

impl Ends {
    fn each(&self) -> [u64; 4] {
        [&self.acknowledged, &self.failed, &self.refused, &self.outcome_unknown]
            .map(|number| number.load(Ordering::Relaxed))
    }

    fn all(&self) -> u64 {
        self.each().iter().sum()
    }
}

impl Left {
    fn add(&mut self, lifetime: Duration, until: Instant, records: usize) {
        match self.0.iter_mut().find(|(known, _)| *known == lifetime) {
            Some((_, left)) => left.push_back((until, records)),
            None => self.0.push((lifetime, VecDeque::from([(until, records)]))),
        }
    }

    fn count(&mut self, now: Instant, dead_stay: Duration) -> usize {
        let mut count = 0;
        for (_, left) in &mut self.0 {
            while left.front().is_some_and(|(until, _)| *until + CLEARED_AFTER < now) {
                left.pop_front();
            }
            let there = left.iter().filter(|(until, _)| *until + dead_stay >= now);
            count += there.map(|(_, records)| records).sum::<usize>();
        }
        count
    }
}

/// Returns the rate per second of this many in this time.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rate(number: u64, took: Duration) -> f64 {
    number as f64 / took.as_secs_f64().max(0.001)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}
