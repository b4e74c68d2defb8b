//! Runs the cells of the table: prepares, warms up, measures in turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::HeaderValue;
use tokio::runtime::Runtime;

use crate::args::Args;
use crate::contender::{Contender, Setup};
use crate::contenders;
use crate::drive::{Sample, drive};
use crate::store::Store;
use crate::verify;
use crate::workload::Workload;

pub const WORKERS: usize = 2;

/// One line of the table: the samples of all rounds.
pub struct Cell {
    pub store: Store,
    pub workload: Workload,
    pub in_flight: usize,
    pub contender: &'static dyn Contender,
    pub samples: Vec<Sample>,
}

/// A contender with its sessions filled.
struct Prepared {
    contender: &'static dyn Contender,
    router: Router,
    cookies: Arc<[HeaderValue]>,
}

pub fn all(runtime: &Runtime, args: &Args) -> Result<Vec<Cell>> {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let mut cells = Vec::new();
    for &store in &args.stores {
        let dir = tempfile::Builder::new()
            .prefix("session-benches-")
            .tempdir_in(&base)
            .with_context(|| format!("cannot create a folder in {}", base.display()))?;
        let prepared = contenders::all()
            .into_iter()
            .filter(|contender| contender.config(store).is_some())
            .filter(|contender| {
                args.contenders.is_empty() || args.contenders.iter().any(|n| n == contender.name())
            })
            .map(|contender| {
                eprintln!("{store}: preparing {}", contender.name());
                prepare(runtime, args, store, contender, dir.path())
                    .with_context(|| format!("{} with {store}", contender.name()))
            })
            .collect::<Result<Vec<_>>>()?;
        for &workload in &args.workloads {
            for &in_flight in &args.in_flight {
                eprintln!("{store}: {workload}, {in_flight} in flight");
                cells.extend(measure(runtime, args, store, workload, in_flight, &prepared)?);
            }
        }
        for one in prepared.iter().filter(|one| one.contender.keeps_sessions()) {
            // Again at the end: the load must not have damaged what is kept.
            runtime
                .block_on(verify::write_and_read(&one.router, &one.cookies))
                .with_context(|| format!("{} with {store}, at the end", one.contender.name()))?;
        }
    }
    Ok(cells)
}

fn prepare(
    runtime: &Runtime,
    args: &Args,
    store: Store,
    contender: &'static dyn Contender,
    dir: &Path,
) -> Result<Prepared> {
    let setup = Setup { store, dir: dir.join(contender.name()), connections: args.connections };
    std::fs::create_dir(&setup.dir)?;
    let keeps_sessions = contender.keeps_sessions();
    runtime.block_on(async {
        // As `axum::serve` does: routes are built once, not per request.
        let router = contender.router(&setup).await?.with_state(());
        let cookies = verify::fill(&router, args.sessions, keeps_sessions).await?;
        if keeps_sessions {
            verify::write_and_read(&router, &cookies).await?;
        }
        Ok(Prepared { contender, router, cookies: cookies.into() })
    })
}

fn measure(
    runtime: &Runtime,
    args: &Args,
    store: Store,
    workload: Workload,
    in_flight: usize,
    prepared: &[Prepared],
) -> Result<Vec<Cell>> {
    let turn = |one: &Prepared, time| {
        drive(runtime, &one.router, &one.cookies, workload, in_flight, time).with_context(|| {
            let name = one.contender.name();
            format!("{name} with {store}: {workload}, {in_flight} in flight")
        })
    };
    let mut cells = Vec::new();
    for one in prepared {
        turn(one, args.turn / 4)?;
        cells.push(Cell { store, workload, in_flight, contender: one.contender, samples: Vec::new() });
    }
    for round in 0..args.rounds {
        // Each round starts with another contender, so that none always
        // follows the same one.
        for n in 0..prepared.len() {
            let n = (n + round) % prepared.len();
            let sample = turn(&prepared[n], args.turn)?;
            cells[n].samples.push(sample);
        }
    }
    Ok(cells)
}
