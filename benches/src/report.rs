//! The results as Markdown.

use std::fmt::Write;

use crate::args::Args;
use crate::drive::Sample;
use crate::run::{Cell, WORKERS};
use crate::store::Store;

/// The contender that the others are compared with, if it takes part.
const BASELINE: &str = "sessions";

pub fn markdown(args: &Args, cells: &[Cell]) -> String {
    let mut text = format!(
        "{WORKERS} workers on {} CPUs, {} sessions, median of {} rounds of {} s each.\n",
        std::thread::available_parallelism().map_or(0, usize::from),
        args.sessions,
        args.rounds,
        args.turn.as_secs_f64(),
    );
    for cells in cells.chunk_by(|a, b| (a.store, a.fields) == (b.store, b.fields)) {
        table(&mut text, args, cells).expect("writing to a string cannot fail");
    }
    text
}

fn table(text: &mut String, args: &Args, cells: &[Cell]) -> std::fmt::Result {
    let Cell { store, fields, servers, .. } = &cells[0];
    let baseline = cells
        .iter()
        .find(|cell| cell.contender.name() == BASELINE)
        .or_else(|| cells.iter().find(|cell| cell.contender.is_floor()))
        .map_or("–", |cell| cell.contender.name());
    match store.sizes() {
        [_] => writeln!(text, "\n### {store}\n")?,
        _ => writeln!(text, "\n### {store}, {fields} fields\n")?,
    }
    if !servers.is_empty() {
        writeln!(text, "With {}, on the same machine.\n", servers.join(" and "))?;
    }
    write!(
        text,
        "| workload | in flight | contender | req/s | spread | × {baseline} | CPU µs/req \
         | × {baseline} | × floor | CPU above floor, µs |"
    )?;
    for server in servers.iter() {
        write!(text, " {server}: CPU µs/req |")?;
    }
    writeln!(text, "\n|---|---:|---|---:|---:|---:|---:|---:|---:|---:|{}", "---:|".repeat(servers.len()))?;
    let same = |a: &Cell, b: &Cell| (a.workload, a.in_flight) == (b.workload, b.in_flight);
    for group in cells.chunk_by(same) {
        let base = group.iter().find(|cell| cell.contender.name() == baseline);
        let floor = group.iter().find(|cell| cell.contender.is_floor());
        for cell in group {
            write!(
                text,
                "| {} | {} | {} | {:.0} | {} | {} | {:.2} | {} | {} | {} |",
                cell.workload,
                cell.in_flight,
                cell.contender.name(),
                cell.per_second(),
                cell.spread(),
                ratio(cell, base, |sample| sample.per_second),
                cell.cpu_us(),
                ratio(cell, base, |sample| sample.cpu_us),
                ratio(cell, floor, |sample| sample.cpu_us),
                above(cell, floor),
            )?;
            for n in 0..servers.len() {
                write!(text, " {:.2} |", median(cell.samples.iter().map(|sample| sample.servers_us[n])))?;
            }
            writeln!(text)?;
        }
    }
    writeln!(text)?;
    let mut named = Vec::new();
    for cell in cells {
        let name = cell.contender.name();
        if !named.contains(&name) {
            named.push(name);
            let config = cell.contender.config(*store).unwrap_or_default();
            writeln!(text, "- `{name}`: {config}")?;
        }
    }
    if store.is_sqlite() {
        writeln!(
            text,
            "- the pool of `floor-sqlx` and `tower-sessions-tuned`: {} connections, `test_before_acquire` off",
            args.connections
        )?;
    }
    if *store == Store::Redis {
        writeln!(
            text,
            "- the pool of `floor-redis` and `tower-sessions-tuned`: {} connections",
            args.connections
        )?;
    }
    Ok(())
}

impl Cell {
    fn per_second(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.per_second))
    }

    fn cpu_us(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.cpu_us))
    }

    /// Distance between the best and the worst round, relative to the median.
    fn spread(&self) -> String {
        let values = self.samples.iter().map(|sample| sample.per_second);
        let max = values.clone().fold(f64::MIN, f64::max);
        let min = values.fold(f64::MAX, f64::min);
        format!("{:.0} %", (max - min) / self.per_second() * 100.0)
    }
}

/// How many times the base's value, by round.
fn ratio(cell: &Cell, base: Option<&Cell>, value: impl Fn(&Sample) -> f64) -> String {
    by_round(cell, base, |a, b| value(a) / value(b))
}

/// CPU time more than the floor's, by round.
fn above(cell: &Cell, floor: Option<&Cell>) -> String {
    by_round(cell, floor, |a, b| a.cpu_us - b.cpu_us)
}

/// Compares within each round and takes the median of that: what slows a whole
/// round down hits both sides.
fn by_round(cell: &Cell, base: Option<&Cell>, f: impl Fn(&Sample, &Sample) -> f64) -> String {
    let Some(base) = base else {
        return "–".into();
    };
    let rounds = cell.samples.iter().zip(&base.samples);
    format!("{:.2}", median(rounds.map(|(a, b)| f(a, b))))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}
