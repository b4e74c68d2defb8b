//! An application under load, and an account of the responses that its sessions got.
//!
//! Each session sends one request after the other: additions, puts and reads. Every request must be
//! answered with 200 or 503, every read must agree with the account, and so must all sessions in the end.

// A test fails by panicking.
#![allow(clippy::expect_used, clippy::missing_panics_doc)]

mod account;
mod app;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sessions::{RecordId, store::Store, testing::Client};
use tokio::{runtime::Runtime, task::JoinHandle};

pub use self::account::LoadAccount;
use self::{
    account::ChangeOutcome,
    app::{Unknowns, browser, shown},
};
use crate::servers::until;

/// The number of requests of each session that must succeed before the load counts as going on.
const PROGRESS: u64 = 5;

/// The number of requests of a session after which it creates a new one.
const NEW_EVERY: u64 = 8;

/// The number of new sessions that are checked in the end, for each of the others.
const KEPT_GUESTS: usize = 200;

/// An application under load, on a runtime of its own.
#[derive(Debug)]
pub struct LoadRun {
    /// The runtime, which ends before the accounts are checked.
    runtime: Runtime,
    shared: Arc<LoadState>,
    browsers: Vec<Client>,
    tasks: Vec<JoinHandle<Vec<NewSession>>>,
    /// The lock of the only load at a time: two on the same cores would only show that these are busy.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

#[derive(Debug)]
struct LoadState {
    ends: AtomicBool,
    /// A count that is odd while a fault may lose acknowledged writes.
    faults: AtomicU64,
    accounts: Vec<Mutex<LoadAccount>>,
    unknowns: Unknowns,
}

/// A session that was created under load.
#[derive(Debug)]
struct NewSession {
    browser: Client,
    number: u64,
}

impl LoadRun {
    /// Opens the store, begins this many sessions, and lets them send requests until `finish`.
    pub fn start<S: Store>(sessions: usize, open: impl Future<Output = S>) -> Self {
        let turn = lock(&TURN);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let unknowns = Unknowns::default();
        let accounts = (0..sessions).map(|_| Mutex::default()).collect();
        let app = browser(runtime.block_on(open), &unknowns);
        let shared = Arc::new(LoadState {
            ends: AtomicBool::new(false),
            faults: AtomicU64::new(0),
            accounts,
            unknowns,
        });
        let browsers: Vec<_> = (0..sessions).map(|_| app.stranger()).collect();
        let tasks = browsers.iter().enumerate().map(|(index, browser)| {
            let worker = SessionWorker { shared: Arc::clone(&shared), browser: browser.clone(), index };
            runtime.block_on(worker.begin());
            runtime.spawn(worker.work())
        });
        let tasks = tasks.collect();
        let load = Self { runtime, shared, browsers, tasks, _turn: turn };
        load.goes_on();
        load
    }

    /// Returns the accounts of all sessions so far.
    pub fn accounts(&self) -> Vec<LoadAccount> {
        self.shared.accounts.iter().map(|account| lock(account).clone()).collect()
    }

    /// Returns the record of each session.
    pub fn records(&self) -> Vec<RecordId> {
        self.accounts().iter().map(|account| account.record.expect("a session that was begun")).collect()
    }

    /// Waits until requests of every session succeed again.
    pub fn goes_on(&self) {
        let before: Vec<_> = self.accounts().iter().map(|account| account.acknowledged).collect();
        self.wait("the sessions to go on", |accounts| {
            accounts.iter().zip(&before).all(|(now, before)| now.acknowledged >= before + PROGRESS)
        });
    }

    /// Waits until every session that `concerns` picks has had another request refused.
    pub fn is_refused(&self, concerns: impl Fn(usize) -> bool) {
        let before: Vec<_> = self.accounts().iter().map(LoadAccount::failures).collect();
        self.wait("requests to be refused", |accounts| {
            let refused = |index: usize| accounts[index].failures() > before[index];
            (0..accounts.len()).filter(|index| concerns(*index)).all(refused)
        });
    }

    /// Waits until a condition holds of the accounts.
    pub fn wait(&self, what: &str, holds: impl Fn(&[LoadAccount]) -> bool) {
        until(
            what,
            || format!("{:#?}", self.accounts()),
            || {
                let ended = self.tasks.iter().any(JoinHandle::is_finished);
                assert!(!ended, "a session's requests ended early, see its panic above");
                holds(&self.accounts())
            },
        );
    }

    /// Causes a fault that may lose acknowledged writes, as a failover with asynchronous replication does.
    pub fn while_writes_may_be_lost<T>(&self, event: impl FnOnce() -> T) -> T {
        self.shared.faults.fetch_add(1, Ordering::SeqCst);
        let done = event();
        self.shared.faults.fetch_add(1, Ordering::SeqCst);
        done
    }

    /// Ends the requests, and checks all sessions.
    pub fn finish(self, name: &str) -> Vec<LoadAccount> {
        self.shared.ends.store(true, Ordering::SeqCst);
        let mut guests = 0;
        for task in self.tasks {
            for guest in self.runtime.block_on(task).expect("requests without a panic") {
                let text = self.runtime.block_on(read(&guest.browser));
                let seen = shown(&text).map(|shown| (shown.left, shown.right));
                assert_eq!(seen, Some((guest.number, guest.number)), "a new session was lost");
                guests += 1;
            }
        }
        let accounts: Vec<LoadAccount> =
            self.shared.accounts.iter().map(|account| lock(account).clone()).collect();
        for (account, browser) in accounts.iter().zip(&self.browsers) {
            let text = self.runtime.block_on(read(browser));
            account.check(&shown(&text).unwrap_or_else(|| panic!("the session was lost: {account:?}")));
        }
        let sum = |count: fn(&LoadAccount) -> u64| accounts.iter().map(count).sum::<u64>();
        println!(
            "{name}: {} sessions and {guests} new ones; acknowledged {}, refused {} and {}, unknown {}",
            accounts.len(),
            sum(|account| account.acknowledged),
            sum(|account| account.refused),
            sum(|account| account.guests_refused),
            sum(|account| account.unknown),
        );
        accounts
    }
}

/// Sends the requests of one session.
struct SessionWorker {
    shared: Arc<LoadState>,
    browser: Client,
    index: usize,
}

impl SessionWorker {
    async fn begin(&self) {
        // On a busy machine a store with a short timeout may refuse the first ones.
        let mut begun = false;
        for _ in 0..50 {
            begun = begun || self.put(&self.browser, 1).await == 200;
        }
        assert!(begun, "a session begins");
        let shown = shown(&read(&self.browser).await).expect("a session");
        let mut account = self.account();
        account.put(1, ChangeOutcome::Kept);
        account.record = Some(shown.record);
    }

    async fn work(self) -> Vec<NewSession> {
        let mut guests = Vec::new();
        let mut step = 0;
        while !self.shared.ends.load(Ordering::SeqCst) {
            step += 1;
            match step % 4 {
                0 => self.show().await,
                2 => {
                    let number = self.account().next_put();
                    let outcome = self.change(self.put(&self.browser, number)).await;
                    self.account().put(number, outcome);
                }
                _ => {
                    let outcome = self.change(self.get(&self.browser, "/add")).await;
                    self.account().add(outcome);
                }
            }
            if step % NEW_EVERY == 0 {
                let browser = self.browser.stranger();
                let outcome = self.change(self.put(&browser, step)).await;
                if outcome == ChangeOutcome::Kept && guests.len() < KEPT_GUESTS {
                    guests.push(NewSession { browser, number: step });
                }
                if matches!(outcome, ChangeOutcome::Unknown | ChangeOutcome::Refused) {
                    self.account().guests_refused += 1;
                }
            }
            // Some answers need no waiting.
            tokio::task::yield_now().await;
        }
        guests
    }

    async fn show(&self) {
        // A read sees every write that was acknowledged before it was sent.
        let before = self.account().clone();
        let response = self.browser.get("/show").await;
        match response.status().as_u16() {
            200 => {
                let shown = shown(response.text());
                before.check(&shown.unwrap_or_else(|| panic!("the session was lost: {before:?}")));
                self.account().count(ChangeOutcome::Kept);
            }
            503 => self.account().count(ChangeOutcome::Refused),
            status => panic!("a read was answered with {status}: {}", response.text()),
        }
    }

    async fn change(&self, request: impl Future<Output = u16>) -> ChangeOutcome {
        let record = self.account().record;
        let faults = self.shared.faults.load(Ordering::SeqCst);
        let unknowns = self.shared.unknowns.of(record);
        match request.await {
            200 if faults.is_multiple_of(2) && self.shared.faults.load(Ordering::SeqCst) == faults => {
                ChangeOutcome::Kept
            }
            200 => ChangeOutcome::InDoubt,
            503 if self.shared.unknowns.of(record) > unknowns => ChangeOutcome::Unknown,
            503 => ChangeOutcome::Refused,
            status => panic!("a change was answered with {status}"),
        }
    }

    async fn put(&self, browser: &Client, number: u64) -> u16 {
        self.get(browser, &format!("/put/{number}")).await
    }

    async fn get(&self, browser: &Client, path: &str) -> u16 {
        browser.get(path).await.status().as_u16()
    }

    fn account(&self) -> MutexGuard<'_, LoadAccount> {
        lock(&self.shared.accounts[self.index])
    }
}

/// Reads a session, several times if need be: a fault may not be over for all servers.
async fn read(browser: &Client) -> String {
    for _ in 0..100 {
        let response = browser.get("/show").await;
        if response.status() == 200 {
            return response.text().to_owned();
        }
        assert_eq!(response.status(), 503);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("a session cannot be read")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
