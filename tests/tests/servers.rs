//! The servers of the tests: they start, restart, stall, fail over, and never outlive their owner.

#![allow(clippy::expect_used)] // Panicking is how a test fails.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tests::servers::{RedisCluster, RedisServer, Sentinel, WebdisServer, until};

#[test]
fn redis_answers_and_keeps_its_data_when_asked_to() {
    let (durable, plain) = (RedisServer::options().with_durability().start(), RedisServer::start());
    for redis in [&durable, &plain] {
        redis.cli(&["SET", "key", "value"]);
        redis.restart();
    }
    assert_eq!(durable.cli(&["GET", "key"]), "value");
    assert_eq!(plain.cli(&["GET", "key"]), "");
    assert_eq!(durable.version().split('.').count(), 3, "{}", durable.version());
    plain.kill();
    assert!(plain.try_cli(&["PING"]).is_err());
    plain.restart();
    assert_eq!(plain.cli(&["PING"]), "PONG");
}

#[test]
fn redis_stalls_and_goes_on() {
    let redis = RedisServer::start();
    redis.stall();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).expect("the kernel accepts");
    client.write_all(b"PING\r\n").expect("the kernel buffers");
    client.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert!(client.read(&mut [0; 16]).is_err(), "nothing is answered");
    redis.resume();
    client.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    let mut answer = [0; 7];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"+PONG\r\n");
    // A stalled server can be restarted.
    redis.stall();
    redis.restart();
    assert_eq!(redis.cli(&["PING"]), "PONG");
}

#[test]
fn redis_cuts_connections() {
    let redis = RedisServer::start();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).expect("a connection");
    client.write_all(b"PING\r\n").expect("it writes");
    client.read_exact(&mut [0; 7]).expect("an answer");
    redis.cut_connections();
    client.set_read_timeout(Some(Duration::from_mins(1))).expect("a timeout");
    assert_eq!(client.read(&mut [0; 1]).expect("an end, not a timeout"), 0);
}

#[test]
fn redis_has_passwords_users_and_tls() {
    let redis = RedisServer::options()
        .with_password("secret")
        .add_user("sessions", "word", "~s:* -@all +get")
        .with_tls()
        .start();
    assert_eq!(redis.url(), format!("redis://:secret@127.0.0.1:{}/", redis.port()));
    assert_eq!(redis.cli(&["PING"]), "PONG");
    let cli = |login: &[&str], command: &[&str]| {
        let port = redis.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(login).args(command).output();
        String::from_utf8_lossy(&output.expect("redis-cli is installed").stdout).into_owned()
    };
    assert!(cli(&[], &["PING"]).starts_with("NOAUTH"));
    assert_eq!(cli(&["-a", "secret"], &["PING"]), "PONG\n");
    let user = ["--user", "sessions", "-a", "word"];
    assert_eq!(cli(&user, &["GET", "s:1"]), "\n");
    assert!(cli(&user, &["GET", "t:1"]).starts_with("NOPERM"));
    let tls = redis.tls_port().to_string();
    let ca = redis.ca_file().display().to_string();
    for host in ["127.0.0.1", "localhost"] {
        let over_tls = ["-h", host, "-p", &tls, "--tls", "--cacert", &ca, "-a", "secret"];
        assert_eq!(cli(&over_tls, &["PING"]), "PONG\n");
    }
}

#[test]
fn many_servers_start_at_once() {
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let redis = RedisServer::start();
                redis.restart();
                assert_eq!(redis.info("process_id"), redis.process().pid().map(|pid| pid.to_string()));
            });
        }
    });
}

#[test]
fn cluster_moves_slots_with_their_keys() {
    let cluster = RedisCluster::shared();
    assert_eq!(cluster.urls().len(), 3);
    let keys: Vec<_> = (0..250).map(|number| format!("{{tag}}{number}")).collect();
    let slot = cluster.slot("{tag}");
    let from = cluster.owner(slot).expect("every slot has an owner");
    let to = (from + 1) % 3;
    for key in &keys {
        cluster.node(from).cli(&["SET", key, key]);
    }
    cluster.begin_move(from, to, slot);
    assert_eq!(cluster.move_keys(from, to, slot, 1), 1);
    let asked =
        keys.iter().filter_map(|key| cluster.node(from).try_cli(&["GET", key]).err()).collect::<Vec<_>>();
    assert_eq!(asked, [format!("ASK {slot} 127.0.0.1:{}", cluster.node(to).port())]);
    cluster.move_slots(from, to, slot..=slot);
    for key in &keys {
        assert_eq!(&cluster.node(to).cli(&["GET", key]), key);
        let moved = cluster.node(from).try_cli(&["GET", key]).expect_err("it has left");
        assert_eq!(moved, format!("MOVED {slot} 127.0.0.1:{}", cluster.node(to).port()));
    }
    cluster.wait_until_served();
    assert_eq!(cluster.owner(slot), Some(to));
}

#[test]
fn cluster_replaces_a_primary() {
    let cluster = RedisCluster::start_with_replicas();
    let slot = cluster.slot("key");
    let primary = cluster.owner(slot).expect("every slot has an owner");
    let node = cluster.node(primary);
    node.cli(&["SET", "key", "value"]);
    node.cli(&["WAIT", "1", "20000"]);
    cluster.kill_node(primary);
    cluster.wait_until_served();
    let next = cluster.owner(slot).expect("every slot has an owner");
    assert_eq!(next, primary + 3);
    assert_eq!(cluster.node(next).cli(&["GET", "key"]), "value");
    cluster.node(primary).restart();
    cluster.wait_until_served();
    until("the old primary to follow", || node.log(), || node.info("role").as_deref() == Some("slave"));
}

#[test]
fn sentinel_fails_over() {
    let sentinel = Sentinel::start();
    let (first, second) = (sentinel.primary().port(), sentinel.replica().port());
    sentinel.primary().cli(&["SET", "key", "value"]);
    sentinel.primary().cli(&["WAIT", "1", "20000"]);
    sentinel.failover();
    assert_eq!((sentinel.primary().port(), sentinel.replica().port()), (second, first));
    assert_eq!(sentinel.primary().cli(&["GET", "key"]), "value");
    sentinel.wait_for_replica();
    sentinel.kill_primary();
    sentinel.wait_for_new_primary(second);
    assert_eq!(sentinel.primary().port(), first);
    assert_eq!(sentinel.primary().cli(&["GET", "key"]), "value");
}

#[test]
fn webdis_answers() {
    let webdis = WebdisServer::shared();
    assert!(webdis.version().starts_with("0.1."), "{}", webdis.version());
    assert_eq!(webdis.url(), format!("http://127.0.0.1:{}/", webdis.port()));
    let value = "a/b?c+d%20.json ü \"";
    let set = webdis.call(None, &[b"SET", b"webdis/key", value.as_bytes()]);
    assert_eq!(set, (200, r#"{"SET":[true,"OK"]}"#.to_owned()));
    assert_eq!(RedisServer::shared().cli(&["GET", "webdis/key"]), value);
}

#[test]
fn webdis_refuses_what_its_rules_forbid() {
    let redis = RedisServer::options().add_user("default", "secret", "~s:* -@all +eval +get").start();
    let webdis = WebdisServer::options()
        .with_pool(1, 1)
        .with_scripts_only("user:password")
        .with_redis_password("secret")
        .start(&redis);
    let (eval, good): (&[&[u8]], _) = (&[b"EVAL", b"return 'yes'", b"0"], Some("user:password"));
    assert_eq!(webdis.call(good, eval), (200, r#"{"EVAL":"yes"}"#.to_owned()));
    assert_eq!(webdis.call(Some("user:else"), eval).0, 403);
    assert_eq!(webdis.call(None, eval).0, 403);
    assert_eq!(webdis.call(good, &[b"GET", b"s:1"]).0, 403);
    redis.cli(&["SET", "s:1", "value"]);
    let (status, body) = webdis.call(good, &[b"EVAL", b"return redis.call('FLUSHALL')", b"0"]);
    assert!(status == 200 && body.starts_with(r#"{"EVAL":[false,"#), "{status} {body}");
    assert_eq!(redis.cli(&["GET", "s:1"]), "value");
    webdis.stall();
    webdis.restart();
    assert_eq!(webdis.call(good, eval).0, 200);
}

#[test]
fn no_server_outlives_its_owner() {
    for ending in ["exits", "is killed"] {
        let (mut owner, servers) = owner(ending);
        if ending == "is killed" {
            owner.kill().expect("it is killed (SIGKILL)");
        }
        owner.wait().expect("it ends");
        for (port, pid, folder) in servers {
            let gone = || {
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
                    && !Path::new(&format!("/proc/{pid}")).exists()
                    && !folder.exists()
            };
            until("the server to end", || format!("{port} {pid} {}", folder.display()), gone);
        }
    }
}

/// Starts a process that owns servers, and returns their ports, ids and folders.
fn owner(ending: &str) -> (Child, Vec<(u16, u32, PathBuf)>) {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_server_owner"))
        .arg(ending)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the owner starts");
    let out = BufReader::new(owner.stdout.take().expect("its output is piped"));
    let lines = out.lines().map(|line| line.expect("text")).take_while(|line| !line.is_empty());
    let servers = lines.map(|line| {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().expect("three words").to_owned();
        (word().parse().expect("a port"), word().parse().expect("an id"), PathBuf::from(word()))
    });
    let servers: Vec<_> = servers.collect();
    assert_eq!(servers.len(), 3);
    (owner, servers)
}
