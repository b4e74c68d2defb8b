//! Writes to a SQLite file until it is killed: the other half of `tests/crash.rs`.
//!
//! Each lane has one record and commits 1, 2, 3, … to two fields of it at once. A line on standard
//! output, `<record id> <number>`, follows each commit that the store has acknowledged.

use std::{env, io::Write, process::ExitCode};

use sessions::{
    FieldName, RecordId, Timeouts,
    store::{Commit, CommitOutcome, CreateOutcome, Credentials, Delta, NewRecord, Op, SqliteStore, Store},
};

const LANES: u8 = 16;

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
    let lanes: Vec<_> = (0..LANES).map(|lane| tokio::spawn(write(store.clone(), round, lane))).collect();
    for lane in lanes {
        if let Err(error) = lane.await {
            eprintln!("{error}");
        }
    }
    // A lane ends only when something went wrong.
    ExitCode::FAILURE
}

async fn write(store: SqliteStore, round: u8, lane: u8) {
    let id = RecordId::from_bytes([round, lane, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let timeouts = Timeouts::default();
    let created = store.create(id, NewRecord::new(Credentials::from_bytes(vec![lane; 32]), timeouts)).await;
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
    // One write per line, so that a killed process leaves no half line but the last.
    if out.write_all(format!("{id} {number}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}
