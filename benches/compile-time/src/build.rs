//! Builds the crates in turns and takes the time.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

use crate::args::Args;
use crate::variant::Variant;

/// The times of one crate, or why it does not build.
pub struct Outcome {
    pub variant: Variant,
    pub times: Result<Vec<Time>>,
}

#[derive(Clone, Copy)]
pub struct Time {
    pub wall: Duration,
    /// User CPU time of cargo and the compilers it starts.
    pub user: Duration,
}

pub fn measure(folder: &Path, variants: &[Variant], args: &Args) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for &variant in variants {
        eprintln!("building {} and what it needs", variant.package());
        // Once with the dependencies and once without: the second run warms
        // what the first left cold.
        let built = cargo(folder, variant, args).and_then(|_| {
            touch(folder, variant)?;
            cargo(folder, variant, args)
        });
        outcomes.push(Outcome { variant, times: built.map(|_| Vec::new()) });
    }
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        for outcome in &mut outcomes {
            if let Ok(times) = &mut outcome.times {
                touch(folder, outcome.variant)?;
                times.push(cargo(folder, outcome.variant, args)?);
            }
        }
    }
    Ok(outcomes)
}

/// Makes cargo build the crate again, and only this one.
fn touch(folder: &Path, variant: Variant) -> Result<()> {
    let path = folder.join(variant.package()).join("src/lib.rs");
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(SystemTime::now()))
        .with_context(|| format!("cannot touch {}", path.display()))
}

fn cargo(folder: &Path, variant: Variant, args: &Args) -> Result<Time> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let user_before = user_of_children();
    let start = Instant::now();
    let output = Command::new(cargo)
        .arg(if args.check { "check" } else { "build" })
        .arg("--quiet")
        .current_dir(folder.join(variant.package()))
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_INCREMENTAL", if args.incremental { "1" } else { "0" })
        .output()
        .context("cannot start cargo")?;
    let time = Time { wall: start.elapsed(), user: user_of_children() - user_before };
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(time)
}

fn user_of_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage for children cannot fail");
    let time = usage.user_time();
    Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
}
