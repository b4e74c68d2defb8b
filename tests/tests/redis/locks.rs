//! The permissions that a store's Redis user needs. A user with no others can do no harm.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use sessions::{
    ErrorKind, FieldName,
    store::{Commit, CommitOutcome, Delta, Op, RedisStore, RedisStoreBuilder, Store},
    testing::{ManualClock, conformance::Harness},
};
use tests::{
    Keys,
    records::{TIMEOUTS, add, commit_id, new_record, put, record_id},
    servers::{RedisCluster, RedisServer},
};

use crate::common::does_everything;

/// The commands that the user of a store on one server needs.
const COMMANDS: &[&str] = &[
    "eval", "evalsha", "time", "hget", "hmget", "hgetall", "hkeys", "exists", "hset", "hdel", "pexpire",
    "del",
];

/// The further commands on a cluster, for the list of nodes and for a key that moves.
const CLUSTER_COMMANDS: &[&str] = &["cluster|slots", "asking"];

const PASSWORD: &str = "of-the-sessions";

sessions::testing::conformance!(server, Restricted(Keys::new()));
sessions::testing::conformance!(cluster, RestrictedCluster(Keys::new()));

/// A user of one prefix, on the server that all tests share.
struct Restricted(Keys);

impl Harness for Restricted {
    type Store = RedisStore;

    async fn open(&self, clock: ManualClock) -> RedisStore {
        let server = RedisServer::shared();
        let builder = RedisStore::builder(server.url());
        open(builder, &self.0, &[server], COMMANDS).with_clock(clock).connect().await.expect("let in")
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        Some(self.0.dump(&[RedisServer::shared()]))
    }
}

/// A user of one prefix, on the cluster that all tests share.
struct RestrictedCluster(Keys);

impl Harness for RestrictedCluster {
    type Store = RedisStore;

    async fn open(&self, clock: ManualClock) -> RedisStore {
        let cluster = RedisCluster::shared();
        let builder = RedisStoreBuilder::cluster(cluster.urls());
        let commands = [COMMANDS, CLUSTER_COMMANDS].concat();
        open(builder, &self.0, &nodes(cluster), &commands).with_clock(clock).connect().await.expect("let in")
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        Some(self.0.dump(&nodes(RedisCluster::shared())))
    }
}

/// Without any command of the list, an operation fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_needs_each_of_its_commands() {
    // `EVAL` is for a server that does not know the scripts, so no other test shares this one.
    let server = RedisServer::start();
    assert_eq!(everything(&server, COMMANDS).await, Ok(()));
    for without in COMMANDS {
        let others: Vec<_> = COMMANDS.iter().filter(|command| *command != without).copied().collect();
        let failed = everything(&server, &others).await;
        assert!(failed.is_err(), "the store does not need {without}");
    }
}

/// A missing permission is found when the store is opened. Otherwise it would be found by the first user who logs
/// out, or in the middle of a script, which does not roll back.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_found_when_the_store_is_opened() {
    let server = RedisServer::start();
    let mut unnoticed = Vec::new();
    for without in COMMANDS {
        let others: Vec<_> = COMMANDS.iter().filter(|command| *command != without).copied().collect();
        server.cli(&["SCRIPT", "FLUSH"]);
        let opened =
            open(RedisStore::builder(server.url()), &Keys::new(), &[&server], &others).connect().await;
        match opened {
            Ok(_) => unnoticed.push(format!("{without}: not noticed")),
            Err(error) => {
                if error.kind() != ErrorKind::Config || !error.to_string().contains("permission") {
                    unnoticed.push(format!("{without}: {error}"));
                }
            }
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// A refused operation has not happened: without a permission for one of its commands, a script writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_without_a_permission_writes_nothing() {
    let server = RedisServer::start();
    let mut half_done = Vec::new();
    for without in ["pexpire", "hdel"] {
        let others: Vec<_> = COMMANDS.iter().filter(|command| **command != without).copied().collect();
        let keys = Keys::new();
        let allowed = open(RedisStore::builder(server.url()), &keys, &[&server], COMMANDS).connect().await;
        let allowed = allowed.expect("let in");
        let id = record_id();
        allowed.create(id, new_record()).await.expect("an answer");
        applied(allowed.commit(id, put("old", "1")).await);
        let opened = open(RedisStore::builder(server.url()), &keys, &[&server], &others).connect().await;
        // A store that does not open does nothing.
        let Ok(store) = opened else { continue };
        let mut delta = Delta::new();
        for (name, op) in [("new", Op::Put(Bytes::from_static(b"1"))), ("old", Op::Remove)] {
            delta.push(FieldName::from_static(name), op, None).expect("one operation a field");
        }
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta).with_touch(true);
        let answer = store.commit(id, commit).await;
        let fields = allowed.load(id, &["new".into()]).await.expect("an answer").expect("the record").fields;
        if answer.is_err() && !fields.is_empty() {
            half_done.push(format!("without {without}: {answer:?}, but the put is there"));
        }
        let other = record_id();
        let answer = store.create(other, new_record()).await;
        if answer.is_err() && allowed.load(other, &[]).await.expect("an answer").is_some() {
            half_done.push(format!("without {without}: {answer:?}, but the record is there"));
        }
    }
    assert!(half_done.is_empty(), "{half_done:#?}");
}

/// A commit that a lost permission stops half-way is not taken for done. Its id is written last, so it is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_stops_half_way_is_not_done() {
    let (server, keys) = (RedisServer::start(), Keys::new());
    let user = allow(&keys, &[&server], COMMANDS);
    let builder = RedisStore::builder(server.url_as(&user, PASSWORD)).with_prefix(keys.prefix());
    let store = builder.expect("a prefix").connect().await.expect("let in");
    let id = record_id();
    store.create(id, new_record()).await.expect("an answer");
    applied(store.commit(id, put("user", "7")).await);
    server.cli(&["ACL", "SETUSER", &user, "-hdel"]);
    let mut delta = Delta::new();
    delta.push(FieldName::from_static("user"), Op::Remove, Some(&Bytes::from_static(b"7"))).expect("one");
    let commit = Commit::new(0, TIMEOUTS).with_delta(delta).with_id(commit_id());
    let answer = store.commit(id, commit).await;
    assert!(answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::OutcomeUnknown), "{answer:?}");
}

/// The user of a store can neither empty the server, nor read or write other keys, nor inspect the server, directly
/// or from within a script.
#[tokio::test(flavor = "multi_thread")]
async fn the_user_can_do_no_harm() {
    let (server, keys) = (RedisServer::start(), Keys::new());
    let user = allow(&keys, &[&server], COMMANDS);
    let own = format!("{}key", keys.prefix());
    server.cli(&["HSET", "foreign", "field", "secret"]);
    let as_user = |command: &[&str]| {
        let client = redis::Client::open(server.url_as(&user, PASSWORD)).expect("a URL");
        let mut connection = client.get_connection().expect("let in");
        redis::cmd(command[0]).arg(&command[1..]).query::<redis::Value>(&mut connection)
    };
    assert!(as_user(&["HSET", &own, "field", "1"]).is_ok());
    assert!(as_user(&["EVAL", "return redis.call('HGET', KEYS[1], 'field')", "1", &own]).is_ok());
    let refused: &[&[&str]] = &[
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["SCRIPT", "FLUSH"],
        &["SCRIPT", "LOAD", "return 1"],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["RANDOMKEY"],
        &["ACL", "LIST"],
        &["CLIENT", "LIST"],
        &["CLIENT", "REPLY", "OFF"],
        &["MONITOR"],
        &["SHUTDOWN"],
        &["FUNCTION", "FLUSH"],
        &["REPLICAOF", "NO", "ONE"],
        &["SUBSCRIBE", "channel"],
        &["GET", &own],
        &["RENAME", "foreign", &own],
        &["HGET", "foreign", "field"],
        &["HMGET", "foreign", "field"],
        &["HSET", "foreign", "field", "1"],
        &["HDEL", "foreign", "field"],
        &["DEL", "foreign"],
        &["DEL", &own, "foreign"],
        &["EXISTS", "foreign"],
        &["PEXPIRE", "foreign", "1"],
        &["EVAL", "return 1", "1", "foreign"],
    ];
    for command in refused {
        let error = as_user(command).expect_err("refused");
        assert_eq!(error.code(), Some("NOPERM"), "{command:?}: {error}");
        if ["SUBSCRIBE", "MONITOR", "SHUTDOWN"].contains(&command[0]) {
            continue;
        }
        // The command is refused within a script that names no key, too.
        let quoted: Vec<_> = command.iter().map(|word| format!("[==[{word}]==]")).collect();
        let script = format!("return redis.call({})", quoted.join(","));
        let error = as_user(&["EVAL", &script, "0"]).expect_err("refused").to_string();
        // The first two are 7.0's words, the third is what newer ones say.
        let refused = [
            "can't run this command",
            "can't access at least one",
            "ACL failure in script",
            "not allowed from script",
        ];
        assert!(refused.iter().any(|why| error.contains(why)), "{command:?} in a script: {error}");
    }
    assert_eq!(server.cli(&["HGET", "foreign", "field"]), "secret");
    assert_eq!(server.cli(&["HGET", &own, "field"]), "1");
}

/// A key that has just moved to another node is read there, which takes a further command.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_on_the_move_is_found() {
    let cluster = RedisCluster::start();
    let (keys, nodes) = (Keys::new(), [0, 1, 2].map(|index| cluster.node(index)));
    let id = record_id();
    let key = format!("{}{id}", keys.prefix());
    let slot = cluster.slot(&key);
    let from = cluster.owner(slot).expect("every slot has an owner");
    let commands = [COMMANDS, CLUSTER_COMMANDS].concat();
    let open = async |commands: &[&str]| {
        open(RedisStoreBuilder::cluster(cluster.urls()), &keys, &nodes, commands).connect().await
    };
    let store = open(&commands).await.expect("let in");
    store.create(id, new_record()).await.expect("an answer");
    cluster.begin_move(from, (from + 1) % 3, slot);
    assert_eq!(cluster.move_keys(from, (from + 1) % 3, slot, 10), 1);
    assert!(store.load(id, &[]).await.expect("an answer").is_some());
    applied(store.commit(id, add("n", 1)).await);
    applied(store.commit(id, put("a", "1").with_touch(true)).await);
    for without in CLUSTER_COMMANDS {
        let others: Vec<_> = commands.iter().filter(|command| *command != without).copied().collect();
        // Without the list of nodes it does not even open.
        let is_found = match open(&others).await {
            Ok(store) => store.load(id, &[]).await.is_ok(),
            Err(_) => false,
        };
        assert!(!is_found, "the store does not need {without}");
    }
}

/// Runs every operation of the store, on the server's own clock.
async fn everything(server: &RedisServer, commands: &[&str]) -> Result<(), String> {
    let builder = open(RedisStore::builder(server.url()), &Keys::new(), &[server], commands);
    server.cli(&["SCRIPT", "FLUSH"]);
    let store = builder.connect().await.map_err(|error| error.to_string())?;
    does_everything(&store).await
}

/// Returns a builder for a store of a user with these permissions under the prefix.
fn open(
    builder: RedisStoreBuilder,
    keys: &Keys,
    nodes: &[&RedisServer],
    commands: &[&str],
) -> RedisStoreBuilder {
    let user = allow(keys, nodes, commands);
    builder.with_prefix(keys.prefix()).expect("a prefix").with_user(user, PASSWORD)
}

/// Creates a user with these permissions under the prefix, and no others.
fn allow(keys: &Keys, nodes: &[&RedisServer], commands: &[&str]) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let user = format!("user{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let (password, pattern) = (format!(">{PASSWORD}"), format!("~{}*", keys.prefix()));
    let commands: Vec<_> = commands.iter().map(|command| format!("+{command}")).collect();
    let mut rule = vec!["ACL", "SETUSER", &user, "reset", "on", &password, &pattern, "-@all"];
    rule.extend(commands.iter().map(String::as_str));
    for node in nodes {
        node.cli(&rule);
    }
    user
}

fn nodes(cluster: &'static RedisCluster) -> [&'static RedisServer; 3] {
    [0, 1, 2].map(|index| cluster.node(index))
}

#[track_caller]
fn applied(answer: Result<CommitOutcome, sessions::Error>) {
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
}
