//! The two ACLs of a Webdis for sessions: its own one for clients, and that of Redis for Webdis.

use std::sync::OnceLock;

use bytes::Bytes;
use sessions::{
    store::{Commit, CommitOutcome, Delta, Op, Store, WebdisStore, WebdisStoreBuilder},
    testing::{ManualClock, conformance::Harness},
};
use tests::{
    Keys,
    records::{TIMEOUTS, new_record, put, record_id},
    servers::{RedisServer, WebdisServer},
};

use crate::common::does_everything;

/// The commands that Webdis' user needs in Redis.
const COMMANDS: &[&str] = &[
    "eval", "evalsha", "time", "hget", "hmget", "hgetall", "hkeys", "exists", "hset", "hdel", "pexpire",
    "del",
];

const USER: &str = "sessions";
const PASSWORD: &str = "of-the-sessions";
const REDIS_PASSWORD: &str = "of-webdis";

sessions::testing::conformance!(webdis, Locked(Keys::new()));
sessions::testing::conformance!(webdis_time, LockedTime(Keys::new()));

/// A Webdis for sessions, and a Redis in which its user has the needed permissions only.
struct Locks {
    webdis: WebdisServer,
    redis: RedisServer,
}

impl Locks {
    fn start() -> Self {
        let redis = RedisServer::start();
        allow(&redis, COMMANDS);
        let webdis = WebdisServer::options()
            .with_scripts_only(&format!("{USER}:{PASSWORD}"))
            .with_redis_password(REDIS_PASSWORD)
            .start(&redis);
        Self { webdis, redis }
    }

    /// Returns the servers for tests that do not change the ACLs.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Locks> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn builder(&self, keys: &Keys) -> WebdisStoreBuilder {
        let builder = WebdisStore::builder(self.webdis.url()).with_basic_auth(USER, PASSWORD);
        builder.with_prefix(keys.prefix()).expect("a prefix")
    }
}

/// Gives Webdis these permissions under the prefixes of tests. It can be the default user of Redis only.
fn allow(redis: &RedisServer, commands: &[&str]) {
    let commands: Vec<_> = commands.iter().map(|command| format!("+{command}")).collect();
    let password = format!(">{REDIS_PASSWORD}");
    let mut rule = vec!["ACL", "SETUSER", "default", "reset", "on", &password, "~test*", "-@all"];
    rule.extend(commands.iter().map(String::as_str));
    redis.cli(&rule);
}

/// The keys of one prefix behind both ACLs.
struct Locked(Keys);

impl Harness for Locked {
    type Store = WebdisStore;

    async fn open(&self, clock: ManualClock) -> WebdisStore {
        Locks::shared().builder(&self.0).with_clock(clock).connect().await.expect("let in")
    }

    async fn dump(&self) -> Option<Vec<u8>> {
        Some(self.0.dump(&[&Locks::shared().redis]))
    }
}

/// The keys of one prefix behind both ACLs, on the server's own clock.
struct LockedTime(Keys);

impl Harness for LockedTime {
    type Store = WebdisStore;

    const MANUAL_CLOCK: bool = false;

    async fn open(&self, _clock: ManualClock) -> WebdisStore {
        Locks::shared().builder(&self.0).connect().await.expect("let in")
    }
}

/// Without any command of the list, an operation fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_needs_each_of_its_commands() {
    let locks = Locks::start();
    assert_eq!(everything(&locks, COMMANDS).await, Ok(()));
    let mut unneeded = Vec::new();
    for without in COMMANDS {
        let others: Vec<_> = COMMANDS.iter().filter(|command| *command != without).copied().collect();
        if everything(&locks, &others).await.is_ok() {
            unneeded.push(without);
        }
    }
    assert!(unneeded.is_empty(), "the store does not need {unneeded:?}");
}

/// A missing permission is found when the store is opened. Otherwise it would be found by the first user who logs
/// out, or in the middle of a script, which does not roll back.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_found_when_the_store_is_opened() {
    let locks = Locks::start();
    let mut unnoticed = Vec::new();
    for without in COMMANDS {
        let others: Vec<_> = COMMANDS.iter().filter(|command| *command != without).copied().collect();
        locks.redis.cli(&["SCRIPT", "FLUSH"]);
        allow(&locks.redis, &others);
        match locks.builder(&Keys::new()).connect().await {
            Ok(_) => unnoticed.push(format!("{without}: not noticed")),
            Err(error) => println!("without {without}: {error:?}"),
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// A refused operation has not happened: without a permission for one of its commands, a script writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_without_a_permission_writes_nothing() {
    let locks = Locks::start();
    let mut half_done = Vec::new();
    for without in ["pexpire", "hdel"] {
        let keys = Keys::new();
        allow(&locks.redis, COMMANDS);
        let allowed = locks.builder(&keys).connect().await.expect("let in");
        let id = record_id();
        allowed.create(id, new_record()).await.expect("an answer");
        applied(&allowed, id, put("old", "1")).await;
        let others: Vec<_> = COMMANDS.iter().filter(|command| **command != without).copied().collect();
        allow(&locks.redis, &others);
        // A store that does not open does nothing.
        let Ok(store) = locks.builder(&keys).connect().await else { continue };
        let mut delta = Delta::new();
        for (name, op) in [("new", Op::Put(Bytes::from_static(b"1"))), ("old", Op::Remove)] {
            delta.push(name.into(), op, None).expect("one operation a field");
        }
        let answer = store.commit(id, Commit::new(0, TIMEOUTS).with_delta(delta).with_touch(true)).await;
        let other = record_id();
        let created = store.create(other, new_record()).await;
        allow(&locks.redis, COMMANDS);
        let fields = store.load(id, &["new".into()]).await.expect("an answer").expect("the record").fields;
        if answer.is_err() && !fields.is_empty() {
            half_done.push(format!("without {without}: {answer:?}, but the put is there"));
        }
        if created.is_err() && store.load(other, &[]).await.expect("an answer").is_some() {
            half_done.push(format!("without {without}: {created:?}, but the record is there"));
        }
    }
    assert!(half_done.is_empty(), "{half_done:#?}");
}

/// A client of Webdis can neither empty Redis, nor read or write other keys, nor inspect the server. Commands are
/// refused to every client, and scripts, which need the login, may not run them either.
#[tokio::test(flavor = "multi_thread")]
async fn who_reaches_webdis_can_do_no_harm() {
    let locks = Locks::start();
    let right = format!("{USER}:{PASSWORD}");
    locks.redis.cli(&["HSET", "foreign", "field", "secret"]);
    locks.redis.cli(&["HSET", "test:own", "field", "1"]);
    let call = |login: Option<&str>, command: &[&str]| {
        let words: Vec<_> = command.iter().map(|word| word.as_bytes()).collect();
        locks.webdis.call(login, &words)
    };
    let read = ["EVAL", "return redis.call('HGET', KEYS[1], 'field')", "1", "test:own"];
    assert_eq!(call(Some(&right), &read), (200, r#"{"EVAL":"1"}"#.into()));
    let logins = [None, Some("sessions:wrong"), Some("nobody:"), Some("sessions:"), Some(":")];
    for login in logins {
        for command in [&read[..], &["EVALSHA", "0", "0"], &["SCRIPT", "FLUSH"]] {
            assert_eq!(call(login, command), (403, String::new()), "{login:?} {command:?}");
        }
    }
    let refused: &[&[&str]] = &[
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["GET", "foreign"],
        &["GET", "test:own"],
        &["SET", "test:own", "1"],
        &["HGET", "foreign", "field"],
        &["HGETALL", "foreign"],
        &["HSET", "foreign", "field", "1"],
        &["HDEL", "foreign", "field"],
        &["DEL", "foreign"],
        &["DEL", "test:own", "foreign"],
        &["EXISTS", "foreign"],
        &["PEXPIRE", "foreign", "1"],
        &["RENAME", "foreign", "test:own"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["RANDOMKEY"],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["ACL", "LIST"],
        &["ACL", "SETUSER", "default", "+@all"],
        &["CLIENT", "LIST"],
        &["CLIENT", "REPLY", "OFF"],
        &["HELLO", "3"],
        &["AUTH", "support", "support"],
        &["MONITOR"],
        &["SUBSCRIBE", "channel"],
        &["FUNCTION", "FLUSH"],
        &["FCALL", "f", "0"],
        &["REPLICAOF", "NO", "ONE"],
        &["SHUTDOWN"],
        &["DEBUG", "SLEEP", "0"],
        &["INFO"],
    ];
    for command in refused {
        for login in logins.into_iter().chain([Some(&*right)]) {
            assert_eq!(call(login, command), (403, String::new()), "{login:?} {command:?}");
        }
        // The command is refused within a script that names no key, too.
        let quoted: Vec<_> = command.iter().map(|word| format!("[==[{word}]==]")).collect();
        let script = format!("return redis.call({})", quoted.join(","));
        refused_by_redis(&call(Some(&right), &["EVAL", &script, "0"]), command);
    }
    let by_redis: &[&[&str]] = &[
        &["SCRIPT", "FLUSH"],
        &["SCRIPT", "LOAD", "return 1"],
        &["SCRIPT", "KILL"],
        &["EVAL", "return 1", "1", "foreign"],
    ];
    for command in by_redis {
        refused_by_redis(&call(Some(&right), command), command);
    }
    assert_eq!(locks.redis.cli(&["HGET", "foreign", "field"]), "secret");
    assert_eq!(locks.redis.cli(&["HGET", "test:own", "field"]), "1");
    // The connections that Webdis shares among its clients still work.
    for _ in 0..20 {
        assert_eq!(call(Some(&right), &read), (200, r#"{"EVAL":"1"}"#.into()));
    }
}

fn refused_by_redis((status, body): &(u16, String), command: &[&str]) {
    let refused = [
        "NOPERM",
        "can't run this command",
        "can't access at least one",
        "ACL failure in script",
        "not allowed from script",
        "has no permissions",
    ];
    assert!(*status == 200 && refused.iter().any(|why| body.contains(why)), "{command:?}: {status} {body}");
}

/// Runs every operation of the store, on the server's own clock.
async fn everything(locks: &Locks, commands: &[&str]) -> Result<(), String> {
    locks.redis.cli(&["SCRIPT", "FLUSH"]);
    allow(&locks.redis, commands);
    let store = locks.builder(&Keys::new()).connect().await.map_err(|error| error.to_string())?;
    does_everything(&store).await
}

async fn applied(store: &impl Store, id: sessions::RecordId, commit: Commit) {
    let answer = store.commit(id, commit).await;
    assert!(matches!(answer, Ok(CommitOutcome::Applied(_))), "{answer:?}");
}
