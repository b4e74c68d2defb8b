//! What is counted, and what was wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{ask::Kind, settle::End};

/// How many violations of a kind are told; all are counted.
const TOLD: u64 = 3;

/// For how long the dead may be found in a store, which is cleared once a minute.
pub(crate) const CLEARED_AFTER: Duration = Duration::from_secs(75);

/// How much later than a request was dropped what it began may be done.
const LATE: Duration = Duration::from_secs(5);

/// In whose place a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Alone,
    /// With others at once.
    AtOnce,
    /// With a token that the browser had before.
    Former,
    /// By somebody who takes no cookie.
    Stranger,
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: [Ends; 11],
    at_once: AtomicU64,
    former: AtomicU64,
    strangers: AtomicU64,
    drops: AtomicU64,
    /// By what was wrong.
    violations: Mutex<BTreeMap<String, u64>>,
    store_errors: AtomicU64,
    /// How many records browsers may have tokens of.
    records: AtomicUsize,
    left: Mutex<Left>,
}

#[derive(Debug, Default)]
struct Ends {
    acknowledged: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    in_doubt: AtomicU64,
}

/// Until when records may be found of which no browser has a token; one list for each lifetime.
#[derive(Debug, Default)]
struct Left(Vec<(Duration, VecDeque<(Instant, usize)>)>);

impl Tally {
    pub(crate) fn count(&self, kind: Kind, manner: Manner, end: &End, fails: bool, is_to_be_dropped: bool) {
        let ends = &self.kinds[kind.index()];
        let counted = match end {
            End::Answered(_) if fails => &ends.failed,
            End::Answered(_) => &ends.acknowledged,
            End::Refused | End::Strange => &ends.refused,
            End::InDoubt => &ends.in_doubt,
        };
        add(counted);
        match manner {
            Manner::Alone => {}
            Manner::AtOnce => add(&self.at_once),
            Manner::Former => add(&self.former),
            Manner::Stranger => add(&self.strangers),
        }
        if is_to_be_dropped && *end == End::InDoubt {
            add(&self.drops);
        }
    }

    /// Notes something that must not be, and tells its story.
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

    /// Notes records that no browser has the token of, which live so long.
    pub(crate) fn leave(&self, records: usize, lifetime: Duration) {
        if records != 0 {
            let until = Instant::now() + lifetime + lifetime / 24 + LATE;
            lock(&self.left).add(lifetime, until, records);
        }
    }

    /// Notes that a browser may have tokens of so many records, and had of so many before.
    pub(crate) fn note_records(&self, now: usize, before: usize) {
        self.records.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// How many records there may be, if the dead stay for so long.
    pub(crate) fn explained(&self, dead_stay: Duration) -> usize {
        self.records.load(Ordering::Relaxed) + lock(&self.left).count(Instant::now(), dead_stay)
    }

    pub(crate) fn violations(&self) -> u64 {
        lock(&self.violations).values().sum()
    }

    /// The violations by what was wrong.
    pub(crate) fn violations_by_kind(&self) -> String {
        lock(&self.violations).iter().fold(String::new(), |mut all, (what, count)| {
            let _ = writeln!(all, "  {count:>7}  {what}");
            all
        })
    }

    pub(crate) fn requests(&self) -> u64 {
        self.kinds.iter().map(Ends::all).sum()
    }

    /// The counts as a table, of a run that took so long.
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
        row(["requests", "sent", "per second", "acknowledged", "failed (500)", "refused", "in doubt"]
            .map(str::to_owned));
        let numbers = |name: &str, all: u64, ends: [u64; 4]| {
            let per_second = format!("{:.0}", rate(all, took));
            let [acknowledged, failed, refused, in_doubt] = ends.map(|number| number.to_string());
            [name.to_owned(), all.to_string(), per_second, acknowledged, failed, refused, in_doubt]
        };
        let mut sums = [0; 4];
        for kind in Kind::ALL {
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
        [&self.acknowledged, &self.failed, &self.refused, &self.in_doubt]
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

/// So many in this time, per second.
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
