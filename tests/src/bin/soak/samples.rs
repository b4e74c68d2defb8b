//! The memory of this process during a run.

use std::{fmt, fs, io, time::Duration};

/// The limit of the growth from the second quarter's median to the last one's, in percent.
const FLAT: u64 = 10;

/// The number of samples that a quarter needs.
const FEWEST: usize = 3;

/// Returns the resident set of this process in KiB.
pub(crate) fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.ok_or_else(|| io::Error::other("no VmRSS in /proc/self/status"))
}

/// The shortest run in which growth is an error. In a shorter one, more records are created than end.
const LONG_ENOUGH: Duration = Duration::from_mins(10);

/// The samples of a run, by quarters.
#[derive(Debug)]
pub(crate) struct Samples {
    run: Duration,
    quarters: [Vec<u64>; 4],
}

impl Samples {
    pub(crate) const fn new(run: Duration) -> Self {
        Self { run, quarters: [const { Vec::new() }; 4] }
    }

    /// Adds a sample that was taken this long after the beginning.
    pub(crate) fn add(&mut self, at: Duration, kib: u64) {
        let quarter = at.as_millis() * 4 / self.run.as_millis().max(1);
        let quarter = usize::try_from(quarter).unwrap_or(3).min(3);
        self.quarters[quarter].push(kib);
        self.quarters[quarter].sort_unstable();
    }

    /// Returns true if the process went on growing in a run that was long enough to tell.
    pub(crate) fn is_leaking(&self) -> bool {
        self.run >= LONG_ENOUGH && self.is_flat() == Some(false)
    }

    /// Returns true if the process has stopped growing, or `None` with too few samples.
    fn is_flat(&self) -> Option<bool> {
        let [_, second, _, last] = &self.quarters;
        if second.len().min(last.len()) < FEWEST {
            return None;
        }
        Some(median(last)? * 100 <= median(second)? * (100 + FLAT))
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "resident set in MiB: minimum, median, maximum")?;
        for (number, quarter) in (1..).zip(&self.quarters) {
            match (quarter.first(), median(quarter), quarter.last()) {
                (Some(first), Some(median), Some(last)) => {
                    let [first, median, last] = [*first, median, *last].map(mib);
                    writeln!(f, "  quarter {number}: {first} {median} {last}")?;
                }
                _ => writeln!(f, "  quarter {number}: no samples")?,
            }
        }
        let verdict = match self.is_flat() {
            Some(true) => "flat",
            Some(false) if self.run < LONG_ENOUGH => "growing, in a run too short to tell",
            Some(false) => "growing",
            None => "too short a run to tell",
        };
        writeln!(f, "  verdict: {verdict}")
    }
}

fn median(sorted: &[u64]) -> Option<u64> {
    sorted.get(sorted.len() / 2).copied()
}

fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}
