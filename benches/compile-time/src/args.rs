//! The command line.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use lexopt::prelude::*;

pub const HELP: &str = "\
  --structs N      structs in the large crates (default 100; the small ones have a tenth)
  --rounds N       interleaved rounds, the median counts (default 7)
  --incremental    build incrementally, as repeated builds of a developer are;
                   without it every build does all of its work
  --check          measure `cargo check` instead of `cargo build`
  --sessions DIR   folder of the crate `sessions` (default: the one of this repository)
  --markdown FILE  write the tables to a file too
The crates are generated in a fresh folder below $BENCH_DIR, or the system's
folder for temporary files.";

pub struct Args {
    pub structs: usize,
    pub rounds: usize,
    pub incremental: bool,
    pub check: bool,
    pub sessions: PathBuf,
    pub markdown: Option<PathBuf>,
}

/// Reads the command line; `None` asks for the help text.
pub fn parse() -> Result<Option<Args>> {
    let mut args = Args {
        structs: 100,
        rounds: 7,
        incremental: false,
        check: false,
        sessions: concat!(env!("CARGO_MANIFEST_DIR"), "/../../sessions").into(),
        markdown: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("structs") => args.structs = parser.value()?.parse()?,
            Long("rounds") => args.rounds = parser.value()?.parse()?,
            Long("incremental") => args.incremental = true,
            Long("check") => args.check = true,
            Long("sessions") => args.sessions = parser.value()?.into(),
            Long("markdown") => args.markdown = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    ensure!(args.rounds > 0, "--rounds must be at least 1");
    ensure!(args.structs >= 10, "--structs must be at least 10");
    Ok(Some(args))
}

pub fn base_folder() -> PathBuf {
    std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}
