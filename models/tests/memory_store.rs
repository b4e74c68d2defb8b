//! The memory store: what several threads do to one record, in every order.

mod checker;

use std::{
    sync::{Arc, Mutex as StdMutex},
    time::Duration,
};

use sessions::{
    Clock, FieldName, RecordId, Timeouts, Timestamp,
    store::{
        Add, Commit, CommitId, CommitOutcome, CreateOutcome, Credentials, CredentialsChange, Delta, Loaded,
        MemoryStore, NewRecord, Op, Store,
    },
};
use shuttle::{
    future::block_on,
    sync::atomic::{AtomicI64, Ordering},
    thread,
};

const ID: RecordId = RecordId::from_bytes([7; 16]);
const NOON: i64 = 1_768_478_400_000;
const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUTS: Timeouts = Timeouts::new(HOUR, Duration::from_secs(24 * 3600));

/// A clock whose reading is a step of its own.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOON)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A clock that stands still, so that reading it is no step.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOON)
    }
}

/// A store of one shard with the record `ID`, whose credentials is the first.
fn with_record(clock: impl Clock) -> Arc<MemoryStore> {
    let store = MemoryStore::new().with_capacity(100).with_clock(clock);
    assert_eq!(create(&store, ID, credentials(1)), CreateOutcome::Created(Timestamp::from_millis(NOON)));
    Arc::new(store)
}

fn credentials(number: u8) -> Credentials {
    Credentials::from_bytes(vec![number; 33])
}

/// One that no other one pushes out.
fn privileged(number: u8) -> Credentials {
    let mut bytes = vec![number; 33];
    bytes[32] |= 0x80;
    Credentials::from_bytes(bytes)
}

fn id(number: u8) -> RecordId {
    RecordId::from_bytes([number; 16])
}

fn create(store: &MemoryStore, id: RecordId, credentials: Credentials) -> CreateOutcome {
    block_on(store.create(id, NewRecord::new(credentials, TIMEOUTS))).unwrap()
}

fn load(store: &MemoryStore) -> Option<Loaded> {
    // Which does not matter, as long as there is one: a load of none reads none.
    block_on(store.load(ID, &["field".into()])).unwrap()
}

fn put(epoch: u64, name: &'static str) -> Commit {
    let mut delta = Delta::new();
    delta.push(FieldName::from_static(name), Op::Put("1".into()), None).unwrap();
    Commit::new(epoch, TIMEOUTS).with_delta(delta)
}

fn add(by: i64) -> Commit {
    let mut delta = Delta::new();
    let add = Add { by, start: 0, min: i64::MIN, max: i64::MAX };
    delta.push(FieldName::from_static("count"), Op::Add(add), None).unwrap();
    Commit::new(0, TIMEOUTS).with_delta(delta).returning(vec![FieldName::from_static("count")])
}

/// What a commit was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CommitAnswer {
    Applied(Vec<Option<i64>>),
    NotFound,
    StaleEpoch,
    CredentialsChanged,
}

const APPLIED: CommitAnswer = CommitAnswer::Applied(Vec::new());

fn commit(store: &MemoryStore, commit: Commit) -> CommitAnswer {
    let number = |value: bytes::Bytes| std::str::from_utf8(&value).unwrap().parse().unwrap();
    match block_on(store.commit(ID, commit)).unwrap() {
        CommitOutcome::Applied(values) => {
            CommitAnswer::Applied(values.into_iter().map(|value| value.map(number)).collect())
        }
        CommitOutcome::NotFound => CommitAnswer::NotFound,
        CommitOutcome::StaleEpoch => CommitAnswer::StaleEpoch,
        CommitOutcome::CredentialsChanged => CommitAnswer::CredentialsChanged,
        other => panic!("{other:?}"),
    }
}

/// Does these at once, each on a thread of its own, and returns their results in order.
fn at_once<T: Send + 'static>(threads_to_run: Vec<Box<dyn FnOnce() -> T + Send>>) -> Vec<T> {
    let threads: Vec<_> = threads_to_run.into_iter().map(|run| thread::spawn(run)).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Commits, each on a thread of its own.
fn commits_at_once(store: &Arc<MemoryStore>, commits: impl IntoIterator<Item = Commit>) -> Vec<CommitAnswer> {
    let run = |each: Commit| {
        let store = Arc::clone(store);
        Box::new(move || commit(&store, each)) as Box<dyn FnOnce() -> CommitAnswer + Send>
    };
    at_once(commits.into_iter().map(run).collect())
}

fn has(loaded: &Loaded, name: &str) -> bool {
    loaded.fields.contains(name)
}

fn how_many(answers: &[CommitAnswer], wanted: &CommitAnswer) -> usize {
    answers.iter().filter(|answers| *answers == wanted).count()
}

#[test]
fn nothing_brings_a_destroyed_record_back() {
    checker::all("nothing_brings_a_destroyed_record_back", || {
        let store = with_record(Still);
        let commits = [
            put(0, "field"),
            put(0, "right").with_credentials_change(CredentialsChange::rotation(credentials(2))),
        ];
        let destroying = thread::spawn({
            let store = Arc::clone(&store);
            move || {
                block_on(store.destroy(ID)).unwrap();
                assert!(load(&store).is_none(), "from here on");
            }
        });
        let answers = commits_at_once(&store, commits);
        destroying.join().unwrap();
        assert!(load(&store).is_none());
        assert_eq!(commit(&store, put(0, "field")), CommitAnswer::NotFound);
        assert_eq!(
            how_many(&answers, &APPLIED)
                + how_many(&answers, &CommitAnswer::NotFound)
                + how_many(&answers, &CommitAnswer::StaleEpoch),
            2
        );
        assert!(store.is_empty());
    });
}

#[test]
fn of_rotations_of_one_epoch_one_is_applied() {
    checker::all("of_rotations_of_one_epoch_one_is_applied", || {
        let store = with_record(Still);
        let names = ["first", "second", "third"];
        let rotations = names.iter().zip(2..).map(|(name, number)| {
            put(0, name).with_credentials_change(CredentialsChange::rotation(credentials(number)))
        });
        let answers = commits_at_once(&store, rotations);
        assert_eq!((how_many(&answers, &APPLIED), how_many(&answers, &CommitAnswer::StaleEpoch)), (1, 2));
        let (loaded, winner) =
            (load(&store).unwrap(), answers.iter().position(|answers| *answers == APPLIED).unwrap());
        assert_eq!((loaded.epoch, &loaded.credentials), (1, &credentials(u8::try_from(winner).unwrap() + 2)));
        assert_eq!(loaded.fields.len(), 1);
        assert!(has(&loaded, names[winner]));
    });
}

#[test]
fn an_acknowledged_commit_is_in_the_record() {
    checker::all("an_acknowledged_commit_is_in_the_record", || {
        let store = with_record(Still);
        let commits = [
            put(0, "one"),
            put(0, "two"),
            put(0, "right").with_credentials_change(CredentialsChange::rotation(credentials(2))),
        ];
        let answers = commits_at_once(&store, commits);
        let loaded = load(&store).unwrap();
        assert_eq!((&answers[2], loaded.epoch, &loaded.credentials), (&APPLIED, 1, &credentials(2)));
        for (answers, name) in answers.iter().zip(["one", "two", "right"]) {
            assert!(*answers == APPLIED || *answers == CommitAnswer::StaleEpoch);
            assert_eq!(has(&loaded, name), *answers == APPLIED, "{name}");
        }
        assert_eq!(commit(&store, put(0, "late")), CommitAnswer::StaleEpoch);
        assert!(!has(&load(&store).unwrap(), "late"));
    });
}

#[test]
fn of_renewals_at_once_one_begins() {
    checker::all("of_renewals_at_once_one_begins", || {
        let store = with_record(Still);
        let renewals = (2..5).map(|number| {
            Commit::new(0, TIMEOUTS)
                .with_credentials_change(CredentialsChange::renewal(credentials(1), credentials(number)))
        });
        let answers = commits_at_once(&store, renewals);
        assert_eq!(
            (how_many(&answers, &APPLIED), how_many(&answers, &CommitAnswer::CredentialsChanged)),
            (1, 2)
        );
        let (loaded, winner) =
            (load(&store).unwrap(), answers.iter().position(|answers| *answers == APPLIED).unwrap());
        assert_eq!((loaded.epoch, loaded.credentials), (0, credentials(u8::try_from(winner).unwrap() + 2)));
    });
}

#[test]
fn a_renewal_keeps_out_no_commit_and_is_kept_out_by_a_rotation() {
    checker::all("a_renewal_keeps_out_no_commit_and_is_kept_out_by_a_rotation", || {
        let store = with_record(Still);
        let in_place = |credentials_change: CredentialsChange| credentials_change.in_place_of(credentials(1));
        let answers = commits_at_once(
            &store,
            [
                put(0, "field"),
                Commit::new(0, TIMEOUTS)
                    .with_credentials_change(CredentialsChange::renewal(credentials(1), credentials(2))),
                put(0, "right")
                    .with_credentials_change(in_place(CredentialsChange::rotation(credentials(3)))),
            ],
        );
        let loaded = load(&store).unwrap();
        assert_eq!(has(&loaded, "field"), answers[0] == APPLIED);
        match (&answers[1], &answers[2]) {
            (CommitAnswer::Applied(_), CommitAnswer::CredentialsChanged) => {
                assert_eq!(
                    (loaded.epoch, &loaded.credentials, has(&loaded, "right")),
                    (0, &credentials(2), false)
                );
                assert_eq!(answers[0], APPLIED);
            }
            (CommitAnswer::StaleEpoch, CommitAnswer::Applied(_)) => {
                assert_eq!(
                    (loaded.epoch, &loaded.credentials, has(&loaded, "right")),
                    (1, &credentials(3), true)
                );
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_id_is_given_once() {
    checker::all("an_id_is_given_once", || {
        let store = Arc::new(MemoryStore::new().with_capacity(100).with_clock(Still));
        let run = |number: u8| {
            let store = Arc::clone(&store);
            Box::new(move || create(&store, ID, credentials(number))) as Box<dyn FnOnce() -> CreateOutcome + Send>
        };
        // Two with one credentials: a repetition.
        let answers = at_once(vec![run(1), run(1), run(2)]);
        assert_eq!(answers[0], answers[1]);
        assert_eq!(
            answers.iter().filter(|answers| **answers == CreateOutcome::IdTaken).count(),
            if answers[0] == CreateOutcome::IdTaken { 2 } else { 1 }
        );
        let winner = if answers[2] == CreateOutcome::IdTaken { 1 } else { 2 };
        assert_eq!((load(&store).unwrap().credentials, store.len()), (credentials(winner), 1));
    });
}

#[test]
fn additions_are_exact_and_counted_once() {
    checker::all("additions_are_exact_and_counted_once", || {
        let store = with_record(Still);
        let id = CommitId::from_bytes([1; 8]);
        // The last two are one commit that is sent twice.
        let answers = commits_at_once(&store, [add(1), add(10).with_id(id), add(10).with_id(id)]);
        assert!(answers.iter().all(|answers| matches!(answers, CommitAnswer::Applied(_))));
        assert_eq!(load(&store).unwrap().fields.get("count").unwrap(), "11");
        assert!(answers[0] != answers[1] || answers[0] != answers[2], "each sees the sum that it made");
    });
}

#[test]
fn what_is_used_in_time_is_not_purged() {
    checker::all("what_is_used_in_time_is_not_purged", || {
        let clock = Hand::new();
        let store = with_record(clock.clone());
        clock.advance(HOUR);
        let using = thread::spawn({
            let store = Arc::clone(&store);
            move || commit(&store, put(0, "field").with_touch(true))
        });
        let purging = thread::spawn({
            let store = Arc::clone(&store);
            move || block_on(store.purge(TIMEOUTS, 10)).unwrap()
        });
        // Past the hour and its window.
        clock.advance(HOUR / 20);
        let (answers, purged) = (using.join().unwrap(), purging.join().unwrap());
        match answers {
            CommitAnswer::Applied(_) => {
                assert_eq!(purged, 0);
                let loaded = load(&store).unwrap();
                assert!(
                    has(&loaded, "field") && TIMEOUTS.is_alive(loaded.created, loaded.touched, loaded.now)
                );
            }
            // Dead, purged or not.
            CommitAnswer::NotFound => assert!(load(&store).is_none_or(|loaded| !has(&loaded, "field"))),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_last_use_never_goes_back() {
    checker::all("the_last_use_never_goes_back", || {
        let clock = Hand::new();
        let store = with_record(clock.clone());
        let seen = Arc::new(StdMutex::new(Vec::new()));
        let uses: Vec<_> = (0..2)
            .map(|_| {
                let (store, seen) = (Arc::clone(&store), Arc::clone(&seen));
                thread::spawn(move || {
                    assert_eq!(commit(&store, Commit::new(0, TIMEOUTS).with_touch(true)), APPLIED);
                    let touched = load(&store).unwrap().touched;
                    seen.lock().unwrap().push(touched);
                })
            })
            .collect();
        clock.advance(HOUR / 2);
        uses.into_iter().for_each(|each| each.join().unwrap());
        let last = load(&store).unwrap().touched;
        assert!(seen.lock().unwrap().iter().all(|touched| *touched <= last));
    });
}

#[test]
fn nobody_pushes_out_a_privileged_record() {
    checker::all("nobody_pushes_out_a_privileged_record", || {
        let store = Arc::new(MemoryStore::new().with_capacity(2).with_clock(Still));
        assert!(matches!(create(&store, ID, credentials(1)), CreateOutcome::Created(_)));
        let logging_in = thread::spawn({
            let store = Arc::clone(&store);
            move || {
                commit(
                    &store,
                    put(0, "user").with_credentials_change(CredentialsChange::login(privileged(2))),
                )
            }
        });
        let newcomers: Vec<_> = (20..22)
            .map(|number| {
                let store = Arc::clone(&store);
                thread::spawn(move || {
                    assert!(matches!(
                        create(&store, id(number), credentials(number)),
                        CreateOutcome::Created(_)
                    ))
                })
            })
            .collect();
        let answers = logging_in.join().unwrap();
        newcomers.into_iter().for_each(|each| each.join().unwrap());
        assert_eq!(store.len(), 2);
        assert_eq!(load(&store).is_some(), answers == APPLIED, "{answers:?}");
        // What is left finds its place in the order, too.
        create(&store, id(30), credentials(30));
        create(&store, id(31), credentials(31));
        assert_eq!((store.len(), load(&store).is_some()), (2, answers == APPLIED));
    });
}

#[test]
fn a_visitor_who_comes_back_is_pushed_out_after_one_who_does_not() {
    checker::all("a_visitor_who_comes_back_is_pushed_out_after_one_who_does_not", || {
        let store = Arc::new(MemoryStore::new().with_capacity(2).with_clock(Still));
        for number in [7, 8] {
            let new = NewRecord::new(credentials(number), TIMEOUTS).with_first_visit(true);
            assert!(matches!(block_on(store.create(id(number), new)).unwrap(), CreateOutcome::Created(_)));
        }
        let coming_back = thread::spawn({
            let store = Arc::clone(&store);
            move || load(&store).is_some()
        });
        let ending = thread::spawn({
            let store = Arc::clone(&store);
            move || block_on(store.destroy(id(9))).unwrap()
        });
        create(&store, id(9), credentials(9));
        let came_back = coming_back.join().unwrap();
        ending.join().unwrap();
        // As many as fit, whichever went.
        create(&store, id(10), credentials(10));
        create(&store, id(11), credentials(11));
        assert_eq!(store.len(), 2);
        assert!(came_back || load(&store).is_none());
    });
}
