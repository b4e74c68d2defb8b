//! Asynchronous replication, waited for.

use tests::servers::{RedisServer, until};

/// Waits until the replica has all that the primary had acknowledged before.
///
/// Not by `WAIT`, which waits for what its own connection has written.
pub(crate) fn wait_until_caught_up(primary: &RedisServer, replica: &RedisServer) {
    let offset = |server: &RedisServer, name| server.info(name)?.parse::<u64>().ok();
    let goal = offset(primary, "master_repl_offset").expect("the primary tells its offset");
    let caught_up = || offset(replica, "slave_repl_offset").is_some_and(|offset| offset >= goal);
    until("the replica to catch up", || replica.log(), caught_up);
}
