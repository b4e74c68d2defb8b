//! Owns servers until it is killed: the other half of a test in `tests/servers.rs`.

use std::thread;

use tests::servers::{RedisServer, ServerProcess, WebdisServer};

fn main() {
    // Statics are never dropped.
    let (redis, webdis) = (RedisServer::shared(), WebdisServer::shared());
    let stalled = RedisServer::start();
    stalled.stall();
    for process in [redis.process(), webdis.process(), stalled.process()] {
        report(process);
    }
    println!();
    if std::env::args().nth(1).as_deref() == Some("exits") {
        std::process::exit(0); // It drops nothing either.
    }
    loop {
        thread::park();
    }
}

fn report(process: &ServerProcess) {
    println!("{} {} {}", process.port(), process.pid().unwrap_or_default(), process.folder().display());
}
