//! Writes to a SQLite file until it is killed: the other half of `tests/crash.rs`.
//!
//! Each task has one record and commits 1, 2, 3, … to two of its fields at once. A line on standard output,
//! `<record id> <number>`, follows each commit that the store has acknowledged.

use std::{env, io::Write, process::ExitCode};

use sessions::{
    FieldName, RecordId, Timeouts,
    store::{Commit, CommitOutcome, CreateOutcome, Credentials, Delta, NewRecord, Op, SqliteStore, Store},
};

const TASKS: u8 = 16;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let (Some(path), Some(round)) = (env::args().nth(1), env::args().nth(2)) else {
        eprintln!("usage: crash_writer FILE ROUND");
        return ExitCode::FAILURE;
    };
    let round: u8 = round.parse().unwrap_or_default();
    let store = match SqliteStore::open(path).await {
        Ok(store) => store,
        Err(error) => {
            eprintln!("{error}: {:?}", std::error::Error::source(&error));
            return ExitCode::FAILURE;
        }
    };
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(write(store.clone(), round, task))).collect();
    for task in tasks {
        if let Err(error) = task.await {
            eprintln!("{error}");
        }
    }
    // A task ends only by a failure.
    ExitCode::FAILURE
}

async fn write(store: SqliteStore, round: u8, task: u8) {
    let id = RecordId::from_bytes([round, task, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let timeouts = Timeouts::default();
    let created = store.create(id, NewRecord::new(Credentials::from_bytes(vec![task; 32]), timeouts)).await;
    assert!(matches!(created, Ok(CreateOutcome::Created(_))), "{created:?}");
    acknowledge(id, 0);
    for number in 1_u64.. {
        let mut delta = Delta::new();
        for name in ["left", "right"] {
            let pushed = delta.push(FieldName::from_static(name), Op::Put(number.to_string().into()), None);
            assert_eq!(pushed, Ok(()));
        }
        let answer = store.commit(id, Commit::new(0, timeouts).with_delta(delta)).await;
        assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
        acknowledge(id, number);
    }
}

fn acknowledge(id: RecordId, number: u64) {
    let mut out = std::io::stdout().lock();
    // One write per line, so that only the last line of a killed process can be cut.
    if out.write_all(format!("{id} {number}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
