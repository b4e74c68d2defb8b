//! Compares session libraries side by side, in one process and without sockets.

mod actix;
mod app;
mod args;
mod client;
mod contender;
mod contenders;
mod cpu;
mod data;
mod drive;
mod report;
mod run;
mod servers;
mod sqlite;
mod store;
mod verify;
mod workload;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let Some(args) = args::parse()? else {
        println!("{}", args::HELP);
        return Ok(());
    };
    // Two workers on every machine, so that numbers from different machines
    // differ by the machine and not by the shape of the runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(run::WORKERS)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let table = report::markdown(&args, &run::all(&runtime, &args)?);
    println!("{table}");
    if let Some(path) = &args.markdown {
        std::fs::write(path, table).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
