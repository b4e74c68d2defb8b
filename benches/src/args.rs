//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use lexopt::prelude::*;

use crate::contenders;
use crate::store::Store;
use crate::workload::Workload;

pub const HELP: &str = "\
Options; lists are separated by commas, without an option everything runs:
  --store LIST       memory, sqlite-relaxed, sqlite-full, redis, webdis
  --fields LIST      sizes of the sessions: 5 (redis and webdis only), 20
  --workload LIST    untouched, read, read-4, write, new
  --contender LIST   names as in the table
  --in-flight LIST   requests in flight at once (default 64,1)
  --rounds N         interleaved rounds, the median counts (default 7)
  --seconds S        length of one contender's turn in a round (default 0.2)
  --sessions N       sessions filled beforehand (default 1000)
  --connections N    pool size of contenders that are given a pool (default 2)
  --markdown FILE    write the tables to a file too
Databases are put into a fresh folder below $BENCH_DIR, or the system's folder
for temporary files. redis needs redis-server, webdis needs webdis too; they are
started and stopped by this program.";

pub struct Args {
    pub stores: Vec<Store>,
    /// Empty means all.
    pub fields: Vec<usize>,
    pub workloads: Vec<Workload>,
    /// Empty means all.
    pub contenders: Vec<String>,
    pub in_flight: Vec<usize>,
    pub rounds: usize,
    pub turn: Duration,
    pub sessions: usize,
    pub connections: u32,
    pub markdown: Option<PathBuf>,
}

/// Reads the command line; `None` asks for the help text.
pub fn parse() -> Result<Option<Args>> {
    let mut args = Args {
        stores: Store::ALL.to_vec(),
        fields: Vec::new(),
        workloads: Workload::ALL.to_vec(),
        contenders: Vec::new(),
        in_flight: vec![64, 1],
        rounds: 7,
        turn: Duration::from_millis(200),
        sessions: 1000,
        connections: 2,
        markdown: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("store") => args.stores = list(&parser.value()?.string()?)?,
            Long("fields") => args.fields = list(&parser.value()?.string()?)?,
            Long("workload") => {
                args.workloads = list(&parser.value()?.string()?)?;
                // `new` grows the stores, so it must come after the others.
                args.workloads.sort();
            }
            Long("contender") => args.contenders = list(&parser.value()?.string()?)?,
            Long("in-flight") => args.in_flight = list(&parser.value()?.string()?)?,
            Long("rounds") => args.rounds = parser.value()?.parse()?,
            Long("seconds") => args.turn = Duration::try_from_secs_f64(parser.value()?.parse()?)?,
            Long("sessions") => args.sessions = parser.value()?.parse()?,
            Long("connections") => args.connections = parser.value()?.parse()?,
            Long("markdown") => args.markdown = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    let known: Vec<_> = contenders::all().iter().map(|c| c.name()).collect();
    for name in &args.contenders {
        if !known.contains(&name.as_str()) {
            bail!("there is no contender {name:?}, only {}", known.join(", "));
        }
    }
    ensure!(args.fields.iter().all(|n| [5, 20].contains(n)), "--fields can be 5 and 20");
    ensure!(args.rounds > 0, "--rounds must be at least 1");
    ensure!(
        args.in_flight.iter().all(|&n| n > 0 && n <= args.sessions),
        "--in-flight must be between 1 and the number of sessions, each session is one requester's"
    );
    Ok(Some(args))
}

fn list<T>(text: &str) -> Result<Vec<T>>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.split(',').map(|item| item.parse().map_err(|e| anyhow!("{item:?}: {e}"))).collect()
}
