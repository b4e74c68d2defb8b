//! Connections that break between a request and its reply. An acknowledged request has happened once. Any other has
//! happened once or not at all, and the store finds that out if it can.

use std::{sync::Arc, time::Duration};

use sessions::{
    Error, ErrorKind, RecordId,
    store::{CommitOutcome, CreateOutcome, CredentialsChange, RedisStore, Store},
};
use tests::{
    proxy::Cut,
    records::{add, change, commit_id, new_record, put, random_credentials, record_id},
    servers::RedisServer,
};

use crate::fronted::Fronted;

const COUNT: &str = "n";
const TASKS: usize = 8;
const ADDS: usize = 1000;

/// The outcome that the store reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReportedOutcome {
    Done,
    Unknown,
    /// It certainly did not happen.
    Refused,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn adds_to_a_server_happen_at_most_once() {
    let front = Fronted::server(RedisServer::start());
    adds_happen_at_most_once("server", &front, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn adds_to_a_cluster_happen_at_most_once() {
    adds_happen_at_most_once("cluster", &Fronted::cluster(), 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_asked_what_became_of_a_cut_request() {
    what_became_of_cut_requests(&Fronted::server(RedisServer::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_what_became_of_a_cut_request() {
    what_became_of_cut_requests(&Fronted::cluster()).await;
}

/// No request gets a reply that comes too late, and the store goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_comes_too_late_reaches_nobody() {
    let front = Fronted::server(RedisServer::start());
    let builder = front.builder().with_timeout(Duration::from_secs(1)).with_connections(1);
    let store = builder.connect().await.expect("a server");
    let [one, other] = [create(&store).await, create(&store).await];
    for (id, count) in [(one, 1), (other, 100)] {
        assert_eq!(reported(&store.commit(id, add(COUNT, count)).await), ReportedOutcome::Done);
    }
    for round in 0..5 {
        // The connection is there again, and the server's time is known.
        for _ in 0..2 {
            store.load(other, &[]).await.expect("an answer");
        }
        front.proxies[0].stall();
        assert_eq!(
            reported(&store.commit(one, add(COUNT, 1)).await),
            ReportedOutcome::Unknown,
            "round {round}"
        );
        let error = store.load(one, &[COUNT.into()]).await.expect_err("no reply");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        front.proxies[0].resume();
        assert_eq!(count(&store, other).await, 100);
        // The commit reached the server before the later requests.
        assert_eq!(count(&store, one).await, 2 + round);
    }
}

/// A server or a firewall ends idle connections. No request fails for that, since nothing was sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_was_ended_costs_no_request() {
    let front = Fronted::server(RedisServer::start());
    let store = front.open().await;
    let id = create(&store).await;
    let mut failed = Vec::new();
    for operation in ["load", "destroy", "create", "add", "put"] {
        // All of the store's connections are there and have been used.
        for _ in 0..4 {
            store.load(id, &[]).await.expect("an answer");
        }
        front.proxies[0].end_idle_connections();
        let error = match operation {
            "load" => store.load(id, &[]).await.err(),
            "destroy" => store.destroy(record_id()).await.err(),
            "create" => store.create(record_id(), new_record()).await.err(),
            "add" => store.commit(id, add(COUNT, 1)).await.err(),
            _ => store.commit(id, put("p", "1")).await.err(),
        };
        failed.extend(error.map(|error| format!("{operation}: {error}")));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Makes a thousand adds by eight tasks to this many records, while about every third connection is cut.
async fn adds_happen_at_most_once(name: &str, front: &Fronted, records: usize) {
    let store = Arc::new(front.open().await);
    let mut ids = Vec::new();
    for _ in 0..records {
        ids.push(create(&store).await);
    }
    front.cut(|script| match script {
        script if script % 5 == 1 => Cut::Reply,
        script if script % 7 == 3 => Cut::Request,
        _ => Cut::Nothing,
    });
    let tasks = (0..TASKS).map(|task| {
        let (store, ids) = (Arc::clone(&store), ids.clone());
        tokio::spawn(async move {
            let mut all = Vec::new();
            for index in (task..ADDS).step_by(TASKS) {
                let record = index % ids.len();
                all.push((record, reported(&store.commit(ids[record], add(COUNT, 1)).await)));
            }
            all
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.expect("no panic"));
    }
    front.cut_nothing();
    let [requests, replies] = front.cuts();
    let count_of = |what: ReportedOutcome| all.iter().filter(|(_, reported)| *reported == what).count();
    let [done, unknown, refused] =
        [ReportedOutcome::Done, ReportedOutcome::Unknown, ReportedOutcome::Refused].map(count_of);
    let behind = front.open_behind().await;
    let mut sums = Vec::new();
    for id in &ids {
        sums.push(count(&behind, *id).await);
    }
    println!(
        "{name}: {requests} requests and {replies} replies cut; of {ADDS} adds {done} acknowledged, \
         {unknown} unknown, {refused} refused; sum {}",
        sums.iter().sum::<usize>()
    );
    assert!(requests > 20 && replies > 20, "the proxies are in front of the servers");
    assert!(done > 0 && unknown > 0);
    for (record, sum) in sums.into_iter().enumerate() {
        let count_of =
            |what: ReportedOutcome| all.iter().filter(|reported| **reported == (record, what)).count();
        let (done, unknown) = (count_of(ReportedOutcome::Done), count_of(ReportedOutcome::Unknown));
        assert!((done..=done + unknown).contains(&sum), "{done} done, {unknown} unknown, but {sum}");
    }
}

/// Checks, one request at a time, that a request that is cut never happens, and that one whose reply is cut has
/// happened.
async fn what_became_of_cut_requests(front: &Fronted) {
    let store = front.open().await;
    // All nodes know all scripts then, so that each operation is one request.
    for _ in 0..64 {
        let id = create(&store).await;
        store.commit(id, add(COUNT, 1)).await.expect("an answer");
    }
    let expect = |index: usize| match rule(index) {
        Cut::Request => (ReportedOutcome::Unknown, false),
        Cut::Reply | Cut::Hold | Cut::Nothing => (ReportedOutcome::Done, true),
    };
    let mut ids = Vec::new();
    front.cut(rule);
    for index in 0..30 {
        let (id, new) = (record_id(), new_record());
        let created = match store.create(id, new.clone()).await {
            Ok(CreateOutcome::Created(_)) => ReportedOutcome::Done,
            Ok(CreateOutcome::IdTaken) => panic!("a new id is free"),
            Err(error) => failure(&error),
        };
        let found = store.load(id, &[]).await.expect("an answer").map(|loaded| loaded.credentials);
        let is_there = found.is_some_and(|credentials| credentials == new.credentials);
        assert_eq!((created, is_there), expect(index), "create {index}: {:?}", rule(index));
        ids.extend(is_there.then_some(id));
    }
    front.cut(rule);
    for (index, id) in ids.iter().enumerate() {
        let (before, credentials) = (count(&store, *id).await, random_credentials());
        let rotation =
            add(COUNT, 1).with_credentials_change(CredentialsChange::rotation(credentials.clone()));
        let rotated = reported(&store.commit(*id, rotation).await);
        let loaded = store.load(*id, &[]).await.expect("an answer").expect("the record");
        let is_new = loaded.credentials == credentials;
        assert_eq!((rotated, is_new), expect(index), "rotation {index}: {:?}", rule(index));
        assert_eq!(loaded.epoch, u64::from(is_new));
        assert_eq!(count(&store, *id).await, before + usize::from(is_new));
    }
    // A plain put leaves no trace to look for. And a value that was to be returned is lost with the reply.
    front.cut(|_| Cut::Reply);
    let id = ids[2];
    assert_eq!(reported(&store.commit(id, put("p", "1")).await), ReportedOutcome::Unknown);
    let returning = change("p", sessions::store::Op::Remove).with_id(commit_id()).returning(vec!["p".into()]);
    assert_eq!(reported(&store.commit(id, returning).await), ReportedOutcome::Unknown);
}

fn rule(script: usize) -> Cut {
    [Cut::Reply, Cut::Request, Cut::Nothing][script % 3]
}

fn reported(answer: &Result<CommitOutcome, Error>) -> ReportedOutcome {
    match answer {
        Ok(CommitOutcome::Applied(_)) => ReportedOutcome::Done,
        Err(error) => failure(error),
        Ok(other) => panic!("{other:?}"),
    }
}

fn failure(error: &Error) -> ReportedOutcome {
    match error.kind() {
        ErrorKind::OutcomeUnknown => ReportedOutcome::Unknown,
        ErrorKind::Unavailable => ReportedOutcome::Refused,
        _ => panic!("{error:?}"),
    }
}

async fn create(store: &RedisStore) -> RecordId {
    let id = record_id();
    let created = store.create(id, new_record()).await.expect("an answer");
    assert!(matches!(created, CreateOutcome::Created(_)), "{created:?}");
    id
}

async fn count(store: &RedisStore, id: RecordId) -> usize {
    let loaded = store.load(id, &[COUNT.into()]).await.expect("an answer").expect("the record");
    let value = loaded.fields.get(COUNT).map_or("0", |json| std::str::from_utf8(json).expect("JSON"));
    value.parse().expect("a number")
}
