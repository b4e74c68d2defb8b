//! Runs the cells of the table: prepares, warms up, measures in turns.

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::http::HeaderValue;
use tokio::runtime::Runtime;

use crate::app::App;
use crate::args::Args;
use crate::contender::{Contender, Setup};
use crate::contenders;
use crate::drive::{Load, Sample, drive};
use crate::servers::Servers;
use crate::store::Store;
use crate::verify;
use crate::workload::Workload;

pub const WORKERS: usize = 2;

/// One line of the table: the samples of all rounds.
pub struct Cell {
    pub store: Store,
    /// How many text fields the sessions have.
    pub fields: usize,
    /// Programs and versions of the store's servers.
    pub servers: Rc<[String]>,
    pub workload: Workload,
    pub in_flight: usize,
    pub contender: &'static dyn Contender,
    pub samples: Vec<Sample>,
}

/// One table: a store with sessions of one size.
struct Table<'a> {
    runtime: &'a Runtime,
    args: &'a Args,
    store: Store,
    fields: usize,
    servers: Servers,
}

/// A contender with its sessions filled.
struct Prepared {
    contender: &'static dyn Contender,
    app: App,
    cookies: Arc<[HeaderValue]>,
}

pub fn all(runtime: &Runtime, args: &Args) -> Result<Vec<Cell>> {
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let mut cells = Vec::new();
    for &store in &args.stores {
        for &fields in store.sizes() {
            if !args.fields.is_empty() && !args.fields.contains(&fields) {
                continue;
            }
            let dir = tempfile::Builder::new()
                .prefix("session-benches-")
                .tempdir_in(&base)
                .with_context(|| format!("cannot create a folder in {}", base.display()))?;
            let servers = runtime.block_on(Servers::start(store, dir.path()))?;
            let table = Table { runtime, args, store, fields, servers };
            cells.extend(table.cells(dir.path())?);
        }
    }
    Ok(cells)
}

impl Table<'_> {
    fn cells(&self, dir: &Path) -> Result<Vec<Cell>> {
        let (args, store) = (self.args, self.store);
        let prepared = contenders::all()
            .into_iter()
            .filter(|contender| contender.config(store).is_some())
            .filter(|contender| {
                args.contenders.is_empty() || args.contenders.iter().any(|n| n == contender.name())
            })
            .map(|contender| {
                eprintln!("{self}: preparing {}", contender.name());
                self.prepare(contender, dir).with_context(|| format!("{} with {self}", contender.name()))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut cells = Vec::new();
        for &workload in args.workloads.iter().filter(|workload| workload.belongs(store, self.fields)) {
            for &in_flight in &args.in_flight {
                eprintln!("{self}: {workload}, {in_flight} in flight");
                cells.extend(self.measure(workload, in_flight, &prepared)?);
            }
        }
        for one in prepared.iter().filter(|one| one.contender.keeps_sessions()) {
            // Again at the end: the load must not have damaged what is kept.
            self.runtime
                .block_on(self.verify(one))
                .with_context(|| format!("{} with {self}, at the end", one.contender.name()))?;
        }
        Ok(cells)
    }

    fn prepare(&self, contender: &'static dyn Contender, dir: &Path) -> Result<Prepared> {
        let setup = Setup {
            store: self.store,
            fields: self.fields,
            servers: &self.servers,
            dir: dir.join(contender.name()),
            connections: self.args.connections,
        };
        std::fs::create_dir(&setup.dir)?;
        let keeps_sessions = contender.keeps_sessions();
        self.runtime.block_on(async {
            let app = contender.app(&setup).await?;
            let cookies = verify::fill(&app, self.args.sessions, keeps_sessions).await?;
            let prepared = Prepared { contender, app, cookies: cookies.into() };
            if keeps_sessions {
                self.verify(&prepared).await?;
            }
            Ok(prepared)
        })
    }

    async fn verify(&self, one: &Prepared) -> Result<()> {
        let has_views = one.contender.has_views(self.store);
        verify::write_and_read(&one.app, &one.cookies, self.fields, has_views).await
    }

    fn measure(&self, workload: Workload, in_flight: usize, prepared: &[Prepared]) -> Result<Vec<Cell>> {
        let able = |one: &&Prepared| workload != Workload::ReadFew || one.contender.has_views(self.store);
        let prepared: Vec<_> = prepared.iter().filter(able).collect();
        let turn = |one: &Prepared, time| {
            let load = Load { workload, in_flight, cookies: one.cookies.clone() };
            drive(self.runtime, &one.app, &self.servers, &load, time).with_context(|| {
                let name = one.contender.name();
                format!("{name} with {self}: {workload}, {in_flight} in flight")
            })
        };
        let servers: Rc<[String]> = self.servers.names().into();
        let mut cells = Vec::new();
        for one in &prepared {
            turn(one, self.args.turn / 4)?;
            cells.push(Cell {
                store: self.store,
                fields: self.fields,
                servers: servers.clone(),
                workload,
                in_flight,
                contender: one.contender,
                samples: Vec::new(),
            });
        }
        for round in 0..self.args.rounds {
            // Each round starts with another contender, so that none always
            // follows the same one.
            for n in 0..prepared.len() {
                let n = (n + round) % prepared.len();
                let sample = turn(prepared[n], self.args.turn)?;
                cells[n].samples.push(sample);
            }
        }
        Ok(cells)
    }
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} fields", self.store, self.fields)
    }
}
