//! A soak test: browsers, each with a cookie jar and an account of its responses, in front of one application for a
//! long time.
//!
//! Requests of all kinds are sent one by one and at once. Some are dropped midway, some fail, and some have tokens
//! from before a rotation or a logout. Each response must agree with the account of its browser. The memory of the
//! process and the number of records in the store must stop growing.
//!
//! `tests/soak [MINUTES] [STORE…]` runs it.

mod account;
mod app;
mod ask;
mod browser;
mod random;
mod samples;
mod settle;
mod stores;
mod tally;

use std::{
    env,
    error::Error,
    hash::{BuildHasher, RandomState},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sessions::Timeouts;
use tokio::sync::Semaphore;

use self::{
    browser::{Browser, World},
    random::SeededRandom,
    samples::Samples,
    stores::Backend,
    tally::{CLEARED_AFTER, Tally, rate},
};

const BROWSERS: u32 = 10_000;

/// The number of requests in flight, which is the number of browsers that act at a time.
const IN_FLIGHT: u32 = 64;

const SAMPLED_EVERY: Duration = Duration::from_secs(10);

/// The largest difference between two readings of a number that changes.
const LEEWAY: usize = 500;

const UNEXPLAINED: &str = "more records than browsers, and what they left, explain";

#[derive(Debug)]
struct SoakArguments {
    run: Duration,
    store: String,
    seed: u64,
}

impl SoakArguments {
    fn read() -> Option<Self> {
        let mut arguments = env::args().skip(1);
        let minutes: f64 = arguments.next()?.parse().ok()?;
        let run = Duration::try_from_secs_f64(minutes * 60.0).ok().filter(|run| !run.is_zero())?;
        let store = arguments.next()?;
        let seed = match arguments.next() {
            Some(seed) => seed.parse().ok()?,
            None => RandomState::new().hash_one(0) % 1_000_000_000,
        };
        Some(Self { run, store, seed })
    }

    /// The idle timeout, which is so short that many sessions end unused in a run.
    fn timeouts(&self) -> Timeouts {
        let idle = (self.run / 6).clamp(Duration::from_mins(1), Duration::from_mins(5));
        Timeouts::new(idle, Duration::from_hours(24)).with_first_visit(idle / 4)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = SoakArguments::read() else {
        eprintln!("usage: soak MINUTES STORE [SEED], where STORE is one of {}", Backend::NAMES);
        return ExitCode::FAILURE;
    };
    match soak(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the soak test, and returns true if there was no error.
async fn soak(arguments: &SoakArguments) -> Result<bool, Box<dyn Error>> {
    let SoakArguments { run, store, seed } = arguments;
    let backend = Backend::open(store).await?;
    let backend = backend.ok_or_else(|| format!("no store `{store}`; there are {}", Backend::NAMES))?;
    let timeouts = arguments.timeouts();
    println!(
        "soak of {store} for {:.1} min, seed {seed}: {BROWSERS} browsers, {IN_FLIGHT} requests in flight, \
         sessions end after {} s unused, first visits after {} s",
        run.as_secs_f64() / 60.0,
        timeouts.idle().as_secs(),
        timeouts.first_visit().as_secs(),
    );
    let tally = Arc::new(Tally::default());
    let heard = Arc::clone(&tally);
    let world = Arc::new(World {
        app: app::client(backend.store(), timeouts, move || heard.store_failed()),
        timeouts,
        permits: Arc::new(Semaphore::new(usize::try_from(IN_FLIGHT)?)),
        tally,
        began: Instant::now(),
    });
    let ends = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|worker| tokio::spawn(work(Arc::clone(&world), Arc::clone(&ends), *seed, worker)))
        .collect();

    let mut samples = Samples::new(*run);
    let mut ticks = tokio::time::interval(SAMPLED_EVERY);
    let end = tokio::time::Instant::from_std(world.began + *run);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(end) => break,
            _ = ticks.tick() => sample(&world, &backend, &mut samples).await?,
        }
    }
    ends.store(true, Ordering::Relaxed);
    let took = world.began.elapsed();
    let mut certain = 0;
    for task in tasks {
        certain += task.await?;
    }
    println!();
    let records = backend.count().await?;
    backend.purge(timeouts).await?;
    let (living, explained) = (backend.count().await?, world.tally.explained(Duration::ZERO));
    if living < certain {
        world.tally.violate("fewer records than sessions that must be there", || {
            format!("  {living} records, {certain} sessions\n")
        });
    }
    if living > explained {
        world.tally.violate(UNEXPLAINED, || format!("  {living} records, {explained} explained\n"));
    }
    print!("{}", world.tally.table(took));
    println!(
        "records in the end: {records}, {living} of them alive; {certain} must be there, {explained} may be\n\
         {samples}violations: {}\n{}",
        world.tally.violations(),
        world.tally.violations_by_kind(),
    );
    Ok(world.tally.violations() == 0 && !samples.is_leaking())
}

/// Lets a share of the browsers act until the end. Returns the number of those that must have a session then.
async fn work(world: Arc<World>, ends: Arc<AtomicBool>, seed: u64, worker: u32) -> usize {
    let mut random = SeededRandom::new(seed, u64::from(worker) + 1);
    let numbers = (0..BROWSERS).filter(|number| number % IN_FLIGHT == worker);
    let mut browsers: Vec<_> = numbers.map(Browser::new).collect();
    for browser in &mut browsers {
        browser.begin(&world).await;
        world.tally.note_records(browser.records(), 0);
    }
    while !ends.load(Ordering::Relaxed) {
        let index = random.below(browsers.len());
        let browser = &mut browsers[index];
        let before = browser.records();
        browser.act(&world, &mut random).await;
        world.tally.note_records(browser.records(), before);
        // Some answers need no waiting.
        tokio::task::yield_now().await;
    }
    let mut certain = 0;
    for browser in &mut browsers {
        browser.look(&world).await;
        certain += usize::from(browser.is_certain(&world));
    }
    certain
}

/// Notes the sizes of the process and of the store.
async fn sample(world: &World, backend: &Backend, samples: &mut Samples) -> Result<(), Box<dyn Error>> {
    let (at, resident) = (world.began.elapsed(), samples::resident()?);
    samples.add(at, resident);
    let before = world.tally.explained(CLEARED_AFTER);
    let records = backend.count().await?;
    let explained = before.max(world.tally.explained(CLEARED_AFTER));
    if records > explained + LEEWAY {
        world.tally.violate(UNEXPLAINED, || format!("  {records} records, {explained} explained\n"));
    }
    println!(
        "{:>5} s: {} requests, {:.0} a second; {records} records of {explained} explained; {} MiB; {} violations",
        at.as_secs(),
        world.tally.requests(),
        rate(world.tally.requests(), at),
        resident / 1024,
        world.tally.violations(),
    );
    Ok(())
}
