//! A process that is killed while it writes: every acknowledged commit is stored, and none by half.

#![allow(clippy::expect_used)] // Panicking is how a test fails.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use sessions::{
    FieldName, RecordId,
    store::{SqliteStore, Store},
};

const ROUNDS: usize = 20;

/// Kills a writer after a number of acknowledgements. Returns the last number that it acknowledged for each record.
fn write_until_killed(path: &Path, round: usize, acknowledgements: usize) -> HashMap<RecordId, u64> {
    let mut writer = Command::new(env!("CARGO_BIN_EXE_crash_writer"))
        .arg(path)
        .arg(round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the writer starts");
    let mut out = BufReader::new(writer.stdout.take().expect("its output is piped"));
    let mut last = HashMap::new();
    let mut line = String::new();
    for _ in 0..acknowledgements {
        line.clear();
        assert_ne!(
            out.read_line(&mut line).expect("its output can be read"),
            0,
            "the writer ended by itself"
        );
        record_line(&mut last, &line);
    }
    writer.kill().expect("it is killed (SIGKILL)");
    // Acknowledgements that were written before the kill count, too.
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).expect("its output can be read to the end");
    let rest = String::from_utf8_lossy(&rest);
    for line in rest.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        record_line(&mut last, line);
    }
    let status = writer.wait().expect("it ends");
    assert!(status.code().is_none(), "the writer ended by itself: {status}");
    last
}

fn record_line(last: &mut HashMap<RecordId, u64>, line: &str) {
    let (id, number) = line.trim_end().split_once(' ').expect("a record id and a number");
    let id = RecordId::parse(id).expect("a record id");
    last.insert(id, number.parse().expect("a number"));
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("crash.db");
    let names = ["left", "right"].map(FieldName::from_static);
    let mut acknowledged = HashMap::new();
    for round in 0..ROUNDS {
        acknowledged.extend(write_until_killed(&path, round, 400 + 37 * round));
        // All rounds so far: recovery must not lose the commits of an earlier round.
        let store = SqliteStore::open(&path).await.expect("the file opens again");
        for (id, number) in &acknowledged {
            let loaded = store.load(*id, &names).await.expect("it loads").expect("the record is there");
            let value = |name| {
                loaded.fields.get(name).map_or(0, |json| {
                    String::from_utf8_lossy(json).parse::<u64>().expect("the number that was written")
                })
            };
            assert_eq!(value("left"), value("right"), "half a commit of {id} in round {round}");
            assert!(value("left") >= *number, "lost {number} of {id} in round {round}");
        }
    }
    let commits: u64 = acknowledged.values().sum();
    println!("{ROUNDS} kills, {} records, {commits} acknowledged commits, none lost", acknowledged.len());
}
